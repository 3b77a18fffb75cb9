//! Those who follow: each thing once, in order, nothing that they may not see, and everything that they are owed.

use crate::{
    asks::shows_nothing_below,
    cast::{self, GRANT, app, room},
    lies,
    steps::{CALLERS, FOLLOWERS, From},
    truth::{Sight, sight_of},
    world::{World, check},
    writes::in_channel,
};
use model::{Change, Channel, ChannelChange, Clock, ErrorKind, Id, Message, Seq, What};
use service::{Access, Caller, Delivery, Item, Rights, Standing, Subscription, Topic};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use testkit::judge::Verdict;

/// One who follows topics, over any number of subscriptions, from one cursor.
pub struct Follower {
    by: u8,
    caller: Caller,
    topics: Vec<Topic>,
    subscription: Option<Subscription>,
    cursor: Id,
    /// The frontier when this subscription began, and what was seen then of each room.
    began: Id,
    seen_at_first: BTreeMap<Channel, (Id, Seq)>,
    /// What was hidden at any moment since, at most.
    hidden: BTreeMap<Channel, (Id, Seq)>,
    /// The latest moment since.
    latest: Id,
    policies_changed: bool,
    stands_on: Option<Standing>,
}

impl Follower {
    pub fn policies_changed(&mut self) {
        self.policies_changed = true;
    }

    /// Where its access ended, if it has.
    fn ended_at(&self) -> Option<Id> {
        self.stands_on.as_ref().and_then(Standing::ended_at)
    }

    fn position(&self) -> Id {
        self.subscription.as_ref().map_or(self.cursor, Subscription::cursor)
    }
}

impl World {
    pub async fn follow(&mut self, who: u8, by: u8, topics: &[u8], from: From) -> Verdict {
        self.leave(who);
        let (caller, stands_on) = self.follower_caller(by).await?;
        let topics: Vec<Topic> = topics.iter().map(|n| cast::topic(*n)).collect();
        let old = self.followers.remove(&who);
        let from = match (from, &old) {
            (From::Now, _) => None,
            (From::Beginning, _) => Some(Id::MIN),
            (From::Cursor, old) => old.as_ref().map(|old| old.cursor),
        };
        let expected = if topics.iter().all(|topic| may_follow(&caller.access, topic)) {
            Ok(())
        } else {
            Err(ErrorKind::Forbidden)
        };
        let told = self.within(self.channels.subscribe(&caller, topics.clone(), from)).await?;
        let Some(subscription) = self.told(told, expected)? else { return Ok(()) };
        let began = self.channels.frontier();
        let now = self.clock.now_ticks();
        let first = from.unwrap_or(began).max(sight_of(&caller, now).after).min(began);
        check(subscription.cursor() >= first, || format!("begins at {:?}, not {first:?}", subscription.cursor()))?;
        let seen_at_first = self.rooms().into_iter().map(|channel| {
            let (after, above) = self.hidden_of(&caller, &channel);
            (channel, (after, above))
        });
        let seen_at_first: BTreeMap<_, _> = seen_at_first.collect();
        let follower = Follower {
            by,
            caller,
            topics,
            cursor: first,
            subscription: Some(subscription),
            began,
            hidden: seen_at_first.clone(),
            seen_at_first,
            latest: self.now(),
            policies_changed: false,
            stands_on,
        };
        self.followers.insert(who, follower);
        Ok(())
    }

    /// The last of the callers stands on a grant as it is now.
    async fn follower_caller(&self, by: u8) -> Result<(Caller, Option<Standing>), String> {
        let caller = self.caller(by);
        if by < CALLERS {
            return Ok((caller, None));
        }
        let standing = self.within(self.channels.standing(&app(), GRANT)).await?.map_err(|e| format!("{e:?}"))?;
        let mut access = Access::admin();
        access.stands_on = Some(standing.clone());
        Ok((Caller { access: Arc::new(access), ..caller }, Some(standing)))
    }

    /// It goes away.
    pub fn leave(&mut self, who: u8) {
        if let Some(follower) = self.followers.get_mut(&who) {
            follower.cursor = follower.position().max(follower.cursor);
            follower.subscription = None;
        }
    }

    /// Takes what is owed, in at most so many deliveries.
    pub async fn poll(&mut self, who: u8, deliveries: usize) -> Verdict {
        self.watch_windows();
        for _ in 0..deliveries {
            let Some(mut follower) = self.followers.remove(&who) else { return Ok(()) };
            let Some(mut subscription) = follower.subscription.take() else {
                self.followers.insert(who, follower);
                return Ok(());
            };
            let position = follower.cursor;
            let is_owed = self.owed(&follower, position, Id::MAX)?.is_some();
            let has_ended = follower.ended_at().is_some();
            if !is_owed && !has_ended {
                follower.subscription = Some(subscription);
                self.followers.insert(who, follower);
                return Ok(());
            }
            let told = self.within(subscription.next()).await;
            let told = told.map_err(|why| {
                let owed = self.owed(&follower, position, Id::MAX);
                format!(
                    "{why}: follower {who} by {} of {:?} at {position:?}, owed {owed:?}",
                    follower.by, follower.topics
                )
            })?;
            match told {
                Ok(mut delivery) => {
                    lies::delivered(self.lie, &mut delivery.items);
                    let judged = self.is_delivery(&follower, position, &delivery);
                    judged
                        .map_err(|why| format!("follower {who} by {} of {:?}: {why}", follower.by, follower.topics))?;
                    follower.cursor = delivery.cursor;
                    follower.subscription = Some(subscription);
                    self.followers.insert(who, follower);
                }
                // Its access is over: it is gone, and its cursor with it.
                Err(error) if error.kind == ErrorKind::Forbidden && has_ended => return Ok(()),
                Err(error) => return Err(format!("follower {who}: {error:?}")),
            }
        }
        Ok(())
    }

    /// Everybody takes everything.
    pub async fn poll_all(&mut self) -> Verdict {
        for who in 0..FOLLOWERS {
            self.poll(who, 10_000).await?;
        }
        Ok(())
    }

    /// Notes how much is hidden now: who was not shown something then is owed it no more.
    pub fn watch_windows(&mut self) {
        let mut followers = std::mem::take(&mut self.followers);
        for follower in followers.values_mut() {
            follower.latest = follower.latest.max(self.now());
            for (channel, (after, above)) in &mut follower.hidden {
                let (now_after, now_above) = self.hidden_of(&follower.caller, channel);
                *after = (*after).max(now_after);
                *above = (*above).max(now_above);
            }
        }
        self.followers = followers;
    }

    /// What is hidden of a channel: everything up to an id, and up to a seq.
    fn hidden_of(&self, caller: &Caller, channel: &Channel) -> (Id, Seq) {
        let now = self.clock.now_ticks();
        let sight: Sight = sight_of(caller, now).and(self.truth.kept(&channel.name, now));
        (sight.after, sight.above(self.truth.head(channel).last.seq))
    }

    fn is_delivery(&self, follower: &Follower, position: Id, delivery: &Delivery) -> Verdict {
        let Delivery { items, cursor } = delivery;
        let frontier = self.channels.frontier();
        check(*cursor <= frontier, || format!("the cursor {cursor:?} passes the frontier {frontier:?}"))?;
        check(*cursor >= position, || format!("the cursor goes back from {position:?} to {cursor:?}"))?;
        let mut last = position;
        for item in items {
            let id = item.change.id();
            check(id > last, || format!("{id:?} comes after {last:?}"))?;
            check(id <= *cursor, || format!("{id:?} is above the cursor {cursor:?}"))?;
            last = id;
            self.is_explained(follower, item).map_err(|why| format!("{why}: {:?}", item.change))?;
        }
        let given: BTreeSet<Id> = items.iter().map(|item| item.change.id()).collect();
        match self.owed_but(follower, position, *cursor, &given)? {
            Some(change) => Err(format!("passed over {change:?}, going from {position:?} to {cursor:?}")),
            None => Ok(()),
        }
    }

    /// Whether it happened as it is told, matches, and may be seen.
    fn is_explained(&self, follower: &Follower, item: &Item) -> Verdict {
        let told = in_channel(&item.change).ok_or("records are not delivered")?;
        let happened = self.truth.happened.get(&told.id).ok_or("it did not happen")?;
        let happened = in_channel(happened).ok_or("a record happened")?;
        check(told.channel == happened.channel, || format!("it happened in {:?}", happened.channel))?;
        self.is_same(told, happened)?;
        let topics = self.matching(follower, happened, true);
        check(topics.contains(&item.topic), || format!("topic {} of {topics:?}", item.topic))?;
        check(follower.ended_at().is_none_or(|end| told.id < end), || "its access is over".into())?;
        if let What::Published { message, .. } = &told.what {
            check(!message.is_expired(self.now()), || "its time is over".into())?;
        }
        self.is_in_window(follower, told)
    }

    fn is_in_window(&self, follower: &Follower, told: &ChannelChange) -> Verdict {
        let Some((after, above)) = follower.seen_at_first.get(&told.channel) else { return Ok(()) };
        // A clock that was set back shows again what was too old by then.
        let (now_after, _) = self.hidden_of(&follower.caller, &told.channel);
        let after = if follower.policies_changed { Id::MIN } else { now_after.min(*after) };
        let above = if follower.policies_changed { Seq::NONE } else { *above };
        match &told.what {
            What::Published { message, .. } => {
                let new = message.id > follower.began;
                check(new || message.id > after && message.seq > above, || format!("hidden up to {after:?}, {above:?}"))
            }
            What::Edited(edit) if edit.message <= follower.began => {
                check(edit.message > after && edit.seq > above, || format!("hidden up to {after:?}, {above:?}"))
            }
            _ => {
                let shown = Change::Channel(told.clone());
                let hidden = after.min(follower.began);
                check(shows_nothing_below(&shown, hidden), || format!("hidden up to {after:?}"))
            }
        }
    }

    /// Whether a change is told as it happened: messages perhaps with a later content, removals as far as they may be seen.
    fn is_same(&self, told: &ChannelChange, happened: &ChannelChange) -> Verdict {
        let same = match (&told.what, &happened.what) {
            (What::Published { message, .. }, What::Published { message: first, .. }) => {
                message == first || self.truth.oracle.stored_messages(&told.channel).contains(message)
            }
            (What::Deleted(told), What::Deleted(all)) | (What::Expired(told), What::Expired(all)) => {
                told.by == all.by && told.ids.iter().all(|id| all.ids.contains(id))
            }
            (told, happened) => told == happened,
        };
        check(same, || format!("it happened as {happened:?}"))
    }

    /// The first change in `after..=upto` that the follower must be given.
    fn owed(&self, follower: &Follower, after: Id, upto: Id) -> Result<Option<Arc<Change>>, String> {
        self.owed_but(follower, after, upto, &BTreeSet::new())
    }

    fn owed_but(
        &self,
        follower: &Follower,
        after: Id,
        upto: Id,
        given: &BTreeSet<Id>,
    ) -> Result<Option<Arc<Change>>, String> {
        use std::ops::Bound::{Excluded, Included};
        if after >= upto {
            return Ok(None);
        }
        for (id, change) in self.truth.happened.range((Excluded(after), Included(upto))) {
            let Some(happened) = in_channel(change).filter(|_| !given.contains(id)) else { continue };
            if self.is_owed(follower, happened) {
                return Ok(Some(change.clone()));
            }
        }
        Ok(None)
    }

    fn is_owed(&self, follower: &Follower, happened: &ChannelChange) -> bool {
        let ChannelChange { id, channel, what, .. } = happened;
        if follower.ended_at().is_some_and(|end| end <= *id) || self.matching(follower, happened, false).is_empty() {
            return false;
        }
        let (after, above) = follower.hidden.get(channel).copied().unwrap_or_default();
        let may_be_hidden =
            |message: &Message| message.id <= follower.began && (message.id <= after || message.seq <= above);
        let was_due = |message: &Message| message.expires_at.is_some_and(|due| due <= follower.latest);
        // What is removed is taken out of the ring, with its edits.
        let is_there = |id: Id| self.truth.state(channel).there().any(|there| there.id == id);
        let in_ring = *id > self.ring_begins && !self.truth.erased;
        match what {
            What::Published { message, .. } => is_there(message.id) && !may_be_hidden(message) && !was_due(message),
            What::Edited(edit) => in_ring && is_there(edit.message) && edit.message > follower.began,
            What::Unstored(message) => in_ring && !was_due(message),
            What::Signal(_) | What::Presence(_) => in_ring,
            // Of messages that came before it some may be hidden, and then this is, too.
            _ => in_ring && shows_nothing_below(&Change::Channel(happened.clone()), follower.began),
        }
    }

    /// The topics that a change may be told for: the channel itself before the group, then patterns, longer ones before
    /// shorter. None when there is a doubt and it has to be sure.
    fn matching(&self, follower: &Follower, happened: &ChannelChange, in_doubt: bool) -> Vec<usize> {
        let name = &happened.channel.name;
        let at = |wanted: &dyn Fn(&Topic) -> bool| follower.topics.iter().position(wanted);
        if matches!(happened.what, What::Presence(_)) {
            let here = at(&|topic| matches!(topic, Topic::Presence(channel) if channel == name));
            let anywhere = at(&|topic| matches!(topic, Topic::PresencePattern(pattern) if pattern.matches(name)));
            return here.or(anywhere).into_iter().collect();
        }
        if let Some(at) = at(&|topic| matches!(topic, Topic::Channel(channel) if channel == name)) {
            return vec![at];
        }
        let mut found = Vec::new();
        if let Some(at) = at(&|topic| matches!(topic, Topic::Group(_))) {
            match self.is_grouped(follower, happened) {
                Some(true) => return vec![at],
                Some(false) => {}
                None if in_doubt => found.push(at),
                // It comes for the group or for a pattern, or not at all.
                None => return Vec::new(),
            }
        }
        let mut patterns: Vec<(usize, usize)> = Vec::new();
        for (at, topic) in follower.topics.iter().enumerate() {
            if let Topic::Pattern(pattern) = topic
                && pattern.matches(name)
            {
                patterns.push((pattern.prefix().len(), at));
            }
        }
        let longest = patterns.iter().map(|(len, _)| *len).max();
        found.extend(patterns.iter().find(|(len, _)| Some(*len) == longest).map(|(_, at)| *at));
        found
    }

    /// Whether the channel belonged to the group where it counts; none if that depends on how far back the ring reaches.
    fn is_grouped(&self, follower: &Follower, happened: &ChannelChange) -> Option<bool> {
        let name = &happened.channel.name;
        let then = self.truth.is_member(name, happened.id);
        if happened.id > follower.began.max(self.ring_begins) {
            return Some(then);
        }
        let changed = self.truth.members.iter().any(|(_, member, _)| member == name);
        let ever = self.truth.was_member(name, Id::MIN, Id::MAX);
        match (ever, changed && self.truth.members.iter().any(|(_, member, added)| member == name && !added)) {
            (false, _) => Some(false),
            (true, false) if then => Some(true),
            _ => None,
        }
    }
}

fn may_follow(access: &Access, topic: &Topic) -> bool {
    match topic {
        Topic::Channel(name) => access.allows(name, Rights::READ),
        Topic::Pattern(pattern) if pattern.is_unlisted() => access.allows(&room(5).name, Rights::READ),
        Topic::Pattern(pattern) => access.allows_prefix(pattern.prefix(), Rights::READ),
        Topic::Group(group) => access.allows_group(group, Rights::READ),
        Topic::Presence(name) => access.allows(name, Rights::PRESENCE),
        Topic::PresencePattern(pattern) => access.allows_prefix(pattern.prefix(), Rights::PRESENCE),
        Topic::PresenceGroup(group) => access.allows_group(group, Rights::PRESENCE),
    }
}
