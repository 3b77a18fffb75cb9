//! The native API: `/v1/apps/{app}/…`, JSON over HTTP, live streams as server-sent events. `docs/dialects/native.md`
//! tells it to its users, `/openapi.json` to machines.
//!
//! Served: everything that `service` does, but for what a vendor's dialect alone needs. Not served: WebSocket streams.
//!
//! A request is parsed into one `route::Endpoint` and typed values, becomes one call of `service::Channels`, and its
//! outcome is rendered. What things mean is decided there, not here.

mod auth;
mod call;
mod changes;
mod channels;
mod clock;
mod convert;
mod erasures;
mod error;
mod fields;
#[doc(hidden)]
pub mod fuzzing;
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
mod search;
mod settings;
mod stream;
mod wire;

pub use auth::{App, Key};
pub use rights::{Right, scope};
pub use settings::Settings;

use auth::Apps;
use axum::{Router, body::Body, extract::State, routing::any};
use call::{Answer, Call};
use edge::CancellationToken;
use grants::Grants;
use http::{HeaderValue, Request, Response, header};
use model::{Channel, ChannelName, Clock, Id};
use route::{Admin, Endpoint, InChannel, Route};
use service::Channels;
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
    async fn dispatch(&self, request: Request<Body>) -> Answer {
        let Route { app, endpoint } = Route::parse(request.method(), request.uri().path())?;
        if let Endpoint::OpenApi = endpoint {
            return Ok(json(OPENAPI.into()));
        }
        let (head, body) = request.into_parts();
        let query = head.uri.query();
        let caller = &self.caller(&app, &head.headers, query, endpoint.is_stream()).await?;
        let call = Call { caller, headers: &head.headers, query, body, body_bounds: self.settings.body };
        match endpoint {
            Endpoint::Channel(name, operation) => self.in_channel(call, name, operation).await,
            Endpoint::Channels => self.list_channels(call).await,
            Endpoint::Stream => self.stream(call).await,
            Endpoint::Read => self.read(call).await,
            Endpoint::Counts => self.counts(call).await,
            Endpoint::Search => self.search(call).await,
            Endpoint::Occupied => self.occupied(call).await,
            Endpoint::WhereIs(user) => self.where_is(call, &user).await,
            Endpoint::Groups => self.list_groups(call).await,
            Endpoint::Group(group, operation) => self.in_group(call, &group, operation).await,
            Endpoint::Admin(operation) => self.admin(call, operation).await,
            Endpoint::OpenApi => unreachable!("answered above, without a caller"),
        }
    }

    async fn in_channel(&self, call: Call<'_>, name: ChannelName, operation: InChannel) -> Answer {
        let channel = &Channel { app: call.caller.app.clone(), name: name.clone() };
        match operation {
            InChannel::History => self.history(call, channel).await,
            InChannel::Publish => self.publish(call, channel).await,
            InChannel::DeleteSpan => self.delete_span(call, channel).await,
            InChannel::DeleteList => self.delete_list(call, channel).await,
            InChannel::Message(id) => self.message(call, channel, id).await,
            InChannel::Edit(id) => self.edit(call, channel, id).await,
            InChannel::Delete(id) => self.delete_one(call, channel, id).await,
            InChannel::Versions(id) => self.versions(call, channel, id).await,
            InChannel::ReactionsTo(id) => self.reactions_to(call, channel, id).await,
            InChannel::React(id) => self.react(call, channel, id).await,
            InChannel::Reactions => self.reactions(call, channel).await,
            InChannel::Unreact(id) => self.unreact(call, channel, id).await,
            InChannel::Changes => self.changes(call, channel).await,
            InChannel::Count => self.count(call, channel).await,
            InChannel::Signal => self.signal(call, channel).await,
            InChannel::Stream => self.channel_stream(call, name).await,
            InChannel::WhoIsHere => self.who_is_here(call, name).await,
            InChannel::Arrive => self.arrive(call, name).await,
            InChannel::SetState => self.set_state(call, name).await,
            InChannel::Leave => self.leave(call, name).await,
            InChannel::SetRetention => self.set_retention(call, Some(&name)).await,
            InChannel::DropRetention => self.drop_retention(call, Some(&name)).await,
        }
    }

    async fn admin(&self, call: Call<'_>, operation: Admin) -> Answer {
        match operation {
            Admin::Retention => self.retention(call).await,
            Admin::SetRetention => self.set_retention(call, None).await,
            Admin::DropRetention => self.drop_retention(call, None).await,
            Admin::Holds => self.list_holds(call).await,
            Admin::Hold(name) => self.hold(call, name).await,
            Admin::Release(name) => self.release(call, &name).await,
            Admin::Erasures => self.list_erasures(call).await,
            Admin::Erase => self.erase(call).await,
            Admin::Erasure(id) => self.erasure(call, &id).await,
            Admin::ErasedIn(id) => self.erased_in(call, &id).await,
            Admin::Clock => self.clock_status(call).await,
            Admin::ConfirmClock => self.confirm_clock(call).await,
            Admin::Grants => self.list_grants(call).await,
            Admin::Grant => self.grant(call).await,
            Admin::Revoke(id) => self.revoke(call, &id).await,
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
