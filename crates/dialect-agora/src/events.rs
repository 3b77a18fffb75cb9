//! Events (`protocols/agora-rtm.md` §5): who came online and went, who came to channels and left. They are fed by the
//! presence of all dialects; what was handed out is gone, and of what nobody takes the newest are kept, in memory.

use crate::{
    convert, limits,
    project::Project,
    wire::{Event, EventChannel},
};
use edge::CancellationToken;
use model::{Change, ChannelChange, ChannelName, Presence, PresenceEvent, Result, UserId, What};
use service::{Access, Caller, Channels, Pattern, Topic};
use std::{
    collections::{BTreeSet, HashMap, VecDeque, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

/// The events of a project that nobody has taken yet.
#[derive(Default)]
pub struct Events {
    users: Queue,
    channels: Queue,
}

#[derive(Default)]
struct Queue(Mutex<VecDeque<Event>>);

impl Events {
    /// Takes the oldest events of users.
    pub fn take_of_users(&self) -> Vec<Event> {
        self.users.take()
    }

    /// Takes the oldest events of channels.
    pub fn take_of_channels(&self) -> Vec<Event> {
        self.channels.take()
    }
}

impl Queue {
    fn take(&self) -> Vec<Event> {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = events.len().min(limits::EVENTS_ANSWERED);
        events.drain(..count).collect()
    }

    fn put(&self, event: Event) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() >= limits::EVENTS_KEPT {
            events.pop_front();
        }
        events.push_back(event);
    }
}

/// Collects the events of a project until `stop` is cancelled, whatever happens.
pub async fn collect(channels: Channels, project: Arc<Project>, stop: CancellationToken) {
    let mut collector = Collector { channels, project, places: HashMap::new() };
    loop {
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = collector.follow() => ended,
        };
        if let Err(error) = ended {
            tracing::warn!(%error, app = %collector.project.settings.app, "collecting Agora's events; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(limits::COLLECT_AGAIN) => {}
        }
    }
}

/// Turns presence into events.
struct Collector {
    channels: Channels,
    project: Arc<Project>,
    /// Where each user is, as far as was told: presence itself may be ahead of what it tells.
    places: HashMap<UserId, BTreeSet<ChannelName>>,
}

impl Collector {
    /// Follows who comes and goes, until that fails.
    async fn follow(&mut self) -> Result<()> {
        let caller = self.caller();
        let everywhere = vec![Topic::PresencePattern(Pattern::new("*")?)];
        let mut subscription = self.channels.subscribe(&caller, everywhere, None).await?;
        self.look_around(self.channels.frontier().unix_ms()).await?;
        loop {
            for item in subscription.next().await?.items {
                if let Change::Channel(ChannelChange { id, channel, what: What::Presence(presence), .. }) =
                    &*item.change
                    && self.project.reaches(&channel.name)
                {
                    let at = Moment { channel: channel.name.clone(), ms: id.unix_ms() };
                    self.take_in(&at, presence).await?;
                }
            }
        }
    }

    async fn take_in(&mut self, at: &Moment, presence: &Presence) -> Result<()> {
        match &presence.event {
            PresenceEvent::Joined { user, .. } => self.joined(at, user),
            PresenceEvent::Left { user, .. } | PresenceEvent::TimedOut { user, .. } => self.left(at, user),
            PresenceEvent::StateChanged { .. } => {}
            PresenceEvent::Interval { joined, left, timed_out } => {
                left.iter().chain(timed_out).for_each(|user| self.left(at, user));
                joined.iter().for_each(|user| self.joined(at, user));
                if joined.is_empty() && left.is_empty() && timed_out.is_empty() {
                    self.look_around(at.ms).await?;
                }
            }
        }
        Ok(())
    }

    fn joined(&mut self, at: &Moment, user: &UserId) {
        let places = self.places.entry(user.clone()).or_default();
        if places.is_empty() {
            self.project.events.users.put(event(user, "Login", None, at.ms));
        }
        // An interval also tells of who went and came back within it.
        if places.insert(at.channel.clone()) {
            self.project.events.channels.put(event(user, "Join", Some(&at.channel), at.ms));
        }
    }

    fn left(&mut self, at: &Moment, user: &UserId) {
        self.project.events.channels.put(event(user, "Leave", Some(&at.channel), at.ms));
        if let Entry::Occupied(mut places) = self.places.entry(user.clone()) {
            places.get_mut().remove(&at.channel);
            if places.get().is_empty() {
                places.remove();
                self.project.events.users.put(event(user, "Logout", None, at.ms));
            }
        }
    }

    /// After something was not told: whoever is nowhere any more has gone.
    async fn look_around(&mut self, ms: u64) -> Result<()> {
        let known: Vec<UserId> = self.places.keys().cloned().collect();
        for user in &known {
            let there = self.channels.where_is(&self.caller(), user).await?;
            let Entry::Occupied(mut places) = self.places.entry(user.clone()) else { continue };
            places.get_mut().retain(|place| there.contains(place));
            if places.get().is_empty() {
                places.remove();
                self.project.events.users.put(event(user, "Logout", None, ms));
            }
        }
        Ok(())
    }

    /// It sees everybody; the project's scope is asked of each channel.
    fn caller(&self) -> Caller {
        Caller { app: self.project.settings.app.clone(), user: None, access: Arc::new(Access::admin()) }
    }
}

/// Where and when somebody came or went.
struct Moment {
    channel: ChannelName,
    ms: u64,
}

fn event(user: &UserId, kind: &'static str, channel: Option<&ChannelName>, ms: u64) -> Event {
    let channel = channel.map(|name| EventChannel { group_id: name.to_string(), channel_id: name.to_string() });
    Event { user_id: convert::shown(user).to_owned(), r#type: kind, channel, ms, ts: ms }
}
