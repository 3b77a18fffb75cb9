//! Who waits for what. The sequencer hands every change to the mailboxes of those who follow its channel or a pattern
//! that it matches; that costs one look-up, and up to three more if anyone follows patterns.

use crate::{
    groups,
    hash::{Hasher, Place},
    mailbox::Mailbox,
    ring::Recent,
    topic::{Spot, Topics, WaitsFor, pattern_places, presence_pattern_places},
};
use foldhash::fast::FixedState;
use model::{
    AppId, Change, Channel, ChannelChange, ChannelName, Error, ErrorKind, Fanout, Id, RecordChange, RecordKind, Result,
    What,
};
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
        topics.spots().iter().for_each(|(place, spot)| self.add(&topics.app, *place, spot, mailbox));
        // A closing hub either finds the mailbox in its maps or is seen to be closed here.
        if self.closed.load(Ordering::SeqCst) {
            mailbox.close();
        }
        Ok(())
    }

    /// The mailbox gets nothing more.
    pub fn unregister(&self, topics: &Topics, mailbox: &Arc<Mailbox>) {
        topics.spots().iter().for_each(|(place, spot)| self.take_out(&topics.app, *place, spot, mailbox));
        self.subscriptions.fetch_sub(1, Ordering::Relaxed);
    }

    /// The mailbox gets what matches `new` in place of what matches `old`.
    pub fn change(&self, old: &Topics, new: &Topics, mailbox: &Arc<Mailbox>) {
        for (place, spot) in old.spots().iter().filter(|(place, spot)| new.spots().get(place) != Some(spot)) {
            self.take_out(&old.app, *place, spot, mailbox);
        }
        for (place, spot) in new.spots().iter().filter(|(place, spot)| old.spots().get(place) != Some(spot)) {
            self.add(&new.app, *place, spot, mailbox);
        }
        if self.closed.load(Ordering::SeqCst) {
            mailbox.close();
        }
    }

    /// Puts changes into mailboxes, in this order, then says up to where it has.
    pub fn hand_out(&self, hasher: &Hasher, changes: &[Recent], upto: Id) {
        if self.subscriptions.load(Ordering::SeqCst) > 0 {
            for recent in changes {
                match &*recent.change {
                    Change::Channel(change) => self.put_change(hasher, recent, change),
                    Change::Record(change) => self.put_record(hasher, recent, change),
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

    fn put_change(&self, hasher: &Hasher, recent: &Recent, change: &ChannelChange) {
        let patterns = self.patterns.load(Ordering::SeqCst) > 0;
        match change.what {
            What::Presence(_) => {
                self.put(recent, hasher.presence(recent.place));
                if patterns {
                    presence_pattern_places(hasher, &change.channel).for_each(|place| self.put(recent, place));
                }
            }
            _ => {
                self.put(recent, recent.place);
                if patterns {
                    pattern_places(hasher, &change.channel).for_each(|place| self.put(recent, place));
                }
            }
        }
    }

    /// Tells those who follow a group of its change, and those who stand on a grant that it changed.
    fn put_record(&self, hasher: &Hasher, recent: &Recent, change: &RecordChange) {
        match change.key.kind {
            RecordKind::GroupMember => {
                if let Some((group, _)) = groups::parse(&change.key) {
                    self.put(recent, hasher.group(&change.key.app, group.as_str()));
                }
            }
            RecordKind::Grant => {
                if let Some(waiting) = self.shard(recent.place).get(&recent.place) {
                    waiting.iter().for_each(|(mailbox, _)| mailbox.wake());
                }
            }
            RecordKind::Setting
            | RecordKind::Directory
            | RecordKind::ReadMark
            | RecordKind::Hold
            | RecordKind::Erasure
            | RecordKind::Spent => {}
        }
    }

    fn put(&self, recent: &Recent, place: Place) {
        if let Some(waiting) = self.shard(place).get(&place) {
            waiting.iter().for_each(|(mailbox, topic)| mailbox.push(recent, *topic));
        }
    }

    fn add(&self, app: &AppId, place: Place, spot: &Spot, mailbox: &Arc<Mailbox>) {
        let first = {
            let mut shard = self.shard(place);
            let waiting = shard.entry(place).or_default();
            waiting.push((mailbox.clone(), spot.topic));
            waiting.len() == 1
        };
        match &spot.waits_for {
            WaitsFor::Pattern => {
                self.patterns.fetch_add(1, Ordering::SeqCst);
            }
            WaitsFor::Channel(name) if first => self.listen(app, name, true),
            WaitsFor::Channel(_) | WaitsFor::Record => {}
        }
    }

    fn take_out(&self, app: &AppId, place: Place, spot: &Spot, mailbox: &Arc<Mailbox>) {
        let last = {
            let mut shard = self.shard(place);
            let Some(waiting) = shard.get_mut(&place) else { return };
            if let Some(at) = waiting.iter().position(|(other, _)| Arc::ptr_eq(other, mailbox)) {
                waiting.swap_remove(at);
            }
            let last = waiting.is_empty();
            if last {
                shard.remove(&place);
            }
            last
        };
        match &spot.waits_for {
            WaitsFor::Pattern => {
                self.patterns.fetch_sub(1, Ordering::SeqCst);
            }
            WaitsFor::Channel(name) if last => self.listen(app, name, false),
            WaitsFor::Channel(_) | WaitsFor::Record => {}
        }
    }

    /// Tells the fan-out that somebody follows a channel here, or nobody any more: once for what is said there and once
    /// for who is there, so it has to count.
    fn listen(&self, app: &AppId, name: &ChannelName, wanted: bool) {
        let Some(fanout) = &self.fanout else { return };
        let channel = Channel { app: app.clone(), name: name.clone() };
        if wanted { fanout.listen(&channel) } else { fanout.unlisten(&channel) }
    }

    fn shard(&self, place: Place) -> MutexGuard<'_, Shard> {
        // The low bits choose a slot inside the map: take others.
        self.shards[(place >> 64) as usize % SHARDS].lock().expect("no panic happens under this lock")
    }
}
