//! Retention: how long, or how many, messages are kept, per app and per channel. A policy is a bound of every read from
//! the moment it is set; `maintenance.rs` makes it durable as floors.

use crate::{Caller, Channels};
use model::{ChannelName, Error, Id, Position, Result};
use std::time::Duration;

/// What a channel keeps. The narrower bound holds; none at all keeps everything for ever.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Retention {
    /// Only what is younger.
    pub age: Option<Duration>,
    /// Only this many of the newest messages that were stored.
    pub messages: Option<u64>,
}

/// A policy and where it holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetentionRule {
    /// The channel; none for all channels of the app that have no rule of their own.
    pub channel: Option<ChannelName>,
    /// What it keeps.
    pub retention: Retention,
}

/// What a policy would take, were it set now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DryRun {
    /// The channels that would lose something.
    pub channels: Vec<WouldRemove>,
    /// Go on after this channel; none at the end.
    pub next: Option<ChannelName>,
}

/// What a policy would take from one channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WouldRemove {
    /// Which channel.
    pub channel: ChannelName,
    /// How many messages would go.
    pub messages: u64,
    /// The newest of them.
    pub upto: Position,
    /// The legal hold that keeps some of them on the disk; readers do not see them either way.
    pub held_by: Option<String>,
}

impl Channels {
    /// The policies of the caller's app: the app's first, then those of channels. Needs
    /// [`Rights::ADMIN`](crate::Rights::ADMIN) on everything.
    pub async fn retention(&self, caller: &Caller) -> Result<Vec<RetentionRule>> {
        let _ = caller;
        Err(Error::unavailable("retention is not served yet"))
    }

    /// Sets the policy of a channel, or of the app; without one, the channel follows the app again and the app its
    /// configuration. Holds for every read when this returns. Needs [`Rights::ADMIN`](crate::Rights::ADMIN).
    pub async fn set_retention(
        &self,
        caller: &Caller,
        channel: Option<&ChannelName>,
        retention: Option<Retention>,
    ) -> Result<Id> {
        let _ = (caller, channel, retention);
        Err(Error::unavailable("retention is not served yet"))
    }

    /// What a policy would remove, per channel, were it set on a channel or on the app now; nothing is changed. Looks at
    /// `limit` channels after `after`. Needs [`Rights::ADMIN`](crate::Rights::ADMIN).
    pub async fn dry_run(
        &self,
        caller: &Caller,
        channel: Option<&ChannelName>,
        retention: Retention,
        after: Option<&ChannelName>,
        limit: u32,
    ) -> Result<DryRun> {
        let _ = (caller, channel, retention, after, limit);
        Err(Error::unavailable("retention is not served yet"))
    }
}
