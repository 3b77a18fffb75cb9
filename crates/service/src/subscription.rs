//! Subscriptions: one position that moves through history and then along with what happens.
//!
//! The mailbox is registered with the hub before anything is read, and opened before the last look into the ring; so
//! what happens meanwhile is either seen in the ring or lies in the mailbox, and what is in both is dropped by its id.
//! A position inside the ring is served from memory; an older one from the store (`past.rs`) up to where the ring
//! begins. A mailbox that was full sends its subscriber back to the ring.

use crate::{
    access::{Caller, Rights},
    channels::Shared,
    mailbox::{Mailbox, Taken},
    past::{Budget, Past},
    ring::Scan,
    topic::{Topic, Topics},
};
use model::{Change, ChannelChange, Error, ErrorKind, Id, Result, TICKS_PER_SECOND, What};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Follows topics from a position, through history and then live.
pub struct Subscription {
    shared: Arc<Shared>,
    topics: Arc<Topics>,
    mailbox: Arc<Mailbox>,
    position: Id,
    live: bool,
    /// Since when a subscriber that was live has been behind, in monotonic ticks.
    behind_since: Option<u64>,
    past: Option<Past>,
    /// A read of the past that a caller of `next` did not wait for: its answer comes with the next call.
    reading: Option<JoinHandle<(Past, Result<Delivery>)>>,
}

/// Changes of a subscription, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// What happened; may be empty when a long catch-up moved on.
    pub items: Vec<Item>,
    /// Examined up to here, inclusive: hand it in as `from` to go on.
    pub cursor: Id,
}

/// A change and why it is delivered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// What happened. The channel's number and the publisher's key are not known of what was read back from the store.
    pub change: Arc<Change>,
    /// The index of the topic that it matched; the channel itself before patterns, longer ones before shorter.
    pub topic: usize,
}

impl Subscription {
    pub(crate) fn start(
        shared: Arc<Shared>,
        caller: &Caller,
        topics: Vec<Topic>,
        from: Option<Id>,
    ) -> Result<Subscription> {
        check(&shared, caller, &topics, Rights::READ)?;
        let topics = Arc::new(Topics::new(&shared.live.hasher, &caller.app, topics));
        let mailbox = Arc::new(Mailbox::new(shared.settings.mailbox_changes, shared.settings.mailbox_bytes));
        shared.live.hub.register(&topics, &mailbox)?;
        shared.metrics.subscriptions.inc();

        let frontier = shared.live.frontier();
        let visible = caller.access.visible(shared.now().ticks());
        let position = from.unwrap_or(frontier).max(visible.after).min(frontier);
        let past = Past::new(topics.clone(), shared.live.hasher, visible, frontier);
        let subscription = Subscription {
            shared,
            topics,
            mailbox,
            position,
            live: false,
            behind_since: None,
            past: Some(past),
            reading: None,
        };
        if position < subscription.shared.live.ring.begins_after() {
            check(&subscription.shared, caller, &subscription.topics.list, Rights::HISTORY)?;
        }
        Ok(subscription)
    }

    /// Waits for at least one matching change, or for a cursor that moved on in a long catch-up. Cancel-safe: what was
    /// not returned comes with the next call.
    ///
    /// Fails with `TooMany` when a subscriber that was live has stayed behind for too long, `Unavailable` when the
    /// service stops or the store cannot be read.
    pub async fn next(&mut self) -> Result<Delivery> {
        loop {
            let delivery = if self.live { self.take_live().await? } else { self.catch_up().await? };
            if let Some(delivery) = delivery {
                return Ok(delivery);
            }
        }
    }

    /// Everything that matches up to here was returned: hand it in as `from` to go on.
    pub fn cursor(&self) -> Id {
        match self.live {
            true => {
                self.mailbox.examined(&self.shared.live.hub.handed_out).map_or(self.position, |upto| self.moved(upto))
            }
            false => self.position,
        }
    }

    /// What was asked for, in the order of [`Item::topic`].
    pub fn topics(&self) -> &[Topic] {
        &self.topics.list
    }

    async fn take_live(&mut self) -> Result<Option<Delivery>> {
        let settings = &self.shared.settings;
        let hub = &self.shared.live.hub;
        match self.mailbox.take(&hub.handed_out, settings.delivery_changes, settings.delivery_bytes) {
            Taken::Changes(changes) => {
                let news = changes.into_iter().filter(|(change, _)| change.id() > self.position);
                let items: Vec<Item> = news.map(|(change, topic)| Item { change, topic: topic as usize }).collect();
                Ok(items.last().map(|last| last.change.id()).map(|cursor| self.deliver(items, cursor)))
            }
            Taken::Nothing(upto) => {
                self.position = self.moved(upto);
                self.mailbox.arrived().await;
                Ok(None)
            }
            Taken::Overflowed => {
                self.shared.metrics.overflowed.inc();
                self.live = false;
                self.behind_since.get_or_insert(self.shared.clock.monotonic_ticks());
                Ok(None)
            }
            Taken::Closed => Err(stopping()),
        }
    }

    /// One step towards the present, from the ring if the position lies inside.
    async fn catch_up(&mut self) -> Result<Option<Delivery>> {
        self.check_lag()?;
        if self.reading.is_some() {
            return self.read_past(Id::MIN).await;
        }
        self.mailbox.open();
        let mut budget = Budget::new(&self.shared.settings, &*self.shared.clock);
        let now = self.shared.now();
        let (topics, hasher) = (&self.topics, &self.shared.live.hasher);
        let mut items = Vec::new();
        let scan = self.shared.live.ring.scan(self.position, |recent| {
            if let Change::Channel(change) = &*recent.change
                && let Some(topic) = topics.matching(hasher, &change.channel, recent.place)
                && !is_expired(change, now)
            {
                budget.spend(recent.change.cost());
                items.push(Item { change: recent.change.clone(), topic: topic as usize });
            }
            !budget.is_spent()
        });
        let (upto, end) = match scan {
            Scan::Before(begins_after) => return self.read_past(begins_after).await,
            Scan::Upto(upto) => (upto, false),
            Scan::End(upto) => (upto, true),
        };
        self.hide(&mut items).await?;
        self.live = end;
        if end {
            self.behind_since = None;
        }
        match items.is_empty() {
            false => Ok(Some(self.deliver(items, upto))),
            true => {
                self.position = self.moved(upto);
                tokio::task::yield_now().await;
                Ok(None)
            }
        }
    }

    /// Takes out what a window of the newest n hides of the time before the subscription.
    async fn hide(&mut self, items: &mut Vec<Item>) -> Result<()> {
        let Some(past) = self.past.as_mut().filter(|past| past.hides_by_seq()) else { return Ok(()) };
        let unknown = past.channels_without_floor(items);
        if !unknown.is_empty() {
            let asked = unknown.clone();
            let heads = self.shared.reads.run(move |store| store.heads(&asked)).await?;
            past.set_floors(&unknown, &heads);
        }
        items.retain(|item| past.shows(&item.change));
        Ok(())
    }

    /// Reads the store towards `upto`, or takes the answer of the read that was not waited for.
    async fn read_past(&mut self, upto: Id) -> Result<Option<Delivery>> {
        if self.mailbox.is_closed() {
            return Err(stopping());
        }
        if self.reading.is_none() {
            let permits = self.shared.reads.permits().await?;
            let Some(mut past) = self.past.take() else { return Err(Error::internal("a read of the past was lost")) };
            let (shared, position) = (self.shared.clone(), self.position);
            self.reading = Some(tokio::task::spawn_blocking(move || {
                let _permits = permits;
                let budget = Budget::new(&shared.settings, &*shared.clock);
                let read = past.read(&*shared.reads.store, position, upto, shared.now(), budget);
                (past, read)
            }));
        }
        let Some(reading) = &mut self.reading else { return Ok(None) };
        let (past, read) = reading.await.map_err(Error::internal)?;
        self.reading = None;
        self.past = Some(past);
        let delivery = read?;
        let moved_on = delivery.cursor > self.position;
        self.position = self.moved(delivery.cursor);
        Ok(moved_on.then_some(delivery))
    }

    fn deliver(&mut self, items: Vec<Item>, upto: Id) -> Delivery {
        self.position = self.moved(upto);
        Delivery { items, cursor: self.position }
    }

    fn moved(&self, upto: Id) -> Id {
        self.position.max(upto)
    }

    fn check_lag(&self) -> Result<()> {
        let Some(since) = self.behind_since else { return Ok(()) };
        let behind = self.shared.clock.monotonic_ticks().saturating_sub(since);
        if u128::from(behind) <= self.shared.settings.behind.as_nanos() / 100 {
            return Ok(());
        }
        self.shared.metrics.cut_off.inc();
        let seconds = behind / TICKS_PER_SECOND;
        Err(Error::new(ErrorKind::TooMany, format!("the subscriber has been too slow for {seconds} s")))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.live.hub.unregister(&self.topics, &self.mailbox);
        self.shared.metrics.subscriptions.dec();
    }
}

fn check(shared: &Shared, caller: &Caller, topics: &[Topic], rights: Rights) -> Result<()> {
    if topics.is_empty() {
        return Err(Error::invalid("topics: there is none"));
    }
    if topics.len() > shared.settings.subscription_topics {
        return Err(Error::invalid(format!("topics: at most {}", shared.settings.subscription_topics)));
    }
    topics.iter().try_for_each(|topic| match topic {
        Topic::Channel(name) => caller.access.demand(name, rights),
        Topic::Pattern(pattern) => caller.access.demand_prefix(pattern.prefix(), rights),
    })
}

fn is_expired(change: &ChannelChange, now: Id) -> bool {
    match &change.what {
        What::Published { message, .. } => message.is_expired(now),
        What::Unstored(_)
        | What::Signal(_)
        | What::Presence(_)
        | What::Edited(_)
        | What::Deleted(_)
        | What::Expired(_)
        | What::Floored(_)
        | What::Reacted(_)
        | What::Unreacted { .. } => false,
    }
}

fn stopping() -> Error {
    Error::unavailable("the server is stopping")
}
