//! What is asked of history, and what it answers: spans, windows, pages, heads, the feed.

use crate::{Author, Change, Channel, ChannelNumber, Id, Message, Payload, Position, Reaction, RecordKey, Seq, UserId};
use bytes::Bytes;
use std::sync::Arc;

/// A stretch of ids: those greater than `after`, up to and with `upto`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Exclusive lower bound.
    pub after: Id,
    /// Inclusive upper bound.
    pub upto: Id,
}

impl Span {
    /// Everything.
    pub const ALL: Span = Span { after: Id::MIN, upto: Id::MAX };

    /// Whether no id can lie inside.
    pub fn is_empty(self) -> bool {
        self.after >= self.upto
    }

    /// Whether the id lies inside.
    pub fn contains(self, id: Id) -> bool {
        self.after < id && id <= self.upto
    }

    /// What lies in both.
    pub fn intersection(self, other: Span) -> Span {
        Span { after: self.after.max(other.after), upto: self.upto.min(other.upto) }
    }
}

/// From which end of a span a window takes its messages.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Order {
    /// The oldest ones of the span.
    Ascending,
    /// The newest ones of the span.
    Descending,
}

/// A question to history: up to `limit` messages of `span`, taken from the end that `order` names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    /// Where to look.
    pub span: Span,
    /// From which end.
    pub order: Order,
    /// How many at most; 0 is answered by an empty page with its borders.
    pub limit: u32,
    /// Only messages with a greater seq: how retention by count and a caller's right to the newest n cut. A bound of the
    /// seek like `span`, never a filter after reading; [`Seq::NONE`] for no bound.
    pub above: Seq,
    /// Only messages of these authors.
    pub author: Option<Author>,
    /// Only messages of this custom type.
    pub custom_type: Option<Arc<str>>,
    /// Hide what is due at this position: what reads as "now".
    pub now: Id,
}

/// The answer to a [`Window`]: messages, and what the page can say about itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// By growing id, whatever the order of the window was.
    pub messages: Vec<Arc<Message>>,
    /// What was looked through: every message of `covered` that fits the window is in the page. It is the whole span
    /// of the window unless `more`; then it ends, on the side that the order moves to, at the last position examined.
    pub covered: Span,
    /// The budget (limit, bytes, work) ended before the last message of the span: there is something left beyond
    /// `covered` (a limit of 0 need not look). What is left is above the floor and the window's seq bound; it may be that
    /// all of it is removed, or does not fit: the next page tells.
    pub more: bool,
    /// How many messages once stood in `covered` and do not any more, of those above the floor and the window's seq bound,
    /// whatever its filters; what is hidden because it is due counts as expired until somebody deletes it. What went with
    /// the floor is not counted: `floor` tells.
    pub removed: RemovedCount,
    /// Nothing at or below this position exists any more, by retention or a deletion of everything up to it.
    pub floor: Position,
    /// The newest position of the channel that was ever stored.
    pub head: Position,
    /// The earliest moment at which a message of the page is due to be hidden.
    pub next_expiry: Option<Id>,
}

/// How many messages are missing, and why.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RemovedCount {
    /// Deleted by somebody.
    pub deleted: u64,
    /// Their time was over.
    pub expired: u64,
}

/// What the sequencer must know of a channel before it orders a change of it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Head {
    /// The channel's number; none if nothing was ever stored in it.
    pub number: ChannelNumber,
    /// The newest position that was ever stored; seqs go on above it.
    pub last: Position,
    /// What retention or a deletion took from below.
    pub floor: Position,
}

/// A small named value, as read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its address.
    pub key: RecordKey,
    /// The id of the change that set it.
    pub version: Id,
    /// Its value.
    pub value: Bytes,
}

/// A channel in a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelEntry {
    /// Which.
    pub channel: Channel,
    /// How far it goes.
    pub head: Head,
}

/// Part of the feed: what was stored, over all channels, in the node's order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FeedPage {
    /// By growing id.
    pub items: Vec<FeedItem>,
    /// The feed was looked through up to here (inclusive): to the end of the span unless `more`.
    pub examined: Id,
    /// More was there when the budget ended.
    pub more: bool,
    /// The feed's own beginning (exclusive). Above the lower bound of the span, the feed does not reach back to where the
    /// caller wanted to start.
    pub starts_after: Id,
}

/// A stored change in short.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FeedItem {
    /// Its id.
    pub id: Id,
    /// Where it happened; none for records.
    pub channel: Option<Channel>,
    /// What sort of change.
    pub kind: FeedKind,
}

/// What sort of change a [`FeedItem`] tells of. Stored as a number; numbers are never reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum FeedKind {
    /// A message was stored.
    Published = 1,
    /// A record was set or deleted.
    Record = 2,
    /// A message was edited.
    Edited = 3,
    /// Messages were deleted.
    Deleted = 4,
    /// Messages expired.
    Expired = 5,
    /// The floor of a channel rose.
    Floored = 6,
    /// A reaction came.
    Reacted = 7,
    /// A reaction went.
    Unreacted = 8,
    /// Edits were taken back.
    Unedited = 9,
}

impl FeedKind {
    /// The kind with this stored number.
    pub fn from_number(number: u8) -> Option<FeedKind> {
        Some(match number {
            1 => FeedKind::Published,
            2 => FeedKind::Record,
            3 => FeedKind::Edited,
            4 => FeedKind::Deleted,
            5 => FeedKind::Expired,
            6 => FeedKind::Floored,
            7 => FeedKind::Reacted,
            8 => FeedKind::Unreacted,
            9 => FeedKind::Unedited,
            _ => return None,
        })
    }
}

/// What is to be removed from a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// Every message of a span; none of one that is empty.
    Span(Span),
    /// These messages, in any order; ids that name none, or one again, are passed over.
    Ids(Vec<Id>),
}

/// One content that a message has had.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Version {
    /// The id of the message for the first one, of the edit for the others.
    pub at: Id,
    /// Who wrote it.
    pub by: Option<UserId>,
    /// The content.
    pub payload: Payload,
    /// Its extras.
    pub extras: Option<Bytes>,
}

/// A reaction that stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReactionEntry {
    /// Its id, by which it can be taken back.
    pub id: Id,
    /// What it is.
    pub reaction: Arc<Reaction>,
}

/// A place in the list of reactions by message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ReactionAt {
    /// The message.
    pub message: Id,
    /// The reaction to it.
    pub reaction: Id,
}

/// Part of a channel's change feed: edits, removals, floors and reactions in one order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangesPage {
    /// By growing id.
    pub changes: Vec<Arc<Change>>,
    /// The feed was looked through up to here (inclusive), and the next page goes on from here: with `more`, at least to
    /// the last change given; else at least to the newest stored change of the channel, at most to that of the shard, and
    /// never below the position asked for.
    pub examined: Id,
    /// More was there when the budget ended.
    pub more: bool,
    /// The feed's own beginning (exclusive): a store may drop old days, never the day of the newest change; and an erasure
    /// ([`crate::Store::erase`]) drops what was told of the channel before. Above the
    /// position asked for, the feed does not reach back to it: read the channel again, then go on from `examined`.
    pub starts_after: Id,
}

/// Messages of one channel that are due to expire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    /// Where.
    pub channel: Channel,
    /// Which: the seqs and ids, by growing seq; at least one.
    pub messages: Vec<Position>,
}
