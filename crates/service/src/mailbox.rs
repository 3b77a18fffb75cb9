//! What waits for one subscriber: a bounded queue that the hub fills and the subscription empties. When it is full it
//! takes nothing more; the subscription then goes on from the ring or the store.

use crate::ring::Recent;
use model::{Change, Id};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;

pub(crate) struct Mailbox {
    state: Mutex<State>,
    arrived: Notify,
    most_changes: usize,
    most_bytes: usize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(Arc<Change>, u32)>,
    bytes: usize,
    /// Whether the hub may add. Not while the subscriber reads its past, and not any more once it was full.
    open: bool,
    overflowed: bool,
    /// A change that matches two topics comes twice, one right after the other.
    last: Id,
    closed: bool,
}

/// What was in a mailbox.
pub(crate) enum Taken {
    /// These changes, oldest first.
    Changes(Vec<(Arc<Change>, u32)>),
    /// Nothing, and everything up to this id was looked at.
    Nothing(Id),
    /// Nothing, and something was not taken in: go on from the ring.
    Overflowed,
    /// Nothing, and nothing will come.
    Closed,
}

impl Mailbox {
    pub fn new(most_changes: usize, most_bytes: usize) -> Mailbox {
        Mailbox { state: Mutex::default(), arrived: Notify::new(), most_changes, most_bytes }
    }

    /// Takes in a change for a topic.
    pub fn push(&self, recent: &Recent, topic: u32) {
        let mut state = self.state();
        if !state.open || recent.id <= state.last {
            return;
        }
        state.last = recent.id;
        let cost = recent.change.cost();
        let full = state.waiting.len() >= self.most_changes || state.bytes + cost > self.most_bytes;
        if full && !state.waiting.is_empty() {
            state.open = false;
            state.overflowed = true;
            return;
        }
        state.bytes += cost;
        state.waiting.push_back((recent.change.clone(), topic));
        let first = state.waiting.len() == 1;
        drop(state);
        if first {
            self.arrived.notify_one();
        }
    }

    /// Forgets what waits and takes in what comes from now on.
    pub fn open(&self) {
        let mut state = self.state();
        state.waiting.clear();
        state.bytes = 0;
        state.open = true;
        state.overflowed = false;
    }

    /// Ends it: the subscriber gets what waits and then the end.
    pub fn close(&self) {
        self.state().closed = true;
        self.arrived.notify_one();
    }

    /// Has the subscriber look again although nothing came: its time may be over.
    pub fn wake(&self) {
        self.arrived.notify_one();
    }

    pub fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Takes changes, at most so many and about so many bytes. `handed_out` is the hub's mark.
    pub fn take(&self, handed_out: &AtomicU64, most_changes: usize, most_bytes: usize) -> Taken {
        // Read before looking inside: everything up to it was put into the mailboxes before.
        let upto = Id::from_raw(handed_out.load(Ordering::Acquire));
        let mut state = self.state();
        let mut taken = Vec::with_capacity(state.waiting.len().min(most_changes));
        let mut bytes = 0;
        while taken.len() < most_changes && bytes < most_bytes {
            let Some((change, topic)) = state.waiting.pop_front() else { break };
            bytes += change.cost();
            taken.push((change, topic));
        }
        state.bytes -= bytes;
        match taken.is_empty() {
            false => Taken::Changes(taken),
            true if state.overflowed => Taken::Overflowed,
            true if state.closed => Taken::Closed,
            true => Taken::Nothing(upto),
        }
    }

    /// Up to where everything was looked at, if nothing waits.
    pub fn examined(&self, handed_out: &AtomicU64) -> Option<Id> {
        let upto = Id::from_raw(handed_out.load(Ordering::Acquire));
        let state = self.state();
        (state.waiting.is_empty() && state.open).then_some(upto)
    }

    /// Waits until something may have come.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic happens under this lock")
    }
}
