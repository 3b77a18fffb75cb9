//! Binary frames of Osmium's clients.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| dialect_osmium::fuzzing::frame(input));
