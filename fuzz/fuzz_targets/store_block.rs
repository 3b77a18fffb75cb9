//! Blocks of messages.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| store::fuzzing::block(input));
