//! The native API: `/v1/apps/{app}/…`, JSON over HTTP, live streams as server-sent events. `docs/dialects/native.md`
//! tells it to its users, `/openapi.json` to machines.
//!
//! Served: everything that `service` does, but for what a vendor's dialect alone needs. Not served: WebSocket streams.
//!
//! A request is parsed into one [`route::Endpoint`] and typed values, becomes one call of `service::Channels`, and its
//! outcome is rendered. What things mean is decided there, not here.

mod auth;
mod changes;
mod channels;
mod clock;
mod convert;
mod erasures;
mod error;
mod fields;
mod grants;
mod groups;
mod history;
mod holds;
mod json;
mod many;
mod messages;
mod params;
mod presence;
mod publish;
mod reactions;
mod retention;
mod rights;
mod route;
mod settings;
mod stream;
mod wire;

pub use auth::{App, Key};
pub use rights::{Right, scope};
pub use settings::Settings;

use auth::Apps;
use axum::{Router, body::Body, extract::State, routing::any};
use edge::CancellationToken;
use error::Problem;
use grants::Grants;
use http::{HeaderValue, Request, Response, header, request::Parts};
use model::{Channel, ChannelName, Clock, Id};
use route::{Admin, Endpoint, InChannel, Route};
use service::{Caller, Channels};
use std::sync::Arc;

/// The description of this API in OpenAPI 3.1; a test holds it against the routes.
const OPENAPI: &str = include_str!("openapi.json");

/// What the native API is made of.
struct Native {
    channels: Channels,
    apps: Apps,
    grants: Grants,
    clock: Arc<dyn Clock>,
    settings: Settings,
    stop: CancellationToken,
}

/// The native API of these apps. Streams end when `stop` is cancelled, and tell their readers to come back.
pub fn router(
    channels: Channels,
    clock: Arc<dyn Clock>,
    apps: impl IntoIterator<Item = App>,
    settings: Settings,
    stop: CancellationToken,
) -> Router {
    let native = Arc::new(Native { channels, apps: Apps::new(apps), grants: Grants::default(), clock, settings, stop });
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
        let caller = self.caller(&app, &head.headers, query, endpoint.is_stream()).await?;
        match endpoint {
            Endpoint::Channel(name, operation) => self.in_channel(&caller, name, operation, &head, body).await,
            Endpoint::Channels => self.list_channels(&caller, query).await,
            Endpoint::Stream => self.stream(&caller, &head.headers, query).await,
            Endpoint::Read => self.read(&caller, query, body).await,
            Endpoint::Counts => self.counts(&caller, query, body).await,
            Endpoint::Occupied => self.occupied(&caller, query).await,
            Endpoint::WhereIs(user) => self.where_is(&caller, &user, query).await,
            Endpoint::Groups => self.list_groups(&caller, query).await,
            Endpoint::Group(group, operation) => self.in_group(&caller, &group, operation, query).await,
            Endpoint::Admin(operation) => self.admin(&caller, operation, query, body).await,
            Endpoint::OpenApi => unreachable!("answered above, without a caller"),
        }
    }

    async fn in_channel(
        &self,
        caller: &Caller,
        name: ChannelName,
        operation: InChannel,
        head: &Parts,
        body: Body,
    ) -> Result<Response<Body>, Problem> {
        let query = head.uri.query();
        let channel = &Channel { app: caller.app.clone(), name: name.clone() };
        match operation {
            InChannel::History => self.history(caller, channel, query).await,
            InChannel::Publish => self.publish(caller, channel, &head.headers, query, body).await,
            InChannel::DeleteSpan => self.delete_span(caller, channel, query).await,
            InChannel::DeleteList => self.delete_list(caller, channel, query, body).await,
            InChannel::Message(id) => self.message(caller, channel, id, query).await,
            InChannel::Edit(id) => self.edit(caller, channel, id, query, body).await,
            InChannel::Delete(id) => self.delete_one(caller, channel, id, query).await,
            InChannel::Versions(id) => self.versions(caller, channel, id, query).await,
            InChannel::ReactionsTo(id) => self.reactions_to(caller, channel, id, query).await,
            InChannel::React(id) => self.react(caller, channel, id, query, body).await,
            InChannel::Reactions => self.reactions(caller, channel, query).await,
            InChannel::Unreact(id) => self.unreact(caller, channel, id, query).await,
            InChannel::Changes => self.changes(caller, channel, query).await,
            InChannel::Count => self.count(caller, channel, query).await,
            InChannel::Signal => self.signal(caller, channel, query, body).await,
            InChannel::Stream => self.channel_stream(caller, name, &head.headers, query).await,
            InChannel::WhoIsHere => self.who_is_here(caller, name, query).await,
            InChannel::Arrive => self.arrive(caller, name, query, body).await,
            InChannel::SetState => self.set_state(caller, name, query, body).await,
            InChannel::Leave => self.leave(caller, name, query).await,
            InChannel::SetRetention => self.set_retention(caller, Some(&name), query, body).await,
            InChannel::DropRetention => self.drop_retention(caller, Some(&name), query).await,
        }
    }

    async fn admin(
        &self,
        caller: &Caller,
        operation: Admin,
        query: Option<&str>,
        body: Body,
    ) -> Result<Response<Body>, Problem> {
        match operation {
            Admin::Retention => self.retention(caller, query).await,
            Admin::SetRetention => self.set_retention(caller, None, query, body).await,
            Admin::DropRetention => self.drop_retention(caller, None, query).await,
            Admin::Holds => self.list_holds(caller, query).await,
            Admin::Hold(name) => self.hold(caller, name, query, body).await,
            Admin::Release(name) => self.release(caller, &name, query).await,
            Admin::Erasures => self.list_erasures(caller, query).await,
            Admin::Erase => self.erase(caller, query, body).await,
            Admin::Erasure(id) => self.erasure(caller, &id, query).await,
            Admin::ErasedIn(id) => self.erased_in(caller, &id, query).await,
            Admin::Clock => self.clock_status(caller, query).await,
            Admin::ConfirmClock => self.confirm_clock(caller, query).await,
            Admin::Grants => self.list_grants(caller, query).await,
            Admin::Grant => self.grant(caller, query, body).await,
            Admin::Revoke(id) => self.revoke(caller, &id, query).await,
        }
    }

    /// What reads as "now".
    fn now(&self) -> Id {
        Id::last_at(self.clock.now_ticks())
    }
}

/// An answer of JSON text.
fn json(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
