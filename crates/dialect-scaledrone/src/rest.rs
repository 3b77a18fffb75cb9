//! The REST calls (`protocols/scaledrone.md` §8), and reading history by REST, which the vendor does not have.

use crate::{
    auth, convert,
    error::Refusal,
    json, limits, page,
    permissions::{Permissions, Rights},
    settings::{Room, Served},
    socket::Door,
};
use axum::{
    Router,
    body::Body,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use edge::body::{BodyError, Bounds};
use http::{HeaderMap, header};
use model::{Error, ErrorKind, Result, TICKS_PER_MS};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

type Answer = Result<Response, Refusal>;

/// One channel and what it stands on.
#[derive(Clone)]
struct Rest {
    door: Arc<Door>,
    served: Arc<Served>,
}

/// The calls of one channel. Its id is part of the paths, so they take no path from any other dialect.
pub fn router(door: &Arc<Door>, served: &Arc<Served>) -> Router {
    let path = |rest: &str| format!("/{}/{rest}", served.settings.channel);
    Router::new()
        .route(&path("{room}/publish"), post(publish))
        .route(&path("publish/rooms"), post(publish_to_rooms))
        .route(&path("stats"), get(stats))
        .route(&path("members"), get(members))
        .route(&path("rooms"), get(rooms))
        .route(&path("room-members"), get(room_members))
        .route(&path("{room}/members"), get(members_of_room))
        .route(&path("{room}/history"), get(history))
        .with_state(Rest { door: door.clone(), served: served.clone() })
}

type RoomPath = Result<Path<String>, PathRejection>;

async fn publish(State(rest): State<Rest>, room: RoomPath, headers: HeaderMap, body: Body) -> Answer {
    let room = rest.room(room)?;
    rest.publish(vec![room], &headers, body).await
}

async fn publish_to_rooms(State(rest): State<Rest>, query: RawQuery, headers: HeaderMap, body: Body) -> Answer {
    let names: Vec<String> =
        parameters(query.0.as_deref())?.into_iter().filter(|(name, _)| name == "r").map(|(_, room)| room).collect();
    if !(1..=limits::REST_ROOMS).contains(&names.len()) {
        return Err(Error::invalid(format!("r: name 1 to {} rooms", limits::REST_ROOMS)).into());
    }
    let rooms: Result<Vec<Room>> = names.iter().map(|name| rest.served.room(name)).collect();
    rest.publish(rooms?, &headers, body).await
}

#[derive(Serialize)]
struct Stats {
    users_count: usize,
}

async fn stats(State(rest): State<Rest>, headers: HeaderMap) -> Answer {
    rest.credentials(&headers)?;
    Ok(ok(&Stats { users_count: rest.served.members.connections() }))
}

async fn members(State(rest): State<Rest>, headers: HeaderMap) -> Answer {
    let rooms = rest.visible_rooms(&headers)?;
    let ids: BTreeSet<&str> = rooms.values().flatten().map(|id| &**id).collect();
    Ok(ok(&ids))
}

async fn rooms(State(rest): State<Rest>, headers: HeaderMap) -> Answer {
    let rooms = rest.visible_rooms(&headers)?;
    Ok(ok(&rooms.keys().map(|room| &**room).collect::<Vec<_>>()))
}

async fn room_members(State(rest): State<Rest>, headers: HeaderMap) -> Answer {
    let rooms = rest.visible_rooms(&headers)?;
    let text = |ids: &[Arc<str>]| ids.iter().map(|id| id.to_string()).collect::<Vec<_>>();
    Ok(ok(&rooms.iter().map(|(room, ids)| (&**room, text(ids))).collect::<BTreeMap<_, _>>()))
}

async fn members_of_room(State(rest): State<Rest>, room: RoomPath, headers: HeaderMap) -> Answer {
    let room = rest.room(room)?;
    rest.demand_subscribe(&headers, &room)?;
    let ids = rest.served.members.of_room(&room.name);
    Ok(ok(&ids.iter().map(|id| &**id).collect::<Vec<_>>()))
}

async fn history(State(rest): State<Rest>, room: RoomPath, query: RawQuery, headers: HeaderMap) -> Answer {
    let room = rest.room(room)?;
    let rights = rest.demand_subscribe(&headers, &room)?;
    let cap = rest.served.history_cap(&room, rights);
    let cap = cap.ok_or_else(|| Error::new(ErrorKind::Forbidden, "history: not allowed in this room"))?;
    let query = page::query(parameters(query.0.as_deref())?, cap.messages)?;
    let mut caller = rest.served.reader(&room, Some(cap), None);
    Arc::make_mut(&mut caller.access).window.newest = Some(cap.messages);
    let history = rest.door.channels.history(&caller, &room.channel, &query).await?;
    Ok(json_answer(page::render(&history, query.limit)))
}

/// Who a request says it is.
enum Credentials {
    /// Nobody, on a channel where that is enough, or the holder of the secret.
    Everything,
    /// The holder of a token.
    Token(Permissions),
}

impl Credentials {
    fn rights(&self, room: &str) -> Rights {
        match self {
            Credentials::Everything => Rights::ALL,
            Credentials::Token(permissions) => permissions.rights(room),
        }
    }
}

impl Rest {
    fn room(&self, path: RoomPath) -> Result<Room> {
        let Path(name) = path.map_err(|_| Error::invalid("room: not UTF-8"))?;
        self.served.room(&name)
    }

    async fn publish(&self, rooms: Vec<Room>, headers: &HeaderMap, body: Body) -> Answer {
        let credentials = self.credentials(headers)?;
        if !rooms.iter().all(|room| credentials.rights(&room.name).publish) {
            return Err(Error::new(ErrorKind::Forbidden, "permission to publish to this room denied").into());
        }
        let message = self.message(headers, body).await?;
        let caller = self.served.publisher(rooms.iter().map(|room| &room.channel), None);
        let drafts = rooms.into_iter().map(|room| (room.channel, convert::draft(message.clone(), None))).collect();
        for outcome in self.door.channels.publish_all(&caller, drafts).await {
            outcome?;
        }
        Ok(ok("ok"))
    }

    /// The message of a body: JSON if it says that it is and really is, else the body as a string.
    async fn message(&self, headers: &HeaderMap, body: Body) -> Result<String> {
        let bytes =
            edge::body::read(body, Bounds { bytes: self.served.settings.message_bytes, time: limits::BODY_WITHIN });
        let bytes = bytes.await.map_err(unread)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Error::invalid("message: not UTF-8"))?;
        if !is_json(headers) || serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
            return Ok(json::text(text));
        }
        if json::depth(text) > limits::JSON_DEPTH {
            return Err(Error::invalid(format!("message: nested deeper than {}", limits::JSON_DEPTH)));
        }
        Ok(text.trim().to_owned())
    }

    /// Wrong credentials are refused, also where none are needed.
    fn credentials(&self, headers: &HeaderMap) -> Result<Credentials> {
        let refused = |text: &str| Error::new(ErrorKind::Unauthenticated, text);
        let settings = &self.served.settings;
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return if settings.require_auth {
                Err(refused("credentials are required"))
            } else {
                Ok(Credentials::Everything)
            };
        };
        let (scheme, shown) = value.to_str().ok().and_then(|text| text.split_once(' ')).unwrap_or_default();
        if scheme.eq_ignore_ascii_case("basic") && self.is_secret(shown.trim()) {
            return Ok(Credentials::Everything);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(refused("credentials are wrong"));
        }
        let now_ms = self.door.clock.now_ticks() / TICKS_PER_MS;
        match auth::verify(shown.trim(), settings.secret.as_ref(), &settings.channel, now_ms) {
            Ok(claims) => Ok(Credentials::Token(claims.permissions)),
            Err(error) => Err(refused(&error.to_string())),
        }
    }

    fn is_secret(&self, shown: &str) -> bool {
        let Ok(decoded) = BASE64_STANDARD.decode(shown) else { return false };
        let Some(colon) = decoded.iter().position(|byte| *byte == b':') else { return false };
        let (id, secret) = (&decoded[..colon], &decoded[colon + 1..]);
        let settings = &self.served.settings;
        id == settings.channel.as_bytes() && settings.secret.as_ref().is_some_and(|own| own.is(secret))
    }

    fn demand_subscribe(&self, headers: &HeaderMap, room: &Room) -> Result<Rights> {
        let rights = self.credentials(headers)?.rights(&room.name);
        if !rights.subscribe {
            return Err(Error::new(ErrorKind::Forbidden, "permission to subscribe to this room denied"));
        }
        Ok(rights)
    }

    /// Who is in which room, of the rooms that the caller may subscribe to.
    fn visible_rooms(&self, headers: &HeaderMap) -> Result<BTreeMap<Arc<str>, Vec<Arc<str>>>> {
        let credentials = self.credentials(headers)?;
        let mut rooms = self.served.members.of_all_rooms();
        rooms.retain(|room, _| credentials.rights(room).subscribe);
        Ok(rooms)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

fn unread(error: BodyError) -> Error {
    match error {
        BodyError::TooLarge => Error::new(ErrorKind::TooLarge, "message: too large"),
        BodyError::TimedOut => Error::invalid("message: it did not come in time"),
        BodyError::Broken(_) => Error::invalid("message: it broke off"),
    }
}

/// The parameters of a query, decoded.
fn parameters(query: Option<&str>) -> Result<Vec<(String, String)>> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        let decoded = percent_decode_str(&text).decode_utf8().map(|text| text.into_owned());
        decoded.map_err(|_| Error::invalid("query: not UTF-8"))
    };
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| Ok((decode(name)?, decode(value)?)))
        .collect()
}

fn ok<T: Serialize + ?Sized>(value: &T) -> Response {
    json_answer(json::text(value))
}

fn json_answer(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
