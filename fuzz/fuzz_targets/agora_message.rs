//! What an Agora caller sends to a user or to a channel.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dialect_agora::fuzzing::message(input));
