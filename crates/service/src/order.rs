//! What the sequencer is asked to do: changes that lack only what it alone can give them.

use crate::{Published, hash::Place};
use model::{
    AtHand, Change, Channel, ChannelChange, ChannelNumber, Error, Head, Id, Keyed, Position, Result, Seq, Target,
    UserId, What,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// One change to be put in order. Everything that can be computed before was: the sequencer fills in id, seq and
/// number in place.
pub(crate) struct Order {
    /// The change; nobody else holds it yet.
    pub change: Arc<Change>,
    /// The hash of its channel or record.
    pub place: Place,
    /// The hash of its channel and idempotency key, or of its channel and reaction.
    pub key: Option<Place>,
    /// How long its message may be shown.
    pub ttl: Option<Duration>,
    /// The version that the record must have.
    pub expected: Option<Id>,
    /// What has to be found in the channel first: for what happens to messages that are there already.
    pub aim: Option<Box<Aim>>,
    /// What the store said, if it had to be asked.
    pub found: Found,
}

/// What happens to messages that are there already. The look-up finds what it comes to, and writes that into the change.
pub(crate) enum Aim {
    /// The message that is edited must be there.
    Edit,
    /// The edits go that are there of those that are taken back.
    Unedit,
    /// What is there of the target goes.
    Delete { target: Target, by: Option<UserId> },
    /// These go that are there, due or not: a clock that runs ahead keeps nothing back.
    EraseMessages { ids: Vec<Id>, by: UserId },
    /// These go, whose time is over at `at`.
    Expire { ids: Vec<Id>, at: Id },
    /// Everything up to here goes.
    Floor(Position),
    /// The same reaction must not stand yet.
    React,
    /// This reaction must stand.
    Unreact,
    /// The same, for an erasure: no legal hold may lie on it.
    EraseReaction,
}

/// What was looked up for an order.
#[derive(Clone, Copy, Default)]
pub(crate) struct Found {
    pub head: Option<Head>,
    pub keyed: Option<Option<Keyed>>,
    pub version: Option<Id>,
    /// Everything up to this id was there to be found.
    pub as_of: Id,
    /// There is nothing that the change could happen to.
    pub nothing: bool,
    /// How many messages the change takes.
    pub messages: u64,
    /// The same reaction, if it stands.
    pub reaction: Option<Id>,
    /// How many reactions its message has.
    pub reactions: u64,
}

/// What became of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Placed {
    /// The id of its change; of the earlier one if it is a repetition, [`Id::MIN`] if there was nothing to do.
    pub id: Id,
    /// The seq of its message.
    pub seq: Seq,
    /// Its key was used before.
    pub repeated: bool,
    /// How many messages it took.
    pub messages: u64,
}

impl Placed {
    pub fn at(id: Id) -> Placed {
        Placed { id, seq: Seq::NONE, repeated: false, messages: 0 }
    }

    pub fn nothing() -> Placed {
        Placed::at(Id::MIN)
    }
}

impl From<Placed> for Published {
    fn from(Placed { id, seq, repeated, messages: _ }: Placed) -> Published {
        Published { id, seq, repeated }
    }
}

impl Order {
    /// An order of something that lacks nothing but its numbers.
    pub fn new(change: Arc<Change>, place: Place) -> Order {
        Order { change, place, key: None, ttl: None, expected: None, aim: None, found: Found::default() }
    }

    /// An order of something that happens to messages that are there already.
    pub fn aimed(channel: &Channel, place: Place, what: What, aim: Aim) -> Order {
        Order { aim: Some(Box::new(aim)), ..Order::new(unnumbered(channel, what), place) }
    }

    /// The same, about something of which this is at hand: unless too much happens before it is decided, nothing has to be
    /// looked up for it.
    pub fn at_hand(self, as_of: Id, at_hand: &AtHand) -> Order {
        let AtHand { number, last, reaction, reactions, .. } = *at_hand;
        let head = Some(Head { number, last, floor: Position::default() });
        Order { found: Found { head, as_of, reaction, reactions, ..Found::default() }, ..self }
    }

    /// Whether everything is known that it needs, if what changed after `since` is remembered.
    pub fn is_at_hand(&self, since: Id) -> bool {
        let can_be = matches!(self.aim.as_deref(), Some(Aim::Edit | Aim::React | Aim::Unreact));
        can_be && self.found.head.is_some() && self.found.as_of >= since
    }

    fn aim_cost(&self) -> usize {
        match self.aim.as_deref() {
            Some(
                Aim::Delete { target: Target::Ids(ids), .. } | Aim::EraseMessages { ids, .. } | Aim::Expire { ids, .. },
            ) => size_of_val(&ids[..]),
            _ => 0,
        }
    }
}

/// A change of a channel without its numbers.
pub(crate) fn unnumbered(channel: &Channel, what: What) -> Arc<Change> {
    let channel = channel.clone();
    Arc::new(Change::Channel(ChannelChange { id: Id::MIN, channel, number: ChannelNumber::NONE, what }))
}

/// Orders that came in one call: decided one after the other, answered together.
pub(crate) struct Request {
    pub orders: Vec<Order>,
    /// What became of the first ones.
    pub outcomes: Vec<Result<Placed>>,
    /// How many of the outcomes were decided before the batch that is being made.
    pub settled: usize,
    /// What it takes in the queue.
    pub bytes: usize,
    /// The look-up that it came back from.
    pub looked_up: Option<LookUp>,
    /// How often it was looked up.
    pub rounds: u32,
    pub answer: oneshot::Sender<Vec<Result<Placed>>>,
}

/// When something was asked of the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LookUp {
    /// Everything up to this id was there to be found.
    pub as_of: Id,
    /// How often the sequencer had forgotten everything by then: what was found before it forgot is void.
    pub era: u64,
}

impl Request {
    pub fn new(orders: Vec<Order>, answer: oneshot::Sender<Vec<Result<Placed>>>) -> Request {
        let bytes = orders.iter().map(|order| size_of::<Order>() + order.change.cost() + order.aim_cost()).sum();
        let outcomes = Vec::with_capacity(orders.len());
        Request { orders, outcomes, settled: 0, bytes, looked_up: None, rounds: 0, answer }
    }

    /// The orders that were not decided yet.
    pub fn undecided(&mut self) -> &mut [Order] {
        &mut self.orders[self.outcomes.len()..]
    }

    /// Whether it removes messages: its look-up may be long.
    pub fn removes(&self) -> bool {
        let removes = |order: &Order| {
            matches!(
                order.aim.as_deref(),
                Some(Aim::Delete { .. } | Aim::EraseMessages { .. } | Aim::Expire { .. } | Aim::Floor(_))
            )
        };
        self.orders.iter().any(removes)
    }

    pub fn is_decided(&self) -> bool {
        self.outcomes.len() == self.orders.len()
    }

    /// Fills the outcomes that are missing with this failure.
    pub fn fail(&mut self, error: &Error) {
        let missing = self.orders.len() - self.outcomes.len();
        self.outcomes.extend((0..missing).map(|_| Err(error.again())));
    }

    /// The same, and what was decided for the batch that is being made fails too.
    pub fn fail_batch(&mut self, error: &Error) {
        self.outcomes.truncate(self.settled);
        self.fail(error);
    }
}
