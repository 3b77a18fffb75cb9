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
use model::{Channel, Edit, Error, ErrorKind, Id, Message, Payload, Result, Version, What};
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
        let message = self.shared.seen_message(caller, channel, message).await?;
        let own = caller.user.is_some() && caller.user == message.author;
        if !own && !caller.access.allows(&channel.name, Rights::MANAGE) {
            let why = "message: only its author edits it, or who may manage the channel";
            return Err(Error::new(ErrorKind::Forbidden, why));
        }
        let Revision { payload, extras } = revision;
        let edit = Edit { message: message.id, seq: message.seq, editor: caller.user.clone(), payload, extras };
        self.shared.submit_one(self.shared.edit_order(channel, edit)).await.map(|placed| placed.id)
    }

    /// Every content that a message has had, oldest first; without those that an erasure took. Needs [`Rights::HISTORY`];
    /// `NotFound` as for [`Channels::edit`].
    pub async fn versions(&self, caller: &Caller, channel: &Channel, message: Id) -> Result<Vec<Version>> {
        self.shared.admit(caller, &channel.app)?;
        caller.access.demand(&channel.name, Rights::HISTORY)?;
        let message = self.shared.seen_message(caller, channel, message).await?.id;
        let channel = channel.clone();
        let versions = self.shared.reads.run(move |store| store.versions(&channel, message)).await?;
        if versions.is_empty() { Err(not_found()) } else { Ok(versions) }
    }
}

impl Shared {
    /// The message, if it is there and the caller may see it.
    pub(crate) async fn seen_message(&self, caller: &Caller, channel: &Channel, id: Id) -> Result<Arc<Message>> {
        let now = self.now();
        let visible = self.reach(caller, channel, now).visible();
        if id <= visible.after {
            return Err(not_found());
        }
        let channel = channel.clone();
        let found = self.reads.run(move |store| {
            let above = history::above(store, &channel, visible)?;
            let found = resolve::message(store, &channel, id, now)?;
            Ok(found.filter(|message| message.seq > above))
        });
        found.await?.ok_or_else(not_found)
    }

    pub(crate) fn edit_order(&self, channel: &Channel, edit: Edit) -> Order {
        Order::aimed(channel, self.live.hasher.place(channel), What::Edited(Arc::new(edit)), Aim::Edit)
    }
}

fn not_found() -> Error {
    Error::new(ErrorKind::NotFound, "message: it is not there")
}
