//! A snapshot that the table can take back: its reader keeps only a weak hold on the engine, so that an engine that
//! gave up can be closed and opened again while views of it still lie around.

use super::engine::{Engine, SpaceMap, engine_failed};
use bytes::Bytes;
use fjall::{Guard, Readable};
use model::{Error, Result};
use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, Weak},
};
use store::device::{Rows, Snapshot, Space};

/// What a snapshot reads through.
struct Pin {
    snapshot: fjall::Snapshot,
    spaces: SpaceMap,
    /// Last, so that it outlives the handles above.
    _engine: Arc<Engine>,
}

/// All snapshots that are open.
#[derive(Clone, Default)]
pub(super) struct Pins {
    open: Arc<Mutex<OpenPins>>,
}

#[derive(Default)]
struct OpenPins {
    pins: HashMap<u64, Arc<Pin>>,
    next: u64,
}

impl Pins {
    /// Makes a snapshot.
    pub fn open(&self, engine: Arc<Engine>) -> EngineSnapshot {
        let (snapshot, spaces) = engine.snapshot();
        let pin = Arc::new(Pin { snapshot, spaces, _engine: engine });
        let weak = Arc::downgrade(&pin);
        let mut open = self.lock();
        open.next += 1;
        let number = open.next;
        open.pins.insert(number, pin);
        EngineSnapshot { number, pin: weak, pins: self.clone() }
    }

    /// Takes all snapshots back: from now on they answer "unavailable". Reads that are under way end as they would.
    pub fn revoke_all(&self) {
        let pins = std::mem::take(&mut self.lock().pins);
        drop(pins);
    }

    fn lock(&self) -> MutexGuard<'_, OpenPins> {
        self.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A [`Snapshot`] of the engine.
pub(super) struct EngineSnapshot {
    number: u64,
    pin: Weak<Pin>,
    pins: Pins,
}

impl EngineSnapshot {
    fn pin(&self) -> Result<Arc<Pin>> {
        let gone = || Error::unavailable("the tables were opened again: this view of them is gone");
        self.pin.upgrade().ok_or_else(gone)
    }
}

impl Drop for EngineSnapshot {
    fn drop(&mut self) {
        let pin = self.pins.lock().pins.remove(&self.number);
        drop(pin);
    }
}

impl Snapshot for EngineSnapshot {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        let pin = self.pin()?;
        let Some(keyspace) = pin.spaces.get(&space) else { return Ok(None) };
        let value = pin.snapshot.get(keyspace, key).map_err(engine_failed)?;
        Ok(value.map(Bytes::from))
    }

    fn is_gone(&self) -> bool {
        self.pin.strong_count() == 0
    }

    fn range<'a>(&'a self, space: Space, keys: Range<Bytes>, reverse: bool) -> Rows<'a> {
        let pin = match self.pin() {
            Ok(pin) => pin,
            Err(error) => return Box::new(std::iter::once(Err(error))),
        };
        let Some(keyspace) = pin.spaces.get(&space).filter(|_| keys.start < keys.end) else {
            return Box::new(std::iter::empty());
        };
        let rows = pin.snapshot.range(keyspace, keys);
        // Each closure holds the pin, so that the engine stays open under the iterator.
        if reverse {
            Box::new(rows.rev().map(move |row| read_row(row, &pin)))
        } else {
            Box::new(rows.map(move |row| read_row(row, &pin)))
        }
    }
}

fn read_row(row: Guard, _pin: &Arc<Pin>) -> Result<(Bytes, Bytes)> {
    let (key, value) = row.into_inner().map_err(engine_failed)?;
    Ok((key.into(), value.into()))
}
