//! The Scaledrone API, version 3 (`protocols/scaledrone.md`): rooms with message history that arrives as part of the
//! subscribe, observable rooms, tokens with permissions, and the REST calls.
//!
//! What is served, what is not and what differs is told in `docs/dialects/scaledrone.md`.

mod auth;
mod client_id;
mod convert;
mod error;
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

pub use settings::{HistoryCap, RoomHistory, RoomPattern, Settings, channel_id};

use axum::{
    Router,
    extract::{State, WebSocketUpgrade},
    response::Response,
    routing::any,
};
use edge::CancellationToken;
use model::Clock;
use service::Channels;
use settings::Served;
use socket::Door;
use std::sync::Arc;

/// These channels on one socket address and under their REST paths. When `stop` is cancelled, sockets are dropped
/// without a close frame, so that clients come back to the next program.
pub fn router(
    channels: Channels,
    settings: impl IntoIterator<Item = Settings>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Router {
    let served = settings.into_iter().map(|settings| Arc::new(Served::new(settings, clock.clone())));
    let directory = served.map(|served| (served.settings.channel.clone(), served)).collect();
    let door = Arc::new(Door { channels, directory: Arc::new(directory), clock, stop });
    let socket = Router::new().route("/v3/websocket", any(upgrade)).with_state(door.clone());
    door.directory.values().fold(socket, |router, served| router.merge(rest::router(&door, served)))
}

/// Any origin may connect; no extension is offered back, so frames are never compressed.
async fn upgrade(State(door): State<Arc<Door>>, upgrade: WebSocketUpgrade) -> Response {
    let largest = door.directory.values().map(|served| served.settings.message_bytes).max().unwrap_or_default();
    let frame = largest + limits::ENVELOPE_BYTES;
    upgrade
        .read_buffer_size(limits::SOCKET_READ_BUFFER)
        .write_buffer_size(limits::SOCKET_WRITE_BUFFER)
        .max_message_size(frame)
        .max_frame_size(frame)
        .on_upgrade(move |socket| socket::serve(door, socket))
}
