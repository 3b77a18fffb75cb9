//! What is due to expire: an index by channel and due time in the table, beside it when each channel is due next, and what
//! the tails have. Everything before a channel's next due time was settled, so that no read meets what is gone.

use crate::{
    device::Space,
    facts::{Known, Place},
    keys,
    removed::{Removed, split},
    rows,
    tail::DueEntry,
    view::View,
    wire::{Parsed, Reader, put_varint},
};
use bytes::Bytes;
use model::{Channel, Due, Id, Position, Result, Seq};
use roaring::RoaringBitmap;
use std::{
    cmp::Reverse,
    collections::{
        BTreeMap, BinaryHeap, HashMap, HashSet,
        hash_map::Entry::{Occupied, Vacant},
    },
    sync::Arc,
};

/// The row of a message that is due: its id.
pub(crate) fn encode_due(key: &[u8], id: Id) -> Bytes {
    let mut out = Vec::new();
    put_varint(&mut out, id.raw());
    rows::seal(key, &out)
}

pub(crate) fn decode_due(key: &[u8], value: &Bytes) -> Parsed<DueEntry> {
    let (number, due, seq) = keys::parse_due(key)?;
    let fields = rows::open(key, value)?;
    let id = Id::from_raw(Reader::new(&fields).varint()?);
    Ok(DueEntry { due, number, seq, id })
}

impl View {
    /// How many messages with seqs in (`after`, `upto`] are due at `now` and were not removed.
    pub fn due_between(
        &self,
        place: &Place,
        removed: &mut Removed<'_>,
        (after, upto): (Seq, Seq),
        now: Id,
    ) -> Result<u64> {
        let mut count = 0;
        for part in self.parts() {
            for entry in part.due_of(place.number, now) {
                count += u64::from(after < entry.seq && entry.seq <= upto && !removed.has(entry.seq)?);
            }
        }
        // What the tails have may be in the index already, by a flush that was cut off.
        let in_table = self.first_in_tails(place.number)?.map_or(upto, |(_, first)| upto.min(first.previous()));
        if place.known.facts.next_due.is_none_or(|next| next > now) || after >= in_table {
            return Ok(count);
        }
        self.load_due(place.number, &place.known, now)?;
        let due = place.known.due();
        let parts: Vec<_> = self.parts().filter(|part| part.has_removed(place.number)).collect();
        count += due.seqs.count_there(after, in_table, place.number, &parts);
        // Due at a later moment than this reader's, but loaded for another one.
        if let Some(loaded) = due.upto.filter(|loaded| *loaded > now) {
            for row in self.rows(Space::Expiring, keys::due_between(place.number, next(now), loaded), false) {
                let (key, _) = row?;
                let (_, _, seq) = keys::parse_due(&key)?;
                let is_counted = after < seq && seq <= in_table && due.seqs.contains(seq) && !removed.has(seq)?;
                count -= u64::from(is_counted);
            }
        }
        Ok(count)
    }

    /// Loads which seqs of a channel in the table are due up to `now`, from where it was loaded before.
    fn load_due(&self, number: u64, known: &Known, now: Id) -> Result<()> {
        let mut due = known.due();
        if due.upto.is_some_and(|upto| upto >= now) {
            return Ok(());
        }
        let from = due.upto.map(next).or(known.facts.next_due).unwrap_or(Id::MIN);
        let root = self.root_row(number)?.map(Arc::new);
        let mut removed = Removed::of_table(self, number, root);
        for row in self.rows(Space::Expiring, keys::due_between(number, from, now), false) {
            let (key, _) = row?;
            let (_, _, seq) = keys::parse_due(&key)?;
            if seq > known.facts.floor.seq && !removed.has(seq)? {
                due.seqs.insert(seq);
            }
        }
        due.upto = Some(now);
        Ok(())
    }

    /// The seqs in (`after`, `upto`] that are due at `now`, removed or not, by container.
    pub fn due_seqs(&self, place: &Place, after: Seq, upto: Seq, now: Id) -> Result<BTreeMap<i64, RoaringBitmap>> {
        let mut due: BTreeMap<i64, RoaringBitmap> = BTreeMap::new();
        let mut add = |seq: Seq| {
            if after < seq && seq <= upto {
                let (container, low) = split(seq);
                due.entry(container).or_default().insert(low);
            }
        };
        for part in self.parts() {
            part.due_of(place.number, now).into_iter().for_each(|entry| add(entry.seq));
        }
        if let Some(next_due) = place.known.facts.next_due {
            for row in self.rows(Space::Expiring, keys::due_between(place.number, next_due, now), false) {
                add(keys::parse_due(&row?.0)?.2);
            }
        }
        Ok(due)
    }

    /// See [`model::Store::due`].
    pub fn due(&self, now: Id, limit: u32) -> Result<Vec<Due>> {
        let mut found: Vec<DueEntry> = Vec::new();
        let mut fates: HashMap<u64, (Place, Removed<'_>)> = HashMap::new();
        let mut told = HashSet::new();
        let mut names: HashMap<u64, Bytes> = HashMap::new();
        let mut next_rows = self.rows(Space::Expiring, keys::next_due_upto(now), false).peekable();
        let mut open: HashMap<u64, crate::device::Rows<'_>> = HashMap::new();
        let mut heap: BinaryHeap<Reverse<(DueEntry, Source)>> = BinaryHeap::new();
        for (index, part) in self.parts().enumerate() {
            heap.extend(part.next_due(None, now).map(|entry| Reverse((entry, Source::Tail(index)))));
        }
        while found.len() < limit as usize {
            // A channel comes in when its next due time is not later than the earliest message at hand.
            let next_channel = match next_rows.peek() {
                Some(Ok((key, _))) => Some(keys::parse_next_due(key)?),
                Some(Err(_)) => return Err(next_rows.next().and_then(Result::err).unwrap_or_else(gone)),
                None => None,
            };
            let comes_in =
                next_channel.filter(|(due, _)| heap.peek().is_none_or(|Reverse((first, _))| *due <= first.due));
            if let Some((due, number)) = comes_in {
                if let Some(row) = next_rows.next() {
                    let (key, value) = row?;
                    names.insert(number, rows::open(&key, &value)?);
                }
                if let Vacant(vacant) = open.entry(number) {
                    let rows = vacant.insert(self.rows(Space::Expiring, keys::due_between(number, due, now), false));
                    heap.extend(next_entry(rows)?.map(|entry| Reverse((entry, Source::Table))));
                }
                continue;
            }
            let Some(Reverse((entry, source))) = heap.pop() else { break };
            let following = match source {
                Source::Tail(index) => self.parts().nth(index).and_then(|part| part.next_due(Some(entry), now)),
                Source::Table => open.get_mut(&entry.number).map(next_entry).transpose()?.flatten(),
            };
            heap.extend(following.map(|entry| Reverse((entry, source))));
            if self.is_due_there(entry, &mut fates)? && told.insert((entry.number, entry.seq)) {
                found.push(entry);
            }
        }
        self.by_channel(found, names)
    }

    fn is_due_there<'a>(&'a self, entry: DueEntry, fates: &mut HashMap<u64, (Place, Removed<'a>)>) -> Result<bool> {
        let (place, removed) = match fates.entry(entry.number) {
            Occupied(there) => there.into_mut(),
            Vacant(vacant) => {
                let place = self.place_of(entry.number, self.known(entry.number)?);
                let removed = self.removed(&place)?;
                vacant.insert((place, removed))
            }
        };
        Ok(entry.seq > place.floor.seq && !removed.has(entry.seq)?)
    }

    fn by_channel(&self, found: Vec<DueEntry>, names: HashMap<u64, Bytes>) -> Result<Vec<Due>> {
        let mut channels: BTreeMap<u64, Vec<Position>> = BTreeMap::new();
        for entry in found {
            channels.entry(entry.number).or_default().push(Position { id: entry.id, seq: entry.seq });
        }
        let mut due = Vec::with_capacity(channels.len());
        for (number, mut messages) in channels {
            messages.sort_unstable_by_key(|message| message.seq);
            due.push(Due { channel: self.channel_named(number, &names)?, messages });
        }
        // In the order of their names.
        due.sort_by(|one, other| one.channel.cmp(&other.channel));
        Ok(due)
    }

    fn channel_named(&self, number: u64, names: &HashMap<u64, Bytes>) -> Result<Channel> {
        for part in self.parts() {
            if let Some(name) = part.name_of(number)? {
                return Ok(keys::parse_channel(&name)?);
            }
        }
        let name = names.get(&number).ok_or_else(gone)?;
        Ok(keys::parse_channel(name)?)
    }
}

/// From where an entry came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Tail(usize),
    Table,
}

fn next_entry(rows: &mut crate::device::Rows<'_>) -> Result<Option<DueEntry>> {
    let Some(row) = rows.next() else { return Ok(None) };
    let (key, value) = row?;
    Ok(Some(decode_due(&key, &value)?))
}

fn next(id: Id) -> Id {
    Id::from_raw(id.raw().saturating_add(1))
}

fn gone() -> model::Error {
    model::Error::internal("a channel is due to expire of which nothing is known")
}
