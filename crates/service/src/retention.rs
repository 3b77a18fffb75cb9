//! Retention: how long, or how many, messages are kept, per app and per channel. A policy is a bound of every read from
//! the moment it is set; `maintenance.rs` makes it durable as floors.

use crate::{
    Caller, Channels,
    access::Visible,
    codec::{self, Writer},
    holds::first_held,
    policies::{AppPolicies, app_key, retention_key},
    resolve::floor_by_count,
};
use bytes::Bytes;
use model::{
    AppId, Channel, ChannelEntry, ChannelName, Error, ErrorKind, Head, Id, Position, Result, Seq, Span, Store,
};
use std::time::Duration;

/// The shortest age that a policy may name.
const SHORTEST: Duration = Duration::from_secs(1);

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
    /// Where to go on; none at the end.
    pub next: Option<String>,
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

impl Retention {
    /// What it leaves at `now_ticks`.
    pub(crate) fn visible(self, now_ticks: u64) -> Visible {
        let young = |age| Id::last_before(now_ticks.saturating_sub(ticks(age)));
        Visible { after: self.age.map_or(Id::MIN, young), newest: self.messages }
    }

    /// From when on a message is too old.
    pub(crate) fn too_old_at(self, message: Id) -> Option<Id> {
        let age = ticks(self.age?);
        Some(Id::new(message.ticks().saturating_add(age).saturating_add(1), 0))
    }

    /// Where the floor of a channel would go at `now_ticks`; [`Position::NONE`] if nowhere. Blocks.
    pub(crate) fn floor(self, store: &dyn Store, channel: &Channel, head: Head, now_ticks: u64) -> Result<Position> {
        let by_count = match self.messages {
            Some(messages) => floor_by_count(store, channel, head, messages)?,
            None => Position::NONE,
        };
        let by_age = match self.age {
            Some(_) => store.floor_for(channel, 0, self.visible(now_ticks).after)?,
            None => Position::NONE,
        };
        Ok(if by_age.seq > by_count.seq { by_age } else { by_count })
    }

    fn encode(self) -> Bytes {
        let age = self.age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        Writer::new().maybe(age).maybe(self.messages).finish()
    }

    fn check(self) -> Result<()> {
        match self.age {
            Some(age) if age < SHORTEST => Err(Error::invalid("retention: the shortest age is a second")),
            _ => Ok(()),
        }
    }
}

impl Channels {
    /// The policies of the caller's app: the app's first, then those of channels. Needs [`Rights::ADMIN`](crate::Rights::ADMIN).
    pub async fn retention(&self, caller: &Caller) -> Result<Vec<RetentionRule>> {
        self.shared.admit_admin(caller)?;
        let policies = self.shared.live.policies.of(&caller.app);
        let of_app = RetentionRule { channel: None, retention: policies.app.unwrap_or(policies.configured) };
        let channels = policies.channels.iter();
        let of_channels =
            channels.map(|(name, retention)| RetentionRule { channel: Some(name.clone()), retention: *retention });
        Ok(std::iter::once(of_app).chain(of_channels).collect())
    }

    /// Sets the policy of a channel, or of the app; without one, the channel follows the app again and the app its
    /// configuration. Holds for every read when this returns. Needs [`Rights::ADMIN`](crate::Rights::ADMIN).
    pub async fn set_retention(
        &self,
        caller: &Caller,
        channel: Option<&ChannelName>,
        retention: Option<Retention>,
    ) -> Result<Id> {
        self.shared.admit_admin(caller)?;
        retention.map_or(Ok(()), Retention::check)?;
        let most = self.shared.settings.retention_rules;
        let policies = self.shared.live.policies.of(&caller.app);
        if channel.is_some_and(|name| !policies.channels.contains_key(name)) && policies.channels.len() >= most {
            return Err(Error::new(ErrorKind::TooLarge, format!("retention: at most {most} channels have their own")));
        }
        self.know_app(&caller.app).await?;
        self.put_record(retention_key(&caller.app, channel), retention.map(Retention::encode), None).await
    }

    /// What a policy would remove, per channel, were it set on a channel or on the app now; nothing is changed. Of the
    /// app, looks at `limit` channels behind `after` ([`DryRun::next`]), and passes over those with a policy of their own.
    /// Needs [`Rights::ADMIN`](crate::Rights::ADMIN).
    pub async fn dry_run(
        &self,
        caller: &Caller,
        channel: Option<&ChannelName>,
        retention: Retention,
        after: Option<&str>,
        limit: u32,
    ) -> Result<DryRun> {
        self.shared.admit_admin(caller)?;
        retention.check()?;
        self.shared.check_limit(limit)?;
        let policies = self.shared.live.policies.of(&caller.app);
        let after = after.map(codec::place_of).transpose()?;
        let (app, only) = (caller.app.clone(), channel.cloned());
        let now = self.shared.now();
        let run = self.shared.reads.run(move |store| {
            let (entries, next) = match only {
                Some(name) => {
                    let channel = Channel { app, name };
                    let head = store.heads(std::slice::from_ref(&channel))?.pop().unwrap_or_default();
                    (vec![ChannelEntry { channel, head }], None)
                }
                None => {
                    let mut entries = store.all_channels(&app, after.as_ref(), limit)?;
                    let last = entries.last().map(|entry| codec::place_text(&entry.channel.name));
                    let next = last.filter(|_| entries.len() == limit as usize);
                    entries.retain(|entry| !policies.channels.contains_key(&entry.channel.name));
                    (entries, next)
                }
            };
            let mut channels = Vec::new();
            for ChannelEntry { channel, head } in entries {
                channels.extend(would_remove(store, &policies, &channel, head, retention, now)?);
            }
            Ok(DryRun { channels, next })
        });
        run.await
    }

    /// Sees to it that the app is known after a restart, also if no configuration names it any more.
    pub(crate) async fn know_app(&self, app: &AppId) -> Result<()> {
        if !self.shared.live.policies.knows(app) {
            self.put_record(app_key(app), Some(Writer::new().finish()), None).await?;
        }
        Ok(())
    }
}

/// What a policy would take from a channel. Blocks.
fn would_remove(
    store: &dyn Store,
    policies: &AppPolicies,
    channel: &Channel,
    head: Head,
    retention: Retention,
    now: Id,
) -> Result<Option<WouldRemove>> {
    let upto = retention.floor(store, channel, head, now.ticks())?;
    if upto.seq <= head.floor.seq {
        return Ok(None);
    }
    let gone = Span { after: Id::MIN, upto: upto.id };
    let messages = store.count(channel, gone, Seq::NONE, now)?;
    let held = first_held(store, policies, channel, gone)?;
    Ok(Some(WouldRemove { channel: channel.name.clone(), messages, upto, held_by: held.map(|(name, _)| name) }))
}

fn ticks(age: Duration) -> u64 {
    u64::try_from(age.as_nanos() / 100).unwrap_or(u64::MAX)
}
