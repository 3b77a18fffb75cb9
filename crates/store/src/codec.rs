//! The body of a batch, as it lies in the log and stays in the tail's memory.
//!
//! ```text
//! body      = version u8 (1, or 2 for one of an import) ‖ change…
//! published = 1 ‖ id u64 ‖ flags u8 ‖ number ‖ seq ‖ channel ‖ [expires at] ‖ [key hash u128 ‖ payload hash u64] ‖ length ‖ content
//! record    = 2 ‖ id u64 ‖ flags u8 ‖ length ‖ key ‖ [length ‖ value]
//! altered   = 3 to 9 ‖ id u64 ‖ flags u8 ‖ number ‖ channel ‖ fields (module `alteration`)
//! ```
//!
//! Numbers without a size are LEB128; sized ones are little-endian. `channel` is the name (length ‖ bytes) at a channel's
//! first change of the batch, then the distance back to that change: a body needs nothing else to be understood, and
//! a change can be read from its offset alone. Numbers of kinds and flags are never used for another meaning.

use crate::{
    alteration::{self, Alteration, EDITED, UNEDITED},
    content,
    device::LogRecord,
    keys,
    settings::{CONTENT_BYTES_MAX, NAME_BYTES_MAX},
    wire::{Malformed, Parsed, Reader, put_prefixed, put_seq, put_varint},
};
use bytes::Bytes;
use foldhash::fast::FixedState;
use model::{
    Change, ChannelChange, ChannelNumber, Error, Id, IdempotencyKey, Message, RecordChange, Result, Seq, What, limits,
};
use std::{collections::HashMap, ops::Range, sync::Arc};

const VERSION: u8 = 1;
/// What an import brings: ids of another time, which are no news here.
const IMPORTED: u8 = 2;
const PUBLISHED: u8 = 1;
const RECORD: u8 = 2;

const NAMED: u8 = 1;
const FIRST: u8 = 2;
const EXPIRES: u8 = 4;
const KEYED: u8 = 8;
const HAS_VALUE: u8 = 1;

/// Where the first change of every body lies.
pub(crate) const FIRST_CHANGE: usize = 1;

/// Encodes batches; keeps its scratch space from one to the next.
#[derive(Default)]
pub(crate) struct Encoder {
    /// Where each channel of the batch was named, by its number.
    named: HashMap<u64, usize, FixedState>,
    content: Vec<u8>,
}

impl Encoder {
    /// The body of a batch with these changes. Refuses what a store does not keep.
    pub fn encode(&mut self, changes: &[Arc<Change>]) -> Result<Bytes> {
        self.encode_as(VERSION, changes)
    }

    /// The same for what an import brings.
    pub fn encode_imported(&mut self, changes: &[Arc<Change>]) -> Result<Bytes> {
        self.encode_as(IMPORTED, changes)
    }

    fn encode_as(&mut self, version: u8, changes: &[Arc<Change>]) -> Result<Bytes> {
        self.named.clear();
        let size: usize = changes.iter().map(|change| change.cost()).sum();
        let mut out = Vec::with_capacity(size / 2 + 64);
        out.push(version);
        for change in changes {
            match &**change {
                Change::Channel(change) if matches!(change.what, What::Published { .. }) => {
                    self.published(change, &mut out)?;
                }
                Change::Channel(change) => self.altered(change, &mut out)?,
                Change::Record(change) => record(change, &mut out),
            }
        }
        out.shrink_to_fit();
        Ok(out.into())
    }

    fn published(&mut self, change: &ChannelChange, out: &mut Vec<u8>) -> Result<()> {
        let What::Published { message, key, first } = &change.what else {
            return Err(Error::internal("a live-only change was handed to the store"));
        };
        let start = out.len();
        let named_at = *self.named.entry(change.number.0).or_insert(start);
        let flag = |there: bool, flag: u8| if there { flag } else { 0 };
        out.push(PUBLISHED);
        out.extend_from_slice(&change.id.raw().to_le_bytes());
        out.push(
            flag(named_at == start, NAMED)
                | flag(*first, FIRST)
                | flag(message.expires_at.is_some(), EXPIRES)
                | flag(key.is_some(), KEYED),
        );
        put_varint(out, change.number.0);
        put_seq(out, message.seq);
        self.channel(change, start, named_at, out);
        if let Some(expires_at) = message.expires_at {
            put_varint(out, expires_at.raw());
        }
        if let Some(key) = key {
            out.extend_from_slice(&key.key_hash.to_le_bytes());
            out.extend_from_slice(&key.payload_hash.to_le_bytes());
        }
        self.content.clear();
        content::encode(message, &mut self.content);
        put_prefixed(out, &self.content);
        Ok(())
    }

    fn altered(&mut self, change: &ChannelChange, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        let mut fields = Vec::new();
        let Some(tag) = alteration::put(&change.what, &mut fields) else {
            return Err(Error::internal("a live-only change was handed to the store"));
        };
        let named_at = *self.named.entry(change.number.0).or_insert(start);
        out.push(tag);
        out.extend_from_slice(&change.id.raw().to_le_bytes());
        out.push(if named_at == start { NAMED } else { 0 });
        put_varint(out, change.number.0);
        self.channel(change, start, named_at, out);
        out.extend_from_slice(&fields);
        Ok(())
    }

    /// The channel of a change that begins at `start`: its name, or the way back to it.
    fn channel(&mut self, change: &ChannelChange, start: usize, named_at: usize, out: &mut Vec<u8>) {
        if named_at == start {
            self.content.clear();
            keys::put_channel(&mut self.content, &change.channel);
            put_prefixed(out, &self.content);
        } else {
            put_varint(out, (start - named_at) as u64);
        }
    }
}

fn record(change: &RecordChange, out: &mut Vec<u8>) {
    out.push(RECORD);
    out.extend_from_slice(&change.id.raw().to_le_bytes());
    out.push(if change.value.is_some() { HAS_VALUE } else { 0 });
    put_prefixed(out, &keys::record_row(&change.key.app, change.key.kind, &change.key.name));
    if let Some(value) = &change.value {
        put_prefixed(out, value);
    }
}

/// A change in a body, found but not copied. Ranges are places in the body.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Published(Published),
    Record(Record),
    Altered(Altered),
}

#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub id: Id,
    pub number: u64,
    pub seq: Seq,
    /// The first stored change of its channel.
    pub first: bool,
    /// What names the channel ([`keys::parse_channel`]).
    pub channel: Range<usize>,
    pub expires_at: Option<Id>,
    pub key: Option<IdempotencyKey>,
    pub content: Range<usize>,
}

/// Something that happened to messages of a channel that are there already.
#[derive(Clone, Debug)]
pub(crate) struct Altered {
    pub id: Id,
    pub number: u64,
    /// What names the channel ([`keys::parse_channel`]).
    pub channel: Range<usize>,
    pub what: Alteration,
}

#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub id: Id,
    /// The record's key ([`keys::parse_record`]).
    pub key: Range<usize>,
    pub value: Option<Range<usize>>,
}

impl Entry {
    pub fn id(&self) -> Id {
        match self {
            Entry::Published(published) => published.id,
            Entry::Record(record) => record.id,
            Entry::Altered(altered) => altered.id,
        }
    }

    /// The number of its channel; 0 for a record.
    pub fn number(&self) -> u64 {
        match self {
            Entry::Published(published) => published.number,
            Entry::Record(_) => 0,
            Entry::Altered(altered) => altered.number,
        }
    }
}

/// The id of the change at `offset`, without reading the rest of it.
pub(crate) fn id_at(body: &[u8], offset: usize) -> Parsed<Id> {
    let mut reader = Reader::at(body, offset)?;
    reader.u8()?;
    Ok(Id::from_raw(reader.u64()?))
}

/// The published message at `offset`.
pub(crate) fn published_at(body: &[u8], offset: usize) -> Parsed<Published> {
    match entry_at(body, offset)?.0 {
        Entry::Published(published) => Ok(published),
        Entry::Record(_) | Entry::Altered(_) => Err(Malformed("change: of another kind than a message")),
    }
}

/// What happened to messages at `offset`.
pub(crate) fn altered_at(body: &[u8], offset: usize) -> Parsed<Altered> {
    match entry_at(body, offset)?.0 {
        Entry::Altered(altered) => Ok(altered),
        Entry::Published(_) | Entry::Record(_) => Err(Malformed("change: of another kind than expected")),
    }
}

/// The change at `offset`, and where the next one begins.
pub(crate) fn entry_at(body: &[u8], offset: usize) -> Parsed<(Entry, usize)> {
    let mut reader = Reader::at(body, offset)?;
    let tag = reader.u8()?;
    let id = Id::from_raw(reader.u64()?);
    let flags = reader.u8()?;
    let entry = match tag {
        PUBLISHED => Entry::Published(read_published(body, &mut reader, offset, id, flags)?),
        RECORD => Entry::Record(read_record(&mut reader, id, flags)?),
        EDITED..=UNEDITED => Entry::Altered(read_altered(body, &mut reader, offset, (tag, id, flags))?),
        _ => return Err(Malformed("change: of a kind that this version does not know")),
    };
    Ok((entry, reader.position()))
}

fn read_published(body: &[u8], reader: &mut Reader<'_>, offset: usize, id: Id, flags: u8) -> Parsed<Published> {
    if flags >= KEYED << 1 {
        return Err(Malformed("flags of a published message"));
    }
    let number = reader.varint()?;
    let seq = reader.seq()?;
    let channel = read_channel(body, reader, offset, number, flags)?;
    let expires_at = if flags & EXPIRES != 0 { Some(Id::from_raw(reader.varint()?)) } else { None };
    let key = match flags & KEYED {
        0 => None,
        _ => Some(IdempotencyKey { key_hash: reader.u128()?, payload_hash: reader.u64()? }),
    };
    let content = reader.prefixed_range(CONTENT_BYTES_MAX)?;
    Ok(Published { id, number, seq, first: flags & FIRST != 0, channel, expires_at, key, content })
}

fn read_altered(
    body: &[u8],
    reader: &mut Reader<'_>,
    offset: usize,
    (tag, id, flags): (u8, Id, u8),
) -> Parsed<Altered> {
    if flags > NAMED {
        return Err(Malformed("flags of a change"));
    }
    let number = reader.varint()?;
    let channel = read_channel(body, reader, offset, number, flags)?;
    Ok(Altered { id, number, channel, what: Alteration::parse(tag, reader)? })
}

fn read_channel(body: &[u8], reader: &mut Reader<'_>, offset: usize, number: u64, flags: u8) -> Parsed<Range<usize>> {
    if flags & NAMED != 0 {
        return reader.prefixed_range(NAME_BYTES_MAX);
    }
    let named_at = offset.checked_sub(reader.count(offset, "distance")?).ok_or(Malformed("distance"))?;
    name_at(body, named_at, number)
}

/// The name at an earlier change of the same channel.
fn name_at(body: &[u8], offset: usize, number: u64) -> Parsed<Range<usize>> {
    let mut reader = Reader::at(body, offset)?;
    let tag = reader.u8()?;
    reader.u64()?;
    let flags = reader.u8()?;
    let named = reader.varint()?;
    if tag == RECORD || flags & NAMED == 0 || named != number {
        return Err(Malformed("distance: it leads to no name of this channel"));
    }
    if tag == PUBLISHED {
        reader.varint()?;
    }
    reader.prefixed_range(NAME_BYTES_MAX)
}

fn read_record(reader: &mut Reader<'_>, id: Id, flags: u8) -> Parsed<Record> {
    if flags > HAS_VALUE {
        return Err(Malformed("flags of a record"));
    }
    let key = reader.prefixed_range(NAME_BYTES_MAX)?;
    let value = if flags == HAS_VALUE { Some(reader.prefixed_range(limits::RECORD_VALUE_BYTES)?) } else { None };
    Ok(Record { id, key, value })
}

/// Whether a body is one of an import.
pub(crate) fn is_imported(body: &[u8]) -> bool {
    body.first() == Some(&IMPORTED)
}

/// All changes of a body, with their offsets, in order.
pub(crate) fn entries(body: &[u8]) -> impl Iterator<Item = Parsed<(usize, Entry)>> {
    let version = matches!(body.first(), Some(&(VERSION | IMPORTED)));
    let mut at = Some(FIRST_CHANGE);
    std::iter::from_fn(move || {
        if !version {
            return at.take().map(|_| Err(Malformed("body: of a version that this program does not know")));
        }
        let offset = at.filter(|offset| *offset < body.len())?;
        match entry_at(body, offset) {
            Ok((entry, next)) => {
                at = Some(next);
                Some(Ok((offset, entry)))
            }
            Err(malformed) => {
                at = None;
                Some(Err(malformed))
            }
        }
    })
}

/// All changes of a record of the log, checked: reading any of them from its offset works from now on.
pub(crate) fn decode(record: &LogRecord) -> Parsed<Vec<(usize, Entry)>> {
    let mut found = Vec::with_capacity((record.changes as usize).min(limits::BATCH_CHANGES));
    for entry in entries(&record.body) {
        let (offset, entry) = entry?;
        match &entry {
            Entry::Published(Published { content, .. })
            | Entry::Altered(Altered { what: Alteration::Edited { content, .. }, .. }) => {
                content::Content::parse(&record.body[content.clone()])?;
            }
            Entry::Altered(_) | Entry::Record(_) => {}
        }
        found.push((offset, entry));
    }
    match found.len() == record.changes as usize {
        true => Ok(found),
        false => Err(Malformed("body: another number of changes than its record says")),
    }
}

/// The change as it was handed to the store.
pub(crate) fn change(body: &Bytes, entry: &Entry) -> Parsed<Change> {
    Ok(match entry {
        Entry::Published(published) => Change::Channel(ChannelChange {
            id: published.id,
            channel: keys::parse_channel(&body[published.channel.clone()])?,
            number: ChannelNumber(published.number),
            what: What::Published {
                message: Arc::new(message(body, published)?),
                key: published.key,
                first: published.first,
            },
        }),
        Entry::Altered(altered) => Change::Channel(ChannelChange {
            id: altered.id,
            channel: keys::parse_channel(&body[altered.channel.clone()])?,
            number: ChannelNumber(altered.number),
            what: altered.what.what(body)?,
        }),
        Entry::Record(record) => Change::Record(RecordChange {
            id: record.id,
            key: keys::parse_record(&body[record.key.clone()])?,
            value: record.value.clone().map(|range| body.slice(range)),
        }),
    })
}

/// The message of a published change; its payload is a slice of the body.
pub(crate) fn message(body: &Bytes, published: &Published) -> Parsed<Message> {
    let bytes = body.slice(published.content.clone());
    let content = content::Content::parse(&bytes)?;
    Ok(content.message(published.id, published.seq, published.expires_at, &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use proptest::prelude::*;

    fn decode(body: &Bytes) -> Parsed<Vec<Arc<Change>>> {
        entries(body).map(|found| Ok(Arc::new(change(body, &found?.1)?))).collect()
    }

    #[test]
    fn bodies_come_back() {
        let changes = samples::changes();
        let body = Encoder::default().encode(&changes).unwrap();
        assert_eq!(decode(&body).unwrap(), changes);
        for found in entries(&body) {
            let (offset, entry) = found.unwrap();
            assert_eq!(id_at(&body, offset), Ok(entry.id()));
        }
    }

    #[test]
    fn equal_changes_have_equal_bodies() {
        let changes = samples::changes();
        let mut encoder = Encoder::default();
        let first = encoder.encode(&changes).unwrap();
        assert_eq!(encoder.encode(&changes).unwrap(), first);
    }

    #[test]
    fn unknown_versions_are_refused() {
        let mut body = Encoder::default().encode(&samples::changes()).unwrap().to_vec();
        body[0] = 9;
        assert!(decode(&body.into()).is_err());
    }

    proptest! {
        #[test]
        fn flipped_bytes_never_panic(at: prop::sample::Index, value: u8) {
            let mut body = Encoder::default().encode(&samples::changes()).unwrap().to_vec();
            let at = at.index(body.len());
            body[at] = value;
            let _ = decode(&body.into());
        }

        #[test]
        fn cut_bodies_never_panic(at: prop::sample::Index) {
            let body = Encoder::default().encode(&samples::changes()).unwrap();
            let _ = decode(&body.slice(..at.index(body.len())));
        }

        #[test]
        fn any_bytes_never_panic(mut bytes: Vec<u8>) {
            if let Some(first) = bytes.first_mut() { *first = VERSION; }
            let _ = decode(&bytes.into());
        }
    }
}
