//! Subscriptions.

use crate::Channels;
use model::{Change, Error, Id, Result};
use std::sync::Arc;

/// Follows topics from a position, through history and then live.
pub struct Subscription {
    pub(crate) channels: Channels,
    pub(crate) position: Id,
}

/// Changes of a subscription, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// What happened; may be empty when a long catch-up moved on.
    pub items: Vec<Item>,
    /// Examined up to here, inclusive: hand it in as `from` to go on.
    pub cursor: Id,
}

/// A change and why it is delivered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// What happened. The channel's number is not known of what was read back from the store.
    pub change: Arc<Change>,
    /// The index of the topic that it matched; the channel itself before patterns, longer ones before shorter.
    pub topic: usize,
}

impl Subscription {
    /// Waits for at least one matching change, or for a cursor that moved on in a long catch-up. Cancel-safe: what was
    /// not returned comes with the next call.
    ///
    /// Fails with `TooMany` when the subscriber was too slow for too long, `Unavailable` when the service stops.
    pub async fn next(&mut self) -> Result<Delivery> {
        let _ = &self.channels;
        Err(Error::unavailable("not yet"))
    }

    /// Everything that matches up to here was returned: hand it in as `from` to go on.
    pub fn cursor(&self) -> Id {
        self.position
    }
}
