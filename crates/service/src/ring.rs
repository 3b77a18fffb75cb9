//! The recent ring: all recent changes of the node in the order of their ids, live-only ones too. A cursor inside is
//! served from here without a store. Bounded by bytes and by age. What is removed goes from here, and edits
//! that are taken back: who comes later does not see it, wherever it is served from.

use crate::{
    hash::Place,
    removals::{Taken, removed_by},
};
use model::{AppId, Author, Change, ChannelChange, Id, What};
use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, RwLock},
};

/// Entries looked at under one hold of the lock, so that a reader never stops the sequencer for long.
const SCAN: usize = 1_024;

pub(crate) struct Ring {
    state: RwLock<State>,
    most_bytes: usize,
    most_age_ticks: u64,
}

/// A change on its way to subscribers.
#[derive(Clone, Debug)]
pub(crate) struct Recent {
    pub id: Id,
    /// The hash of its channel or record.
    pub place: Place,
    pub change: Arc<Change>,
}

struct State {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Everything above this id is in the ring.
    begins_after: Id,
}

/// A change, and the monotonic time at which it came. The change of a message that was removed is gone.
struct Entry {
    pushed: u64,
    id: Id,
    place: Place,
    change: Option<Arc<Change>>,
}

/// What one look into the ring showed.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Scan {
    /// Looked through up to here, and there is more.
    Upto(Id),
    /// Looked through to the end, which is here.
    End(Id),
    /// The position lies before the ring, which holds what comes after this id.
    Before(Id),
}

impl Ring {
    pub fn new(most_bytes: usize, most_age_ticks: u64, begins_after: Id) -> Ring {
        let state = State { entries: VecDeque::new(), bytes: 0, begins_after };
        Ring { state: RwLock::new(state), most_bytes, most_age_ticks }
    }

    /// Adds changes, by growing id, and lets go of the oldest. `now` is monotonic time.
    pub fn push(&self, changes: &[Recent], now: u64) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for recent in changes {
            if let Some(taken) = removed_by(&recent.change) {
                state.take_out(recent.place, &taken);
            }
            unedited(&recent.change).iter().for_each(|id| state.take_out_one(*id));
            let entry = Entry { pushed: now, id: recent.id, place: recent.place, change: Some(recent.change.clone()) };
            state.bytes += entry.cost();
            state.entries.push_back(entry);
        }
        let oldest = now.saturating_sub(self.most_age_ticks);
        while let Some(entry) = state.entries.front() {
            if state.bytes <= self.most_bytes && entry.pushed >= oldest {
                break;
            }
            let (id, freed) = (entry.id, entry.cost());
            state.bytes -= freed;
            state.begins_after = id;
            state.entries.pop_front();
        }
    }

    /// Shows changes above `position` to `visit`, oldest first, until it has had enough, the end or a bounded number.
    pub fn scan(&self, position: Id, mut visit: impl FnMut(Place, &Arc<Change>) -> bool) -> Scan {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if position < state.begins_after {
            return Scan::Before(state.begins_after);
        }
        let first = state.entries.partition_point(|entry| entry.id <= position);
        let mut examined = position;
        for entry in state.entries.range(first..).take(SCAN) {
            examined = entry.id;
            if let Some(change) = &entry.change
                && !visit(entry.place, change)
            {
                return Scan::Upto(examined);
            }
        }
        if state.entries.len() > first + SCAN { Scan::Upto(examined) } else { Scan::End(examined) }
    }

    /// Takes out what a person said and did in an app up to a position, stored or not.
    pub fn forget(&self, app: &AppId, person: &Author, upto: Id) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let State { entries, bytes, .. } = &mut *state;
        for entry in entries.iter_mut().take_while(|entry| entry.id <= upto) {
            if matches!(entry.change.as_deref(), Some(Change::Channel(change))
                if change.channel.app == *app && is_made_by(&change.what, person))
            {
                *bytes -= entry.clear();
            }
        }
    }

    pub fn begins_after(&self) -> Id {
        self.state.read().unwrap_or_else(PoisonError::into_inner).begins_after
    }

    /// Changes and bytes in the ring.
    pub fn size(&self) -> (usize, usize) {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        (state.entries.len(), state.bytes)
    }
}

impl State {
    /// Takes out what this removes, and what it was edited to.
    fn take_out(&mut self, place: Place, taken: &Taken<'_>) {
        let after = match taken {
            Taken::Ranges(removal) => removal.span.after,
            Taken::Upto(_) => Id::MIN,
        };
        self.take_out_where(place, after, |what| match what {
            What::Published { message, .. } => taken.took(message.seq),
            What::Edited(edit) => taken.took(edit.seq),
            _ => false,
        });
    }

    /// Takes out the change with this id.
    fn take_out_one(&mut self, id: Id) {
        let at = self.entries.partition_point(|entry| entry.id < id);
        if let Some(entry) = self.entries.get_mut(at).filter(|entry| entry.id == id) {
            self.bytes -= entry.clear();
        }
    }

    fn take_out_where(&mut self, place: Place, after: Id, goes: impl Fn(&What) -> bool) {
        let first = self.entries.partition_point(|entry| entry.id <= after);
        for entry in self.entries.range_mut(first..).filter(|entry| entry.place == place) {
            if matches!(entry.change.as_deref(), Some(Change::Channel(change)) if goes(&change.what)) {
                self.bytes -= entry.clear();
            }
        }
    }
}

/// The edits that a change takes back.
fn unedited(change: &Change) -> &[Id] {
    match change {
        Change::Channel(ChannelChange { what: What::Unedited(unedit), .. }) => &unedit.edits,
        _ => &[],
    }
}

/// Whether a person made this change: wrote it, reacted, came or went.
fn is_made_by(what: &What, person: &Author) -> bool {
    let user = match what {
        What::Edited(edit) => edit.editor.as_ref(),
        What::Reacted(reaction) => Some(&reaction.user),
        What::Presence(presence) => presence.event.user(),
        what => what.message().and_then(|message| message.author.as_ref()),
    };
    user.is_some_and(|user| person.is(user))
}

impl Entry {
    /// Lets go of the change; returns by how many bytes that makes it smaller.
    fn clear(&mut self) -> usize {
        let before = self.cost();
        self.change = None;
        before - self.cost()
    }

    fn cost(&self) -> usize {
        size_of::<Entry>() + self.change.as_ref().map_or(0, |change| change.cost())
    }
}
