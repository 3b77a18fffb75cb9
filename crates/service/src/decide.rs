//! Decides one change: whether it happens at all, and its id, seq and number. Everything is found in what the
//! sequencer remembers or in what was looked up for the order, in this order: the batch that is being made lies in the
//! former.

use crate::{
    known::{Entry, Known},
    order::{Order, Placed},
    ring::Recent,
    sequencer::Sequencer,
};
use model::{
    Change, ChannelNumber, Error, ErrorKind, Head, Id, IdempotencyKey, Keyed, Message, Position, RecordKind, Result,
    Seq, TICKS_PER_SECOND, What,
};
use std::{sync::Arc, time::Duration};

const TICKS_PER_DAY: u64 = 86_400 * TICKS_PER_SECOND;

/// What a change gets from the sequencer.
pub(crate) struct Numbers {
    pub id: Id,
    pub seq: Seq,
    pub number: ChannelNumber,
    pub first: bool,
    pub expires_at: Option<Id>,
}

impl Sequencer {
    /// Numbers a change and takes it into the batch; or says why it does not happen.
    pub(crate) fn decide(&mut self, order: &mut Order) -> Result<Placed> {
        match &*order.change {
            Change::Channel(change) => match &change.what {
                What::Published { key, .. } => {
                    let key = *key;
                    self.publish(order, key)
                }
                What::Unstored(_) | What::Signal(_) | What::Presence(_) => Ok(self.pass_on(order)),
                What::Edited(_) | What::Reacted(_) => {
                    self.has_room()?;
                    self.alter(order)
                }
                What::Unedited(_) | What::Deleted(_) | What::Expired(_) | What::Floored(_) | What::Unreacted { .. } => {
                    self.alter(order)
                }
            },
            Change::Record(change) => {
                let exists = change.value.is_some();
                // Other records are few, and rights must be taken away on a full disk too.
                if change.key.kind == RecordKind::ReadMark && exists {
                    self.has_room()?;
                }
                let holds = (change.key.kind == RecordKind::Hold).then(|| change.key.app.clone());
                let placed = self.put_record(order, exists)?;
                if let Some(app) = holds {
                    // Who looked up what may be removed before this asks again.
                    let place = self.tools.live.hasher.holds(&app);
                    self.remember(place, 0, 0, placed.id);
                }
                Ok(placed)
            }
        }
    }

    fn publish(&mut self, order: &mut Order, key: Option<IdempotencyKey>) -> Result<Placed> {
        if let Some(key) = key
            && let Some(earlier) = self.keyed(order)
        {
            return match earlier.payload_hash == key.payload_hash {
                true => Ok(Placed { seq: earlier.seq, repeated: true, ..Placed::at(earlier.id) }),
                false => Err(Error::new(ErrorKind::Conflict, "key: it was used with another message")),
            };
        }
        self.has_room()?;
        let head = self.head(order);
        let first = head.number == ChannelNumber::NONE;
        if first {
            self.last_number.0 += 1;
        }
        let number = if first { self.last_number } else { head.number };
        let (id, seq) = (self.draw(), head.last.seq.next());
        let expires_at = self.expiry(order.ttl);
        fill(&mut order.change, Numbers { id, seq, number, first, expires_at });
        self.remember(order.place, number.0, seq.0.cast_unsigned(), id);
        if let (Some(place), Some(key)) = (order.key, key) {
            self.remember(place, key.payload_hash, seq.0.cast_unsigned(), id);
        }
        self.include(order, id, head.last.id);
        Ok(Placed { seq, ..Placed::at(id) })
    }

    /// What makes the store larger is refused one by one: what comes with it in the batch goes on.
    fn has_room(&self) -> Result<()> {
        self.making.room.as_ref().map_err(Error::again).copied()
    }

    /// How far the order's channel goes.
    pub(crate) fn head(&self, order: &Order) -> Head {
        self.known.get(order.place).map(as_head).or(order.found.head).unwrap_or_default()
    }

    /// A live-only change gets an id and nothing else.
    fn pass_on(&mut self, order: &mut Order) -> Placed {
        let head = self.known.get(order.place).map(as_head).unwrap_or_default();
        let id = self.draw();
        let expires_at = self.expiry(order.ttl);
        fill(&mut order.change, Numbers { id, seq: Seq::NONE, number: head.number, first: false, expires_at });
        self.include(order, id, head.last.id);
        Placed::at(id)
    }

    fn put_record(&mut self, order: &mut Order, exists: bool) -> Result<Placed> {
        let known = self.known.get(order.place).map(as_version);
        let version = known.or(order.found.version).unwrap_or(Id::MIN);
        if order.expected.is_some_and(|expected| expected != version) {
            return Err(Error::new(ErrorKind::Conflict, "record: it has another version"));
        }
        let id = self.draw();
        let numbers = Numbers { id, seq: Seq::NONE, number: ChannelNumber::NONE, first: false, expires_at: None };
        fill(&mut order.change, numbers);
        self.remember(order.place, u64::from(exists), 0, id);
        self.include(order, id, version);
        Ok(Placed::at(id))
    }

    /// What was published under the order's key, today or yesterday by the days of ids.
    fn keyed(&self, order: &Order) -> Option<Keyed> {
        let known = order.key.and_then(|place| self.known.get(place)).map(as_keyed);
        let keyed = known.or(order.found.keyed.flatten())?;
        let today = self.making.now_ticks.max(self.last_tick + 1) / TICKS_PER_DAY;
        (keyed.id.ticks() / TICKS_PER_DAY + 1 >= today).then_some(keyed)
    }

    /// Lives are counted by the clock, not by the id: ids may run ahead of it after it was set back.
    fn expiry(&self, ttl: Option<Duration>) -> Option<Id> {
        let ticks = u64::try_from(ttl?.as_nanos() / 100).unwrap_or(u64::MAX);
        Some(Id::new(self.making.now_ticks.saturating_add(ticks), 0))
    }

    pub(crate) fn remember(&mut self, place: u128, first: u64, second: u64, id: Id) {
        let before = self.known.get(place);
        self.making.undo.push((place, before));
        self.known.put(Entry::new(place, first, second, id), self.evictable());
    }

    pub(crate) fn include(&mut self, order: &Order, id: Id, previous: Id) {
        let recent = Recent { id, place: order.place, change: order.change.clone() };
        let previous = self.tools.live.fanout.is_some().then_some(previous);
        self.making.include(recent, previous);
    }
}

/// Notes in an order what is remembered of the places that it depends on; whether that is all of them.
pub(crate) fn recall(known: &Known, order: &mut Order) -> bool {
    order.found = Default::default();
    if order.aim.is_some() {
        return false;
    }
    match &*order.change {
        Change::Channel(change) if change.what.is_stored() => {
            order.found.head = known.get(order.place).map(as_head);
            order.found.keyed = order.key.and_then(|place| known.get(place)).map(|entry| Some(as_keyed(entry)));
            order.found.head.is_some() && (order.key.is_none() || order.found.keyed.is_some())
        }
        Change::Channel(_) => true,
        Change::Record(_) => {
            order.found.version = known.get(order.place).map(as_version);
            order.found.version.is_some()
        }
    }
}

fn as_head(entry: Entry) -> Head {
    let last = Position { id: entry.id, seq: Seq(entry.second.cast_signed()) };
    Head { number: ChannelNumber(entry.first), last, floor: Position::default() }
}

fn as_version(entry: Entry) -> Id {
    if entry.first == 0 { Id::MIN } else { entry.id }
}

fn as_keyed(entry: Entry) -> Keyed {
    Keyed { id: entry.id, seq: Seq(entry.second.cast_signed()), payload_hash: entry.first }
}

pub(crate) fn fill(change: &mut Arc<Change>, numbers: Numbers) {
    match Arc::get_mut(change).expect("nobody else holds a change before it has an id") {
        Change::Channel(change) => {
            change.id = numbers.id;
            change.number = numbers.number;
            match &mut change.what {
                What::Published { message, first, .. } => {
                    *first = numbers.first;
                    fill_message(message, &numbers);
                }
                What::Unstored(message) | What::Signal(message) => fill_message(message, &numbers),
                What::Edited(_)
                | What::Unedited(_)
                | What::Deleted(_)
                | What::Expired(_)
                | What::Floored(_)
                | What::Reacted(_)
                | What::Unreacted { .. }
                | What::Presence(_) => {}
            }
        }
        Change::Record(change) => change.id = numbers.id,
    }
}

fn fill_message(message: &mut Arc<Message>, numbers: &Numbers) {
    let message = Arc::get_mut(message).expect("nobody else holds a message before it has an id");
    message.id = numbers.id;
    message.seq = numbers.seq;
    message.expires_at = numbers.expires_at;
}
