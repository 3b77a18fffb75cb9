//! One request on its way: what is known about it once its path, its query and its keys have been read.

use crate::{
    Keyset, Settings, convert,
    error::{Denied, Refusal},
    route::Endpoint,
    wire::Query,
};
use model::{ChannelName, Clock, TICKS_PER_SECOND, UserId};
use service::{Access, Caller, Channels, Rights, Topic};
use std::sync::Arc;

/// What the dialect stands on.
pub struct Dialect {
    /// The work.
    pub channels: Channels,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The keysets, by subscribe key.
    pub keysets: foldhash::HashMap<String, Tenant>,
    /// The bounds.
    pub settings: Settings,
}

/// A keyset, and what everybody may do with it where rights are not asked for.
pub struct Tenant {
    /// As configured.
    pub keyset: Keyset,
    /// Everything on the channels that the dialect sees.
    pub open: Arc<Access>,
}

/// A request of a known keyset.
pub struct Call<'a> {
    /// The work.
    pub channels: &'a Channels,
    /// The bounds.
    pub settings: &'a Settings,
    /// Whose keys were used.
    pub keyset: &'a Keyset,
    /// The parameters.
    pub query: &'a Query<'a>,
    /// Who says to be calling.
    pub user: Option<UserId>,
    access: Arc<Access>,
    dialect: &'a Dialect,
}

impl Dialect {
    /// A timetoken for now: never below anything that is visible.
    pub fn now(&self) -> u64 {
        self.clock.now_ticks().max(self.channels.frontier().timetoken())
    }

    /// The server's time in Unix seconds.
    pub fn now_seconds(&self) -> u64 {
        self.clock.now_ticks() / TICKS_PER_SECOND
    }

    /// Finds the keyset of a call and says who calls.
    pub fn call<'a>(&'a self, endpoint: &Endpoint, query: &'a Query<'a>) -> Result<Call<'a>, Refusal> {
        let key = endpoint.key().unwrap_or_default();
        let tenant = self.keysets.get(key).ok_or(Refusal::SubscribeKey)?;
        Ok(Call {
            channels: &self.channels,
            settings: &self.settings,
            keyset: &tenant.keyset,
            query,
            user: convert::user(query.get("uuid"), false)?,
            access: tenant.open.clone(),
            dialect: self,
        })
    }
}

impl Call<'_> {
    /// A timetoken for now.
    pub fn now(&self) -> u64 {
        self.dialect.now()
    }

    /// The caller for the service, if it has these rights on all of these channels; the refusal names those that it
    /// lacks.
    pub fn caller(&self, rights: Rights, names: &[&ChannelName]) -> Result<Caller, Refusal> {
        let denied: Vec<String> =
            names.iter().filter(|name| !self.access.allows(name, rights)).map(ToString::to_string).collect();
        self.permitted(denied)
    }

    /// The caller for a subscription, if it may read everything that it subscribes to.
    pub fn subscriber(&self, topics: &[Topic]) -> Result<Caller, Refusal> {
        let rights = Rights::READ | Rights::HISTORY;
        let allowed = |topic: &Topic| match topic {
            Topic::Channel(name) => self.access.allows(name, rights),
            Topic::Pattern(pattern) => self.access.allows_prefix(pattern.prefix(), rights),
            Topic::Group(group) => self.access.allows_group(group, rights),
            Topic::Presence(name) => self.access.allows(name, Rights::PRESENCE),
            Topic::PresencePattern(pattern) => self.access.allows_prefix(pattern.prefix(), Rights::PRESENCE),
            Topic::PresenceGroup(group) => self.access.allows_group(group, Rights::PRESENCE),
        };
        let denied: Vec<String> = topics.iter().filter(|topic| !allowed(topic)).map(name_of).collect();
        self.permitted(denied)
    }

    fn permitted(&self, denied: Vec<String>) -> Result<Caller, Refusal> {
        if !denied.is_empty() {
            return Err(Refusal::Forbidden(Denied { channels: denied, groups: Vec::new() }));
        }
        Ok(Caller { app: self.keyset.app.clone(), user: self.user.clone(), access: self.access.clone() })
    }
}

fn name_of(topic: &Topic) -> String {
    match topic {
        Topic::Channel(name) => name.to_string(),
        Topic::Pattern(pattern) => pattern.to_string(),
        Topic::Group(group) => group.to_string(),
        Topic::Presence(name) => format!("{name}-pnpres"),
        Topic::PresencePattern(pattern) => format!("{pattern}-pnpres"),
        Topic::PresenceGroup(group) => format!("{group}-pnpres"),
    }
}
