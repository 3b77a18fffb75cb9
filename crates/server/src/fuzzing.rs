//! What the fuzz targets of `fuzz/` call: any bytes in, and what reading them promises is held. Not part of the crate's
//! interface.

use crate::{
    config::{self, Overrides},
    describe,
};
use std::path::Path;

/// A configuration: everything that is wrong with it is told, each with a line that the file has; or it can be described.
pub fn config(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let environment = |_: &str| None;
    let overrides = Overrides::default();
    let (outcome, asked) = config::read(text, Path::new("no such folder"), &environment, &overrides);
    assert!(asked.contains("listen"));
    match outcome {
        Ok(checked) => assert!(!describe::overview(&checked.config).is_empty()),
        Err(mistakes) => {
            let lines = 1 + text.bytes().filter(|byte| *byte == b'\n').count();
            assert!(!mistakes.is_empty());
            assert!(mistakes.iter().all(|mistake| (1..=lines).contains(&mistake.line) && !mistake.text.is_empty()));
        }
    }
}

/// A line of an export: one that is read is the same when it was written and read again.
pub fn export_line(input: &[u8]) {
    crate::transfer::fuzz_line(input);
}
