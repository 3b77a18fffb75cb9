//! A block: up to 128 neighbouring messages of a channel as one value. What is needed to find a message lies in front,
//! uncompressed; the contents behind are decompressed only for those who read them.
//!
//! ```text
//! block  = version u8 (1) ‖ codec u8 ‖ upto ‖ count ‖ seqs ‖ ids ‖ expiries ‖ lengths ‖ contents ‖ checksum u64
//! seqs   = number of runs ‖ (gap to the seq after the last run, or the first seq ‖ length of the run)…
//! ids    = first id ‖ (difference to the one before)…
//! expiries = how many ‖ (index ‖ expires at)…
//! lengths  = bytes of each content, before compression
//! ```
//!
//! Numbers are LEB128. `upto` is the last batch that was merged in. The checksum (XXH3, little-endian) covers the key and
//! everything before it, and is checked whenever a block is read.

use crate::{
    keys::BlockKey,
    settings::{BLOCK_MESSAGES, BLOCK_RAW_BYTES, CONTENT_BYTES_MAX},
    wire::{Malformed, Parsed, Reader, put_runs, put_varint},
};
use bytes::Bytes;
use model::{Id, Seq, SeqRange};
use std::{cell::RefCell, ops::Range};
use xxhash_rust::xxh3::Xxh3Default;

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 8;
const RAW_BYTES_MAX: usize = BLOCK_RAW_BYTES + CONTENT_BYTES_MAX;
/// Contents below this are not worth a codec of their own: the table compresses neighbours together.
const COMPRESSED_FROM: usize = 512;
const ZSTD_LEVEL: i32 = 3;

/// How the contents of a block are compressed. Stored as a number; numbers are never reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Codec {
    None = 0,
    Lz4 = 1,
    Zstd = 2,
}

/// A message on its way into a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub id: Id,
    pub seq: Seq,
    pub expires_at: Option<Id>,
    /// As `content` encodes it.
    pub content: Bytes,
}

/// Encodes rows (1 to 128, by growing id and seq) as a block. `cold` blocks will hardly be rewritten: they are worth the
/// better codec.
pub(crate) fn encode(channel: u64, upto: u64, rows: &[Row], cold: bool) -> (BlockKey, Bytes) {
    debug_assert!((1..=BLOCK_MESSAGES as usize).contains(&rows.len()));
    let key = BlockKey { channel, first: rows[0].id, upto };
    let mut raw = Vec::with_capacity(rows.iter().map(|row| row.content.len()).sum());
    rows.iter().for_each(|row| raw.extend_from_slice(&row.content));
    let (codec, contents) = compress(raw, cold);
    let mut out = Vec::with_capacity(contents.len() + rows.len() * 6 + 64);
    out.push(VERSION);
    out.push(codec as u8);
    put_varint(&mut out, upto);
    put_varint(&mut out, rows.len() as u64);
    put_runs(&mut out, &SeqRange::runs(rows.iter().map(|row| row.seq)));
    put_varint(&mut out, rows[0].id.raw());
    for pair in rows.windows(2) {
        put_varint(&mut out, pair[1].id.raw() - pair[0].id.raw());
    }
    put_varint(&mut out, rows.iter().filter(|row| row.expires_at.is_some()).count() as u64);
    for (index, row) in rows.iter().enumerate() {
        if let Some(expires_at) = row.expires_at {
            put_varint(&mut out, index as u64);
            put_varint(&mut out, expires_at.raw());
        }
    }
    for row in rows {
        put_varint(&mut out, row.content.len() as u64);
    }
    out.extend_from_slice(&contents);
    let value = seal(&key, out);
    (key, value)
}

/// A block with its checksum behind everything that comes before it.
pub(crate) fn seal(key: &BlockKey, mut body: Vec<u8>) -> Bytes {
    let checksum = checksum(key, &body);
    body.extend_from_slice(&checksum.to_le_bytes());
    body.into()
}

fn compress(raw: Vec<u8>, cold: bool) -> (Codec, Vec<u8>) {
    if raw.len() < COMPRESSED_FROM {
        return (Codec::None, raw);
    }
    let (codec, compressed) = match cold {
        true => {
            (Codec::Zstd, COMPRESSOR.with_borrow_mut(|zstd| zstd.as_mut().and_then(|zstd| zstd.compress(&raw).ok())))
        }
        false => (Codec::Lz4, Some(lz4_flex::block::compress(&raw))),
    };
    match compressed {
        // Reading pays for decompression: a tenth at least must be won.
        Some(compressed) if compressed.len() < raw.len() / 10 * 9 => (codec, compressed),
        _ => (Codec::None, raw),
    }
}

thread_local! {
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> =
        RefCell::new(zstd::bulk::Compressor::new(ZSTD_LEVEL).ok());
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> =
        RefCell::new(zstd::bulk::Decompressor::new().ok());
}

fn checksum(key: &BlockKey, bytes: &[u8]) -> u64 {
    let mut hash = Xxh3Default::new();
    hash.update(&key.encode());
    hash.update(bytes);
    hash.digest()
}

/// A block that was read: its head is understood, its contents are still packed.
#[derive(Debug)]
pub(crate) struct Block {
    pub key: BlockKey,
    /// Growing.
    pub ids: Vec<Id>,
    runs: Vec<SeqRange>,
    /// (index, expires at), by growing index.
    pub expiries: Vec<(usize, Id)>,
    /// Where each content ends in the raw bytes.
    ends: Vec<usize>,
    codec: Codec,
    packed: Bytes,
}

impl Block {
    /// Checks the checksum and reads the head.
    pub fn parse(key: &[u8], value: &Bytes) -> Parsed<Block> {
        let key = BlockKey::parse(key)?;
        let body_bytes = value.len().checked_sub(CHECKSUM_BYTES).ok_or(Malformed("block: too short"))?;
        let body = value.slice(..body_bytes);
        let stored = Reader::at(value, body_bytes)?.u64()?;
        if body.first() != Some(&VERSION) {
            return Err(Malformed("block: of a version that this program does not know"));
        }
        if checksum(&key, &body) != stored {
            return Err(Malformed("block: its checksum does not fit"));
        }
        Block::parse_checked(key, &body)
    }

    fn parse_checked(key: BlockKey, body: &Bytes) -> Parsed<Block> {
        let mut reader = Reader::new(body);
        reader.u8()?;
        let codec = match reader.u8()? {
            0 => Codec::None,
            1 => Codec::Lz4,
            2 => Codec::Zstd,
            _ => return Err(Malformed("codec of a block")),
        };
        let upto = reader.varint()?;
        let count = reader.count(BLOCK_MESSAGES as usize, "number of messages in a block")?;
        let runs = read_runs(&mut reader, count)?;
        let ids = read_ids(&mut reader, count)?;
        if count == 0 || ids[0] != key.first || upto != key.upto {
            return Err(Malformed("block: it does not belong under its key"));
        }
        let expiries = read_expiries(&mut reader, count)?;
        let ends = read_ends(&mut reader, count)?;
        let packed = body.slice(reader.rest());
        Ok(Block { key, ids, runs, expiries, ends, codec, packed })
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn last(&self) -> (Id, Seq) {
        (self.ids[self.len() - 1], self.seq(self.len() - 1))
    }

    /// How many of its messages have ids up to and with this one.
    pub fn position_after(&self, id: Id) -> usize {
        self.ids.partition_point(|found| *found <= id)
    }

    pub fn seq(&self, index: usize) -> Seq {
        let mut left = index as u64;
        for run in &self.runs {
            if left < run.count() {
                return Seq(run.first.0.saturating_add_unsigned(left));
            }
            left -= run.count();
        }
        Seq::NONE
    }

    pub fn expires_at(&self, index: usize) -> Option<Id> {
        let found = self.expiries.binary_search_by_key(&index, |(index, _)| *index).ok()?;
        Some(self.expiries[found].1)
    }

    /// Where the content of a message lies in [`Block::contents`].
    pub fn content(&self, index: usize) -> Range<usize> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        start..self.ends[index]
    }

    /// All contents, decompressed.
    pub fn contents(&self) -> Parsed<Bytes> {
        let raw_bytes = self.ends[self.len() - 1];
        let raw = match self.codec {
            Codec::None => self.packed.clone(),
            Codec::Lz4 => lz4_flex::block::decompress(&self.packed, raw_bytes)
                .map_err(|_| Malformed("block: lz4 cannot unpack it"))?
                .into(),
            Codec::Zstd => DECOMPRESSOR
                .with_borrow_mut(|zstd| zstd.as_mut().and_then(|zstd| zstd.decompress(&self.packed, raw_bytes).ok()))
                .ok_or(Malformed("block: zstd cannot unpack it"))?
                .into(),
        };
        if raw.len() != raw_bytes {
            return Err(Malformed("block: its contents have another length than its head says"));
        }
        Ok(raw)
    }

    /// All messages, for a rewrite.
    pub fn rows(&self) -> Parsed<Vec<Row>> {
        let contents = self.contents()?;
        let row = |index: usize| Row {
            id: self.ids[index],
            seq: self.seq(index),
            expires_at: self.expires_at(index),
            content: contents.slice(self.content(index)),
        };
        Ok((0..self.len()).map(row).collect())
    }
}

fn read_runs(reader: &mut Reader<'_>, count: usize) -> Parsed<Vec<SeqRange>> {
    let runs = reader.runs(count, "seqs of a block")?;
    let held = runs.iter().try_fold(0u64, |sum, run| sum.checked_add(run.count()));
    if held == Some(count as u64) { Ok(runs) } else { Err(Malformed("seqs of a block")) }
}

fn read_ids(reader: &mut Reader<'_>, count: usize) -> Parsed<Vec<Id>> {
    let mut ids = Vec::with_capacity(count);
    let mut last = 0u64;
    for index in 0..count {
        let step = reader.varint()?;
        if index > 0 && step == 0 {
            return Err(Malformed("ids of a block: they do not grow"));
        }
        last = last.checked_add(step).ok_or(Malformed("ids of a block"))?;
        ids.push(Id::from_raw(last));
    }
    Ok(ids)
}

fn read_expiries(reader: &mut Reader<'_>, count: usize) -> Parsed<Vec<(usize, Id)>> {
    let expiring = reader.count(count, "expiries of a block")?;
    let mut expiries: Vec<(usize, Id)> = Vec::with_capacity(expiring);
    for _ in 0..expiring {
        let index = reader.count(count - 1, "expiries of a block")?;
        if expiries.last().is_some_and(|(last, _)| *last >= index) {
            return Err(Malformed("expiries of a block: not in order"));
        }
        expiries.push((index, Id::from_raw(reader.varint()?)));
    }
    Ok(expiries)
}

fn read_ends(reader: &mut Reader<'_>, count: usize) -> Parsed<Vec<usize>> {
    let mut ends = Vec::with_capacity(count);
    let mut end = 0;
    for _ in 0..count {
        end += reader.count(CONTENT_BYTES_MAX, "length of a content")?;
        ends.push(end);
    }
    if end <= RAW_BYTES_MAX { Ok(ends) } else { Err(Malformed("block: too many bytes")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let row = (1u64..1 << 40, 1i64..3, prop::option::of(any::<u64>()), prop::collection::vec(0u8..4, 0..300));
        (-300i64..300, prop::collection::vec(row, 1..=128)).prop_map(|(mut seq, steps)| {
            let mut id = 0;
            let row = |(id_step, seq_step, expires, content): (u64, i64, Option<u64>, Vec<u8>)| {
                id += id_step;
                seq += seq_step;
                let expires_at = expires.map(Id::from_raw);
                Row { id: Id::from_raw(id), seq: Seq(seq), expires_at, content: content.into() }
            };
            steps.into_iter().map(row).collect()
        })
    }

    proptest! {
        #[test]
        fn blocks_come_back(rows in rows(), cold: bool) {
            let (key, value) = encode(7, 9, &rows, cold);
            let block = Block::parse(&key.encode(), &value).unwrap();
            prop_assert_eq!(block.rows().unwrap(), rows.clone());
            prop_assert_eq!(block.key, BlockKey { channel: 7, first: rows[0].id, upto: 9 });
            let last = rows.last().unwrap();
            prop_assert_eq!(block.last(), (last.id, last.seq));
        }

        #[test]
        fn a_changed_byte_is_noticed(rows in rows(), cold: bool, at: prop::sample::Index, change in 1u8..) {
            let (key, value) = encode(7, 9, &rows, cold);
            let mut value = value.to_vec();
            let at = at.index(value.len());
            value[at] ^= change;
            prop_assert!(Block::parse(&key.encode(), &value.into()).is_err());
        }

        #[test]
        fn hostile_heads_never_panic(rows in rows(), at: prop::sample::Index, value: u8) {
            let (key, bytes) = encode(7, 9, &rows, true);
            let mut body = bytes[..bytes.len() - CHECKSUM_BYTES].to_vec();
            let at = at.index(body.len());
            body[at] = value;
            if let Ok(block) = Block::parse_checked(key, &body.into()) {
                let _ = block.rows();
            }
        }
    }

    #[test]
    fn a_block_under_another_key_is_refused() {
        let row = Row { id: Id::from_raw(5), seq: Seq(1), expires_at: None, content: Bytes::from_static(b"x") };
        let (key, value) = encode(7, 9, &[row], false);
        let moved = BlockKey { channel: 8, ..key };
        assert!(Block::parse(&moved.encode(), &value).is_err());
    }
}
