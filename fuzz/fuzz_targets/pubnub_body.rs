//! Bodies of PubNub's clients, compressed or not.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dialect_pubnub::fuzzing::body(input));
