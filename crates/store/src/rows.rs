//! The small rows of the table. Each value is `version u8 ‖ fields ‖ checksum u32`; the checksum covers the key, so a value
//! that strayed to another key is noticed.

use crate::{
    codec::Published,
    keys,
    settings::{FEED_ROW_ITEMS, NAME_BYTES_MAX},
    wire::{Malformed, Parsed, Reader, put_prefixed, put_seq, put_varint},
};
use bytes::Bytes;
use model::{Channel, FeedItem, FeedKind, Id, Keyed, Position, limits};
use std::collections::HashMap;
use xxhash_rust::xxh3::Xxh3Default;

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

/// Frames the fields of a row.
pub(crate) fn seal(key: &[u8], fields: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(fields.len() + 1 + CHECKSUM_BYTES);
    out.push(VERSION);
    out.extend_from_slice(fields);
    let checksum = checksum(key, &out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.into()
}

/// The fields of a row, checked.
pub(crate) fn open(key: &[u8], value: &Bytes) -> Parsed<Bytes> {
    let end = value.len().checked_sub(CHECKSUM_BYTES).filter(|end| *end > 0).ok_or(Malformed("row: too short"))?;
    if value[0] != VERSION {
        return Err(Malformed("row: of a version that this program does not know"));
    }
    if checksum(key, &value[..end]).to_le_bytes() != value[end..] {
        return Err(Malformed("row: its checksum does not fit"));
    }
    Ok(value.slice(1..end))
}

fn checksum(key: &[u8], bytes: &[u8]) -> u32 {
    let mut hash = Xxh3Default::new();
    hash.update(key);
    hash.update(bytes);
    hash.digest() as u32
}

/// What `channels` says of a channel: its number and how far it went at batch `upto`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ChannelRow {
    pub number: u64,
    pub last: Position,
    /// The last batch that was merged in.
    pub upto: u64,
}

impl ChannelRow {
    pub fn encode(&self, key: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(40);
        put_varint(&mut out, self.number);
        put_varint(&mut out, self.last.id.raw());
        put_seq(&mut out, self.last.seq);
        put_varint(&mut out, self.upto);
        seal(key, &out)
    }

    pub fn decode(key: &[u8], value: &Bytes) -> Parsed<ChannelRow> {
        let fields = open(key, value)?;
        let mut reader = Reader::new(&fields);
        let number = reader.varint()?;
        let last = Position { id: Id::from_raw(reader.varint()?), seq: reader.seq()? };
        let upto = reader.varint()?;
        reader.end()?;
        Ok(ChannelRow { number, last, upto })
    }
}

/// What `dedup` remembers of a keyed publish.
pub(crate) fn encode_keyed(key: &[u8], published: &Published, payload_hash: u64) -> Bytes {
    let mut out = Vec::with_capacity(32);
    put_varint(&mut out, published.id.raw());
    put_seq(&mut out, published.seq);
    out.extend_from_slice(&payload_hash.to_le_bytes());
    seal(key, &out)
}

pub(crate) fn decode_keyed(key: &[u8], value: &Bytes) -> Parsed<Keyed> {
    let fields = open(key, value)?;
    let mut reader = Reader::new(&fields);
    let (id, seq) = (Id::from_raw(reader.varint()?), reader.seq()?);
    let payload_hash = reader.u64()?;
    reader.end()?;
    Ok(Keyed { id, seq, payload_hash })
}

/// A record: its version and its value.
pub(crate) fn encode_record(key: &[u8], version: Id, value: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(value.len() + 10);
    put_varint(&mut out, version.raw());
    out.extend_from_slice(value);
    seal(key, &out)
}

pub(crate) fn decode_record(key: &[u8], value: &Bytes) -> Parsed<(Id, Bytes)> {
    let fields = open(key, value)?;
    let mut reader = Reader::new(&fields);
    let version = Id::from_raw(reader.varint()?);
    let value = fields.slice(reader.rest());
    if value.len() > limits::RECORD_VALUE_BYTES {
        return Err(Malformed("value of a record"));
    }
    Ok((version, value))
}

/// A row of the feed on its way to the table: neighbouring changes in short, each channel named once.
#[derive(Default)]
pub(crate) struct FeedRow {
    names: HashMap<Bytes, u64>,
    name_bytes: Vec<u8>,
    items: Vec<u8>,
    count: usize,
    pub first: Id,
    last: Id,
}

impl FeedRow {
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn is_full(&self) -> bool {
        self.count == FEED_ROW_ITEMS
    }

    /// Adds the next change; `channel` is what names its channel.
    pub fn push(&mut self, id: Id, kind: FeedKind, channel: Option<Bytes>) {
        if self.is_empty() {
            self.first = id;
            self.last = id;
        }
        put_varint(&mut self.items, id.raw() - self.last.raw());
        self.items.push(kind as u8);
        let name = channel.map_or(0, |channel| {
            let next = self.names.len() as u64 + 1;
            let name = *self.names.entry(channel.clone()).or_insert(next);
            if name == next {
                put_prefixed(&mut self.name_bytes, &channel);
            }
            name
        });
        put_varint(&mut self.items, name);
        self.last = id;
        self.count += 1;
    }

    /// The value under its key.
    pub fn encode(&self, key: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(self.name_bytes.len() + self.items.len() + 24);
        put_varint(&mut out, self.first.raw());
        put_varint(&mut out, self.names.len() as u64);
        out.extend_from_slice(&self.name_bytes);
        put_varint(&mut out, self.count as u64);
        out.extend_from_slice(&self.items);
        seal(key, &out)
    }
}

/// The items of a row of the feed.
pub(crate) fn decode_feed(key: &[u8], value: &Bytes) -> Parsed<Vec<FeedItem>> {
    let fields = open(key, value)?;
    let mut reader = Reader::new(&fields);
    let mut id = reader.varint()?;
    let names = reader.count(FEED_ROW_ITEMS, "names in a row of the feed")?;
    let mut channels: Vec<Channel> = Vec::with_capacity(names);
    for _ in 0..names {
        channels.push(keys::parse_channel(reader.prefixed(NAME_BYTES_MAX)?)?);
    }
    let count = reader.count(FEED_ROW_ITEMS, "items in a row of the feed")?;
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        id = id.checked_add(reader.varint()?).ok_or(Malformed("id in a row of the feed"))?;
        let kind = FeedKind::from_number(reader.u8()?).ok_or(Malformed("kind in a row of the feed"))?;
        let name = reader.count(names, "channel in a row of the feed")?;
        let channel = name.checked_sub(1).map(|index| channels[index].clone());
        items.push(FeedItem { id: Id::from_raw(id), channel, kind });
    }
    reader.end()?;
    Ok(items)
}
