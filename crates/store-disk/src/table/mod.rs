//! The table on one machine: [`EngineTable`], spaces as keyspaces of the embedded engine. Rows are written straight
//! into table files, never through the engine's journal (`docs/decisions/0003-engine-ingestion.md`).

mod engine;
mod engine_table;
mod inventory;
mod making;
mod snapshot;

pub use engine_table::EngineTable;
pub(crate) use inventory::{remove_unfinished, verify};
