//! The devices on one machine: a log in files ([`FileLog`]) and a table on an embedded engine ([`EngineTable`]), both
//! in one data folder that [`open`] locks and checks. What is kept in them is the business of `store`.

mod ballast;
mod disk;
mod folder;
mod log;
mod settings;
mod table;

pub use folder::{DiskSettings, FolderLock, open, verify_tables};
#[doc(hidden)]
pub use log::fuzzing;
pub use log::{FileLog, Loss};
pub use settings::{EngineSettings, FileLogSettings};
pub use table::EngineTable;
