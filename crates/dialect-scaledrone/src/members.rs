//! Who is connected to a Scaledrone channel and in which rooms (`protocols/scaledrone.md` §7.2, §8): the one place
//! where member lists are kept. One entry per connection and room; a [`Seat`] that is dropped, however its connection
//! ended, leaves everything that it was in.

use crate::{
    client_id::ClientIds,
    limits,
    settings::Settings,
    wire::{self, Frame, MemberEvent},
};
use model::{Clock, Error, ErrorKind, Result};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::mpsc;

/// How the name of a room that tells of its members begins.
const OBSERVABLE_PREFIX: &str = "observable-";

/// The connections of one channel.
pub struct Members {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    started_ticks: u64,
    most_connections: usize,
    reconnect_ticks: u64,
    ids: ClientIds,
}

/// One connection's place. Dropping it is leaving.
pub struct Seat {
    members: Arc<Members>,
    id: Arc<str>,
    /// Its number in each room that it is in.
    rooms: HashMap<Arc<str>, u64>,
    /// Joins and leaves of others; none before the first observable room.
    events: Option<mpsc::Receiver<Frame>>,
}

#[derive(Default)]
struct State {
    connections: HashMap<Arc<str>, Option<mpsc::Sender<Frame>>>,
    rooms: HashMap<Arc<str>, Present>,
    arrivals: u64,
    /// Client ids of earlier connections that open ones go on under, with the open one's id.
    resumed: HashMap<Arc<str>, Arc<str>>,
    departed: VecDeque<(u64, Arc<str>)>,
}

/// Who is in a room, by arrival.
#[derive(Default)]
struct Present {
    list: BTreeMap<u64, Member>,
    /// Bytes of all that [`wire::member`] wrote.
    bytes: usize,
}

struct Member {
    id: Arc<str>,
    shown: Arc<str>,
}

/// Whether a room tells its members of each other.
pub fn is_observable(room: &str) -> bool {
    room.starts_with(OBSERVABLE_PREFIX)
}

impl Members {
    /// Nobody yet.
    pub fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Members {
        Members {
            state: Mutex::default(),
            started_ticks: clock.monotonic_ticks(),
            clock,
            most_connections: settings.connections,
            reconnect_ticks: u64::try_from(settings.reconnect_within.as_nanos() / 100).unwrap_or(u64::MAX),
            ids: ClientIds::new(settings),
        }
    }

    /// A place for a new connection, under an id that was never used before.
    pub fn connect(self: &Arc<Self>) -> Result<Seat> {
        let id: Arc<str> = self.ids.draw().into();
        let mut state = self.lock();
        if state.connections.len() >= self.most_connections {
            return Err(Error::new(ErrorKind::TooMany, "connection limit exceeded"));
        }
        state.connections.insert(id.clone(), None);
        drop(state);
        Ok(Seat { members: self.clone(), id, rooms: HashMap::new(), events: None })
    }

    /// How many are connected.
    pub fn connections(&self) -> usize {
        self.lock().connections.len()
    }

    /// Who is in a room, by arrival.
    pub fn of_room(&self, room: &str) -> Vec<Arc<str>> {
        self.lock().rooms.get(room).map_or_else(Vec::new, |present| present.ids().collect())
    }

    /// Who is in which room.
    pub fn of_all_rooms(&self) -> BTreeMap<Arc<str>, Vec<Arc<str>>> {
        self.lock().rooms.iter().map(|(room, present)| (room.clone(), present.ids().collect())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the member lists")
    }

    /// Whether a client id that is not in use may be gone on under: its connection ended moments ago, or the program
    /// started moments ago and one before it gave out the id.
    fn may_resume(&self, state: &State, id: &str) -> bool {
        if self.reconnect_ticks == 0 || state.connections.contains_key(id) || state.resumed.contains_key(id) {
            return false;
        }
        let now = self.clock.monotonic_ticks();
        let recent = |then: u64| now.saturating_sub(then) <= self.reconnect_ticks;
        let before_start = recent(self.started_ticks) && self.ids.are_ours(id);
        before_start || state.departed.iter().any(|(when, departed)| &**departed == id && recent(*when))
    }
}

impl Seat {
    /// Its client id.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Goes on under the client id of a connection that ended moments ago: true at most for one connection at a time.
    pub fn resume(&mut self, old_id: &str) -> bool {
        let mut state = self.members.lock();
        if state.resumed.get(old_id) == Some(&self.id) {
            return true;
        }
        if !self.members.may_resume(&state, old_id) {
            return false;
        }
        state.departed.retain(|(_, departed)| &**departed != old_id);
        state.resumed.insert(old_id.into(), self.id.clone());
        true
    }

    /// Enters a room and tells the others if it is observable; the answer is then the list of all members, itself
    /// included. Entering again is told to nobody.
    pub fn enter(
        &mut self,
        room: &Arc<str>,
        client_data: Option<&str>,
        auth_data: Option<&str>,
    ) -> Result<Option<Frame>> {
        let members = self.members.clone();
        let mut state = members.lock();
        if !self.rooms.contains_key(room) {
            let shown: Arc<str> = wire::member(&self.id, client_data, auth_data).into();
            let number = state.enter(room, Member { id: self.id.clone(), shown })?;
            self.rooms.insert(room.clone(), number);
        }
        if !is_observable(room) {
            return Ok(None);
        }
        if self.events.is_none() {
            let (sender, receiver) = mpsc::channel(limits::MEMBER_EVENTS);
            state.connections.insert(self.id.clone(), Some(sender));
            self.events = Some(receiver);
        }
        let present = &state.rooms[room];
        Ok(Some(wire::members(room, present.list.values().map(|member| &*member.shown))))
    }

    /// Leaves a room, if it is in it, and tells the others if the room is observable.
    pub fn leave(&mut self, room: &str) {
        if let Some(number) = self.rooms.remove(room) {
            self.members.lock().leave(room, number);
        }
    }

    /// The next join or leave of somebody else; never, before the first observable room. None when more happened than
    /// waits for one connection: it was too slow. Cancel-safe.
    pub async fn next_event(&mut self) -> Option<Frame> {
        match &mut self.events {
            Some(events) => events.recv().await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let now = self.members.clock.monotonic_ticks();
        let mut state = self.members.lock();
        state.connections.remove(&self.id);
        for (room, number) in self.rooms.drain() {
            state.leave(&room, number);
        }
        let resumed: Vec<_> = state.resumed.extract_if(|_, by| *by == self.id).map(|(old, _)| old).collect();
        for id in resumed.into_iter().chain([self.id.clone()]) {
            state.departed.push_back((now, id));
        }
        let surplus = state.departed.len().saturating_sub(limits::DEPARTED_CLIENTS);
        state.departed.drain(..surplus);
    }
}

impl State {
    fn enter(&mut self, room: &Arc<str>, member: Member) -> Result<u64> {
        let observable = is_observable(room);
        let present = self.rooms.get(room).map_or(0, |present| present.bytes);
        if observable && present + member.shown.len() > limits::MEMBER_LIST_BYTES {
            return Err(Error::new(ErrorKind::TooMany, "room: no place for one more member"));
        }
        if observable {
            self.tell(room, MemberEvent::Join, &member.shown);
        }
        self.arrivals += 1;
        let present = self.rooms.entry(room.clone()).or_default();
        present.bytes += member.shown.len();
        present.list.insert(self.arrivals, member);
        Ok(self.arrivals)
    }

    fn leave(&mut self, room: &str, number: u64) {
        let Some(present) = self.rooms.get_mut(room) else { return };
        let Some(member) = present.list.remove(&number) else { return };
        present.bytes -= member.shown.len();
        if present.list.is_empty() {
            self.rooms.remove(room);
        } else if is_observable(room) {
            self.tell(room, MemberEvent::Leave, &member.shown);
        }
    }

    /// Puts an event into the queue of everyone in the room. Whose queue is full gets nothing any more: the end of
    /// its queue is what its connection sees.
    fn tell(&mut self, room: &str, event: MemberEvent, shown: &str) {
        let Some(present) = self.rooms.get(room) else { return };
        let frame = wire::member_event(event, room, shown);
        for member in present.list.values() {
            let Some(queue) = self.connections.get_mut(&member.id) else { continue };
            if queue.as_ref().is_some_and(|queue| queue.try_send(frame.clone()).is_err()) {
                *queue = None;
            }
        }
    }
}

impl Present {
    fn ids(&self) -> impl Iterator<Item = Arc<str>> + '_ {
        self.list.values().map(|member| member.id.clone())
    }
}
