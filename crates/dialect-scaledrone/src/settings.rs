//! What an operator says about one Scaledrone channel, and the channel as it is served.

use crate::{convert, limits, members::Members, permissions};
use edge::Secret;
use model::{AppId, Channel, ChannelName, Clock, Error, ErrorKind, Origin, Result, UserId};
use service::{Access, AccessWindow, Caller, Draft, Rights, Rule, Scope};
use std::{sync::Arc, time::Duration};

/// First segments of paths that belong to other dialects or to the program: no channel may be called so.
const TAKEN_PATHS: [&str; 16] = [
    "v1",
    "v2",
    "v3",
    "publish",
    "signal",
    "subscribe",
    "time",
    "healthz",
    "readyz",
    "metrics",
    "dev",
    "api",
    "openapi.json",
    "console",
    "docs",
    "files",
];

/// One Scaledrone channel.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The app whose channels are its rooms.
    pub app: AppId,
    /// Its public id: letters, digits, `-` and `_`. First segment of its REST paths.
    pub channel: String,
    /// What its tokens are signed with, and the password of its REST API; none: neither is accepted.
    pub secret: Option<Secret>,
    /// Whether clients must authenticate before they subscribe or publish.
    pub require_auth: bool,
    /// What a subscriber may ask for, in rooms that `rooms` does not name; none: no history, as the vendor's default.
    pub history: Option<HistoryCap>,
    /// Rooms with their own rule; the first that matches counts.
    pub rooms: Vec<RoomHistory>,
    /// Which rooms may be reached at all; empty: every one.
    pub reachable: Vec<Scope>,
    /// Bytes of a published message.
    pub message_bytes: usize,
    /// Connections at a time.
    pub connections: usize,
    /// How long after the end of a connection a token made for its client id is still accepted from a new one
    /// (`protocols/scaledrone.md` §9: a client that reconnects goes on under its old id). Zero: never.
    pub reconnect_within: Duration,
}

/// How much history a subscriber may ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HistoryCap {
    /// Messages; at most [`limits::HISTORY_MESSAGES`].
    pub messages: u32,
    /// Only what is younger; none: whatever is stored.
    pub age: Option<Duration>,
}

/// History of the rooms that match.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomHistory {
    /// Which rooms.
    pub room: RoomPattern,
    /// What a subscriber may ask for; none: nothing.
    pub history: Option<HistoryCap>,
}

/// A room's name, or with a star at its end all names that begin so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomPattern(pub String);

impl RoomPattern {
    fn matches(&self, room: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => room.starts_with(prefix),
            None => room == self.0,
        }
    }
}

impl Default for HistoryCap {
    fn default() -> HistoryCap {
        HistoryCap { messages: limits::VENDOR_HISTORY_MESSAGES, age: Some(limits::VENDOR_HISTORY_AGE) }
    }
}

impl Settings {
    /// A channel without authentication and without history, with the default bounds.
    pub fn new(app: AppId, channel: impl Into<String>, secret: Option<Secret>) -> Settings {
        Settings {
            app,
            channel: channel.into(),
            secret,
            require_auth: false,
            history: None,
            rooms: Vec::new(),
            reachable: Vec::new(),
            message_bytes: limits::MESSAGE_BYTES,
            connections: limits::CONNECTIONS,
            reconnect_within: limits::RECONNECT_WITHIN,
        }
    }
}

/// Reads the id of a channel: 1 to 64 letters, digits, `-` and `_` that do not begin another API's paths.
pub fn channel_id(text: &str) -> Result<String, String> {
    let clean = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !(1..=64).contains(&text.len()) || !text.bytes().all(clean) {
        return Err(format!("{text:?} is not 1 to 64 characters of a-z A-Z 0-9 - _"));
    }
    if TAKEN_PATHS.contains(&text) {
        return Err(format!("{text:?} is the beginning of another API's paths"));
    }
    Ok(text.to_owned())
}

/// One Scaledrone channel as it is served.
pub struct Served {
    /// What its operator says.
    pub settings: Settings,
    /// Who is connected, and in which rooms.
    pub members: Arc<Members>,
    reachable: Access,
}

/// A room that may be reached, checked once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Room {
    /// Its name as clients spell it.
    pub name: Arc<str>,
    /// The same as an address.
    pub channel: Channel,
}

impl Served {
    /// A channel that nobody is connected to yet.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Served {
        let members = Members::new(&settings, clock);
        let scopes = match settings.reachable.as_slice() {
            [] => vec![Scope::Prefix("".into())],
            scopes => scopes.to_vec(),
        };
        let reachable = Access::new(scopes.into_iter().map(|scope| Rule { scope, rights: Rights::READ }));
        Served { settings, members: Arc::new(members), reachable }
    }

    /// Checks the name of a room.
    pub fn room(&self, name: &str) -> Result<Room> {
        let address =
            ChannelName::named(name).map_err(|error| Error::invalid(error.message.replacen("channel", "room", 1)))?;
        if !self.reachable.allows(&address, Rights::READ) {
            return Err(Error::new(ErrorKind::Forbidden, "room: not served here"));
        }
        Ok(Room { name: name.into(), channel: Channel { app: self.settings.app.clone(), name: address } })
    }

    /// What somebody with these rights may ask for in a room; none: nothing.
    pub fn history_cap(&self, room: &Room, rights: permissions::Rights) -> Option<HistoryCap> {
        let rule = self.settings.rooms.iter().find(|rule| rule.room.matches(&room.name));
        let cap = rule.map_or(self.settings.history, |rule| rule.history)?;
        let messages = cap.messages.min(rights.history);
        (messages > 0).then_some(HistoryCap { messages, ..cap })
    }

    /// Somebody who may follow one room and, where there is a cap, read so far back.
    pub fn reader(&self, room: &Room, cap: Option<HistoryCap>, user: Option<UserId>) -> Caller {
        let given = if cap.is_some() { Rights::READ | Rights::HISTORY } else { Rights::READ };
        let mut access = Access::new([Rule { scope: Scope::Channel(room.channel.name.clone()), rights: given }]);
        access.window = AccessWindow { not_older_than: cap.and_then(|cap| cap.age), ..AccessWindow::default() };
        Caller { app: self.settings.app.clone(), user, access: Arc::new(access) }
    }

    /// Somebody who may publish to these rooms.
    pub fn publisher<'a>(&self, rooms: impl Iterator<Item = &'a Channel>, user: Option<UserId>) -> Caller {
        let rules = rooms.map(|room| Rule { scope: Scope::Channel(room.name.clone()), rights: Rights::WRITE });
        Caller { app: self.settings.app.clone(), user, access: Arc::new(Access::new(rules)) }
    }

    /// A message to publish, within this channel's bounds.
    pub fn draft(&self, message: String, author: Option<UserId>) -> Result<Draft> {
        let most = self.settings.message_bytes;
        if message.len() > most {
            let text = format!("message: {} bytes, the limit is {most}", message.len());
            return Err(Error::new(ErrorKind::TooLarge, text));
        }
        Ok(convert::draft(message, author))
    }

    /// The user that a client id stands for.
    pub fn user(client_id: &str, verified: bool) -> Option<UserId> {
        UserId::new(Origin::Scaledrone, client_id, verified).ok()
    }
}
