//! Access tokens of PubNub's clients.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dialect_pubnub::fuzzing::token(input));
