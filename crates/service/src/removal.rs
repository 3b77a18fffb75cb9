//! Deletions: what a caller takes out of a channel, all of it or nothing.

use crate::{Caller, Channels, Rights, channels::check_app};
use model::{Channel, Error, Id, Result, Target};

/// What a deletion took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deleted {
    /// The id of the change; none if there was nothing to take.
    pub id: Option<Id>,
    /// How many messages went.
    pub messages: u64,
}

impl Channels {
    /// Deletes messages, all of them or none. Needs [`Rights::DELETE`]. Takes what the caller's window shows and what
    /// was there when it was called: an end of a span above the frontier is taken as the frontier. Ids that name no
    /// message are passed over. `Conflict` names the legal hold that forbids it; `TooLarge` if it names too many ids or
    /// would tear too many holes at once.
    pub async fn delete(&self, caller: &Caller, channel: &Channel, target: Target) -> Result<Deleted> {
        check_app(caller, &channel.app)?;
        caller.access.demand(&channel.name, Rights::DELETE)?;
        let _ = target;
        Err(Error::unavailable("deletions are not served yet"))
    }
}
