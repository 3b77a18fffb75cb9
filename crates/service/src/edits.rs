//! Edits: a new content beside a message that keeps its place. The newest is what readers see; older ones stay readable
//! for as long as the message is there.

use crate::{
    Caller, Channels, Rights,
    channels::Shared,
    history,
    order::{Aim, Order},
    publish::check_content,
    resolve,
};
use bytes::Bytes;
use model::{AtHand, Channel, Edit, Error, ErrorKind, Id, Payload, Reaction, Result, Seq, UserId, Version, What};
use std::sync::Arc;

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
        self.shared.admit(caller, &channel.app)?;
        caller.access.demand(&channel.name, Rights::WRITE)?;
        check_content(&revision.payload, revision.extras.as_ref())?;
        let seen = self.shared.seen_message(caller, channel, message, None).await?;
        let own = caller.user.is_some() && caller.user == seen.author;
        if !own && !caller.access.allows(&channel.name, Rights::MANAGE) {
            let why = "message: only its author edits it, or who may manage the channel";
            return Err(Error::new(ErrorKind::Forbidden, why));
        }
        let Revision { payload, extras } = revision;
        let edit = Edit { message, seq: seen.seq, editor: caller.user.clone(), payload, extras };
        let place = self.shared.live.hasher.place(channel);
        let order = Order::aimed(channel, place, What::Edited(Arc::new(edit)), Aim::Edit);
        self.shared.submit_one(seen.given_to(order)).await.map(|placed| placed.id)
    }

    /// Every content that a message has had, oldest first; without those that an erasure took. Needs [`Rights::HISTORY`];
    /// `NotFound` as for [`Channels::edit`].
    pub async fn versions(&self, caller: &Caller, channel: &Channel, message: Id) -> Result<Vec<Version>> {
        self.shared.admit(caller, &channel.app)?;
        caller.access.demand(&channel.name, Rights::HISTORY)?;
        self.shared.seen_message(caller, channel, message, None).await?;
        let channel = channel.clone();
        let versions = self.shared.reads.run(move |store| store.versions(&channel, message)).await?;
        if versions.is_empty() { Err(not_found()) } else { Ok(versions) }
    }
}

/// A message that its caller may see.
pub(crate) struct SeenMessage {
    pub seq: Seq,
    pub author: Option<UserId>,
    /// What was at hand of it, and up to where that saw everything.
    at_hand: Option<(Id, AtHand)>,
}

impl SeenMessage {
    /// An order about the message that need not be looked up if this was at hand.
    pub fn given_to(&self, order: Order) -> Order {
        match &self.at_hand {
            Some((as_of, at_hand)) => order.at_hand(*as_of, at_hand),
            None => order,
        }
    }
}

impl Shared {
    /// The message, if it is there and the caller may see it; with what stands in the way of a reaction, if one is to be
    /// made. What was said lately is seen without blocking.
    pub(crate) async fn seen_message(
        &self,
        caller: &Caller,
        channel: &Channel,
        id: Id,
        reaction: Option<&Reaction>,
    ) -> Result<SeenMessage> {
        let now = self.now();
        let visible = self.reach(caller, channel, now).visible();
        if id <= visible.after {
            return Err(not_found());
        }
        let as_of = self.live.frontier();
        if let Some(found) = self.reads.store.at_hand(channel, id, reaction)? {
            let is_due = found.expires_at.is_some_and(|due| due <= now);
            if is_due || found.seq <= visible.above(found.last.seq) {
                return Err(not_found());
            }
            let (seq, author) = (found.seq, found.author.clone());
            return Ok(SeenMessage { seq, author, at_hand: Some((as_of, found)) });
        }
        let channel = channel.clone();
        let found = self.reads.run(move |store| {
            let above = history::above(store, &channel, visible)?;
            let found = resolve::message(store, &channel, id, now)?;
            Ok(found.filter(|message| message.seq > above))
        });
        let found = found.await?.ok_or_else(not_found)?;
        Ok(SeenMessage { seq: found.seq, author: found.author.clone(), at_hand: None })
    }
}

fn not_found() -> Error {
    Error::new(ErrorKind::NotFound, "message: it is not there")
}
