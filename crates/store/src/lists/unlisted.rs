//! What is to be taken out of lists: a row in `meta` for each channel, written by the flush that moved removals of the
//! channel's messages into the table, shortened by maintenance. While it is there, the contents of these messages stay:
//! they say which lists they are in.
//!
//! ```text
//! unlisted/channel = what names the channel ‖ number of ranges ‖ (gap to the seq after the last range ‖ length)…
//! ```

use crate::{
    device::{Snapshot, Space},
    keys,
    rows::{open, seal},
    settings::NAME_BYTES_MAX,
    wire::{Malformed, Parsed, Reader, put_prefixed, put_runs},
};
use bytes::Bytes;
use model::{AppId, Channel, Result, Seq, SeqRange};
use std::collections::BTreeSet;

const UNLISTED: &[u8] = b"unlisted/";

/// Removed messages of a channel that may still be in lists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unlisted {
    pub channel: Channel,
    /// Growing, and not touching one another.
    pub seqs: Vec<SeqRange>,
}

impl Unlisted {
    /// Adds ranges, in any order.
    pub fn add(&mut self, more: impl IntoIterator<Item = SeqRange>) {
        self.seqs.extend(more);
        self.seqs.sort_unstable_by_key(|range| range.first);
        let mut joined: Vec<SeqRange> = Vec::with_capacity(self.seqs.len());
        for range in &self.seqs {
            match joined.last_mut() {
                Some(last) if range.first.0 <= last.last.0 + 1 => last.last = last.last.max(range.last),
                _ => joined.push(*range),
            }
        }
        self.seqs = joined;
    }

    /// Whether a seq is in it.
    pub fn has(&self, seq: Seq) -> bool {
        let after = self.seqs.partition_point(|range| range.first <= seq);
        after.checked_sub(1).is_some_and(|at| self.seqs[at].last >= seq)
    }

    /// Takes away everything up to and with a seq.
    pub fn done_upto(&mut self, seq: Seq) {
        self.seqs.retain(|range| range.last > seq);
        if let Some(first) = self.seqs.first_mut() {
            first.first = first.first.max(seq.next());
        }
    }

    pub fn encode(&self, key: &[u8]) -> Bytes {
        let mut name = Vec::new();
        keys::put_channel(&mut name, &self.channel);
        let mut out = Vec::with_capacity(name.len() + self.seqs.len() * 4 + 16);
        put_prefixed(&mut out, &name);
        put_runs(&mut out, &self.seqs);
        seal(key, &out)
    }

    pub fn decode(key: &[u8], value: &Bytes) -> Parsed<Unlisted> {
        let fields = open(key, value)?;
        let mut reader = Reader::new(&fields);
        let channel = keys::parse_channel(reader.prefixed(NAME_BYTES_MAX)?)?;
        let seqs = reader.runs(fields.len(), "ranges to take out of lists")?;
        reader.end()?;
        Ok(Unlisted { channel, seqs })
    }
}

pub(crate) fn row_key(number: u64) -> Bytes {
    [UNLISTED, &number.to_be_bytes()].concat().into()
}

/// What is there to do, by the numbers of channels.
pub(crate) fn all(snapshot: &dyn Snapshot) -> impl Iterator<Item = Result<(u64, Unlisted)>> {
    let range = Bytes::from_static(UNLISTED)..keys::end_of_prefix(UNLISTED);
    snapshot.range(Space::Meta, range, false).map(|row| {
        let (key, value) = row?;
        let number = key.get(UNLISTED.len()..).and_then(|bytes| bytes.try_into().ok());
        let number = number.map(u64::from_be_bytes).ok_or(Malformed("key of what is to be taken out of lists"))?;
        Ok((number, Unlisted::decode(&key, &value)?))
    })
}

/// What is there to do in a channel.
pub(crate) fn of(snapshot: &dyn Snapshot, number: u64) -> Result<Option<Unlisted>> {
    let key = row_key(number);
    Ok(snapshot.get(Space::Meta, &key)?.map(|value| Unlisted::decode(&key, &value)).transpose()?)
}

/// The apps in which there is something to do.
pub(crate) fn apps(snapshot: &dyn Snapshot) -> Result<BTreeSet<AppId>> {
    all(snapshot).map(|row| Ok(row?.1.channel.app)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ChannelName;

    fn ranges(ranges: &[(i64, i64)]) -> Vec<SeqRange> {
        ranges.iter().map(|(first, last)| SeqRange { first: Seq(*first), last: Seq(*last) }).collect()
    }

    #[test]
    fn ranges_are_joined_and_come_back() {
        let channel = Channel { app: AppId::new("demo").unwrap(), name: ChannelName::direct("a", "b") };
        let mut unlisted = Unlisted { channel, seqs: Vec::new() };
        unlisted.add(ranges(&[(9, 12), (1, 3), (4, 4), (20, 30), (11, 14)]));
        assert_eq!(unlisted.seqs, ranges(&[(1, 4), (9, 14), (20, 30)]));
        assert!([1, 4, 9, 14, 25].into_iter().all(|seq| unlisted.has(Seq(seq))));
        assert!([0, 5, 8, 15, 31].into_iter().all(|seq| !unlisted.has(Seq(seq))));
        assert_eq!(Unlisted::decode(b"key", &unlisted.encode(b"key")), Ok(unlisted.clone()));
        unlisted.done_upto(Seq(10));
        assert_eq!(unlisted.seqs, ranges(&[(11, 14), (20, 30)]));
        unlisted.done_upto(Seq(30));
        assert_eq!(unlisted.seqs, []);
    }
}
