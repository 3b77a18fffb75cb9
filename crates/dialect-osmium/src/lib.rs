//! The Osmium protocol (`protocols/osmium.md`): chats of a directory's users over one WebSocket, protobuf in binary
//! frames, and an HTTP API for the directory.
//!
//! What is served, what is not and what differs is told in `docs/dialects/osmium.md`.

mod directory;
mod edit;
mod error;
mod extras;
mod follow;
pub mod frame;
#[doc(hidden)]
pub mod fuzzing;
mod history;
mod ids;
pub mod limits;
mod marks;
mod pins;
mod reactions;
mod realm;
mod render;
mod search;
mod seats;
mod send;
mod session;
mod settings;
mod socket;
#[cfg(test)]
mod tests;
mod text;
pub mod wire;

pub use directory::{Channel, Community, Group, Member, Override, Permissions, Role, STRANGERS, check_name};
pub use settings::{ConfiguredCommunity, ConfiguredUser, DEFAULT_EPOCH_MS, Key, Settings};

use axum::{
    Router,
    extract::{State, WebSocketUpgrade},
    response::Response,
    routing::any,
};
use edge::CancellationToken;
use model::{Clock, Result};
use realm::Realm;
use service::Channels;
use session::Realms;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What all sockets share.
struct Door {
    realms: Arc<Realms>,
    stop: CancellationToken,
}

/// These realms on the WebSocket at `/`, each with its directory under `/v1/apps/{app}/osmium/`. Reads what is kept of
/// the directories, and follows the realms until `stop` is cancelled. Fails when a realm's epoch is not the one that it
/// began with.
pub async fn router(
    channels: Channels,
    settings: impl IntoIterator<Item = Settings>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<Router> {
    let mut list = Vec::new();
    for settings in settings {
        list.push(Arc::new(Realm::open(channels.clone(), settings, &*clock).await?));
    }
    if list.is_empty() {
        return Ok(Router::new());
    }
    let mut router = Router::new();
    for realm in &list {
        router = router.merge(directory::admin::router(realm));
        tokio::spawn(follow::follow(realm.clone(), stop.clone()));
    }
    let realms = Arc::new(Realms { list, password_checks: Semaphore::new(limits::PASSWORD_CHECKS) });
    let door = Arc::new(Door { realms, stop });
    Ok(router.merge(Router::new().route("/", any(upgrade)).with_state(door)))
}

/// No extension is offered back, so frames are never compressed.
async fn upgrade(State(door): State<Arc<Door>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .read_buffer_size(limits::SOCKET_READ_BUFFER)
        .write_buffer_size(limits::SOCKET_WRITE_BUFFER)
        .max_message_size(limits::READ_BYTES)
        .max_frame_size(limits::READ_BYTES)
        .on_upgrade(move |socket| socket::serve(door.realms.clone(), door.stop.clone(), socket))
}
