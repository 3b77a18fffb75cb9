//! Queries and counts of an Agora caller.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dialect_agora::fuzzing::query(input));
