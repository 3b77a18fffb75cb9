//! What the store counts about itself, for metrics.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Counters since the store was opened.
#[derive(Default)]
pub(crate) struct Stats {
    pub batches: AtomicU64,
    pub changes: AtomicU64,
    pub body_bytes: AtomicU64,
    pub stalls: AtomicU64,
    pub maintenance_waits: AtomicU64,
    pub flushes: AtomicU64,
    pub flush_micros: AtomicU64,
    pub flush_micros_max: AtomicU64,
    pub flushed_bytes: AtomicU64,
    pub written_bytes: AtomicU64,
    pub blocks_written: AtomicU64,
    pub blocks_merged: AtomicU64,
    pub blocks_swept: AtomicU64,
}

impl Stats {
    pub fn count_batch(&self, changes: usize, body_bytes: usize) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.changes.fetch_add(changes as u64, Ordering::Relaxed);
        self.body_bytes.fetch_add(body_bytes as u64, Ordering::Relaxed);
    }

    pub fn count_flush(&self, took: Duration, body_bytes: u64) {
        let micros = took.as_micros() as u64;
        self.flushes.fetch_add(1, Ordering::Relaxed);
        self.flush_micros.fetch_add(micros, Ordering::Relaxed);
        self.flush_micros_max.fetch_max(micros, Ordering::Relaxed);
        self.flushed_bytes.fetch_add(body_bytes, Ordering::Relaxed);
    }
}

/// The store in numbers, for metrics and for people.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct StoreStatus {
    /// The newest batch that is visible.
    pub last_batch: u64,
    /// The last batch whose rows are all in the table.
    pub checkpoint: u64,
    /// Resident bytes of the active tail.
    pub tail_bytes: u64,
    /// Changes in the active tail.
    pub tail_changes: u64,
    /// Resident bytes of the tail that is being flushed; 0 if none is.
    pub frozen_bytes: u64,
    /// Batches applied since the start.
    pub batches: u64,
    /// Changes applied since the start.
    pub changes: u64,
    /// Bytes of their bodies.
    pub body_bytes: u64,
    /// How often `apply` had to wait for a flush.
    pub stalls: u64,
    /// How often a flush waited for the table's own merging, in steps of 20 ms.
    pub maintenance_waits: u64,
    /// Flushes that were finished.
    pub flushes: u64,
    /// Flushes that failed and were tried again.
    pub flush_failures: u64,
    /// Why the last one failed.
    pub last_flush_failure: Option<String>,
    /// Time spent in flushes, in microseconds.
    pub flush_micros: u64,
    /// The longest flush, in microseconds.
    pub flush_micros_max: u64,
    /// Bytes of batch bodies that were flushed.
    pub flushed_bytes: u64,
    /// Bytes of rows handed to the table for them: their quotient is the write amplification above the engine.
    pub written_bytes: u64,
    /// Blocks written.
    pub blocks_written: u64,
    /// Blocks read back and replaced by larger ones.
    pub blocks_merged: u64,
    /// Blocks written anew without messages that went.
    pub blocks_swept: u64,
    /// Bytes of the table on its device.
    pub table_bytes: u64,
    /// The greatest number of unmerged runs in any space of the table.
    pub table_runs_max: usize,
    /// Whether the device is full: nothing new is taken.
    pub is_full: bool,
    /// Bytes of the log that are still needed; `None` while a batch is being written.
    pub log_bytes: Option<u64>,
}

impl Stats {
    /// The counters; what they do not know is 0.
    pub fn status(&self) -> StoreStatus {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StoreStatus {
            batches: load(&self.batches),
            changes: load(&self.changes),
            body_bytes: load(&self.body_bytes),
            stalls: load(&self.stalls),
            maintenance_waits: load(&self.maintenance_waits),
            flushes: load(&self.flushes),
            flush_micros: load(&self.flush_micros),
            flush_micros_max: load(&self.flush_micros_max),
            flushed_bytes: load(&self.flushed_bytes),
            written_bytes: load(&self.written_bytes),
            blocks_written: load(&self.blocks_written),
            blocks_merged: load(&self.blocks_merged),
            blocks_swept: load(&self.blocks_swept),
            ..StoreStatus::default()
        }
    }
}
