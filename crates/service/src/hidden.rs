//! What is hidden of the changes of a channel: what happened to messages that the caller's window hides, or that the
//! channel does not keep. The change feed and subscriptions are cut by the same rule.

use crate::{access::Visible, past::read, removal::hidden_upto};
use model::{Change, Channel, ChannelChange, Id, Removal, Result, Seq, SeqRange, Span, Store, What};
use std::sync::Arc;

/// The part of a channel that is hidden: everything up to this position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hidden {
    pub upto: Id,
    pub seq: Seq,
}

/// The ids of the messages that a change is about: above the first one, up to and with the second.
pub(crate) fn reach_of(what: &What) -> Option<(Id, Id)> {
    match what {
        What::Deleted(removal) | What::Expired(removal) => Some((removal.span.after, removal.span.upto)),
        what => message_of(what).map(|message| (message.previous(), message)),
    }
}

/// The message that a change is about, if it is about one: for a floor, the newest that it took.
fn message_of(what: &What) -> Option<Id> {
    match what {
        What::Published { message, .. } => Some(message.id),
        What::Edited(edit) => Some(edit.message),
        What::Unedited(unedit) => Some(unedit.message),
        What::Floored(floor) => Some(floor.id),
        What::Reacted(reaction) | What::Unreacted { was: reaction, .. } => Some(reaction.message),
        What::Deleted(_) | What::Expired(_) | What::Unstored(_) | What::Signal(_) | What::Presence(_) => None,
    }
}

/// The seq of the newest message that was ever stored at or below a position, whatever became of it: counted back from the
/// first one above it that is there. Blocks.
fn seq_at(store: &dyn Store, channel: &Channel, position: Id) -> Result<Seq> {
    let mut span = Span { after: position, upto: Id::MAX };
    let mut above = 0;
    loop {
        let page = read(store, channel, span, 1, Seq::NONE, Id::MIN)?;
        above += page.messages.len() as u64 + page.removed.deleted + page.removed.expired;
        let end = match page.messages.first() {
            _ if !page.more => page.head.seq,
            Some(first) => first.seq,
            None => {
                span.after = page.covered.upto;
                continue;
            }
        };
        return Ok(end.minus(above));
    }
}

impl Hidden {
    /// What is hidden where only this is visible. Blocks.
    pub fn of(store: &dyn Store, channel: &Channel, visible: Visible) -> Result<Hidden> {
        Hidden::upto(store, channel, visible, Id::MAX)
    }

    /// The same, but nothing above `most`: what came later was seen already. Blocks.
    pub fn upto(store: &dyn Store, channel: &Channel, visible: Visible, most: Id) -> Result<Hidden> {
        let upto = hidden_upto(store, channel, visible)?.min(most);
        Ok(Hidden { upto, seq: seq_at(store, channel, upto)? })
    }

    /// What is left of a change for who may not see this part.
    pub fn cut(self, change: Arc<Change>) -> Option<Arc<Change>> {
        let Change::Channel(ChannelChange { id, channel, number, what }) = &*change else { return Some(change) };
        let what = match what {
            What::Deleted(removal) if self.cuts(removal) => What::Deleted(self.rest(removal)?),
            What::Expired(removal) if self.cuts(removal) => What::Expired(self.rest(removal)?),
            what => return message_of(what).is_none_or(|message| message > self.upto).then_some(change),
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
