//! The outer edge of the program: listeners, sockets, bodies, CORS, bounds, probes and the graceful end.
//!
//! Knows HTTP and nothing else: no vendor, no message, no store. A dialect hands in an [`axum::Router`]; what an
//! answer means, and how an error looks, stays with the dialect. The layers between socket and router are few and made
//! by hand, because every request of every dialect pays for them.

pub mod body;
mod cors;
mod gate;
mod metrics;
mod probes;
mod secret;
mod serve;
mod settings;
mod stall;

pub use gate::REQUEST_ID;
pub use metrics::Metrics;
pub use probes::{Readiness, probes};
pub use secret::Secret;
pub use serve::{Ended, bind, serve};
pub use settings::Settings;
pub use tokio_util::sync::CancellationToken;
