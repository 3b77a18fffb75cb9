//! A channel's part of a flush beside its blocks: edits, reactions, removed containers, due times, the change feed. Values
//! that add up carry the last batch merged in, and the row of facts is written after all others: once it says `upto`,
//! everything of this flush is there.

use super::Pieces;
use crate::{
    alteration::Alteration,
    changes,
    codec::{self, Altered},
    device::Space,
    edits, expiring,
    facts::Facts,
    keys, meta,
    reactions::{self, unique_hash},
    removed::{Container, Removed, Root},
    rows::{self, ChannelRow},
    settings::DUE_SETTLED,
    sweep::SweepRow,
    tail::Part,
    view::View,
};
use bytes::Bytes;
use model::{Id, Position, Result, Seq};
use std::{collections::BTreeMap, sync::Arc};

/// What a flush knows of a channel while it writes it.
pub(crate) struct Altering<'a> {
    view: &'a View,
    frozen: Part<'a>,
    number: u64,
    upto: u64,
    known: Facts,
    facts: Facts,
    /// As of the frozen tail's last batch, whether or not an earlier attempt wrote some of it.
    pub removed: Removed<'a>,
    has_removals: bool,
}

impl<'a> Altering<'a> {
    /// Reads what the table knows of the channel. `upto` is the last batch of the flush, `imported` the newest id in the
    /// channel of what an import brought.
    pub fn begin(
        view: &'a View,
        frozen: Part<'a>,
        number: u64,
        (upto, imported): (u64, Option<Id>),
    ) -> Result<Altering<'a>> {
        let key = keys::facts_row(number);
        let known = view.get(Space::Channels, &key)?.map(|value| Facts::decode(&key, &value)).transpose()?;
        let known = known.unwrap_or_default();
        let root = match known.has_removed {
            true => Some(Arc::new(view.root_row(number)?.unwrap_or_default())),
            false => None,
        };
        let removed = Removed::of_frozen(view, number, root, frozen);
        // An import may bring what lies below everything that was ever there, and then says where the floor is.
        let moves = |floor: &Position| floor.seq > known.floor.seq || imported.is_some();
        let floor = frozen.floor(number).filter(moves).unwrap_or(known.floor);
        let swept = if floor.seq < known.swept.seq { Position { id: Id::MIN, ..floor } } else { known.swept };
        // What an import brought is in no change feed: readers from before are told to read again.
        let changes_after = known.changes_after.max(imported.unwrap_or_default());
        let facts = Facts { upto, floor, swept, changes_after, ..known };
        let has_removals = frozen.has_removed(number);
        Ok(Altering { view, frozen, number, upto, known, facts, removed, has_removals })
    }

    /// Whether a message is gone as of this flush.
    pub fn is_gone(&mut self, seq: Seq) -> Result<bool> {
        Ok(seq <= self.facts.floor.seq || self.removed.has(seq)?)
    }

    /// Writes everything but the facts, which it returns.
    pub fn write(mut self, pieces: &mut Pieces<'_>) -> Result<Facts> {
        if self.known.upto >= self.upto {
            return Ok(self.known);
        }
        self.write_changes(pieces)?;
        self.write_removed(pieces)?;
        self.write_due(pieces)?;
        self.ask_for_sweep(pieces)?;
        Ok(self.facts)
    }

    fn write_changes(&mut self, pieces: &mut Pieces<'_>) -> Result<()> {
        let changes = self.frozen.with_altered(self.number, |shown| shown.changes().collect::<Vec<_>>());
        let changes = changes.unwrap_or_default();
        if changes.is_empty() {
            return Ok(());
        }
        let mut reactions = BTreeMap::new();
        for (id, place) in changes {
            let (body, altered) = self.frozen.altered_at(place)?;
            match &altered.what {
                Alteration::Edited { message, seq, content } => {
                    let taken_back = self.frozen.with_altered(self.number, |shown| shown.is_unedited(id));
                    if taken_back != Some(true) && !self.is_gone(*seq)? {
                        self.write_edit(id, *message, *seq, &body[content.clone()], pieces);
                    }
                }
                Alteration::Reacted(_) | Alteration::Unreacted { .. } => {
                    self.put_reaction(&altered, &mut reactions);
                }
                Alteration::Unedited(unedit) => {
                    for edit in &unedit.edits {
                        pieces.put(Space::Edits, keys::edit_row(self.number, unedit.message, *edit), None);
                    }
                }
                Alteration::Removed { .. } | Alteration::Floored(_) => {}
            }
            if codec::is_imported(&body) {
                continue;
            }
            let key = keys::change_row(self.number, id);
            let value = changes::encode(&key, &body, &altered)?;
            pieces.change(keys::week_of(id), key, value);
            pieces.write_if_full()?;
        }
        for (key, value) in reactions {
            pieces.put(Space::Reactions, key, value);
        }
        self.write_name(pieces)
    }

    fn write_edit(&mut self, id: Id, message: Id, seq: Seq, content: &[u8], pieces: &mut Pieces<'_>) {
        let key = keys::edit_row(self.number, message, id);
        let value = edits::encode(&key, seq, content);
        pieces.put(Space::Edits, key, Some(value));
        let (first, last) = self.facts.edited.unwrap_or((seq, seq));
        self.facts.edited = Some((first.min(seq), last.max(seq)));
    }

    /// The rows of a reaction; later changes of the flush replace what earlier ones put.
    fn put_reaction(&mut self, altered: &Altered, rows: &mut BTreeMap<Bytes, Option<Bytes>>) {
        let (id, reaction, stands) = match &altered.what {
            Alteration::Reacted(reaction) => (altered.id, reaction, true),
            Alteration::Unreacted { reaction, was } => (*reaction, was, false),
            _ => return,
        };
        self.facts.has_reactions = true;
        for key in [keys::reaction_row(self.number, reaction.message, id), keys::reaction_made(self.number, id)] {
            let value = stands.then(|| reactions::encode(&key, reaction));
            rows.insert(key, value);
        }
        let key = keys::reaction_unique(self.number, reaction.message, unique_hash(reaction));
        let value = stands.then(|| reactions::encode_unique(&key, id));
        rows.insert(key, value);
    }

    /// A channel whose first stored change was none of a message has no row yet.
    fn write_name(&self, pieces: &mut Pieces<'_>) -> Result<()> {
        if self.frozen.ends(self.number)?.is_some() {
            return Ok(());
        }
        let Some(name) = self.frozen.name_of(self.number)? else { return Ok(()) };
        let key = keys::channel_row_of(&name);
        if self.view.get(Space::Channels, &key)?.is_none() {
            let row = ChannelRow { number: self.number, last: Position::default(), upto: self.upto };
            let value = row.encode(&key);
            pieces.put(Space::Channels, key, Some(value));
        }
        Ok(())
    }

    fn write_removed(&mut self, pieces: &mut Pieces<'_>) -> Result<()> {
        if !self.has_removals {
            return Ok(());
        }
        let mut root = self.view.root_row(self.number)?.unwrap_or_default();
        for index in self.touched_containers() {
            let key = keys::removed_row(self.number, index);
            let mut container = Container::clone(&*self.removed.container(index)?);
            let total = container.total();
            root.counts.insert(index, (total.deleted as u32, total.expired as u32));
            let value = container.encode(&key, self.upto)?;
            pieces.put(Space::Removed, key, Some(value));
            pieces.write_if_full()?;
        }
        let root = Root { upto: self.upto, ..root };
        let key = keys::removed_root(self.number);
        let value = root.encode(&key);
        pieces.put(Space::Removed, key, Some(value));
        self.facts.has_removed = true;
        Ok(())
    }

    fn touched_containers(&self) -> Vec<i64> {
        self.frozen.with_removed(self.number, |tail, _| tail.containers().collect()).unwrap_or_default()
    }

    /// The index of due times: what can expire comes in, what was settled at its beginning goes.
    fn write_due(&mut self, pieces: &mut Pieces<'_>) -> Result<()> {
        let mut next = self.known.next_due;
        if self.has_removals || self.facts.floor != self.known.floor {
            next = self.settle_due(next, pieces)?;
        }
        for entry in self.frozen.due_of(self.number, Id::MAX) {
            if self.is_gone(entry.seq)? {
                continue;
            }
            next = Some(next.map_or(entry.due, |next| next.min(entry.due)));
            let key = keys::due_row(self.number, entry.due, entry.seq);
            let value = expiring::encode_due(&key, entry.id);
            pieces.put(Space::Expiring, key, Some(value));
            pieces.write_if_full()?;
        }
        if next != self.known.next_due {
            if let Some(old) = self.known.next_due {
                // Until the facts say otherwise, this row is how readers find the channel.
                pieces.last.push((Space::Expiring, keys::next_due_row(old, self.number)));
            }
            if let (Some(next), Some(name)) = (next, self.frozen.name_of(self.number)?) {
                let key = keys::next_due_row(next, self.number);
                let value = rows::seal(&key, &name);
                pieces.put(Space::Expiring, key, Some(value));
            }
        }
        self.facts.next_due = next;
        Ok(())
    }

    /// Deletes the entries at the beginning of the index that were settled; the due time of the first one left.
    fn settle_due(&mut self, next: Option<Id>, pieces: &mut Pieces<'_>) -> Result<Option<Id>> {
        let Some(from) = next else { return Ok(None) };
        let view = self.view;
        for (done, row) in view.rows(Space::Expiring, keys::due_between(self.number, from, Id::MAX), false).enumerate()
        {
            let (key, _) = row?;
            let (_, due, seq) = keys::parse_due(&key)?;
            if done >= DUE_SETTLED || !self.is_gone(seq)? {
                return Ok(Some(due));
            }
            pieces.put(Space::Expiring, key, None);
            pieces.write_if_full()?;
        }
        Ok(None)
    }

    fn ask_for_sweep(&mut self, pieces: &mut Pieces<'_>) -> Result<()> {
        let floor_rose = self.facts.floor.seq > self.known.floor.seq;
        if !floor_rose && !self.has_removals {
            return Ok(());
        }
        let key = meta::sweep_key(self.number);
        let row = self.view.get(Space::Meta, &key)?.map(|value| SweepRow::decode(&key, &value)).transpose()?;
        let mut row = row.unwrap_or_default();
        row.containers.extend(self.touched_containers());
        let value = row.encode(&key);
        pieces.put(Space::Meta, key, Some(value));
        Ok(())
    }
}
