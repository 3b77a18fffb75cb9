//! Keys of the table.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| store::fuzzing::key(input));
