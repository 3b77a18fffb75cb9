//! The rows of the space `meta`: what the files are, and how far the table goes.
//!
//! | key | value |
//! |---|---|
//! | `format` | version, shard, number of lanes and their hash: fixed when the store is made |
//! | `checkpoint` | the last batch whose rows are all in the table, and what the sequencer needs to go on above it |
//! | `flushing` | the last batch of the flush that was begun last: one that was cut off is done again with the same batches |
//! | `garbage/` upto ‖ piece | blocks that the flush up to this batch replaced, to be deleted once the checkpoint has moved |
//! | `feed` | where the feed begins, and how many bytes each of its days took |
//! | `changes` | the same for the change feeds of channels, by week |
//! | `sweep/` channel | what of a channel is to be swept |

use crate::{
    device::{Snapshot, Space, SpaceRows, Table},
    keys::{self, BlockKey},
    rows,
    wire::{Malformed, Parsed, Reader, put_varint},
};
use bytes::Bytes;
use model::{Error, Id, Result, ShardId};
use std::collections::BTreeMap;

/// How channels hash to lanes: 256 lanes by the hash named 1 (`DESIGN` §3). Kept so that another program cannot misread it.
const LANES: u64 = 256;
const LANE_HASH: u64 = 1;
const FORMAT_VERSION: u64 = 1;
const DAYS_MAX: usize = 100_000;

const FORMAT: &[u8] = b"format";
const CHECKPOINT: &[u8] = b"checkpoint";
const FLUSHING: &[u8] = b"flushing";
const GARBAGE: &[u8] = b"garbage/";
const FEED: &[u8] = b"feed";
const CHANGES: &[u8] = b"changes";
const SWEEP: &[u8] = b"sweep/";

/// How far something goes: up to a batch, and what a sequencer needs to go on above it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Mark {
    pub batch: u64,
    pub last_id: Id,
    pub reserved: u64,
    pub last_number: u64,
    pub epoch: u64,
    /// Hash of the batch's body: the same batch again is recognised by it.
    pub body_hash: u64,
}

/// Where the feed begins and what its days weigh.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct FeedState {
    /// Everything up to here was dropped.
    pub starts_after: Id,
    /// Bytes of each day, and the last batch counted into it.
    pub days: BTreeMap<u32, (u64, u64)>,
    /// Bytes written as blocks, and the last batch counted into them.
    pub block_bytes: (u64, u64),
}

/// Everything in `meta` but the garbage and what is to be swept.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Meta {
    pub checkpoint: Mark,
    pub flushing: u64,
    pub feed: FeedState,
    /// The same for the change feeds of channels, by week.
    pub changes: FeedState,
}

impl Meta {
    /// Reads what is there; makes the row `format` in an empty table, refuses one of another program.
    pub fn open(table: &dyn Table, snapshot: &dyn Snapshot, shard: ShardId) -> Result<Meta> {
        let format = format_row(shard);
        match snapshot.get(Space::Meta, FORMAT)? {
            None => put(table, FORMAT, format)?,
            Some(found) if found == format => {}
            Some(_) => {
                return Err(Error::invalid(format!(
                    "the table is not of format {FORMAT_VERSION} with {LANES} lanes for shard {}",
                    shard.0
                )));
            }
        }
        let fields = |key: &'static [u8]| -> Result<Option<Bytes>> {
            Ok(snapshot.get(Space::Meta, key)?.map(|value| rows::open(key, &value)).transpose()?)
        };
        Ok(Meta {
            checkpoint: fields(CHECKPOINT)?.map(|fields| Mark::decode(&fields)).transpose()?.unwrap_or_default(),
            flushing: fields(FLUSHING)?.map(|fields| Reader::new(&fields).varint()).transpose()?.unwrap_or_default(),
            feed: fields(FEED)?.map(|fields| FeedState::decode(&fields)).transpose()?.unwrap_or_default(),
            changes: fields(CHANGES)?.map(|fields| FeedState::decode(&fields)).transpose()?.unwrap_or_default(),
        })
    }
}

fn format_row(shard: ShardId) -> Bytes {
    let mut out = Vec::new();
    for field in [FORMAT_VERSION, u64::from(shard.0), LANES, LANE_HASH] {
        put_varint(&mut out, field);
    }
    rows::seal(FORMAT, &out)
}

fn put(table: &dyn Table, key: &'static [u8], value: Bytes) -> Result<()> {
    let rows = SpaceRows { space: Space::Meta, rows: vec![(Bytes::from_static(key), Some(value))] };
    table.write(&mut std::iter::once(rows))
}

/// Says that the flush up to this batch begins.
pub(crate) fn put_flushing(table: &dyn Table, batch: u64) -> Result<()> {
    let mut out = Vec::new();
    put_varint(&mut out, batch);
    put(table, FLUSHING, rows::seal(FLUSHING, &out))
}

/// Says that all rows up to the mark are in the table, and where the feed begins.
pub(crate) fn put_checkpoint(table: &dyn Table, mark: &Mark, feed: &FeedState, changes: &FeedState) -> Result<()> {
    let row = |key: &'static [u8], fields: &[u8]| (Bytes::from_static(key), Some(rows::seal(key, fields)));
    // In one row each; the feed's may be there without the checkpoint's: its counts say up to which batch they go.
    let rows = vec![row(CHANGES, &changes.encode()), row(CHECKPOINT, &mark.encode()), row(FEED, &feed.encode())];
    table.write(&mut std::iter::once(SpaceRows { space: Space::Meta, rows }))
}

impl Mark {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for field in [self.batch, self.last_id.raw(), self.reserved, self.last_number, self.epoch, self.body_hash] {
            put_varint(&mut out, field);
        }
        out
    }

    fn decode(fields: &[u8]) -> Parsed<Mark> {
        let mut reader = Reader::new(fields);
        let mark = Mark {
            batch: reader.varint()?,
            last_id: Id::from_raw(reader.varint()?),
            reserved: reader.varint()?,
            last_number: reader.varint()?,
            epoch: reader.varint()?,
            body_hash: reader.varint()?,
        };
        reader.end()?;
        Ok(mark)
    }
}

impl FeedState {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for field in [self.starts_after.raw(), self.block_bytes.0, self.block_bytes.1, self.days.len() as u64] {
            put_varint(&mut out, field);
        }
        for (day, (bytes, upto)) in &self.days {
            for field in [u64::from(*day), *bytes, *upto] {
                put_varint(&mut out, field);
            }
        }
        out
    }

    fn decode(fields: &[u8]) -> Parsed<FeedState> {
        let mut reader = Reader::new(fields);
        let starts_after = Id::from_raw(reader.varint()?);
        let block_bytes = (reader.varint()?, reader.varint()?);
        let count = reader.count(DAYS_MAX, "days of the feed")?;
        let mut days = BTreeMap::new();
        for _ in 0..count {
            let day = u32::try_from(reader.varint()?).map_err(|_| Malformed("day of the feed"))?;
            days.insert(day, (reader.varint()?, reader.varint()?));
        }
        reader.end()?;
        Ok(FeedState { starts_after, days, block_bytes })
    }
}

/// Key of the row that says what of a channel is to be swept.
pub(crate) fn sweep_key(channel: u64) -> Bytes {
    [SWEEP, &channel.to_be_bytes()].concat().into()
}

/// The rows of all channels that are to be swept.
pub(crate) fn sweep_rows() -> std::ops::Range<Bytes> {
    Bytes::from_static(SWEEP)..keys::end_of_prefix(SWEEP)
}

/// The channel that a key of [`sweep_rows`] names.
pub(crate) fn parse_sweep(key: &[u8]) -> Parsed<u64> {
    let number = key.get(SWEEP.len()..).and_then(|bytes| bytes.try_into().ok());
    number.map(u64::from_be_bytes).ok_or(Malformed("key of what is to be swept"))
}

/// The row that names blocks which the flush up to batch `upto` replaces.
pub(crate) fn garbage_row(upto: u64, piece: u32, blocks: &[BlockKey]) -> (Bytes, Option<Bytes>) {
    let key: Bytes = [GARBAGE, &upto.to_be_bytes(), &piece.to_be_bytes()].concat().into();
    let keys: Vec<u8> = blocks.iter().flat_map(|block| block.encode()).collect();
    let value = rows::seal(&key, &keys);
    (key, Some(value))
}

/// Deletes the blocks that flushes up to the checkpoint replaced, then the rows that name them. Harmless to repeat.
pub(crate) fn delete_garbage(table: &dyn Table, checkpoint: u64) -> Result<()> {
    let snapshot = table.snapshot()?;
    let end: Bytes = [GARBAGE, &checkpoint.saturating_add(1).to_be_bytes()].concat().into();
    for row in snapshot.range(Space::Meta, Bytes::from_static(GARBAGE)..end, false) {
        let (key, value) = row?;
        let mut doomed: BTreeMap<Space, Vec<(Bytes, Option<Bytes>)>> = BTreeMap::new();
        let fields = rows::open(&key, &value)?;
        for block in fields.chunks(BlockKey::BYTES) {
            let block = BlockKey::parse(block)?;
            doomed.entry(block.space()).or_default().push((block.encode(), None));
        }
        let mut doomed: Vec<SpaceRows> = doomed
            .into_iter()
            .map(|(space, mut rows)| {
                rows.sort_unstable();
                SpaceRows { space, rows }
            })
            .collect();
        table.write(&mut doomed.drain(..))?;
        table.write(&mut std::iter::once(SpaceRows { space: Space::Meta, rows: vec![(key, None)] }))?;
    }
    Ok(())
}

/// Whether a day of `dedup` is still asked for when `newest` is the newest day: it and the day before are.
pub(crate) fn is_dedup_day_needed(day: u32, newest: Id) -> bool {
    day + 1 >= keys::day_of(newest)
}
