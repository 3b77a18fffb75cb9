//! The store as a whole: what it consists of, what it can do beside the calls of [`model::Store`], and how it is closed.
//! `open` opens it, `calls` answers those calls.

mod calls;
mod open;

pub(crate) use open::{changes_weeks, feed_days};

use crate::{
    channels::NameCache,
    commit::Committer,
    device::Table,
    meta::Meta,
    settings::{REST_ATTEMPTS, SNAPSHOT_WAIT, Settings},
    stats::{Stats, StoreStatus},
    verify::{Finding, Progress},
    view::{View, Views},
};
use model::{ApplyError, Change, Channel, Error, Id, Position, Result, ShardId, Span};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, atomic::AtomicU64},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Keeps history on a log and a table.
///
/// Dropping it, or [`KeptStore::close`], ends the flush that may be going on; nothing is lost by that, or by no
/// goodbye at all: a start after either is the same.
pub struct KeptStore {
    shared: Arc<Shared>,
    flusher: Option<JoinHandle<()>>,
}

/// How far a table goes that has everything and is not being written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rest {
    /// The last batch.
    pub last_batch: u64,
    /// The last id.
    pub last_id: Id,
}

/// What committer, readers and flush share.
pub(crate) struct Shared {
    pub committer: Mutex<Committer>,
    pub views: Views,
    pub table: Arc<dyn Table>,
    pub names: NameCache,
    pub stats: Stats,
    pub settings: Settings,
    pub shard: ShardId,
    /// Whoever holds it writes the table: the flush or maintenance.
    writer: Mutex<()>,
    /// The last batch of the flush that was begun last: above the view's checkpoint, it is to be done again unchanged.
    pub flushing: AtomicU64,
}

impl KeptStore {
    /// Moves everything that was applied into the table; returns when it is there. Not needed for durability: for
    /// tests, and before a backup.
    pub fn flush(&self) -> Result<()> {
        let views = &self.shared.views;
        let upto = views.load().active_upto;
        let failures = views.lock().failures;
        loop {
            let view = views.load();
            if view.checkpoint >= upto {
                self.shared.committer().free(views);
                return Ok(());
            }
            if view.frozen.is_none() {
                self.shared.committer().freeze(views);
            }
            let patience = Some(Duration::from_secs(60));
            views.wait_until(patience, |state, view| {
                state.stopping || state.failures > failures || view.frozen.is_none()
            });
            let state = views.lock();
            if state.stopping || state.failures > failures {
                let why = state.last_failure.clone().unwrap_or_else(|| "the store is closing".into());
                return Err(Error::unavailable("the flush failed, the log still has everything").with_source(why));
            }
        }
    }

    /// Moves everything that was applied so far into the table and calls `take` while nobody writes the table: what the
    /// table's device has then is the whole store as of the place that `take` is told, without any log. Batches go on to
    /// be applied meanwhile; only the flush waits.
    pub fn at_rest<T>(&self, take: impl FnOnce(Rest) -> Result<T>) -> Result<T> {
        let shared = &self.shared;
        for _ in 0..REST_ATTEMPTS {
            self.flush()?;
            let _writer = shared.table_writer();
            let meta = Meta::open(&*shared.table, &*shared.table.snapshot()?, shared.shard)?;
            if meta.flushing <= meta.checkpoint.batch {
                return take(Rest { last_batch: meta.checkpoint.batch, last_id: meta.checkpoint.last_id });
            }
        }
        Err(Error::unavailable("the tables are not at rest: flushes fail and are tried again"))
    }

    /// Applies what another store had, with its ids: messages, removals, edits and reactions of channels that are new here,
    /// or that an import goes on with, and records. Durable when it returns, all of it or nothing. Numbers of new channels
    /// go on above [`model::Settled::last_number`]; ids grow within a channel, and are not those of anything there. It is
    /// history and no news: no feed and no change feed tells it, and ids given out later lie above all of these.
    ///
    /// Messages may also end right below the first one of a channel, by ids and by seqs, when nothing below it was ever
    /// removed: then a floor comes before them that says where the channel begins now. What was brought to a channel in this
    /// way is flushed before the next such changes of it.
    ///
    /// For a store that nobody else uses: what reads it before the next [`KeptStore::flush`] may miss what was imported.
    pub fn import(&self, changes: &[Arc<Change>]) -> Result<(), ApplyError> {
        let shared = &self.shared;
        shared.committer().import(changes, &shared.views, &shared.settings, &shared.stats, &*shared.table)
    }

    /// The messages of a span that are not there any more, oldest first, and whether their time was over: what lies
    /// above the floor, deleted or expired. At most `limit`.
    pub fn gone(&self, channel: &Channel, span: Span, limit: usize) -> Result<Vec<(Position, bool)>> {
        self.shared.read(|view| view.gone(channel, span, limit, &self.shared.names))
    }

    /// Where the message of a channel with this id lies, whatever became of it, if it lies above the floor.
    pub fn position_of(&self, channel: &Channel, id: Id) -> Result<Option<Position>> {
        self.shared.read(|view| view.position_of(channel, id, &self.shared.names))
    }

    /// Where the oldest message of a channel lies that lies above the floor, whatever became of it.
    pub fn first_position(&self, channel: &Channel) -> Result<Option<Position>> {
        self.shared.read(|view| view.first_position(channel, &self.shared.names))
    }

    /// The store in numbers.
    pub fn status(&self) -> StoreStatus {
        let shared = &self.shared;
        let view = shared.views.load();
        let table = shared.table.status();
        let log_bytes = match shared.committer.try_lock() {
            Ok(committer) => Some(committer.log_bytes()),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner().log_bytes()),
            Err(TryLockError::WouldBlock) => None,
        };
        let state = shared.views.lock();
        StoreStatus {
            last_batch: view.active_upto,
            checkpoint: view.checkpoint,
            tail_bytes: view.active.resident() as u64,
            tail_changes: view.active.changes() as u64,
            frozen_bytes: view.frozen.as_ref().map_or(0, |frozen| frozen.tail.resident() as u64),
            flush_failures: state.failures,
            last_flush_failure: state.last_failure.clone(),
            table_bytes: table.bytes,
            table_runs_max: table.runs_max,
            is_full: shared.table.is_full(),
            log_bytes,
            ..shared.stats.status()
        }
    }

    /// Reads everything and checks checksums, seqs, ids, heads, counts and the feed; what is wrong, in words. `progress` is
    /// called now and then.
    pub fn verify(&self, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Finding>> {
        self.shared.read(|view| crate::verify::verify(view, self.shared.shard, progress))
    }

    /// Stops the flush and waits for its end.
    pub fn close(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        self.shared.views.tell(|state| state.stopping = true);
        if let Some(flusher) = self.flusher.take()
            && flusher.join().is_err()
        {
            tracing::error!("the flush thread ended by a panic");
        }
    }
}

impl Drop for KeptStore {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    pub fn table_writer(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, unless somebody holds it.
    pub fn try_table_writer(&self) -> Option<MutexGuard<'_, ()>> {
        match self.writer.try_lock() {
            Ok(writer) => Some(writer),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    pub fn committer(&self) -> MutexGuard<'_, Committer> {
        self.committer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads from one view. When the table takes its snapshot back meanwhile, all is read again from the next one.
    fn read<T>(&self, mut read: impl FnMut(&View) -> Result<T>) -> Result<T> {
        let until = Instant::now() + SNAPSHOT_WAIT;
        loop {
            let view = self.view()?;
            let answer = read(&view);
            if answer.is_ok() || !view.snapshot.is_gone() {
                return answer;
            }
            let left = until.saturating_duration_since(Instant::now());
            if !self.views.wait_until(Some(left), |_, view| !view.snapshot.is_gone()) {
                return answer;
            }
        }
    }

    /// The view to read from.
    pub fn view(&self) -> Result<Arc<View>> {
        let view = self.views.load();
        match view.settled {
            true => Ok(view),
            false => Err(Error::unavailable("the store is starting: it is not decided yet what is there")),
        }
    }
}
