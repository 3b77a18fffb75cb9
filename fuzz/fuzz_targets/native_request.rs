//! Paths and queries of the native API.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dialect_native::fuzzing::request(input));
