//! The only event. What the sequencer orders, a store applies, the fan-out announces and a dialect renders is a
//! [`Change`]. A new kind of happening is one variant, and the compiler lists who must decide.

use crate::{Channel, ChannelNumber, Id, Message, RecordKey, ShardId};
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

/// What can happen in a channel.
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
    /// A message that its publisher did not want stored: subscribers see it, history does not.
    Unstored(Arc<Message>),
    /// A small message that is never stored.
    Signal(Arc<Message>),
}

impl What {
    /// Whether a store keeps it.
    pub fn is_stored(&self) -> bool {
        match self {
            What::Published { .. } => true,
            What::Unstored(_) | What::Signal(_) => false,
        }
    }

    /// The message that it carries, if it carries one.
    pub fn message(&self) -> Option<&Arc<Message>> {
        match self {
            What::Published { message, .. } | What::Unstored(message) | What::Signal(message) => Some(message),
        }
    }

    fn cost(&self) -> usize {
        self.message().map_or(0, |message| message.cost())
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
