//! Ranks: how many messages of a selector lie up to an id, and which lie behind so many. A list answers by descents in its
//! tree and a search in the tails, less what is gone or due and not taken out yet; a channel answers by its seqs. Several
//! are ranked together without a merge of what lies before.

use super::{ListKey, fresh::FreshList, node::Entry, tree::Tree};
use crate::{channels::NameCache, facts::Place, removed::Removed, scan::Hit, view::View};
use model::{AppId, Channel, Effort, Error, Id, Order, Result, Seq, Span, Window};
use std::collections::{HashMap, hash_map};

/// The messages of a span that are there and not due, by growing id.
pub(crate) trait Ranks {
    /// How many there are.
    fn total(&self) -> u64;

    /// How many of them have ids up to and with this one.
    fn rank(&mut self, id: Id) -> Result<u64>;

    /// Those from the one with `rank` before it on, at most `most`.
    fn from(&mut self, rank: u64, most: usize) -> Result<Vec<Hit>>;
}

/// Those of several, of which no two have one in common, from the one with `rank` before it on, at most `most`.
pub(crate) fn merged(sources: &mut [Box<dyn Ranks + '_>], rank: u64, most: usize) -> Result<Vec<Hit>> {
    let starts = (0..sources.len()).map(|index| start(sources, index, rank)).collect::<Result<Vec<u64>>>()?;
    let mut hits = Vec::new();
    for (source, start) in sources.iter_mut().zip(starts) {
        hits.extend(source.from(start, most)?);
    }
    hits.sort_unstable();
    hits.truncate(most);
    Ok(hits)
}

/// How many of one source are among the first `rank` of all.
fn start(sources: &mut [Box<dyn Ranks + '_>], index: usize, rank: u64) -> Result<u64> {
    let total = sources[index].total();
    if sources.len() == 1 {
        return Ok(rank.min(total));
    }
    let (mut low, mut high) = (0, total.min(rank));
    while low < high {
        let middle = low + (high - low) / 2;
        let Some((id, _)) = sources[index].from(middle, 1)?.first().copied() else {
            return Err(Error::internal("a list has fewer messages than it counts"));
        };
        let mut upto = 0;
        for source in sources.iter_mut() {
            upto += source.rank(id)?;
        }
        match upto <= rank {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    Ok(low)
}

/// A list in a view.
pub(crate) struct ListRanks<'a> {
    tree: Tree<'a>,
    fresh: Vec<FreshList>,
    span: Span,
    /// How many messages, gone or not, lie at or below the span, and in it.
    before: u64,
    within: u64,
    /// Messages of the span that are gone or due, by growing id.
    gone: Vec<Id>,
}

impl View {
    /// The messages of a list.
    pub fn list_ranks(&self, app: &AppId, list: ListKey, span: Span, now: Id) -> Result<ListRanks<'_>> {
        let fresh = self.parts().map(|part| self.fresh(part, &list)).collect::<Result<Vec<_>>>()?;
        let tree = Tree::open(self, list)?;
        let mut ranks = ListRanks { tree, fresh, span, before: 0, within: 0, gone: Vec::new() };
        ranks.before = ranks.upto(span.after)?;
        ranks.within = ranks.upto(span.upto)? - ranks.before;
        let known = ranks.fresh.iter().map(|fresh| fresh.gone.clone()).collect::<Option<Vec<_>>>();
        ranks.gone = match known.filter(|_| !self.lists.unlisted.contains(app)) {
            Some(known) => ranks.gone_of(known.concat(), now)?,
            None => ranks.gone_by_looking(self, now)?,
        };
        ranks.gone.sort_unstable();
        ranks.gone.dedup();
        Ok(ranks)
    }
}

impl ListRanks<'_> {
    /// How many messages, gone or not, have ids up to this one.
    fn upto(&self, id: Id) -> Result<u64> {
        let fresh: usize = self.fresh.iter().map(|fresh| fresh.count_upto(id)).sum();
        Ok(self.tree.count_upto(id)? + fresh as u64)
    }

    /// The one with so many before it, gone or not; and, if it is in the table, its neighbours after it.
    fn at(&self, place: u64) -> Result<Vec<Entry>> {
        let Some(mut index) = place.checked_sub(self.tree.count()) else { return self.tree.from(place) };
        for fresh in &self.fresh {
            if index < fresh.len() as u64 {
                return Ok(vec![fresh.at(index as usize)]);
            }
            index -= fresh.len() as u64;
        }
        Ok(Vec::new())
    }

    /// Of messages that were removed, those that are in the list; and those of the list that are due.
    fn gone_of(&self, removed: Vec<Id>, now: Id) -> Result<Vec<Id>> {
        let mut gone = Vec::new();
        for id in removed.into_iter().filter(|id| self.span.contains(*id)) {
            if self.fresh.iter().any(|fresh| fresh.has(id)) || self.tree.has(id)? {
                gone.push(id);
            }
        }
        let mut add = |entry: &Entry| {
            gone.push(entry.id);
            Ok(())
        };
        self.tree.each((self.span.after, self.span.upto), Some(now), &mut add)?;
        let due = self.fresh.iter().flat_map(|fresh| fresh.due(now));
        gone.extend(due.map(|entry| entry.id).filter(|id| self.span.contains(*id)));
        Ok(gone)
    }

    /// The same by a look at every message of the list.
    fn gone_by_looking(&self, view: &View, now: Id) -> Result<Vec<Id>> {
        let mut gone = Vec::new();
        let mut fates: HashMap<u64, (Place, Removed<'_>)> = HashMap::new();
        let mut look = |entry: &Entry| -> Result<()> {
            let (place, removed) = match fates.entry(entry.number) {
                hash_map::Entry::Occupied(there) => there.into_mut(),
                hash_map::Entry::Vacant(vacant) => {
                    let place = view.place_of(entry.number, view.known(entry.number)?);
                    let removed = view.removed(&place)?;
                    vacant.insert((place, removed))
                }
            };
            if entry.is_due(now) || entry.seq <= place.floor.seq || removed.has(entry.seq)? {
                gone.push(entry.id);
            }
            Ok(())
        };
        self.tree.each((self.span.after, self.span.upto), None, &mut look)?;
        for fresh in &self.fresh {
            for index in fresh.count_upto(self.span.after)..fresh.count_upto(self.span.upto) {
                look(&fresh.at(index))?;
            }
        }
        Ok(gone)
    }

    /// How many of the span, gone or not, lie up to the one that has `rank` before it which are not gone; and with it.
    fn place_of(&self, rank: u64) -> Result<u64> {
        let (mut low, mut high) = (rank, (rank + self.gone.len() as u64).min(self.within));
        while low < high {
            let middle = low + (high - low) / 2;
            let Some(entry) = self.at(self.before + middle)?.first().copied() else { return Ok(self.within) };
            let gone = self.gone.partition_point(|id| *id <= entry.id) as u64;
            match (middle + 1).saturating_sub(gone) > rank {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        Ok(low)
    }
}

impl Ranks for ListRanks<'_> {
    fn total(&self) -> u64 {
        self.within.saturating_sub(self.gone.len() as u64)
    }

    fn rank(&mut self, id: Id) -> Result<u64> {
        if id <= self.span.after {
            return Ok(0);
        }
        let within = self.upto(id.min(self.span.upto))? - self.before;
        Ok(within.saturating_sub(self.gone.partition_point(|gone| *gone <= id) as u64))
    }

    fn from(&mut self, rank: u64, most: usize) -> Result<Vec<Hit>> {
        let mut hits = Vec::new();
        let mut place = self.place_of(rank)?;
        while hits.len() < most && place < self.within {
            let entries = self.at(self.before + place)?;
            if entries.is_empty() {
                return Err(Error::internal("a list has fewer messages than it counts"));
            }
            let left = usize::try_from(self.within - place).unwrap_or(usize::MAX);
            for entry in entries.into_iter().take(left) {
                place += 1;
                if hits.len() < most && self.gone.binary_search(&entry.id).is_err() {
                    hits.push((entry.id, entry.number));
                }
            }
        }
        Ok(hits)
    }
}

/// A channel in a view.
pub(crate) struct ChannelRanks<'a> {
    view: &'a View,
    names: &'a NameCache,
    channel: Channel,
    place: Place,
    removed: Removed<'a>,
    /// Seqs of the span: exclusive, inclusive.
    seqs: (Seq, Seq),
    now: Id,
    total: u64,
}

impl View {
    /// The messages of a channel.
    pub fn channel_ranks<'a>(
        &'a self,
        channel: Channel,
        place: Place,
        span: Span,
        now: Id,
        names: &'a NameCache,
    ) -> Result<ChannelRanks<'a>> {
        let seqs = self.seqs_of(&place, span, Seq::NONE)?;
        let removed = self.removed(&place)?;
        let mut ranks = ChannelRanks { view: self, names, channel, place, removed, seqs, now, total: 0 };
        ranks.total = ranks.there(seqs.1)?;
        Ok(ranks)
    }
}

impl ChannelRanks<'_> {
    /// How many are there up to a seq.
    fn there(&mut self, upto: Seq) -> Result<u64> {
        let after = self.seqs.0;
        if upto <= after {
            return Ok(0);
        }
        let gone = self.removed.count(after, upto)?;
        let due = self.view.due_between(&self.place, &mut self.removed, (after, upto), self.now)?;
        Ok(upto.above(after).saturating_sub(gone.deleted + gone.expired + due))
    }
}

impl Ranks for ChannelRanks<'_> {
    fn total(&self) -> u64 {
        self.total
    }

    fn rank(&mut self, id: Id) -> Result<u64> {
        let seq = self.view.seq_at(&self.place, id)?;
        self.there(seq.min(self.seqs.1))
    }

    fn from(&mut self, rank: u64, most: usize) -> Result<Vec<Hit>> {
        if rank >= self.total || most == 0 {
            return Ok(Vec::new());
        }
        let (mut low, mut high) = (self.seqs.0.0 + 1, self.seqs.1.0);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.there(Seq(middle))? > rank {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        let most = u64::try_from(most).unwrap_or(u64::MAX).min(self.total - rank) as usize;
        let mut hits = Vec::with_capacity(most);
        let mut window = Window {
            span: Span::ALL,
            order: Order::Ascending,
            limit: 0,
            above: Seq(low - 1),
            author: None,
            custom_type: None,
            now: self.now,
        };
        while hits.len() < most {
            window.limit = u32::try_from(most - hits.len()).unwrap_or(u32::MAX);
            let page = self.view.page(&self.channel, &window, Effort::Disk, self.names)?;
            let page = page.ok_or_else(|| Error::internal("a page is not there although the disk may be read"))?;
            hits.extend(page.messages.iter().map(|message| (message.id, self.place.number)));
            if !page.more {
                break;
            }
            window.span.after = page.covered.upto;
        }
        Ok(hits)
    }
}
