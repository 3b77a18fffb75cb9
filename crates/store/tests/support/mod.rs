//! A store on memory devices, and the ways in which a test can treat it.

use model::{AppId, Store};
use std::{collections::BTreeSet, sync::Arc};
use store::{KeptStore, Settings};
use testkit::{LogDisk, LogFault, Outcome, TableDisk, store_suite::StoreUnderTest};

/// A store and the disks below it, which outlive it.
pub struct OnMemory {
    pub store: KeptStore,
    pub log: LogDisk,
    pub table: TableDisk,
    pub settings: Settings,
}

/// Tails so small that most tests flush often.
#[allow(dead_code, reason = "not every test file uses every helper")]
pub fn small_tails() -> Settings {
    Settings { tail_bytes: 4 << 10, piece_bytes: 2 << 10, ..Settings::default() }
}

/// The same, with the apps of the tests listed by author and recipient.
#[allow(dead_code, reason = "not every test file uses every helper")]
pub fn listed(settings: Settings) -> Settings {
    Settings { indexed_apps: Some(apps()), ..settings }
}

/// The apps of the tests.
pub fn apps() -> BTreeSet<AppId> {
    ["demo", "demo2"].into_iter().map(|app| AppId::new(app).expect("a valid name")).collect()
}

impl OnMemory {
    pub fn open(log: LogDisk, table: TableDisk, settings: Settings) -> OnMemory {
        let store = KeptStore::open(Box::new(log.open()), Arc::new(table.open()), settings.clone());
        OnMemory { store: store.expect("a store opens on whole devices"), log, table, settings }
    }

    #[allow(dead_code, reason = "not every test file uses every helper")]
    pub fn empty(settings: Settings) -> OnMemory {
        OnMemory::open(LogDisk::new(), TableDisk::new(), settings)
    }
}

impl StoreUnderTest for OnMemory {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    fn restart(self) -> OnMemory {
        self.store.close();
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
