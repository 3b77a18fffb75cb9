//! Which channels a tail knows by name: those that have something in it, and among them those that are new.

use super::{Part, published, read, slot_bytes};
use crate::wire::Parsed;
use bytes::Bytes;
use foldhash::fast::RandomState;
use std::{collections::HashMap, hash::BuildHasher};

/// The channels whose first stored change lies in this tail: hash of the name to number. The name itself is read from
/// that change, so that a name costs its bytes once.
#[derive(Default)]
pub(super) struct NewNames {
    hasher: RandomState,
    numbers: HashMap<u64, u64, RandomState>,
    /// Those whose hash was taken already.
    collided: Vec<(u64, u64)>,
}

impl Part<'_> {
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
}

impl NewNames {
    /// Returns by how many bytes it grew.
    pub fn add(&mut self, name: &[u8], number: u64) -> usize {
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
