//! The door: every request of the dialect comes in here, is read, done and answered.

use crate::{
    Keyset, Settings,
    call::{Call, Dialect, Tenant},
    error::Refusal,
    history, limits, publish,
    route::{self, Endpoint},
    subscribe,
    wire::{Callback, Query, Reply, inflate},
};
use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing::any,
};
use bytes::Bytes;
use edge::body::{BodyError, Bounds};
use http::{Method, request::Parts};
use model::{Clock, Error, ErrorKind, Result};
use service::{Access, Channels, Rights, Rule};
use std::sync::Arc;

/// The heads of all paths of `protocols/pubnub.md`.
const PATHS: [&str; 14] = [
    "/time/{*rest}",
    "/publish/{*rest}",
    "/signal/{*rest}",
    "/v1/files/publish-file/{*rest}",
    "/v1/message-actions/{*rest}",
    "/v1/channel-registration/{*rest}",
    "/v2/publish/{*rest}",
    "/v2/subscribe/{*rest}",
    "/v2/history/{*rest}",
    "/v2/presence/{*rest}",
    "/v2/auth/{*rest}",
    "/v3/history/{*rest}",
    "/v3/history-with-actions/{*rest}",
    "/v3/pam/{*rest}",
];

/// The routes of the dialect. Two keysets with one subscribe key are refused.
pub fn router(channels: Channels, clock: Arc<dyn Clock>, keysets: Vec<Keyset>, settings: Settings) -> Result<Router> {
    let mut by_key = foldhash::HashMap::default();
    for keyset in keysets {
        let key = keyset.subscribe_key.clone();
        let open = Arc::new(open_access(&keyset));
        if by_key.insert(key.clone(), Tenant { keyset, open }).is_some() {
            return Err(Error::invalid(format!("two apps have the subscribe key {key:?}")));
        }
    }
    let dialect = Arc::new(Dialect { channels, clock, keysets: by_key, settings });
    let routes = PATHS.into_iter().fold(Router::new(), |routes, path| routes.route(path, any(answer)));
    Ok(routes.with_state(dialect))
}

/// What everybody may do on a keyset without Access Manager.
fn open_access(keyset: &Keyset) -> Access {
    let rights = Rights::READ | Rights::WRITE | Rights::DELETE | Rights::MANAGE | Rights::HISTORY;
    Access::new(keyset.scopes.iter().map(|scope| Rule { scope: scope.clone(), rights }))
}

async fn answer(State(dialect): State<Arc<Dialect>>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let refuse = |refusal: Refusal, service, callback: &Callback| {
        if let Refusal::Work(error) = &refusal {
            report(error, path);
        }
        refusal.reply(service, callback, dialect.now()).into_response()
    };
    let (endpoint, query) = match read_head(&parts) {
        Ok(head) => head,
        Err(refusal) => return refuse(refusal, route::service_of(path), &Callback::NONE),
    };
    let service = endpoint.service();
    let callback = endpoint.callback(&query);
    match perform(&dialect, endpoint, &query, &parts.method, body, &callback).await {
        Ok(response) => response,
        Err(refusal) => refuse(refusal, service, &callback),
    }
}

/// Failures of the server are for its log; the vendor's answer does not tell them.
fn report(error: &Error, path: &str) {
    if error.kind == ErrorKind::Internal {
        tracing::error!(?error, service = ?route::service_of(path), "a PubNub call failed");
    }
}

fn read_head(parts: &Parts) -> std::result::Result<(Endpoint, Query<'_>), Refusal> {
    let query = parts.uri.query().unwrap_or_default();
    if parts.uri.path().len() + query.len() > limits::REQUEST_LINE_BYTES {
        return Err(Refusal::LineTooLong);
    }
    Ok((Endpoint::parse(&parts.method, parts.uri.path())?, Query::parse(query)?))
}

async fn perform(
    dialect: &Dialect,
    endpoint: Endpoint,
    query: &Query<'_>,
    method: &Method,
    body: Body,
    callback: &Callback,
) -> std::result::Result<Response, Refusal> {
    if let Endpoint::Time { .. } = endpoint {
        return Ok(Reply::ok(callback.wrap(time(dialect.now()))).into_response());
    }
    let body = read_body(dialect, &endpoint, method, body).await?;
    let call = dialect.call(&endpoint, query)?;
    if let Endpoint::Subscribe { channels, .. } = &endpoint {
        return subscribe::subscribe(&call, channels, callback).await;
    }
    let json = operate(&call, endpoint, body).await?;
    Ok(Reply::ok(callback.wrap(json)).into_response())
}

async fn operate(call: &Call<'_>, endpoint: Endpoint, body: Bytes) -> std::result::Result<Vec<u8>, Refusal> {
    match endpoint {
        Endpoint::Publish(publish) => publish::publish(call, publish, body).await,
        Endpoint::History { channel, .. } => history::history(call, &channel).await,
        Endpoint::Fetch { channels, .. } => history::fetch(call, &channels).await,
        Endpoint::Count { channels, .. } => history::count(call, &channels).await,
        _ => Err(Refusal::UnknownPath),
    }
}

/// The body, decompressed; calls by GET and DELETE have none.
async fn read_body(
    dialect: &Dialect,
    endpoint: &Endpoint,
    method: &Method,
    body: Body,
) -> std::result::Result<Bytes, Refusal> {
    if *method != Method::POST {
        return Ok(Bytes::new());
    }
    let most = match endpoint {
        Endpoint::Publish(publish) => publish::most_bytes(publish.what),
        _ => limits::BODY_BYTES,
    };
    let bounds = Bounds { bytes: most, time: dialect.settings.body_time };
    let body = edge::body::read(body, bounds).await.map_err(|error| match error {
        BodyError::TooLarge => Refusal::BodyTooLarge,
        BodyError::TimedOut | BodyError::Broken(_) => Refusal::Argument("body"),
    })?;
    inflate(body, most)
}

impl Endpoint {
    /// The function that the client wants called with the answer.
    fn callback(&self, query: &Query) -> Callback {
        match self {
            Endpoint::Time { callback } | Endpoint::Subscribe { callback, .. } => callback.clone(),
            Endpoint::Publish(publish) => publish.callback.clone(),
            Endpoint::History { .. } => {
                query.get("callback").and_then(|name| Callback::parse(name).ok()).unwrap_or_default()
            }
            _ => Callback::NONE,
        }
    }
}

/// §3: a bare integer in an array.
fn time(now: u64) -> Vec<u8> {
    format!("[{now}]").into_bytes()
}
