//! Decides what happens to messages that are there already: edits, removals, floors, reactions. The look-up has found
//! what the order comes to (`resolve.rs`); here it holds only if nothing that was decided since contradicts it.

use crate::{
    decide::{Numbers, fill},
    order::{Aim, Order, Placed, Request},
    sequencer::Sequencer,
};
use model::{Change, ChannelNumber, Error, ErrorKind, Id, Position, Reaction, Removal, Result, Seq, What, limits};
use std::sync::Arc;

impl Sequencer {
    /// Whether what was looked up for the request does not hold any more, so that it has to be looked up again: a legal
    /// hold came, or messages went that it was to take and that it does not know one by one.
    pub(crate) fn is_overtaken(&self, request: &mut Request) -> bool {
        request.undecided().iter().any(|order| {
            let Change::Channel(change) = &*order.change else { return false };
            let as_of = order.found.as_of;
            let held_since = |order: &Order| {
                let place = self.tools.live.hasher.holds(&change.channel.app);
                order.aim.is_some() && self.known.get(place).is_some_and(|holds| holds.id > as_of)
            };
            match &change.what {
                What::Deleted(removal) | What::Expired(removal) => {
                    held_since(order) || removal.ids.is_empty() && self.removals.overlap(order.place, as_of, removal)
                }
                What::Unedited(_) => held_since(order),
                What::Unreacted { .. } => matches!(order.aim.as_deref(), Some(Aim::EraseReaction)) && held_since(order),
                What::Floored(_) => {
                    let counted = matches!(order.aim.as_deref(), Some(Aim::Delete { .. }));
                    held_since(order) || counted && self.removals.any(order.place, as_of)
                }
                _ => false,
            }
        })
    }

    /// Decides a change of what is there already.
    pub(crate) fn alter(&mut self, order: &mut Order) -> Result<Placed> {
        let head = self.head(order);
        let missing = order.found.nothing || head.number == ChannelNumber::NONE;
        let Change::Channel(change) = &*order.change else { return Ok(Placed::nothing()) };
        match &change.what {
            What::Edited(_) | What::Unedited(_) | What::Reacted(_) | What::Unreacted { .. } if missing => {
                Err(not_there())
            }
            _ if missing => Ok(Placed::nothing()),
            What::Edited(edit) => match self.removals.took(order.place, order.found.as_of, edit.seq) {
                true => Err(not_there()),
                false => Ok(self.happen(order, head.number, head.last.id, 0)),
            },
            What::Unedited(unedit) => match self.removals.took(order.place, order.found.as_of, unedit.seq) {
                true => Err(not_there()),
                false => Ok(self.happen(order, head.number, head.last.id, 0)),
            },
            What::Deleted(_) | What::Expired(_) => Ok(self.remove(order, head.number, head.last.id)),
            What::Floored(floor) => {
                let below = self.removals.floor(order.place, order.found.as_of) >= floor.seq;
                let messages = order.found.messages;
                Ok(if below { Placed::nothing() } else { self.happen(order, head.number, head.last.id, messages) })
            }
            What::Reacted(reaction) => {
                let reaction = reaction.clone();
                self.react(order, &reaction, head.number, head.last.id)
            }
            What::Unreacted { reaction, was } => {
                let (reaction, was) = (*reaction, was.clone());
                self.unreact(order, reaction, &was, head.number, head.last.id)
            }
            What::Published { .. } | What::Unstored(_) | What::Signal(_) | What::Presence(_) => {
                Err(Error::internal("it happens to no message that is there"))
            }
        }
    }

    /// Takes what is left of a removal after those that were decided since it was looked up.
    fn remove(&mut self, order: &mut Order, number: ChannelNumber, previous: Id) -> Placed {
        let (place, as_of) = (order.place, order.found.as_of);
        // A clock that was set back meanwhile: what was due is not due any more.
        if let Some(Aim::Expire { at, .. }) = order.aim.as_deref()
            && self.peek().ticks() < at.ticks()
        {
            return Placed::nothing();
        }
        let change = Arc::get_mut(&mut order.change).expect("nobody else holds a change before it has an id");
        let (Change::Channel(change), removals) = (change, &self.removals) else { return Placed::nothing() };
        let (What::Deleted(removal) | What::Expired(removal)) = &mut change.what else { return Placed::nothing() };
        if removals.overlap(place, as_of, removal) {
            *removal = Arc::new(without(removal, |seq| removals.took(place, as_of, seq)));
        }
        match removal.count() {
            0 => Placed::nothing(),
            messages => self.happen(order, number, previous, messages),
        }
    }

    fn react(&mut self, order: &mut Order, reaction: &Reaction, number: ChannelNumber, previous: Id) -> Result<Placed> {
        let Some(place) = order.key else { return Err(Error::internal("a reaction without its place")) };
        let known = self.known.get(place).map(|entry| (entry.first == 1).then_some(entry.id));
        if known.unwrap_or(order.found.reaction).is_some() {
            return Err(Error::new(ErrorKind::Conflict, "reaction: the same one stands already"));
        }
        let of_message = self.tools.live.hasher.reactions(order.place, reaction.message);
        let reactions = self.known.get(of_message).map_or(order.found.reactions, |entry| entry.first);
        if reactions >= limits::REACTIONS_PER_MESSAGE as u64 {
            return Err(Error::new(ErrorKind::TooLarge, "reaction: the message has as many as it may have"));
        }
        let placed = self.happen(order, number, previous, 0);
        self.remember(place, 1, 0, placed.id);
        self.remember(of_message, reactions + 1, 0, placed.id);
        Ok(placed)
    }

    fn unreact(
        &mut self,
        order: &mut Order,
        reaction: Id,
        was: &Reaction,
        number: ChannelNumber,
        previous: Id,
    ) -> Result<Placed> {
        let Some(place) = order.key else { return Err(Error::internal("a reaction without its place")) };
        let known = self.known.get(place).map(|entry| (entry.first == 1).then_some(entry.id));
        if known.unwrap_or(order.found.reaction) != Some(reaction) {
            return Err(Error::new(ErrorKind::NotFound, "reaction: it does not stand"));
        }
        let of_message = self.tools.live.hasher.reactions(order.place, was.message);
        let reactions = self.known.get(of_message).map_or(order.found.reactions, |entry| entry.first);
        let placed = self.happen(order, number, previous, 0);
        self.remember(place, 0, 0, placed.id);
        self.remember(of_message, reactions.saturating_sub(1), 0, placed.id);
        Ok(placed)
    }

    /// The change happens.
    fn happen(&mut self, order: &mut Order, number: ChannelNumber, previous: Id, messages: u64) -> Placed {
        let id = self.draw();
        fill(&mut order.change, Numbers { id, seq: Seq::NONE, number, first: false, expires_at: None });
        self.removals.note(order.place, &order.change);
        self.include(order, id, previous);
        Placed { messages, ..Placed::at(id) }
    }
}

/// A removal whose messages are known one by one, without those that are gone.
fn without(removal: &Removal, gone: impl Fn(Seq) -> bool) -> Removal {
    let seqs = removal.seqs.iter().flat_map(|range| range.first.0..=range.last.0).map(Seq);
    let positions = seqs.zip(&removal.ids).map(|(seq, id)| Position { id: *id, seq });
    let left: Vec<Position> = positions.filter(|position| !gone(position.seq)).collect();
    Removal::of(&left, removal.by.clone())
}

fn not_there() -> Error {
    Error::new(ErrorKind::NotFound, "message: it is not there")
}
