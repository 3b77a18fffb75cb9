//! Reactions: one per user, message, kind and value; they go with their message.

use crate::{Caller, Channels, Rights, channels::check_app};
use model::{Channel, Error, Id, Order, Reaction, ReactionEntry, Result, Span};

/// Which reaction is taken back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unreact {
    /// The one with this id.
    Id(Id),
    /// The one that is the same.
    Same(Reaction),
}

/// Some reactions of a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reactions {
    /// The reactions.
    pub entries: Vec<ReactionEntry>,
    /// There are more than the limit.
    pub more: bool,
}

impl Channels {
    /// Adds a reaction and returns its id. Needs [`Rights::WRITE`]; for another user than the caller's also
    /// [`Rights::MANAGE`]. `Conflict` if the same one stands. With `must_exist`, `NotFound` unless the caller may see the
    /// message; a channel in which nothing was ever stored has no reactions either way.
    pub async fn react(&self, caller: &Caller, channel: &Channel, reaction: Reaction, must_exist: bool) -> Result<Id> {
        check_app(caller, &channel.app)?;
        caller.access.demand(&channel.name, Rights::WRITE)?;
        let _ = (reaction, must_exist);
        Err(Error::unavailable("reactions are not served yet"))
    }

    /// Takes a reaction back and returns what it was. Needs [`Rights::WRITE`]; for another user's also
    /// [`Rights::MANAGE`]. `NotFound` if it does not stand.
    pub async fn unreact(&self, caller: &Caller, channel: &Channel, which: Unreact) -> Result<ReactionEntry> {
        check_app(caller, &channel.app)?;
        caller.access.demand(&channel.name, Rights::WRITE)?;
        let _ = which;
        Err(Error::unavailable("reactions are not served yet"))
    }

    /// Reactions to the messages of a span, by message, then by reaction. Needs [`Rights::HISTORY`]; those to messages
    /// that the caller may not see are left out.
    pub async fn reactions(&self, caller: &Caller, channel: &Channel, messages: Span, limit: u32) -> Result<Reactions> {
        check_app(caller, &channel.app)?;
        caller.access.demand(&channel.name, Rights::HISTORY)?;
        let _ = (messages, limit);
        Err(Error::unavailable("reactions are not served yet"))
    }

    /// Reactions that were made in a span, by their own ids, from the end that `order` names: also those to messages
    /// that never were there. Needs [`Rights::HISTORY`].
    pub async fn reactions_made(
        &self,
        caller: &Caller,
        channel: &Channel,
        span: Span,
        order: Order,
        limit: u32,
    ) -> Result<Reactions> {
        check_app(caller, &channel.app)?;
        caller.access.demand(&channel.name, Rights::HISTORY)?;
        let _ = (span, order, limit);
        Err(Error::unavailable("reactions are not served yet"))
    }
}
