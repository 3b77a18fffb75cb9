//! What the tests of every crate stand on: the oracle of the store, devices in memory that fail on purpose, contract
//! suites that every implementation must pass, and a clock that tests move.

mod agree;
mod batch_builder;
mod channel_state;
mod fanout;
mod faults;
mod fields;
pub mod history;
pub mod judge;
pub mod log_suite;
mod manual_clock;
mod memory_log;
mod memory_store;
mod memory_table;
mod on_memory;
pub mod random;
mod selected;
pub mod store_suite;
mod store_wrapper;
pub mod table_suite;
mod valid_batch;

pub use batch_builder::{BatchBuilder, FIRST_TICK};
pub use channel_state::{ChannelState, removal_of};
pub use fanout::{Harm, LossyFanout, LossyNetwork};
pub use faults::{Faults, Gate, Outcome};
pub use fields::{Fields, app, channel, setting, user};
pub use manual_clock::ManualClock;
pub use memory_log::{LogDisk, LogFault, MemoryLog};
pub use memory_store::MemoryStore;
pub use memory_table::{MemoryTable, TableDisk, TableFault};
pub use on_memory::OnMemory;
pub use selected::selected;
pub use store_wrapper::{StoreWrapper, Wrapped};
