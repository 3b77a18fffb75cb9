//! The devices on one machine: a log in files and a table on an embedded engine.

mod disk;
mod log;
mod settings;

pub use log::{FileLog, Loss};
pub use settings::{EngineSettings, FileLogSettings};
