//! What is to be announced of who came and went: one event each on small channels, on large ones what came together in
//! an interval. What cannot be announced, because too much waits or the store failed, becomes an interval with empty
//! lists, at which a reader asks who is there: so nobody believes for ever what is not true.

use crate::Settings;
use model::{Channel, Presence, PresenceEvent, UserId};
use std::{
    collections::{HashMap, VecDeque},
    mem,
};

/// Ends of intervals that went before which are kept before they are cleared away.
const ENDS_KEPT: usize = 1_000;

pub(super) struct News {
    /// Ready to go, in order.
    outbox: VecDeque<(Channel, Presence)>,
    /// What waits for the end of its interval.
    notes: HashMap<Channel, Notes>,
    /// The ends of intervals, in order; those of notes that went before are passed over.
    ends: VecDeque<(u64, Channel)>,
    most_waiting: usize,
    most_noted: usize,
    most_listed: usize,
    announced_users: u64,
    interval_ticks: u64,
}

/// What happened on a channel since its last interval: of each user who came or went what it did last.
struct Notes {
    ends: u64,
    users: HashMap<UserId, Note>,
    /// The lists would be too long or are not complete.
    unlisted: bool,
    occupancy: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Note {
    Joined,
    Left,
    TimedOut,
}

impl News {
    pub fn new(settings: &Settings) -> News {
        News {
            outbox: VecDeque::new(),
            notes: HashMap::new(),
            ends: VecDeque::new(),
            most_waiting: settings.presence_waiting,
            most_noted: settings.presence_connections,
            most_listed: settings.presence_interval_users,
            announced_users: settings.presence_announced_users as u64,
            interval_ticks: (settings.presence_interval.as_nanos() / 100) as u64,
        }
    }

    /// Something happened on a channel.
    pub fn announce(&mut self, channel: &Channel, presence: Presence, now: u64) {
        if presence.occupancy > self.announced_users || self.outbox.len() >= self.most_waiting {
            self.note(channel, &presence, now);
            return;
        }
        if let Some(notes) = self.notes.remove(channel) {
            self.outbox.push_back((channel.clone(), notes.into_presence()));
        }
        self.outbox.push_back((channel.clone(), presence));
    }

    /// An event that was taken from the outbox could not be announced.
    pub fn failed(&mut self, channel: &Channel, occupancy: u64, now: u64) {
        let notes = self.notes_of(channel, now);
        if let Some(notes) = notes {
            notes.unlisted = true;
            notes.occupancy = occupancy;
        }
    }

    /// Moves intervals that are over to the outbox.
    pub fn end_intervals(&mut self, now: u64) {
        while let Some((ends, _)) = self.ends.front()
            && *ends <= now
            && self.outbox.len() < self.most_waiting
        {
            let Some((ends, channel)) = self.ends.pop_front() else { return };
            if self.notes.get(&channel).is_some_and(|notes| notes.ends == ends)
                && let Some(notes) = self.notes.remove(&channel)
                && notes.tells_something()
            {
                self.outbox.push_back((channel, notes.into_presence()));
            }
        }
    }

    pub fn next_interval(&self) -> Option<u64> {
        self.ends.front().map(|(ends, _)| *ends)
    }

    /// The next events to announce, at most so many.
    pub fn take(&mut self, most: usize) -> Vec<(Channel, Presence)> {
        let count = self.outbox.len().min(most);
        self.outbox.drain(..count).collect()
    }

    pub fn is_waiting(&self) -> bool {
        !self.outbox.is_empty()
    }

    fn note(&mut self, channel: &Channel, presence: &Presence, now: u64) {
        let most_listed = self.most_listed;
        if let Some(notes) = self.notes_of(channel, now) {
            notes.add(presence, most_listed);
        }
    }

    /// The notes of a channel; none if there are too many already.
    fn notes_of(&mut self, channel: &Channel, now: u64) -> Option<&mut Notes> {
        if !self.notes.contains_key(channel) {
            if self.notes.len() >= self.most_noted {
                return None;
            }
            if self.ends.len() > 2 * self.notes.len() + ENDS_KEPT {
                let notes = &self.notes;
                self.ends.retain(|(ends, channel)| notes.get(channel).is_some_and(|notes| notes.ends == *ends));
            }
            let ends = now.saturating_add(self.interval_ticks);
            self.ends.push_back((ends, channel.clone()));
            self.notes.insert(channel.clone(), Notes { ends, users: HashMap::new(), unlisted: false, occupancy: 0 });
        }
        self.notes.get_mut(channel)
    }
}

impl Notes {
    fn add(&mut self, presence: &Presence, most_listed: usize) {
        self.occupancy = presence.occupancy;
        let (user, note) = match &presence.event {
            PresenceEvent::Joined { user, .. } => (user, Note::Joined),
            PresenceEvent::Left { user, .. } => (user, Note::Left),
            PresenceEvent::TimedOut { user, .. } => (user, Note::TimedOut),
            // Of states a reader of a large channel hears when it asks.
            PresenceEvent::StateChanged { .. } | PresenceEvent::Interval { .. } => return,
        };
        // Also of who came and went, or went and came: a reader who asked in between believes otherwise.
        if !self.unlisted {
            self.users.insert(user.clone(), note);
        }
        if self.users.len() > most_listed {
            self.users = HashMap::new();
            self.unlisted = true;
        }
    }

    fn tells_something(&self) -> bool {
        self.unlisted || !self.users.is_empty()
    }

    fn into_presence(mut self) -> Presence {
        let (mut joined, mut left, mut timed_out) = (Vec::new(), Vec::new(), Vec::new());
        let users = if self.unlisted { HashMap::new() } else { mem::take(&mut self.users) };
        for (user, note) in users {
            match note {
                Note::Joined => joined.push(user),
                Note::Left => left.push(user),
                Note::TimedOut => timed_out.push(user),
            }
        }
        Presence { event: PresenceEvent::Interval { joined, left, timed_out }, occupancy: self.occupancy }
    }
}
