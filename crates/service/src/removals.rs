//! What was removed lately, by channel: what a look-up in flight may not have seen. Kept for as long as such a look-up
//! is on its way, and no longer.

use crate::hash::Place;
use foldhash::fast::FixedState;
use model::{Change, Id, Position, Removal, Seq, What};
use std::{collections::HashMap, sync::Arc};

/// The newest removals and floors of channels.
#[derive(Default)]
pub(crate) struct Removals {
    by_channel: HashMap<Place, Vec<(Id, Arc<Change>)>, FixedState>,
}

impl Removals {
    /// Remembers a change, if it removes anything.
    pub fn note(&mut self, place: Place, change: &Arc<Change>) {
        if removed_by(change).is_some() {
            self.by_channel.entry(place).or_default().push((change.id(), change.clone()));
        }
    }

    /// Whether this message was removed after `as_of`.
    pub fn took(&self, place: Place, as_of: Id, seq: Seq) -> bool {
        self.since(place, as_of).any(|taken| taken.took(seq))
    }

    /// Whether any of what `removal` takes was removed after `as_of`.
    pub fn overlap(&self, place: Place, as_of: Id, removal: &Removal) -> bool {
        self.since(place, as_of).any(|taken| taken.overlaps(removal))
    }

    /// Whether anything was removed after `as_of`.
    pub fn any(&self, place: Place, as_of: Id) -> bool {
        self.since(place, as_of).next().is_some()
    }

    /// The highest floor that was set after `as_of`.
    pub fn floor(&self, place: Place, as_of: Id) -> Seq {
        let floors = self.since(place, as_of).filter_map(|taken| match taken {
            Taken::Upto(floor) => Some(floor.seq),
            Taken::Ranges(_) => None,
        });
        floors.max().unwrap_or(Seq::NONE)
    }

    /// Lets go of what every look-up in flight has seen.
    pub fn shrink(&mut self, evictable: Id) {
        self.by_channel.retain(|_, removals| {
            removals.retain(|(id, _)| *id > evictable);
            !removals.is_empty()
        });
    }

    /// Takes back what came after `upto`: it did not happen.
    pub fn take_back(&mut self, upto: Id) {
        self.by_channel.retain(|_, removals| {
            removals.retain(|(id, _)| *id <= upto);
            !removals.is_empty()
        });
    }

    pub fn forget_all(&mut self) {
        self.by_channel.clear();
    }

    fn since(&self, place: Place, as_of: Id) -> impl Iterator<Item = Taken<'_>> {
        let removals = self.by_channel.get(&place).map_or(&[][..], Vec::as_slice);
        removals.iter().filter(move |(id, _)| *id > as_of).filter_map(|(_, change)| removed_by(change))
    }
}

/// What a change takes out of its channel.
pub(crate) enum Taken<'a> {
    /// Exactly these.
    Ranges(&'a Removal),
    /// Everything up to here.
    Upto(Position),
}

/// What a change removes, if it removes anything.
pub(crate) fn removed_by(change: &Change) -> Option<Taken<'_>> {
    let Change::Channel(change) = change else { return None };
    match &change.what {
        What::Deleted(removal) | What::Expired(removal) => Some(Taken::Ranges(removal)),
        What::Floored(floor) => Some(Taken::Upto(*floor)),
        What::Published { .. }
        | What::Edited(_)
        | What::Unedited(_)
        | What::Reacted(_)
        | What::Unreacted { .. }
        | What::Unstored(_)
        | What::Signal(_)
        | What::Presence(_) => None,
    }
}

impl Taken<'_> {
    /// Whether it takes the message with this seq.
    pub fn took(&self, seq: Seq) -> bool {
        match self {
            Taken::Ranges(removal) => {
                let at = removal.seqs.partition_point(|range| range.last < seq);
                removal.seqs.get(at).is_some_and(|range| range.contains(seq))
            }
            Taken::Upto(floor) => seq <= floor.seq,
        }
    }

    fn overlaps(&self, other: &Removal) -> bool {
        match self {
            Taken::Ranges(removal) => {
                let (mut left, mut right) = (removal.seqs.iter().peekable(), other.seqs.iter().peekable());
                while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
                    if a.first <= b.last && b.first <= a.last {
                        return true;
                    }
                    if a.last < b.first {
                        left.next()
                    } else {
                        right.next()
                    };
                }
                false
            }
            Taken::Upto(floor) => other.seqs.first().is_some_and(|range| range.first <= floor.seq),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{SeqRange, Span};

    fn removal(ranges: &[(i64, i64)]) -> Removal {
        let range = |(first, last): &(i64, i64)| SeqRange { first: Seq(*first), last: Seq(*last) };
        Removal { seqs: ranges.iter().map(range).collect(), span: Span::ALL, ids: Vec::new(), by: None }
    }

    #[test]
    fn ranges_overlap_only_where_they_share_a_seq() {
        let taken = removal(&[(2, 3), (7, 9)]);
        let taken = Taken::Ranges(&taken);
        assert!(!taken.overlaps(&removal(&[(1, 1), (4, 6), (10, 20)])));
        assert!(taken.overlaps(&removal(&[(1, 1), (9, 20)])));
        assert!(taken.took(Seq(8)) && !taken.took(Seq(5)));
        let floor = Taken::Upto(Position { id: Id::MAX, seq: Seq(4) });
        assert!(floor.overlaps(&removal(&[(4, 6)])) && !floor.overlaps(&removal(&[(5, 6)])));
    }
}
