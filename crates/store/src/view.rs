//! A view: active tail, frozen tail and one snapshot of the table, published as one value. Whoever reads takes one view
//! and looks nowhere else, so it never sees half a batch or half a flush (`store.md` §2).

use crate::{
    device::{Rows, Snapshot, Space},
    facts::FactCache,
    lists::indexed::Indexed,
    meta::Mark,
    tail::{Part, Tail},
};
use arc_swap::ArcSwap;
use bytes::Bytes;
use model::{Id, Result};
use std::{
    ops::Range,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

/// Everything that was stored, at one moment.
#[derive(Clone)]
pub(crate) struct View {
    pub active: Arc<Tail>,
    /// The last batch of the active tail that is to be seen.
    pub active_upto: u64,
    pub frozen: Option<Frozen>,
    pub snapshot: Arc<dyn Snapshot>,
    /// What was read of the snapshot about channels.
    pub facts: Arc<FactCache>,
    /// Which apps are listed by author and recipient.
    pub lists: Arc<Indexed>,
    /// Blocks that were written by a flush above this batch are not to be seen: the tails have their messages.
    pub checkpoint: u64,
    /// Whether it was decided what is there; before that nothing is answered.
    pub settled: bool,
    /// Where the feed in the table begins, and its days there.
    pub feed_starts_after: Id,
    pub feed_days: Arc<[u32]>,
    /// Where the change feeds of channels begin in the table, and their weeks there.
    pub changes_start_after: Id,
    pub changes_weeks: Arc<[u32]>,
}

/// A tail that takes no more batches and is being flushed.
#[derive(Clone)]
pub(crate) struct Frozen {
    pub tail: Arc<Tail>,
    /// How far it goes: the next checkpoint.
    pub mark: Mark,
}

impl View {
    /// The table alone, without what the tails have.
    pub fn of_table(&self) -> View {
        let after = self.parts().next().map_or(Id::MIN, |part| part.after());
        let active = Arc::new(Tail::new(self.checkpoint, after));
        View { active, active_upto: self.checkpoint, frozen: None, ..self.clone() }
    }

    /// The tails, the older one first.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = Part<'_>> {
        let frozen = self.frozen.as_ref().map(|frozen| frozen.tail.upto(frozen.mark.batch));
        frozen.into_iter().chain(std::iter::once(self.active.upto(self.active_upto)))
    }

    /// The rows of the snapshot in a range, which may be empty.
    pub fn rows(&self, space: Space, keys: Range<Bytes>, reverse: bool) -> Rows<'_> {
        match keys.start < keys.end {
            true => self.snapshot.range(space, keys, reverse),
            false => Box::new(std::iter::empty()),
        }
    }

    pub fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        self.snapshot.get(space, key)
    }
}

/// The current view, and what those wait for who change it.
pub(crate) struct Views {
    current: ArcSwap<View>,
    state: Mutex<FlushState>,
    changed: Condvar,
    /// Snapshots that were replaced and may still be read.
    older: Mutex<Vec<Weak<dyn Snapshot>>>,
}

/// What committer and flush tell each other.
#[derive(Default)]
pub(crate) struct FlushState {
    pub stopping: bool,
    /// Flushes that failed, in all.
    pub failures: u64,
    pub last_failure: Option<String>,
}

impl Views {
    pub fn new(view: View) -> Views {
        Views {
            current: ArcSwap::from_pointee(view),
            state: Mutex::default(),
            changed: Condvar::new(),
            older: Mutex::default(),
        }
    }

    /// The newest view.
    pub fn load(&self) -> Arc<View> {
        self.current.load_full()
    }

    /// Replaces the view. The writers (committer and flush) take turns; readers never wait.
    pub fn update(&self, change: impl FnOnce(&mut View)) {
        let state = self.lock();
        let mut view = View::clone(&self.current.load());
        let was_frozen = view.frozen.is_some();
        let before = Arc::downgrade(&view.snapshot);
        change(&mut view);
        let is_renewed = !before.ptr_eq(&Arc::downgrade(&view.snapshot));
        if is_renewed {
            let mut older = self.older.lock().unwrap_or_else(PoisonError::into_inner);
            older.retain(|snapshot| snapshot.strong_count() > 0);
            older.push(before);
        }
        let is_frozen = view.frozen.is_some();
        self.current.store(Arc::new(view));
        drop(state);
        if was_frozen != is_frozen || is_renewed {
            self.changed.notify_all();
        }
    }

    /// Whether somebody still reads from a snapshot that was replaced.
    pub fn has_older_snapshots(&self) -> bool {
        let older = self.older.lock().unwrap_or_else(PoisonError::into_inner);
        older.iter().any(|snapshot| snapshot.strong_count() > 0)
    }

    pub fn lock(&self) -> MutexGuard<'_, FlushState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes everyone who waits.
    pub fn tell(&self, change: impl FnOnce(&mut FlushState)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until `done` says so, at most `patience` (`None`: for ever); whether it did.
    pub fn wait_until(&self, patience: Option<Duration>, done: impl Fn(&FlushState, &View) -> bool) -> bool {
        let until = patience.map(|patience| Instant::now() + patience);
        let mut state = self.lock();
        while !done(&state, &self.current.load()) {
            let Some(until) = until else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}
