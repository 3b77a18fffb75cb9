//! The Agora RTM dialect: the vendor's REST API of message history, sending and events in its 1.x form, and the history
//! of its 2.x form. What is served, what is not and what differs is told in `docs/dialects/agora.md`; the wire itself in
//! `protocols/agora-rtm.md`, whose sections the modules cite.
//!
//! A request goes `dialect` (read, answer) → `route` (which call) → `auth` (who calls) → `project` (which project, how often)
//! → one of the operations (`history`, `send`, `events`, `second`), which parse, call the service once and render.

mod auth;
mod convert;
mod dialect;
mod error;
mod events;
#[doc(hidden)]
pub mod fuzzing;
mod handle;
mod history;
pub mod limits;
mod project;
mod query;
mod rate;
mod route;
mod seal;
mod second;
mod send;
mod settings;
mod time;
pub mod token;
mod wire;

pub use dialect::router;
pub use settings::{Customer, Rates, Settings};
