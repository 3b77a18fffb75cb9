//! The lines of an export, each bounded: one after the other, or again from a place.

use super::{limits::LINE_BYTES, line::Line};
use anyhow::{Context, anyhow, ensure};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

const READ_BYTES: usize = 1 << 20;

/// A reader of lines.
pub(super) struct Lines<R> {
    source: BufReader<R>,
    line: Vec<u8>,
    next: At,
}

/// Where a line begins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(super) struct At {
    pub offset: u64,
    /// Lines before it.
    pub lines: u64,
}

impl<R: Read + Seek> Lines<R> {
    /// From the beginning.
    pub fn of(source: R) -> anyhow::Result<Lines<R>> {
        let source = BufReader::with_capacity(READ_BYTES, source);
        let mut lines = Lines { source, line: Vec::new(), next: At::default() };
        lines.go_to(At::default())?;
        Ok(lines)
    }

    /// The next one, without its end.
    pub fn next(&mut self) -> anyhow::Result<Option<&[u8]>> {
        self.line.clear();
        let bound = LINE_BYTES as u64 + 1;
        let mut bounded = (&mut self.source).take(bound);
        let bytes = bounded.read_until(b'\n', &mut self.line).context("reading the export")? as u64;
        if bytes == 0 {
            return Ok(None);
        }
        self.next = At { offset: self.next.offset + bytes, lines: self.next.lines + 1 };
        let ended = self.line.pop_if(|last| *last == b'\n').is_some();
        ensure!(ended || bytes < bound, "line {}: it is longer than {LINE_BYTES} bytes", self.number());
        Ok(Some(&self.line))
    }

    /// The next one as a value.
    pub fn parsed(&mut self) -> anyhow::Result<Option<Line>> {
        let parsed = self.next()?.map(Line::parse).transpose();
        parsed.map_err(|reason| anyhow!("line {}: {reason}", self.number()))
    }

    /// The number of the last one, from 1 on.
    pub fn number(&self) -> u64 {
        self.next.lines
    }

    /// Where the next one begins.
    pub fn at(&self) -> At {
        self.next
    }

    /// Goes on, or back, to a line.
    pub fn go_to(&mut self, at: At) -> anyhow::Result<()> {
        self.source.seek(SeekFrom::Start(at.offset)).context("reading the export")?;
        self.next = at;
        Ok(())
    }
}
