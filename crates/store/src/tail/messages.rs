//! The messages of one channel in a tail: a search through the places where they lie, which are in the order of their ids
//! and seqs.

use super::{Part, Place, TailBatch, published};
use crate::{codec, wire::Parsed};
use bytes::Bytes;
use model::{Id, Seq};
use std::cmp::Ordering;

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

impl Part<'_> {
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

fn find(place: Place, batches: &[TailBatch]) -> Parsed<Found> {
    Ok(Found { body: batches[place.batch as usize].record.body.clone(), published: published(place, batches)? })
}
