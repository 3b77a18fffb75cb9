//! Reads a segment and tells torn from damaged (`store.md` §1).

use super::{
    record::{self, Header, Place, SECTOR_BYTES, TAG_MORE, ZERO_SECTOR},
    superblock::Entry,
};
use crate::{
    disk::DiskFile,
    settings::{READ_PIECE_BYTES, RECORD_BODY_BYTES},
};
use model::Error;
use std::{io, sync::Arc};
use store::device::LogRecord;

/// Why a scan ended before the end.
pub(crate) enum Stop {
    /// The segment is damaged.
    Damage(Damage),
    /// The visitor returned this.
    Visitor(Error),
}

/// A place in a segment that a cut cannot explain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Damage {
    /// Bytes from the start of the segment.
    pub offset: u64,
    /// The record that should have been there.
    pub batch: u64,
    pub reason: String,
}

/// Reads one segment of the log.
pub(crate) struct Scan<'a> {
    pub store_id: u64,
    pub entry: &'a Entry,
    /// The first batch of the next segment; `None` for the last segment, which alone may end torn.
    pub until: Option<u64>,
}

impl Scan<'_> {
    /// Calls `visit` with each record, in order.
    pub fn run(
        &self,
        file: Arc<dyn DiskFile>,
        visit: &mut dyn FnMut(LogRecord) -> model::Result<()>,
    ) -> Result<(), Stop> {
        let (mut offset, mut batch) = (0, self.entry.first_batch);
        let damage = |offset, batch, reason: String| Stop::Damage(Damage { offset, batch, reason });
        let mut pieces = Pieces::new(file).map_err(|error| damage(0, batch, error.to_string()))?;
        if pieces.end != u64::from(self.entry.sectors) * SECTOR_BYTES as u64 {
            return Err(damage(
                0,
                batch,
                format!("the file has {} bytes, not {} sectors", pieces.end, self.entry.sectors),
            ));
        }
        while self.until != Some(batch) {
            let found = self.read(&mut pieces, offset, batch);
            match found.map_err(|error| damage(offset, batch, format!("it cannot be read: {error}")))? {
                Found::Record(record) => {
                    offset += record::padded_bytes(record.body.len()) as u64;
                    visit(record).map_err(Stop::Visitor)?;
                    batch += 1;
                }
                Found::Wrong(reason) => return Err(damage(offset, batch, reason)),
                Found::End if self.until.is_none() => return Ok(()),
                Found::End => return Err(damage(offset, batch, "the segment ends before the next one begins".into())),
            }
        }
        Ok(())
    }

    /// How many headers with a number of at least `batch` check, and the last of these numbers: what a loss would cost.
    pub fn count_from(&self, file: Arc<dyn DiskFile>, batch: u64) -> (u64, Option<u64>) {
        let (mut count, mut last) = (0, None);
        let Ok(mut pieces) = Pieces::new(file) else { return (0, None) };
        for offset in (0..pieces.end).step_by(SECTOR_BYTES) {
            let Ok(sector) = pieces.read(offset, SECTOR_BYTES) else { continue };
            if let Some(header) = record::decode_header(sector, self.place(offset))
                && header.batch >= batch
            {
                (count, last) = (count + 1, last.max(Some(header.batch)));
            }
        }
        (count, last)
    }

    fn place(&self, offset: u64) -> Place {
        self.entry.place(self.store_id, offset)
    }

    fn read(&self, pieces: &mut Pieces, offset: u64, batch: u64) -> io::Result<Found> {
        if offset + SECTOR_BYTES as u64 > pieces.end {
            return Ok(Found::End);
        }
        let Some(header) = record::decode_header(pieces.read(offset, SECTOR_BYTES)?, self.place(offset)) else {
            return self.without_header(pieces, offset);
        };
        let bytes = record::padded_bytes(header.length as usize);
        if offset + bytes as u64 > pieces.end {
            return Ok(Found::Wrong("a record reaches over the end of its segment".into()));
        }
        if header.batch != batch {
            return Ok(Found::Wrong(format!("it holds batch {} where batch {batch} belongs", header.batch)));
        }
        match record::decode(&header, pieces.read(offset, bytes)?, self.place(offset)) {
            Some(record) => Ok(Found::Record(record)),
            None => self.without_body(pieces, offset, &header),
        }
    }

    /// Torn if its first sector was never written, and what follows can be the rest of one record.
    fn without_header(&self, pieces: &mut Pieces, offset: u64) -> io::Result<Found> {
        if pieces.read(offset, SECTOR_BYTES)? != ZERO_SECTOR {
            return Ok(Found::Wrong("a header does not check, and its sector was written".into()));
        }
        let end = pieces.end.min(offset + record::padded_bytes(RECORD_BODY_BYTES) as u64);
        self.torn_if_last(pieces, offset, end, "the first sector of a record is missing, and more follows")
    }

    /// Torn if one of its sectors was never written, and nothing follows.
    fn without_body(&self, pieces: &mut Pieces, offset: u64, header: &Header) -> io::Result<Found> {
        let bytes = record::padded_bytes(header.length as usize);
        let sectors = pieces.read(offset, bytes)?;
        if !sectors.chunks_exact(SECTOR_BYTES).any(|sector| sector == ZERO_SECTOR) {
            return Ok(Found::Wrong("a record does not check, and all its sectors were written".into()));
        }
        self.torn_if_last(pieces, offset, offset + bytes as u64, "a record lacks sectors, and more follows")
    }

    /// After the first sector up to `end` only further sectors of one record, after that only zeros.
    fn torn_if_last(&self, pieces: &mut Pieces, offset: u64, end: u64, reason: &str) -> io::Result<Found> {
        for at in (offset + SECTOR_BYTES as u64..end).step_by(SECTOR_BYTES) {
            let sector = pieces.read(at, SECTOR_BYTES)?;
            if sector[0] != TAG_MORE && sector != ZERO_SECTOR {
                return Ok(Found::Wrong(format!("{reason} at offset {at}")));
            }
        }
        Ok(match pieces.first_not_zero(end)? {
            None => Found::End,
            Some(at) => Found::Wrong(format!("{reason} at offset {at}")),
        })
    }
}

enum Found {
    Record(LogRecord),
    /// Nothing more, or a torn record.
    End,
    /// Damage.
    Wrong(String),
}

/// A file, read forwards in pieces.
struct Pieces {
    file: Arc<dyn DiskFile>,
    /// Its length, whole sectors only.
    end: u64,
    buffer: Vec<u8>,
    buffer_at: u64,
}

impl Pieces {
    fn new(file: Arc<dyn DiskFile>) -> io::Result<Pieces> {
        let sector = SECTOR_BYTES as u64;
        let end = file.len()? / sector * sector;
        Ok(Pieces { file, end, buffer: Vec::new(), buffer_at: 0 })
    }

    /// `bytes` bytes at `offset`, which lie before the end.
    fn read(&mut self, offset: u64, bytes: usize) -> io::Result<&[u8]> {
        let held = self.buffer_at..self.buffer_at + self.buffer.len() as u64;
        if offset < held.start || offset + bytes as u64 > held.end {
            let wanted = bytes.max(READ_PIECE_BYTES).min((self.end - offset) as usize);
            self.buffer.resize(wanted, 0);
            self.buffer_at = offset;
            let read = self.file.read_exact_at(&mut self.buffer, offset);
            if read.is_err() {
                self.buffer.clear();
            }
            read?;
        }
        let from = (offset - self.buffer_at) as usize;
        self.buffer.get(from..from + bytes).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Where the first sector at or after `offset` lies that is not all zeros.
    fn first_not_zero(&mut self, offset: u64) -> io::Result<Option<u64>> {
        for at in (offset..self.end).step_by(SECTOR_BYTES) {
            if self.read(at, SECTOR_BYTES)? != ZERO_SECTOR {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }
}
