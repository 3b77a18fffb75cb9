//! Tokens of Agora callers, and the headers that show them.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dialect_agora::fuzzing::token(input));
