//! The subscription behind a held poll, which changes when a channel group of it changes.

use super::entries::{Entries, Entry, Wanted};
use crate::{error::Refusal, groups::Groups};
use model::{Error, Id};
use service::{Caller, Channels, Delivery, Subscription, Topic};
use std::{future::pending, sync::Arc};
use tokio::sync::watch;

/// What a poll follows.
pub struct Following {
    channels: Channels,
    caller: Caller,
    wanted: Wanted,
    groups: Option<Watched>,
    position: Id,
    /// As the groups are now; none while they are all empty.
    subscription: Option<Subscription>,
    /// By the topics of the subscription.
    entries: Vec<Entry>,
}

/// Groups, and word of their changes.
pub struct Watched {
    /// The groups.
    pub groups: Arc<Groups>,
    changes: watch::Receiver<()>,
}

impl Watched {
    /// Watches from now on: whatever is read of the groups afterwards, a later change is noticed.
    pub fn new(groups: Arc<Groups>) -> Watched {
        Watched { changes: groups.changes(), groups }
    }
}

impl Following {
    /// Follows what is wanted from a position, or from now on.
    pub async fn start(
        channels: Channels,
        caller: Caller,
        wanted: Wanted,
        groups: Option<Watched>,
        position: Option<Id>,
    ) -> Result<Following, Refusal> {
        let Entries { topics, list, .. } = wanted.entries(groups.as_ref().map(|watched| &*watched.groups))?;
        let subscription = subscribe(&channels, &caller, topics, position).await?;
        let position = position.unwrap_or_else(|| channels.frontier());
        Ok(Following { channels, caller, wanted, groups, position, subscription, entries: list })
    }

    /// Everything that is wanted up to here was returned.
    pub fn cursor(&self) -> Id {
        self.subscription.as_ref().map_or_else(|| self.channels.frontier(), Subscription::cursor)
    }

    /// What was asked for, by the topics of the deliveries.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Waits for the next delivery. When a group changes, goes on at the same place with its new channels.
    pub async fn next(&mut self) -> model::Result<Delivery> {
        loop {
            tokio::select! {
                biased;
                () = changed(&mut self.groups) => self.follow_groups().await?,
                delivery = next(&mut self.subscription) => return delivery,
            }
        }
    }

    async fn follow_groups(&mut self) -> model::Result<()> {
        let groups = self.groups.as_ref().map(|watched| &*watched.groups);
        let entries = self.wanted.entries(groups).map_err(|_| Error::invalid("channel-group: too many channels"))?;
        if let Some(subscription) = &self.subscription {
            if entries.topics == subscription.topics() {
                return Ok(());
            }
            self.position = subscription.cursor();
        }
        self.subscription = subscribe(&self.channels, &self.caller, entries.topics, Some(self.position)).await?;
        self.entries = entries.list;
        Ok(())
    }
}

/// No subscription without topics: a group may be empty.
async fn subscribe(
    channels: &Channels,
    caller: &Caller,
    topics: Vec<Topic>,
    position: Option<Id>,
) -> model::Result<Option<Subscription>> {
    if topics.is_empty() {
        return Ok(None);
    }
    channels.subscribe(caller, topics, position).await.map(Some)
}

async fn next(subscription: &mut Option<Subscription>) -> model::Result<Delivery> {
    match subscription {
        Some(subscription) => subscription.next().await,
        None => pending().await,
    }
}

async fn changed(groups: &mut Option<Watched>) {
    let Some(watched) = groups else { return pending().await };
    if watched.changes.changed().await.is_err() {
        pending().await
    }
}
