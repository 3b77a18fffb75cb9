//! Asks a store under test and the oracle the same, and judges the answers: both by what the oracle's channels have been
//! through where a store is free, one by the other where it is not.

use crate::{
    ChannelState, MemoryStore, app,
    judge::{self, Verdict},
    selected,
};
use model::{
    Change, ChangesPage, Channel, ChannelChange, Effort, Id, Order, Page, Reaction, ReactionAt, ReactionEntry,
    RemovedCount, Result, Selection, SelectionWindow, Seq, ShardId, Span, Store, Target, What, Window,
};
use std::{fmt::Debug, sync::Arc};

const ORDERS: [Order; 2] = [Order::Ascending, Order::Descending];
/// How many places of a channel are tried as borders.
const PLACES: usize = 5;

/// A store under test beside the oracle that was told the same.
pub(crate) struct Pair<'a> {
    pub tested: &'a dyn Store,
    pub oracle: &'a MemoryStore,
}

impl Pair<'_> {
    /// Asks both and compares the answers.
    pub fn equal<T: PartialEq + Debug>(&self, what: &str, ask: impl Fn(&dyn Store) -> Result<T>) -> Verdict {
        let got = ask(self.tested).map_err(|error| format!("{what}: {error:?}"))?;
        let expected = ask(self.oracle).map_err(|error| format!("the oracle: {error:?}"))?;
        same(what, &got, &expected)
    }

    /// One page, read from memory if it is there, and from wherever it is.
    pub fn page(&self, channel: &Channel, window: &Window, state: &ChannelState) -> Result<Page, String> {
        for store in [self.oracle, self.tested] {
            let page = store.read(channel, window, Effort::Memory).map_err(|error| format!("{error:?}"))?;
            if let Some(page) = page {
                judge::page_of(&page, window, state).map_err(|why| format!("from memory: {why}; {window:?}"))?;
            }
        }
        let page = self.tested.read(channel, window, Effort::Disk).map_err(|error| format!("{error:?}"))?;
        let page = page.ok_or("no page, though the disk may be read")?;
        judge::page_of(&page, window, state).map_err(|why| format!("{why}; {window:?}"))?;
        Ok(page)
    }

    /// All pages of a window, each from where the one before ended: every message once, every removed one told once.
    pub fn walk(&self, channel: &Channel, window: &Window, state: &ChannelState) -> Verdict {
        let expected: Vec<Id> = state.fitting(window).map(|message| message.id).collect();
        let removed = state.removed(window.span, window.above, window.now);
        let mut rest = window.clone();
        let (mut visited, mut told) = (Vec::new(), RemovedCount::default());
        for _ in 0..=2 * state.messages().count() {
            let page = self.page(channel, &rest, state)?;
            visited.extend(page.messages.iter().map(|message| message.id));
            told.deleted += page.removed.deleted;
            told.expired += page.removed.expired;
            match rest.order {
                Order::Ascending => rest.span.after = page.covered.upto,
                Order::Descending => rest.span.upto = page.covered.after,
            }
            if !page.more {
                visited.sort_unstable();
                same("all pages together", &visited, &expected)?;
                return same("removed, of all pages together", &told, &removed);
            }
        }
        Err(format!("paging does not come to an end: {window:?}"))
    }

    /// What is at hand of a message: nothing, or what is so.
    pub fn at_hand(&self, channel: &Channel, message: Id, reaction: Option<&Reaction>) -> Verdict {
        let got = self.tested.at_hand(channel, message, reaction).map_err(|error| format!("at_hand: {error:?}"))?;
        match got {
            None => Ok(()),
            got => same("at_hand", &got, &self.oracle.state(channel).at_hand(message, reaction)),
        }
    }

    /// Part of a channel's change feed.
    pub fn changes(&self, channel: &Channel, after: Id, limit: u32, state: &ChannelState) -> Verdict {
        self.changes_page(channel, after, limit, state).map(drop)
    }

    /// A channel's whole change feed, each part from where the one before ended.
    pub fn follow_changes(&self, channel: &Channel, limit: u32, state: &ChannelState) -> Verdict {
        let (mut after, mut told) = (Id::MIN, Vec::new());
        loop {
            let page = self.changes_page(channel, after, limit, state)?;
            let starts_after = page.starts_after;
            told.extend(page.changes);
            after = page.examined;
            if !page.more {
                return same("all changes together", &told, &state.told(starts_after).cloned().collect());
            }
        }
    }

    fn changes_page(
        &self,
        channel: &Channel,
        after: Id,
        limit: u32,
        state: &ChannelState,
    ) -> Result<ChangesPage, String> {
        let newest = self.oracle.newest();
        let ask = |store: &dyn Store| {
            let page = store.changes(channel, after, limit).map_err(|error| format!("changes: {error:?}"))?;
            let judged = judge::changes(&page, after, limit, state, newest);
            judged.map(|()| page).map_err(|why| format!("changes after {after:?}, at most {limit}: {why}"))
        };
        ask(self.oracle)?;
        ask(self.tested)
    }

    /// What is due, over all channels.
    pub fn due(&self, shard: ShardId, now: Id, limit: u32) -> Verdict {
        let states = self.oracle.states(shard);
        for store in [self.oracle as &dyn Store, self.tested] {
            let due = store.due(shard, now, limit).map_err(|error| format!("due: {error:?}"))?;
            let states = states.iter().map(|(channel, state)| (channel, state));
            judge::due(&due, now, limit, states).map_err(|why| format!("due at {now:?}, at most {limit}: {why}"))?;
        }
        Ok(())
    }

    /// A selection, in parts of some sizes from both ends, by offset and by cursor, and its counts; in spans between these
    /// borders, which grow.
    pub fn selection(&self, selection: &Selection, borders: &[Id], now: Id) -> Verdict {
        for (at, &after) in borders.iter().enumerate() {
            for &upto in &borders[at + 1..] {
                let span = Span { after, upto };
                self.equal("count_selected", |store| store.count_selected(&app(), selection, span, now))?;
                for order in ORDERS {
                    for (offset, limit) in [(0, 3), (9, 5), (1, u32::MAX)] {
                        self.select(selection, &SelectionWindow { span, order, offset, limit, now })?;
                    }
                }
            }
        }
        ORDERS.into_iter().try_for_each(|order| self.walk_selection(selection, order, now))
    }

    /// One page of a selection.
    pub fn select(&self, selection: &Selection, window: &SelectionWindow) -> Verdict {
        self.equal(&format!("{selection:?} {window:?}"), |store| store.select(&app(), selection, window))
    }

    /// All pages of a selection, by growing offsets and by cursors: both visit each message once, as many as counted.
    fn walk_selection(&self, selection: &Selection, order: Order, now: Id) -> Verdict {
        let all =
            selected(self.oracle.states(ShardId(0)).iter().map(|(c, s)| (c, s)), &app(), selection, Span::ALL, now);
        let mut expected: Vec<Id> = all.iter().map(|selected| selected.message.id).collect();
        if order == Order::Descending {
            expected.reverse();
        }
        let limit = u32::try_from(expected.len() / 5 + 2).unwrap_or(u32::MAX);
        for by_offset in [true, false] {
            let mut window = SelectionWindow { span: Span::ALL, order, offset: 0, limit, now };
            let mut visited: Vec<Id> = Vec::new();
            for _ in 0..=expected.len() + 1 {
                let page = self.tested.select(&app(), selection, &window).map_err(|error| format!("{error:?}"))?;
                let ids = page.messages.iter().map(|selected| selected.message.id);
                match order {
                    Order::Ascending => visited.extend(ids),
                    Order::Descending => visited.extend(ids.rev()),
                }
                match (by_offset, order) {
                    (true, _) => window.offset += page.messages.len() as u64,
                    (false, Order::Ascending) => window.span.after = page.covered.upto,
                    (false, Order::Descending) => window.span.upto = page.covered.after,
                }
                if page.messages.is_empty() {
                    break;
                }
            }
            same("all pages of a selection together", &visited, &expected)?;
        }
        Ok(())
    }

    /// Every question about a channel, with bounds at, before and beside what became of its messages.
    pub fn channel(&self, channel: &Channel) -> Verdict {
        let state = self.oracle.state(channel);
        let (borders, nows) = (borders(&state), nows(&state));
        self.equal("heads", |store| store.heads(std::slice::from_ref(channel)))?;
        for &after in &borders {
            borders.iter().try_for_each(|&upto| self.span(channel, Span { after, upto }, &nows, &state))?;
            for limit in [0, 1, 3, u32::MAX] {
                self.changes(channel, after, limit, &state)?;
            }
            for keep in [0, 1, 5, u64::MAX] {
                self.equal("floor_for", |store| store.floor_for(channel, keep, after))?;
            }
        }
        for &now in &nows {
            self.whole(channel, now, &state)?;
        }
        for step in [1, 4] {
            self.follow_changes(channel, step, &state)?;
        }
        for id in state.messages().map(|message| message.id).chain(borders) {
            self.equal("versions", |store| store.versions(channel, id))?;
            self.at_hand(channel, id, None)?;
        }
        for was in &reactions(&state) {
            self.equal("reaction", |store| store.reaction(channel, was))?;
            self.at_hand(channel, was.message, Some(was))?;
        }
        Ok(())
    }

    fn span(&self, channel: &Channel, span: Span, nows: &[Id], state: &ChannelState) -> Verdict {
        for &now in nows {
            for order in ORDERS {
                for limit in [0, 3, u32::MAX] {
                    self.page(channel, &window(span, order, limit, now), state)?;
                }
            }
            self.equal("count", |store| store.count(channel, span, Seq::NONE, now))?;
            self.equal("removable", |store| store.removable(channel, &Target::Span(span), now))?;
        }
        for after in reaction_places(self.oracle, channel, span)? {
            self.equal("reactions", |store| store.reactions(channel, span, after, 5))?;
        }
        for limit in [0, 1, u32::MAX] {
            self.equal("reactions", |store| store.reactions(channel, span, None, limit))?;
            for order in ORDERS {
                self.equal("reactions_made", |store| store.reactions_made(channel, span, order, limit))?;
            }
        }
        Ok(())
    }

    fn whole(&self, channel: &Channel, now: Id, state: &ChannelState) -> Verdict {
        for order in ORDERS {
            for limit in [3, 50] {
                self.walk(channel, &window(Span::ALL, order, limit, now), state)?;
            }
        }
        let last = state.head().last.seq.0;
        for above in [1, last / 2, state.head().floor.seq.0 + 1, last].map(Seq) {
            self.walk(channel, &Window { above, ..window(Span::ALL, Order::Descending, 5, now) }, state)?;
            self.equal("count", |store| store.count(channel, Span::ALL, above, now))?;
        }
        let some: Vec<Id> = state.messages().map(|message| message.id).step_by(3).chain([Id::MIN, Id::MAX]).collect();
        self.equal("removable", |store| store.removable(channel, &Target::Ids(some.clone()), now))?;
        [0, 1, 4, u32::MAX].into_iter().try_for_each(|limit| self.due(ShardId(0), now, limit))
    }
}

/// Beside messages that are there while the next one is not, or the other way round; evenly picked when they are many.
fn borders(state: &ChannelState) -> Vec<Id> {
    let there: Vec<Id> = state.there().map(|message| message.id).collect();
    let all: Vec<Id> = state.messages().map(|message| message.id).collect();
    let is_there = |id: &Id| there.binary_search(id).is_ok();
    let mut edges: Vec<Id> =
        all.windows(2).filter(|pair| is_there(&pair[0]) != is_there(&pair[1])).map(|p| p[0]).collect();
    edges.extend(all.first().into_iter().chain(all.last()));
    edges.sort_unstable();
    edges.dedup();
    let step = edges.len().div_ceil(PLACES).max(1);
    let picked = edges.iter().step_by(step).flat_map(|id| [id.previous(), *id]);
    picked.chain([Id::MIN, Id::MAX]).collect()
}

/// Before everything is due, after it, and where the middle one becomes due.
fn nows(state: &ChannelState) -> Vec<Id> {
    let mut due: Vec<Id> = state.messages().filter_map(|message| message.expires_at).collect();
    due.sort_unstable();
    match due.get(due.len() / 2) {
        Some(middle) => vec![Id::MIN, middle.previous(), *middle, Id::MAX],
        None => vec![Id::MIN],
    }
}

/// Every reaction ever made that the feed tells of.
fn reactions(state: &ChannelState) -> Vec<Arc<Reaction>> {
    let made = |change: &Arc<Change>| match &**change {
        Change::Channel(ChannelChange { what: What::Reacted(reaction), .. }) => Some(reaction.clone()),
        _ => None,
    };
    state.told(Id::MIN).filter_map(made).collect()
}

fn window(span: Span, order: Order, limit: u32, now: Id) -> Window {
    Window { span, order, limit, above: Seq::NONE, author: None, custom_type: None, now }
}

fn same<T: PartialEq + Debug>(what: &str, got: &T, expected: &T) -> Verdict {
    if got == expected { Ok(()) } else { Err(format!("{what}: got {got:?}, expected {expected:?}")) }
}

/// Before all reactions of a span, and behind some of them.
pub(crate) fn reaction_places(
    oracle: &MemoryStore,
    room: &Channel,
    span: Span,
) -> Result<Vec<Option<ReactionAt>>, String> {
    let all = oracle.reactions(room, span, None, u32::MAX).map_err(|error| error.to_string())?;
    let at = |entry: &ReactionEntry| ReactionAt { message: entry.reaction.message, reaction: entry.id };
    let step = all.len().div_ceil(3).max(1);
    Ok([None].into_iter().chain(all.iter().step_by(step).map(|entry| Some(at(entry)))).collect())
}
