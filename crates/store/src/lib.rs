//! How history is kept: a log that decides, a tail in memory, blocks in a table. Knows no file, no network and no
//! engine, only the two devices of [`device`].
//!
//! [`KeptStore`] is the store. A batch goes through `commit` into the log and the `tail`; `flush` moves full tails into
//! `block`s and `rows` of the table; every read takes one `view` of all three. The formats are told where they are made:
//! `codec` (log), `content`, `block`, `rows`, `meta`, `keys`; `docs/storage-format.md` has them in one place.

mod alteration;
mod altered;
mod at_hand;
mod block;
mod changes;
mod channels;
mod codec;
mod commit;
mod content;
mod count;
mod dedup;
pub mod device;
mod edits;
mod erase;
mod expiring;
mod facts;
mod feed;
mod flush;
#[doc(hidden)]
pub mod fuzzing;
mod kept_store;
mod keys;
mod lists;
mod merge;
mod meta;
mod pick;
mod positions;
mod reactions;
mod read;
mod records;
mod removable;
mod removed;
mod rows;
#[cfg(test)]
mod samples;
mod scan;
mod selection;
mod settings;
mod stats;
mod sweep;
mod tail;
mod verify;
mod verify_altered;
mod view;
mod walk;
mod wire;

pub use kept_store::{KeptStore, Rest};
pub use settings::Settings;
pub use stats::StoreStatus;
pub use verify::{Finding, Progress};
