//! The table's life: open, write, and open again after a write failed or the engine gave up.

use super::{
    engine::{Engine, check_order, engine_failed, is_storage_full},
    snapshot::Pins,
};
use crate::{
    backup::StoredFile,
    ballast::{Ballast, Release},
    settings::{EngineSettings, MERGE_PAUSE, MERGE_PAUSE_MOST},
};
use model::{Error, Result};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};
use store::device::{Snapshot, Space, SpaceRows, Table, TableStatus};

/// A [`Table`] on the embedded engine, behind one handle that can be swapped.
///
/// After a write that failed, whatever the cause, the engine is opened again before the next one: what it holds in memory
/// is in doubt, and it removes files that it left only when it opens. An engine that failed to merge reads and writes as
/// before; it is opened again after a pause. On a full disk nothing is merged: what merging writes would take the
/// room that the flushes need.
pub struct EngineTable {
    dir: PathBuf,
    quarantine: PathBuf,
    settings: EngineSettings,
    state: Mutex<State>,
    pins: Pins,
    ballast: Option<Arc<Ballast>>,
}

struct State {
    engine: Slot,
    /// A write failed: no other before the engine was opened again.
    suspect: bool,
    merging: Merging,
}

enum Slot {
    Open(Arc<Engine>),
    /// To be opened again once the last read on it ended.
    Closing(Arc<Engine>),
    Closed,
}

/// When merging that gave up starts again.
struct Merging {
    began: Instant,
    pause: Duration,
    again: Option<Instant>,
}

impl EngineTable {
    /// Opens the engine in `dir`. A journal of the engine that cannot be read is moved to `quarantine`.
    pub fn open(dir: &Path, quarantine: &Path, settings: EngineSettings) -> Result<EngineTable> {
        EngineTable::open_with(dir, quarantine, settings, None, true)
    }

    /// The same with a ballast, which it gives up when the disk is full. Unless `create`, no engine there is a loss.
    pub(crate) fn open_with(
        dir: &Path,
        quarantine: &Path,
        settings: EngineSettings,
        ballast: Option<Arc<Ballast>>,
        create: bool,
    ) -> Result<EngineTable> {
        let merges = !ballast.as_ref().is_some_and(|ballast| ballast.is_full());
        let engine = Slot::Open(Arc::new(Engine::open(dir, quarantine, &settings, merges, create)?));
        let merging = Merging { began: Instant::now(), pause: MERGE_PAUSE, again: None };
        Ok(EngineTable {
            dir: dir.to_owned(),
            quarantine: quarantine.to_owned(),
            settings,
            state: Mutex::new(State { engine, suspect: false, merging }),
            pins: Pins::default(),
            ballast,
        })
    }

    /// Links all files of the tables into `to`, on the same file system; what there is then, with paths below `to`. It is
    /// the rows of this moment: nobody may write meanwhile.
    pub(crate) fn link_files(&self, to: &Path) -> Result<Vec<StoredFile>> {
        self.engine_for_writing()?.link_files(&self.dir, to)
    }

    fn engine(&self) -> Result<Arc<Engine>> {
        match &self.lock().engine {
            Slot::Open(engine) => Ok(engine.clone()),
            Slot::Closing(_) | Slot::Closed => Err(Error::unavailable("the tables are being opened again")),
        }
    }

    fn engine_for_writing(&self) -> Result<Arc<Engine>> {
        let suspect = self.lock().suspect;
        match suspect {
            true => Err(Error::unavailable("an earlier write to the tables failed; they are being opened again")),
            false => self.engine(),
        }
    }

    /// No other write before the engine was opened again; on a full disk with the room of the ballast.
    fn failed(&self, error: fjall::Error, release: Release) -> Error {
        tracing::error!(%error, "writing to the tables failed; they will be opened again");
        self.lock().suspect = true;
        if let Some(ballast) = &self.ballast
            && is_storage_full(&error)
        {
            ballast.release(release);
        }
        engine_failed(error)
    }

    fn reopen(&self, state: &mut State) -> Result<()> {
        self.pins.revoke_all();
        match std::mem::replace(&mut state.engine, Slot::Closed) {
            Slot::Open(engine) | Slot::Closing(engine) => match Arc::try_unwrap(engine) {
                Ok(engine) => drop(engine),
                Err(engine) => {
                    state.engine = Slot::Closing(engine);
                    return Err(Error::unavailable("the tables are still being read and cannot be opened again yet"));
                }
            },
            Slot::Closed => {}
        }
        let merges = !self.is_full();
        let engine = Engine::open(&self.dir, &self.quarantine, &self.settings, merges, false)?;
        tracing::info!(merges, "the tables were opened again");
        state.engine = Slot::Open(Arc::new(engine));
        state.suspect = false;
        state.merging.begin();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Merging {
    /// Whether it is time to try again, now that it has given up; the pauses grow unless it had lasted.
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let again = *self.again.get_or_insert_with(|| {
            tracing::error!(pause = ?self.pause, "merging the tables failed; it is tried again");
            now + self.pause
        });
        now >= again
    }

    fn begin(&mut self) {
        let now = Instant::now();
        if self.again.take().is_some() {
            let lasted = now.duration_since(self.began) > 2 * MERGE_PAUSE_MOST;
            self.pause = if lasted { MERGE_PAUSE } else { (self.pause * 2).min(MERGE_PAUSE_MOST) };
        }
        self.began = now;
    }
}

/// What ends a flush, or makes room, may use the last of the ballast: the rows of `meta`, and deletions.
fn release_for(rows: &SpaceRows) -> Release {
    let deletes = rows.rows.iter().all(|(_, value)| value.is_none());
    if deletes || rows.space == Space::Meta { Release::All } else { Release::Most }
}

impl Drop for EngineTable {
    /// Takes all snapshots back, so that the engine closes with the table whoever still holds one.
    fn drop(&mut self) {
        self.pins.revoke_all();
    }
}

impl Table for EngineTable {
    fn write(&self, rows: &mut dyn Iterator<Item = SpaceRows>) -> Result<()> {
        let engine = self.engine_for_writing()?;
        for space_rows in rows {
            check_order(space_rows.space, &space_rows.rows)?;
            if !space_rows.rows.is_empty() {
                let release = release_for(&space_rows);
                engine.ingest(space_rows).map_err(|error| self.failed(error, release))?;
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
        self.engine_for_writing()?.drop_space(space).map_err(|error| self.failed(error, Release::All))
    }

    fn compact(&self, space: Space) -> Result<()> {
        self.engine_for_writing()?.compact(space).map_err(|error| self.failed(error, Release::Most))
    }

    fn is_full(&self) -> bool {
        self.ballast.as_ref().is_some_and(|ballast| ballast.is_full())
    }

    fn keep_room(&self) -> Result<bool> {
        let Some(ballast) = &self.ballast else { return Ok(false) };
        ballast.keep().map_err(|error| Error::unavailable("the ballast cannot be laid").with_source(error))
    }

    fn needs_recovery(&self) -> bool {
        let mut state = self.lock();
        let Slot::Open(engine) = &state.engine else { return true };
        let gave_up = engine.merges() && engine.is_poisoned();
        state.suspect || engine.merges() == self.is_full() || (gave_up && state.merging.is_due())
    }

    fn recover(&self) -> Result<()> {
        self.reopen(&mut self.lock())
    }

    fn status(&self) -> TableStatus {
        match &self.lock().engine {
            Slot::Open(engine) | Slot::Closing(engine) => engine.status(),
            Slot::Closed => TableStatus::default(),
        }
    }
}
