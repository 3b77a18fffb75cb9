//! What the tests of every crate stand on: the oracle of the store, devices in memory that fail on purpose, contract
//! suites that every implementation must pass, and a clock that tests move.

mod faults;
mod memory_store;

pub use faults::{Faults, Gate, Outcome};
pub use memory_store::MemoryStore;
