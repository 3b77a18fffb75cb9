//! The keys of all spaces. Numbers are big-endian, so that keys sort as what they name; `docs/storage-format.md` lists
//! them with their partitions.

use crate::{
    device::{BLOCK_SPACES, Space},
    wire::{Malformed, Parsed, Reader, put_varint},
};
use bytes::Bytes;
use model::{AppId, Channel, ChannelName, Id, RecordKey, RecordKind, Seq, ShardId, TICKS_PER_SECOND};
use std::ops::Range;

const NAMED: u8 = 1;
const MEMBER: u8 = 2;
const DIRECT: u8 = 3;

/// A row of the space `channels` that tells of a channel by its name.
const BY_NAME: u8 = b'n';
/// A row of the space `channels` that tells what else is known of a channel, by its number.
const FACTS: u8 = b'f';

/// Rows of the space `reactions`: by message, by own id, and who reacted how.
const BY_MESSAGE: u8 = b'm';
const BY_ID: u8 = b'i';
const UNIQUE: u8 = b'u';

/// Rows of the space `expiring`: the messages of a channel by due time, and the channels by their next due time.
const DUE: u8 = b'd';
const NEXT_DUE: u8 = b'n';

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

/// The rows of all channels of an app, whatever their names are.
pub(crate) fn channel_rows_of(app: &AppId) -> Range<Bytes> {
    let stem = [&[BY_NAME], app.as_str().as_bytes(), &[0]].concat();
    let end = end_of_prefix(&stem);
    stem.into()..end
}

/// The rows of an app's channels with names in the clear that begin with `prefix`, those after `after`.
pub(crate) fn named_channel_rows(app: &AppId, prefix: &str, after: Option<&ChannelName>) -> Range<Bytes> {
    let mut stem = vec![BY_NAME];
    stem.extend_from_slice(app.as_str().as_bytes());
    stem.extend_from_slice(&[0, NAMED]);
    stem.extend_from_slice(prefix.as_bytes());
    let end = end_of_prefix(&stem);
    rows_after(stem, app, after)..end
}

/// The least key above that of a channel, but none below `stem`.
fn rows_after(stem: Vec<u8>, app: &AppId, after: Option<&ChannelName>) -> Bytes {
    let Some(name) = after else { return stem.into() };
    let mut key = channel_row(&Channel { app: app.clone(), name: name.clone() });
    key.push(0);
    key.max(stem).into()
}

/// The rows of all channels of an app, those after `after`.
pub(crate) fn channel_rows_after(app: &AppId, after: Option<&ChannelName>) -> Range<Bytes> {
    let all = channel_rows_of(app);
    rows_after(all.start.to_vec(), app, after)..all.end
}

/// Key of the row that tells what else is known of a channel.
pub(crate) fn facts_row(channel: u64) -> Bytes {
    [&[FACTS][..], &channel.to_be_bytes()].concat().into()
}

/// Key of the root of a channel's removed set.
pub(crate) fn removed_root(channel: u64) -> Bytes {
    Bytes::copy_from_slice(&channel.to_be_bytes())
}

/// Key of a container of a channel's removed set.
pub(crate) fn removed_row(channel: u64, container: i64) -> Bytes {
    numbers(&[], &[channel, container.cast_unsigned()])
}

/// Key of an edit: `channel ‖ message ‖ edit`.
pub(crate) fn edit_row(channel: u64, message: Id, edit: Id) -> Bytes {
    numbers(&[], &[channel, message.raw(), edit.raw()])
}

/// The edits of messages in (`after`, `upto`].
pub(crate) fn edits_between(channel: u64, after: Id, upto: Id) -> Range<Bytes> {
    pairs_between(&[], channel, after, upto)
}

/// Key of a reaction by its message: `m ‖ channel ‖ message ‖ reaction`.
pub(crate) fn reaction_row(channel: u64, message: Id, reaction: Id) -> Bytes {
    numbers(&[BY_MESSAGE], &[channel, message.raw(), reaction.raw()])
}

/// The reactions to messages in (`after`, `upto`].
pub(crate) fn reactions_between(channel: u64, after: Id, upto: Id) -> Range<Bytes> {
    pairs_between(&[BY_MESSAGE], channel, after, upto)
}

/// The reactions behind this (message, reaction), to messages up to and with `upto`.
pub(crate) fn reactions_behind(channel: u64, after: (Id, Id), upto: Id) -> Range<Bytes> {
    let mut start = reaction_row(channel, after.0, after.1).to_vec();
    start.push(0);
    start.into()..reactions_between(channel, Id::MIN, upto).end
}

/// All rows of reactions by message.
pub(crate) fn reactions_by_message() -> Range<Bytes> {
    Bytes::from_static(&[BY_MESSAGE])..Bytes::from_static(&[BY_MESSAGE + 1])
}

/// All rows of messages that are due.
pub(crate) fn all_due() -> Range<Bytes> {
    Bytes::from_static(&[DUE])..Bytes::from_static(&[DUE + 1])
}

/// Key of a reaction by its own id: `i ‖ channel ‖ reaction`.
pub(crate) fn reaction_made(channel: u64, reaction: Id) -> Bytes {
    numbers(&[BY_ID], &[channel, reaction.raw()])
}

/// The reactions with own ids in (`after`, `upto`].
pub(crate) fn reactions_made(channel: u64, after: Id, upto: Id) -> Range<Bytes> {
    singles_between(&[BY_ID], channel, after, upto)
}

/// Key of a user's reaction of a kind and value to a message: `u ‖ channel ‖ message ‖ hash`.
pub(crate) fn reaction_unique(channel: u64, message: Id, hash: u128) -> Bytes {
    let key = numbers(&[UNIQUE], &[channel, message.raw()]);
    [&key[..], &hash.to_be_bytes()].concat().into()
}

/// Key of a message that is due: `d ‖ channel ‖ due ‖ seq`.
pub(crate) fn due_row(channel: u64, due: Id, seq: Seq) -> Bytes {
    numbers(&[DUE], &[channel, due.raw(), seq.0.cast_unsigned()])
}

/// The messages of a channel that are due from `from` on, up to and with `upto`.
pub(crate) fn due_between(channel: u64, from: Id, upto: Id) -> Range<Bytes> {
    let end = match upto.raw().checked_add(1) {
        Some(end) => numbers(&[DUE], &[channel, end, 0]),
        None => numbers(&[DUE], &[channel.saturating_add(1), 0, 0]),
    };
    numbers(&[DUE], &[channel, from.raw(), 0])..end
}

/// Due time and seq of a message, from its key.
pub(crate) fn parse_due(key: &[u8]) -> Parsed<(u64, Id, Seq)> {
    match key.split_first() {
        Some((&DUE, rest)) if rest.len() == 24 => {
            let seq = Seq(number(&rest[16..])?.cast_signed());
            Ok((number(&rest[..8])?, Id::from_raw(number(&rest[8..16])?), seq))
        }
        _ => Err(Malformed("key of a due message")),
    }
}

/// Key of the row that says when something of a channel is due next: `n ‖ due ‖ channel`.
pub(crate) fn next_due_row(due: Id, channel: u64) -> Bytes {
    numbers(&[NEXT_DUE], &[due.raw(), channel])
}

/// The channels of which something is due up to and with `upto`.
pub(crate) fn next_due_upto(upto: Id) -> Range<Bytes> {
    let end = match upto.raw().checked_add(1) {
        Some(end) => numbers(&[NEXT_DUE], &[end, 0]),
        None => Bytes::from_static(&[NEXT_DUE + 1]),
    };
    numbers(&[NEXT_DUE], &[0, 0])..end
}

/// Due time and channel of a row of [`next_due_upto`].
pub(crate) fn parse_next_due(key: &[u8]) -> Parsed<(Id, u64)> {
    match key.split_first() {
        Some((&NEXT_DUE, rest)) if rest.len() == 16 => Ok((Id::from_raw(number(&rest[..8])?), number(&rest[8..])?)),
        _ => Err(Malformed("key of a channel's next due time")),
    }
}

/// Key of a change of a channel: `channel ‖ change`.
pub(crate) fn change_row(channel: u64, change: Id) -> Bytes {
    numbers(&[], &[channel, change.raw()])
}

/// The changes of a channel in (`after`, `upto`].
pub(crate) fn changes_between(channel: u64, after: Id, upto: Id) -> Range<Bytes> {
    singles_between(&[], channel, after, upto)
}

/// The last two of the numbers that a key ends with.
pub(crate) fn last_two(key: &[u8]) -> Parsed<(u64, u64)> {
    let start = key.len().checked_sub(16).ok_or(Malformed("key"))?;
    Ok((number(&key[start..start + 8])?, number(&key[start + 8..])?))
}

/// Weeks since the Unix epoch, by the clock that ids are made of.
pub(crate) fn week_of(id: Id) -> u32 {
    day_of(id) / DAYS_PER_WEEK
}

/// The greatest id of a week.
pub(crate) fn end_of_week(week: u32) -> Id {
    Id::last_before((u64::from(week) + 1) * u64::from(DAYS_PER_WEEK) * TICKS_PER_DAY)
}

const DAYS_PER_WEEK: u32 = 7;

fn numbers(prefix: &[u8], numbers: &[u64]) -> Bytes {
    let mut key = Vec::with_capacity(prefix.len() + numbers.len() * 8);
    key.extend_from_slice(prefix);
    numbers.iter().for_each(|number| key.extend_from_slice(&number.to_be_bytes()));
    key.into()
}

/// Keys `prefix ‖ channel ‖ id` with ids in (`after`, `upto`].
fn singles_between(prefix: &[u8], channel: u64, after: Id, upto: Id) -> Range<Bytes> {
    let bound = |id: Id| match id.raw().checked_add(1) {
        Some(next) => numbers(prefix, &[channel, next]),
        None => numbers(prefix, &[channel.saturating_add(1), 0]),
    };
    bound(after)..bound(upto)
}

/// Keys `prefix ‖ channel ‖ id ‖ more` with ids in (`after`, `upto`].
fn pairs_between(prefix: &[u8], channel: u64, after: Id, upto: Id) -> Range<Bytes> {
    singles_between(prefix, channel, after, upto)
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
