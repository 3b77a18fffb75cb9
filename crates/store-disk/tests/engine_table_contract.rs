//! The table on the engine keeps the contract of the device.

use std::sync::Arc;
use store::device::Table;
use store_disk::{EngineSettings, EngineTable};
use testkit::table_suite::TablePlace;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a temporary folder"))
    }
}

impl TablePlace for Folder {
    fn open(&self) -> model::Result<Arc<dyn Table>> {
        let (tables, quarantine) = (self.0.path().join("tables"), self.0.path().join("quarantine"));
        std::fs::create_dir_all(&tables).expect("a folder for the tables");
        std::fs::create_dir_all(&quarantine).expect("a folder for the quarantine");
        Ok(Arc::new(EngineTable::open(&tables, &quarantine, EngineSettings::default())?))
    }
}

testkit::table_suite!(crate::Folder::new());
