//! Subscriptions: one position that moves through history and then along with what happens.
//!
//! The mailbox is registered with the hub before anything is read, and opened before the last look into the ring; so
//! what happens meanwhile is either seen in the ring or lies in the mailbox, and what is in both is dropped by its id.
//! A position inside the ring is served from memory; an older one from the store (`past.rs`) up to where the ring
//! begins. A mailbox that was full sends its subscriber back to the ring.
//!
//! A change of a group that is followed stands in the same order: the subscription takes what comes before it, follows
//! what the group holds then, and goes on from there, in the ring. Nothing is handed out at or above the position at
//! which the caller's access ends.

use crate::{
    Access, Group,
    access::{Caller, Rights},
    channels::Shared,
    deadlines::Ticket,
    mailbox::{Mailbox, Taken},
    past::{Budget, Past, Seen},
    ring::Scan,
    topic::{Topic, Topics},
};
use model::{Change, ChannelChange, ChannelName, Error, ErrorKind, Id, Result, TICKS_PER_SECOND, What};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
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
    /// By which it is woken when its time is over.
    ticket: Option<Ticket>,
    /// It has come to where the access ends.
    over: bool,
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
    pub(crate) async fn start(
        shared: Arc<Shared>,
        caller: &Caller,
        topics: Vec<Topic>,
        from: Option<Id>,
    ) -> Result<Subscription> {
        shared.admit(caller, &caller.app)?;
        check(&shared, &caller.access, &topics)?;
        let topics = Arc::new(Topics::new(&shared.live.hasher, &caller.app, caller.access.clone(), topics));
        let mailbox = Arc::new(Mailbox::new(shared.settings.mailbox_changes, shared.settings.mailbox_bytes));
        shared.live.hub.register(&topics, &mailbox)?;
        shared.metrics.subscriptions.inc();

        let frontier = shared.live.frontier();
        let visible = caller.access.visible(shared.now().ticks());
        let position = from.unwrap_or(frontier).max(visible.after).min(frontier);
        let past = Past::new(topics.clone(), shared.live.hasher, shared.live.policies.clone(), visible, frontier);
        let ticket = caller.access.until.map(|until| shared.deadlines.add(until, &mailbox));
        let mut subscription = Subscription {
            shared,
            topics,
            mailbox,
            position,
            live: false,
            behind_since: None,
            past: Some(past),
            reading: None,
            ticket,
            over: false,
        };
        if position < subscription.shared.live.ring.begins_after() {
            check_history(&caller.access, &subscription.topics.list)?;
        }
        subscription.follow_groups().await?;
        Ok(subscription)
    }

    /// Waits for at least one matching change, or for a cursor that moved on in a long catch-up. Cancel-safe: what was
    /// not returned comes with the next call.
    ///
    /// Fails with `Forbidden` when the access ends, after everything that came before; with `TooMany` when a subscriber that was live has stayed behind for too long, `Unavailable` when the
    /// service stops or the store cannot be read.
    pub async fn next(&mut self) -> Result<Delivery> {
        loop {
            if self.over {
                return Err(self.ended());
            }
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
            Taken::Changes(changes) => self.take_changes(changes),
            Taken::Nothing(upto) => {
                self.topics.access.check_stands(self.shared.now())?;
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

    /// Hands out changes up to the first one at which something is different: the end, or what a group holds.
    fn take_changes(&mut self, changes: Vec<(Arc<Change>, u32)>) -> Result<Option<Delivery>> {
        let now = self.shared.now();
        let past = self.past.as_ref().filter(|past| past.hides(now));
        let mut items = Vec::with_capacity(changes.len());
        for (change, topic) in changes.into_iter().filter(|(change, _)| change.id() > self.position) {
            if self.is_past_end(change.id()) {
                self.over = true;
                break;
            }
            if let Change::Record(_) = &*change {
                let cursor = change.id();
                self.follow_change(&change)?;
                return Ok(Some(self.deliver(items, cursor)).filter(|delivery| !delivery.items.is_empty()));
            }
            if matches!(&*change, Change::Channel(happened) if is_expired(happened, now)) {
                continue;
            }
            match past.map_or(Seen::Shown(change.clone()), |past| past.see(change, now)) {
                Seen::Shown(change) => items.push(Item { change, topic: topic as usize }),
                Seen::Hidden => {}
                Seen::Unknown => {
                    // It is in the ring, too, and there is time to look it up on the way from there.
                    self.live = false;
                    break;
                }
            }
        }
        Ok(items.last().map(|last| last.change.id()).map(|cursor| self.deliver(items, cursor)))
    }

    /// One step towards the present, from the ring if the position lies inside.
    async fn catch_up(&mut self) -> Result<Option<Delivery>> {
        self.topics.access.check_stands(self.shared.now())?;
        self.check_lag()?;
        if self.reading.is_some() {
            return self.read_past(Id::MIN).await;
        }
        self.mailbox.open();
        let mut budget = Budget::new(&self.shared.settings, &*self.shared.clock);
        let now = self.shared.now();
        let (topics, hasher) = (&self.topics, &self.shared.live.hasher);
        let (mut items, mut regrouped, mut over) = (Vec::new(), None, false);
        let scan = self.shared.live.ring.scan(self.position, |place, change| {
            over = self.is_past_end(change.id());
            if over {
                return false;
            }
            match &**change {
                Change::Channel(happened) => {
                    if let Some(topic) = topics.matching_change(hasher, happened, place)
                        && !is_expired(happened, now)
                    {
                        budget.spend(change.cost());
                        items.push(Item { change: change.clone(), topic: topic as usize });
                    }
                }
                Change::Record(record) => {
                    regrouped = topics.group_change(record).map(|_| change.clone());
                }
            }
            !budget.is_spent() && regrouped.is_none()
        });
        let (upto, end) = match scan {
            Scan::Before(begins_after) => return self.read_past(begins_after).await,
            Scan::Upto(upto) => (upto, false),
            Scan::End(upto) => (upto, true),
        };
        let items = self.without_hidden(items, now).await?;
        self.over = over;
        self.live = end;
        if let Some(change) = regrouped {
            self.follow_change(&change)?;
        } else if end {
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

    /// Follows what the groups hold at its position. The store knows what they hold now; what changed since the position
    /// is in the ring, and of each channel the first change tells what was before it. Where the ring does not reach back,
    /// what they held at its beginning is taken.
    async fn follow_groups(&mut self) -> Result<()> {
        let shared = self.shared.clone();
        if self.topics.members().is_empty() {
            return Ok(());
        }
        let mut members = HashMap::new();
        // Nothing is on its way between the store and the ring while this is held.
        let still = shared.groups.read().await;
        for group in self.topics.members().keys() {
            members.insert(group.clone(), shared.members_of(&self.topics.app, group).await?);
        }
        let first_changes = self.first_changes();
        drop(still);
        for ((group, name), added) in first_changes {
            let holds: &mut BTreeSet<ChannelName> = members.entry(group).or_default();
            if added {
                holds.remove(&name)
            } else {
                holds.insert(name)
            };
        }
        self.follow(members)
    }

    /// Of each channel whose belonging to a group changed above the position, as far as the ring knows: whether the first
    /// change added it.
    fn first_changes(&self) -> HashMap<(Group, ChannelName), bool> {
        let ring = &self.shared.live.ring;
        let mut position = self.position;
        let mut first = HashMap::new();
        loop {
            let scan = ring.scan(position, |_, change| {
                if let Change::Record(change) = &**change
                    && let Some((group, name, added)) = self.topics.group_change(change)
                {
                    first.entry((group, name)).or_insert(added);
                }
                true
            });
            match scan {
                Scan::Upto(upto) => position = upto,
                Scan::End(_) => return first,
                // The ring has moved on since it was entered: begin again where it begins now.
                Scan::Before(begins_after) => {
                    position = begins_after;
                    first.clear();
                }
            }
        }
    }

    /// Follows a change of a group, and goes on after it from the ring.
    fn follow_change(&mut self, change: &Change) -> Result<()> {
        self.live = false;
        let Change::Record(record) = change else { return Ok(()) };
        let Some((group, name, added)) = self.topics.group_change(record) else { return Ok(()) };
        let mut members = self.topics.members().clone();
        let holds = members.entry(group).or_default();
        if added {
            holds.insert(name)
        } else {
            holds.remove(&name)
        };
        self.follow(members)?;
        self.position = self.moved(change.id());
        Ok(())
    }

    fn follow(&mut self, members: HashMap<Group, BTreeSet<ChannelName>>) -> Result<()> {
        let most = self.shared.settings.subscription_channels;
        let topics = Arc::new(self.topics.with_members(&self.shared.live.hasher, members, most)?);
        self.shared.live.hub.change(&self.topics, &topics, &self.mailbox);
        self.topics = topics;
        if let Some(past) = &mut self.past {
            past.follow(self.topics.clone());
        }
        Ok(())
    }

    /// Takes out what is about messages that the caller's window hides, or that are not kept any more.
    async fn without_hidden(&mut self, items: Vec<Item>, now: Id) -> Result<Vec<Item>> {
        let Some(past) = self.past.as_mut().filter(|past| past.hides(now)) else { return Ok(items) };
        let unknown = past.unknown(&items, now);
        if !unknown.is_empty() {
            let began = past.began();
            let found = self.shared.reads.run(move |store| Past::look_up(store, unknown, began)).await?;
            past.set_hidden(found);
        }
        let shown = items.into_iter().filter_map(|item| match past.see(item.change, now) {
            Seen::Shown(change) => Some(Item { change, topic: item.topic }),
            Seen::Hidden | Seen::Unknown => None,
        });
        Ok(shown.collect())
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

    /// No cursor passes the end: who comes back with another access goes on from there.
    fn moved(&self, upto: Id) -> Id {
        let last = self.end().map_or(Id::MAX, Id::previous);
        self.position.max(upto.min(last))
    }

    /// The position at which the access ends, as far as is known.
    fn end(&self) -> Option<Id> {
        let Access { until, stands_on, .. } = &*self.topics.access;
        let ended_at = stands_on.as_ref().and_then(|standing| standing.ended_at());
        [*until, ended_at].into_iter().flatten().min()
    }

    fn is_past_end(&self, id: Id) -> bool {
        self.end().is_some_and(|end| end <= id)
    }

    fn ended(&self) -> Error {
        let access = &self.topics.access;
        let ended = access.check_stands(self.shared.now()).and_then(|()| access.check_stands(Id::MAX));
        ended.err().unwrap_or_else(stopping)
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
        if let Some(ticket) = self.ticket {
            self.shared.deadlines.remove(ticket);
        }
        self.shared.live.hub.unregister(&self.topics, &self.mailbox);
        self.shared.metrics.subscriptions.dec();
    }
}

fn check(shared: &Shared, access: &Access, topics: &[Topic]) -> Result<()> {
    if topics.is_empty() {
        return Err(Error::invalid("topics: there is none"));
    }
    if topics.len() > shared.settings.subscription_topics {
        return Err(Error::invalid(format!("topics: at most {}", shared.settings.subscription_topics)));
    }
    topics.iter().try_for_each(|topic| match topic {
        Topic::Channel(name) => access.demand(name, Rights::READ),
        Topic::Pattern(pattern) if pattern.is_unlisted() => access.demand_unlisted(Rights::READ),
        Topic::Pattern(pattern) => access.demand_prefix(pattern.prefix(), Rights::READ),
        Topic::Group(group) => access.demand_group(group, Rights::READ),
        Topic::Presence(name) => access.demand(name, Rights::PRESENCE),
        Topic::PresencePattern(pattern) => access.demand_prefix(pattern.prefix(), Rights::PRESENCE),
        Topic::PresenceGroup(group) => access.demand_group(group, Rights::PRESENCE),
    })
}

/// Whether what was stored may be read. Of who was there nothing is.
fn check_history(access: &Access, topics: &[Topic]) -> Result<()> {
    topics.iter().try_for_each(|topic| match topic {
        Topic::Channel(name) => access.demand(name, Rights::HISTORY),
        Topic::Pattern(pattern) if pattern.is_unlisted() => access.demand_unlisted(Rights::HISTORY),
        Topic::Pattern(pattern) => access.demand_prefix(pattern.prefix(), Rights::HISTORY),
        Topic::Group(group) => access.demand_group(group, Rights::HISTORY),
        Topic::Presence(_) | Topic::PresencePattern(_) | Topic::PresenceGroup(_) => Ok(()),
    })
}

fn is_expired(change: &ChannelChange, now: Id) -> bool {
    match &change.what {
        What::Published { message, .. } | What::Unstored(message) => message.is_expired(now),
        What::Signal(_)
        | What::Presence(_)
        | What::Edited(_)
        | What::Unedited(_)
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
