//! A log in memory that fails on purpose. [`LogDisk`] is the disk: it outlives the [`MemoryLog`]s opened on it, so a
//! test drops a store, or cuts its power, and opens a new one on the same disk. What a sync did not confirm is lost
//! or kept by the choice of the test. Sectors and checksums are the business of `store-disk`.

use model::{Error, Result};
use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};
use store::device::{AppendError, Log, LogRecord};

const SECTOR_BYTES: u64 = 512;
const SECTOR_HEADER_BYTES: u64 = 72;
const HOLD_AT_MOST: Duration = Duration::from_secs(60);

/// What the next operation does instead of succeeding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFault {
    /// The next append is refused; nothing is written.
    Refuse,
    /// The next append answers "unknown", and the record is there.
    UnknownKept,
    /// The next append answers "unknown", and the record is not there.
    UnknownLost,
    /// The next rewrite fails; the old log stays.
    RewriteFails,
}

impl LogFault {
    fn is_for_append(self) -> bool {
        self != LogFault::RewriteFails
    }
}

type Hook = Arc<dyn Fn(&LogRecord) + Send + Sync>;

/// The disk below [`MemoryLog`]s: clones are the same disk.
#[derive(Clone, Default)]
pub struct LogDisk {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    records: VecDeque<LogRecord>,
    last: Option<u64>,
    faults: VecDeque<LogFault>,
    damaged: Option<u64>,
    hook: Option<Hook>,
    frozen: bool,
    held: Option<LogRecord>,
    session: u64,
    appends: u64,
    rewrites: u64,
}

impl LogDisk {
    /// An empty disk.
    pub fn new() -> LogDisk {
        LogDisk::default()
    }

    /// Opens the log, as a starting program would. Logs opened before are dead: whatever they do fails.
    pub fn open(&self) -> MemoryLog {
        let mut state = self.lock();
        state.session += 1;
        state.held = None;
        self.shared.changed.notify_all();
        let session = state.session;
        MemoryLog { disk: self.clone(), session, stage: Stage::Opened }
    }

    /// Plans a fault; faults of one kind of operation strike in the order they were planned.
    pub fn plan(&self, fault: LogFault) {
        self.lock().faults.push_back(fault);
    }

    /// Holds every append before its record is durable, until [`LogDisk::thaw`], [`LogDisk::cut_power`] or a new open.
    pub fn freeze(&self) {
        self.lock().frozen = true;
    }

    /// Lets held appends go on.
    pub fn thaw(&self) {
        self.lock().frozen = false;
        self.shared.changed.notify_all();
    }

    /// Waits until an append is held by [`LogDisk::freeze`], at most `patience`; the batch, if one is held.
    pub fn wait_until_held(&self, patience: Duration) -> Option<u64> {
        let state = self.lock();
        let waited = self.shared.changed.wait_timeout_while(state, patience, |state| state.held.is_none());
        let (state, _) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
        state.held.as_ref().map(|record| record.batch)
    }

    /// Cuts the power: every open log is dead, and a held append's record is there afterwards only if `keep_held`.
    pub fn cut_power(&self, keep_held: bool) {
        let mut state = self.lock();
        state.session += 1;
        state.frozen = false;
        if let (Some(record), true) = (state.held.take(), keep_held) {
            state.records.push_back(record);
        }
        self.shared.changed.notify_all();
    }

    /// Calls `hook` in each append before the record is durable, outside every lock: to be slow, to watch, to cut.
    pub fn on_append(&self, hook: impl Fn(&LogRecord) + Send + Sync + 'static) {
        self.lock().hook = Some(Arc::new(hook));
    }

    /// Damages the record of this batch: replay fails there.
    pub fn damage(&self, batch: u64) {
        self.lock().damaged = Some(batch);
    }

    /// What is durable now.
    pub fn records(&self) -> Vec<LogRecord> {
        self.lock().records.iter().cloned().collect()
    }

    /// How many appends and rewrites succeeded.
    pub fn counts(&self) -> (u64, u64) {
        let state = self.lock();
        (state.appends, state.rewrites)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// One opening of a [`LogDisk`].
pub struct MemoryLog {
    disk: LogDisk,
    session: u64,
    stage: Stage,
}

/// Where a log is in its life: `replay`, then `rewrite`, then appends until one is unknown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Opened,
    Replayed,
    Ready,
    Unknown,
}

impl Log for MemoryLog {
    fn append(&mut self, record: &LogRecord) -> Result<(), AppendError> {
        let fault = self.begin_append(record).map_err(AppendError::Refused)?;
        let outcome = self.write(record, fault);
        if matches!(outcome, Err(AppendError::Unknown(_))) {
            self.stage = Stage::Unknown;
        }
        outcome
    }

    fn replay(&mut self, after: u64, visit: &mut dyn FnMut(LogRecord) -> Result<()>) -> Result<()> {
        let (records, damaged) = {
            let state = self.live()?;
            (state.records.clone(), state.damaged)
        };
        if self.stage != Stage::Opened {
            return Err(Error::internal("the log was already replayed"));
        }
        for record in records {
            if damaged == Some(record.batch) {
                return Err(Error::internal(format!("log damaged at batch {} of the memory log", record.batch)));
            }
            if record.batch > after {
                visit(record)?;
            }
        }
        self.stage = Stage::Replayed;
        Ok(())
    }

    fn rewrite(&mut self, records: &mut dyn Iterator<Item = LogRecord>) -> Result<()> {
        if self.stage == Stage::Opened {
            return Err(Error::internal("the log must be replayed before it is rewritten"));
        }
        let fresh = consecutive(records)?;
        let mut state = self.live()?;
        if take_fault(&mut state, |fault| !fault.is_for_append()).is_some() {
            return Err(Error::unavailable("planned: the rewrite failed"));
        }
        state.last = fresh.back().map(|record| record.batch);
        state.records = fresh;
        state.damaged = None;
        state.rewrites += 1;
        drop(state);
        self.stage = Stage::Ready;
        Ok(())
    }

    fn free(&mut self, upto: u64) {
        if let Ok(mut state) = self.live() {
            while state.records.front().is_some_and(|record| record.batch <= upto) {
                state.records.pop_front();
            }
        }
    }

    fn is_scrubbed(&self) -> bool {
        true
    }

    fn live_bytes(&self) -> u64 {
        self.disk.lock().records.iter().map(padded_bytes).sum()
    }
}

impl MemoryLog {
    fn begin_append(&self, record: &LogRecord) -> Result<Option<LogFault>> {
        let mut state = self.live()?;
        if self.stage != Stage::Ready {
            return Err(Error::unavailable("the log must be rewritten before it takes more"));
        }
        follows(state.last, record)?;
        Ok(take_fault(&mut state, LogFault::is_for_append))
    }

    fn write(&self, record: &LogRecord, fault: Option<LogFault>) -> Result<(), AppendError> {
        let unknown = |text: &str| Err(AppendError::Unknown(Error::unavailable(text)));
        if fault == Some(LogFault::Refuse) {
            return Err(AppendError::Refused(Error::unavailable("planned: the append was refused")));
        }
        let hook = self.disk.lock().hook.clone();
        if let Some(hook) = hook {
            hook(record);
        }
        let mut state = self.hold(record);
        if state.session != self.session {
            return unknown("the power was cut during the append");
        }
        if fault != Some(LogFault::UnknownLost) {
            state.records.push_back(record.clone());
            state.last = Some(record.batch);
            state.appends += 1;
        }
        match fault {
            Some(_) => unknown("planned: the append may or may not be there"),
            None => Ok(()),
        }
    }

    /// Waits while the disk is frozen; the guard is for finishing the append.
    fn hold(&self, record: &LogRecord) -> MutexGuard<'_, State> {
        let mut state = self.disk.lock();
        if state.frozen && state.session == self.session {
            state.held = Some(record.clone());
            self.disk.shared.changed.notify_all();
            let waited = self
                .disk
                .shared
                .changed
                .wait_timeout_while(state, HOLD_AT_MOST, |state| state.frozen && state.session == self.session);
            let (guard, timeout) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
            assert!(!timeout.timed_out(), "a test froze the log and never thawed it");
            state = guard;
            if state.session == self.session {
                state.held = None;
            }
        }
        state
    }

    fn live(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.disk.lock();
        match state.session == self.session {
            true => Ok(state),
            false => Err(Error::unavailable("this log is dead: the power was cut or it was opened again")),
        }
    }
}

fn take_fault(state: &mut State, wanted: impl Fn(LogFault) -> bool) -> Option<LogFault> {
    let at = state.faults.iter().position(|fault| wanted(*fault))?;
    state.faults.remove(at)
}

fn consecutive(records: &mut dyn Iterator<Item = LogRecord>) -> Result<VecDeque<LogRecord>> {
    let mut fresh: VecDeque<LogRecord> = VecDeque::new();
    for record in records {
        follows(fresh.back().map(|last| last.batch), &record)?;
        fresh.push_back(record);
    }
    Ok(fresh)
}

fn follows(last: Option<u64>, record: &LogRecord) -> Result<()> {
    match last {
        Some(last) if record.batch != last + 1 => {
            Err(Error::internal(format!("batch {} does not follow batch {last}", record.batch)))
        }
        _ => Ok(()),
    }
}

fn padded_bytes(record: &LogRecord) -> u64 {
    let first = SECTOR_BYTES - SECTOR_HEADER_BYTES;
    let rest = (record.body.len() as u64).saturating_sub(first);
    SECTOR_BYTES * (1 + rest.div_ceil(SECTOR_BYTES - 1))
}
