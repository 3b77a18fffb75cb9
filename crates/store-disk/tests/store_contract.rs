//! The contract of `Store`, held against the store on real files, with tails so small that nearly everything is in
//! the engine's tables.

use model::{AppId, Store};
use std::sync::Arc;
use store::{KeptStore, Settings};
use store_disk::{DiskSettings, FileLogSettings, FolderLock, open};
use tempfile::TempDir;
use testkit::store_suite::StoreUnderTest;

/// A store in a folder of its own. Fields end in the order of their names here: the store before the lock.
struct OnDisk {
    store: KeptStore,
    lock: FolderLock,
    dir: TempDir,
}

impl OnDisk {
    fn in_folder(dir: TempDir) -> OnDisk {
        let log = FileLogSettings { segment_bytes: 8 << 20, segments: 3, reserve: 1, ..FileLogSettings::default() };
        let disk = DiskSettings { log, ballast_bytes: 0, ..DiskSettings::default() };
        let (log, table, lock) = open(dir.path(), &disk).expect("the folder opens");
        let apps = ["demo", "demo2"].into_iter().map(|app| AppId::new(app).expect("a valid name"));
        let indexed_apps = Some(apps.collect());
        let settings = Settings { tail_bytes: 32 << 10, tail_log_bytes: 8 << 20, indexed_apps, ..Settings::default() };
        let store = KeptStore::open(Box::new(log), Arc::new(table), settings).expect("the store opens");
        OnDisk { store, lock, dir }
    }
}

impl StoreUnderTest for OnDisk {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    fn restart(self) -> OnDisk {
        let OnDisk { store, lock, dir } = self;
        store.close();
        drop(lock);
        OnDisk::in_folder(dir)
    }

    fn flush(&self) {
        self.store.flush().expect("a flush works when nothing is broken");
    }
}

testkit::store_suite!(|| OnDisk::in_folder(tempfile::tempdir().expect("a temporary folder")));
