//! The tail: what is in the log and not yet in blocks, in memory, by channel. One thread adds whole batches; any
//! thread reads, up to the last batch of its view. The bodies of the batches are the memory; everything else here
//! only points into them.
//!
//! Here is how a tail grows. What a view sees of it, its [`Part`], is read by theme: `part` (batches and what lies across
//! channels), `messages` (of one channel), `names` (channels), `due` (what can expire), `records`. What happened to messages
//! has a file of its own, `altered`.

mod due;
mod messages;
mod names;
mod part;
mod records;

pub(crate) use due::DueEntry;
pub(crate) use messages::Found;
pub(crate) use records::RecordFound;

use crate::{
    altered::Alterations,
    codec::{self, Altered, Entry},
    commit::newest,
    device::LogRecord,
    keys,
    lists::fresh::Fresh,
    wire::Parsed,
};
use bytes::Bytes;
use due::DueEntries;
use foldhash::fast::RandomState;
use model::Id;
use names::NewNames;
use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

const SHARDS: usize = 64;

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

/// The part of a tail that a view shows: whole batches from the first on.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    tail: &'a Tail,
    count: usize,
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

/// Day, channel, hash of the key.
type KeyedAt = (u32, u64, u128);

impl Tail {
    /// An empty tail that goes on after this batch and this id.
    pub fn new(last_batch: u64, after: Id) -> Tail {
        Tail {
            first_batch: last_batch + 1,
            after,
            batches: RwLock::default(),
            channels: (0..SHARDS).map(|_| RwLock::default()).collect(),
            names: RwLock::default(),
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
            write(&self.due).add(number, due, published, place);
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

impl Part<'_> {
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

fn published(place: Place, batches: &[TailBatch]) -> Parsed<codec::Published> {
    codec::published_at(&batches[place.batch as usize].record.body, place.offset as usize)
}

/// Bytes that a slot of a hash map takes, with the room that the map keeps free.
const fn slot_bytes(entry: usize) -> usize {
    (entry + 1) * 3 / 2
}

/// A panic elsewhere leaves nothing half done in these maps that a reader could see.
fn read<T: ?Sized>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T: ?Sized>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

const _: () = assert!(mem::size_of::<Places>() <= 24);
