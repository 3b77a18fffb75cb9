//! Who waits for what. The sequencer hands every change to the mailboxes of those who follow its channel or a pattern
//! that it matches; that costs one look-up, and up to three more if anyone follows patterns.

use crate::{
    hash::{Hasher, Place},
    mailbox::Mailbox,
    ring::Recent,
    topic::{Topic, Topics, pattern_places},
};
use foldhash::fast::FixedState;
use model::{Change, Channel, Error, ErrorKind, Fanout, Id, Result};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

/// Maps that are locked one by one, so that subscribers who come and go hardly meet the sequencer.
const SHARDS: usize = 64;

pub(crate) struct Hub {
    shards: Vec<Mutex<Shard>>,
    subscriptions: AtomicUsize,
    most_subscriptions: usize,
    patterns: AtomicUsize,
    /// Everything up to this id was put into the mailboxes.
    pub handed_out: AtomicU64,
    closed: AtomicBool,
    fanout: Option<Arc<dyn Fanout>>,
}

/// Places are hashes already, so any cheap hash of them will do.
type Shard = HashMap<Place, Vec<(Arc<Mailbox>, u32)>, FixedState>;

impl Hub {
    pub fn new(most_subscriptions: usize, frontier: Id, fanout: Option<Arc<dyn Fanout>>) -> Hub {
        Hub {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            subscriptions: AtomicUsize::new(0),
            most_subscriptions,
            patterns: AtomicUsize::new(0),
            handed_out: AtomicU64::new(frontier.raw()),
            closed: AtomicBool::new(false),
            fanout,
        }
    }

    /// From now on the mailbox gets what matches the topics, while it is open.
    pub fn register(&self, topics: &Topics, mailbox: &Arc<Mailbox>) -> Result<()> {
        if self.subscriptions.fetch_add(1, Ordering::Relaxed) >= self.most_subscriptions {
            self.subscriptions.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::new(ErrorKind::TooMany, "too many subscriptions"));
        }
        for (place, index) in topics.places() {
            let first = {
                let mut shard = self.shard(place);
                let waiting = shard.entry(place).or_default();
                waiting.push((mailbox.clone(), index));
                waiting.len() == 1
            };
            self.count_topic(topics, index, true, first);
        }
        // A closing hub either finds the mailbox in its maps or is seen to be closed here.
        if self.closed.load(Ordering::SeqCst) {
            mailbox.close();
        }
        Ok(())
    }

    /// The mailbox gets nothing more.
    pub fn unregister(&self, topics: &Topics, mailbox: &Arc<Mailbox>) {
        for (place, index) in topics.places() {
            let last = {
                let mut shard = self.shard(place);
                let Some(waiting) = shard.get_mut(&place) else { continue };
                if let Some(at) = waiting.iter().position(|(other, _)| Arc::ptr_eq(other, mailbox)) {
                    waiting.swap_remove(at);
                }
                let last = waiting.is_empty();
                if last {
                    shard.remove(&place);
                }
                last
            };
            self.count_topic(topics, index, false, last);
        }
        self.subscriptions.fetch_sub(1, Ordering::Relaxed);
    }

    /// Puts changes into mailboxes, in this order, then says up to where it has.
    pub fn hand_out(&self, hasher: &Hasher, changes: &[Recent], upto: Id) {
        if self.subscriptions.load(Ordering::SeqCst) > 0 {
            for recent in changes {
                if let Change::Channel(change) = &*recent.change {
                    self.put(recent, recent.place);
                    if self.patterns.load(Ordering::SeqCst) > 0 {
                        pattern_places(hasher, &change.channel).for_each(|place| self.put(recent, place));
                    }
                }
            }
        }
        self.handed_out.store(upto.raw(), Ordering::Release);
    }

    /// Ends all subscriptions, also those that still come.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for shard in &self.shards {
            let shard = shard.lock().expect("no panic happens under this lock");
            shard.values().flatten().for_each(|(mailbox, _)| mailbox.close());
        }
    }

    pub fn subscriptions(&self) -> usize {
        self.subscriptions.load(Ordering::Relaxed)
    }

    fn put(&self, recent: &Recent, place: Place) {
        if let Some(waiting) = self.shard(place).get(&place) {
            waiting.iter().for_each(|(mailbox, topic)| mailbox.push(recent, *topic));
        }
    }

    /// Keeps count of patterns, and tells the fan-out of the first and the last who follows a channel.
    fn count_topic(&self, topics: &Topics, index: u32, added: bool, edge: bool) {
        match (&topics.list[index as usize], &self.fanout) {
            (Topic::Pattern(_), _) if added => {
                self.patterns.fetch_add(1, Ordering::SeqCst);
            }
            (Topic::Pattern(_), _) => {
                self.patterns.fetch_sub(1, Ordering::SeqCst);
            }
            (Topic::Channel(name), Some(fanout)) if edge => {
                let channel = Channel { app: topics.app.clone(), name: name.clone() };
                if added { fanout.listen(&channel) } else { fanout.unlisten(&channel) }
            }
            (Topic::Channel(_), _) => {}
        }
    }

    fn shard(&self, place: Place) -> MutexGuard<'_, Shard> {
        // The low bits choose a slot inside the map: take others.
        self.shards[(place >> 64) as usize % SHARDS].lock().expect("no panic happens under this lock")
    }
}
