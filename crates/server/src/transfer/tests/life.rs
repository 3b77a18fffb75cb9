//! What happens in a store whose channels are asked by their names: the same steps do the same, whatever their seqs are.

use super::{LATE_EPOCH, settle};
use model::{
    Batch, Change, Channel, ChannelChange, ChannelNumber, Edit, Effort, Head, Id, Kind, Message, Order, Payload,
    PayloadForm, Reaction, Seq, ShardId, Span, Store, Target, What, Window,
};
use proptest::prelude::*;
use std::{sync::Arc, time::Duration};
use testkit::{OnMemory, store_suite::StoreUnderTest, user};

/// Between two steps.
pub(super) const TICK: u64 = 1_000;

/// What happens in a store. Messages are named by how many thousandths of those that are there lie before them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Publish {
        room: usize,
        by: u8,
        due: Option<u64>,
    },
    Edit {
        room: usize,
        at: usize,
    },
    React {
        room: usize,
        at: usize,
    },
    Delete {
        room: usize,
        from: usize,
        to: usize,
    },
    /// Keeps so many thousandths.
    Floor {
        room: usize,
        keep: usize,
    },
    Flush,
    Sweep,
    Erase {
        room: usize,
    },
}

pub(super) fn steps(with_floors: bool, most: usize) -> impl Strategy<Value = Vec<Step>> {
    let (room, at) = (0..8_usize, 0..1000_usize);
    let publish = (room.clone(), 0..3_u8, prop::option::weighted(0.2, 1..1_000_u64));
    let floors = u32::from(with_floors);
    let step = prop_oneof![
        12 => publish.prop_map(|(room, by, due)| Step::Publish { room, by, due }),
        3 => (room.clone(), at.clone()).prop_map(|(room, at)| Step::Edit { room, at }),
        3 => (room.clone(), at.clone()).prop_map(|(room, at)| Step::React { room, at }),
        3 => (room.clone(), at.clone(), 0..60_usize)
            .prop_map(|(room, from, more)| Step::Delete { room, from, to: from + more }),
        floors => (room.clone(), 300..1000_usize).prop_map(|(room, keep)| Step::Floor { room, keep }),
        2 => Just(Step::Flush),
        1 => Just(Step::Sweep),
        1 => room.prop_map(|room| Step::Erase { room }),
    ];
    prop::collection::vec(step, 1..most)
}

/// A store in which steps happen, from a tick on.
pub(super) struct Life<'a> {
    pub on: &'a OnMemory,
    pub rooms: Vec<Channel>,
    /// Only messages from this id on are named.
    pub from: Id,
    pub tick: u64,
}

impl Life<'_> {
    pub fn live(&mut self, steps: &[Step]) {
        for step in steps {
            self.tick += TICK;
            match *step {
                Step::Flush => self.on.flush(),
                Step::Sweep => drop(self.on.store.sweep(Duration::from_secs(1)).expect("swept")),
                Step::Erase { room } => self.on.store.erase(&[self.room(room)]).expect("erased"),
                Step::Publish { room, by, due } => self.publish(&self.room(room), by, due),
                Step::Edit { room, at } => self.with_message(room, at, |life, message| life.edit(&message)),
                Step::React { room, at } => self.with_message(room, at, |life, message| life.react(&message)),
                Step::Delete { room, from, to } => self.delete(room, from, to),
                Step::Floor { room, keep } => self.floor(room, keep),
            }
        }
    }

    fn room(&self, room: usize) -> Channel {
        self.rooms[room % self.rooms.len()].clone()
    }

    fn head(&self, room: &Channel) -> Head {
        self.on.store.heads(std::slice::from_ref(room)).expect("read")[0]
    }

    fn there(&self, room: usize) -> Vec<Arc<Message>> {
        let span = Span { after: self.from.previous(), upto: Id::MAX };
        let (order, limit, above, now) = (Order::Ascending, 10_000, Seq::NONE, Id::MIN);
        let window = Window { span, order, limit, above, author: None, custom_type: None, now };
        self.on.store.read(&self.room(room), &window, Effort::Disk).expect("read").expect("from the disk").messages
    }

    pub fn with_message(&mut self, room: usize, at: usize, does: impl Fn(&Self, Arc<Message>) -> What) {
        let there = self.there(room);
        let Some(message) = there.get(at * there.len() / 1000) else { return };
        let what = does(self, message.clone());
        self.apply(&self.room(room), what);
    }

    fn edit(&self, message: &Message) -> What {
        let payload = Payload { form: PayloadForm::Text, bytes: format!("edited at {}", self.tick).into() };
        let Message { id, seq, .. } = *message;
        What::Edited(Arc::new(Edit { message: id, seq, editor: Some(user("ann")), payload, extras: None }))
    }

    pub fn react(&self, message: &Message) -> What {
        let (kind, value) = ("reaction".into(), format!("{}", self.tick).into());
        What::Reacted(Arc::new(Reaction { message: message.id, user: user("ann"), kind, value }))
    }

    fn delete(&mut self, room: usize, from: usize, to: usize) {
        let there = self.there(room);
        let at = |at: usize| there.get(at * there.len() / 1000).or(there.last()).map(|message| message.id);
        let (Some(from), Some(to)) = (at(from), at(to)) else { return };
        let target = Target::Span(Span { after: from.previous(), upto: to });
        let removal = self.on.store.removable(&self.room(room), &target, Id::MIN).expect("looked up");
        if !removal.seqs.is_empty() {
            self.apply(&self.room(room), What::Deleted(Arc::new(removal)));
        }
    }

    fn floor(&mut self, room: usize, keep: usize) {
        let (channel, there) = (self.room(room), self.there(room));
        let keep = (there.len() * keep / 1000) as u64;
        let floor = self.on.store.floor_for(&channel, keep, Id::MAX).expect("looked up");
        if floor.seq > self.head(&channel).floor.seq {
            self.apply(&channel, What::Floored(floor));
        }
    }

    pub fn publish(&mut self, room: &Channel, by: u8, due: Option<u64>) {
        let head = self.head(room);
        let message = Message {
            id: Id::new(self.tick, 0),
            seq: head.last.seq.next(),
            author: Some(user(&format!("user {by}"))),
            recipient: None,
            payload: Payload { form: PayloadForm::Text, bytes: format!("live at {}", self.tick).into() },
            kind: Kind::Message,
            custom_type: None,
            extras: None,
            edited_at: None,
            expires_at: due.map(|ticks| Id::new(self.tick + ticks * TICK, 0)),
        };
        let first = head.number == ChannelNumber::NONE;
        self.apply(room, What::Published { message: Arc::new(message), key: None, first });
    }

    fn apply(&self, room: &Channel, what: What) {
        let (settled, head) = (settle(self.on), self.head(room));
        let is_new = head.number == ChannelNumber::NONE;
        let number = if is_new { ChannelNumber(settled.last_number.0 + 1) } else { head.number };
        let change = ChannelChange { id: Id::new(self.tick, 0), channel: room.clone(), number, what };
        let changes = vec![Arc::new(Change::Channel(change))];
        let (shard, number, reserved) = (ShardId::default(), settled.last_batch + 1, self.tick + TICK);
        let batch = Batch { shard, epoch: LATE_EPOCH, number, reserved, changes };
        self.on.store.settle(shard, LATE_EPOCH).expect("settled");
        self.on.store.apply(&batch).expect("applied");
    }
}
