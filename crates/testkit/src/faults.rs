//! How a [`crate::MemoryStore`] fails on purpose, and the gates by which a test stops it in the middle of a call.

use model::{Error, Id, Result};
use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};

/// Longer than anything a test waits for honestly.
const PATIENCE: Duration = Duration::from_secs(30);

/// The knobs of a [`crate::MemoryStore`]. All of them may be turned from any thread at any time.
#[derive(Default)]
pub struct Faults {
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    outcomes: VecDeque<Outcome>,
    before_apply: Option<Arc<Latch>>,
    after_apply: Option<Arc<Latch>>,
    before_read: Option<Arc<Latch>>,
    settles_to_fail: u32,
    reads_to_fail: u32,
    nothing_in_memory: bool,
    full: bool,
    feed_starts_after: Id,
    changes_start_after: Id,
    recent_after: Id,
}

/// How an `apply` ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// As it should.
    Happens,
    /// Nothing is written, and the answer says so.
    Refused,
    /// The batch is there, and the answer does not know.
    UnknownWritten,
    /// The writing failed, and the answer does not know: the batch happens only if `settle` makes it.
    UnknownLost,
}

impl Faults {
    /// The next new and valid batches end like this, one after the other; those that follow happen.
    pub fn next_applies(&self, outcomes: impl IntoIterator<Item = Outcome>) {
        self.plan().outcomes.extend(outcomes);
    }

    /// The next `apply` stops before anything of it is written, until the gate is opened.
    pub fn hold_before_apply(&self) -> Gate {
        hold(&mut self.plan().before_apply)
    }

    /// The next `apply` stops when its batch is written and visible and its answer not yet given.
    pub fn hold_after_apply(&self) -> Gate {
        hold(&mut self.plan().after_apply)
    }

    /// Every read that comes from now on waits at its beginning until the gate is opened: slow reads.
    pub fn hold_reads(&self) -> Gate {
        hold(&mut self.plan().before_read)
    }

    /// The next `n` calls of `settle` fail and leave everything as it was.
    pub fn fail_settles(&self, n: u32) {
        self.plan().settles_to_fail = n;
    }

    /// The next `n` reads of any sort fail as unavailable.
    pub fn fail_reads(&self, n: u32) {
        self.plan().reads_to_fail = n;
    }

    /// Whether reads with `Effort::Memory` find nothing.
    pub fn empty_memory(&self, empty: bool) {
        self.plan().nothing_in_memory = empty;
    }

    /// Whether the device is full.
    pub fn set_full(&self, full: bool) {
        self.plan().full = full;
    }

    /// The feed has lost everything up to and with this id, as after its retention.
    pub fn forget_feed(&self, upto: Id) {
        self.plan().feed_starts_after = upto;
    }

    /// The change feeds of all channels have lost everything up to and with this id, as after their retention.
    pub fn forget_changes(&self, upto: Id) {
        self.plan().changes_start_after = upto;
    }

    /// `recent` holds only what comes after this id, as after a restart behind a checkpoint.
    pub fn forget_recent(&self, upto: Id) {
        self.plan().recent_after = upto;
    }

    pub(crate) fn before_apply(&self) {
        let latch = self.plan().before_apply.take();
        pass(latch);
    }

    pub(crate) fn next_outcome(&self) -> Outcome {
        self.plan().outcomes.pop_front().unwrap_or(Outcome::Happens)
    }

    pub(crate) fn after_apply(&self) {
        let latch = self.plan().after_apply.take();
        pass(latch);
    }

    pub(crate) fn room(&self) -> Result<()> {
        match self.plan().full {
            true => Err(Error::unavailable("planned: the disk is full")),
            false => Ok(()),
        }
    }

    pub(crate) fn before_settle(&self) -> Result<()> {
        fail_one(&mut self.plan().settles_to_fail, "settle fails on purpose")
    }

    pub(crate) fn before_read(&self) -> Result<()> {
        let latch = self.plan().before_read.clone();
        pass(latch);
        fail_one(&mut self.plan().reads_to_fail, "reading fails on purpose")
    }

    pub(crate) fn nothing_in_memory(&self) -> bool {
        self.plan().nothing_in_memory
    }

    pub(crate) fn feed_starts_after(&self) -> Id {
        self.plan().feed_starts_after
    }

    pub(crate) fn changes_start_after(&self) -> Id {
        self.plan().changes_start_after
    }

    pub(crate) fn recent_after(&self) -> Id {
        self.plan().recent_after
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().expect("no panic happens under this lock")
    }
}

/// Where a call waits. Opening or dropping it lets all pass.
pub struct Gate(Arc<Latch>);

impl Gate {
    /// Waits until a call stands at the gate.
    ///
    /// # Panics
    ///
    /// After 30 seconds without one.
    pub fn wait_until_reached(&self) {
        self.0.wait("a call that reaches the gate", |state| state.reached);
    }

    /// Whether a call has reached the gate.
    pub fn is_reached(&self) -> bool {
        self.0.lock().reached
    }

    /// Lets everything pass, now and later.
    pub fn open(self) {}
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.0.lock().open = true;
        self.0.changed.notify_all();
    }
}

#[derive(Default)]
struct Latch {
    state: Mutex<LatchState>,
    changed: Condvar,
}

#[derive(Default)]
struct LatchState {
    reached: bool,
    open: bool,
}

impl Latch {
    fn lock(&self) -> MutexGuard<'_, LatchState> {
        self.state.lock().expect("no panic happens under this lock")
    }

    fn wait(&self, what: &str, done: impl Fn(&LatchState) -> bool) {
        let (state, timeout) = self
            .changed
            .wait_timeout_while(self.lock(), PATIENCE, |state| !done(state))
            .expect("no panic happens under this lock");
        drop(state);
        assert!(!timeout.timed_out(), "waited {PATIENCE:?} for {what}");
    }
}

fn hold(place: &mut Option<Arc<Latch>>) -> Gate {
    let latch = Arc::new(Latch::default());
    *place = Some(latch.clone());
    Gate(latch)
}

fn pass(latch: Option<Arc<Latch>>) {
    let Some(latch) = latch else { return };
    latch.lock().reached = true;
    latch.changed.notify_all();
    latch.wait("the gate to be opened", |state| state.open);
}

fn fail_one(left: &mut u32, text: &str) -> Result<()> {
    if *left == 0 {
        return Ok(());
    }
    *left -= 1;
    Err(Error::unavailable(text))
}
