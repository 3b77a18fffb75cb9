//! The messages of a tail that can expire, by channel and by time.

use super::{Part, Place, read};
use crate::codec::Published;
use model::{Id, Seq};
use std::{collections::BTreeMap, ops::Bound};

/// A message that can expire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct DueEntry {
    pub due: Id,
    pub number: u64,
    pub seq: Seq,
    pub id: Id,
}

/// The messages that can expire: their batches and ids, by channel and by time.
#[derive(Default)]
pub(super) struct DueEntries {
    by_channel: BTreeMap<(u64, Id, Seq), (u32, Id)>,
    by_time: BTreeMap<(Id, u64, Seq), (u32, Id)>,
}

impl Part<'_> {
    /// The messages of a channel that are due at `now`, the earliest due first.
    pub fn due_of(&self, number: u64, now: Id) -> Vec<DueEntry> {
        let entries = read(&self.tail.due);
        let due = entries.by_channel.range((number, Id::MIN, Seq::NONE)..=(number, now, Seq::MAX));
        let entry = |(&(number, due, seq), &(_, id)): (&(u64, Id, Seq), &(u32, Id))| DueEntry { due, number, seq, id };
        due.filter(|(_, (batch, _))| (*batch as usize) < self.count).map(entry).collect()
    }

    /// Whether messages of a channel can expire.
    pub fn can_expire(&self, number: u64) -> bool {
        let entries = read(&self.tail.due);
        let mut own = entries.by_channel.range((number, Id::MIN, Seq::NONE)..=(number, Id::MAX, Seq::MAX));
        own.any(|(_, (batch, _))| (*batch as usize) < self.count)
    }

    /// The first message that is due after this entry, up to `now`.
    pub fn next_due(&self, after: Option<DueEntry>, now: Id) -> Option<DueEntry> {
        let entries = read(&self.tail.due);
        let start = match after {
            Some(entry) => Bound::Excluded((entry.due, entry.number, entry.seq)),
            None => Bound::Unbounded,
        };
        let end = (now, u64::MAX, Seq::MAX);
        if after.is_some_and(|entry| (entry.due, entry.number, entry.seq) >= end) {
            return None;
        }
        let mut due = entries.by_time.range((start, Bound::Included(end)));
        let (&(due, number, seq), &(_, id)) = due.find(|(_, (batch, _))| (*batch as usize) < self.count)?;
        Some(DueEntry { due, number, seq, id })
    }
}

impl DueEntries {
    pub fn add(&mut self, number: u64, due: Id, published: &Published, place: Place) {
        let value = (place.batch, published.id);
        self.by_channel.insert((number, due, published.seq), value);
        self.by_time.insert((due, number, published.seq), value);
    }
}
