//! The lists of a tail: its messages by list, and which messages of any list it removed. Made when somebody asks and kept
//! with the tail: a committer pays nothing for them, and whoever asks next pays for what came since.

use super::{
    ListKey, Listed,
    node::{Entry, is_due},
};
use crate::{
    alteration::Alteration,
    codec::{self, Altered, Published},
    content::Content,
    keys,
    settings::GONE_MAX,
    tail::{Part, TailBatch},
    view::View,
};
use foldhash::fast::RandomState;
use model::{Id, Result, Seq, SeqRange};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

/// Messages that are handed out together.
const CHUNK: usize = 4096;

/// The lists of a tail.
#[derive(Default)]
pub(crate) struct Fresh(RwLock<Made>);

/// What was made so far.
#[derive(Default)]
struct Made {
    /// Of which apps: those of [`super::indexed::Indexed`] with this generation.
    generation: u64,
    /// How many batches were looked at.
    batches: usize,
    /// The channels of these, by number; none for one whose app has no lists.
    channels: HashMap<u64, Option<Listed>, RandomState>,
    /// The messages, in chunks, and those that make no whole chunk yet.
    full: Vec<Arc<Vec<FreshEntry>>>,
    open: Vec<FreshEntry>,
    /// Which of them belong to a list.
    lists: HashMap<ListKey, Vec<u32>, RandomState>,
    /// When the first of them is due.
    first_due: Option<Id>,
    /// Room for the key of a list.
    key: Vec<u8>,
    /// What the tail removed, in order, and how many of these were looked up.
    removals: Vec<Removal>,
    looked_up: usize,
    /// How many messages were looked up, and whether the next ones are too many.
    gone_count: u64,
    is_full: bool,
    /// The messages among them, by list, with their batches.
    gone: HashMap<ListKey, Vec<(u32, Id)>>,
}

#[derive(Clone, Copy)]
struct FreshEntry {
    entry: Entry,
    batch: u32,
}

struct Removal {
    batch: u32,
    number: u64,
    /// Everything below for a floor.
    seqs: SeqRange,
}

/// The part of a list that a view has in one tail.
pub(crate) struct FreshList {
    full: Vec<Arc<Vec<FreshEntry>>>,
    open: Vec<FreshEntry>,
    places: Vec<u32>,
    may_be_due: Option<Id>,
    /// Messages of the list, wherever they are, that the tail removed; none if they are too many to be looked up.
    pub gone: Option<Vec<Id>>,
}

impl FreshList {
    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn at(&self, index: usize) -> Entry {
        let place = self.places[index] as usize;
        match self.full.get(place / CHUNK) {
            Some(chunk) => chunk[place % CHUNK].entry,
            None => self.open[place % CHUNK].entry,
        }
    }

    /// How many have ids up to and with this one.
    pub fn count_upto(&self, id: Id) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = (low + high) / 2;
            match self.at(middle).id <= id {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }

    pub fn has(&self, id: Id) -> bool {
        self.count_upto(id).checked_sub(1).is_some_and(|at| self.at(at).id == id)
    }

    /// All of them.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        (0..self.len()).map(|index| self.at(index))
    }

    /// Those that are due.
    pub fn due(&self, now: Id) -> impl Iterator<Item = Entry> {
        let some = self.may_be_due.is_some_and(|first| is_due(first, now));
        self.entries().filter(move |entry| some && entry.is_due(now))
    }
}

impl View {
    /// A list as one of the view's tails has it.
    pub fn fresh(&self, part: Part<'_>, list: &ListKey) -> Result<FreshList> {
        let made = part.fresh().made(self, part)?;
        let Made { full, open, .. } = &*made;
        let shown = |batch: u32| part.has_batch(batch);
        let mut places = made.lists.get(list).cloned().unwrap_or_default();
        places.truncate(places.partition_point(|place| shown(made.at(*place).batch)));
        let is_known = made.removals.get(made.looked_up).is_none_or(|next| !shown(next.batch));
        let gone = made.gone.get(list).map(Vec::as_slice).unwrap_or_default();
        let gone = gone.iter().filter(|(batch, _)| shown(*batch)).map(|(_, id)| *id).collect();
        let is_used = !places.is_empty();
        Ok(FreshList {
            full: if is_used { full.clone() } else { Vec::new() },
            open: if is_used { open.clone() } else { Vec::new() },
            places,
            may_be_due: made.first_due,
            gone: is_known.then_some(gone),
        })
    }

    /// Visits all lists of a tail, in the order of their keys, with their messages.
    pub fn each_fresh(
        &self,
        part: Part<'_>,
        mut visit: impl FnMut(&ListKey, &mut dyn Iterator<Item = Entry>) -> Result<()>,
    ) -> Result<()> {
        let made = part.fresh().made(self, part)?;
        let mut lists: Vec<_> = made.lists.iter().collect();
        lists.sort_unstable_by_key(|(list, _)| *list);
        for (list, places) in lists {
            let entries = places.iter().map(|place| made.at(*place)).take_while(|fresh| part.has_batch(fresh.batch));
            visit(list, &mut entries.map(|fresh| fresh.entry))?;
        }
        Ok(())
    }
}

impl Fresh {
    /// Everything that the part shows. Who has all it needs never waits for who makes more.
    fn made(&self, view: &View, part: Part<'_>) -> Result<RwLockReadGuard<'_, Made>> {
        loop {
            let made = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if made.has_all(view, part) {
                return Ok(made);
            }
            drop(made);
            self.0.write().unwrap_or_else(PoisonError::into_inner).make(view, part)?;
        }
    }
}

impl Made {
    fn has_all(&self, view: &View, part: Part<'_>) -> bool {
        let is_looked_up = self.is_full || self.looked_up == self.removals.len();
        self.generation == view.lists.generation && !part.has_batch(self.batches as u32) && is_looked_up
    }

    fn make(&mut self, view: &View, part: Part<'_>) -> Result<()> {
        if self.generation != view.lists.generation {
            *self = Made { generation: view.lists.generation, ..Made::default() };
        }
        for batch in part.batches_from(self.batches) {
            self.add(view, &batch);
        }
        self.look_up(view)
    }

    fn at(&self, place: u32) -> FreshEntry {
        let place = place as usize;
        self.full.get(place / CHUNK).map_or_else(|| self.open[place % CHUNK], |chunk| chunk[place % CHUNK])
    }

    fn add(&mut self, view: &View, batch: &TailBatch) {
        let index = self.batches as u32;
        self.batches += 1;
        let body = &batch.record.body;
        // What the tail holds was checked when it came in.
        for (_, entry) in codec::entries(body).map_while(std::result::Result::ok) {
            match entry {
                codec::Entry::Published(published) => self.add_published(view, index, body, &published),
                codec::Entry::Altered(altered) => self.add_altered(view, index, body, &altered),
                codec::Entry::Record(_) => {}
            }
        }
    }

    fn add_published(&mut self, view: &View, batch: u32, body: &[u8], published: &Published) {
        let Published { id, number, seq, expires_at, .. } = *published;
        let place = (self.full.len() * CHUNK + self.open.len()) as u32;
        let Made { channels, lists, key, .. } = self;
        let listed = listed(channels, view, number, &body[published.channel.clone()]);
        let Some((listed, content)) = listed.zip(Content::parse(&body[published.content.clone()]).ok()) else { return };
        let mut is_in_some = false;
        listed.each_list_of(&content, key, |list| {
            is_in_some = true;
            match lists.get_mut(list) {
                Some(places) => places.push(place),
                None => drop(lists.insert(list.into(), vec![place])),
            }
        });
        if !is_in_some {
            return;
        }
        let entry = Entry { id, number, seq, due: expires_at.unwrap_or(Entry::NEVER) };
        self.open.push(FreshEntry { entry, batch });
        if self.open.len() == CHUNK {
            self.full.push(Arc::new(std::mem::take(&mut self.open)));
        }
        self.first_due = [self.first_due, expires_at].into_iter().flatten().min();
    }

    fn add_altered(&mut self, view: &View, batch: u32, body: &[u8], altered: &Altered) {
        let number = altered.number;
        if listed(&mut self.channels, view, number, &body[altered.channel.clone()]).is_none() {
            return;
        }
        match &altered.what {
            Alteration::Removed { removal, .. } => {
                self.removals.extend(removal.seqs.iter().map(|&seqs| Removal { batch, number, seqs }));
            }
            Alteration::Floored(floor) => {
                let seqs = SeqRange { first: Seq::NONE, last: floor.seq };
                self.removals.push(Removal { batch, number, seqs });
            }
            Alteration::Edited { .. }
            | Alteration::Unedited(_)
            | Alteration::Reacted(_)
            | Alteration::Unreacted { .. } => {}
        }
    }

    /// Learns which lists the removed messages are in, as long as they are not too many.
    fn look_up(&mut self, view: &View) -> Result<()> {
        while let Some(Removal { batch, number, seqs }) = self.removals.get(self.looked_up) {
            let Some(Some(listed)) = self.channels.get(number) else {
                self.looked_up += 1;
                continue;
            };
            // What a sweep dropped is in no list any more.
            let swept = view.known(*number)?.facts.swept.seq;
            let range = SeqRange { first: seqs.first.max(swept.next()), last: seqs.last };
            let count = range.last.next().above(range.first);
            if self.gone_count + count > GONE_MAX {
                self.is_full = true;
                return Ok(());
            }
            let mut found: Vec<(ListKey, Id)> = Vec::new();
            if count > 0 {
                view.pick(*number, &[range], usize::MAX, &mut |slot, content| {
                    found.extend(listed.lists_of(content).map(|list| (list, slot.id)));
                    Ok(())
                })?;
            }
            for (list, id) in found {
                self.gone.entry(list).or_default().push((*batch, id));
            }
            self.gone_count += count;
            self.looked_up += 1;
        }
        Ok(())
    }
}

/// A channel with lists, by its number and its name.
fn listed<'a>(
    channels: &'a mut HashMap<u64, Option<Listed>, RandomState>,
    view: &View,
    number: u64,
    name: &[u8],
) -> Option<&'a Listed> {
    let known = channels.entry(number).or_insert_with(|| {
        let channel = keys::parse_channel(name).ok()?;
        view.lists.has(channel.app.as_str().as_bytes()).then(|| Listed::new(&channel, number))
    });
    known.as_ref()
}
