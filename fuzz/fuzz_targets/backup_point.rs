//! Lists of points in a folder of backups.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| store_disk::fuzzing::point(input));
