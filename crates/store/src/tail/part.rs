//! What a view sees of a tail across its channels: the batches, what an import brought, idempotency keys, and the way to
//! what happened to messages.

use super::{KeyedAt, Part, Place, TailBatch, published, read};
use crate::{
    altered::{Alterations, Shown},
    codec::{self, Altered},
    lists::fresh::Fresh,
    wire::Parsed,
};
use bytes::Bytes;
use model::{Id, Span};
use std::sync::atomic::Ordering::Relaxed;

impl<'a> Part<'a> {
    /// Its batches.
    pub fn batches(&self) -> Vec<TailBatch> {
        let batches = read(&self.tail.batches);
        batches[..self.count.min(batches.len())].to_vec()
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

    /// Whether the part goes past a batch.
    pub fn is_newer_than(&self, batch: u64) -> bool {
        self.tail.first_batch + self.count as u64 > batch + 1
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
            let imported = shown.changes().filter(|(_, place)| is_imported(place, &batches));
            imported.map(|(id, _)| id).max()
        });
        Ok(message.flatten().max(altered.flatten()))
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

    /// The message that was published in a channel under a key on a day.
    pub fn keyed(&self, day: u32, number: u64, key_hash: u128) -> Parsed<Option<codec::Published>> {
        let place = read(&self.tail.keyed).get(&(day, number, key_hash)).copied();
        let Some(place) = place.filter(|place| self.shows(*place)) else { return Ok(None) };
        published(place, &read(&self.tail.batches)).map(Some)
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
