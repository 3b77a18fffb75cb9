//! What a subscription reads from the store to catch up: few channels by merging them, a row at a time; many, and
//! patterns, from the feed in one scan. In pieces of bounded size and work, so that a long catch-up moves on visibly.

use crate::{
    Settings,
    access::Visible,
    hash::{Hasher, Place},
    hidden::{Hidden, reach_of},
    merge::Merge,
    policies::Policies,
    sequencer::SHARD,
    subscription::{Delivery, Item},
    topic::{Topic, Topics},
};
use model::{
    Change, Channel, ChannelChange, ChannelNumber, Clock, Effort, Error, FeedItem, FeedKind, Head, Id, Message, Order,
    Result, Seq, Span, Store, What, Window,
};
use std::{collections::HashMap, sync::Arc};

/// Up to so many channels are merged rather than found in the feed, which holds everybody's changes.
const MERGE_CHANNELS: usize = 64;
/// Changes of the feed that are looked at together.
const FEED_ITEMS: u32 = 1_000;
/// Matching changes of the feed whose messages are read together.
const FEED_READS: usize = 32;
/// Channels whose floor is remembered; more are asked for again.
const FLOORS: usize = 10_000;
/// Channels that are listed together to find those that match a pattern.
const LISTED: u32 = 1_000;

/// How much may go into one delivery.
pub(crate) struct Budget<'a> {
    changes: usize,
    bytes: usize,
    until: u64,
    clock: &'a dyn Clock,
    /// How many channels may be merged.
    channels: usize,
}

/// Reads the past of a subscription.
pub(crate) struct Past {
    topics: Arc<Topics>,
    hasher: Hasher,
    policies: Arc<Policies>,
    visible: Visible,
    /// The frontier when it began: what came later is shown whatever the window.
    began: Id,
    /// The greatest hidden seq of channels of which only the newest n are shown or kept.
    floors: HashMap<Place, Seq>,
    /// The hidden part of channels, as of when it was looked up.
    hidden: HashMap<Place, Hidden>,
    merge: Option<Merge>,
}

/// What becomes of a change on its way to the subscriber.
pub(crate) enum Seen {
    /// It is shown, as it is or what is left of it.
    Shown(Arc<Change>),
    /// It is about messages that are hidden.
    Hidden,
    /// It has to be looked up where the hidden part of its channel ends.
    Unknown,
}

impl<'a> Budget<'a> {
    pub fn new(settings: &Settings, clock: &'a dyn Clock) -> Budget<'a> {
        let work = (settings.delivery_work.as_nanos() / 100) as u64;
        let until = clock.monotonic_ticks().saturating_add(work);
        Budget {
            changes: settings.delivery_changes.max(1),
            bytes: settings.delivery_bytes.max(1),
            until,
            clock,
            channels: settings.catch_up_channels,
        }
    }

    /// A change of this cost was taken in.
    pub fn spend(&mut self, cost: usize) {
        self.changes = self.changes.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(cost);
    }

    pub fn is_spent(&self) -> bool {
        self.changes == 0 || self.bytes == 0
    }

    /// The same, or it took long enough. Asked between pieces of work, not for each change.
    pub fn is_over(&self) -> bool {
        self.is_spent() || self.clock.monotonic_ticks() >= self.until
    }
}

impl Past {
    pub fn new(topics: Arc<Topics>, hasher: Hasher, policies: Arc<Policies>, visible: Visible, began: Id) -> Past {
        let (floors, hidden) = (HashMap::new(), HashMap::new());
        Past { topics, hasher, policies, visible, began, floors, hidden, merge: None }
    }

    /// From here on these are followed: the past of the others was read, or begins now.
    pub fn follow(&mut self, topics: Arc<Topics>) {
        self.topics = topics;
    }

    /// A piece of what matches in (`position`, `upto`]. Blocks.
    pub fn read(
        &mut self,
        store: &dyn Store,
        position: Id,
        upto: Id,
        now: Id,
        mut budget: Budget<'_>,
    ) -> Result<Delivery> {
        if let Some(merge) = &mut self.merge {
            let delivery = merge.read(store, position, now, &mut budget)?;
            if delivery.cursor >= merge.upto() {
                self.merge = None;
            }
            return Ok(delivery);
        }
        let span = Span { after: position, upto };
        match self.topics.only_channels() {
            Some(channels) if channels.len() <= MERGE_CHANNELS => self.start_merge(store, channels, span, now)?,
            channels => {
                if let Some(delivery) = self.read_feed(store, span, now, &mut budget)? {
                    return Ok(delivery);
                }
                let channels = match channels {
                    Some(channels) => channels,
                    None => self.list_channels(store, budget.channels)?,
                };
                self.start_merge(store, channels, span, now)?;
            }
        }
        self.read(store, position, upto, now, budget)
    }

    fn start_merge(&mut self, store: &dyn Store, channels: Vec<Channel>, span: Span, now: Id) -> Result<()> {
        let mut lanes = Vec::with_capacity(channels.len());
        for channel in channels {
            let place = self.hasher.place(&channel);
            if let Some(topic) = self.topics.matching(&self.hasher, &channel, place) {
                let above = self.above(store, &channel, place)?;
                let after = self.kept(&channel, now).after;
                lanes.push((channel, topic as usize, above, after));
            }
        }
        self.merge = Some(Merge::new(lanes, span));
        Ok(())
    }

    /// A piece of the feed; nothing if the feed does not reach back to where the span begins.
    fn read_feed(
        &mut self,
        store: &dyn Store,
        span: Span,
        now: Id,
        budget: &mut Budget<'_>,
    ) -> Result<Option<Delivery>> {
        let mut delivery = Delivery { items: Vec::new(), cursor: span.after };
        while delivery.cursor < span.upto && !budget.is_over() {
            let rest = Span { after: delivery.cursor, upto: span.upto };
            let feed = store.feed(SHARD, rest, FEED_ITEMS)?;
            if feed.starts_after > rest.after {
                return Ok(if delivery.items.is_empty() { None } else { Some(delivery) });
            }
            let matching: Vec<(FeedItem, Place, u32)> =
                feed.items.into_iter().filter_map(|item| self.matching(item)).collect();
            let mut chunks = matching.chunks(FEED_READS).peekable();
            while let Some(chunk) = chunks.next() {
                self.read_items(store, chunk, now, &mut delivery.items, budget)?;
                delivery.cursor = chunk.last().map_or(delivery.cursor, |(item, ..)| item.id);
                if chunks.peek().is_some() && budget.is_spent() {
                    return Ok(Some(delivery));
                }
            }
            delivery.cursor = feed.examined;
        }
        Ok(Some(delivery))
    }

    /// Of what is older than the ring, only messages are delivered, with their newest content: what happened to them is
    /// told by the change feeds of their channels.
    fn matching(&self, item: FeedItem) -> Option<(FeedItem, Place, u32)> {
        if item.kind != FeedKind::Published {
            return None;
        }
        let channel = item.channel.as_ref()?;
        let place = self.hasher.place(channel);
        let topic = self.topics.matching(&self.hasher, channel, place)?;
        Some((item, place, topic))
    }

    /// Reads the messages that these items tell of: each channel once.
    fn read_items(
        &mut self,
        store: &dyn Store,
        items: &[(FeedItem, Place, u32)],
        now: Id,
        into: &mut Vec<Item>,
        budget: &mut Budget<'_>,
    ) -> Result<()> {
        let mut spans: HashMap<Place, (&Channel, u32, Span)> = HashMap::new();
        for (item, place, topic) in items {
            let Some(channel) = &item.channel else { continue };
            let first = Span { after: item.id.previous(), upto: item.id };
            spans.entry(*place).or_insert((channel, *topic, first)).2.upto = item.id;
        }
        let start = into.len();
        for (place, (channel, topic, mut span)) in spans {
            let above = self.above(store, channel, place)?;
            span = self.kept(channel, now).cut(span);
            while !span.is_empty() {
                let page = read(store, channel, span, items.len() as u32, above, now)?;
                into.extend(page.messages.into_iter().map(|message| as_item(channel, topic as usize, message)));
                span.after = if page.more { page.covered.upto } else { span.upto };
            }
        }
        into[start..].sort_unstable_by_key(|item| item.change.id());
        into[start..].iter().for_each(|item| budget.spend(item.change.cost()));
        Ok(())
    }

    /// The channels that match the topics, as far as anything was ever stored in them.
    fn list_channels(&self, store: &dyn Store, most: usize) -> Result<Vec<Channel>> {
        let mut found: HashMap<Place, Channel> = HashMap::new();
        let app = &self.topics.app;
        for topic in &self.topics.list {
            let pattern = match topic {
                Topic::Channel(name) => {
                    let channel = Channel { app: self.topics.app.clone(), name: name.clone() };
                    found.insert(self.hasher.place(&channel), channel);
                    continue;
                }
                Topic::Pattern(pattern) if pattern.is_unlisted() => {
                    let text =
                        "from: channels without a name in the clear are followed only as far back as the feed reaches";
                    return Err(Error::invalid(text));
                }
                Topic::Group(group) => {
                    let named = self.topics.reached(group).map(|name| Channel { app: app.clone(), name: name.clone() });
                    found.extend(named.map(|channel| (self.hasher.place(&channel), channel)));
                    continue;
                }
                Topic::Presence(_) | Topic::PresencePattern(_) | Topic::PresenceGroup(_) => continue,
                Topic::Pattern(pattern) => pattern,
            };
            let mut after = None;
            loop {
                let listed = store.channels(&self.topics.app, pattern.prefix(), after.as_ref(), LISTED)?;
                let complete = listed.len() < LISTED as usize;
                after = listed.last().map(|entry| entry.channel.name.clone());
                found.extend(listed.into_iter().map(|entry| (self.hasher.place(&entry.channel), entry.channel)));
                if found.len() > most {
                    return Err(Error::invalid(format!(
                        "from: so far back only {most} channels can be followed at once, and {pattern} matches more"
                    )));
                }
                if complete {
                    break;
                }
            }
        }
        Ok(found.into_values().collect())
    }

    /// Whether something that lies in the ring, or comes live, may be hidden.
    pub fn hides(&self, now: Id) -> bool {
        !self.topics.access.visible(now.ticks()).is_all() || self.policies.of(&self.topics.app).forgets()
    }

    /// What is shown of a change that lies in the ring or came live. What happened to messages that came after the
    /// subscription began is always shown: the subscriber has them.
    pub fn see(&self, change: Arc<Change>, now: Id) -> Seen {
        let Change::Channel(happened) = &*change else { return Seen::Hidden };
        let Some((after, upto)) = reach_of(&happened.what).filter(|(after, _)| *after < self.began) else {
            return Seen::Shown(change);
        };
        let visible = self.visible_of(&happened.channel, now);
        if upto <= visible.after {
            return Seen::Hidden;
        }
        if visible.newest.is_none() && after >= visible.after {
            return Seen::Shown(change);
        }
        let known = self.hidden.get(&self.hasher.place(&happened.channel));
        // Where the window moves with time, what was looked up grows old.
        match known.filter(|hidden| hidden.upto >= visible.after.min(self.began)) {
            Some(hidden) => hidden.cut(change).map_or(Seen::Hidden, Seen::Shown),
            None => Seen::Unknown,
        }
    }

    /// The channels of which the hidden part has to be looked up, with what is visible of them.
    pub fn unknown(&self, items: &[Item], now: Id) -> Vec<(Channel, Visible)> {
        let mut unknown = HashMap::new();
        for item in items {
            if let (Change::Channel(happened), Seen::Unknown) = (&*item.change, self.see(item.change.clone(), now)) {
                let channel = &happened.channel;
                let entry = unknown.entry(self.hasher.place(channel));
                entry.or_insert_with(|| (channel.clone(), self.visible_of(channel, now)));
            }
        }
        unknown.into_values().collect()
    }

    /// Looks up the hidden part of channels. Blocks.
    pub fn look_up(store: &dyn Store, channels: Vec<(Channel, Visible)>, began: Id) -> Result<Vec<(Channel, Hidden)>> {
        let look_up = |(channel, visible): (Channel, Visible)| {
            let hidden = Hidden::upto(store, &channel, visible, began)?;
            Ok((channel, hidden))
        };
        channels.into_iter().map(look_up).collect()
    }

    /// Remembers what was looked up.
    pub fn set_hidden(&mut self, found: Vec<(Channel, Hidden)>) {
        if self.hidden.len() + found.len() > FLOORS {
            self.hidden.clear();
        }
        self.hidden.extend(found.into_iter().map(|(channel, hidden)| (self.hasher.place(&channel), hidden)));
    }

    /// The frontier when it began.
    pub fn began(&self) -> Id {
        self.began
    }

    /// What the caller's window and retention leave of a channel.
    fn visible_of(&self, channel: &Channel, now: Id) -> Visible {
        self.topics.access.visible(now.ticks()).and(self.kept(channel, now))
    }

    /// What a channel keeps.
    fn kept(&self, channel: &Channel, now: Id) -> Visible {
        self.policies.retention(channel).visible(now.ticks())
    }

    /// How many of the newest messages of a channel are shown.
    fn newest(&self, channel: &Channel) -> Option<u64> {
        [self.visible.newest, self.policies.retention(channel).messages].into_iter().flatten().min()
    }

    fn set_floors(&mut self, channels: &[Channel], heads: &[Head]) {
        if self.floors.len() + channels.len() > FLOORS {
            self.floors.clear();
        }
        for (channel, head) in channels.iter().zip(heads) {
            let visible = Visible { after: Id::MIN, newest: self.newest(channel) };
            self.floors.insert(self.hasher.place(channel), visible.above(head.last.seq));
        }
    }

    fn above(&mut self, store: &dyn Store, channel: &Channel, place: Place) -> Result<Seq> {
        if self.newest(channel).is_none() {
            return Ok(Seq::NONE);
        }
        if let Some(floor) = self.floors.get(&place) {
            return Ok(*floor);
        }
        let channels = std::slice::from_ref(channel);
        self.set_floors(channels, &store.heads(channels)?);
        Ok(self.floors.get(&place).copied().unwrap_or(Seq::NONE))
    }
}

/// Messages of a channel from the beginning of a span.
pub(crate) fn read(
    store: &dyn Store,
    channel: &Channel,
    span: Span,
    limit: u32,
    above: Seq,
    now: Id,
) -> Result<model::Page> {
    let window = Window { span, order: Order::Ascending, limit, above, author: None, custom_type: None, now };
    let page = store.read(channel, &window, Effort::Disk)?;
    page.ok_or_else(|| Error::internal("the store gave no page although it may take any effort"))
}

pub(crate) fn as_item(channel: &Channel, topic: usize, message: Arc<Message>) -> Item {
    let what = What::Published { message: message.clone(), key: None, first: false };
    let change = ChannelChange { id: message.id, channel: channel.clone(), number: ChannelNumber::NONE, what };
    Item { change: Arc::new(Change::Channel(change)), topic }
}
