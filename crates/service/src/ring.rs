//! The recent ring: all recent changes of the node in the order of their ids, live-only ones too. A cursor inside is
//! served from here without a store. Bounded by bytes and by age.

use crate::hash::Place;
use model::{Change, Id};
use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, RwLock},
};

/// Entries looked at under one hold of the lock, so that a reader never stops the sequencer for long.
const SCAN: usize = 1_024;

pub(crate) struct Ring {
    state: RwLock<State>,
    most_bytes: usize,
    most_age_ticks: u64,
}

/// A change on its way to subscribers.
#[derive(Clone, Debug)]
pub(crate) struct Recent {
    pub id: Id,
    /// The hash of its channel or record.
    pub place: Place,
    pub change: Arc<Change>,
}

struct State {
    entries: VecDeque<(u64, Recent)>,
    bytes: usize,
    /// Everything above this id is in the ring.
    begins_after: Id,
}

/// What one look into the ring showed.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Scan {
    /// Looked through up to here, and there is more.
    Upto(Id),
    /// Looked through to the end, which is here.
    End(Id),
    /// The position lies before the ring, which holds what comes after this id.
    Before(Id),
}

impl Ring {
    pub fn new(most_bytes: usize, most_age_ticks: u64, begins_after: Id) -> Ring {
        let state = State { entries: VecDeque::new(), bytes: 0, begins_after };
        Ring { state: RwLock::new(state), most_bytes, most_age_ticks }
    }

    /// Adds changes, by growing id, and lets go of the oldest. `now` is monotonic time.
    pub fn push(&self, changes: &[Recent], now: u64) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for recent in changes {
            state.bytes += cost(recent);
            state.entries.push_back((now, recent.clone()));
        }
        let oldest = now.saturating_sub(self.most_age_ticks);
        while let Some((pushed, recent)) = state.entries.front() {
            if state.bytes <= self.most_bytes && *pushed >= oldest {
                break;
            }
            let (id, freed) = (recent.id, cost(recent));
            state.bytes -= freed;
            state.begins_after = id;
            state.entries.pop_front();
        }
    }

    /// Shows changes above `position` to `visit`, oldest first, until it has had enough, the end or a bounded number.
    pub fn scan(&self, position: Id, mut visit: impl FnMut(&Recent) -> bool) -> Scan {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if position < state.begins_after {
            return Scan::Before(state.begins_after);
        }
        let first = state.entries.partition_point(|(_, recent)| recent.id <= position);
        let mut examined = position;
        for (_, recent) in state.entries.range(first..).take(SCAN) {
            examined = recent.id;
            if !visit(recent) {
                return Scan::Upto(examined);
            }
        }
        if state.entries.len() > first + SCAN { Scan::Upto(examined) } else { Scan::End(examined) }
    }

    pub fn begins_after(&self) -> Id {
        self.state.read().unwrap_or_else(PoisonError::into_inner).begins_after
    }

    /// Changes and bytes in the ring.
    pub fn size(&self) -> (usize, usize) {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        (state.entries.len(), state.bytes)
    }
}

fn cost(recent: &Recent) -> usize {
    size_of::<(u64, Recent)>() + recent.change.cost()
}
