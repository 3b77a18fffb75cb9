//! The door: every request of the dialect comes in here, is read, done and answered. The vendor's gateway speaks first
//! (`protocols/agora-rtm.md` §2): route, credentials, rate; then the service: parameters.

use crate::{
    Settings, auth,
    auth::Identity,
    error::Refusal,
    events, history, limits,
    project::Project,
    route::{Endpoint, Route},
    second, send,
    wire::{Events, Reply},
};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::any,
};
use bytes::Bytes;
use edge::{CancellationToken, body::Bounds};
use http::request::Parts;
use model::{Clock, Error, ErrorKind, Result, TICKS_PER_MS, TICKS_PER_SECOND};
use rand::RngExt;
use serde::Serialize;
use service::{Caller, Channels};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The heads of all paths. A base address with a slash at its end yields two at the beginning.
const PATHS: [&str; 3] = ["/dev/{*rest}", "/rtm/{*rest}", "//{*rest}"];

/// What the dialect stands on.
struct Dialect {
    channels: Channels,
    clock: Arc<dyn Clock>,
    projects: HashMap<String, Arc<Project>>,
    ids: RequestIds,
}

/// A request of a caller who may make it.
pub struct Call<'a> {
    /// The work.
    pub channels: &'a Channels,
    /// The project that was called.
    pub project: &'a Project,
    /// Who calls.
    pub identity: Identity,
    /// Names the request in its answer.
    pub request_id: &'a str,
    /// The query string, as sent.
    pub query: &'a str,
    /// Now, in Unix milliseconds.
    pub now_ms: u64,
}

/// The routes of these projects. Reads what is kept of them, collects their events and clears up behind them until `stop`
/// is cancelled. Two projects with one app id are refused.
pub async fn router(
    channels: Channels,
    settings: impl IntoIterator<Item = Settings>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<Router> {
    let mut projects = HashMap::new();
    for settings in settings {
        let app_id = settings.app_id.clone();
        let project = Arc::new(Project::open(&channels, settings).await?);
        if projects.insert(app_id.clone(), project).is_some() {
            return Err(Error::invalid(format!("two apps have the Agora app id {app_id:?}")));
        }
    }
    if projects.is_empty() {
        return Ok(Router::new());
    }
    for project in projects.values() {
        watch("collecting events", events::collect(channels.clone(), project.clone(), stop.clone()));
        let (project, clock, stop) = (project.clone(), clock.clone(), stop.clone());
        watch("clearing away notes of used handles", async move { project.handles.keep_clear(&*clock, stop).await });
    }
    let dialect = Arc::new(Dialect { channels, clock, projects, ids: RequestIds::new() });
    let routes = PATHS.into_iter().fold(Router::new(), |routes, path| routes.route(path, any(answer)));
    Ok(routes.with_state(dialect))
}

/// Work that goes on until the program stops. Nobody waits for it, so that it broke off is said here.
fn watch(work: &'static str, task: impl Future<Output = ()> + Send + 'static) {
    let task = tokio::spawn(task);
    tokio::spawn(async move {
        if let Err(error) = task.await {
            tracing::error!(%error, work, "work of the Agora dialect broke off");
        }
    });
}

async fn answer(State(dialect): State<Arc<Dialect>>, request: Request) -> Response {
    let request_id = dialect.ids.next();
    let (head, body) = request.into_parts();
    let reply = match dialect.perform(&head, body, &request_id).await {
        Ok(reply) => reply,
        Err(refusal) => {
            if let Refusal::Work(error) = &refusal
                && error.kind == ErrorKind::Internal
            {
                tracing::error!(?error, request_id, "an Agora call failed");
            }
            refusal.reply(Route::generation(head.uri.path()), &request_id, second::OPERATION, dialect.now_ms())
        }
    };
    reply.into_response()
}

impl Dialect {
    async fn perform(&self, head: &Parts, body: Body, request_id: &str) -> Result<Reply, Refusal> {
        let route = Route::parse(&head.method, head.uri.path()).ok_or(Refusal::NoRoute)?;
        let project = self.projects.get(&route.app_id);
        let now_seconds = self.clock.now_ticks() / TICKS_PER_SECOND;
        let settings = project.map(|project| &project.settings);
        let identity = auth::identify(settings, &head.headers, now_seconds)?;
        // Whoever was let in was let into a project.
        let project = project.ok_or(Refusal::NoCredentials)?;
        project.admit(&route.endpoint, self.clock.monotonic_ticks())?;
        let call = Call {
            channels: &self.channels,
            project,
            identity,
            request_id,
            query: head.uri.query().unwrap_or_default(),
            now_ms: self.now_ms(),
        };
        call.perform(&route.endpoint, body).await
    }

    fn now_ms(&self) -> u64 {
        self.clock.now_ticks() / TICKS_PER_MS
    }
}

impl Call<'_> {
    async fn perform(&self, endpoint: &Endpoint, body: Body) -> Result<Reply, Refusal> {
        match endpoint {
            Endpoint::MakeQuery => history::make_query(self, &read(body).await?),
            Endpoint::Page { handle } => history::page(self, handle).await,
            Endpoint::Count => history::count(self).await,
            Endpoint::PeerMessage { sender } => send::to_user(self, sender, &read(body).await?).await,
            Endpoint::ChannelMessage { sender } => send::to_channel(self, sender, &read(body).await?).await,
            Endpoint::UserEvents => Ok(self.success(Events { events: self.project.events.take_of_users() })),
            Endpoint::ChannelEvents => Ok(self.success(Events { events: self.project.events.take_of_channels() })),
            Endpoint::SecondHistory { user, of } => second::history(self, user, of).await,
        }
    }

    /// The caller for the service.
    pub fn caller(&self) -> Caller {
        self.project.caller(&self.identity)
    }

    /// Whether a token proves who calls.
    pub fn is_verified(&self) -> bool {
        matches!(self.identity, Identity::User(_))
    }

    /// A success of the 1.x API.
    pub fn success(&self, answer: impl Serialize) -> Reply {
        Reply::success(self.request_id, answer)
    }
}

/// A body, whatever it says that it is: some callers name no content type (§1).
async fn read(body: Body) -> Result<Bytes, Refusal> {
    let bounds = Bounds { bytes: limits::BODY_BYTES, time: limits::BODY_WITHIN };
    Ok(edge::body::read(body, bounds).await?)
}

/// Gives out request ids: digits that tell this run of the program from others, and a count (§1).
struct RequestIds {
    run: u32,
    count: AtomicU64,
}

impl RequestIds {
    fn new() -> RequestIds {
        RequestIds { run: rand::rng().random(), count: AtomicU64::new(1) }
    }

    fn next(&self) -> String {
        format!("{}_{}", self.run, self.count.fetch_add(1, Ordering::Relaxed))
    }
}
