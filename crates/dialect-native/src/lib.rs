//! The native API: `/v1/apps/{app}/…`, JSON over HTTP, live streams as server-sent events. `docs/dialects/native.md`
//! tells it to its users, `/openapi.json` to machines.
//!
//! Served: publishing, signals, pages of history, streams, the list of channels. Not served yet: WebSocket streams,
//! edits and deletions, reactions, reads and counts of many channels at once.
//!
//! A request is parsed into one [`route::Endpoint`] and typed values, becomes one call of `service::Channels`, and its
//! outcome is rendered. What things mean is decided there, not here.

mod auth;
mod channels;
mod convert;
mod error;
mod history;
mod json;
mod params;
mod publish;
mod route;
mod settings;
mod stream;
mod wire;

pub use auth::{App, Key};
pub use settings::Settings;

use auth::Apps;
use axum::{Router, body::Body, extract::State, routing::any};
use edge::CancellationToken;
use error::Problem;
use http::{HeaderValue, Request, Response, header};
use route::{Endpoint, Route};
use service::Channels;
use std::sync::Arc;

/// The description of this API in OpenAPI 3.1; a test holds it against the routes.
const OPENAPI: &str = include_str!("openapi.json");

/// What the native API is made of.
struct Native {
    channels: Channels,
    apps: Apps,
    settings: Settings,
    stop: CancellationToken,
}

/// The native API of these apps. Streams end when `stop` is cancelled, and tell their readers to come back.
pub fn router(
    channels: Channels,
    apps: impl IntoIterator<Item = App>,
    settings: Settings,
    stop: CancellationToken,
) -> Router {
    let native = Arc::new(Native { channels, apps: Apps::new(apps), settings, stop });
    // Paths are taken apart in `route`, from the raw text: there `%2F` is part of a channel's name, not a separator.
    Router::new().route("/openapi.json", any(answer)).route("/v1/apps/{*rest}", any(answer)).with_state(native)
}

async fn answer(State(native): State<Arc<Native>>, request: Request<Body>) -> Response<Body> {
    match native.dispatch(request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

impl Native {
    async fn dispatch(&self, request: Request<Body>) -> Result<Response<Body>, Problem> {
        let Route { app, endpoint } = Route::parse(request.method(), request.uri().path())?;
        if let Endpoint::OpenApi = endpoint {
            return Ok(json(OPENAPI.into()));
        }
        let (head, body) = request.into_parts();
        let query = head.uri.query();
        let caller = self.apps.caller(&app, &head.headers, query, endpoint.is_stream())?;
        match endpoint {
            Endpoint::Publish(name) => self.publish(&caller, name, &head.headers, query, body).await,
            Endpoint::Signal(name) => self.signal(&caller, name, query, body).await,
            Endpoint::History(name) => self.history(&caller, name, query).await,
            Endpoint::ChannelStream(name) => self.channel_stream(&caller, name, &head.headers, query).await,
            Endpoint::Stream => self.stream(&caller, &head.headers, query).await,
            Endpoint::Channels => self.list_channels(&caller, query).await,
            Endpoint::OpenApi => unreachable!("answered above, without a caller"),
        }
    }
}

/// An answer of JSON text.
fn json(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
