//! Edits: a new content beside a message that keeps its place. The newest is what readers see; older ones stay readable
//! for as long as the message is there.

use crate::{Caller, Channels, Rights, channels::check_app};
use bytes::Bytes;
use model::{Channel, Error, Id, Payload, Result, Version};

/// A new content for a message: it takes the place of the whole old one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Revision {
    /// What is said now. That JSON is valid is for the dialect to see to.
    pub payload: Payload,
    /// What only one vendor has; what was there before goes.
    pub extras: Option<Bytes>,
}

impl Channels {
    /// Replaces the content of a message and returns the id of the edit. Needs [`Rights::WRITE`] of its author, who is
    /// the caller's user, or [`Rights::MANAGE`] of anybody else. `NotFound` if the message is not there or lies outside
    /// the caller's window.
    pub async fn edit(&self, caller: &Caller, channel: &Channel, message: Id, revision: Revision) -> Result<Id> {
        check_app(caller, &channel.app)?;
        caller.access.demand(&channel.name, Rights::WRITE)?;
        let _ = (message, revision);
        Err(Error::unavailable("edits are not served yet"))
    }

    /// Every content that a message has had, oldest first. Needs [`Rights::HISTORY`]; `NotFound` as for
    /// [`Channels::edit`].
    pub async fn versions(&self, caller: &Caller, channel: &Channel, message: Id) -> Result<Vec<Version>> {
        check_app(caller, &channel.app)?;
        caller.access.demand(&channel.name, Rights::HISTORY)?;
        let _ = message;
        Err(Error::unavailable("versions are not served yet"))
    }
}
