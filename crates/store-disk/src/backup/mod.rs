//! Backups: points of a store, copied into a folder of their own while the store is in use.
//!
//! A point is a list of files and a place in the order of things. It needs no log: [`capture`] takes it when everything
//! up to that place is in the tables. Files of the tables are never changed, so each is copied once, under a name made
//! of its checksum, for all points that have it. The list of a point comes last: a point that is listed is whole.
//!
//! ```text
//! scrollback.backup     format version, id of the store
//! lock                  held by who writes or reads the folder
//! files/CHECKSUM-BYTES  a file of one point or of many
//! points/ID             the list of a point (module `point`); ID is the last id that it has
//! ```

mod capture;
mod copy;
mod folder;
mod point;
mod restore;

pub(crate) use capture::clear as clear_capture;
pub use capture::{Capture, capture, captured, link_store};
pub use folder::{Added, BackupFolder, PointSummary};
pub use point::{Place, Point, StoredFile, fuzz_point};
pub(crate) use restore::refuse_unfinished;
pub use restore::restore;
