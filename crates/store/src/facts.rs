//! What the table knows of a channel beside its head: floor, edits, removals, reactions, expiries. Most channels have no
//! such row. What was read is kept with the snapshot that it was read from, so that reads pay for it once.

use crate::{
    channels::{NameCache, Named},
    device::Space,
    keys,
    removed::{Removed, Root, SeqSet},
    rows::{open, seal},
    settings::FACTS_CACHED,
    view::View,
    wire::{Malformed, Parsed, Reader, put_seq, put_varint},
};
use bytes::Bytes;
use foldhash::fast::RandomState;
use model::{Channel, Effort, Id, Position, Result, Seq};
use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
};

/// What the row says.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Facts {
    /// The last batch that was merged in.
    pub upto: u64,
    pub floor: Position,
    /// Blocks up to here are not there any more.
    pub swept: Position,
    /// Between which seqs messages were edited.
    pub edited: Option<(Seq, Seq)>,
    /// The earliest due time of a message that is there: everything before it was settled.
    pub next_due: Option<Id>,
    /// The change feed begins behind this: an erasure dropped what was before, or an import never brought it.
    pub changes_after: Id,
    /// Something was removed: there is a root.
    pub has_removed: bool,
    pub has_reactions: bool,
}

const EDITED: u8 = 1;
const DUE: u8 = 2;
const REMOVED: u8 = 4;
const REACTIONS: u8 = 8;
const CHANGES: u8 = 16;

impl Facts {
    pub fn encode(&self, key: &[u8]) -> Bytes {
        let flag = |there: bool, flag: u8| if there { flag } else { 0 };
        let mut out = vec![
            flag(self.edited.is_some(), EDITED)
                | flag(self.next_due.is_some(), DUE)
                | flag(self.has_removed, REMOVED)
                | flag(self.has_reactions, REACTIONS)
                | flag(self.changes_after != Id::MIN, CHANGES),
        ];
        let Facts { upto, floor, swept, .. } = self;
        put_varint(&mut out, *upto);
        for position in [floor, swept] {
            put_varint(&mut out, position.id.raw());
            put_seq(&mut out, position.seq);
        }
        if let Some((first, last)) = self.edited {
            put_seq(&mut out, first);
            put_seq(&mut out, last);
        }
        if let Some(due) = self.next_due {
            put_varint(&mut out, due.raw());
        }
        if self.changes_after != Id::MIN {
            put_varint(&mut out, self.changes_after.raw());
        }
        seal(key, &out)
    }

    pub fn decode(key: &[u8], value: &Bytes) -> Parsed<Facts> {
        let fields = open(key, value)?;
        let mut reader = Reader::new(&fields);
        let flags = reader.u8()?;
        if flags >= CHANGES << 1 {
            return Err(Malformed("flags of a channel's facts"));
        }
        let upto = reader.varint()?;
        let mut position = || Ok(Position { id: Id::from_raw(reader.varint()?), seq: reader.seq()? });
        let (floor, swept) = (position()?, position()?);
        let edited = match flags & EDITED {
            0 => None,
            _ => Some((reader.seq()?, reader.seq()?)),
        };
        let next_due = match flags & DUE {
            0 => None,
            _ => Some(Id::from_raw(reader.varint()?)),
        };
        let changes_after = match flags & CHANGES {
            0 => Id::MIN,
            _ => Id::from_raw(reader.varint()?),
        };
        reader.end()?;
        let (has_removed, has_reactions) = (flags & REMOVED != 0, flags & REACTIONS != 0);
        Ok(Facts { upto, floor, swept, edited, next_due, changes_after, has_removed, has_reactions })
    }
}

/// Facts with what hangs on them, as one snapshot has them.
#[derive(Default)]
pub(crate) struct Known {
    pub facts: Facts,
    root: OnceLock<Arc<Root>>,
    due: Mutex<DueSeqs>,
}

/// The seqs in the table that are due up to some moment and were not removed.
#[derive(Default)]
pub(crate) struct DueSeqs {
    /// Everything that is due up to here was loaded.
    pub upto: Option<Id>,
    pub seqs: SeqSet,
}

impl Known {
    pub fn new(facts: Facts) -> Known {
        Known { facts, ..Known::default() }
    }

    /// The seqs that are due; loaded further by whoever needs more.
    pub fn due(&self) -> std::sync::MutexGuard<'_, DueSeqs> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was read of one snapshot.
#[derive(Default)]
pub(crate) struct FactCache {
    known: RwLock<HashMap<u64, Arc<Known>, RandomState>>,
}

impl FactCache {
    pub fn get(&self, number: u64) -> Option<Arc<Known>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    fn put(&self, number: u64, known: Arc<Known>) {
        let mut all = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= FACTS_CACHED {
            all.clear();
        }
        all.insert(number, known);
    }

    /// What goes on to be true for the next snapshot, in which these channels have new facts.
    pub fn next(&self, changed: Vec<(u64, Facts)>) -> FactCache {
        let mut all = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        if all.len() + changed.len() > FACTS_CACHED {
            all.clear();
        }
        let changed = changed.into_iter().map(|(number, facts)| (number, Arc::new(Known::new(facts))));
        all.extend(changed.take(FACTS_CACHED));
        FactCache { known: RwLock::new(all) }
    }
}

/// A channel in a view: its number and what is known of it.
pub(crate) struct Place {
    pub number: u64,
    pub known: Arc<Known>,
    /// Nothing at or below is there any more, by the tails and the table.
    pub floor: Position,
}

impl Place {
    /// The keys of the channel's blocks whose first id is at most `upto`.
    pub fn blocks_upto(&self, upto: Id) -> Range<Bytes> {
        keys::blocks_between(self.number, self.known.facts.swept.id, upto)
    }
}

impl View {
    /// What is known of a channel; asks the table if it has to.
    pub fn known(&self, number: u64) -> Result<Arc<Known>> {
        if let Some(known) = self.known_in_memory(number)? {
            return Ok(known);
        }
        let key = keys::facts_row(number);
        let facts = self.get(Space::Channels, &key)?.map(|value| Facts::decode(&key, &value)).transpose()?;
        let known = Arc::new(Known::new(facts.unwrap_or_default()));
        self.facts.put(number, known.clone());
        Ok(known)
    }

    /// The same, as far as it takes no look at the table.
    pub fn known_in_memory(&self, number: u64) -> Result<Option<Arc<Known>>> {
        if let Some(known) = self.facts.get(number) {
            return Ok(Some(known));
        }
        for part in self.parts() {
            if let Some(ends) = part.ends(number)? {
                return Ok(ends.is_new.then(Arc::default));
            }
        }
        Ok(None)
    }

    /// Whether the table knows more of a channel than its head.
    pub fn has_facts(&self, number: u64) -> Result<bool> {
        Ok(self.known(number)?.facts != Facts::default())
    }

    /// The place of a channel, if it has stored anything.
    pub fn place(&self, channel: &Channel, names: &NameCache) -> Result<Option<Place>> {
        let Named::Number(number) = self.number_of(channel, names, Effort::Disk)? else { return Ok(None) };
        let known = self.known(number)?;
        Ok(Some(self.place_of(number, known)))
    }

    pub fn place_of(&self, number: u64, known: Arc<Known>) -> Place {
        let floors = self.parts().filter_map(|part| part.floor(number));
        let floor = floors.chain([known.facts.floor]).max_by_key(|floor| floor.seq).unwrap_or_default();
        Place { number, known, floor }
    }

    /// The root of a channel's removed set in the table.
    pub fn root(&self, place: &Place) -> Result<Option<Arc<Root>>> {
        if !place.known.facts.has_removed {
            return Ok(None);
        }
        if let Some(root) = place.known.root.get() {
            return Ok(Some(root.clone()));
        }
        let root = Arc::new(self.root_row(place.number)?.unwrap_or_default());
        Ok(Some(place.known.root.get_or_init(|| root).clone()))
    }

    pub fn root_row(&self, number: u64) -> Result<Option<Root>> {
        let key = keys::removed_root(number);
        let row = self.get(Space::Removed, &key)?;
        Ok(row.map(|value| Root::decode(&key, &value)).transpose()?)
    }

    /// What was removed of a channel, by the tails and the table.
    pub fn removed(&self, place: &Place) -> Result<Removed<'_>> {
        Ok(Removed::new(self, place.number, self.root(place)?))
    }
}
