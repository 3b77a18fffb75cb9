//! Bodies of batches.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| store::fuzzing::batch(input));
