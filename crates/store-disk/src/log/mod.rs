//! The log on one machine: [`FileLog`], records as checked sectors in zero-filled, recycled segments (`store.md` §1;
//! every byte in `docs/storage-format.md`, "Log"). What a record holds is the business of `store`.

mod damage;
mod file_log;
pub mod fuzzing;
mod pool;
mod record;
mod scan;
mod superblock;

#[cfg(test)]
mod sim_disk;
#[cfg(test)]
mod store_tests;
#[cfg(test)]
mod tests;

pub use damage::Loss;
pub use file_log::FileLog;
pub(crate) use file_log::{make_empty, random};
