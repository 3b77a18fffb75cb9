//! What a Scaledrone client sends over one connection.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dialect_scaledrone::fuzzing::frames(input));
