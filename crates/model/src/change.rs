//! The only event. What the sequencer orders, a store applies, the fan-out announces and a dialect renders is a
//! [`Change`]. A new kind of happening is one variant, and the compiler lists who must decide.

use crate::{Channel, ChannelNumber, Id, Message, Payload, Position, RecordKey, Seq, ShardId, Span, UserId};
use bytes::Bytes;
use std::sync::Arc;

/// Something that happened, with its place in the order. Resolved: applying or replaying it decides nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Something happened in a channel.
    Channel(ChannelChange),
    /// A small named value of an app was set or deleted.
    Record(RecordChange),
}

impl Change {
    /// Its place in the node's order.
    pub fn id(&self) -> Id {
        match self {
            Change::Channel(change) => change.id,
            Change::Record(change) => change.id,
        }
    }

    /// Whether a store keeps it; the others live in the recent ring only.
    pub fn is_stored(&self) -> bool {
        match self {
            Change::Channel(change) => change.what.is_stored(),
            Change::Record(_) => true,
        }
    }

    /// About how many bytes it takes in memory: what byte-bounded queues count.
    pub fn cost(&self) -> usize {
        match self {
            Change::Channel(change) => size_of::<Change>() + change.what.cost(),
            Change::Record(change) => {
                size_of::<Change>() + change.key.name.len() + change.value.as_ref().map_or(0, Bytes::len)
            }
        }
    }
}

/// Something that happened in a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelChange {
    /// Its place in the node's order.
    pub id: Id,
    /// Where.
    pub channel: Channel,
    /// The channel's number; [`ChannelNumber::NONE`] on live-only changes of a channel that has none.
    pub number: ChannelNumber,
    /// What.
    pub what: What,
}

/// What can happen in a channel. Stored changes other than [`What::Published`] are of channels that have a number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// A message was stored. `message.id` is the change's id and `message.seq` the channel's next.
    Published {
        /// The message.
        message: Arc<Message>,
        /// The publisher's key, by which a repetition is recognised.
        key: Option<IdempotencyKey>,
        /// The first stored change of its channel, which gives the channel its number.
        first: bool,
    },
    /// The content of a message was replaced, whole. The message keeps its place; the newest edit is what readers see,
    /// with its id in `edited_at`. Of a message that is not there any more it changes nothing.
    Edited(Arc<Edit>),
    /// Edits of a message were taken back, with their contents, as if they had never been made: the message shows what it
    /// showed without them. Of a message that is not there any more it changes nothing.
    Unedited(Arc<Unedit>),
    /// Somebody deleted messages. They take their edits and reactions with them.
    Deleted(Arc<Removal>),
    /// The time of messages was over: the change's id is at or above the `expires_at` of each. They take their edits and
    /// reactions with them.
    Expired(Arc<Removal>),
    /// Retention, or a deletion of everything so far, took all messages at or below a position, with their edits and
    /// reactions. The position is that of a message, above the floor before.
    Floored(Position),
    /// Somebody reacted to a message; the change's id is the reaction's. The same reaction does not stand yet (see
    /// [`crate::Store::reaction`]). The message need not exist; [`Id::MIN`] never names one.
    Reacted(Arc<Reaction>),
    /// A reaction was taken back that was not taken back before. Its message may be gone.
    Unreacted {
        /// The id of the reaction.
        reaction: Id,
        /// What it was.
        was: Arc<Reaction>,
    },
    /// A message that its publisher did not want stored: subscribers see it, history does not.
    Unstored(Arc<Message>),
    /// A small message that is never stored.
    Signal(Arc<Message>),
    /// Who is on the channel changed. Live only.
    Presence(Arc<Presence>),
}

impl What {
    /// Whether a store keeps it.
    pub fn is_stored(&self) -> bool {
        match self {
            What::Published { .. }
            | What::Edited(_)
            | What::Unedited(_)
            | What::Deleted(_)
            | What::Expired(_)
            | What::Floored(_)
            | What::Reacted(_)
            | What::Unreacted { .. } => true,
            What::Unstored(_) | What::Signal(_) | What::Presence(_) => false,
        }
    }

    /// The message that it carries, if it carries one.
    pub fn message(&self) -> Option<&Arc<Message>> {
        match self {
            What::Published { message, .. } | What::Unstored(message) | What::Signal(message) => Some(message),
            What::Edited(_)
            | What::Unedited(_)
            | What::Deleted(_)
            | What::Expired(_)
            | What::Floored(_)
            | What::Reacted(_)
            | What::Unreacted { .. }
            | What::Presence(_) => None,
        }
    }

    fn cost(&self) -> usize {
        match self {
            What::Published { message, .. } | What::Unstored(message) | What::Signal(message) => message.cost(),
            What::Edited(edit) => size_of::<Edit>() + edit.payload.bytes.len(),
            What::Unedited(unedit) => size_of::<Unedit>() + size_of_val(&unedit.edits[..]),
            What::Deleted(removal) | What::Expired(removal) => removal.cost(),
            What::Floored(_) => 0,
            What::Reacted(reaction) | What::Unreacted { was: reaction, .. } => reaction.cost(),
            What::Presence(presence) => presence.cost(),
        }
    }
}

/// A new content for a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edit {
    /// Which message.
    pub message: Id,
    /// Its seq.
    pub seq: Seq,
    /// Who edited it.
    pub editor: Option<UserId>,
    /// The whole new content.
    pub payload: Payload,
    /// The whole new extras.
    pub extras: Option<Bytes>,
}

/// Edits of one message that are taken back, resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unedit {
    /// Which message.
    pub message: Id,
    /// Its seq.
    pub seq: Seq,
    /// The ids of the edits, growing: each was made of this message and not taken back yet. At least one, at most
    /// [`crate::limits::UNEDITED`].
    pub edits: Vec<Id>,
    /// Who did it, if somebody did.
    pub by: Option<UserId>,
}

/// Messages that went, resolved: exactly those that were there and are not any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Removal {
    /// Their seqs: ranges that grow, do not touch (between two there is a seq that this change did not remove) and hold
    /// only seqs that this change removed; at most [`crate::limits::REMOVAL_RANGES`].
    pub seqs: Vec<SeqRange>,
    /// The ids that the removal covers: that of its first message less one, to that of its last. From [`Id::MIN`] to
    /// [`Id::MIN`] when nothing goes, which is an answer and never a stored change.
    pub span: Span,
    /// The ids of the messages one by one, when there are at most [`crate::limits::REMOVAL_IDS`]; else empty, and `span`
    /// with `seqs` tells.
    pub ids: Vec<Id>,
    /// Who did it, if somebody did.
    pub by: Option<UserId>,
}

impl Removal {
    /// The removal of messages that are known one by one, by growing seq; at most [`crate::limits::REMOVAL_IDS`].
    pub fn of(messages: &[Position], by: Option<UserId>) -> Removal {
        let seqs = SeqRange::runs(messages.iter().map(|message| message.seq));
        let id = |message: Option<&Position>| message.map_or(Id::MIN, |message| message.id);
        let span = Span { after: id(messages.first()).previous(), upto: id(messages.last()) };
        Removal { seqs, span, ids: messages.iter().map(|message| message.id).collect(), by }
    }

    /// How many messages went.
    pub fn count(&self) -> u64 {
        self.seqs.iter().map(|range| range.count()).sum()
    }

    fn cost(&self) -> usize {
        size_of::<Removal>() + size_of_val(&self.seqs[..]) + size_of_val(&self.ids[..])
    }
}

/// Seqs from `first` up to and with `last`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeqRange {
    /// The first one.
    pub first: Seq,
    /// The last one, not below the first.
    pub last: Seq,
}

impl SeqRange {
    /// These seqs, which grow, as ranges that do not touch.
    pub fn runs(seqs: impl IntoIterator<Item = Seq>) -> Vec<SeqRange> {
        let mut runs: Vec<SeqRange> = Vec::new();
        for seq in seqs {
            match runs.last_mut() {
                Some(run) if run.last.next() == seq => run.last = seq,
                _ => runs.push(SeqRange { first: seq, last: seq }),
            }
        }
        runs
    }

    /// How many seqs it holds.
    pub fn count(self) -> u64 {
        self.last.above(self.first) + 1
    }

    /// Whether the seq is one of them.
    pub fn contains(self, seq: Seq) -> bool {
        self.first <= seq && seq <= self.last
    }
}

/// Somebody's reaction to a message: one per user, message, kind and value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reaction {
    /// To which message. It goes with its message.
    pub message: Id,
    /// Whose.
    pub user: UserId,
    /// The application's kind of reaction: "reaction", "receipt"….
    pub kind: Arc<str>,
    /// Its value: "smile", "read"….
    pub value: Arc<str>,
}

impl Reaction {
    fn cost(&self) -> usize {
        size_of::<Reaction>() + self.kind.len() + self.value.len()
    }
}

/// A change of who is on a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Presence {
    /// What happened.
    pub event: PresenceEvent,
    /// How many users are on the channel after it.
    pub occupancy: u64,
}

impl Presence {
    fn cost(&self) -> usize {
        let detail = match &self.event {
            PresenceEvent::Joined { state, data, .. }
            | PresenceEvent::Left { state, data, .. }
            | PresenceEvent::TimedOut { state, data, .. } => {
                state.as_ref().map_or(0, Bytes::len) + data.as_ref().map_or(0, Bytes::len)
            }
            PresenceEvent::StateChanged { state, .. } => state.as_ref().map_or(0, Bytes::len),
            PresenceEvent::Interval { joined, left, timed_out } => {
                size_of::<UserId>() * (joined.len() + left.len() + timed_out.len())
            }
        };
        size_of::<Presence>() + detail
    }
}

/// What happened to who is on a channel. `state` is the JSON text that the user set for the channel; `data` is what the
/// dialect keeps with a connection, opaque to all others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PresenceEvent {
    /// A user came.
    Joined {
        /// Who.
        user: UserId,
        /// The state at that moment.
        state: Option<Bytes>,
        /// What the dialect kept with the connection.
        data: Option<Bytes>,
    },
    /// A user went.
    Left {
        /// Who.
        user: UserId,
        /// The last state.
        state: Option<Bytes>,
        /// What the dialect kept with the connection.
        data: Option<Bytes>,
    },
    /// A user was not heard of in time.
    TimedOut {
        /// Who.
        user: UserId,
        /// The last state.
        state: Option<Bytes>,
        /// What the dialect kept with the connection.
        data: Option<Bytes>,
    },
    /// A user set a state.
    StateChanged {
        /// Who.
        user: UserId,
        /// The new state.
        state: Option<Bytes>,
    },
    /// Many came and went since the last interval; above a size only these are announced. Each user is in one list, by
    /// what it did last: who came and went has gone, since a reader may have asked in between. So a reader may be told of
    /// the going of somebody whose coming it was not told, and the other way round. The lists are bounded; when they
    /// would be longer they are empty, and a reader asks who is there.
    Interval {
        /// Who came.
        joined: Vec<UserId>,
        /// Who went.
        left: Vec<UserId>,
        /// Who was not heard of in time.
        timed_out: Vec<UserId>,
    },
}

impl PresenceEvent {
    /// Whom it is about; none for an interval.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            PresenceEvent::Joined { user, .. }
            | PresenceEvent::Left { user, .. }
            | PresenceEvent::TimedOut { user, .. }
            | PresenceEvent::StateChanged { user, .. } => Some(user),
            PresenceEvent::Interval { .. } => None,
        }
    }
}

/// A publisher's key, hashed, with a hash of what was published under it. The store remembers it for the UTC day of
/// the message's id and the day after.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IdempotencyKey {
    /// Hash of the key. The channel is part of the look-up, not of the hash.
    pub key_hash: u128,
    /// Hash of the payload and author: the same key with another one is a conflict.
    pub payload_hash: u64,
}

/// A small named value was set (`Some`) or deleted (`None`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordChange {
    /// Its place in the node's order; also the record's new version.
    pub id: Id,
    /// Which record.
    pub key: RecordKey,
    /// Its new value.
    pub value: Option<Bytes>,
}

/// What the sequencer hands to a store at once, and the unit of durability: all of it happened, or none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// The shard that it belongs to.
    pub shard: ShardId,
    /// The owner's epoch.
    pub epoch: u64,
    /// 1, 2, 3… per shard, without a gap; never given to other content.
    pub number: u64,
    /// A tick that no id, frontier or cursor passes before a later record is durable (`store.md` §3).
    pub reserved: u64,
    /// Stored changes only, by strictly growing id. May be empty: then only `reserved` is renewed.
    pub changes: Vec<Arc<Change>>,
}
