//! The sweep gives back the bytes of what was removed: it drops blocks below floors, blanks messages in blocks of which
//! half is gone, and takes the rows of edits and reactions of messages that went. It changes no answer: whatever it takes
//! was hidden before. An erasure asks more of it (`erase.rs`). One writer at a time: it takes turns with the flush, and never comes between two attempts of one.

use crate::{
    block::{self, Block},
    device::{Snapshot, Space, SpaceRows},
    facts::{Facts, Place},
    kept_store::Shared,
    keys,
    lists::upkeep,
    meta,
    reactions::{self, Fate, Fates, unique_hash},
    removed::{LAST_LOW, Removed, Root, read_container, seq_in, split},
    rows,
    settings::{BLOCK_MESSAGES, SWEEP_AT_MOST},
    view::View,
    wire::{Parsed, Reader, put_step, put_varint},
};
use bytes::Bytes;
use model::{Error, Id, Position, Result, Seq};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

/// What of a channel is to be swept: containers that lost something. Floors speak for themselves.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct SweepRow {
    pub containers: BTreeSet<i64>,
}

impl SweepRow {
    pub fn encode(&self, key: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(self.containers.len() * 2 + 8);
        put_varint(&mut out, self.containers.len() as u64);
        let mut next = 0;
        for container in &self.containers {
            put_step(&mut out, next, *container);
            next = container + 1;
        }
        rows::seal(key, &out)
    }

    pub fn decode(key: &[u8], value: &Bytes) -> Parsed<SweepRow> {
        let fields = rows::open(key, value)?;
        let mut reader = Reader::new(&fields);
        let count = reader.count(fields.len(), "containers to sweep")?;
        let mut row = SweepRow::default();
        let mut next = 0;
        for _ in 0..count {
            let container = read_container(&mut reader, next)?;
            row.containers.insert(container);
            next = container + 1;
        }
        reader.end()?;
        Ok(row)
    }
}

/// See [`model::Store::sweep`].
pub(crate) fn sweep(shared: &Shared, budget: Duration) -> Result<bool> {
    let until = Instant::now() + budget.min(SWEEP_AT_MOST);
    let _writer = shared.table_writer();
    let view = shared.view()?;
    if !is_between_flushes(shared, &view) {
        return Ok(true);
    }
    let more_of_lists = upkeep::keep_up(shared, Some(until))?;
    let view = shared.view()?;
    let mut sweeper = Sweeper::new(shared, &view, Some(until));
    for row in view.rows(Space::Meta, meta::sweep_rows(), false) {
        let (key, value) = row?;
        if sweeper.is_over() {
            break;
        }
        let number = meta::parse_sweep(&key)?;
        if upkeep::is_unlisted(&view, number)? {
            continue;
        }
        let asked = SweepRow::decode(&key, &value)?;
        let left = sweeper.channel(number, asked, false)?;
        let is_done = left.containers.is_empty() && !sweeper.is_over();
        let value = (!is_done).then(|| left.encode(&key));
        sweeper.put_last(Space::Meta, key, value);
    }
    let more = more_of_lists || sweeper.is_over();
    sweeper.finish()?;
    Ok(more)
}

/// A flush that was begun and not finished must find everything as it left it (`docs/decisions/0004-blocks.md`).
pub(crate) fn is_between_flushes(shared: &Shared, view: &View) -> bool {
    shared.flushing.load(Ordering::SeqCst) <= view.checkpoint
}

/// Rows that maintenance gathers before it writes them.
const PIECE_BYTES: usize = 4 << 20;

type Rows = BTreeMap<Space, BTreeMap<Bytes, Option<Bytes>>>;

/// Who sweeps: holds the table's writer.
pub(crate) struct Sweeper<'a> {
    shared: &'a Shared,
    view: &'a View,
    until: Option<Instant>,
    rows: Rows,
    /// Rows to be written when those are durable.
    last: Rows,
    bytes: usize,
    facts: Vec<(u64, Facts)>,
    /// Weeks of change feeds that lost rows.
    thinned: BTreeSet<Space>,
}

impl<'a> Sweeper<'a> {
    pub fn new(shared: &'a Shared, view: &'a View, until: Option<Instant>) -> Sweeper<'a> {
        let (rows, last, facts, thinned) = (Rows::new(), Rows::new(), Vec::new(), BTreeSet::new());
        Sweeper { shared, view, until, rows, last, bytes: 0, facts, thinned }
    }

    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Sweeps a channel; what is left of what was asked. `every` message that is gone loses its bytes, not only those in
    /// blocks of which half is gone.
    pub fn channel(&mut self, number: u64, asked: SweepRow, every: bool) -> Result<SweepRow> {
        let view = self.view;
        // What only the tails removed keeps its content: it says which lists a message is in.
        let known = view.known(number)?;
        let place = Place { number, floor: known.facts.floor, known };
        let mut removed = Removed::of_table(view, number, view.root(&place)?);
        let mut facts = place.known.facts;
        facts.swept = self.drop_below_floor(&place, every)?;
        if every {
            facts.changes_after = self.drop_changes(&place)?;
        }
        let mut left = asked;
        let last = view.block_at(&place, Id::MAX)?.map_or(Seq::NONE, |block| block.last().1);
        while let Some(container) = left.containers.first().copied() {
            if self.is_over() {
                break;
            }
            left.containers.pop_first();
            self.container(&place, &mut removed, container, (facts.swept.seq, last), every)?;
        }
        self.facts.push((number, facts));
        Ok(left)
    }

    /// Drops whole blocks at or below the floor, oldest first; up to where none are left.
    fn drop_below_floor(&mut self, place: &Place, every: bool) -> Result<Position> {
        let view = self.view;
        let mut swept = place.known.facts.swept;
        let floor = place.floor;
        if floor.seq <= swept.seq {
            return Ok(swept);
        }
        for row in view.rows(keys::blocks_of(place.number), place.blocks_upto(Id::MAX), false) {
            let Some(block) = view.visible(row?)? else { continue };
            let (id, seq) = block.last();
            if seq > floor.seq || self.is_over() {
                if every && block.seq(0) <= floor.seq {
                    self.blank(&block, true, |seq| Ok(seq <= floor.seq))?;
                }
                break;
            }
            self.put(block.key.space(), block.key.encode(), None)?;
            swept = Position { id, seq };
        }
        self.drop_edits(place, None, (Id::MIN, swept.id))?;
        self.drop_reactions(place, (Id::MIN, swept.id))?;
        self.trim_removed(place, swept.seq)?;
        Ok(swept)
    }

    /// Drops the change feed of a channel as far as the table has it; where it begins then. Who did something, and what they
    /// reacted with, is told there whatever became of it.
    fn drop_changes(&mut self, place: &Place) -> Result<Id> {
        let view = self.view;
        let upto = view.parts().next().map_or(Id::MIN, |part| part.after());
        for week in view.changes_weeks.iter() {
            let space = Space::Changes(*week);
            for row in view.rows(space, keys::changes_between(place.number, Id::MIN, upto), false) {
                self.put(space, row?.0, None)?;
                self.thinned.insert(space);
            }
        }
        Ok(upto)
    }

    /// Containers below what was swept are never asked for again.
    fn trim_removed(&mut self, place: &Place, swept: Seq) -> Result<()> {
        let Some(root) = self.view.root(place)? else { return Ok(()) };
        let (first_kept, _) = split(swept.next());
        let kept = root.counts.range(first_kept..).map(|(index, counts)| (*index, *counts)).collect();
        for (index, _) in root.counts.range(..first_kept) {
            self.put(Space::Removed, keys::removed_row(place.number, *index), None)?;
        }
        if root.counts.range(..first_kept).next().is_some() {
            let key = keys::removed_root(place.number);
            let value = Root { upto: root.upto, counts: kept }.encode(&key);
            self.put(Space::Removed, key, Some(value))?;
        }
        Ok(())
    }

    /// Blanks what is gone in the blocks of a container of seqs, of those that are not dropped whole.
    fn container(
        &mut self,
        place: &Place,
        removed: &mut Removed<'_>,
        container: i64,
        (swept, last): (Seq, Seq),
        every: bool,
    ) -> Result<()> {
        let first = seq_in(container, 0).max(place.floor.seq.next());
        let end = seq_in(container, LAST_LOW).min(last);
        let mut group = (first.0 - 1).div_euclid(BLOCK_MESSAGES);
        while group * BLOCK_MESSAGES < end.0 {
            let from = group;
            while group * BLOCK_MESSAGES < end.0 && is_worth_it(removed, group, last, every)? {
                group += 1;
            }
            if group > from {
                let seqs = (Seq(from * BLOCK_MESSAGES + 1), Seq(group * BLOCK_MESSAGES));
                self.blank_between(place, removed, (swept, seqs), every)?;
            }
            group += 1;
        }
        let ids = match (first <= end, self.view.id_with(place, first)?, self.view.id_with(place, end)?) {
            (true, Some(first), Some(end)) => (first.previous(), end),
            _ => return Ok(()),
        };
        self.drop_edits(place, Some(removed), ids)?;
        self.drop_reactions(place, ids)
    }

    fn blank_between(
        &mut self,
        place: &Place,
        removed: &mut Removed<'_>,
        (swept, (first, last)): (Seq, (Seq, Seq)),
        every: bool,
    ) -> Result<()> {
        let view = self.view;
        let Some(start) = view.block_with(place, first)? else { return Ok(()) };
        let range = keys::blocks_between(place.number, start.key.first.previous(), Id::MAX);
        for row in view.rows(keys::blocks_of(place.number), range, false) {
            let Some(block) = view.visible(row?)? else { continue };
            if block.seq(0) > last {
                break;
            }
            // The view still has what was dropped just now; written anew it would come back, and below `swept` nobody
            // would find what a flush merges into it.
            if block.last().1 <= swept {
                continue;
            }
            self.blank(&block, every, |seq| Ok(seq <= place.floor.seq || removed.has(seq)?))?;
        }
        Ok(())
    }

    /// Writes a block anew under its key without the contents of what is gone, if that is every one's wish or halves it.
    fn blank(&mut self, block: &Block, every: bool, mut is_gone: impl FnMut(Seq) -> Result<bool>) -> Result<()> {
        let mut gone = Vec::new();
        let mut filled = 0;
        for index in (0..block.len()).filter(|index| !block.content(*index).is_empty()) {
            filled += 1;
            if is_gone(block.seq(index))? {
                gone.push(index);
            }
        }
        if gone.is_empty() || (!every && gone.len() * 2 < filled) {
            return Ok(());
        }
        let mut rows = block.rows()?;
        gone.into_iter().for_each(|index| rows[index].content = Bytes::new());
        let (key, value) = block::encode(block.key.channel, block.key.upto, &rows, true);
        self.shared.stats.blocks_swept.fetch_add(1, Ordering::Relaxed);
        self.put(key.space(), key.encode(), Some(value))
    }

    /// Drops the edits of messages in (`after`, `upto`]: of all, or of those that were removed.
    fn drop_edits(&mut self, place: &Place, mut removed: Option<&mut Removed<'_>>, ids: (Id, Id)) -> Result<()> {
        if place.known.facts.edited.is_none() {
            return Ok(());
        }
        let view = self.view;
        for row in view.rows(Space::Edits, keys::edits_between(place.number, ids.0, ids.1), false) {
            let (key, value) = row?;
            let seq = Reader::new(&rows::open(&key, &value)?).seq()?;
            let is_gone = match &mut removed {
                Some(removed) => seq <= place.floor.seq || removed.has(seq)?,
                None => true,
            };
            if is_gone {
                self.put(Space::Edits, key, None)?;
            }
        }
        Ok(())
    }

    /// Drops the reactions to messages in (`after`, `upto`] that are gone.
    fn drop_reactions(&mut self, place: &Place, ids: (Id, Id)) -> Result<()> {
        if !place.known.facts.has_reactions {
            return Ok(());
        }
        let view = self.view;
        let mut fates = Fates::new(view, place);
        for row in view.rows(Space::Reactions, keys::reactions_between(place.number, ids.0, ids.1), false) {
            let (key, value) = row?;
            let (message, id) = keys::last_two(&key)?;
            if fates.of(Id::from_raw(message))? != Fate::Gone {
                continue;
            }
            let reaction = reactions::decode(&key, &value)?;
            let unique = keys::reaction_unique(place.number, reaction.message, unique_hash(&reaction));
            self.put(Space::Reactions, keys::reaction_made(place.number, Id::from_raw(id)), None)?;
            self.put(Space::Reactions, unique, None)?;
            // By this row the others are found, should this be cut off.
            self.put_last(Space::Reactions, key, None);
        }
        Ok(())
    }

    /// The weeks of change feeds that lost rows.
    pub fn thinned(&self) -> impl Iterator<Item = Space> + '_ {
        self.thinned.iter().copied()
    }

    pub fn put(&mut self, space: Space, key: Bytes, value: Option<Bytes>) -> Result<()> {
        self.bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
        self.rows.entry(space).or_default().insert(key, value);
        if self.bytes >= PIECE_BYTES { self.write() } else { Ok(()) }
    }

    fn put_last(&mut self, space: Space, key: Bytes, value: Option<Bytes>) {
        self.bytes += key.len();
        self.last.entry(space).or_default().insert(key, value);
    }

    fn write(&mut self) -> Result<()> {
        self.bytes = 0;
        for rows in [std::mem::take(&mut self.rows), std::mem::take(&mut self.last)] {
            let mut rows = rows.into_iter().map(|(space, rows)| SpaceRows { space, rows: rows.into_iter().collect() });
            self.shared.table.write(&mut rows)?;
        }
        Ok(())
    }

    /// Writes the rest, and shows it.
    pub fn finish(mut self) -> Result<()> {
        self.write()?;
        let mut facts = std::mem::take(&mut self.facts);
        // What says that rows are gone comes after they are.
        for (number, facts) in &facts {
            let key = keys::facts_row(*number);
            let value = facts.encode(&key);
            self.put(Space::Channels, key, Some(value))?;
        }
        self.write()?;
        let snapshot: Arc<dyn Snapshot> = self.shared.table.snapshot()?;
        self.shared.views.update(|view| {
            view.snapshot = snapshot;
            view.facts = Arc::new(view.facts.next(std::mem::take(&mut facts)));
        });
        Ok(())
    }
}

fn is_worth_it(removed: &mut Removed<'_>, group: i64, last: Seq, every: bool) -> Result<bool> {
    let (after, upto) = (Seq(group * BLOCK_MESSAGES), Seq(((group + 1) * BLOCK_MESSAGES).min(last.0)));
    let gone = removed.count(after, upto)?;
    let gone = gone.deleted + gone.expired;
    Ok(gone > 0 && (every || gone * 2 >= upto.above(after)))
}

/// What is to be swept of channels whose every removed byte must go.
pub(crate) fn everything(view: &View, number: u64) -> Result<SweepRow> {
    let place = view.place_of(number, view.known(number)?);
    let mut containers: BTreeSet<i64> =
        view.root(&place)?.map(|root| root.counts.keys().copied().collect()).unwrap_or_default();
    for part in view.parts() {
        containers
            .extend(part.with_removed(number, |tail, _| tail.containers().collect::<Vec<_>>()).unwrap_or_default());
    }
    Ok(SweepRow { containers })
}

/// That a flush has to be finished first.
pub(crate) fn flush_first() -> Error {
    Error::unavailable("nothing was erased yet: a flush has to be finished first")
}
