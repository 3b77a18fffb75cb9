//! The real store on memory devices, and the ways in which a test can treat it.

use crate::{LogDisk, LogFault, Outcome, TableDisk, store_suite::StoreUnderTest};
use model::{AppId, Store};
use std::sync::Arc;
use store::{KeptStore, Settings};

/// A store and the disks below it, which outlive it.
pub struct OnMemory {
    /// The store. Who holds a clone beyond a restart or a crash holds a dead one.
    pub store: Arc<KeptStore>,
    /// Below its log.
    pub log: LogDisk,
    /// Below its table.
    pub table: TableDisk,
    /// How it was opened, and will be again.
    pub settings: Settings,
}

impl OnMemory {
    /// The store that lies on these disks.
    ///
    /// # Panics
    ///
    /// When it does not open.
    pub fn open(log: LogDisk, table: TableDisk, settings: Settings) -> OnMemory {
        let store = KeptStore::open(Box::new(log.open()), Arc::new(table.open()), settings.clone());
        OnMemory { store: Arc::new(store.expect("a store opens on whole devices")), log, table, settings }
    }

    /// A store on empty disks that lists an app by author and recipient, and flushes at so many bytes in its tail.
    pub fn listing(app: AppId, tail_bytes: usize) -> OnMemory {
        let piece_bytes = tail_bytes / 2;
        OnMemory::empty(Settings { tail_bytes, piece_bytes, indexed_apps: Some([app].into()), ..Settings::default() })
    }

    /// Whether there is something in the tail.
    pub fn has_tail(&self) -> bool {
        let status = self.store.status();
        status.checkpoint < status.last_batch
    }

    /// A store on empty disks.
    pub fn empty(settings: Settings) -> OnMemory {
        OnMemory::open(LogDisk::new(), TableDisk::new(), settings)
    }
}

impl StoreUnderTest for OnMemory {
    fn store(&self) -> &dyn Store {
        &*self.store
    }

    fn restart(self) -> OnMemory {
        drop(self.store);
        OnMemory::open(self.log, self.table, self.settings)
    }

    fn crash(self) -> OnMemory {
        self.log.cut_power(false);
        self.table.cut_power();
        drop(self.store);
        OnMemory::open(self.log, self.table, self.settings)
    }

    fn next_apply(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Happens => {}
            Outcome::Refused => self.log.plan(LogFault::Refuse),
            Outcome::UnknownWritten => self.log.plan(LogFault::UnknownKept),
            Outcome::UnknownLost => self.log.plan(LogFault::UnknownLost),
        }
        true
    }

    fn flush(&self) {
        self.store.flush().expect("a flush works when nothing is broken");
    }
}
