//! What is true in a run, in the plainest words: everything that was stored, folded into the store's oracle, which refuses
//! what no sequencer may make; what was live only; what is kept and held; and who may see how much of it.

use crate::cast::room;
use model::{
    Author, Batch, Change, Channel, ChannelChange, ChannelName, Head, Id, Message, RecordKind, Seq, ShardId, Span,
    Store, TICKS_PER_SECOND, UserId,
};
use service::{Caller, HoldScope, Retention};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use testkit::{ChannelState, MemoryStore};

pub const SHARD: ShardId = ShardId(0);
const EPOCH: u64 = 1;

/// What was published under a key.
pub struct Keyed {
    pub id: Id,
    pub seq: Seq,
    pub text: String,
    pub author: Option<UserId>,
}

pub struct Truth {
    /// Everything stored.
    pub oracle: MemoryStore,
    /// Everything that happened, what was live only too.
    pub happened: BTreeMap<Id, Arc<Change>>,
    pub keys: BTreeMap<(u8, u8), Keyed>,
    pub app_keeps: Option<Retention>,
    pub rooms_keep: BTreeMap<ChannelName, Retention>,
    pub holds: BTreeMap<String, HoldScope>,
    /// When a channel joined the group, or left it.
    pub members: Vec<(Id, ChannelName, bool)>,
    /// Somebody was erased.
    pub erased: bool,
}

/// The part of a channel that is left to see: ids above one, and so many of the newest seqs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sight {
    pub after: Id,
    pub newest: Option<u64>,
}

impl Sight {
    pub fn and(self, other: Sight) -> Sight {
        let newest = [self.newest, other.newest].into_iter().flatten().min();
        Sight { after: self.after.max(other.after), newest }
    }

    pub fn above(self, head: Seq) -> Seq {
        let above = self.newest.map(|newest| head.minus(newest));
        above.filter(|above| *above > Seq::START).unwrap_or(Seq::NONE)
    }

    pub fn cut(self, span: Span) -> Span {
        Span { after: span.after.max(self.after), ..span }
    }

    pub fn is_all(self) -> bool {
        self.after == Id::MIN && self.newest.is_none()
    }
}

impl Truth {
    pub fn new() -> Truth {
        let oracle = MemoryStore::new();
        oracle.settle(SHARD, EPOCH).expect("the oracle settles");
        Truth {
            oracle,
            happened: BTreeMap::new(),
            keys: BTreeMap::new(),
            app_keeps: None,
            rooms_keep: BTreeMap::new(),
            holds: BTreeMap::new(),
            members: Vec::new(),
            erased: false,
        }
    }

    /// A batch happened.
    pub fn take(&mut self, batch: &Batch) -> Result<(), String> {
        self.oracle.apply(batch).map_err(|error| format!("the service made a batch that it may not make: {error}"))?;
        for change in &batch.changes {
            self.happened.insert(change.id(), change.clone());
            if let Change::Record(record) = &**change
                && record.key.kind == RecordKind::GroupMember
            {
                let name = record.key.name.rsplit(|byte| *byte == 0).next().unwrap_or_default();
                let name = ChannelName::named(&String::from_utf8_lossy(name)).map_err(|error| error.to_string())?;
                self.members.push((record.id, name, record.value.is_some()));
            }
        }
        Ok(())
    }

    /// Something happened that is not stored.
    pub fn take_live(&mut self, change: ChannelChange) {
        self.happened.insert(change.id, Arc::new(Change::Channel(change)));
    }

    pub fn state(&self, channel: &Channel) -> ChannelState {
        self.oracle.state(channel)
    }

    pub fn head(&self, channel: &Channel) -> Head {
        self.state(channel).head()
    }

    /// The message so many thousandths into everything that a room ever stored.
    pub fn message(&self, channel: &Channel, thousandths: u16) -> Option<Arc<Message>> {
        let all = self.oracle.stored_messages(channel);
        all.get(all.len() * usize::from(thousandths) / 1001).cloned()
    }

    pub fn retention(&self, name: &ChannelName) -> Retention {
        self.rooms_keep.get(name).copied().or(self.app_keeps).unwrap_or_default()
    }

    /// What a channel keeps at a moment.
    pub fn kept(&self, name: &ChannelName, now_ticks: u64) -> Sight {
        kept_by(self.retention(name), now_ticks)
    }

    /// What no channel keeps any more, by age.
    pub fn kept_anywhere(&self, now_ticks: u64) -> Id {
        let all = self.rooms_keep.values().copied().chain([self.app_keeps.unwrap_or_default()]);
        all.map(|retention| kept_by(retention, now_ticks).after).min().unwrap_or(Id::MIN)
    }

    /// Whether a hold lies on a message that is there, due or not, in a span.
    pub fn holds_any(&self, channel: &Channel, span: Span) -> bool {
        let state = self.state(channel);
        state.there().any(|message| span.contains(message.id) && self.is_held(channel, message))
    }

    pub fn is_held(&self, channel: &Channel, message: &Message) -> bool {
        self.holds.values().any(|scope| match scope {
            HoldScope::Channel(name) => *name == channel.name,
            HoldScope::Author(user) => message.author.as_ref().is_some_and(|author| Author::person(user).is(author)),
        })
    }

    /// The newest position that a sight hides in a channel, counting what is there, due or not.
    pub fn hidden_upto(&self, channel: &Channel, sight: Sight) -> Id {
        let state = self.state(channel);
        let above = sight.above(state.head().last.seq);
        if above == Seq::NONE {
            return sight.after;
        }
        let first = state.there().find(|message| message.id > sight.after && message.seq > above).map(|first| first.id);
        first.map_or(state.head().last.id, Id::previous).max(sight.after)
    }

    /// Whether a channel was in the group at a position.
    pub fn is_member(&self, name: &ChannelName, at: Id) -> bool {
        let before = self.members.iter().rev().find(|(id, member, _)| *id <= at && member == name);
        before.is_some_and(|(.., added)| *added)
    }

    /// Whether a channel was in the group at any moment from one position to another.
    pub fn was_member(&self, name: &ChannelName, from: Id, upto: Id) -> bool {
        let between =
            |(id, member, added): &(Id, ChannelName, bool)| *added && member == name && from < *id && *id <= upto;
        self.is_member(name, from) || self.members.iter().any(between)
    }
}

/// What a caller's window leaves of every channel.
pub fn sight_of(caller: &Caller, now_ticks: u64) -> Sight {
    let window = caller.access.window;
    let young = window.not_older_than.map_or(Id::MIN, |age| {
        // Windows of a minute or more move by whole seconds, towards the present.
        let step = if age.as_secs() >= 60 { TICKS_PER_SECOND } else { 1 };
        Id::last_before(now_ticks.saturating_sub(ticks(age)).div_ceil(step) * step)
    });
    Sight { after: window.since.unwrap_or(Id::MIN).max(young), newest: window.newest.map(u64::from) }
}

fn kept_by(retention: Retention, now_ticks: u64) -> Sight {
    let after = retention.age.map_or(Id::MIN, |age| Id::last_before(now_ticks.saturating_sub(ticks(age))));
    Sight { after, newest: retention.messages }
}

pub fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos() / 100).unwrap_or(u64::MAX)
}

/// All channels of a run.
pub fn rooms() -> Vec<Channel> {
    (0..crate::steps::ROOMS).map(room).collect()
}
