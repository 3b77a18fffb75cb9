//! The change feed of a channel: edits, removals, floors and reactions in one order, from any position.

use crate::{Caller, Channels, Rights, channels::check_app};
use model::{ChangesPage, Channel, Error, Id, Result};

impl Channels {
    /// What happened to the messages of a channel after a position, oldest first. Needs [`Rights::HISTORY`]; what
    /// happened to messages that the caller may not see is left out. A page whose `starts_after` lies above `after` does
    /// not reach back so far: read the channel again, and go on from `examined`.
    pub async fn changes(&self, caller: &Caller, channel: &Channel, after: Id, limit: u32) -> Result<ChangesPage> {
        check_app(caller, &channel.app)?;
        caller.access.demand(&channel.name, Rights::HISTORY)?;
        let _ = (after, limit);
        Err(Error::unavailable("changes are not served yet"))
    }
}
