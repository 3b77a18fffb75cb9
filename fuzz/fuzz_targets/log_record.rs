//! Records of the log.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| store_disk::fuzzing::record(input));
