//! The directory over HTTP: `/v1/apps/{app}/osmium/…`, JSON, for keys of the app that may administrate. What is put is
//! durable and in effect when it is answered.
//!
//! | path | methods |
//! |---|---|
//! | `users` | GET `?after=` |
//! | `users/{id}` | GET, PUT, DELETE |
//! | `users/{id}/token` | POST: a new token, all older ones end |
//! | `communities/{id}` | GET, PUT, DELETE |
//! | `communities/{id}/channels/{id}`, `…/roles/{id}` | PUT, DELETE |
//! | `communities/{id}/members/{user}` | PUT, DELETE |
//! | `groups/{id}` | GET, PUT, DELETE |
//! | `groups/{id}/members/{user}` | PUT, DELETE |

mod edit;
mod shapes;

use super::Key;
use crate::{
    error::{Answer, Refusal},
    limits,
    realm::Realm,
};
use axum::{Router, body::Body, extract::State, routing::any};
use edge::body::{BodyError, Bounds};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use service::Rights;
use std::sync::Arc;

/// The directory of one realm. The path names the app in full, because others serve the paths beside it.
pub fn router(realm: &Arc<Realm>) -> Router {
    let path = format!("/v1/apps/{}/osmium/{{*rest}}", realm.settings.app);
    Router::new().route(&path, any(answer)).with_state(realm.clone())
}

/// What a path names.
enum Place {
    Users,
    Token(u64),
    Thing(Key),
    Channel(u64, u64),
    Role(u64, u64),
    GroupMember(u64, u64),
}

async fn answer(State(realm): State<Arc<Realm>>, request: Request<Body>) -> Response<Body> {
    let outcome = realm.administrate(request).await;
    let (status, value) = match outcome {
        Ok(value) => (StatusCode::OK, value),
        Err(refusal) => {
            let status = u16::try_from(refusal.code).ok().and_then(|code| StatusCode::from_u16(code).ok());
            let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let title = status.canonical_reason().unwrap_or("Error");
            (status, json!({"title": title, "status": status.as_u16(), "detail": refusal.text}))
        }
    };
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    let form = if status == StatusCode::OK { "application/json" } else { "application/problem+json" };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(form));
    response
}

impl Realm {
    async fn administrate(&self, request: Request<Body>) -> Answer<Value> {
        let (head, body) = request.into_parts();
        self.check_key(&head.headers)?;
        let place = place(head.uri.path())?;
        match head.method {
            Method::GET => self.show_place(&place, head.uri.query()),
            Method::PUT => {
                let body = read(body).await?;
                self.put_place(&place, &body).await
            }
            Method::DELETE => self.delete_place(&place).await,
            Method::POST => match place {
                Place::Token(user) => self.renew_token(user).await,
                _ => Err(no_such_method()),
            },
            _ => Err(no_such_method()),
        }
    }

    fn show_place(&self, place: &Place, query: Option<&str>) -> Answer<Value> {
        let directory = self.directory();
        match place {
            Place::Users => shapes::users(&directory, query),
            Place::Thing(Key::User(id)) => directory.user(*id).map(shapes::user).ok_or(Refusal::not_found("user")),
            Place::Thing(Key::Community(id)) => {
                let found = directory.community(*id).ok_or(Refusal::not_found("community"))?;
                Ok(shapes::community(found, &directory))
            }
            Place::Thing(Key::Group(id)) => directory.group(*id).map(shapes::group).ok_or(Refusal::not_found("group")),
            _ => Err(no_such_method()),
        }
    }

    async fn put_place(&self, place: &Place, body: &[u8]) -> Answer<Value> {
        match *place {
            Place::Thing(Key::User(id)) => self.put_user(id, parse(body)?).await,
            Place::Thing(Key::Community(id)) => self.put_community(id, parse(body)?).await,
            Place::Thing(Key::Member(community, user)) => self.put_member(community, user, parse(body)?).await,
            Place::Thing(Key::Group(id)) => self.put_group(id, parse(body)?).await,
            Place::Channel(community, channel) => self.put_channel(community, channel, parse(body)?).await,
            Place::Role(community, role) => self.put_role(community, role, parse(body)?).await,
            Place::GroupMember(group, user) => self.set_group_member(group, user, true).await,
            Place::Users | Place::Token(_) => Err(no_such_method()),
        }
    }

    async fn delete_place(&self, place: &Place) -> Answer<Value> {
        match *place {
            Place::Thing(Key::User(id)) => self.delete_user(id).await,
            Place::Thing(Key::Community(id)) => self.delete_community(id).await,
            Place::Thing(key @ (Key::Member(..) | Key::Group(_))) => self.delete_thing(key).await,
            Place::Channel(community, channel) => self.delete_channel(community, channel).await,
            Place::Role(community, role) => self.delete_role(community, role).await,
            Place::GroupMember(group, user) => self.set_group_member(group, user, false).await,
            Place::Users | Place::Token(_) => Err(no_such_method()),
        }
    }

    fn check_key(&self, headers: &HeaderMap) -> Answer<()> {
        let shown = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let shown = match shown.split_at_checked(7) {
            Some((scheme, secret)) if scheme.eq_ignore_ascii_case(b"bearer ") => secret.trim_ascii(),
            _ => return Err(unauthenticated()),
        };
        let mut found = None;
        // Every key is compared, so that the time does not tell which one was nearly right.
        for key in &self.settings.keys {
            if key.secret.is(shown) {
                found = Some(&key.access);
            }
        }
        match found.ok_or_else(unauthenticated)?.allows_prefix("", Rights::ADMIN) {
            true => Ok(()),
            false => Err(Refusal::forbidden("the directory needs a key with the right \"admin\" on all channels")),
        }
    }
}

fn place(path: &str) -> Answer<Place> {
    // "", "v1", "apps", the app, "osmium", and what follows.
    let parts: Vec<&str> = path.split('/').skip(5).collect();
    Ok(match parts[..] {
        ["users"] => Place::Users,
        ["users", id] => Place::Thing(Key::User(number(id)?)),
        ["users", id, "token"] => Place::Token(number(id)?),
        ["communities", id] => Place::Thing(Key::Community(number(id)?)),
        ["communities", id, "channels", channel] => Place::Channel(number(id)?, number(channel)?),
        ["communities", id, "roles", role] => Place::Role(number(id)?, number(role)?),
        ["communities", id, "members", user] => Place::Thing(Key::Member(number(id)?, number(user)?)),
        ["groups", id] => Place::Thing(Key::Group(number(id)?)),
        ["groups", id, "members", user] => Place::GroupMember(number(id)?, number(user)?),
        _ => return Err(Refusal::not_found("path")),
    })
}

/// An id as a directory gives them out.
fn number(text: &str) -> Answer<u64> {
    let id = text.parse().ok().filter(|id| (1..super::STRANGERS).contains(id));
    id.ok_or_else(|| Refusal::invalid("id: a number from 1 to 9223372036854775807 is needed"))
}

async fn read(body: Body) -> Answer<bytes::Bytes> {
    let bounds = Bounds { bytes: limits::BODY_BYTES, time: limits::BODY_WITHIN };
    edge::body::read(body, bounds).await.map_err(|error| match error {
        BodyError::TooLarge => Refusal::invalid(format!("body: at most {} bytes", limits::BODY_BYTES)),
        BodyError::TimedOut => Refusal::invalid("body: it did not end in time"),
        BodyError::Broken(_) => Refusal::invalid("body: it broke off"),
    })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Answer<T> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| Refusal::invalid(format!("body: {error}")))
}

fn no_such_method() -> Refusal {
    Refusal { code: 405, text: "this method does not work here".to_owned() }
}

fn unauthenticated() -> Refusal {
    let text = "this needs a key of the app, as the header \"Authorization: Bearer <secret>\"";
    Refusal { code: 401, text: text.to_owned() }
}
