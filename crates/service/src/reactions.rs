//! Reactions: one per user, message, kind and value; they go with their message.

use crate::{
    Caller, Channels, Rights,
    channels::Shared,
    order::{Aim, Order as Ordered},
    publish::bounded,
    removal::hidden_upto,
};
use model::{
    Channel, Error, ErrorKind, Id, Order, Reaction, ReactionAt, ReactionEntry, Result, Span, Store, UserId, What,
    limits,
};
use std::sync::Arc;

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

impl Reactions {
    /// Where a page by message goes on, if there is more.
    pub fn end(&self) -> Option<ReactionAt> {
        let at = |entry: &ReactionEntry| ReactionAt { message: entry.reaction.message, reaction: entry.id };
        self.entries.last().filter(|_| self.more).map(at)
    }
}

impl Channels {
    /// Adds a reaction and returns its id. Needs [`Rights::WRITE`]; for another user than the caller's also
    /// [`Rights::MANAGE`]. `Conflict` if the same one stands. With `must_exist`, `NotFound` unless the caller may see the
    /// message; a channel in which nothing was ever stored has no reactions either way.
    pub async fn react(&self, caller: &Caller, channel: &Channel, reaction: Reaction, must_exist: bool) -> Result<Id> {
        self.shared.admit(caller, &channel.app)?;
        caller.access.demand(&channel.name, Rights::WRITE)?;
        demand_own(caller, channel, &reaction.user)?;
        bounded("reaction: kind", reaction.kind.len(), limits::REACTION_BYTES)?;
        bounded("reaction: value", reaction.value.len(), limits::REACTION_BYTES)?;
        if reaction.message == Id::MIN || reaction.message > self.frontier() {
            return Err(Error::invalid("reaction: no message can have this id"));
        }
        let reaction = Arc::new(reaction);
        let place = self.shared.live.hasher.place(channel);
        let key = Some(self.shared.live.hasher.reaction(place, &reaction));
        let order = Ordered { key, ..Ordered::aimed(channel, place, What::Reacted(reaction.clone()), Aim::React) };
        let order = match must_exist {
            true => self.shared.seen_message(caller, channel, reaction.message, Some(&reaction)).await?.given_to(order),
            false => self.shared.with_at_hand(order, channel, &reaction)?,
        };
        self.shared.submit_one(order).await.map(|placed| placed.id)
    }

    /// Takes a reaction back and returns what it was. Needs [`Rights::WRITE`]; for another user's also
    /// [`Rights::MANAGE`]. `NotFound` if it does not stand.
    pub async fn unreact(&self, caller: &Caller, channel: &Channel, which: Unreact) -> Result<ReactionEntry> {
        self.shared.admit(caller, &channel.app)?;
        caller.access.demand(&channel.name, Rights::WRITE)?;
        if let Unreact::Same(reaction) = &which {
            demand_own(caller, channel, &reaction.user)?;
        }
        let asked = channel.clone();
        let entry = self.shared.reads.run(move |store| standing(store, &asked, which)).await?;
        demand_own(caller, channel, &entry.reaction.user)?;
        let order = self.shared.unreact_order(channel, &entry);
        self.shared.submit_one(self.shared.with_at_hand(order, channel, &entry.reaction)?).await?;
        Ok(entry)
    }

    /// Reactions to the messages of a span, by message, then by reaction, those behind `after`: where the page before ended
    /// ([`Reactions::end`]). Needs [`Rights::HISTORY`]; those to messages that the caller may not see are left out.
    pub async fn reactions(
        &self,
        caller: &Caller,
        channel: &Channel,
        messages: Span,
        after: Option<ReactionAt>,
        limit: u32,
    ) -> Result<Reactions> {
        let read = move |store: &dyn Store, channel: &Channel, hidden: Id, limit: u32| {
            let messages = Span { after: messages.after.max(hidden), ..messages };
            store.reactions(channel, messages, after, limit)
        };
        self.shared.admit_reader(caller, channel, limit)?;
        // Most channels have none, and for those nobody needs to wait for a thread that may block.
        if self.shared.reads.store.lacks_reactions(channel)? {
            return Ok(Reactions { entries: Vec::new(), more: false });
        }
        let mut entries = self.shared.read_reactions(caller, channel, limit, read).await?;
        let more = entries.len() > limit as usize;
        entries.truncate(limit as usize);
        Ok(Reactions { entries, more })
    }

    /// Reactions that were made in a span, by their own ids, from the end that `order` names: also those to messages
    /// that never were there. Needs [`Rights::HISTORY`]; of the `limit` that it looks at, those to messages that the
    /// caller may not see are left out.
    pub async fn reactions_made(
        &self,
        caller: &Caller,
        channel: &Channel,
        span: Span,
        order: Order,
        limit: u32,
    ) -> Result<Reactions> {
        let read = move |store: &dyn Store, channel: &Channel, hidden: Id, limit: u32| {
            let mut entries = store.reactions_made(channel, span, order, limit)?;
            // One more than asked for, only to know whether there is one.
            let more = entries.len() == limit as usize;
            if more {
                let extra = if order == Order::Ascending { entries.len() - 1 } else { 0 };
                entries.remove(extra);
            }
            entries.retain(|entry| entry.reaction.message > hidden);
            Ok(Reactions { entries, more })
        };
        self.shared.admit_reader(caller, channel, limit)?;
        self.shared.read_reactions(caller, channel, limit, read).await
    }
}

impl Shared {
    fn admit_reader(&self, caller: &Caller, channel: &Channel, limit: u32) -> Result<()> {
        self.admit(caller, &channel.app)?;
        caller.access.demand(&channel.name, Rights::HISTORY)?;
        let most = self.settings.reactions;
        if limit <= most { Ok(()) } else { Err(Error::invalid(format!("limit: at most {most}"))) }
    }

    /// Reads reactions, one more than the limit, of what lies above the hidden part of a channel.
    async fn read_reactions<T: Send + 'static>(
        &self,
        caller: &Caller,
        channel: &Channel,
        limit: u32,
        read: impl FnOnce(&dyn Store, &Channel, Id, u32) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let visible = self.reach(caller, channel, self.now()).visible();
        let channel = channel.clone();
        let read = move |store: &dyn Store| {
            let hidden = hidden_upto(store, &channel, visible)?;
            read(store, &channel, hidden, limit + 1)
        };
        self.reads.run(read).await
    }

    /// The order with what is at hand of the message that the reaction is to.
    fn with_at_hand(&self, order: Ordered, channel: &Channel, reaction: &Reaction) -> Result<Ordered> {
        let as_of = self.live.frontier();
        let found = self.reads.store.at_hand(channel, reaction.message, Some(reaction))?;
        Ok(match found {
            Some(found) => order.at_hand(as_of, &found),
            None => order,
        })
    }

    pub(crate) fn unreact_order(&self, channel: &Channel, entry: &ReactionEntry) -> Ordered {
        let place = self.live.hasher.place(channel);
        let key = Some(self.live.hasher.reaction(place, &entry.reaction));
        let what = What::Unreacted { reaction: entry.id, was: entry.reaction.clone() };
        Ordered { key, ..Ordered::aimed(channel, place, what, Aim::Unreact) }
    }
}

/// The reaction, if it stands. Blocks.
fn standing(store: &dyn Store, channel: &Channel, which: Unreact) -> Result<ReactionEntry> {
    let found = match which {
        Unreact::Id(id) => {
            let only = Span { after: id.previous(), upto: id };
            store.reactions_made(channel, only, Order::Ascending, 1)?.pop()
        }
        Unreact::Same(reaction) => {
            let id = store.reaction(channel, &reaction)?;
            id.map(|id| ReactionEntry { id, reaction: Arc::new(reaction) })
        }
    };
    found.ok_or_else(|| Error::new(ErrorKind::NotFound, "reaction: it does not stand"))
}

fn demand_own(caller: &Caller, channel: &Channel, user: &UserId) -> Result<()> {
    if caller.user.as_ref() == Some(user) || caller.access.allows(&channel.name, Rights::MANAGE) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Forbidden, "reaction: it is another user's"))
}
