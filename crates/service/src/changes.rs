//! The change feed of a channel: edits, removals, floors and reactions in one order, from any position.

use crate::{Caller, Channels, Rights, hidden::Hidden};
use model::{ChangesPage, Channel, Id, Result};

impl Channels {
    /// What happened to the messages of a channel after a position, oldest first. Needs [`Rights::HISTORY`]; what
    /// happened to messages that the caller may not see is left out. A page whose `starts_after` lies above `after` does
    /// not reach back so far: read the channel again, and go on from `examined`.
    pub async fn changes(&self, caller: &Caller, channel: &Channel, after: Id, limit: u32) -> Result<ChangesPage> {
        self.shared.admit(caller, &channel.app)?;
        caller.access.demand(&channel.name, Rights::HISTORY)?;
        self.shared.check_limit(limit)?;
        let visible = self.shared.reach(caller, channel, self.shared.now()).visible();
        let channel = channel.clone();
        let read = self.shared.reads.run(move |store| {
            let mut page = store.changes(&channel, after, limit)?;
            if !visible.is_all() {
                let hidden = Hidden::of(store, &channel, visible)?;
                page.changes = page.changes.into_iter().filter_map(|change| hidden.cut(change)).collect();
            }
            Ok(page)
        });
        read.await
    }
}
