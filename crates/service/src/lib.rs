//! The work of Scrollback: puts changes in order, stores them, tells subscribers, serves history, and decides who may
//! do what. [`Channels`] is all that a dialect sees.
//!
//! It knows no store, no transport and no vendor: below it are `model::Store` and `model::Fanout`, above it dialects
//! that parse and render.

mod access;
mod channels;
mod commit;
mod decide;
mod hash;
mod history;
mod hub;
mod known;
mod live;
mod lookup;
mod mailbox;
mod merge;
mod metrics;
mod order;
mod pages;
mod past;
mod publish;
mod queue;
mod reads;
mod ring;
mod sequencer;
mod settings;
mod subscription;
mod topic;

pub use access::{Access, AccessWindow, Caller, Rights, Rule, Scope};
pub use channels::{Channels, Parts, Status};
pub use history::{History, Query, Reach};
pub use publish::{Draft, Published};
pub use settings::Settings;
pub use subscription::{Delivery, Item, Subscription};
pub use topic::{Pattern, Topic};
