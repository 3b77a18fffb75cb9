//! The Scaledrone API, version 3 (`protocols/scaledrone.md`): rooms with message history that arrives as part of the
//! subscribe, observable rooms, tokens with permissions, and the REST calls.
//!
//! What is served, what is not and what differs is told in `docs/dialects/scaledrone.md`.

mod auth;
mod client_id;
mod convert;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod json;
pub mod limits;
mod members;
mod page;
mod permissions;
mod rest;
mod session;
mod settings;
mod socket;
mod subscribe;
mod wire;

pub use settings::{HistoryCap, RoomHistory, RoomPattern, Settings, Waits, channel_id};

use axum::{
    Router,
    extract::{State, WebSocketUpgrade},
    response::{IntoResponse, Response},
    routing::any,
};
use edge::CancellationToken;
use error::Refusal;
use model::{Clock, Error};
use prometheus_client::{metrics::gauge::Gauge, registry::Registry};
use service::Channels;
use session::Directory;
use settings::Served;
use socket::Door;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// These channels on one socket address and under their REST paths; their metrics go into `registry`. When `stop` is cancelled, sockets are dropped
/// without a close frame, so that clients come back to the next program.
pub fn router(
    channels: Channels,
    settings: impl IntoIterator<Item = Settings>,
    waits: Waits,
    clock: Arc<dyn Clock>,
    registry: &mut Registry,
    stop: CancellationToken,
) -> Router {
    let served = settings.into_iter().map(|settings| Arc::new(Served::new(settings, clock.clone())));
    let directory: Directory = served.map(|served| (served.settings.channel.clone(), served)).collect();
    // A socket belongs to no channel before its handshake, so there is a bound for all of them, too.
    let places = directory.values().map(|served| served.settings.connections).sum::<usize>();
    let places = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
    let open = Gauge::default();
    registry.register("scaledrone_sockets", "Open sockets of Scaledrone's clients", open.clone());
    let door = Arc::new(Door { channels, directory: Arc::new(directory), places, open, clock, waits, stop });
    let socket = Router::new().route("/v3/websocket", any(upgrade)).with_state(door.clone());
    door.directory.values().fold(socket, |router, served| router.merge(rest::router(&door, served)))
}

/// Any origin may connect; no extension is offered back, so frames are never compressed.
async fn upgrade(State(door): State<Arc<Door>>, upgrade: WebSocketUpgrade) -> Response {
    let Ok(place) = door.places.clone().try_acquire_owned() else {
        return Refusal(Error::unavailable("too many connections")).into_response();
    };
    let largest = door.directory.values().map(|served| served.settings.message_bytes).max().unwrap_or_default();
    let frame = largest + limits::ENVELOPE_BYTES;
    upgrade
        .read_buffer_size(limits::SOCKET_READ_BUFFER)
        .write_buffer_size(limits::SOCKET_WRITE_BUFFER)
        .max_message_size(frame)
        .max_frame_size(frame)
        .on_upgrade(async move |socket| {
            door.open.inc();
            socket::serve(&door, socket).await;
            door.open.dec();
            drop(place);
        })
}
