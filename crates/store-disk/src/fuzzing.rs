//! What the fuzz targets of `fuzz/` call, from where each format is read. Not part of the crate's interface.

pub use crate::{
    backup::fuzz_point as point,
    log::fuzzing::{record, superblock},
};
