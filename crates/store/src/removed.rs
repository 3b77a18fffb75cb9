//! The removed set of a channel: which of its seqs went, in containers of 65,536 seqs, deleted and expired apart. The table
//! has a row for each container that lost something and a root with the count of each; tails hold what is newer. A
//! count is a look at the root and at two containers, whatever the size of the channel (`docs/decisions/0007-removed-set.md`).

use crate::{
    device::Space,
    keys,
    rows::{open, seal},
    tail::Part,
    view::View,
    wire::{Malformed, Parsed, Reader, put_prefixed, put_step, put_varint},
};
use bytes::Bytes;
use model::{RemovedCount, Result, Seq, SeqRange, limits};
use roaring::RoaringBitmap;
use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc};

/// Seqs of a container.
const CONTAINER_SEQS: i64 = 65_536;
/// The most bytes that one bitmap of a container takes, as it is stored.
const BITMAP_BYTES_MAX: usize = 16 << 10;

/// The removed seqs of a container: each in one of the two.
#[derive(Clone, Default, PartialEq, Debug)]
pub(crate) struct Container {
    deleted: RoaringBitmap,
    expired: RoaringBitmap,
}

impl Container {
    pub fn insert(&mut self, lows: RangeInclusive<u32>, expired: bool) {
        let bitmap = if expired { &mut self.expired } else { &mut self.deleted };
        bitmap.insert_range(lows);
    }

    fn remove(&mut self, lows: RangeInclusive<u32>, expired: bool) {
        let bitmap = if expired { &mut self.expired } else { &mut self.deleted };
        bitmap.remove_range(lows);
    }

    pub fn merge(&mut self, other: &Container) {
        self.deleted |= &other.deleted;
        self.expired |= &other.expired;
        self.expired -= &self.deleted;
    }

    pub fn contains(&self, low: u32) -> Option<bool> {
        if self.deleted.contains(low) {
            return Some(false);
        }
        self.expired.contains(low).then_some(true)
    }

    pub fn count(&self, lows: RangeInclusive<u32>) -> RemovedCount {
        RemovedCount {
            deleted: self.deleted.range_cardinality(lows.clone()),
            expired: self.expired.range_cardinality(lows),
        }
    }

    pub fn total(&self) -> RemovedCount {
        RemovedCount { deleted: self.deleted.len(), expired: self.expired.len() }
    }

    /// All of it, whatever took them.
    pub fn all(&self) -> RoaringBitmap {
        &self.deleted | &self.expired
    }

    fn is_full_in(&self, lows: RangeInclusive<u32>) -> bool {
        sum(self.count(lows.clone())) == u64::from(*lows.end() - *lows.start()) + 1
    }

    /// The value of the container's row, with the last batch that was merged in.
    pub fn encode(&mut self, key: &[u8], upto: u64) -> Result<Bytes> {
        let mut out = Vec::new();
        put_varint(&mut out, upto);
        for bitmap in [&mut self.deleted, &mut self.expired] {
            bitmap.optimize();
            let mut bytes = Vec::with_capacity(bitmap.serialized_size());
            bitmap.serialize_into(&mut bytes).map_err(model::Error::internal)?;
            put_prefixed(&mut out, &bytes);
        }
        Ok(seal(key, &out))
    }

    pub fn decode(key: &[u8], value: &Bytes) -> Parsed<(Container, u64)> {
        let fields = open(key, value)?;
        let mut reader = Reader::new(&fields);
        let upto = reader.varint()?;
        let mut bitmap = || -> Parsed<RoaringBitmap> {
            let bitmap = RoaringBitmap::deserialize_from(reader.prefixed(BITMAP_BYTES_MAX)?)
                .map_err(|_| Malformed("bitmap of removed seqs"))?;
            match bitmap.max().is_none_or(|max| i64::from(max) < CONTAINER_SEQS) {
                true => Ok(bitmap),
                false => Err(Malformed("bitmap of removed seqs: above its container")),
            }
        };
        let container = Container { deleted: bitmap()?, expired: bitmap()? };
        reader.end()?;
        Ok((container, upto))
    }
}

fn sum(count: RemovedCount) -> u64 {
    count.deleted + count.expired
}

fn add(to: &mut RemovedCount, count: RemovedCount) {
    to.deleted += count.deleted;
    to.expired += count.expired;
}

/// The container of a seq, and its place there.
pub(crate) fn split(seq: Seq) -> (i64, u32) {
    (seq.0.div_euclid(CONTAINER_SEQS), seq.0.rem_euclid(CONTAINER_SEQS) as u32)
}

/// The number of a container as `put_step` wrote it.
pub(crate) fn read_container(reader: &mut Reader<'_>, from: i64) -> Parsed<i64> {
    let container = reader.step(from)?;
    let all = split(Seq(-limits::SEQ)).0..=split(Seq(limits::SEQ)).0;
    if all.contains(&container) { Ok(container) } else { Err(Malformed("container of seqs")) }
}

/// The seq at a place of a container.
pub(crate) fn seq_in(container: i64, low: u32) -> Seq {
    Seq(container * CONTAINER_SEQS + i64::from(low))
}

/// The last place of a container.
pub(crate) const LAST_LOW: u32 = (CONTAINER_SEQS - 1) as u32;

/// The parts of a range of seqs by container.
pub(crate) fn by_container(range: SeqRange) -> impl Iterator<Item = (i64, RangeInclusive<u32>)> {
    let ((first, low), (last, high)) = (split(range.first), split(range.last));
    (first..=last).map(move |container| {
        let low = if container == first { low } else { 0 };
        let high = if container == last { high } else { LAST_LOW };
        (container, low..=high)
    })
}

/// What was removed in a tail, by container and in the order of the batches, so that an older view takes back the
/// batches which it does not show.
#[derive(Default)]
pub(crate) struct TailRemoved {
    containers: BTreeMap<i64, Container>,
    log: Vec<(u32, bool, SeqRange)>,
}

impl TailRemoved {
    /// Returns by about how many bytes it grew.
    pub fn add(&mut self, batch: u32, expired: bool, seqs: &[SeqRange]) -> usize {
        let mut grown = 0;
        for range in seqs {
            for (container, lows) in by_container(*range) {
                let there = self.containers.len();
                self.containers.entry(container).or_default().insert(lows, expired);
                grown += (self.containers.len() - there) * 160 + 8;
            }
            self.log.push((batch, expired, *range));
        }
        grown + seqs.len() * size_of::<(u32, bool, SeqRange)>() * 2
    }

    fn unseen(&self, batches: usize) -> impl Iterator<Item = &(u32, bool, SeqRange)> {
        self.log.iter().rev().take_while(move |(batch, ..)| *batch as usize >= batches)
    }

    /// What the first `batches` batches removed of a container.
    pub fn container(&self, container: i64, batches: usize) -> Option<Container> {
        let mut found = self.containers.get(&container)?.clone();
        for (_, expired, range) in self.unseen(batches) {
            let own = by_container(*range).filter(|(index, _)| *index == container);
            own.for_each(|(_, lows)| found.remove(lows, *expired));
        }
        Some(found)
    }

    /// Whether the first `batches` batches removed a message.
    pub fn contains(&self, seq: Seq, batches: usize) -> bool {
        let (index, low) = split(seq);
        let is_removed = self.containers.get(&index).is_some_and(|container| container.contains(low).is_some());
        // No message is removed twice.
        is_removed && !self.unseen(batches).any(|(.., range)| range.contains(seq))
    }

    /// What the first `batches` batches removed, in their order.
    pub fn ranges(&self, batches: usize) -> Vec<SeqRange> {
        let shown = self.log.iter().take_while(|(batch, ..)| (*batch as usize) < batches);
        shown.map(|(.., range)| *range).collect()
    }

    /// The containers of which something was removed.
    pub fn containers(&self) -> impl Iterator<Item = i64> {
        self.containers.keys().copied()
    }

    /// What the first `batches` batches removed in these containers.
    fn count(&self, containers: RangeInclusive<i64>, batches: usize) -> RemovedCount {
        let mut count = RemovedCount::default();
        self.containers.range(containers.clone()).for_each(|(_, found)| add(&mut count, found.total()));
        for (_, expired, range) in self.unseen(batches) {
            let own = by_container(*range).filter(|(index, _)| containers.contains(index));
            let unseen: u64 = own.map(|(_, lows)| u64::from(lows.end() - lows.start()) + 1).sum();
            let field = if *expired { &mut count.expired } else { &mut count.deleted };
            *field = field.saturating_sub(unseen);
        }
        count
    }

    pub fn is_empty(&self) -> bool {
        self.log.is_empty()
    }
}

/// A set of seqs, by container.
#[derive(Default)]
pub(crate) struct SeqSet {
    containers: BTreeMap<i64, RoaringBitmap>,
}

impl SeqSet {
    pub fn insert(&mut self, seq: Seq) {
        let (container, low) = split(seq);
        self.containers.entry(container).or_default().insert(low);
    }

    pub fn contains(&self, seq: Seq) -> bool {
        let (container, low) = split(seq);
        self.containers.get(&container).is_some_and(|lows| lows.contains(low))
    }

    /// How many of (`after`, `upto`] are in it and were not removed in these parts.
    pub fn count_there(&self, after: Seq, upto: Seq, number: u64, parts: &[Part<'_>]) -> u64 {
        let ((first, low), (last, high)) = (split(after.next()), split(upto));
        let mut count = 0;
        for (index, lows) in self.containers.range(first..=last.max(first)) {
            let from = if *index == first { low } else { 0 };
            let to = if *index == last { high } else { LAST_LOW };
            if from > to || *index > last {
                continue;
            }
            count += lows.range_cardinality(from..=to);
            for part in parts {
                let newer = part.with_removed(number, |tail, batches| tail.container(*index, batches)).flatten();
                count -= newer.map_or(0, |newer| (lows & newer.all()).range_cardinality(from..=to));
            }
        }
        count
    }
}

/// How many seqs of each container are removed, as the table has it.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Root {
    /// The last batch that was merged in.
    pub upto: u64,
    pub counts: BTreeMap<i64, (u32, u32)>,
}

impl Root {
    pub fn encode(&self, key: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(16 + self.counts.len() * 5);
        put_varint(&mut out, self.upto);
        put_varint(&mut out, self.counts.len() as u64);
        let mut next = 0;
        for (container, (deleted, expired)) in &self.counts {
            put_step(&mut out, next, *container);
            put_varint(&mut out, u64::from(*deleted));
            put_varint(&mut out, u64::from(*expired));
            next = container + 1;
        }
        seal(key, &out)
    }

    pub fn decode(key: &[u8], value: &Bytes) -> Parsed<Root> {
        let fields = open(key, value)?;
        let mut reader = Reader::new(&fields);
        let mut root = Root { upto: reader.varint()?, counts: BTreeMap::new() };
        let count = reader.count(fields.len(), "containers of a root")?;
        let mut next = 0;
        for _ in 0..count {
            let container = read_container(&mut reader, next)?;
            let mut part = || reader.count(CONTAINER_SEQS as usize, "count of a root").map(|count| count as u32);
            root.counts.insert(container, (part()?, part()?));
            next = container + 1;
        }
        reader.end()?;
        Ok(root)
    }

    fn count(&self, containers: RangeInclusive<i64>) -> RemovedCount {
        let mut count = RemovedCount::default();
        for (_, (deleted, expired)) in self.counts.range(containers) {
            add(&mut count, RemovedCount { deleted: u64::from(*deleted), expired: u64::from(*expired) });
        }
        count
    }
}

/// The removed set of a channel in a view.
pub(crate) struct Removed<'a> {
    view: &'a View,
    number: u64,
    /// `None`: the table has nothing, or is not to be asked.
    root: Option<Arc<Root>>,
    parts: Vec<Part<'a>>,
    /// The containers asked for last: a count looks at both ends of its range, and a search keeps one of them.
    kept: [Option<(i64, Arc<Container>)>; 2],
}

impl<'a> Removed<'a> {
    /// From the tails, and from the table as far as there is a root.
    pub fn new(view: &'a View, number: u64, root: Option<Arc<Root>>) -> Removed<'a> {
        let parts = view.parts().filter(|part| part.has_removed(number)).collect();
        Removed { view, number, root, parts, kept: [None, None] }
    }

    /// From the table and the frozen tail only: what a flush writes down.
    pub fn of_frozen(view: &'a View, number: u64, root: Option<Arc<Root>>, frozen: Part<'a>) -> Removed<'a> {
        let parts = Some(frozen).filter(|part| part.has_removed(number)).into_iter().collect();
        Removed { view, number, root, parts, kept: [None, None] }
    }

    /// From the table only.
    pub fn of_table(view: &'a View, number: u64, root: Option<Arc<Root>>) -> Removed<'a> {
        Removed { view, number, root, parts: Vec::new(), kept: [None, None] }
    }

    pub fn is_nothing(&self) -> bool {
        self.root.is_none() && self.parts.is_empty()
    }

    /// Whether a seq was removed, and if so, whether it expired.
    pub fn of(&mut self, seq: Seq) -> Result<Option<bool>> {
        if self.is_nothing() {
            return Ok(None);
        }
        let (container, low) = split(seq);
        Ok(self.container(container)?.contains(low))
    }

    pub fn has(&mut self, seq: Seq) -> Result<bool> {
        self.of(seq).map(|found| found.is_some())
    }

    /// How many seqs in (`after`, `upto`] were removed.
    pub fn count(&mut self, after: Seq, upto: Seq) -> Result<RemovedCount> {
        let mut count = RemovedCount::default();
        if self.is_nothing() || after >= upto {
            return Ok(count);
        }
        let ((first, low), (last, high)) = (split(after.next()), split(upto));
        if first == last {
            return Ok(self.container(first)?.count(low..=high));
        }
        add(&mut count, self.container(first)?.count(low..=LAST_LOW));
        add(&mut count, self.container(last)?.count(0..=high));
        if last - first > 1 {
            let between = first + 1..=last - 1;
            let merged = self.root.as_ref().map_or(0, |root| root.upto);
            if let Some(root) = &self.root {
                add(&mut count, root.count(between.clone()));
            }
            for part in self.parts.iter().filter(|part| part.is_newer_than(merged)) {
                let counted = part.with_removed(self.number, |tail, batches| tail.count(between.clone(), batches));
                add(&mut count, counted.unwrap_or_default());
            }
        }
        Ok(count)
    }

    /// The greatest seq up to `seq` and above `floor` that is not removed; `floor` if there is none.
    pub fn last_there(&mut self, seq: Seq, floor: Seq) -> Result<Seq> {
        let mut at = seq;
        while at > floor {
            let (index, high) = split(at);
            let container = self.container(index)?;
            if container.is_full_in(0..=high) {
                at = seq_in(index, 0).previous();
                continue;
            }
            let (mut full, mut gap) = (high + 1, 0);
            // The range from `full` to `high` is removed, the one from `gap` is not.
            while full - gap > 1 {
                let middle = gap + (full - gap) / 2;
                match container.is_full_in(middle..=high) {
                    true => full = middle,
                    false => gap = middle,
                }
            }
            return Ok(seq_in(index, gap).max(floor));
        }
        Ok(floor)
    }

    /// The least seq from `seq` up to `end` that is not removed; the one after `end` if there is none.
    pub fn first_there(&mut self, seq: Seq, end: Seq) -> Result<Seq> {
        let mut at = seq;
        while at <= end {
            let (index, low) = split(at);
            let container = self.container(index)?;
            if container.is_full_in(low..=LAST_LOW) {
                at = seq_in(index + 1, 0);
                continue;
            }
            let (mut gap, mut full) = (LAST_LOW, i64::from(low) - 1);
            while i64::from(gap) - full > 1 {
                let middle = (full + (i64::from(gap) - full) / 2) as u32;
                match container.is_full_in(low..=middle) {
                    true => full = i64::from(middle),
                    false => gap = middle,
                }
            }
            return Ok(seq_in(index, gap).min(end.next()));
        }
        Ok(end.next())
    }

    /// A container as this view shows it; the last two asked for are kept.
    pub fn container(&mut self, index: i64) -> Result<Arc<Container>> {
        if self.kept[0].as_ref().is_none_or(|(kept, _)| *kept != index) {
            self.kept.swap(0, 1);
        }
        match &self.kept[0] {
            Some((kept, container)) if *kept == index => Ok(container.clone()),
            _ => {
                let container = Arc::new(self.read_container(index)?);
                self.kept[0] = Some((index, container.clone()));
                Ok(container)
            }
        }
    }

    fn read_container(&self, index: i64) -> Result<Container> {
        let (mut container, mut merged) = (Container::default(), 0);
        if self.root.is_some() {
            let key = keys::removed_row(self.number, index);
            if let Some(value) = self.view.get(Space::Removed, &key)? {
                (container, merged) = Container::decode(&key, &value)?;
            }
        }
        for part in self.parts.iter().filter(|part| part.is_newer_than(merged)) {
            let newer = part.with_removed(self.number, |tail, batches| tail.container(index, batches));
            if let Some(newer) = newer.flatten() {
                container.merge(&newer);
            }
        }
        Ok(container)
    }
}
