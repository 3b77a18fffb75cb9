//! Makes batches as a sequencer would: ids and seqs that grow, numbers at the first message, no decision to take.

use crate::Fields;
use bytes::Bytes;
use model::{
    Batch, Change, Channel, ChannelChange, ChannelNumber, Edit, Id, Kind, Message, Payload, PayloadForm, Position,
    Reaction, RecordChange, RecordKey, Removal, Seq, Settled, ShardId, TICKS_PER_SECOND, Unedit, What,
};
use std::{collections::BTreeMap, sync::Arc};

/// Builds one valid batch after another for one shard. A clone is a way back: take it before a batch that may get lost.
#[derive(Clone)]
pub struct BatchBuilder {
    shard: ShardId,
    epoch: u64,
    last_batch: u64,
    ticks: u64,
    last_number: ChannelNumber,
    channels: BTreeMap<Channel, (ChannelNumber, Seq)>,
    changes: Vec<Arc<Change>>,
}

/// The tick of the first id that a fresh builder gives out: noon of a UTC day in 2025.
pub const FIRST_TICK: u64 = (20_089 * 86_400 + 43_200) * TICKS_PER_SECOND;

impl BatchBuilder {
    /// For an empty store.
    pub fn new() -> BatchBuilder {
        BatchBuilder {
            shard: ShardId(0),
            epoch: 1,
            last_batch: 0,
            ticks: FIRST_TICK,
            last_number: ChannelNumber::NONE,
            channels: BTreeMap::new(),
            changes: Vec::new(),
        }
    }

    /// The shard that the batches belong to.
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// The epoch that the batches carry.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The batches from now on are those of a new owner, who goes on above what it found.
    pub fn take_over(&mut self, settled: Settled) {
        self.epoch += 1;
        self.ticks = self.ticks.max(settled.reserved + 1);
    }

    /// Forgets what was built since `way_back` was cloned from this one, but never draws its ids again.
    pub fn go_back(&mut self, way_back: BatchBuilder) {
        *self = BatchBuilder { ticks: self.ticks, ..way_back };
    }

    /// The id that the next change gets.
    pub fn next_id(&self) -> Id {
        Id::new(self.ticks, 0)
    }

    /// The next change happens this much later.
    pub fn pass_ticks(&mut self, ticks: u64) {
        self.ticks += ticks;
    }

    /// Adds a plain message with this text.
    pub fn publish(&mut self, channel: &Channel, text: &str) -> Arc<Message> {
        self.publish_with(channel, text, Fields::default())
    }

    /// Adds a message with more than a text.
    pub fn publish_with(&mut self, channel: &Channel, text: &str, fields: Fields) -> Arc<Message> {
        let id = self.draw_id();
        let first = !self.channels.contains_key(channel);
        if first {
            self.last_number.0 += 1;
        }
        let (number, seq) = self.channels.entry(channel.clone()).or_insert((self.last_number, Seq::START));
        *seq = seq.next();
        let message = Arc::new(Message {
            id,
            seq: *seq,
            author: fields.author,
            recipient: fields.recipient,
            payload: Payload { form: PayloadForm::Text, bytes: Bytes::copy_from_slice(text.as_bytes()) },
            kind: Kind::Message,
            custom_type: fields.custom_type,
            extras: fields.extras,
            edited_at: None,
            expires_at: fields.expires_at,
        });
        let what = What::Published { message: message.clone(), key: fields.key, first };
        let change = ChannelChange { id, channel: channel.clone(), number: *number, what };
        self.changes.push(Arc::new(Change::Channel(change)));
        message
    }

    /// Replaces the content of a message by this text, without extras; answers the edit's id.
    pub fn edit(&mut self, channel: &Channel, message: &Message, text: &str) -> Id {
        let payload = Payload { form: PayloadForm::Text, bytes: Bytes::copy_from_slice(text.as_bytes()) };
        self.edit_with(
            channel,
            Edit { message: message.id, seq: message.seq, editor: message.author.clone(), payload, extras: None },
        )
    }

    /// Adds an edit; answers its id.
    pub fn edit_with(&mut self, channel: &Channel, edit: Edit) -> Id {
        self.happen(channel, What::Edited(Arc::new(edit)))
    }

    /// Takes edits of a message back; answers the change's id.
    pub fn unedit(&mut self, channel: &Channel, message: &Message, edits: &[Id]) -> Id {
        let unedit = Unedit { message: message.id, seq: message.seq, edits: edits.to_vec(), by: None };
        self.happen(channel, What::Unedited(Arc::new(unedit)))
    }

    /// Deletes messages that are there (see [`crate::removal_of`]); answers the change's id.
    pub fn delete(&mut self, channel: &Channel, removal: Removal) -> Id {
        self.happen(channel, What::Deleted(Arc::new(removal)))
    }

    /// Expires messages that are there and due; answers the change's id.
    pub fn expire(&mut self, channel: &Channel, removal: Removal) -> Id {
        self.happen(channel, What::Expired(Arc::new(removal)))
    }

    /// Takes everything at or below this message; answers the change's id.
    pub fn floor(&mut self, channel: &Channel, floor: Position) -> Id {
        self.happen(channel, What::Floored(floor))
    }

    /// Adds a reaction that does not stand yet; answers its id.
    pub fn react(&mut self, channel: &Channel, reaction: &Reaction) -> Id {
        self.happen(channel, What::Reacted(Arc::new(reaction.clone())))
    }

    /// Takes a reaction back; answers the change's id.
    pub fn unreact(&mut self, channel: &Channel, id: Id, was: &Reaction) -> Id {
        self.happen(channel, What::Unreacted { reaction: id, was: Arc::new(was.clone()) })
    }

    /// Adds a change of a channel in which something was published.
    fn happen(&mut self, channel: &Channel, what: What) -> Id {
        let id = self.draw_id();
        let number = self.channels.get(channel).map_or(ChannelNumber::NONE, |(number, _)| *number);
        self.changes.push(Arc::new(Change::Channel(ChannelChange { id, channel: channel.clone(), number, what })));
        id
    }

    /// Sets a record, or deletes it; answers its new version.
    pub fn set(&mut self, key: &RecordKey, value: Option<&[u8]>) -> Id {
        let id = self.draw_id();
        let value = value.map(Bytes::copy_from_slice);
        self.changes.push(Arc::new(Change::Record(RecordChange { id, key: key.clone(), value })));
        id
    }

    /// What was added since the last batch.
    pub(crate) fn pending(&self) -> &[Arc<Change>] {
        &self.changes
    }

    /// Closes the batch of everything added since the last one.
    pub fn batch(&mut self) -> Batch {
        self.last_batch += 1;
        Batch {
            shard: self.shard,
            epoch: self.epoch,
            number: self.last_batch,
            reserved: self.ticks + 2 * TICKS_PER_SECOND,
            changes: std::mem::take(&mut self.changes),
        }
    }

    fn draw_id(&mut self) -> Id {
        let id = self.next_id();
        self.ticks += 1;
        id
    }
}

impl Default for BatchBuilder {
    fn default() -> BatchBuilder {
        BatchBuilder::new()
    }
}
