//! The table's life: open, write, and open again after the engine gave up.

use super::{
    engine::{Engine, check_order, engine_failed, is_storage_full},
    snapshot::Pins,
};
use crate::settings::EngineSettings;
use model::{Error, Result};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};
use store::device::{Snapshot, Space, SpaceRows, Table, TableStatus};

/// A [`Table`] on the embedded engine, behind one handle that can be swapped.
///
/// An engine that met an error in the background gives up until it is opened again. The next `write` or `snapshot`
/// does that: older snapshots answer "unavailable" from then on, and the caller takes a new one.
pub struct EngineTable {
    dir: PathBuf,
    quarantine: PathBuf,
    settings: EngineSettings,
    state: Mutex<State>,
    pins: Pins,
}

struct State {
    engine: Slot,
    /// An error put in doubt what the engine holds in memory.
    suspect: bool,
}

enum Slot {
    Open(Arc<Engine>),
    /// To be opened again once the last read on it ended.
    Closing(Arc<Engine>),
    Closed,
}

impl EngineTable {
    /// Opens the engine in `dir`. A journal of the engine that cannot be read is moved to `quarantine`.
    pub fn open(dir: &Path, quarantine: &Path, settings: EngineSettings) -> Result<EngineTable> {
        let engine = Arc::new(Engine::open(dir, quarantine, &settings)?);
        Ok(EngineTable {
            dir: dir.to_owned(),
            quarantine: quarantine.to_owned(),
            settings,
            state: Mutex::new(State { engine: Slot::Open(engine), suspect: false }),
            pins: Pins::default(),
        })
    }

    /// Opens the engine again before the next use.
    fn suspect(&self, error: fjall::Error) -> Error {
        if !is_storage_full(&error) {
            tracing::error!(%error, "writing to the tables failed; they will be opened again");
            self.lock().suspect = true;
        }
        engine_failed(error)
    }

    /// The engine, opened again if it has to be.
    fn engine(&self) -> Result<Arc<Engine>> {
        let mut state = self.lock();
        if let Slot::Open(engine) = &state.engine
            && !state.suspect
        {
            return Ok(engine.clone());
        }
        self.pins.revoke_all();
        match std::mem::replace(&mut state.engine, Slot::Closed) {
            Slot::Open(engine) | Slot::Closing(engine) => match Arc::try_unwrap(engine) {
                Ok(engine) => drop(engine),
                Err(engine) => {
                    state.engine = Slot::Closing(engine);
                    return Err(Error::unavailable("the tables are being opened again; nothing was written"));
                }
            },
            Slot::Closed => {}
        }
        let engine = Arc::new(Engine::open(&self.dir, &self.quarantine, &self.settings)?);
        tracing::info!("the tables were opened again");
        *state = State { engine: Slot::Open(engine.clone()), suspect: false };
        Ok(engine)
    }

    /// The engine for a writer, who also notices that it gave up in the background.
    fn healthy_engine(&self) -> Result<Arc<Engine>> {
        let engine = self.engine()?;
        if !engine.is_poisoned() {
            return Ok(engine);
        }
        drop(engine);
        self.lock().suspect = true;
        self.engine()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for EngineTable {
    /// Takes all snapshots back, so that the engine closes with the table whoever still holds one.
    fn drop(&mut self) {
        self.pins.revoke_all();
    }
}

impl Table for EngineTable {
    fn write(&self, rows: &mut dyn Iterator<Item = SpaceRows>) -> Result<()> {
        let engine = self.healthy_engine()?;
        for space_rows in rows {
            check_order(space_rows.space, &space_rows.rows)?;
            if !space_rows.rows.is_empty() {
                engine.ingest(space_rows).map_err(|error| self.suspect(error))?;
            }
        }
        Ok(())
    }

    fn snapshot(&self) -> Result<Arc<dyn Snapshot>> {
        Ok(Arc::new(self.pins.open(self.engine()?)))
    }

    fn spaces(&self) -> Result<Vec<Space>> {
        Ok(self.engine()?.spaces().keys().copied().collect())
    }

    fn drop_space(&self, space: Space) -> Result<()> {
        self.healthy_engine()?.drop_space(space).map_err(|error| self.suspect(error))
    }

    fn compact(&self, space: Space) -> Result<()> {
        self.healthy_engine()?.compact(space).map_err(|error| self.suspect(error))
    }

    fn status(&self) -> TableStatus {
        match &self.lock().engine {
            Slot::Open(engine) | Slot::Closing(engine) => engine.status(),
            Slot::Closed => TableStatus::default(),
        }
    }
}
