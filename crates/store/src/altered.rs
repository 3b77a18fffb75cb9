//! The part of a tail that tells what happened to messages which were there already: edits, removals, floors, reactions,
//! by channel. Everything carries the batch that it came with, so that a view shows no more than its own batches.

use crate::{
    alteration::Alteration,
    codec::Altered,
    reactions::unique_hash,
    removed::TailRemoved,
    tail::{Part, Place},
};
use model::{Id, Position, Seq};
use std::collections::{BTreeMap, HashMap};

/// What happened in a channel.
#[derive(Default)]
pub(crate) struct Alterations {
    /// Every change, in order.
    pub changes: Vec<(Id, Place)>,
    floors: Vec<(u32, Position)>,
    pub removed: TailRemoved,
    /// By message, then by edit.
    edits: BTreeMap<(Id, Id), Place>,
    /// Edits that were taken back, and in which batch.
    unedited: HashMap<Id, u32>,
    /// By message, then by reaction.
    reactions: BTreeMap<(Id, Id), Place>,
    /// By their own ids.
    made: BTreeMap<Id, Place>,
    /// Reactions that were taken back, and in which batch.
    taken: HashMap<Id, u32>,
    /// What became of a user's reaction of a kind and value to a message.
    unique: HashMap<(Id, u128), Vec<Became>>,
}

/// In which batch a reaction came, or (`None`) was taken back.
type Became = (u32, Option<Id>);

/// About what an entry of an ordered map takes.
const ENTRY_BYTES: usize = 56;

impl Alterations {
    /// Returns by about how many bytes it grew.
    pub fn add(&mut self, altered: &Altered, place: Place) -> usize {
        let (id, batch) = (altered.id, place.batch);
        self.changes.push((id, place));
        let grown = match &altered.what {
            Alteration::Edited { message, .. } => {
                self.edits.insert((*message, id), place);
                ENTRY_BYTES
            }
            Alteration::Removed { expired, removal } => self.removed.add(batch, *expired, &removal.seqs),
            Alteration::Floored(floor) => {
                self.floors.push((batch, *floor));
                size_of::<(u32, Position)>()
            }
            Alteration::Reacted(reaction) => {
                self.reactions.insert((reaction.message, id), place);
                self.made.insert(id, place);
                let unique = (reaction.message, unique_hash(reaction));
                self.unique.entry(unique).or_default().push((batch, Some(id)));
                4 * ENTRY_BYTES
            }
            Alteration::Unreacted { reaction, was } => {
                self.taken.insert(*reaction, batch);
                self.unique.entry((was.message, unique_hash(was))).or_default().push((batch, None));
                3 * ENTRY_BYTES
            }
            Alteration::Unedited(unedit) => {
                self.unedited.extend(unedit.edits.iter().map(|edit| (*edit, batch)));
                unedit.edits.len() * ENTRY_BYTES
            }
        };
        grown + 2 * size_of::<(Id, Place)>()
    }
}

/// The alterations of a channel as a view shows them.
#[derive(Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub alterations: &'a Alterations,
    /// How many batches are shown.
    pub batches: usize,
}

impl<'a> Shown<'a> {
    fn shows(&self, batch: u32) -> bool {
        (batch as usize) < self.batches
    }

    /// The highest floor.
    pub fn floor(&self) -> Option<Position> {
        self.alterations.floors.iter().rev().find(|(batch, _)| self.shows(*batch)).map(|(_, floor)| *floor)
    }

    /// All changes; those of an import come with ids of any time.
    pub fn changes(&self) -> impl Iterator<Item = (Id, Place)> + use<'a> {
        let shown = *self;
        self.alterations.changes.iter().copied().filter(move |(_, place)| shown.shows(place.batch))
    }

    /// The changes after an id, in order.
    pub fn changes_after(&self, after: Id) -> impl Iterator<Item = (Id, Place)> + use<'a> {
        let start = self.alterations.changes.partition_point(|(id, _)| *id <= after);
        let shown = *self;
        self.alterations.changes[start..].iter().copied().filter(move |(_, place)| shown.shows(place.batch))
    }

    /// The edits of a message, the oldest first.
    pub fn edits_of(&self, message: Id) -> impl DoubleEndedIterator<Item = (Id, Place)> + use<'a> {
        let shown = *self;
        let edits = self.alterations.edits.range((message, Id::MIN)..=(message, Id::MAX));
        edits.map(|((_, id), place)| (*id, *place)).filter(move |(_, place)| shown.shows(place.batch))
    }

    /// Whether a message was removed, or a floor is at or above it.
    pub fn took(&self, seq: Seq) -> bool {
        let is_below = |floor: Position| seq <= floor.seq;
        self.floor().is_some_and(is_below) || self.alterations.removed.contains(seq, self.batches)
    }

    /// The reactions to a message, those that were taken back among them.
    pub fn reactions_to(&self, message: Id) -> Vec<Id> {
        let made = self.alterations.reactions.range((message, Id::MIN)..=(message, Id::MAX));
        made.filter(|(_, place)| self.shows(place.batch)).map(|((_, id), _)| *id).collect()
    }

    /// Whether any edit was taken back.
    pub fn has_unedited(&self) -> bool {
        !self.alterations.unedited.is_empty()
    }

    /// Whether an edit was taken back.
    pub fn is_unedited(&self, edit: Id) -> bool {
        self.alterations.unedited.get(&edit).is_some_and(|batch| self.shows(*batch))
    }

    /// The first reaction after this (message, reaction), up to and with a message.
    pub fn next_reaction(&self, after: (Id, Id), upto: Id) -> Option<((Id, Id), Place)> {
        if after >= (upto, Id::MAX) {
            return None;
        }
        let bounds = (std::ops::Bound::Excluded(after), std::ops::Bound::Included((upto, Id::MAX)));
        let mut found = self.alterations.reactions.range(bounds);
        found.find(|(_, place)| self.shows(place.batch)).map(|(key, place)| (*key, *place))
    }

    /// The reactions with own ids greater than `after`, up to and with `upto`.
    pub fn made(&self, after: Id, upto: Id) -> impl DoubleEndedIterator<Item = (Id, Place)> + use<'a> {
        let shown = *self;
        let empty = after >= upto;
        let bounds = match empty {
            true => (std::ops::Bound::Included(Id::MAX), std::ops::Bound::Included(Id::MAX)),
            false => (std::ops::Bound::Excluded(after), std::ops::Bound::Included(upto)),
        };
        let made = self.alterations.made.range(bounds).filter(move |_| !empty);
        made.map(|(id, place)| (*id, *place)).filter(move |(_, place)| shown.shows(place.batch))
    }

    /// Whether a reaction was taken back.
    pub fn is_taken(&self, reaction: Id) -> bool {
        self.alterations.taken.get(&reaction).is_some_and(|batch| self.shows(*batch))
    }

    /// What became last of a user's reaction, if anything did.
    pub fn unique(&self, message: Id, hash: u128) -> Option<Option<Id>> {
        let found = self.alterations.unique.get(&(message, hash))?;
        found.iter().rev().find(|(batch, _)| self.shows(*batch)).map(|(_, id)| *id)
    }
}

impl Part<'_> {
    /// Whether something was removed of a channel.
    pub fn has_removed(&self, number: u64) -> bool {
        self.with_altered(number, |shown| !shown.alterations.removed.is_empty()).unwrap_or(false)
    }

    /// Calls `f` with what was removed of a channel, and the number of batches that count.
    pub fn with_removed<R>(&self, number: u64, f: impl FnOnce(&TailRemoved, usize) -> R) -> Option<R> {
        self.with_altered(number, |shown| f(&shown.alterations.removed, shown.batches))
    }

    /// The highest floor of a channel.
    pub fn floor(&self, number: u64) -> Option<Position> {
        self.with_altered(number, |shown| shown.floor()).flatten()
    }

    /// The edits of a message, the oldest first.
    pub fn edits_of(&self, number: u64, message: Id) -> Vec<(Id, Place)> {
        self.with_altered(number, |shown| shown.edits_of(message).collect()).unwrap_or_default()
    }
}
