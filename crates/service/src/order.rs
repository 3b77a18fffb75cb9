//! What the sequencer is asked to do: changes that lack only what it alone can give them.

use crate::{Published, hash::Place};
use model::{Change, Error, Head, Id, Keyed, Result};
use std::{sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// One change to be put in order. Everything that can be computed before was: the sequencer fills in id, seq and
/// number in place.
pub(crate) struct Order {
    /// The change; nobody else holds it yet.
    pub change: Arc<Change>,
    /// The hash of its channel or record.
    pub place: Place,
    /// The hash of its channel and idempotency key.
    pub key: Option<Place>,
    /// How long its message may be shown.
    pub ttl: Option<Duration>,
    /// The version that the record must have.
    pub expected: Option<Id>,
    /// What the store said, if it had to be asked.
    pub found: Found,
}

/// What was looked up for an order.
#[derive(Clone, Copy, Default)]
pub(crate) struct Found {
    pub head: Option<Head>,
    pub keyed: Option<Option<Keyed>>,
    pub version: Option<Id>,
}

/// Orders that came in one call: decided one after the other, answered together.
pub(crate) struct Request {
    pub orders: Vec<Order>,
    /// What became of the first ones.
    pub outcomes: Vec<Result<Published>>,
    /// How many of the outcomes were decided before the batch that is being made.
    pub settled: usize,
    /// What it takes in the queue.
    pub bytes: usize,
    /// The look-up that it came back from.
    pub looked_up: Option<LookUp>,
    pub answer: oneshot::Sender<Vec<Result<Published>>>,
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
    pub fn new(orders: Vec<Order>, answer: oneshot::Sender<Vec<Result<Published>>>) -> Request {
        let bytes = orders.iter().map(|order| size_of::<Order>() + order.change.cost()).sum();
        let outcomes = Vec::with_capacity(orders.len());
        Request { orders, outcomes, settled: 0, bytes, looked_up: None, answer }
    }

    /// The orders that were not decided yet.
    pub fn undecided(&mut self) -> &mut [Order] {
        &mut self.orders[self.outcomes.len()..]
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
