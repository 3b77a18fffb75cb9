//! Reactions: each has a row by its message, one by its own id, and one that says that this user reacted so already.
//! They go with their message: a reaction to a message that was removed is never shown, and the sweep takes its rows.

use crate::{
    alteration::{self, Alteration},
    channels::{NameCache, Named},
    content,
    device::Space,
    facts::Place,
    keys, rows,
    settings::LISTING_MAX,
    tail::Part,
    view::View,
    wire::{Malformed, Parsed, Reader, put_prefixed, put_varint},
};
use bytes::Bytes;
use model::{Channel, Effort, Id, Order, Reaction, ReactionAt, ReactionEntry, Result, Span};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// What tells a user's reaction of a kind and value from all others to the message.
pub(crate) fn unique_hash(reaction: &Reaction) -> u128 {
    let mut bytes = Vec::with_capacity(64);
    content::put_user(&mut bytes, &reaction.user);
    put_prefixed(&mut bytes, reaction.kind.as_bytes());
    put_prefixed(&mut bytes, reaction.value.as_bytes());
    xxh3_128(&bytes)
}

/// The row of a reaction.
pub(crate) fn encode(key: &[u8], reaction: &Reaction) -> Bytes {
    let mut out = Vec::with_capacity(64);
    alteration::put_reaction(reaction, &mut out);
    rows::seal(key, &out)
}

pub(crate) fn decode(key: &[u8], value: &Bytes) -> Parsed<Reaction> {
    let fields = rows::open(key, value)?;
    let mut reader = Reader::new(&fields);
    let reaction = alteration::read_reaction(&mut reader)?;
    reader.end()?;
    Ok(reaction)
}

/// The row that says which reaction stands.
pub(crate) fn encode_unique(key: &[u8], reaction: Id) -> Bytes {
    let mut out = Vec::new();
    put_varint(&mut out, reaction.raw());
    rows::seal(key, &out)
}

fn decode_unique(key: &[u8], value: &Bytes) -> Parsed<Id> {
    Ok(Id::from_raw(Reader::new(&rows::open(key, value)?).varint()?))
}

/// What became of a message that something refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    There,
    Gone,
    /// There was never one with this id.
    Never,
}

/// Asks for the fates of messages; remembers the last one, because reactions come in the order of their messages.
pub(crate) struct Fates<'a> {
    view: &'a View,
    place: &'a Place,
    last: Option<(Id, Fate)>,
}

impl<'a> Fates<'a> {
    pub fn new(view: &'a View, place: &'a Place) -> Fates<'a> {
        Fates { view, place, last: None }
    }

    pub fn of(&mut self, message: Id) -> Result<Fate> {
        if let Some((last, fate)) = self.last
            && last == message
        {
            return Ok(fate);
        }
        let fate = self.find(message)?;
        self.last = Some((message, fate));
        Ok(fate)
    }

    fn find(&self, message: Id) -> Result<Fate> {
        if message <= self.place.floor.id {
            return Ok(Fate::Gone);
        }
        let Some(found) = self.view.slot_at(self.place, message)? else { return Ok(Fate::Never) };
        match self.view.removed(self.place)?.has(found.seq)? {
            true => Ok(Fate::Gone),
            false => Ok(Fate::There),
        }
    }
}

impl View {
    /// See [`model::Store::reactions`].
    pub fn reactions(
        &self,
        channel: &Channel,
        messages: Span,
        after: Option<ReactionAt>,
        limit: u32,
        names: &NameCache,
    ) -> Result<Vec<ReactionEntry>> {
        let Some(place) = self.place(channel, names)? else { return Ok(Vec::new()) };
        let upto = messages.upto;
        let mut at = (messages.after.max(place.floor.id), Id::MAX);
        if let Some(ReactionAt { message, reaction }) = after {
            at = at.max((message, reaction));
        }
        if at >= (upto, Id::MAX) {
            return Ok(Vec::new());
        }
        let limit = limit.min(LISTING_MAX) as usize;
        let range = match place.known.facts.has_reactions {
            true => keys::reactions_behind(place.number, at, upto),
            false => Bytes::new()..Bytes::new(),
        };
        let mut stored = self.rows(Space::Reactions, range, false).peekable();
        let mut fates = Fates::new(self, &place);
        let mut entries: Vec<ReactionEntry> = Vec::new();
        while entries.len() < limit {
            let fresh = self.next_fresh(place.number, at, upto)?;
            let stored_at = match stored.peek() {
                Some(Ok((key, _))) => {
                    Some(keys::last_two(key).map(|(message, id)| (Id::from_raw(message), Id::from_raw(id)))?)
                }
                Some(Err(_)) => return stored.next().map_or(Ok(entries), |row| Err(row.err().unwrap_or_else(lost))),
                None => None,
            };
            let reaction = match (stored_at, fresh) {
                (None, None) => break,
                (Some(stored_at), fresh) if fresh.as_ref().is_none_or(|(fresh_at, _)| stored_at <= *fresh_at) => {
                    let Some(row) = stored.next() else { break };
                    let (key, value) = row?;
                    at = at.max(stored_at);
                    Arc::new(decode(&key, &value)?)
                }
                (_, Some((fresh_at, reaction))) => {
                    at = fresh_at;
                    reaction
                }
                (Some(_), None) => break,
            };
            if !self.is_taken(place.number, at.1) && fates.of(at.0)? == Fate::There {
                entries.push(ReactionEntry { id: at.1, reaction });
            }
        }
        Ok(entries)
    }

    /// The first reaction in the tails after this (message, reaction).
    #[expect(clippy::type_complexity, reason = "a place in an order, and what lies there")]
    fn next_fresh(&self, number: u64, after: (Id, Id), upto: Id) -> Result<Option<((Id, Id), Arc<Reaction>)>> {
        let mut first = None;
        for part in self.parts() {
            let found = part.with_altered(number, |shown| shown.next_reaction(after, upto)).flatten();
            let Some((at, place)) = found else { continue };
            if first.as_ref().is_none_or(|(least, _)| at < *least) {
                first = Some((at, reaction_at(part, place)?));
            }
        }
        Ok(first)
    }

    /// See [`model::Store::lacks_reactions`].
    pub fn lacks_reactions(&self, channel: &Channel, names: &NameCache) -> Result<bool> {
        let number = match self.number_of(channel, names, Effort::Memory)? {
            Named::Number(number) => number,
            Named::Nothing => return Ok(true),
            Named::OnDisk => return Ok(false),
        };
        let Some(known) = self.known_in_memory(number)? else { return Ok(false) };
        Ok(!known.facts.has_reactions && self.next_fresh(number, (Id::MIN, Id::MIN), Id::MAX)?.is_none())
    }

    pub fn is_taken(&self, number: u64, reaction: Id) -> bool {
        self.parts().any(|part| part.with_altered(number, |shown| shown.is_taken(reaction)).unwrap_or(false))
    }

    /// See [`model::Store::reactions_made`].
    pub fn reactions_made(
        &self,
        channel: &Channel,
        span: Span,
        order: Order,
        limit: u32,
        names: &NameCache,
    ) -> Result<Vec<ReactionEntry>> {
        let Some(place) = self.place(channel, names)? else { return Ok(Vec::new()) };
        if span.is_empty() {
            return Ok(Vec::new());
        }
        let limit = limit.min(LISTING_MAX) as usize;
        let mut entries = Vec::new();
        match order {
            Order::Ascending => {
                self.made_in_table(&place, span, order, limit, &mut entries)?;
                for part in self.parts() {
                    self.made_in_tail(part, &place, span, order, limit, &mut entries)?;
                }
            }
            Order::Descending => {
                for part in self.parts().rev() {
                    self.made_in_tail(part, &place, span, order, limit, &mut entries)?;
                }
                self.made_in_table(&place, span, order, limit, &mut entries)?;
                entries.reverse();
            }
        }
        Ok(entries)
    }

    fn made_in_table(
        &self,
        place: &Place,
        span: Span,
        order: Order,
        limit: usize,
        entries: &mut Vec<ReactionEntry>,
    ) -> Result<()> {
        // What the tails have may be in the table already, by a flush that was cut off.
        let stored = self.parts().next().map_or(Id::MIN, |part| part.after());
        let upto = span.upto.min(stored);
        if !place.known.facts.has_reactions || entries.len() >= limit || span.after >= upto {
            return Ok(());
        }
        let mut fates = Fates::new(self, place);
        let range = keys::reactions_made(place.number, span.after, upto);
        for row in self.rows(Space::Reactions, range, order == Order::Descending) {
            let (key, value) = row?;
            let (id, reaction) = (Id::from_raw(keys::last_two(&key)?.1), decode(&key, &value)?);
            if !self.is_taken(place.number, id) && fates.of(reaction.message)? != Fate::Gone {
                entries.push(ReactionEntry { id, reaction: Arc::new(reaction) });
                if entries.len() >= limit {
                    break;
                }
            }
        }
        Ok(())
    }

    fn made_in_tail(
        &self,
        part: Part<'_>,
        place: &Place,
        span: Span,
        order: Order,
        limit: usize,
        entries: &mut Vec<ReactionEntry>,
    ) -> Result<()> {
        let mut fates = Fates::new(self, place);
        let mut span = span;
        while entries.len() < limit && !span.is_empty() {
            let next = part.with_altered(place.number, |shown| {
                let mut made = shown.made(span.after, span.upto);
                if order == Order::Ascending { made.next() } else { made.next_back() }
            });
            let Some((id, at)) = next.flatten() else { break };
            match order {
                Order::Ascending => span.after = id,
                Order::Descending => span.upto = id.previous(),
            }
            let reaction = reaction_at(part, at)?;
            if !self.is_taken(place.number, id) && fates.of(reaction.message)? != Fate::Gone {
                entries.push(ReactionEntry { id, reaction });
            }
        }
        Ok(())
    }

    /// See [`model::Store::reaction`].
    pub fn reaction(&self, channel: &Channel, reaction: &Reaction, names: &NameCache) -> Result<Option<Id>> {
        let Some(place) = self.place(channel, names)? else { return Ok(None) };
        let hash = unique_hash(reaction);
        let mut found = None;
        for part in self.parts().rev() {
            found = part.with_altered(place.number, |shown| shown.unique(reaction.message, hash)).flatten();
            if found.is_some() {
                break;
            }
        }
        let stands = match found {
            Some(in_tail) => in_tail,
            None if place.known.facts.has_reactions => {
                let key = keys::reaction_unique(place.number, reaction.message, hash);
                self.get(Space::Reactions, &key)?.map(|value| decode_unique(&key, &value)).transpose()?
            }
            None => None,
        };
        match stands {
            Some(id) if Fates::new(self, &place).of(reaction.message)? != Fate::Gone => Ok(Some(id)),
            _ => Ok(None),
        }
    }
}

fn reaction_at(part: Part<'_>, place: crate::tail::Place) -> Result<Arc<Reaction>> {
    match part.altered_at(place)?.1.what {
        Alteration::Reacted(reaction) => Ok(reaction),
        _ => Err(Malformed("change: of another kind than a reaction").into()),
    }
}

fn lost() -> model::Error {
    model::Error::internal("a row was there and is not")
}
