//! The change feed of a channel: edits, removals, floors and reactions in one order, from any position.

use crate::{Caller, Channels, Rights, edits::first_shown, history, removal::hidden_upto};
use model::{Change, ChangesPage, Channel, ChannelChange, Edit, Id, Removal, Result, Seq, SeqRange, Store, What};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

/// The part of a channel that is hidden from a caller.
#[derive(Clone, Copy)]
struct Hidden {
    upto: Id,
    seq: Seq,
}

impl Channels {
    /// What happened to the messages of a channel after a position, oldest first. Needs [`Rights::HISTORY`]; what
    /// happened to messages that the caller may not see is left out. A page whose `starts_after` lies above `after` does
    /// not reach back so far: read the channel again, and go on from `examined`.
    pub async fn changes(&self, caller: &Caller, channel: &Channel, after: Id, limit: u32) -> Result<ChangesPage> {
        self.shared.admit(caller, &channel.app)?;
        caller.access.demand(&channel.name, Rights::HISTORY)?;
        self.shared.check_limit(limit)?;
        let visible = self.shared.reach(caller, channel, self.shared.now()).visible();
        let channel = channel.clone();
        let read = self.shared.reads.run(move |store| {
            let mut page = store.changes(&channel, after, limit)?;
            if !visible.is_all() {
                let upto = hidden_upto(store, &channel, visible)?;
                let seq = store.floor_for(&channel, 0, upto)?.seq.max(history::above(store, &channel, visible)?);
                let hidden = Hidden { upto, seq };
                page.changes = page.changes.into_iter().filter_map(|change| hidden.cut(change)).collect();
            }
            leave_out_erased(store, &channel, &mut page.changes)?;
            Ok(page)
        });
        read.await
    }
}

/// Leaves out edits that an erasure hides. Blocks.
fn leave_out_erased(store: &dyn Store, channel: &Channel, changes: &mut Vec<Arc<Change>>) -> Result<()> {
    let mut begins: HashMap<Id, Id> = HashMap::new();
    for edit in changes.iter().filter_map(|change| edit_of(change)) {
        if let Entry::Vacant(begin) = begins.entry(edit.message) {
            let versions = store.versions(channel, edit.message)?;
            begin.insert(versions.get(first_shown(&versions)).map_or(Id::MIN, |version| version.at));
        }
    }
    changes.retain(|change| {
        let begins = edit_of(change).and_then(|edit| begins.get(&edit.message));
        begins.is_none_or(|begins| change.id() >= *begins)
    });
    Ok(())
}

fn edit_of(change: &Change) -> Option<&Edit> {
    match change {
        Change::Channel(ChannelChange { what: What::Edited(edit), .. }) => Some(edit),
        _ => None,
    }
}

impl Hidden {
    /// What is left of a change for who may not see this part.
    fn cut(self, change: Arc<Change>) -> Option<Arc<Change>> {
        let Change::Channel(ChannelChange { id, channel, number, what }) = &*change else { return Some(change) };
        let what = match what {
            What::Deleted(removal) if self.cuts(removal) => What::Deleted(self.rest(removal)?),
            What::Expired(removal) if self.cuts(removal) => What::Expired(self.rest(removal)?),
            What::Edited(edit) => return (edit.message > self.upto).then_some(change),
            What::Reacted(reaction) | What::Unreacted { was: reaction, .. } => {
                return (reaction.message > self.upto).then_some(change);
            }
            What::Floored(floor) => return (floor.id > self.upto).then_some(change),
            _ => return Some(change),
        };
        let change = ChannelChange { id: *id, channel: channel.clone(), number: *number, what };
        Some(Arc::new(Change::Channel(change)))
    }

    fn cuts(self, removal: &Removal) -> bool {
        removal.span.after < self.upto
    }

    /// What a removal took above the hidden part.
    fn rest(self, removal: &Removal) -> Option<Arc<Removal>> {
        let above = |range: &SeqRange| SeqRange { first: range.first.max(self.seq.next()), last: range.last };
        let seqs: Vec<SeqRange> = removal.seqs.iter().map(above).filter(|range| range.first <= range.last).collect();
        let ids = removal.ids.iter().copied().filter(|id| *id > self.upto).collect();
        let mut span = removal.span;
        span.after = span.after.max(self.upto);
        let rest = Removal { seqs, span, ids, by: removal.by.clone() };
        (!rest.seqs.is_empty() && !span.is_empty()).then(|| Arc::new(rest))
    }
}
