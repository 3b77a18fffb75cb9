//! Which call a path means: every path of `protocols/pubnub.md` becomes one value of [`Endpoint`] before anything is done.
//! What the query says is read by the operations.

mod parse;

use crate::{
    error::Service,
    wire::{Callback, Path},
};

/// A call, as far as its path tells it. Lists of names are decoded but not yet split.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Endpoint {
    /// §3.
    Time { callback: Callback },
    /// §4: publish, signal and the announcement of a file.
    Publish(Publish),
    /// §5.
    Subscribe { key: String, channels: String, callback: Callback },
    /// §6.
    History { key: String, channel: String },
    /// §7.1 and §7.2.
    Fetch { key: String, channels: String, actions: bool },
    /// §7.5.
    Delete { key: String, channels: String },
    /// §7.4.
    Count { key: String, channels: String },
    /// §8.
    Actions { key: String, channel: String, call: ActionCall },
    /// §9.
    Groups { key: String, call: GroupCall },
    /// §10.
    Presence { key: String, call: PresenceCall },
    /// §11.2.
    Grant { key: String },
    /// §11.4.
    Revoke { key: String, token: String },
    /// §11.5.
    LegacyGrant { key: String },
    /// §11.5.
    LegacyAudit { key: String },
}

/// §4.1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Publish {
    /// What is published.
    pub what: Published,
    /// Who may publish.
    pub publish_key: String,
    /// Where the channel lives.
    pub key: String,
    /// The channel.
    pub channel: String,
    /// JSONP.
    pub callback: Callback,
    /// The message in the path; without one it is in the body.
    pub message: Option<String>,
}

/// What sort of publish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Published {
    /// A message.
    Message,
    /// A message through `/v2/publish`, which may be large.
    Large,
    /// A signal.
    Signal,
    /// The message that announces a file.
    File,
}

/// §8.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ActionCall {
    /// Adds an action, which is in the body, to the message with this timetoken.
    Add { message: u64 },
    /// Lists the actions of a channel.
    List,
    /// Removes one.
    Remove { message: u64, action: u64 },
}

/// §9.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GroupCall {
    /// All groups.
    List,
    /// The channels of a group, or a change to them: the query decides.
    Group(String),
    /// Removes a group.
    Remove(String),
}

/// §10.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PresenceCall {
    /// I am here.
    Heartbeat { channels: String },
    /// I am gone.
    Leave { channels: String },
    /// Who is on these channels.
    HereNow { channels: String },
    /// Who is anywhere.
    HereNowEverywhere,
    /// Where is this user.
    WhereNow { user: String },
    /// Sets a user's state.
    SetState { channels: String, user: String },
    /// Reads a user's state.
    GetState { channels: String, user: String },
}

impl Endpoint {
    /// The vendor's service that the call belongs to, which decides the shape of errors.
    pub fn service(&self) -> Service {
        match self {
            Endpoint::Time { .. } | Endpoint::Subscribe { .. } => Service::Subscribe,
            Endpoint::Publish(_) => Service::Publish,
            Endpoint::History { .. } | Endpoint::Fetch { .. } | Endpoint::Delete { .. } | Endpoint::Count { .. } => {
                Service::History
            }
            Endpoint::Actions { .. } => Service::Actions,
            Endpoint::Groups { .. } => Service::Groups,
            Endpoint::Presence { .. } => Service::Presence,
            Endpoint::Grant { .. }
            | Endpoint::Revoke { .. }
            | Endpoint::LegacyGrant { .. }
            | Endpoint::LegacyAudit { .. } => Service::Access,
        }
    }

    /// The subscribe key that the call names; time has none.
    pub fn key(&self) -> Option<&str> {
        match self {
            Endpoint::Time { .. } => None,
            Endpoint::Publish(publish) => Some(&publish.key),
            Endpoint::Subscribe { key, .. }
            | Endpoint::History { key, .. }
            | Endpoint::Fetch { key, .. }
            | Endpoint::Delete { key, .. }
            | Endpoint::Count { key, .. }
            | Endpoint::Actions { key, .. }
            | Endpoint::Groups { key, .. }
            | Endpoint::Presence { key, .. }
            | Endpoint::Grant { key }
            | Endpoint::Revoke { key, .. }
            | Endpoint::LegacyGrant { key }
            | Endpoint::LegacyAudit { key } => Some(key),
        }
    }
}

/// The shape of errors for a path that could not be read.
pub fn service_of(path: &str) -> Service {
    let mut path = Path::new(path);
    match (path.next_raw(), path.next_raw()) {
        (Some("publish" | "signal"), _) | (Some("v1"), Some("files")) | (Some("v2"), Some("publish")) => {
            Service::Publish
        }
        (Some("v2" | "v3"), Some("history" | "history-with-actions")) => Service::History,
        (Some("v1"), Some("message-actions")) => Service::Actions,
        (Some("v1"), Some("channel-registration")) => Service::Groups,
        (Some("v2"), Some("presence")) => Service::Presence,
        (Some("v3"), Some("pam")) | (Some("v2"), Some("auth")) => Service::Access,
        _ => Service::Subscribe,
    }
}
