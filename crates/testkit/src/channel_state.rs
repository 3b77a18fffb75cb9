//! A channel by everything that happened in it: what the oracle answers from, and what judges hold answers against.
//! Changes are folded one by one into vectors and maps; every answer is found by looking through all of them.

use model::{
    AtHand, Change, ChangesPage, ChannelChange, Edit, Error, ErrorKind, Head, Id, IdempotencyKey, Message, Order, Page,
    Position, Reaction, ReactionAt, ReactionEntry, Removal, RemovedCount, Result, Seq, SeqRange, Span, Target, Unedit,
    Version, What, Window, limits,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What a channel has been through.
#[derive(Clone, Default, Debug)]
pub struct ChannelState {
    head: Head,
    /// Seq n is at index n - 1.
    messages: Vec<Stored>,
    /// Those made and not taken back, whether or not their messages are there.
    reactions: BTreeMap<Id, Arc<Reaction>>,
    /// All but the publishes.
    changes: Vec<Arc<Change>>,
    /// A store need not tell the changes up to here any more: there was an erasure.
    changes_after: Id,
    newest: Id,
}

/// A message and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// As readers see it: with its newest content.
    pub message: Arc<Message>,
    published: Arc<Message>,
    edits: Vec<Version>,
    pub key: Option<IdempotencyKey>,
    pub removed: Option<Removed>,
}

impl Stored {
    /// Whether it was edited by this change, and that was not taken back.
    pub fn has_edit(&self, edit: Id) -> bool {
        self.edits.iter().any(|version| version.at == edit)
    }
}

/// Why a message went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Removed {
    Deleted,
    Expired,
}

impl ChannelState {
    /// A channel in which these were published, and nothing else happened.
    pub fn of(messages: &[Arc<Message>]) -> ChannelState {
        let mut state = ChannelState::default();
        messages.iter().for_each(|message| state.publish(message, None));
        state
    }

    /// A channel of which nothing but the head is known: enough to publish in it.
    pub(crate) fn with_head(head: Head) -> ChannelState {
        ChannelState { head, ..ChannelState::default() }
    }

    /// One thing more happens.
    pub(crate) fn apply(&mut self, happening: &Arc<Change>) {
        let Change::Channel(change) = &**happening else { return };
        let ChannelChange { id, number, what, .. } = change;
        match what {
            What::Published { message, key, first: _ } => self.publish(message, *key),
            What::Edited(edit) => self.edit(*id, edit),
            What::Unedited(unedit) => self.unedit(unedit),
            What::Deleted(removal) => self.remove(removal, Removed::Deleted),
            What::Expired(removal) => self.remove(removal, Removed::Expired),
            What::Floored(floor) => self.head.floor = *floor,
            What::Reacted(reaction) => drop(self.reactions.insert(*id, reaction.clone())),
            What::Unreacted { reaction, was: _ } => drop(self.reactions.remove(reaction)),
            What::Unstored(_) | What::Signal(_) | What::Presence(_) => return,
        }
        if !matches!(what, What::Published { .. }) {
            self.changes.push(happening.clone());
        }
        self.head.number = *number;
        self.newest = *id;
    }

    fn publish(&mut self, message: &Arc<Message>, key: Option<IdempotencyKey>) {
        let (message, published) = (message.clone(), message.clone());
        self.head.last = Position { id: message.id, seq: message.seq };
        self.messages.push(Stored { message, published, edits: Vec::new(), key, removed: None });
    }

    fn edit(&mut self, id: Id, edit: &Edit) {
        let Some(stored) = self.at_mut(edit.seq) else { return };
        let Edit { editor, payload, extras, .. } = edit.clone();
        let message = Arc::make_mut(&mut stored.message);
        (message.payload, message.extras, message.edited_at) = (payload.clone(), extras.clone(), Some(id));
        stored.edits.push(Version { at: id, by: editor, payload, extras });
    }

    fn unedit(&mut self, unedit: &Unedit) {
        let Some(stored) = self.at_mut(unedit.seq) else { return };
        stored.edits.retain(|version| !unedit.edits.contains(&version.at));
        let mut message = Message::clone(&stored.published);
        if let Some(newest) = stored.edits.last().cloned() {
            let Version { at, payload, extras, .. } = newest;
            (message.payload, message.extras, message.edited_at) = (payload, extras, Some(at));
        }
        stored.message = Arc::new(message);
    }

    /// The change feed may have been dropped up to here.
    pub(crate) fn may_forget_changes(&mut self, upto: Id) {
        self.changes_after = upto;
    }

    /// Up to where the change feed may have been dropped.
    pub(crate) fn changes_after(&self) -> Id {
        self.changes_after
    }

    fn remove(&mut self, removal: &Removal, why: Removed) {
        for seq in removal.seqs.iter().flat_map(|range| range.first.0..=range.last.0) {
            if let Some(stored) = self.at_mut(Seq(seq)) {
                stored.removed = Some(why);
            }
        }
    }

    fn at_mut(&mut self, seq: Seq) -> Option<&mut Stored> {
        self.messages.get_mut(index_of(seq)?)
    }

    /// How far it goes.
    pub fn head(&self) -> Head {
        self.head
    }

    /// The id of its newest stored change of any sort.
    pub fn newest(&self) -> Id {
        self.newest
    }

    /// Everything that was ever stored, past every removal and floor, by growing id, with its newest content.
    pub fn messages(&self) -> impl DoubleEndedIterator<Item = &Arc<Message>> + Clone {
        self.messages.iter().map(|stored| &stored.message)
    }

    /// What is there, due or not.
    pub fn there(&self) -> impl DoubleEndedIterator<Item = &Arc<Message>> {
        self.messages.iter().filter(|stored| self.is_there(stored)).map(|stored| &stored.message)
    }

    /// The message with this id, if one was ever stored.
    pub(crate) fn stored(&self, id: Id) -> Option<&Stored> {
        let at = self.messages.binary_search_by_key(&id, |stored| stored.message.id).ok()?;
        self.messages.get(at)
    }

    /// The message with this seq, if one was ever stored.
    pub(crate) fn at(&self, seq: Seq) -> Option<&Stored> {
        self.messages.get(index_of(seq)?)
    }

    pub(crate) fn is_there(&self, stored: &Stored) -> bool {
        stored.removed.is_none() && stored.message.seq > self.head.floor.seq
    }

    /// The messages that were edited, there or not, each with its edits that were not taken back.
    pub(crate) fn edited(&self) -> impl Iterator<Item = (&Arc<Message>, Vec<Id>)> {
        let edits = |stored: &Stored| stored.edits.iter().map(|version| version.at).collect::<Vec<Id>>();
        self.messages.iter().map(move |stored| (&stored.message, edits(stored))).filter(|(_, edits)| !edits.is_empty())
    }

    /// A reaction that was made and not taken back, whether or not its message is there.
    pub(crate) fn made(&self, reaction: Id) -> Option<&Arc<Reaction>> {
        self.reactions.get(&reaction)
    }

    /// All of these, by growing id.
    pub(crate) fn all_made(&self) -> impl Iterator<Item = (&Id, &Arc<Reaction>)> {
        self.reactions.iter()
    }

    /// What a window shows, past every bound of size.
    pub fn fitting(&self, window: &Window) -> impl DoubleEndedIterator<Item = &Arc<Message>> {
        self.there().filter(move |message| fits(message, window))
    }

    /// What pages say about the rest: of `span`, above the floor and this seq.
    pub fn removed(&self, span: Span, above: Seq, now: Id) -> RemovedCount {
        let mut count = RemovedCount::default();
        for stored in &self.messages {
            let Stored { message, removed, .. } = stored;
            if span.contains(message.id) && message.seq > above && message.seq > self.head.floor.seq {
                match removed {
                    Some(Removed::Deleted) => count.deleted += 1,
                    Some(Removed::Expired) => count.expired += 1,
                    None if message.is_expired(now) => count.expired += 1,
                    None => {}
                }
            }
        }
        count
    }

    pub(crate) fn page(&self, window: &Window) -> Page {
        let mut messages: Vec<_> = self.fitting(window).cloned().collect();
        if window.order == Order::Descending {
            messages.reverse();
        }
        let room = page_room(&messages, window.limit);
        let more = messages.len() > room;
        messages.truncate(room);
        let covered = if more { covered_up_to(messages.last(), window) } else { window.span };
        if window.order == Order::Descending {
            messages.reverse();
        }
        Page {
            next_expiry: messages.iter().filter_map(|message| message.expires_at).min(),
            messages,
            covered,
            more,
            removed: self.removed(covered, window.above, window.now),
            floor: self.head.floor,
            head: self.head.last,
        }
    }

    pub(crate) fn count(&self, span: Span, above: Seq, now: Id) -> u64 {
        let counts = |m: &&Arc<Message>| span.contains(m.id) && m.seq > above && !m.is_expired(now);
        self.there().filter(counts).count() as u64
    }

    pub(crate) fn removable(&self, target: &Target, now: Id) -> Result<Removal> {
        let named: BTreeSet<Id> = match target {
            Target::Span(_) => BTreeSet::new(),
            Target::Ids(ids) => ids.iter().copied().collect(),
        };
        let wanted = |id: Id| match target {
            Target::Span(span) => span.contains(id),
            Target::Ids(_) => named.contains(&id),
        };
        let taken: Vec<_> = self.there().filter(|m| wanted(m.id) && !m.is_expired(now)).cloned().collect();
        let removal = removal_of(&taken);
        match removal.seqs.len() {
            ranges if ranges > limits::REMOVAL_RANGES => {
                Err(Error::new(ErrorKind::TooLarge, format!("{ranges} ranges of messages at once")))
            }
            _ => Ok(removal),
        }
    }

    pub(crate) fn floor_for(&self, keep: u64, upto: Id) -> Position {
        let below = self.there().rev().skip(usize::try_from(keep).unwrap_or(usize::MAX));
        let found = below.into_iter().find(|message| message.id <= upto);
        found.map_or(Position::NONE, |message| Position { id: message.id, seq: message.seq })
    }

    pub(crate) fn versions(&self, message: Id) -> Vec<Version> {
        let Some(stored) = self.stored(message).filter(|stored| self.is_there(stored)) else { return Vec::new() };
        let Message { id, author, payload, extras, .. } = (*stored.published).clone();
        let first = Version { at: id, by: author, payload, extras };
        [first].into_iter().chain(stored.edits.iter().cloned()).collect()
    }

    pub(crate) fn reactions(&self, messages: Span, after: Option<ReactionAt>, limit: u32) -> Vec<ReactionEntry> {
        let mut entries: Vec<_> = self.standing().filter(|entry| messages.contains(entry.reaction.message)).collect();
        let at = |entry: &ReactionEntry| ReactionAt { message: entry.reaction.message, reaction: entry.id };
        entries.retain(|entry| after.is_none_or(|after| at(entry) > after));
        entries.retain(|entry| self.stored(entry.reaction.message).is_some());
        entries.sort_by_key(|entry| (entry.reaction.message, entry.id));
        entries.truncate(limit as usize);
        entries
    }

    pub(crate) fn reactions_made(&self, span: Span, order: Order, limit: u32) -> Vec<ReactionEntry> {
        let mut entries: Vec<_> = self.standing().filter(|entry| span.contains(entry.id)).collect();
        let too_many = entries.len().saturating_sub(limit as usize);
        match order {
            Order::Ascending => entries.truncate(limit as usize),
            Order::Descending => drop(entries.drain(..too_many)),
        }
        entries
    }

    pub(crate) fn reaction(&self, reaction: &Reaction) -> Option<Id> {
        self.standing().find(|entry| *entry.reaction == *reaction).map(|entry| entry.id)
    }

    /// Reactions that readers see, by growing id.
    fn standing(&self) -> impl Iterator<Item = ReactionEntry> {
        let stands = |reaction: &Reaction| {
            let goes_with_it = self.stored(reaction.message).is_some_and(|stored| !self.is_there(stored));
            reaction.message > self.head.floor.id && !goes_with_it
        };
        let standing = self.reactions.iter().filter(move |(_, reaction)| stands(reaction));
        standing.map(|(&id, reaction)| ReactionEntry { id, reaction: reaction.clone() })
    }

    /// What the change feed tells after this position.
    pub fn told(&self, after: Id) -> impl Iterator<Item = &Arc<Change>> {
        self.changes.iter().filter(move |change| {
            let Change::Channel(ChannelChange { id, what, .. }) = &***change else { return false };
            let gone = match what {
                What::Edited(edit) => {
                    self.stored(edit.message).is_none_or(|stored| !self.is_there(stored) || !stored.has_edit(*id))
                }
                _ => false,
            };
            *id > after && !gone
        })
    }

    pub(crate) fn changes(&self, after: Id, limit: u32, starts_after: Id) -> ChangesPage {
        let mut changes: Vec<_> = self.told(after.max(starts_after)).cloned().collect();
        let more = changes.len() > limit as usize;
        changes.truncate(limit as usize);
        let last = changes.last().map_or(after, |last| last.id());
        ChangesPage { changes, examined: if more { last } else { after.max(self.newest) }, more, starts_after }
    }

    /// Messages that are due at `now` and still there: when each was, and where it is.
    pub fn due(&self, now: Id) -> impl Iterator<Item = (Id, Position)> {
        let due = self.there().filter_map(|message| Some((message.expires_at?, message)));
        due.filter(move |(due, _)| *due <= now)
            .map(|(due, message)| (due, Position { id: message.id, seq: message.seq }))
    }

    /// What is at hand of a message, if it is there.
    pub fn at_hand(&self, message: Id, reaction: Option<&Reaction>) -> Option<AtHand> {
        let found = self.there().find(|found| found.id == message)?;
        let of_message = Span { after: message.previous(), upto: message };
        let (reaction, reactions) = match reaction {
            Some(reaction) => (self.reaction(reaction), self.reactions(of_message, None, u32::MAX).len() as u64),
            None => (None, 0),
        };
        Some(AtHand {
            number: self.head.number,
            last: self.head.last,
            seq: found.seq,
            author: found.author.clone(),
            expires_at: found.expires_at,
            reaction,
            reactions,
        })
    }

    pub(crate) fn keys(&self) -> impl DoubleEndedIterator<Item = (&Arc<Message>, IdempotencyKey)> {
        self.messages.iter().filter_map(|stored| Some((&stored.message, stored.key?)))
    }
}

fn index_of(seq: Seq) -> Option<usize> {
    usize::try_from(seq.0.checked_sub(1)?).ok()
}

/// The removal of exactly these messages, by growing seq, by nobody.
pub fn removal_of(messages: &[Arc<Message>]) -> Removal {
    let mut seqs: Vec<SeqRange> = Vec::new();
    for message in messages {
        match seqs.last_mut() {
            Some(range) if range.last.next() == message.seq => range.last = message.seq,
            _ => seqs.push(SeqRange { first: message.seq, last: message.seq }),
        }
    }
    let span = match messages {
        [] => Span { after: Id::MIN, upto: Id::MIN },
        [first, ..] => Span { after: first.id.previous(), upto: messages.last().unwrap_or(first).id },
    };
    let few = messages.len() <= limits::REMOVAL_IDS;
    let ids = messages.iter().filter(|_| few).map(|message| message.id).collect();
    Removal { seqs, span, ids, by: None }
}

fn fits(message: &Message, window: &Window) -> bool {
    window.span.contains(message.id)
        && message.seq > window.above
        && !message.is_expired(window.now)
        && window.author.as_ref().is_none_or(|wanted| message.author.as_ref().is_some_and(|user| wanted.is(user)))
        && window.custom_type.as_ref().is_none_or(|wanted| message.custom_type.as_ref() == Some(wanted))
}

/// How many of these a page takes: the limit, the bound of messages, and the bytes up to the message that crosses
/// their bound.
fn page_room(fitting: &[Arc<Message>], limit: u32) -> usize {
    let most = limit.min(limits::PAGE_MESSAGES) as usize;
    let mut bytes = 0;
    let within_bytes = fitting.iter().take_while(|message| {
        let open = bytes < limits::PAGE_BYTES;
        bytes += message.payload.bytes.len();
        open
    });
    within_bytes.take(most).count()
}

/// What a page covers that had to stop at `last`; nothing, at its starting end, when it could not even start.
fn covered_up_to(last: Option<&Arc<Message>>, window: &Window) -> Span {
    let Span { after, upto } = window.span;
    match window.order {
        Order::Ascending => Span { after, upto: last.map_or(after, |last| last.id) },
        Order::Descending => Span { after: last.map_or(upto, |last| last.id.previous()), upto },
    }
}
