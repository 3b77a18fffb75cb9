//! Lines of an export, as an import reads them.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| server::fuzzing::export_line(input));
