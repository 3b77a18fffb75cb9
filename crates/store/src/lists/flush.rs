//! The lists' part of a flush: the messages of the frozen tail come into their lists, and what it removed is written down to
//! be taken out. Everything here is as of the flushed batches, and the lists keep how they were; so a flush that is done
//! again writes the same.

use super::{
    Listed, encode_name,
    grow::{Step, grow},
    name_row,
    unlisted::{self, Unlisted},
};
use crate::{
    device::{Snapshot, Space, SpaceRows, Table},
    flush::Pieces,
    keys,
    removed::Removed,
    rows,
    settings::NAME_BYTES_MAX,
    tail::Part,
    view::View,
    wire::{Reader, put_prefixed},
};
use bytes::Bytes;
use foldhash::fast::RandomState;
use model::{Error, Id, Result, Seq, SeqRange};
use std::collections::{BTreeMap, HashMap, hash_map::Entry};

/// Nodes in one of these rows, before those of the list that crosses the bound.
const GARBAGE_NODES: usize = 4_096;
/// Lists that are written between two looks whether the store is closing.
const LISTS_BETWEEN_LOOKS: usize = 1_024;
/// Rows that the nodes which a flush replaced are named in, to be deleted when the checkpoint has moved.
const GARBAGE: &[u8] = b"list-garbage/";

/// Writes the lists' part of a flush.
pub(crate) fn flush(
    view: &View,
    part: Part<'_>,
    pieces: &mut Pieces<'_>,
    is_stopping: &dyn Fn() -> bool,
) -> Result<()> {
    if view.lists.is_empty() {
        return Ok(());
    }
    let mut garbage = Garbage::default();
    let mut fates: HashMap<u64, Fate<'_>, RandomState> = HashMap::default();
    let mut lists = 0;
    view.each_fresh(part, |list, entries| {
        lists += 1;
        if lists % LISTS_BETWEEN_LOOKS == 0 && is_stopping() {
            return Err(Error::unavailable("the store is closing"));
        }
        let mut steps = Vec::new();
        for entry in entries {
            let fate = match fates.entry(entry.number) {
                Entry::Occupied(there) => there.into_mut(),
                Entry::Vacant(vacant) => vacant.insert(Fate::new(view, part, entry.number, pieces)?),
            };
            if !fate.is_gone(entry.seq)? {
                steps.push(Step::In(entry));
            }
        }
        if steps.is_empty() {
            return Ok(());
        }
        // Imports bring channels one after another.
        steps.sort_by_key(Step::id);
        let grown = grow(view, list, &steps, pieces.upto)?;
        grown.nodes.into_iter().chain([grown.root]).for_each(|(key, value)| pieces.put(Space::Lists, key, Some(value)));
        garbage.add(grown.replaced, pieces);
        pieces.write_if_full()
    })?;
    garbage.put(pieces);
    write_unlisted(view, part, pieces)
}

/// Nodes that a flush replaces, on their way to rows that name them.
#[derive(Default)]
struct Garbage {
    nodes: Vec<Bytes>,
    rows: u32,
}

impl Garbage {
    fn add(&mut self, nodes: Vec<Bytes>, pieces: &mut Pieces<'_>) {
        self.nodes.extend(nodes);
        if self.nodes.len() >= GARBAGE_NODES {
            self.put(pieces);
        }
    }

    fn put(&mut self, pieces: &mut Pieces<'_>) {
        if !self.nodes.is_empty() {
            let (key, value) = garbage_row(pieces.upto, self.rows, &std::mem::take(&mut self.nodes));
            pieces.put(Space::Meta, key, Some(value));
            self.rows += 1;
        }
    }
}

/// What became, in a frozen tail, of the messages of a channel that it published.
struct Fate<'a> {
    removed: Removed<'a>,
    floor: Seq,
}

impl<'a> Fate<'a> {
    fn new(view: &'a View, part: Part<'a>, number: u64, pieces: &mut Pieces<'_>) -> Result<Fate<'a>> {
        // A channel is named when it first has something in a list.
        let is_new = part.ends(number)?.is_some_and(|ends| ends.is_new);
        let is_named = !is_new && view.get(Space::Lists, &name_row(number))?.is_some();
        if let Some(name) = part.name_of(number)?.filter(|_| !is_named) {
            let (key, value) = encode_name(&keys::parse_channel(&name)?, number);
            pieces.put(Space::Lists, key, Some(value));
        }
        let floor = part.floor(number).map_or(Seq::NONE, |floor| floor.seq);
        Ok(Fate { removed: Removed::of_frozen(view, number, None, part), floor })
    }

    fn is_gone(&mut self, seq: Seq) -> Result<bool> {
        Ok(seq <= self.floor || self.removed.has(seq)?)
    }
}

/// Of each channel, which messages of the table the tail removed.
fn write_unlisted(view: &View, part: Part<'_>, pieces: &mut Pieces<'_>) -> Result<()> {
    for number in part.altered_numbers() {
        let Some(name) = part.name_of(number)? else { continue };
        let channel = keys::parse_channel(&name)?;
        if !view.lists.has(channel.app.as_str().as_bytes()) {
            continue;
        }
        let last = part.ends(number)?.map_or(Seq::MAX, |ends| ends.first.1.previous());
        let removed = part.with_removed(number, |tail, batches| tail.ranges(batches)).unwrap_or_default();
        let floor = part.floor(number).map(|floor| SeqRange { first: Seq::NONE, last: floor.seq });
        // What was swept is in no list any more.
        let swept = view.known(number)?.facts.swept.seq;
        let seqs: Vec<SeqRange> = removed
            .into_iter()
            .chain(floor)
            .map(|range| SeqRange { first: range.first.max(swept.next()), last: range.last.min(last) })
            .filter(|range| range.first <= range.last)
            .collect();
        if seqs.is_empty() {
            continue;
        }
        let mut row = unlisted::of(&*view.snapshot, number)?.unwrap_or(Unlisted { channel, seqs: Vec::new() });
        row.add(seqs);
        let key = unlisted::row_key(number);
        let value = row.encode(&key);
        pieces.put(Space::Meta, key, Some(value));
        pieces.write_if_full()?;
    }
    Ok(())
}

/// Whether the flush must keep what it knows of removed messages of a channel: their lists are yet to be told.
pub(crate) fn keeps_removed(view: &View, part: Part<'_>, number: u64) -> Result<bool> {
    if view.lists.is_empty() {
        return Ok(false);
    }
    let Some(name) = part.name_of(number)? else { return Ok(false) };
    Ok(view.lists.has(keys::parse_channel(&name)?.app.as_str().as_bytes()))
}

type Rows = BTreeMap<Space, BTreeMap<Bytes, Option<Bytes>>>;

/// Writes what was gathered.
fn write_rows(table: &dyn Table, rows: &mut Rows) -> Result<()> {
    let rows = std::mem::take(rows);
    let mut rows = rows.into_iter().map(|(space, rows)| SpaceRows { space, rows: rows.into_iter().collect() });
    if rows.len() == 0 { Ok(()) } else { table.write(&mut rows) }
}

fn garbage_row(upto: u64, piece: u32, nodes: &[Bytes]) -> (Bytes, Bytes) {
    let key: Bytes = [GARBAGE, &upto.to_be_bytes(), &piece.to_be_bytes()].concat().into();
    let mut out = Vec::new();
    nodes.iter().for_each(|node| put_prefixed(&mut out, node));
    let value = rows::seal(&key, &out);
    (key, value)
}

/// Deletes the nodes that flushes up to the checkpoint replaced, then the rows that name them. Harmless to repeat.
pub(crate) fn delete_garbage(table: &dyn Table, snapshot: &dyn Snapshot, checkpoint: u64) -> Result<()> {
    let end: Bytes = [GARBAGE, &checkpoint.saturating_add(1).to_be_bytes()].concat().into();
    for row in snapshot.range(Space::Meta, Bytes::from_static(GARBAGE)..end, false) {
        let (key, value) = row?;
        let fields = rows::open(&key, &value)?;
        let mut reader = Reader::new(&fields);
        let mut nodes: BTreeMap<Bytes, Option<Bytes>> = BTreeMap::new();
        while !reader.is_empty() {
            nodes.insert(Bytes::copy_from_slice(reader.prefixed(NAME_BYTES_MAX)?), None);
        }
        write_rows(table, &mut Rows::from([(Space::Lists, nodes)]))?;
        write_rows(table, &mut Rows::from([(Space::Meta, BTreeMap::from([(key, None)]))]))?;
    }
    Ok(())
}

/// What maintenance says of a message's channel.
pub(crate) type Steps = BTreeMap<super::ListKey, BTreeMap<Id, Step>>;

/// Takes steps with lists, outside a flush. A cut leaves each list as it was or as it is to be, and at most nodes that
/// nothing names.
pub(crate) fn write_steps(table: &dyn Table, view: &View, steps: Steps) -> Result<()> {
    let (mut nodes, mut roots, mut last) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (list, steps) in steps {
        let steps: Vec<Step> = steps.into_values().collect();
        let is_there = view.list_state(&list)?.is_some();
        if !is_there && steps.iter().all(|step| matches!(step, Step::Out(_))) {
            continue;
        }
        let grown = grow(view, &list, &steps, view.checkpoint)?;
        if grown.is_empty {
            roots.insert(grown.root.0, None);
            for row in view.rows(Space::Lists, list.rows(), false) {
                last.insert(row?.0, None);
            }
            continue;
        }
        nodes.extend(grown.nodes.into_iter().map(|(key, value)| (key, Some(value))));
        roots.insert(grown.root.0, Some(grown.root.1));
        last.extend(grown.replaced.into_iter().map(|key| (key, None)));
    }
    for rows in [nodes, roots, last] {
        if !rows.is_empty() {
            write_rows(table, &mut Rows::from([(Space::Lists, rows)]))?;
        }
    }
    Ok(())
}

/// The channel of a row, with what its messages need to be put into lists.
pub(crate) fn listed(view: &View, channel: &model::Channel, number: u64) -> Option<Listed> {
    view.lists.has(channel.app.as_str().as_bytes()).then(|| Listed::new(channel, number))
}
