//! The tail: what is in the log and not yet in blocks, in memory, by channel. One thread adds whole batches; any
//! thread reads, up to the last batch of its view. The bodies of the batches are the memory; everything else here
//! only points into them.

use crate::{
    altered::{Alterations, Shown},
    codec::{self, Altered, Entry},
    commit::newest,
    device::LogRecord,
    keys,
    lists::fresh::Fresh,
    wire::{Malformed, Parsed},
};
use bytes::Bytes;
use foldhash::fast::RandomState;
use model::{Id, Seq, Span};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap},
    hash::BuildHasher,
    mem,
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

const SHARDS: usize = 64;
/// Bytes that a slot of a hash map takes, with the room that the map keeps free.
const fn slot_bytes(entry: usize) -> usize {
    (entry + 1) * 3 / 2
}

/// A batch in memory.
#[derive(Clone)]
pub(crate) struct TailBatch {
    pub record: LogRecord,
    /// The id of its first change; [`Id::MIN`] if it is empty.
    first: Id,
    /// The greatest id that was stored when the batch had happened.
    upto: Id,
}

/// Where a change lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// Index of its batch in the tail.
    pub batch: u32,
    /// Offset of the change in the body.
    pub offset: u32,
}

/// Where the changes of a channel lie, oldest first. Most channels of a crowd have one.
enum Places {
    One(Place),
    Many(Vec<Place>),
}

/// What is in the log and not yet in blocks.
pub(crate) struct Tail {
    /// The number that the batch at index 0 has.
    first_batch: u64,
    /// The newest id that was stored before this tail.
    pub after: Id,
    batches: RwLock<Vec<TailBatch>>,
    channels: Vec<RwLock<HashMap<u64, Places, RandomState>>>,
    names: RwLock<NewNames>,
    keyed: RwLock<HashMap<KeyedAt, Place, RandomState>>,
    records: RwLock<BTreeMap<Box<[u8]>, Vec<Place>>>,
    altered: RwLock<HashMap<u64, Box<Alterations>, RandomState>>,
    due: RwLock<DueEntries>,
    fresh: Fresh,
    /// It holds something of an import.
    imported: AtomicBool,
    resident: AtomicUsize,
    log_bytes: AtomicUsize,
    changes: AtomicUsize,
}

/// The messages that can expire: their batches and ids, by channel and by time.
#[derive(Default)]
struct DueEntries {
    by_channel: BTreeMap<(u64, Id, Seq), (u32, Id)>,
    by_time: BTreeMap<(Id, u64, Seq), (u32, Id)>,
}

/// A message that can expire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct DueEntry {
    pub due: Id,
    pub number: u64,
    pub seq: Seq,
    pub id: Id,
}

/// Day, channel, hash of the key.
type KeyedAt = (u32, u64, u128);

/// The channels whose first stored change lies in this tail: hash of the name to number. The name itself is read from
/// that change, so that a name costs its bytes once.
struct NewNames {
    hasher: RandomState,
    numbers: HashMap<u64, u64, RandomState>,
    /// Those whose hash was taken already.
    collided: Vec<(u64, u64)>,
}

impl Tail {
    /// An empty tail that goes on after this batch and this id.
    pub fn new(last_batch: u64, after: Id) -> Tail {
        Tail {
            first_batch: last_batch + 1,
            after,
            batches: RwLock::default(),
            channels: (0..SHARDS).map(|_| RwLock::default()).collect(),
            names: RwLock::new(NewNames {
                hasher: RandomState::default(),
                numbers: HashMap::default(),
                collided: Vec::new(),
            }),
            keyed: RwLock::default(),
            records: RwLock::default(),
            altered: RwLock::default(),
            due: RwLock::default(),
            fresh: Fresh::default(),
            imported: AtomicBool::new(false),
            resident: AtomicUsize::new(0),
            log_bytes: AtomicUsize::new(0),
            changes: AtomicUsize::new(0),
        }
    }

    /// Bytes of memory.
    pub fn resident(&self) -> usize {
        self.resident.load(Relaxed)
    }

    /// About how many bytes its batches take in the log.
    pub fn log_bytes(&self) -> usize {
        self.log_bytes.load(Relaxed)
    }

    /// How many changes it holds.
    pub fn changes(&self) -> usize {
        self.changes.load(Relaxed)
    }

    /// Bytes of the bodies of its batches.
    pub fn body_bytes(&self) -> usize {
        read(&self.batches).iter().map(|batch| batch.record.body.len()).sum()
    }

    /// Everything of it up to a batch.
    pub fn upto(&self, batch: u64) -> Part<'_> {
        Part { tail: self, count: (batch + 1).saturating_sub(self.first_batch) as usize }
    }

    /// Whether it holds no batch at all.
    pub fn is_empty(&self) -> bool {
        read(&self.batches).is_empty()
    }

    /// Adds the next batch, with its changes as `codec::decode` found them. No view shows it yet.
    pub fn add(&self, record: LogRecord, entries: Vec<(usize, Entry)>) {
        let body = record.body.clone();
        let index = read(&self.batches).len() as u32;
        let before = read(&self.batches).last().map_or(self.after, |batch| batch.upto);
        let is_imported = codec::is_imported(&body);
        if is_imported {
            self.imported.store(true, Relaxed);
        }
        // Nothing of an import is in the order of ids that batches are searched by.
        let first = entries.first().filter(|_| !is_imported).map_or(Id::MIN, |(_, first)| first.id());
        let upto = newest(before, &body, &entries);
        let mut grown = size_of::<TailBatch>() + body.len();
        self.log_bytes.fetch_add((body.len() + 1024).next_multiple_of(512), Relaxed);
        self.changes.fetch_add(entries.len(), Relaxed);
        write(&self.batches).push(TailBatch { record, first, upto });
        for (offset, entry) in entries {
            let place = Place { batch: index, offset: offset as u32 };
            grown += match entry {
                Entry::Published(published) => self.add_published(&published, place, &body),
                Entry::Record(record) => self.add_record(&body[record.key], place),
                Entry::Altered(altered) => self.add_altered(&altered, place, &body),
            };
        }
        self.resident.fetch_add(grown, Relaxed);
    }

    /// Returns by how many bytes the tail grew.
    fn add_published(&self, published: &codec::Published, place: Place, body: &Bytes) -> usize {
        let number = published.number;
        let mut grown = 0;
        if published.first {
            grown += write(&self.names).add(&body[published.channel.clone()], number);
        }
        if let Some(key) = &published.key {
            let at = (keys::day_of(published.id), number, key.key_hash);
            write(&self.keyed).insert(at, place);
            grown += slot_bytes(size_of::<(KeyedAt, Place)>());
        }
        if let Some(due) = published.expires_at {
            let mut entries = write(&self.due);
            let value = (place.batch, published.id);
            entries.by_channel.insert((number, due, published.seq), value);
            entries.by_time.insert((due, number, published.seq), value);
            grown += 2 * slot_bytes(size_of::<DueEntry>());
        }
        grown + self.add_place(number, place)
    }

    fn add_altered(&self, altered: &Altered, place: Place, body: &Bytes) -> usize {
        let number = altered.number;
        let mut grown = 0;
        let mut channels = write(&self.altered);
        let there = channels.len();
        let alterations = channels.entry(number).or_default();
        grown += alterations.add(altered, place);
        if channels.len() > there {
            grown += size_of::<Alterations>() + slot_bytes(size_of::<(u64, Box<Alterations>)>());
            // The first stored change of a channel may be of this kind: nothing in it says so.
            grown += write(&self.names).add(&body[altered.channel.clone()], number);
        }
        grown
    }

    fn add_place(&self, number: u64, place: Place) -> usize {
        let mut channels = write(self.shard(number));
        match channels.entry(number) {
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(Places::One(place));
                slot_bytes(size_of::<(u64, Places)>())
            }
            std::collections::hash_map::Entry::Occupied(mut occupied) => occupied.get_mut().push(place),
        }
    }

    fn add_record(&self, key: &[u8], place: Place) -> usize {
        let mut records = write(&self.records);
        if let Some(places) = records.get_mut(key) {
            places.push(place);
            return 2 * size_of::<Place>();
        }
        records.insert(key.into(), vec![place]);
        key.len() + 96
    }

    fn shard(&self, number: u64) -> &RwLock<HashMap<u64, Places, RandomState>> {
        &self.channels[number as usize % SHARDS]
    }
}

impl Places {
    fn as_slice(&self) -> &[Place] {
        match self {
            Places::One(place) => std::slice::from_ref(place),
            Places::Many(places) => places,
        }
    }

    fn push(&mut self, place: Place) -> usize {
        match self {
            Places::One(first) => {
                *self = Places::Many(vec![*first, place]);
                2 * size_of::<Place>() + 16
            }
            Places::Many(places) => {
                let before = places.capacity();
                places.push(place);
                (places.capacity() - before) * size_of::<Place>()
            }
        }
    }
}

impl NewNames {
    fn add(&mut self, name: &[u8], number: u64) -> usize {
        let hash = self.hasher.hash_one(name);
        let known = *self.numbers.entry(hash).or_insert(number);
        if known != number && !self.collided.contains(&(hash, number)) {
            self.collided.push((hash, number));
        }
        slot_bytes(size_of::<(u64, u64)>())
    }

    /// The numbers of the channels whose name may be this one.
    fn candidates(&self, name: &[u8]) -> Vec<u64> {
        let hash = self.hasher.hash_one(name);
        let collided = self.collided.iter().filter(|(taken, _)| *taken == hash).map(|(_, number)| *number);
        self.numbers.get(&hash).copied().into_iter().chain(collided).collect()
    }
}

/// The part of a tail that a view shows: whole batches from the first on.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    tail: &'a Tail,
    count: usize,
}

/// A published message, and the body that it lies in.
pub(crate) struct Found {
    pub body: Bytes,
    pub published: codec::Published,
}

/// The oldest and the newest message of a channel in a tail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ends {
    pub first: (Id, Seq),
    pub last: (Id, Seq),
    /// The oldest one is the first change that its channel ever stored.
    pub is_new: bool,
}

impl<'a> Part<'a> {
    /// Its batches.
    pub fn batches(&self) -> Vec<TailBatch> {
        let batches = read(&self.tail.batches);
        batches[..self.count.min(batches.len())].to_vec()
    }

    /// Whether it holds something of an import.
    pub fn has_imported(&self) -> bool {
        self.tail.imported.load(Relaxed)
    }

    /// The newest id in a channel of what an import brought, if it brought something.
    pub fn imported_upto(&self, number: u64) -> Parsed<Option<Id>> {
        if !self.has_imported() {
            return Ok(None);
        }
        let is_imported =
            |place: &Place, batches: &[TailBatch]| codec::is_imported(&batches[place.batch as usize].record.body);
        let message = self.with_places(number, |places, batches| {
            let newest = places.iter().rev().find(|place| is_imported(place, batches));
            newest.map(|place| published(*place, batches).map(|published| published.id)).transpose()
        })?;
        let altered = self.with_altered(number, |shown| {
            let batches = read(&self.tail.batches);
            let imported = shown.changes_after(Id::MIN).filter(|(_, place)| is_imported(place, &batches));
            imported.map(|(id, _)| id).max()
        });
        Ok(message.flatten().max(altered.flatten()))
    }

    /// Its batches from an index on.
    pub fn batches_from(&self, index: usize) -> Vec<TailBatch> {
        let batches = read(&self.tail.batches);
        let shown = &batches[..self.count.min(batches.len())];
        shown.get(index..).map(<[TailBatch]>::to_vec).unwrap_or_default()
    }

    /// Whether it has the batch with this index.
    pub fn has_batch(&self, index: u32) -> bool {
        (index as usize) < self.count
    }

    /// The lists of the tail.
    pub fn fresh(&self) -> &'a Fresh {
        &self.tail.fresh
    }

    /// The batches that have changes in a span, the oldest first, until they hold `changes` of them at least.
    pub fn batches_in(&self, span: Span, changes: usize) -> Vec<TailBatch> {
        let batches = read(&self.tail.batches);
        let batches = &batches[..self.count.min(batches.len())];
        let mut found = Vec::new();
        let mut held = 0;
        // Empty batches have no ids to search by, so the search goes by the greatest id up to each batch.
        let start = batches.partition_point(|batch| batch.upto <= span.after);
        for batch in &batches[start..] {
            // The first of them may lie in the span with its last change only.
            if batch.first > span.upto || held > changes {
                break;
            }
            held += if found.is_empty() { 1 } else { batch.record.changes as usize };
            found.push(batch.clone());
        }
        found
    }

    /// The newest id that was stored before the tail.
    pub fn after(&self) -> Id {
        self.tail.after
    }

    /// The newest id that was stored up to the part's end.
    pub fn last_id(&self) -> Id {
        let batches = read(&self.tail.batches);
        match self.count.min(batches.len()) {
            0 => self.tail.after,
            count => batches[count - 1].upto,
        }
    }

    /// Calls `f` with the visible places of a channel, if there are any.
    fn with_places<R>(&self, number: u64, f: impl FnOnce(&[Place], &[TailBatch]) -> Parsed<R>) -> Parsed<Option<R>> {
        let channels = read(self.tail.shard(number));
        let Some(places) = channels.get(&number) else { return Ok(None) };
        let places = self.visible(places.as_slice());
        if places.is_empty() {
            return Ok(None);
        }
        f(places, &read(&self.tail.batches)).map(Some)
    }

    fn visible<'p>(&self, places: &'p [Place]) -> &'p [Place] {
        &places[..places.partition_point(|place| self.shows(*place))]
    }

    fn shows(&self, place: Place) -> bool {
        (place.batch as usize) < self.count
    }

    /// The oldest and the newest message of a channel.
    pub fn ends(&self, number: u64) -> Parsed<Option<Ends>> {
        self.with_places(number, |places, batches| {
            let first = published(places[0], batches)?;
            let last = published(places[places.len() - 1], batches)?;
            Ok(Ends { first: (first.id, first.seq), last: (last.id, last.seq), is_new: first.first })
        })
    }

    /// The seq of the newest message of a channel whose id is at most `id`; `None` if the tail has none.
    pub fn seq_at(&self, number: u64, id: Id) -> Parsed<Option<Seq>> {
        let found = self.with_places(number, |places, batches| match position_after(places, batches, id)? {
            0 => Ok(None),
            after => Ok(Some(published(places[after - 1], batches)?.seq)),
        })?;
        Ok(found.flatten())
    }

    /// The id of the message of a channel with this seq, if it is here.
    pub fn id_of(&self, number: u64, seq: Seq) -> Parsed<Option<Id>> {
        let found = self.with_places(number, |places, batches| {
            let (mut low, mut high) = (0, places.len());
            while low < high {
                let middle = (low + high) / 2;
                let found = published(places[middle], batches)?;
                match found.seq.cmp(&seq) {
                    Ordering::Less => low = middle + 1,
                    Ordering::Greater => high = middle,
                    Ordering::Equal => return Ok(Some(found.id)),
                }
            }
            Ok(None)
        })?;
        Ok(found.flatten())
    }

    /// At most `max` messages of a channel with ids greater than `after`, from the oldest on.
    pub fn ascending(&self, number: u64, after: Id, max: usize) -> Parsed<Vec<Found>> {
        let found = self.with_places(number, |places, batches| {
            let start = position_after(places, batches, after)?;
            places[start..].iter().take(max).map(|place| find(*place, batches)).collect()
        })?;
        Ok(found.unwrap_or_default())
    }

    /// At most `max` messages of a channel with ids up to `upto`, from the newest back.
    pub fn descending(&self, number: u64, upto: Id, max: usize) -> Parsed<Vec<Found>> {
        let found = self.with_places(number, |places, batches| {
            let end = position_after(places, batches, upto)?;
            places[..end].iter().rev().take(max).map(|place| find(*place, batches)).collect()
        })?;
        Ok(found.unwrap_or_default())
    }

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
            Some(entry) => std::ops::Bound::Excluded((entry.due, entry.number, entry.seq)),
            None => std::ops::Bound::Unbounded,
        };
        let end = (now, u64::MAX, Seq::MAX);
        if after.is_some_and(|entry| (entry.due, entry.number, entry.seq) >= end) {
            return None;
        }
        let mut due = entries.by_time.range((start, std::ops::Bound::Included(end)));
        let (&(due, number, seq), &(_, id)) = due.find(|(_, (batch, _))| (*batch as usize) < self.count)?;
        Some(DueEntry { due, number, seq, id })
    }

    /// Calls `f` with what happened to messages of a channel that were there already, if something did.
    pub fn with_altered<R>(&self, number: u64, f: impl FnOnce(Shown<'_>) -> R) -> Option<R> {
        let channels = read(&self.tail.altered);
        let alterations = channels.get(&number)?;
        Some(f(Shown { alterations, batches: self.count }))
    }

    /// What lies at a place, and the body that it lies in.
    pub fn altered_at(&self, place: Place) -> Parsed<(Bytes, Altered)> {
        let body = read(&self.tail.batches)[place.batch as usize].record.body.clone();
        let altered = codec::altered_at(&body, place.offset as usize)?;
        Ok((body, altered))
    }

    /// The numbers of the channels in which something was altered, in no order.
    pub fn altered_numbers(&self) -> Vec<u64> {
        let channels = read(&self.tail.altered);
        let shown = |alterations: &Alterations| alterations.changes.first().is_some_and(|(_, at)| self.shows(*at));
        channels.iter().filter(|(_, alterations)| shown(alterations)).map(|(number, _)| *number).collect()
    }

    /// Whether the part goes past a batch.
    pub fn is_newer_than(&self, batch: u64) -> bool {
        self.tail.first_batch + self.count as u64 > batch + 1
    }

    /// What names a channel that has something here.
    pub fn name_of(&self, number: u64) -> Parsed<Option<Bytes>> {
        let name = self.with_places(number, |places, batches| {
            let body = &batches[places[0].batch as usize].record.body;
            Ok(body.slice(published(places[0], batches)?.channel))
        })?;
        if name.is_some() {
            return Ok(name);
        }
        let first = self.with_altered(number, |shown| shown.alterations.changes.first().copied()).flatten();
        let Some((_, place)) = first.filter(|(_, place)| self.shows(*place)) else { return Ok(None) };
        let (body, altered) = self.altered_at(place)?;
        Ok(Some(body.slice(altered.channel)))
    }

    /// The number of a channel whose first stored change lies in this part, by what names it.
    pub fn number_of(&self, name: &[u8]) -> Parsed<Option<u64>> {
        let candidates = read(&self.tail.names).candidates(name);
        for number in candidates {
            if self.name_of(number)?.is_some_and(|found| found == *name) {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// What names the channels that are new in this part, with their numbers; in no order.
    pub fn new_channels(&self) -> Parsed<Vec<(Bytes, u64)>> {
        let numbers: Vec<u64> = {
            let names = read(&self.tail.names);
            names.numbers.values().copied().chain(names.collided.iter().map(|(_, number)| *number)).collect()
        };
        let mut found = Vec::with_capacity(numbers.len());
        for number in numbers {
            found.extend(self.name_of(number)?.map(|name| (name, number)));
        }
        Ok(found)
    }

    /// The message that was published in a channel under a key on a day.
    pub fn keyed(&self, day: u32, number: u64, key_hash: u128) -> Parsed<Option<codec::Published>> {
        let place = read(&self.tail.keyed).get(&(day, number, key_hash)).copied();
        let Some(place) = place.filter(|place| self.shows(*place)) else { return Ok(None) };
        published(place, &read(&self.tail.batches)).map(Some)
    }

    /// The newest change of a record, if there is one here.
    pub fn record(&self, key: &[u8]) -> Parsed<Option<RecordFound>> {
        let records = read(&self.tail.records);
        let Some(place) = records.get(key).and_then(|places| self.visible(places).last()) else { return Ok(None) };
        self.record_at(*place).map(Some)
    }

    /// The first record with a key in `start..end` that changed here, and its key.
    pub fn next_record(&self, start: &[u8], end: &[u8]) -> Parsed<Option<(Bytes, RecordFound)>> {
        if start >= end {
            return Ok(None);
        }
        let records = read(&self.tail.records);
        let bounds = (std::ops::Bound::Included(start), std::ops::Bound::Excluded(end));
        for (key, places) in records.range::<[u8], _>(bounds) {
            if let Some(place) = self.visible(places).last() {
                return Ok(Some((Bytes::copy_from_slice(key), self.record_at(*place)?)));
            }
        }
        Ok(None)
    }

    fn record_at(&self, place: Place) -> Parsed<RecordFound> {
        let batches = read(&self.tail.batches);
        let body = &batches[place.batch as usize].record.body;
        match codec::entry_at(body, place.offset as usize)?.0 {
            Entry::Record(record) => {
                Ok(RecordFound { version: record.id, value: record.value.map(|range| body.slice(range)) })
            }
            Entry::Published(_) | Entry::Altered(_) => Err(Malformed("change: of another kind than a record")),
        }
    }

    /// The numbers of all channels with changes here, in no order.
    pub fn numbers(&self) -> Vec<u64> {
        let mut numbers = Vec::new();
        for shard in &self.tail.channels {
            let shard = read(shard);
            let visible = shard.iter().filter(|(_, places)| self.shows(places.as_slice()[0]));
            numbers.extend(visible.map(|(number, _)| *number));
        }
        numbers
    }

    /// Keys of the idempotency index: (day, channel, key hash), in order, with what was published.
    pub fn all_keyed(&self) -> Parsed<Vec<(KeyedAt, codec::Published)>> {
        let mut all: Vec<_> = read(&self.tail.keyed)
            .iter()
            .filter(|(_, place)| self.shows(**place))
            .map(|(at, place)| (*at, *place))
            .collect();
        all.sort_unstable_by_key(|(at, _)| *at);
        let batches = read(&self.tail.batches);
        all.into_iter().map(|(at, place)| Ok((at, published(place, &batches)?))).collect()
    }
}

/// What happened last to a record.
pub(crate) struct RecordFound {
    pub version: Id,
    /// `None`: it was deleted.
    pub value: Option<Bytes>,
}

/// How many of the places have an id up to and with this one.
fn position_after(places: &[Place], batches: &[TailBatch], id: Id) -> Parsed<usize> {
    // Most reads begin or end outside: look there before searching.
    if id == Id::MAX {
        return Ok(places.len());
    }
    let (mut low, mut high) = (0, places.len());
    while low < high {
        let middle = (low + high) / 2;
        let place = places[middle];
        let body = &batches[place.batch as usize].record.body;
        match codec::id_at(body, place.offset as usize)? <= id {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    Ok(low)
}

fn published(place: Place, batches: &[TailBatch]) -> Parsed<codec::Published> {
    codec::published_at(&batches[place.batch as usize].record.body, place.offset as usize)
}

fn find(place: Place, batches: &[TailBatch]) -> Parsed<Found> {
    Ok(Found { body: batches[place.batch as usize].record.body.clone(), published: published(place, batches)? })
}

/// A panic elsewhere leaves nothing half done in these maps that a reader could see.
fn read<T: ?Sized>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T: ?Sized>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

const _: () = assert!(mem::size_of::<Places>() <= 24);
