//! A table in memory that fails on purpose. [`TableDisk`] is the device: it outlives the [`MemoryTable`]s opened on
//! it. Spaces are shared maps that a write copies only while a snapshot still needs the old one.

use bytes::Bytes;
use model::{Error, Result};
use std::{
    collections::{BTreeMap, VecDeque},
    ops::{Bound, Range},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};
use store::device::{Rows, Snapshot, Space, SpaceRows, Table, TableStatus};

type SpaceMap = Arc<BTreeMap<Bytes, Bytes>>;
type Hook = Arc<dyn Fn() + Send + Sync>;

/// What the next operation does instead of succeeding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TableFault {
    /// The next write fails and writes nothing.
    WriteFails,
    /// The next write fails after this many of its spaces were written.
    WriteFailsAfter(usize),
    /// The power is cut inside the next write: each of its rows is there or not by the choice of the seed, and every
    /// table opened before is dead.
    PowerCut {
        /// Chooses the rows that survive.
        seed: u64,
    },
    /// The next snapshot cannot be made.
    SnapshotFails,
    /// The next recovery fails; it has taken the snapshots back.
    RecoveryFails,
}

/// The device below [`MemoryTable`]s: clones are the same device.
#[derive(Clone, Default)]
pub struct TableDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    spaces: BTreeMap<Space, SpaceMap>,
    faults: VecDeque<TableFault>,
    hook: Option<Hook>,
    runs: usize,
    session: u64,
    writes: u64,
    full: bool,
    /// No write before a recovery.
    suspect: bool,
    /// Grows with each recovery: snapshots of an earlier era are gone.
    era: Arc<AtomicU64>,
}

impl TableDisk {
    /// An empty device.
    pub fn new() -> TableDisk {
        TableDisk::default()
    }

    /// Opens the table, as a starting program would. Tables opened before are dead: whatever they do fails.
    pub fn open(&self) -> MemoryTable {
        let mut state = self.lock();
        state.session += 1;
        state.suspect = false;
        MemoryTable { disk: self.clone(), session: state.session }
    }

    /// Plans a fault; faults of one kind of operation strike in the order they were planned.
    pub fn plan(&self, fault: TableFault) {
        self.lock().faults.push_back(fault);
    }

    /// Forgets the faults that were planned and did not strike.
    pub fn plan_nothing(&self) {
        self.lock().faults.clear();
    }

    /// Calls `hook` at the start of each write, outside every lock: to be slow, to watch, to wait for the test.
    pub fn on_write(&self, hook: impl Fn() + Send + Sync + 'static) {
        self.lock().hook = Some(Arc::new(hook));
    }

    /// Makes [`Table::status`] tell this many runs: maintenance that lags behind.
    pub fn set_runs(&self, runs: usize) {
        self.lock().runs = runs;
    }

    /// From now on the device has no room, or has it again; what is written is taken all the same.
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// The table gives up, as after a fault in the background: it wants to be recovered.
    pub fn give_up(&self) {
        self.lock().suspect = true;
    }

    /// How often it was recovered, or tried to be.
    pub fn recoveries(&self) -> u64 {
        self.lock().era.load(Ordering::SeqCst)
    }

    /// Cuts the power between writes: every open table is dead; what was written is there.
    pub fn cut_power(&self) {
        self.lock().session += 1;
    }

    /// Changes a byte of one value, as a failing medium would; false if there is no such byte.
    pub fn flip(&self, space: Space, key: &[u8], byte: usize) -> bool {
        let mut state = self.lock();
        let Some(rows) = state.spaces.get_mut(&space) else { return false };
        let Some(value) = Arc::make_mut(rows).get_mut(key) else { return false };
        let mut changed = value.to_vec();
        let Some(place) = changed.get_mut(byte) else { return false };
        *place ^= 1;
        *value = changed.into();
        true
    }

    /// All rows of a space, as they are on the device.
    pub fn rows(&self, space: Space) -> Vec<(Bytes, Bytes)> {
        let state = self.lock();
        let rows = state.spaces.get(&space).into_iter().flat_map(|rows| rows.iter());
        rows.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// How many writes succeeded.
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// One opening of a [`TableDisk`].
pub struct MemoryTable {
    disk: TableDisk,
    session: u64,
}

impl Table for MemoryTable {
    fn write(&self, rows: &mut dyn Iterator<Item = SpaceRows>) -> Result<()> {
        let hook = self.live()?.hook.clone();
        if let Some(hook) = hook {
            hook();
        }
        if self.live()?.suspect {
            return Err(Error::unavailable("a write failed before: the table must be recovered"));
        }
        let is_of_writes = |fault| !matches!(fault, TableFault::SnapshotFails | TableFault::RecoveryFails);
        let fault = take_fault(&mut *self.live()?, is_of_writes);
        self.live()?.suspect = fault.is_some();
        for (done, space_rows) in rows.enumerate() {
            check_order(&space_rows)?;
            match fault {
                Some(TableFault::WriteFails) => return Err(planned()),
                Some(TableFault::WriteFailsAfter(spaces)) if done >= spaces => return Err(planned()),
                Some(TableFault::PowerCut { seed }) => self.apply(survivors(space_rows, seed))?,
                _ => self.apply(space_rows)?,
            }
        }
        match fault {
            Some(TableFault::PowerCut { .. }) => {
                self.disk.cut_power();
                Err(planned())
            }
            Some(_) => Err(planned()),
            None => {
                self.disk.lock().writes += 1;
                Ok(())
            }
        }
    }

    fn snapshot(&self) -> Result<Arc<dyn Snapshot>> {
        let mut state = self.live()?;
        if take_fault(&mut state, |fault| fault == TableFault::SnapshotFails).is_some() {
            return Err(planned());
        }
        let (spaces, era) = (state.spaces.clone(), state.era.clone());
        Ok(Arc::new(MemorySnapshot { spaces, made_in: era.load(Ordering::SeqCst), era }))
    }

    fn spaces(&self) -> Result<Vec<Space>> {
        Ok(self.live()?.spaces.keys().copied().collect())
    }

    fn drop_space(&self, space: Space) -> Result<()> {
        self.live()?.spaces.remove(&space);
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.disk.lock().full
    }

    fn keep_room(&self) -> Result<bool> {
        self.live().map(|_| false)
    }

    fn needs_recovery(&self) -> bool {
        self.disk.lock().suspect
    }

    fn recover(&self) -> Result<()> {
        let mut state = self.live()?;
        state.era.fetch_add(1, Ordering::SeqCst);
        if take_fault(&mut state, |fault| fault == TableFault::RecoveryFails).is_some() {
            return Err(planned());
        }
        state.suspect = false;
        Ok(())
    }

    /// Nothing that was replaced stays in memory.
    fn compact(&self, _space: Space) -> Result<()> {
        self.live().map(drop)
    }

    fn status(&self) -> TableStatus {
        let state = self.disk.lock();
        let row_bytes = |(key, value): (&Bytes, &Bytes)| (key.len() + value.len()) as u64;
        let bytes = state.spaces.values().flat_map(|rows| rows.iter()).map(row_bytes).sum();
        TableStatus { bytes, runs_max: state.runs, merges: true }
    }
}

impl MemoryTable {
    fn apply(&self, space_rows: SpaceRows) -> Result<()> {
        let mut state = self.live()?;
        let rows = Arc::make_mut(state.spaces.entry(space_rows.space).or_default());
        for (key, value) in space_rows.rows {
            match value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
        Ok(())
    }

    fn live(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.disk.lock();
        match state.session == self.session {
            true => Ok(state),
            false => Err(Error::unavailable("this table is dead: the power was cut or it was opened again")),
        }
    }
}

struct MemorySnapshot {
    spaces: BTreeMap<Space, SpaceMap>,
    made_in: u64,
    era: Arc<AtomicU64>,
}

impl MemorySnapshot {
    fn alive(&self) -> Result<&BTreeMap<Space, SpaceMap>> {
        match self.is_gone() {
            true => Err(Error::unavailable("the table was recovered: this snapshot is gone")),
            false => Ok(&self.spaces),
        }
    }
}

impl Snapshot for MemorySnapshot {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.alive()?.get(&space).and_then(|rows| rows.get(key)).cloned())
    }

    fn is_gone(&self) -> bool {
        self.made_in != self.era.load(Ordering::SeqCst)
    }

    fn range<'a>(&'a self, space: Space, keys: Range<Bytes>, reverse: bool) -> Rows<'a> {
        let spaces = match self.alive() {
            Ok(spaces) => spaces,
            Err(error) => return Box::new(std::iter::once(Err(error))),
        };
        let Some(rows) = spaces.get(&space).filter(|_| keys.start < keys.end) else {
            return Box::new(std::iter::empty());
        };
        let found = rows.range((Bound::Included(keys.start), Bound::Excluded(keys.end)));
        let found = found.map(|(key, value)| Ok((key.clone(), value.clone())));
        if reverse { Box::new(found.rev()) } else { Box::new(found) }
    }
}

fn check_order(space_rows: &SpaceRows) -> Result<()> {
    match space_rows.rows.windows(2).all(|pair| pair[0].0 < pair[1].0) {
        true => Ok(()),
        false => Err(Error::internal(format!("keys of {} do not strictly grow", space_rows.space.name()))),
    }
}

fn survivors(mut space_rows: SpaceRows, seed: u64) -> SpaceRows {
    let mut state = seed ^ u64::from(space_rows.space.name().len() as u32) | 1;
    space_rows.rows.retain(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state & 1 == 0
    });
    space_rows
}

fn take_fault(state: &mut State, wanted: impl Fn(TableFault) -> bool) -> Option<TableFault> {
    let at = state.faults.iter().position(|fault| wanted(*fault))?;
    state.faults.remove(at)
}

fn planned() -> Error {
    Error::unavailable("planned: the table failed; some rows may be written")
}
