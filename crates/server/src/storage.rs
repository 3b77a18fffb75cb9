//! The store on the data folder: opens it, and shows its numbers as metrics.

use crate::numbers::{self, Numbers};
use model::{AppId, Settled, Store, TICKS_PER_MS};
use prometheus_client::registry::Registry;
use service::{EPOCH, SHARD};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};
use store::KeptStore;
use store_disk::{Capture, DiskSettings, EngineTable, FileLogSettings, FolderLock, Place};

/// The largest record fits.
const SCRATCH_SEGMENT_BYTES: u64 = 16 << 20;

/// The store of a data folder, which no other program can use meanwhile.
pub struct Storage {
    store: Arc<KeptStore>,
    table: Arc<EngineTable>,
    data: PathBuf,
    _lock: FolderLock,
}

/// What the command line may say about the data folder.
#[derive(Clone, Copy, Default, Debug)]
pub struct StorageOptions {
    /// Start without what is damaged at this batch of the log and after it.
    pub accept_loss: Option<u64>,
    /// Bytes in a segment of the log.
    pub segment_bytes: Option<usize>,
    /// Bytes of the tail at which it is flushed.
    pub tail_bytes: Option<usize>,
    /// Bytes kept back for a full disk.
    pub ballast_bytes: Option<usize>,
    /// A store that is only read, and thrown away: it needs little beside its tables.
    pub scratch: bool,
}

impl Storage {
    /// Opens a data folder, making it if it is not there. One that another program uses is refused by name. `listed` are the
    /// apps whose messages are listed by author and recipient; without, those that are stay so.
    pub fn open(data: &Path, options: StorageOptions, listed: Option<BTreeSet<AppId>>) -> model::Result<Storage> {
        let mut log = FileLogSettings { accept_loss: options.accept_loss, ..FileLogSettings::default() };
        if let Some(bytes) = options.segment_bytes {
            log.segment_bytes = bytes as u64;
        }
        let mut disk = DiskSettings { log, ..DiskSettings::default() };
        if let Some(bytes) = options.ballast_bytes {
            disk.ballast_bytes = bytes as u64;
        }
        if options.scratch {
            disk.log = FileLogSettings { segment_bytes: SCRATCH_SEGMENT_BYTES, segments: 2, reserve: 1, ..disk.log };
            disk.ballast_bytes = 0;
        }
        let mut settings = store::Settings { indexed_apps: listed, ..store::Settings::default() };
        if let Some(bytes) = options.tail_bytes {
            settings.tail_bytes = bytes;
        }
        let (log, table, lock) = store_disk::open(data, &disk)?;
        let table = Arc::new(table);
        let store = Arc::new(KeptStore::open(Box::new(log), table.clone(), settings)?);
        Ok(Storage { store, table, data: data.to_owned(), _lock: lock })
    }

    /// Decides what the log holds, for a command that has the folder to itself.
    pub fn settle(&self) -> model::Result<Settled> {
        self.store.settle(SHARD, EPOCH)
    }

    /// Captures a point with everything that was acknowledged so far. Publishing goes on meanwhile.
    pub fn capture(&self, now_ticks: u64) -> model::Result<Capture> {
        let taken_ms = now_ticks / TICKS_PER_MS;
        self.store.at_rest(|rest| {
            let place = Place { batch: rest.last_batch, id: rest.last_id };
            store_disk::capture(&self.data, &self.table, place, taken_ms)
        })
    }

    /// The store as the service takes it.
    pub fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// The store itself.
    pub fn kept(&self) -> &KeptStore {
        &self.store
    }

    /// Shows the store's numbers.
    pub fn register_metrics(&self, registry: &mut Registry) {
        let store = self.store.clone();
        numbers::register(registry, move || numbers(&store));
    }
}

/// What there is to tell of it.
fn numbers(store: &KeptStore) -> Numbers {
    let status = store.status();
    let counters = vec![
        ("store_batches", "Batches made durable", status.batches),
        ("store_changes", "Changes made durable", status.changes),
        ("store_body_bytes", "Bytes of batches made durable", status.body_bytes),
        ("store_stalls", "Batches that waited for a flush", status.stalls),
        ("store_maintenance_waits", "Waits of 20 ms of a flush for the table's merging", status.maintenance_waits),
        ("store_flushes", "Flushes that were finished", status.flushes),
        ("store_flush_failures", "Flushes that failed and were tried again", status.flush_failures),
        ("store_flush_microseconds", "Time spent in flushes", status.flush_micros),
        ("store_flushed_bytes", "Bytes of batches that were flushed", status.flushed_bytes),
        ("store_written_bytes", "Bytes of rows written for them", status.written_bytes),
        ("store_blocks_written", "Blocks written", status.blocks_written),
        ("store_blocks_merged", "Blocks read back and replaced by larger ones", status.blocks_merged),
    ];
    let gauges = vec![
        ("store_tail_bytes", "Memory of what is not in the table yet", status.tail_bytes + status.frozen_bytes),
        ("store_tail_changes", "Changes in the active tail", status.tail_changes),
        ("store_table_bytes", "Bytes of the table on disk", status.table_bytes),
        ("store_table_runs_max", "Unmerged runs of the table", status.table_runs_max as u64),
        ("store_disk_full", "Whether the disk is full, so that nothing new is taken", u64::from(status.is_full)),
        ("store_log_bytes", "Bytes of the log that are still needed", status.log_bytes.unwrap_or_default()),
        ("store_flush_longest_microseconds", "The longest flush", status.flush_micros_max),
        ("store_unflushed_batches", "Batches that are in the log only", status.last_batch - status.checkpoint),
    ];
    Numbers { counters, gauges }
}
