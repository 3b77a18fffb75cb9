//! Rows on their way to the table. What an earlier attempt of the same flush has written is not written again.

use crate::{
    device::{Space, SpaceRows},
    kept_store::Shared,
    keys::BlockKey,
    merge::Output,
    meta,
};
use bytes::Bytes;
use model::Result;
use std::{collections::BTreeMap, sync::atomic::Ordering};
use xxhash_rust::xxh3::Xxh3;

/// Rows on their way to the table, written whenever enough of them are there.
pub(crate) struct Pieces<'a> {
    shared: &'a Shared,
    /// The last batch of the flush.
    pub upto: u64,
    rows: BTreeMap<Space, Vec<(Bytes, Option<Bytes>)>>,
    garbage: Vec<BlockKey>,
    bytes: usize,
    pub(super) block_bytes: u64,
    /// Bytes put into the change feeds, by week.
    pub(super) changes: BTreeMap<u32, u64>,
    /// Rows to be deleted when all others are written.
    pub last: Vec<(Space, Bytes)>,
    written: u32,
    /// Hashes of the pieces that this flush has written, in an earlier attempt too.
    earlier: &'a mut Vec<u64>,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(shared: &'a Shared, upto: u64, earlier: &'a mut Vec<u64>) -> Pieces<'a> {
        let (rows, garbage) = (BTreeMap::new(), Vec::new());
        Pieces {
            shared,
            upto,
            rows,
            garbage,
            bytes: 0,
            block_bytes: 0,
            changes: BTreeMap::new(),
            last: Vec::new(),
            written: 0,
            earlier,
        }
    }

    /// A row of a channel's change feed.
    pub fn change(&mut self, week: u32, key: Bytes, value: Bytes) {
        *self.changes.entry(week).or_default() += value.len() as u64;
        self.put(Space::Changes(week), key, Some(value));
    }

    pub fn put(&mut self, space: Space, key: Bytes, value: Option<Bytes>) {
        self.bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
        self.rows.entry(space).or_default().push((key, value));
    }

    pub fn write_if_full(&mut self) -> Result<()> {
        if self.bytes < self.shared.settings.piece_bytes {
            return Ok(());
        }
        self.write()
    }

    pub(super) fn write(&mut self) -> Result<()> {
        if !self.garbage.is_empty() {
            let (key, value) = meta::garbage_row(self.upto, self.written, &self.garbage);
            self.put(Space::Meta, key, value);
            self.garbage.clear();
        }
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        let rows: Vec<SpaceRows> = rows
            .into_iter()
            .map(|(space, mut rows)| {
                rows.sort_unstable_by(|one, other| one.0.cmp(&other.0));
                SpaceRows { space, rows }
            })
            .collect();
        self.write_piece(rows)?;
        self.bytes = 0;
        self.written += 1;
        Ok(())
    }

    /// Written twice, a piece would take its room twice, and an attempt on a full device might never come to its end.
    fn write_piece(&mut self, rows: Vec<SpaceRows>) -> Result<()> {
        let (at, hash) = (self.written as usize, hash_of(&rows));
        if self.earlier.get(at) == Some(&hash) {
            return Ok(());
        }
        self.earlier.truncate(at);
        self.shared.stats.written_bytes.fetch_add(self.bytes as u64, Ordering::Relaxed);
        self.shared.table.write(&mut rows.into_iter())?;
        self.earlier.push(hash);
        Ok(())
    }
}

impl Output for Pieces<'_> {
    fn block(&mut self, key: BlockKey, value: Bytes) -> Result<()> {
        self.shared.stats.blocks_written.fetch_add(1, Ordering::Relaxed);
        self.block_bytes += value.len() as u64;
        self.put(key.space(), key.encode(), Some(value));
        self.write_if_full()
    }

    fn garbage(&mut self, key: BlockKey) {
        self.shared.stats.blocks_merged.fetch_add(1, Ordering::Relaxed);
        self.garbage.push(key);
    }
}

fn hash_of(rows: &[SpaceRows]) -> u64 {
    let mut hash = Xxh3::new();
    for SpaceRows { space, rows } in rows {
        hash.update(space.name().as_bytes());
        for (key, value) in rows {
            let length = value.as_ref().map_or(u64::MAX, |value| value.len() as u64);
            hash.update(&(key.len() as u64).to_le_bytes());
            hash.update(key);
            hash.update(&length.to_le_bytes());
            hash.update(value.as_deref().unwrap_or_default());
        }
    }
    hash.digest()
}
