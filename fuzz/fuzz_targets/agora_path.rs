//! Paths of the Agora dialect, and the handles in them.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dialect_agora::fuzzing::path(input));
