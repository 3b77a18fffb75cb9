//! The Scaledrone API, version 3 (`protocols/scaledrone.md`): rooms with message history that arrives as part of the
//! subscribe, observable rooms, tokens with permissions, and the REST calls.
//!
//! What is served, what is not and what differs is told in `docs/dialects/scaledrone.md`.

mod auth;
mod convert;
mod error;
mod json;
pub mod limits;
mod members;
mod permissions;
mod session;
mod settings;
mod wire;

pub use auth::Secret;
pub use settings::{HistoryCap, RoomHistory, RoomPattern, Settings};
