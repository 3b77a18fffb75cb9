//! The door: every request of the dialect comes in here, is read, done and answered.

use crate::{
    Keyset, access, actions,
    call::{Call, Dialect, Tenant},
    error::Refusal,
    groups, history, limits, presence, publish,
    route::{self, Endpoint, PresenceCall},
    signature::Signed,
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
use service::Channels;
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
pub fn router(channels: Channels, clock: Arc<dyn Clock>, keysets: Vec<Keyset>) -> Result<Router> {
    let mut tenants = foldhash::HashMap::default();
    for keyset in keysets {
        let key = keyset.subscribe_key.clone();
        if tenants.insert(key.clone(), Tenant::new(keyset)).is_some() {
            return Err(Error::invalid(format!("two apps have the subscribe key {key:?}")));
        }
    }
    let dialect = Arc::new(Dialect { channels, clock, tenants });
    let routes = PATHS.into_iter().fold(Router::new(), |routes, path| routes.route(path, any(answer)));
    Ok(routes.with_state(dialect))
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
    match perform(&dialect, endpoint, &query, &parts, body, &callback).await {
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
    head: &Parts,
    body: Body,
    callback: &Callback,
) -> std::result::Result<Response, Refusal> {
    if let Endpoint::Time { .. } = endpoint {
        return Ok(Reply::ok(callback.wrap(time(dialect.now()))).into_response());
    }
    let tenant = dialect.tenant(&endpoint)?;
    let body = read_body(tenant.keyset(), &endpoint, &head.method, body).await?;
    let signed = Signed { method: &head.method, path: head.uri.path(), query, body: &body };
    let call = dialect.call(tenant, &endpoint, signed).await?;
    if let Endpoint::Subscribe { channels, .. } = &endpoint {
        return subscribe::subscribe(&call, channels, callback).await;
    }
    let content_type = endpoint.service().content_type();
    let json = operate(&call, endpoint, body.clone()).await?;
    let mut reply = Reply::ok(callback.wrap(json));
    reply.content_type = content_type;
    Ok(reply.into_response())
}

async fn operate(call: &Call<'_>, endpoint: Endpoint, body: Bytes) -> std::result::Result<Bytes, Refusal> {
    // The only answer that is worth keeping with its page, and so the only one that is shared bytes already.
    if let Endpoint::Fetch { channels, actions: false, .. } = &endpoint {
        return history::fetch(call, channels).await;
    }
    write(call, endpoint, body).await.map(Bytes::from)
}

async fn write(call: &Call<'_>, endpoint: Endpoint, body: Bytes) -> std::result::Result<Vec<u8>, Refusal> {
    match endpoint {
        Endpoint::Publish(publish) => publish::publish(call, publish, body).await,
        Endpoint::History { channel, .. } => history::history(call, &channel).await,
        Endpoint::Fetch { channels, .. } => history::fetch_with_actions(call, &channels).await,
        Endpoint::Delete { channels, .. } => history::delete(call, &channels).await,
        Endpoint::Actions { channel, call: wish, .. } => actions::actions(call, &channel, wish, &body).await,
        Endpoint::Presence { call: wish, .. } => presence::presence(call, wish).await,
        Endpoint::Count { channels, .. } => history::count(call, &channels).await,
        Endpoint::Grant { .. } => access::grant(call, &body),
        Endpoint::Revoke { token, .. } => access::revoke(call, &token).await,
        Endpoint::LegacyGrant { .. } => access::legacy_grant(call).await,
        Endpoint::LegacyAudit { .. } => access::legacy_audit(call),
        Endpoint::Groups { call: group, .. } => groups::groups(call, group).await,
        // Both are answered before: one has no keyset, the other no single body.
        Endpoint::Time { .. } | Endpoint::Subscribe { .. } => Err(Refusal::UnknownPath),
    }
}

/// The body, decompressed; calls by GET and DELETE have none.
async fn read_body(
    keyset: &Keyset,
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
    let bounds = Bounds { bytes: most, time: keyset.body_time };
    let body = edge::body::read(body, bounds).await.map_err(|error| match error {
        BodyError::TooLarge => Refusal::BodyTooLarge,
        BodyError::TimedOut | BodyError::Broken(_) => Refusal::Argument("body"),
    })?;
    inflate(body, most)
}

impl Endpoint {
    /// Whether only the secret key may do it (§11).
    pub fn is_for_administrators(&self) -> bool {
        matches!(
            self,
            Endpoint::Grant { .. }
                | Endpoint::Revoke { .. }
                | Endpoint::LegacyGrant { .. }
                | Endpoint::LegacyAudit { .. }
        )
    }

    /// Whether anybody may do it, whatever was granted (§11.6).
    pub fn is_free(&self) -> bool {
        let free = |call: &PresenceCall| matches!(call, PresenceCall::Leave { .. } | PresenceCall::WhereNow { .. });
        matches!(self, Endpoint::Presence { call, .. } if free(call))
    }

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
