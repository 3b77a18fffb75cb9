//! One connection as a state machine: frames in, steps out. It has no socket and no clock and never waits; what needs
//! the service comes out as a [`Step`] and its outcome goes back in, so every rule of `protocols/scaledrone.md` §3 to
//! §7 about what may come when is here.

use crate::{
    auth::{self, Claims, TokenError},
    convert, error, limits,
    members::Seat,
    permissions::{Permissions, Rights},
    settings::{HistoryCap, Room, Served},
    wire::{self, Frame, HistoryWish, Request},
};
use model::{Channel, Error, ErrorKind, Id, Result, UserId};
use serde_json::value::RawValue;
use service::{Caller, Draft, Item, Published};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

/// The number of a request that its answer must carry, if it has one.
pub type Callback = Option<Box<RawValue>>;

/// The channels that connections may shake hands with, by their Scaledrone id.
pub type Directory = HashMap<String, Arc<Served>>;

/// What a frame asks of the one who drives the session.
#[derive(Debug)]
pub enum Step {
    /// Send this, if anything.
    Send(Option<Frame>),
    /// Send this and turn the client away for good.
    Refuse(Frame),
    /// Publish, then [`Session::on_published`].
    Publish(Publish),
    /// Read history and follow the room, then [`Session::on_joined`].
    Join(Join),
    /// Deliver nothing more of this room, then send this, if anything.
    Leave(Arc<str>, Option<Frame>),
}

/// A message to publish.
#[derive(Debug)]
pub struct Publish {
    /// What to answer to.
    pub callback: Callback,
    /// Where.
    pub channel: Channel,
    /// What.
    pub draft: Draft,
}

/// A room to join, or to read history of once more.
#[derive(Debug)]
pub struct Join {
    /// What to answer to.
    pub callback: Callback,
    /// The room.
    pub room: Room,
    /// Under whose rights.
    pub caller: Caller,
    /// How many past messages; 0: none.
    pub count: u32,
    /// Only those after this position, if the client named one.
    pub after: Option<Id>,
}

/// What history had for a [`Join`].
#[derive(Debug)]
pub struct Joined {
    /// Past messages, oldest first.
    pub history: Vec<Frame>,
    /// Everything stored up to here is in `history` or older than it: live goes on above.
    pub upto: Id,
    /// Whether `history` is all of what came after [`Join::after`].
    pub complete: bool,
}

/// A connection.
pub struct Session {
    directory: Arc<Directory>,
    stage: Stage,
}

enum Stage {
    /// Nothing but a handshake may come.
    New,
    /// After a good handshake.
    Open(Box<Open>),
    /// After a bad one: nothing may come any more.
    Refused,
}

struct Open {
    served: Arc<Served>,
    seat: Seat,
    client_data: Option<String>,
    grants: Option<Grants>,
    /// The rooms that are followed, each with the position up to which its messages were sent.
    rooms: HashMap<Arc<str>, Id>,
    /// What was found about rooms under the present grants.
    rights: HashMap<String, Rights>,
}

struct Grants {
    permissions: Permissions,
    data: Option<String>,
}

impl Session {
    /// A connection that was just opened.
    pub fn new(directory: Arc<Directory>) -> Session {
        Session { directory, stage: Stage::New }
    }

    /// Whether its handshake was good.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(_))
    }

    /// Whether a room is followed.
    pub fn follows(&self, room: &str) -> bool {
        matches!(&self.stage, Stage::Open(open) if open.rooms.contains_key(room))
    }

    /// Takes one inbound frame, text or binary, at a moment in Unix milliseconds.
    pub fn on_frame(&mut self, frame: &[u8], now_ms: u64) -> Step {
        let inbound = wire::read(frame);
        let callback = inbound.callback;
        let fail = |text: &str| Step::Send(Some(wire::failure(callback.as_deref(), text)));
        let request = match inbound.request {
            Ok(request) => request,
            Err(text) => return fail(&text),
        };
        if request == Request::Unknown {
            // Without a callback nobody waits for an answer.
            return if callback.is_some() { fail("type: unknown") } else { Step::Send(None) };
        }
        match (&mut self.stage, request) {
            (Stage::New, Request::Handshake { channel, client_data }) => {
                self.shake_hands(callback, &channel, client_data)
            }
            (Stage::New | Stage::Refused, _) => fail("handshake first"),
            (Stage::Open(_), Request::Handshake { .. }) => fail("the handshake was made already"),
            (Stage::Open(open), request) => open.on_request(&callback, request, now_ms).unwrap_or_else(|error| {
                error::log(&error);
                fail(&error::text(&error))
            }),
        }
    }

    fn shake_hands(&mut self, callback: Callback, channel: &str, client_data: Option<String>) -> Step {
        let found = self.directory.get(channel).ok_or_else(|| Error::new(ErrorKind::NotFound, "Channel not found"));
        match found.and_then(|served| Ok((served.clone(), served.members.connect()?))) {
            Ok((served, seat)) => {
                let answer = callback.map(|callback| wire::welcome(&callback, seat.id(), served.settings.require_auth));
                let (rooms, rights) = (HashMap::new(), HashMap::new());
                self.stage = Stage::Open(Box::new(Open { served, seat, client_data, grants: None, rooms, rights }));
                Step::Send(answer)
            }
            Err(error) => {
                self.stage = Stage::Refused;
                Step::Refuse(wire::failure(callback.as_deref(), &error.message))
            }
        }
    }

    /// What became of a publish: success is answered only if an answer was asked for (§3).
    pub fn on_published(&mut self, callback: Callback, outcome: &Result<Published>) -> Option<Frame> {
        answer(callback, outcome.as_ref().map(|_| ()))
    }

    /// What became of a join: the frames to send, in the order of §6.3; live ones may follow.
    pub fn on_joined(&mut self, join: Join, outcome: Result<Joined>) -> Vec<Frame> {
        let Stage::Open(open) = &mut self.stage else { return Vec::new() };
        let entered = outcome.and_then(|joined| Ok((open.enter(&join.room, joined.upto)?, joined)));
        let (members, joined) = match entered {
            Ok(entered) => entered,
            Err(error) => return answer(join.callback, Err(&error)).into_iter().collect(),
        };
        let complete = join.after.is_some().then_some(joined.complete);
        let answer = join.callback.map(|callback| match complete {
            Some(complete) => wire::caught_up(&callback, complete),
            None => wire::answer(&callback),
        });
        answer.into_iter().chain(members).chain(joined.history).collect()
    }

    /// Frames for what happened in a room that is followed: each message once, as a live frame or earlier in history.
    pub fn on_items(&mut self, room: &str, items: &[Item]) -> Vec<Frame> {
        let Stage::Open(open) = &mut self.stage else { return Vec::new() };
        let Some(sent_upto) = open.rooms.get_mut(room) else { return Vec::new() };
        let mut frames = Vec::new();
        for item in items {
            let id = item.change.id();
            if id <= *sent_upto && convert::is_stored_message(&item.change) {
                continue;
            }
            frames.extend(convert::live_frame(room, &item.change));
            *sent_upto = id.max(*sent_upto);
        }
        frames
    }

    /// Under whose rights its publishes go out.
    pub fn publisher<'a>(&self, rooms: impl Iterator<Item = &'a Channel>) -> Option<Caller> {
        match &self.stage {
            Stage::Open(open) => Some(open.served.publisher(rooms, open.user())),
            Stage::New | Stage::Refused => None,
        }
    }

    /// Waits for a join or leave of another member. None when this connection is too slow for them. Cancel-safe.
    pub async fn next_member_event(&mut self) -> Option<Frame> {
        match &mut self.stage {
            Stage::Open(open) => open.seat.next_event().await,
            Stage::New | Stage::Refused => std::future::pending().await,
        }
    }
}

impl Open {
    fn on_request(&mut self, callback: &Callback, request: Request, now_ms: u64) -> Result<Step> {
        let done = || Step::Send(callback.as_deref().map(wire::answer));
        match request {
            Request::Authenticate { token } => {
                self.authenticate(&token, now_ms)?;
                Ok(done())
            }
            Request::Subscribe { room, history } => self.subscribe(callback.clone(), &room, &history),
            Request::Unsubscribe { room } => {
                self.demand_grants()?;
                self.seat.leave(&room);
                self.rooms.remove(room.as_str());
                Ok(Step::Leave(room.into(), callback.as_deref().map(wire::answer)))
            }
            Request::Publish { room, message } => self.publish(callback.clone(), &room, message),
            Request::Handshake { .. } | Request::Unknown => Ok(done()),
        }
    }

    fn authenticate(&mut self, token: &str, now_ms: u64) -> Result<()> {
        let settings = &self.served.settings;
        let claims = auth::verify(token, settings.secret.as_ref(), &settings.channel, now_ms).map_err(refused_token)?;
        let Claims { client, permissions, data } = claims;
        let is_own = |client: String| *client == **self.seat.id() || self.seat.resume(&client);
        if !client.is_some_and(is_own) {
            return Err(refused_token(TokenError::Client));
        }
        self.grants = Some(Grants { permissions, data });
        self.rights.clear();
        Ok(())
    }

    fn subscribe(&mut self, callback: Callback, room: &str, wish: &HistoryWish) -> Result<Step> {
        self.demand_grants()?;
        let room = self.served.room(room)?;
        let rights = self.rights(&room);
        if !rights.subscribe {
            return Err(Error::new(ErrorKind::Forbidden, "permission to subscribe to this room denied"));
        }
        if !self.rooms.contains_key(&room.name) && self.rooms.len() >= limits::ROOMS_PER_CONNECTION {
            return Err(Error::new(ErrorKind::TooMany, "too many rooms on one connection"));
        }
        let after = wish.after.as_deref().map(|id| convert::position(id).ok_or_else(unknown_message)).transpose()?;
        let cap = self.served.history_cap(&room, rights);
        let count = count(wish, after, cap);
        let caller = self.served.reader(&room, cap, self.user());
        Ok(Step::Join(Join { callback, room, caller, count, after }))
    }

    fn publish(&mut self, callback: Callback, room: &str, message: String) -> Result<Step> {
        self.demand_grants()?;
        let room = self.served.room(room)?;
        let rights = self.rights(&room);
        if !rights.publish {
            return Err(Error::new(ErrorKind::Forbidden, "permission to publish to this room denied"));
        }
        let draft = self.served.draft(message, self.user())?;
        Ok(Step::Publish(Publish { callback, channel: room.channel, draft }))
    }

    fn enter(&mut self, room: &Room, upto: Id) -> Result<Option<Frame>> {
        let auth_data = self.grants.as_ref().and_then(|grants| grants.data.as_deref());
        let members = self.seat.enter(&room.name, self.client_data.as_deref(), auth_data)?;
        let sent_upto = self.rooms.entry(room.name.clone()).or_insert(upto);
        *sent_upto = upto.max(*sent_upto);
        Ok(members)
    }

    /// On a channel that requires it, nothing but `authenticate` works before one succeeded (§5.1).
    fn demand_grants(&self) -> Result<()> {
        if self.served.settings.require_auth && self.grants.is_none() {
            return Err(Error::new(ErrorKind::Unauthenticated, error::UNAUTHORIZED));
        }
        Ok(())
    }

    /// What this connection may do in a room: what its token says, if it has shown one; else everything.
    fn rights(&mut self, room: &Room) -> Rights {
        let Some(grants) = &self.grants else { return Rights::ALL };
        if self.rights.len() >= limits::REMEMBERED_RIGHTS {
            self.rights.clear();
        }
        match self.rights.entry(room.name.to_string()) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => *place.insert(grants.permissions.rights(&room.name)),
        }
    }

    fn user(&self) -> Option<UserId> {
        Served::user(self.seat.id(), self.grants.is_some())
    }
}

/// How many past messages a subscribe brings: what was asked for, within the cap. Who names the last message it saw
/// wants all that came since.
fn count(wish: &HistoryWish, after: Option<Id>, cap: Option<HistoryCap>) -> u32 {
    let asked = wish.count.unwrap_or(if after.is_some() { u32::MAX } else { 0 });
    asked.min(cap.map_or(0, |cap| cap.messages))
}

fn answer(callback: Callback, outcome: Result<(), &Error>) -> Option<Frame> {
    match outcome {
        Ok(()) => callback.as_deref().map(wire::answer),
        Err(error) => {
            error::log(error);
            Some(wire::failure(callback.as_deref(), &error::text(error)))
        }
    }
}

fn refused_token(error: TokenError) -> Error {
    Error::new(ErrorKind::Forbidden, error.to_string())
}

fn unknown_message() -> Error {
    Error::invalid("history_after: not the id of a message")
}

#[cfg(test)]
mod tests;
