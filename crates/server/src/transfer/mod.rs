//! History as lines of JSON: out of one store and into another, with its ids, times and seqs. The format is told in
//! `docs/export-format.md`; why imports are as they are, in `docs/decisions/0013-export-import.md`.

mod batches;
mod beneath;
mod changes;
mod check;
mod command;
mod export;
mod import;
mod json;
mod limits;
mod line;
mod lines;
mod resume;
#[cfg(test)]
mod tests;

pub use command::{export, import};

/// Any bytes as a line, and as the second one of a file: one that is read is the same when it was written and read again.
pub(crate) fn fuzz_line(input: &[u8]) {
    let Ok(line) = line::Line::parse(input) else { return };
    let mut written = Vec::new();
    line.write(&mut written);
    assert_eq!(written.pop(), Some(b'\n'), "a line has an end");
    assert!(!written.contains(&b'\n'), "a line is one line");
    assert_eq!(line::Line::parse(&written), Ok(line.clone()));
    let _ = check::Check::new(u64::MAX).line(&line);
}
