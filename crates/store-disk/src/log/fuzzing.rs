//! What the fuzz targets of the log call: any bytes in, and what reading them promises is held. Bytes get the checksums that
//! fit, so that what lies behind them is reached. Not part of the crate's interface.

use super::{
    record::{self, Place, SECTOR_BYTES},
    superblock::{self, CHECKED_BYTES, MAGIC, SUPER_BYTES},
};
use bytes::Bytes;
use std::ops::Range;
use store::device::LogRecord;
use xxhash_rust::xxh3::xxh3_64;

const PLACE: Place = Place { store_id: 7, generation: 3, salt: 0xfeed, offset: 1024 };

/// Any numbers for the header of a record, then its body: a record that is read is the same when it was written anew.
pub fn record(input: &[u8]) {
    let Some((numbers, body)) = input.split_at_checked(NUMBERS.len()) else { return };
    let whole = LogRecord { batch: 0, epoch: 0, reserved: 0, changes: 0, body: Bytes::copy_from_slice(body) };
    let mut sectors = encoded(&whole);
    sectors[NUMBERS].copy_from_slice(numbers);
    let checksum = record::checksum(&sectors[..CHECKSUM.start], PLACE);
    sectors[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
    if let Some(found) = decoded(&sectors) {
        assert_eq!(decoded(&encoded(&found)), Some(found));
    }
}

fn decoded(sectors: &[u8]) -> Option<LogRecord> {
    let header = record::decode_header(&sectors[..SECTOR_BYTES], PLACE)?;
    let sectors = sectors.get(..record::padded_bytes(header.length as usize))?;
    record::decode(&header, sectors, PLACE)
}

fn encoded(record: &LogRecord) -> Vec<u8> {
    let mut sectors = Vec::new();
    record::encode(record, PLACE, &mut sectors);
    sectors
}

/// Where the numbers of a record lie in its header (`docs/storage-format.md`, "Log"), and the checksum of the header.
const NUMBERS: Range<usize> = 24..56;
const CHECKSUM: Range<usize> = 64..72;

/// A copy of `super` with its magic and its checksum right: one that is read is the same when it was written anew.
pub fn superblock(input: &[u8]) {
    let mut bytes = input.to_vec();
    bytes.resize(SUPER_BYTES, 0);
    let _ = superblock::decode(&bytes);
    bytes[..MAGIC.len()].copy_from_slice(&MAGIC);
    let checksum = xxh3_64(&bytes[..CHECKED_BYTES]);
    bytes[CHECKED_BYTES..].copy_from_slice(&checksum.to_le_bytes());
    if let Ok(found) = superblock::decode(&bytes) {
        assert_eq!(superblock::decode(&superblock::encode(&found)), Ok(found));
    }
}
