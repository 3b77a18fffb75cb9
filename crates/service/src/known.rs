//! What the sequencer remembers of channels, records and idempotency keys, so that it can decide without a store:
//! for a channel its number, last seq and last id, for a record its version, for a key what was published under it.
//! 40 bytes each, at addresses given by their hash, in sets of eight; of a full set the one that changed longest ago
//! makes room. No allocation and no rehash ever stops the sequencer.
//!
//! What is not here is looked up beside the sequencer, and the answer is older than the moment it arrives. So nothing
//! that changed after the oldest look-up in flight began is ever forgotten: then what is absent has not changed since,
//! and what was looked up still holds.

use crate::hash::Place;
use model::Id;
use std::collections::HashMap;

const WAYS: usize = 8;

/// What is remembered of one place. What the two values mean depends on what the place stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    place: Place,
    /// A channel's number; 1 for a record that exists; a key's payload hash.
    pub first: u64,
    /// A channel's last seq; the seq published under a key.
    pub second: u64,
    /// When it changed last.
    pub id: Id,
}

/// An entry as it lies in memory: place, first, second, id; all zeros is none. Plain numbers, because the system
/// hands out memory for those that is zero without being written, so that an unused slot costs nothing.
type Slot = [u64; 5];

const EMPTY: Slot = [0; 5];

/// A bounded map of the newest decisions.
pub(crate) struct Known {
    slots: Vec<Slot>,
    sets: usize,
    /// What found its set full of entries that must not be forgotten yet.
    overflow: HashMap<Place, Entry>,
}

impl Entry {
    pub fn new(place: Place, first: u64, second: u64, id: Id) -> Entry {
        Entry { place, first, second, id }
    }

    fn to_slot(self) -> Slot {
        let [high, low] = split(self.place);
        [high, low, self.first, self.second, self.id.raw()]
    }

    fn of_slot(slot: Slot) -> Entry {
        let [high, low, first, second, id] = slot;
        let place = Place::from(high) << 64 | Place::from(low);
        Entry { place, first, second, id: Id::from_raw(id) }
    }
}

impl Known {
    /// Room for about `entries`.
    pub fn new(entries: usize) -> Known {
        let sets = (entries / WAYS).next_power_of_two();
        Known { slots: vec![EMPTY; sets * WAYS], sets, overflow: HashMap::new() }
    }

    pub fn get(&self, place: Place) -> Option<Entry> {
        let found = self.set(place).iter().find(|slot| is_of(slot, place)).copied().map(Entry::of_slot);
        found.or_else(|| if self.overflow.is_empty() { None } else { self.overflow.get(&place).copied() })
    }

    /// Remembers an entry. Only what changed at or before `evictable` may be forgotten for it.
    pub fn put(&mut self, entry: Entry, evictable: Id) {
        let place = entry.place;
        if !self.overflow.is_empty() && self.overflow.contains_key(&place) {
            self.overflow.insert(place, entry);
            return;
        }
        let set = self.set_mut(place);
        let same = set.iter().position(|slot| is_of(slot, place));
        let free = same.or_else(|| set.iter().position(|slot| *slot == EMPTY)).or_else(|| {
            let (at, oldest) = set.iter().map(|slot| Entry::of_slot(*slot).id).enumerate().min_by_key(|(_, id)| *id)?;
            (oldest <= evictable).then_some(at)
        });
        match free {
            Some(at) => set[at] = entry.to_slot(),
            None => {
                self.overflow.insert(place, entry);
            }
        }
    }

    /// Takes a change back that did not happen: what was remembered before it holds again.
    pub fn restore(&mut self, place: Place, before: Option<Entry>) {
        match before {
            Some(entry) => self.put(entry, Id::MIN),
            None => {
                if let Some(slot) = self.set_mut(place).iter_mut().find(|slot| is_of(slot, place)) {
                    *slot = EMPTY;
                }
                self.overflow.remove(&place);
            }
        }
    }

    /// Lets go of what had to be kept past its room and need not be any more.
    pub fn shrink(&mut self, evictable: Id) {
        if self.overflow.is_empty() {
            return;
        }
        self.overflow.retain(|_, entry| entry.id > evictable);
    }

    pub fn forget_all(&mut self) {
        self.slots = vec![EMPTY; self.sets * WAYS];
        self.overflow.clear();
    }

    fn set(&self, place: Place) -> &[Slot] {
        let start = self.start_of_set(place);
        &self.slots[start..start + WAYS]
    }

    fn set_mut(&mut self, place: Place) -> &mut [Slot] {
        let start = self.start_of_set(place);
        &mut self.slots[start..start + WAYS]
    }

    fn start_of_set(&self, place: Place) -> usize {
        (place as usize & (self.sets - 1)) * WAYS
    }
}

fn is_of(slot: &Slot, place: Place) -> bool {
    slot[..2] == split(place)
}

fn split(place: Place) -> [u64; 2] {
    [(place >> 64) as u64, place as u64]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(place: Place, id: u64) -> Entry {
        Entry::new(place, 1, 2, Id::from_raw(id))
    }

    #[test]
    fn the_one_that_changed_longest_ago_makes_room() {
        let mut known = Known::new(WAYS);
        for at in 1..=WAYS as u64 + 1 {
            known.put(entry(Place::from(at), at), Id::MAX);
        }
        assert_eq!(known.get(1), None);
        assert!((2..=9).all(|place| known.get(place).is_some()));
    }

    #[test]
    fn nothing_newer_than_a_look_up_in_flight_is_forgotten() {
        let mut known = Known::new(WAYS);
        for at in 1..=30_u64 {
            known.put(entry(Place::from(at), at), Id::from_raw(3));
        }
        assert!((4..=30).all(|place| known.get(place) == Some(entry(place, place as u64))));
        known.put(entry(30, 99), Id::from_raw(3));
        assert_eq!(known.get(30), Some(entry(30, 99)), "one entry a place, wherever it lies");
        known.shrink(Id::from_raw(40));
        let kept = (1..=30).filter(|place| known.get(*place).is_some()).count();
        assert_eq!(kept, WAYS + 1);
    }

    #[test]
    fn a_change_is_taken_back() {
        let mut known = Known::new(WAYS);
        known.put(entry(7, 1), Id::MIN);
        known.put(entry(7, 2), Id::MIN);
        known.restore(7, Some(entry(7, 1)));
        assert_eq!(known.get(7), Some(entry(7, 1)));
        known.restore(7, None);
        assert_eq!(known.get(7), None);
    }
}
