//! Makes the index again: reads all channels of the apps once, up to where the store was when that began. From there on
//! the feed goes on. A start in between goes on with the channel at which it was.

use crate::{
    document::{name_bytes, parse_name},
    mark::Walk,
    settings::READ_AT_ONCE,
    work::Worker,
};
use model::Result;

impl Worker {
    /// Reads what is still to be read.
    pub fn walk(&mut self) -> Result<()> {
        let (shared, store) = (&self.shared, &*self.store);
        let Some(open) = &mut self.open else { return Ok(()) };
        // The channel that a walk goes on with may be in the index in part.
        let mut in_part = true;
        while let Some(walk) = open.mark.walk.clone() {
            let Some(app) = shared.settings.apps.iter().nth(walk.apps_done) else {
                open.mark.walk = None;
                return open.commit(shared);
            };
            let after = walk.after.as_deref().and_then(parse_name);
            let names = store.all_channels(app, after.as_ref(), READ_AT_ONCE)?;
            for entry in &names {
                open.add_channel(shared, store, &entry.channel, open.mark.position(), in_part)?;
                in_part = false;
                open.pending += 1;
                open.mark.walk = Some(Walk { after: Some(name_bytes(&entry.channel.name)), ..walk });
                open.commit_if_full(shared)?;
            }
            if names.len() < READ_AT_ONCE as usize {
                open.mark.walk = Some(Walk { apps_done: walk.apps_done + 1, after: None });
            }
        }
        Ok(())
    }
}
