//! The list of the log's segments.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| store_disk::fuzzing::superblock(input));
