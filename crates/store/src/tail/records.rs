//! The records that changed in a tail.

use super::{Part, Place, read};
use crate::{
    codec::{self, Entry},
    wire::{Malformed, Parsed},
};
use bytes::Bytes;
use model::Id;
use std::ops::Bound;

/// What happened last to a record.
pub(crate) struct RecordFound {
    pub version: Id,
    /// `None`: it was deleted.
    pub value: Option<Bytes>,
}

impl Part<'_> {
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
        let bounds = (Bound::Included(start), Bound::Excluded(end));
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
}
