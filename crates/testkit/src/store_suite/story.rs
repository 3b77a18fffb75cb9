//! A story told to a store and to the oracle at once: what the promises about edits, removals and reactions stand on.

use super::{Bench, StoreUnderTest, numbered};
use crate::{Fields, MemoryStore, agree::Pair, removal_of};
use model::{Channel, Id, Message, Removal, Store, Target};
use std::{ops::Range, sync::Arc};

pub(super) struct Story<S> {
    pub bench: Bench<S>,
    pub oracle: MemoryStore,
}

impl<S: StoreUnderTest> Story<S> {
    pub fn open(open: impl Fn() -> S) -> Story<S> {
        Story { bench: Bench::open(open), oracle: MemoryStore::new() }
    }

    pub fn store(&self) -> &dyn Store {
        self.bench.store()
    }

    /// Applies what was built since the last batch, to both.
    pub fn apply(&mut self) {
        let batch = self.bench.builder.batch();
        self.oracle.apply(&batch).expect("the oracle takes the batch");
        self.store().apply(&batch).expect("a valid batch is applied");
    }

    /// Publishes so many messages in one batch.
    pub fn publish(&mut self, room: &Channel, range: Range<u32>) -> Vec<Arc<Message>> {
        let messages = numbered(range).map(|text| self.bench.builder.publish(room, &text)).collect();
        self.apply();
        messages
    }

    /// Publishes so many messages in one batch, each due so many ticks after it was published.
    pub fn publish_due(&mut self, room: &Channel, ticks: Range<u64>) -> Vec<Arc<Message>> {
        let builder = &mut self.bench.builder;
        let messages = ticks.map(|ticks| {
            let due = Id::new(builder.next_id().ticks() + ticks, 0);
            builder.publish_with(room, "text", Fields { expires_at: Some(due), ..Fields::default() })
        });
        let messages = messages.collect();
        self.apply();
        messages
    }

    /// What a removal of this would take, while nothing is hidden because it is due.
    pub fn removable(&self, room: &Channel, target: Target) -> Removal {
        self.store().removable(room, &target, Id::MIN).expect("the look-up works")
    }

    /// Deletes these, in a batch of their own.
    pub fn delete(&mut self, room: &Channel, messages: &[Arc<Message>]) -> Id {
        self.delete_all(room, removal_of(messages))
    }

    /// Deletes what was looked up, in a batch of its own.
    pub fn delete_all(&mut self, room: &Channel, removal: Removal) -> Id {
        let id = self.bench.builder.delete(room, removal);
        self.apply();
        id
    }

    /// Erases what was removed of these channels, in both.
    pub fn erase(&self, rooms: &[Channel]) {
        for store in [self.store(), &self.oracle] {
            store.erase(rooms).expect("erasing works");
        }
    }

    /// The store agrees with the oracle about everything in these channels.
    pub fn agrees(&self, rooms: &[&Channel], when: &str) {
        let pair = Pair { tested: self.store(), oracle: &self.oracle };
        for room in rooms {
            if let Err(why) = pair.channel(room) {
                panic!("{when}, in {room:?}: {why}");
            }
        }
    }

    /// The story is over: what it says about its channels is so now, after a crash, when all was moved to where old
    /// messages are kept, and after a restart.
    pub fn holds(mut self, rooms: &[&Channel], promise: impl Fn(&dyn Store)) -> Story<S> {
        for when in ["as applied", "after a crash", "after a flush", "after a restart"] {
            match when {
                "after a crash" => self.bench = self.bench.crash(),
                "after a flush" => self.bench.tested.flush(),
                "after a restart" => self.bench = self.bench.restart(),
                _ => {}
            }
            promise(self.store());
            self.agrees(rooms, when);
        }
        self
    }
}
