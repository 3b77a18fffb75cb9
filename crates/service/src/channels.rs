//! The type that dialects call.

use crate::{Caller, Draft, History, Published, Query, Settings, Subscription, Topic};
use bytes::Bytes;
use model::{
    AppId, Channel, ChannelEntry, ChannelName, Clock, Error, Fanout, Id, Record, RecordKey, RecordKind, Result, Span,
    Store,
};
use prometheus_client::registry::Registry;
use std::sync::Arc;

/// The work. Cheap to clone.
#[derive(Clone)]
pub struct Channels(Arc<Settings>);

/// What the service stands on.
pub struct Parts {
    /// Keeps history.
    pub store: Arc<dyn Store>,
    /// Carries changes to other nodes; none on one machine.
    pub fanout: Option<Arc<dyn Fanout>>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// How it goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// Whether new work is accepted: not while an unknown outcome is settled, nor while stopping.
    pub accepting: bool,
    /// Everything at or below it is visible.
    pub frontier: Id,
    /// Requests that wait for the sequencer or their commit.
    pub queued_requests: usize,
    /// Their bytes.
    pub queued_bytes: usize,
    /// Changes in the recent ring.
    pub ring_changes: usize,
    /// Their bytes.
    pub ring_bytes: usize,
    /// Bytes of hot pages.
    pub page_cache_bytes: usize,
    /// Subscriptions that exist.
    pub subscriptions: usize,
}

impl Channels {
    /// Settles the store, refills the recent ring and starts the sequencer.
    pub fn start(parts: Parts, settings: Settings) -> Result<Channels> {
        let _ = parts;
        Ok(Channels(Arc::new(settings)))
    }

    /// Refuses new work, finishes what waits, ends subscriptions; returns when the sequencer has stopped.
    pub async fn stop(&self) {}

    /// Publishes a message. Needs [`crate::Rights::WRITE`].
    pub async fn publish(&self, caller: &Caller, channel: &Channel, draft: Draft) -> Result<Published> {
        let _ = (caller, channel, draft, &self.0);
        Err(Error::unavailable("not yet"))
    }

    /// Publishes several messages, in order, each with its own outcome; in one batch where they fit.
    pub async fn publish_all(&self, caller: &Caller, drafts: Vec<(Channel, Draft)>) -> Vec<Result<Published>> {
        let _ = caller;
        drafts.iter().map(|_| Err(Error::unavailable("not yet"))).collect()
    }

    /// Publishes a small message that only present subscribers see. Needs [`crate::Rights::WRITE`].
    pub async fn signal(&self, caller: &Caller, channel: &Channel, draft: Draft) -> Result<Published> {
        self.publish(caller, channel, draft).await
    }

    /// A page of a channel. Needs [`crate::Rights::HISTORY`].
    pub async fn history(&self, caller: &Caller, channel: &Channel, query: &Query) -> Result<Arc<History>> {
        let _ = (caller, channel, query);
        Err(Error::unavailable("not yet"))
    }

    /// How many messages of a span the caller may see: exact. Needs [`crate::Rights::HISTORY`].
    pub async fn count(&self, caller: &Caller, channel: &Channel, span: Span) -> Result<u64> {
        let _ = (caller, channel, span);
        Err(Error::unavailable("not yet"))
    }

    /// Channels with names in the clear that begin with `prefix`, those after `after`, in byte order. Needs
    /// [`crate::Rights::HISTORY`] on everything that begins so. The heads are the channels', not cut by a window.
    pub async fn list_channels(
        &self,
        caller: &Caller,
        prefix: &str,
        after: Option<&ChannelName>,
        limit: u32,
    ) -> Result<Vec<ChannelEntry>> {
        let _ = (caller, prefix, after, limit);
        Err(Error::unavailable("not yet"))
    }

    /// Joins history and live: everything after `from` that matches a topic, each change once, in order, then what
    /// comes. Without `from`: from now on. A position above the frontier is taken as the frontier.
    pub async fn subscribe(&self, caller: &Caller, topics: Vec<Topic>, from: Option<Id>) -> Result<Subscription> {
        let _ = (caller, topics);
        Ok(Subscription { channels: self.clone(), position: from.unwrap_or(self.frontier()) })
    }

    /// Everything at or below it is visible, and nothing will ever appear there.
    pub fn frontier(&self) -> Id {
        Id::MIN
    }

    /// A record. For callers inside the house: no access is asked.
    pub async fn record(&self, key: &RecordKey) -> Result<Option<Record>> {
        let _ = key;
        Err(Error::unavailable("not yet"))
    }

    /// Sets or deletes a record, and returns its new version. `expected`: the version that it must have,
    /// [`Id::MIN`] for "must not exist", none for whatever; `Conflict` otherwise.
    pub async fn put_record(&self, key: RecordKey, value: Option<Bytes>, expected: Option<Id>) -> Result<Id> {
        let _ = (key, value, expected);
        Err(Error::unavailable("not yet"))
    }

    /// Records of a kind whose names begin with `prefix`, in byte order, those after `after`.
    pub async fn records(
        &self,
        app: &AppId,
        kind: RecordKind,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<Record>> {
        let _ = (app, kind, prefix, after, limit);
        Err(Error::unavailable("not yet"))
    }

    /// How it goes.
    pub fn status(&self) -> Status {
        Status {
            accepting: false,
            frontier: Id::MIN,
            queued_requests: 0,
            queued_bytes: 0,
            ring_changes: 0,
            ring_bytes: 0,
            page_cache_bytes: 0,
            subscriptions: 0,
        }
    }

    /// Adds the service's metrics to a registry.
    pub fn register_metrics(&self, registry: &mut Registry) {
        let _ = registry;
    }
}
