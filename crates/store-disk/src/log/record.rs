//! One record as sectors: see `docs/storage-format.md`, "Log". Pure: bytes in, bytes out.
//!
//! The first byte of each sector is a tag that is never 0, so no written sector is all zeros and no payload byte can
//! stand where a record begins. Checksums are seeded with the segment's salt and the record's offset, so a record that
//! was written elsewhere, or in an earlier life of the segment, does not check.

use crate::settings::RECORD_BODY_BYTES;
use bytes::Bytes;
use store::device::LogRecord;
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub(crate) const SECTOR_BYTES: usize = 512;
pub(crate) const TAG_FIRST: u8 = 1;
pub(crate) const TAG_MORE: u8 = 2;
pub(crate) const ZERO_SECTOR: [u8; SECTOR_BYTES] = [0; SECTOR_BYTES];

const FORMAT_VERSION: u8 = 1;
const MAGIC: [u8; 6] = *b"SBKLOG";
const HEADER_BYTES: usize = 72;
const FIRST_BODY_BYTES: usize = SECTOR_BYTES - HEADER_BYTES;
const MORE_BODY_BYTES: usize = SECTOR_BYTES - 1;

/// Where a record lies; part of what its checksums cover.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub store_id: u64,
    pub generation: u64,
    pub salt: u64,
    /// Bytes from the start of the segment.
    pub offset: u64,
}

/// A header that checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub batch: u64,
    pub epoch: u64,
    pub reserved: u64,
    pub changes: u32,
    pub length: u32,
    body_checksum: u64,
}

/// Bytes that a record with a body of `length` bytes takes on disk.
pub(crate) fn padded_bytes(length: usize) -> usize {
    SECTOR_BYTES * (1 + length.saturating_sub(FIRST_BODY_BYTES).div_ceil(MORE_BODY_BYTES))
}

/// Appends the record's sectors to `buffer`.
pub(crate) fn encode(record: &LogRecord, place: Place, buffer: &mut Vec<u8>) {
    let start = buffer.len();
    let end = start + padded_bytes(record.body.len());
    buffer.reserve(end - start);
    let (first, more) = record.body.split_at(record.body.len().min(FIRST_BODY_BYTES));
    buffer.extend_from_slice(&[0; HEADER_BYTES]);
    buffer.extend_from_slice(first);
    for piece in more.chunks(MORE_BODY_BYTES) {
        buffer.push(TAG_MORE);
        buffer.extend_from_slice(piece);
    }
    buffer.resize(end, 0);
    let sectors = &mut buffer[start..];
    let body_checksum = checksum(&sectors[HEADER_BYTES..], place);
    write_header(record, place, body_checksum, &mut sectors[..HEADER_BYTES]);
}

fn write_header(record: &LogRecord, place: Place, body_checksum: u64, header: &mut [u8]) {
    header[0] = TAG_FIRST;
    header[1] = FORMAT_VERSION;
    header[2..8].copy_from_slice(&MAGIC);
    let numbers = [place.store_id, place.generation, record.batch, record.epoch, record.reserved];
    for (number, field) in numbers.iter().zip(header[8..48].chunks_exact_mut(8)) {
        field.copy_from_slice(&number.to_le_bytes());
    }
    header[48..52].copy_from_slice(&record.changes.to_le_bytes());
    header[52..56].copy_from_slice(&(record.body.len() as u32).to_le_bytes());
    header[56..64].copy_from_slice(&body_checksum.to_le_bytes());
    let header_checksum = checksum(&header[..64], place);
    header[64..72].copy_from_slice(&header_checksum.to_le_bytes());
}

/// The header in this sector, if it checks. The length it tells is within bounds.
pub(crate) fn decode_header(sector: &[u8], place: Place) -> Option<Header> {
    let number = |at: usize| u64::from_le_bytes(sector[at..at + 8].try_into().expect("8 bytes"));
    let half = |at: usize| u32::from_le_bytes(sector[at..at + 4].try_into().expect("4 bytes"));
    let known = sector[0] == TAG_FIRST && sector[1] == FORMAT_VERSION && sector[2..8] == MAGIC;
    let here = number(8) == place.store_id && number(16) == place.generation;
    if !known || !here || number(64) != checksum(&sector[..64], place) || half(52) as usize > RECORD_BODY_BYTES {
        return None;
    }
    Some(Header {
        batch: number(24),
        epoch: number(32),
        reserved: number(40),
        changes: half(48),
        length: half(52),
        body_checksum: number(56),
    })
}

/// The record in these sectors (as many as [`padded_bytes`] tells for the header), if its body checks.
pub(crate) fn decode(header: &Header, sectors: &[u8], place: Place) -> Option<LogRecord> {
    if checksum(&sectors[HEADER_BYTES..], place) != header.body_checksum {
        return None;
    }
    let length = header.length as usize;
    let mut body = Vec::with_capacity(sectors.len());
    body.extend_from_slice(&sectors[HEADER_BYTES..SECTOR_BYTES]);
    for sector in sectors[SECTOR_BYTES..].chunks_exact(SECTOR_BYTES) {
        body.extend_from_slice(&sector[1..]);
    }
    body.truncate(length);
    let Header { batch, epoch, reserved, changes, .. } = *header;
    Some(LogRecord { batch, epoch, reserved, changes, body: Bytes::from(body) })
}

/// The checksum of bytes that lie here.
pub(crate) fn checksum(bytes: &[u8], place: Place) -> u64 {
    let seed = place.salt ^ place.offset.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    xxh3_64_with_seed(bytes, seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { store_id: 7, generation: 3, salt: 0xfeed, offset: 1024 };

    fn sample(bytes: usize) -> LogRecord {
        LogRecord { batch: 9, epoch: 2, reserved: 77, changes: 5, body: Bytes::from(vec![0; bytes]) }
    }

    fn encoded(record: &LogRecord) -> Vec<u8> {
        let mut buffer = Vec::new();
        encode(record, PLACE, &mut buffer);
        buffer
    }

    #[test]
    fn no_written_sector_is_all_zeros_even_if_the_body_is() {
        for bytes in [0, 1, 440, 441, 951, 952, 5000] {
            let sectors = encoded(&sample(bytes));
            assert_eq!(sectors.len(), padded_bytes(bytes));
            assert!(sectors.chunks_exact(SECTOR_BYTES).all(|sector| sector != ZERO_SECTOR));
            let header = decode_header(&sectors[..SECTOR_BYTES], PLACE).expect("the header checks");
            assert_eq!(decode(&header, &sectors, PLACE), Some(sample(bytes)));
        }
    }

    #[test]
    fn any_flipped_bit_is_noticed_padding_included() {
        let sectors = encoded(&sample(700));
        for bit in 0..sectors.len() * 8 {
            let mut flipped = sectors.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let header = decode_header(&flipped[..SECTOR_BYTES], PLACE);
            let read = header.and_then(|header| decode(&header, &flipped, PLACE));
            assert_eq!(read, None, "bit {bit}");
        }
    }

    #[test]
    fn a_record_checks_only_where_it_was_written() {
        let sectors = encoded(&sample(10));
        let elsewhere = [
            Place { offset: 1536, ..PLACE },
            Place { salt: 1, ..PLACE },
            Place { generation: 4, ..PLACE },
            Place { store_id: 8, ..PLACE },
        ];
        for place in elsewhere {
            assert_eq!(decode_header(&sectors[..SECTOR_BYTES], place), None);
        }
    }
}
