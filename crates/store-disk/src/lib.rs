//! The devices on one machine: a log in files ([`FileLog`]) and a table on an embedded engine ([`EngineTable`]), both
//! in one data folder that [`open`] locks and checks; and copies of such a folder, taken while it is in use
//! ([`BackupFolder`]). What is kept in them is the business of `store`.

mod backup;
mod ballast;
mod disk;
mod folder;
#[doc(hidden)]
pub mod fuzzing;
mod log;
mod settings;
mod table;

pub use backup::{
    Added, BackupFolder, Capture, Place, Point, PointSummary, StoredFile, capture, captured, link_store, restore,
};
pub use folder::{DiskSettings, FolderLock, open, verify_tables};
pub use log::{FileLog, Loss};
pub use settings::{EngineSettings, FileLogSettings};
pub use table::EngineTable;
