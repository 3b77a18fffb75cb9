//! The PubNub dialect: the REST API of PubNub's clients, so that an application keeps its client library and changes its
//! origin. What is served, what is not and what differs is told in `docs/dialects/pubnub.md`; the wire itself in
//! `protocols/pubnub.md`, whose sections the modules cite.
//!
//! A request goes `dialect` (read, answer) → `route` (which call) → `call` (which keyset, who) → one of the operations
//! (`publish`, `history`, `actions`, `subscribe`, `presence`, `groups`, `access`), which parse, call the service once and render.

mod access;
mod actions;
mod auth;
mod call;
mod convert;
mod dialect;
mod error;
mod filter;
#[doc(hidden)]
pub mod fuzzing;
mod grants;
mod groups;
mod history;
mod limits;
mod presence;
mod publish;
mod route;
mod selection;
mod settings;
mod signature;
mod subscribe;
mod token;
mod wire;

pub use dialect::router;
pub use settings::{Keyset, Settings};
