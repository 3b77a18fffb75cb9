//! The table of who is on which channel. Plain data: it is told what happened and what time it is, and says what is to
//! be announced; it never waits and reads no clock. All times are monotonic ticks.

use super::news::News;
use crate::Settings;
use bytes::Bytes;
use model::{AppId, Channel, ChannelName, Error, ErrorKind, Presence, PresenceEvent, Result, UserId};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem,
    sync::Arc,
};

/// Who is on the channels of this node.
pub(super) struct Roster {
    /// By channel, so that the channels of an app lie together.
    rooms: BTreeMap<Channel, Room>,
    /// Where each user is.
    places: HashMap<(AppId, UserId), BTreeSet<ChannelName>>,
    /// Connections that have to be heard of by then. The serial tells those of one moment apart.
    deadlines: BTreeMap<(u64, u64), (Channel, SeatKey)>,
    pub news: News,
    serials: u64,
    seats: usize,
    bytes: usize,
    bounds: Bounds,
}

/// A connection on a channel: the same key of two users is two connections, so nobody takes another's place.
pub(super) type SeatKey = (UserId, Arc<str>);

struct Bounds {
    seats: usize,
    bytes: usize,
    user_channels: usize,
}

#[derive(Default)]
struct Room {
    users: BTreeMap<UserId, User>,
    seats: HashMap<SeatKey, Seat>,
}

struct User {
    state: Option<Bytes>,
    seats: usize,
    /// When it came, as a count of arrivals.
    serial: u64,
    data: Option<Bytes>,
}

struct Seat {
    /// Where it lies among the deadlines.
    deadline: Option<(u64, u64)>,
    timeout: Option<u64>,
    bytes: usize,
}

/// One connection that comes or is heard of.
pub(super) struct Sign {
    pub key: SeatKey,
    pub timeout: Option<u64>,
    pub state: Option<Bytes>,
    pub data: Option<Bytes>,
}

/// A user on a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// The JSON text that the user set for the channel.
    pub state: Option<Bytes>,
    /// What the dialect keeps with the user's connection.
    pub data: Option<Bytes>,
    /// Grows with the order of arrival.
    pub arrival: u64,
    /// How many connections it has on the channel.
    pub connections: usize,
}

/// Why a connection goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Left,
    TimedOut,
}

impl Roster {
    pub fn new(settings: &Settings) -> Roster {
        Roster {
            rooms: BTreeMap::new(),
            places: HashMap::new(),
            deadlines: BTreeMap::new(),
            news: News::new(settings),
            serials: 0,
            seats: 0,
            bytes: 0,
            bounds: Bounds {
                seats: settings.presence_connections,
                bytes: settings.presence_bytes,
                user_channels: settings.presence_user_channels,
            },
        }
    }

    /// Takes a connection in on all of these channels, or hears of it again; or refuses all of them.
    pub fn arrive(&mut self, app: &AppId, channels: &[ChannelName], sign: &Sign, now: u64) -> Result<()> {
        self.check_room(app, channels, sign)?;
        for name in channels {
            let channel = Channel { app: app.clone(), name: name.clone() };
            if self.renew(&channel, &sign.key, sign.timeout, now) {
                if sign.state.is_some() {
                    self.set_state(&channel, &sign.key.0, sign.state.clone(), now);
                }
            } else {
                self.sit_down(channel, sign, now);
            }
        }
        Ok(())
    }

    /// Hears of a connection on a channel; whether it is there.
    pub fn heartbeat(&mut self, channel: &Channel, key: &SeatKey, now: u64) -> bool {
        let timeout = self.rooms.get(channel).and_then(|room| room.seats.get(key)).and_then(|seat| seat.timeout);
        self.renew(channel, key, timeout, now)
    }

    /// Takes a connection away; the user goes with its last one.
    pub fn leave(&mut self, channel: &Channel, key: &SeatKey, exit: Exit, now: u64) {
        let Some(room) = self.rooms.get_mut(channel) else { return };
        let Some(seat) = room.seats.remove(key) else { return };
        if let Some(deadline) = seat.deadline {
            self.deadlines.remove(&deadline);
        }
        self.seats -= 1;
        self.bytes -= seat.bytes;
        let Some(user) = room.users.get_mut(&key.0) else { return };
        user.seats -= 1;
        if user.seats > 0 {
            return;
        }
        let gone = room.users.remove(&key.0);
        let occupancy = room.users.len() as u64;
        if room.users.is_empty() {
            self.rooms.remove(channel);
        }
        self.forget_place(channel, &key.0);
        let Some(User { state, data, .. }) = gone else { return };
        self.bytes -= cost(&state) + cost(&data);
        let user = key.0.clone();
        let event = match exit {
            Exit::Left => PresenceEvent::Left { user, state, data },
            Exit::TimedOut => PresenceEvent::TimedOut { user, state, data },
        };
        self.news.announce(channel, Presence { event, occupancy }, now);
    }

    /// Sets the state of a user who is on the channel; whether it is.
    pub fn set_state(&mut self, channel: &Channel, user: &UserId, state: Option<Bytes>, now: u64) -> bool {
        let Some(room) = self.rooms.get_mut(channel) else { return false };
        let occupancy = room.users.len() as u64;
        let Some(there) = room.users.get_mut(user) else { return false };
        if there.state == state {
            return true;
        }
        self.bytes = self.bytes - cost(&there.state) + cost(&state);
        there.state = state.clone();
        let event = PresenceEvent::StateChanged { user: user.clone(), state };
        self.news.announce(channel, Presence { event, occupancy }, now);
        true
    }

    /// Whether so many more bytes of state fit.
    pub fn check_bytes(&self, more: usize) -> Result<()> {
        match more == 0 || self.bytes.saturating_add(more) <= self.bounds.bytes {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::TooMany, "presence: too much is kept")),
        }
    }

    /// Lets go of connections that were not heard of in time, at most so many; whether there are more.
    pub fn time_out(&mut self, now: u64, most: usize) -> bool {
        for _ in 0..most {
            let Some(((deadline, _), (channel, key))) = self.deadlines.first_key_value() else { return false };
            if *deadline > now {
                return false;
            }
            let (channel, key) = (channel.clone(), key.clone());
            self.leave(&channel, &key, Exit::TimedOut, now);
        }
        true
    }

    /// When something is to be done next.
    pub fn next_due(&self) -> Option<u64> {
        let timeout = self.deadlines.first_key_value().map(|((deadline, _), _)| *deadline);
        [timeout, self.news.next_interval()].into_iter().flatten().min()
    }

    pub fn occupancy(&self, channel: &Channel) -> usize {
        self.rooms.get(channel).map_or(0, |room| room.users.len())
    }

    /// Users of a channel in the order of their ids.
    pub fn members(&self, channel: &Channel, offset: usize, limit: usize) -> Vec<Member> {
        let Some(room) = self.rooms.get(channel) else { return Vec::new() };
        room.users.iter().skip(offset).take(limit).map(|(user, there)| member(user, there)).collect()
    }

    pub fn member(&self, channel: &Channel, user: &UserId) -> Option<Member> {
        self.rooms.get(channel)?.users.get(user).map(|there| member(user, there))
    }

    /// Channels of an app that somebody is on, in order, those after `after`.
    pub fn occupied(&self, app: &AppId, after: Option<&ChannelName>) -> impl Iterator<Item = &ChannelName> {
        let first = ChannelName::Named("".into());
        let start = Channel { app: app.clone(), name: after.cloned().unwrap_or(first) };
        let begin = std::ops::Bound::Excluded(start);
        let rooms = self.rooms.range((begin, std::ops::Bound::Unbounded));
        let app = app.clone();
        rooms.map(|(channel, _)| channel).take_while(move |channel| channel.app == app).map(|channel| &channel.name)
    }

    /// The channels that a user is on.
    pub fn where_is(&self, app: &AppId, user: &UserId) -> Vec<ChannelName> {
        let key = (app.clone(), user.clone());
        self.places.get(&key).map_or_else(Vec::new, |places| places.iter().cloned().collect())
    }

    /// Connections, each counted once for every channel that it is on.
    pub fn seats(&self) -> usize {
        self.seats
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn check_room(&self, app: &AppId, channels: &[ChannelName], sign: &Sign) -> Result<()> {
        let user = (app.clone(), sign.key.0.clone());
        let places = self.places.get(&user);
        let new = channels.iter().filter(|name| !places.is_some_and(|places| places.contains(*name))).count();
        if places.map_or(0, BTreeSet::len) + new > self.bounds.user_channels {
            let most = self.bounds.user_channels;
            return Err(Error::invalid(format!("presence: a user is on at most {most} channels")));
        }
        // Who is there already is heard of however full it is.
        let sits = |name: &&ChannelName| {
            let channel = Channel { app: app.clone(), name: (*name).clone() };
            self.rooms.get(&channel).is_some_and(|room| room.seats.contains_key(&sign.key))
        };
        let seated = channels.iter().filter(sits).count();
        if self.seats + channels.len() - seated > self.bounds.seats {
            return Err(Error::new(ErrorKind::TooMany, "presence: too many connections"));
        }
        let each = seat_bytes(sign) + cost(&sign.data);
        let states = cost(&sign.state).saturating_mul(channels.len());
        self.check_bytes(each.saturating_mul(channels.len() - seated).saturating_add(states))
    }

    /// Moves the deadline of a connection; whether it is there.
    fn renew(&mut self, channel: &Channel, key: &SeatKey, timeout: Option<u64>, now: u64) -> bool {
        let Some(seat) = self.rooms.get_mut(channel).and_then(|room| room.seats.get_mut(key)) else { return false };
        seat.timeout = timeout;
        let queued = seat.deadline.take().and_then(|old| self.deadlines.remove(&old));
        if let Some(timeout) = timeout {
            self.serials += 1;
            let deadline = (now.saturating_add(timeout), self.serials);
            seat.deadline = Some(deadline);
            self.deadlines.insert(deadline, queued.unwrap_or_else(|| (channel.clone(), key.clone())));
        }
        true
    }

    fn sit_down(&mut self, channel: Channel, sign: &Sign, now: u64) {
        self.serials += 1;
        let serial = self.serials;
        let room = self.rooms.entry(channel.clone()).or_default();
        let bytes = seat_bytes(sign);
        room.seats.insert(sign.key.clone(), Seat { deadline: None, timeout: None, bytes });
        self.seats += 1;
        self.bytes += bytes;
        let user = &sign.key.0;
        let known = room.users.get_mut(user).map(|there| there.seats += 1).is_some();
        if !known {
            let (state, data) = (sign.state.clone(), sign.data.clone());
            self.bytes += cost(&state) + cost(&data);
            let event = PresenceEvent::Joined { user: user.clone(), state: state.clone(), data: data.clone() };
            room.users.insert(user.clone(), User { state, seats: 1, serial, data });
            let occupancy = room.users.len() as u64;
            let place = (channel.app.clone(), user.clone());
            self.places.entry(place).or_default().insert(channel.name.clone());
            self.news.announce(&channel, Presence { event, occupancy }, now);
        } else if sign.state.is_some() {
            self.set_state(&channel, user, sign.state.clone(), now);
        }
        self.renew(&channel, &sign.key, sign.timeout, now);
    }

    fn forget_place(&mut self, channel: &Channel, user: &UserId) {
        let key = (channel.app.clone(), user.clone());
        if let Some(places) = self.places.get_mut(&key) {
            places.remove(&channel.name);
            if places.is_empty() {
                self.places.remove(&key);
            }
        }
    }
}

fn member(user: &UserId, there: &User) -> Member {
    Member {
        user: user.clone(),
        state: there.state.clone(),
        data: there.data.clone(),
        arrival: there.serial,
        connections: there.seats,
    }
}

fn cost(bytes: &Option<Bytes>) -> usize {
    bytes.as_ref().map_or(0, Bytes::len)
}

/// About what a connection on a channel takes: its places in the four tables, and its key.
fn seat_bytes(sign: &Sign) -> usize {
    let fixed = mem::size_of::<(SeatKey, Seat)>() + mem::size_of::<(UserId, User)>() + 2 * mem::size_of::<Channel>();
    fixed + 128 + sign.key.0.id.len() + sign.key.1.len()
}
