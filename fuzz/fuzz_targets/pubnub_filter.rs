//! Filter expressions of PubNub's subscribe.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dialect_pubnub::fuzzing::filter(input));
