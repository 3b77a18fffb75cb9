//! The keys of all spaces. Numbers are big-endian, so that keys sort as what they name; `docs/storage-format.md` lists
//! them with their partitions.

use crate::{
    device::{BLOCK_SPACES, Space},
    wire::{Malformed, Parsed, Reader, put_varint},
};
use bytes::Bytes;
use model::{AppId, Channel, ChannelName, Id, RecordKey, RecordKind, ShardId, TICKS_PER_SECOND};
use std::ops::Range;

const NAMED: u8 = 1;
const MEMBER: u8 = 2;
const DIRECT: u8 = 3;

/// A row of the space `channels` that tells of a channel by its name.
const BY_NAME: u8 = b'n';
/// A row of the space `channels` that tells which seqs of a channel can expire, by its number.
const EXPIRING: u8 = b'e';

/// Appends `app ‖ 0 ‖ kind ‖ name`: what names a channel in the log, and after a prefix in `channels`.
pub(crate) fn put_channel(out: &mut Vec<u8>, channel: &Channel) {
    out.extend_from_slice(channel.app.as_str().as_bytes());
    out.push(0);
    match &channel.name {
        ChannelName::Named(text) => {
            out.push(NAMED);
            out.extend_from_slice(text.as_bytes());
        }
        ChannelName::Member(community, member) => {
            out.push(MEMBER);
            out.extend_from_slice(&community.to_be_bytes());
            out.extend_from_slice(&member.to_be_bytes());
        }
        ChannelName::Direct(low, high) => {
            out.push(DIRECT);
            put_varint(out, low.len() as u64);
            out.extend_from_slice(low.as_bytes());
            out.extend_from_slice(high.as_bytes());
        }
    }
}

/// The channel that [`put_channel`] wrote.
pub(crate) fn parse_channel(bytes: &[u8]) -> Parsed<Channel> {
    let (app, rest) = split_app(bytes)?;
    let (kind, rest) = rest.split_first().ok_or(Malformed("name of a channel"))?;
    let name = match *kind {
        NAMED => ChannelName::Named(text(rest)?.into()),
        MEMBER => {
            let (community, member) = rest.split_at_checked(8).ok_or(Malformed("name of a channel"))?;
            ChannelName::Member(number(community)?, number(member)?)
        }
        DIRECT => {
            let mut reader = Reader::new(rest);
            let low = reader.text(rest.len())?;
            ChannelName::Direct(low.into(), text(&rest[reader.position()..])?.into())
        }
        _ => return Err(Malformed("kind of a channel's name")),
    };
    Ok(Channel { app, name })
}

/// Key of a channel's row in [`Space::Channels`].
pub(crate) fn channel_row(channel: &Channel) -> Vec<u8> {
    let mut key = vec![BY_NAME];
    put_channel(&mut key, channel);
    key
}

/// The same from what the log says of the channel.
pub(crate) fn channel_row_of(name: &[u8]) -> Bytes {
    [&[BY_NAME], name].concat().into()
}

/// What names the channel in the key of a channel's row.
pub(crate) fn name_of_channel_row(key: &[u8]) -> Parsed<&[u8]> {
    match key.split_first() {
        Some((&BY_NAME, name)) => Ok(name),
        _ => Err(Malformed("key of a channel's row")),
    }
}

/// The rows of all channels.
pub(crate) fn all_channel_rows() -> Range<Bytes> {
    Bytes::from_static(&[BY_NAME])..Bytes::from_static(&[BY_NAME + 1])
}

/// The rows of an app's channels with names in the clear that begin with `prefix`, those after `after`.
pub(crate) fn named_channel_rows(app: &AppId, prefix: &str, after: Option<&ChannelName>) -> Range<Bytes> {
    let mut stem = vec![BY_NAME];
    stem.extend_from_slice(app.as_str().as_bytes());
    stem.extend_from_slice(&[0, NAMED]);
    stem.extend_from_slice(prefix.as_bytes());
    let end = end_of_prefix(&stem);
    let start = match after {
        Some(name) => {
            let mut key = channel_row(&Channel { app: app.clone(), name: name.clone() });
            key.push(0);
            key.max(stem)
        }
        None => stem,
    };
    start.into()..end
}

/// Key of the row that bounds the seqs of a channel which can expire.
pub(crate) fn expiring_row(channel: u64) -> Bytes {
    [&[EXPIRING][..], &channel.to_be_bytes()].concat().into()
}

/// Where a block lies: `channel ‖ first id ‖ upto`. The last part keeps a rewritten block from hiding the one that it
/// replaces before the checkpoint says so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct BlockKey {
    pub channel: u64,
    pub first: Id,
    /// The last batch that was merged into the block.
    pub upto: u64,
}

impl BlockKey {
    pub const BYTES: usize = 24;

    pub fn space(&self) -> Space {
        blocks_of(self.channel)
    }

    pub fn encode(&self) -> Bytes {
        block_key(self.channel, self.first.raw(), self.upto)
    }

    pub fn parse(bytes: &[u8]) -> Parsed<BlockKey> {
        if bytes.len() != BlockKey::BYTES {
            return Err(Malformed("key of a block"));
        }
        Ok(BlockKey {
            channel: number(&bytes[..8])?,
            first: Id::from_raw(number(&bytes[8..16])?),
            upto: number(&bytes[16..])?,
        })
    }
}

/// The space of a channel's blocks.
pub(crate) fn blocks_of(channel: u64) -> Space {
    Space::Blocks((channel % u64::from(BLOCK_SPACES)) as u8)
}

/// The keys of a channel's blocks whose first id is greater than `after` and at most `upto`.
pub(crate) fn blocks_between(channel: u64, after: Id, upto: Id) -> Range<Bytes> {
    let start = match after {
        Id::MIN => block_key(channel, 0, 0),
        _ => block_from(channel, after.raw().checked_add(1)),
    };
    start..block_from(channel, upto.raw().checked_add(1))
}

fn block_from(channel: u64, first: Option<u64>) -> Bytes {
    match first {
        Some(first) => block_key(channel, first, 0),
        None => block_key(channel.saturating_add(1), 0, 0),
    }
}

fn block_key(channel: u64, first: u64, upto: u64) -> Bytes {
    let mut key = [0; BlockKey::BYTES];
    key[..8].copy_from_slice(&channel.to_be_bytes());
    key[8..16].copy_from_slice(&first.to_be_bytes());
    key[16..].copy_from_slice(&upto.to_be_bytes());
    Bytes::copy_from_slice(&key)
}

/// Key of an idempotency key in [`Space::Dedup`].
pub(crate) fn dedup_row(channel: u64, key_hash: u128) -> Bytes {
    [&channel.to_be_bytes()[..], &key_hash.to_be_bytes()].concat().into()
}

/// Key of a row of the feed: `shard ‖ first id`.
pub(crate) fn feed_row(shard: ShardId, first: Id) -> Bytes {
    [&shard.0.to_be_bytes()[..], &first.raw().to_be_bytes()].concat().into()
}

/// The rows of a shard's feed whose first id is at most `upto`, and those after it.
pub(crate) fn feed_rows(shard: ShardId, upto: Id) -> (Range<Bytes>, Range<Bytes>) {
    let middle = match upto.raw().checked_add(1) {
        Some(next) => feed_row(shard, Id::from_raw(next)),
        None => end_of_prefix(&shard.0.to_be_bytes()),
    };
    (feed_row(shard, Id::MIN)..middle.clone(), middle..end_of_prefix(&shard.0.to_be_bytes()))
}

/// Key of a record: `app ‖ 0 ‖ kind ‖ name`.
pub(crate) fn record_row(app: &AppId, kind: RecordKind, name: &[u8]) -> Vec<u8> {
    [app.as_str().as_bytes(), &[0, kind as u8], name].concat()
}

/// The record that a key names.
pub(crate) fn parse_record(bytes: &[u8]) -> Parsed<RecordKey> {
    let (app, rest) = split_app(bytes)?;
    let (kind, name) = rest.split_first().ok_or(Malformed("key of a record"))?;
    let kind = RecordKind::from_number(*kind).ok_or(Malformed("kind of a record"))?;
    Ok(RecordKey { app, kind, name: name.into() })
}

/// The rows of records whose names begin with `prefix`, those after `after`.
pub(crate) fn record_rows(app: &AppId, kind: RecordKind, prefix: &[u8], after: Option<&[u8]>) -> Range<Bytes> {
    let stem = record_row(app, kind, prefix);
    let end = end_of_prefix(&stem);
    let start = match after {
        Some(name) => {
            let mut key = record_row(app, kind, name);
            key.push(0);
            key.max(stem)
        }
        None => stem,
    };
    start.into()..end
}

/// Days since the Unix epoch, by the clock that ids are made of.
pub(crate) fn day_of(id: Id) -> u32 {
    (id.ticks() / TICKS_PER_DAY) as u32
}

/// The greatest id of a day.
pub(crate) fn end_of_day(day: u32) -> Id {
    Id::last_before((u64::from(day) + 1) * TICKS_PER_DAY)
}

const TICKS_PER_DAY: u64 = 86_400 * TICKS_PER_SECOND;

/// The least key above all keys with this prefix. Prefixes here never consist of 0xff alone.
pub(crate) fn end_of_prefix(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end.into()
}

fn split_app(bytes: &[u8]) -> Parsed<(AppId, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0).ok_or(Malformed("app in a key"))?;
    let app = AppId::new(text(&bytes[..end])?).map_err(|_| Malformed("app in a key"))?;
    Ok((app, &bytes[end + 1..]))
}

fn text(bytes: &[u8]) -> Parsed<&str> {
    std::str::from_utf8(bytes).map_err(|_| Malformed("text in a key"))
}

fn number(bytes: &[u8]) -> Parsed<u64> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| Malformed("number in a key"))
}
