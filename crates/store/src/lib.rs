//! How history is kept: a log that decides, a tail in memory, blocks in a table. Knows no file, no network and no
//! engine, only the two devices of [`device`].

pub mod device;
