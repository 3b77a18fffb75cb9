//! Tokens of Scaledrone's clients.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dialect_scaledrone::fuzzing::token(input));
