//! One Agora project as it is served: its settings, its handles, its events, how often it may be called, and what its
//! callers may do.

use crate::{
    Settings, auth::Identity, convert, error::Refusal, events::Events, handle::Handles, rate::Rate, route::Endpoint,
};
use model::{ChannelName, Result};
use service::{Access, Caller, Channels, Rights, Rule, Scope};
use std::sync::Arc;

/// A project.
pub struct Project {
    /// What its operator says.
    pub settings: Settings,
    /// What names its queries.
    pub handles: Handles,
    /// Who came and went.
    pub events: Events,
    rates: Rates,
    access: Arc<Access>,
}

struct Rates {
    query: Rate,
    page: Rate,
    count: Rate,
    second: Rate,
    send: Rate,
    user_events: Rate,
    channel_events: Rate,
}

impl Project {
    /// Reads what is kept of a project.
    pub async fn open(channels: &Channels, settings: Settings) -> Result<Project> {
        let Settings { app, app_id, handle_life, rates, .. } = &settings;
        let handles = Handles::open(channels.clone(), app.clone(), app_id, *handle_life).await?;
        let history = || Rate::new(rates.history);
        let rates = Rates {
            query: history(),
            page: history(),
            count: history(),
            second: history(),
            send: Rate::new(rates.send),
            user_events: Rate::new(rates.events),
            channel_events: Rate::new(rates.events),
        };
        let access = Arc::new(access(&settings.scopes));
        Ok(Project { handles, events: Events::default(), rates, access, settings })
    }

    /// Whether a call may go on at this moment, in monotonic ticks.
    pub fn admit(&self, endpoint: &Endpoint, now: u64) -> Result<(), Refusal> {
        let rate = match endpoint {
            Endpoint::MakeQuery => &self.rates.query,
            Endpoint::Page { .. } => &self.rates.page,
            Endpoint::Count => &self.rates.count,
            Endpoint::SecondHistory { .. } => &self.rates.second,
            Endpoint::PeerMessage { .. } | Endpoint::ChannelMessage { .. } => &self.rates.send,
            Endpoint::UserEvents => &self.rates.user_events,
            Endpoint::ChannelEvents => &self.rates.channel_events,
        };
        if rate.admits(now) { Ok(()) } else { Err(Refusal::TooOften) }
    }

    /// The caller for the service. Any caller may read all that the project sees (`protocols/agora-rtm.md` §2); who may
    /// send as whom is decided where messages are sent.
    pub fn caller(&self, identity: &Identity) -> Caller {
        let user = match identity {
            Identity::User(user) => convert::user(user, true).ok(),
            Identity::Anybody | Identity::Customer => None,
        };
        Caller { app: self.settings.app.clone(), user, access: self.access.clone() }
    }

    /// Whether the project sees a channel.
    pub fn reaches(&self, channel: &ChannelName) -> bool {
        self.access.allows(channel, Rights::HISTORY)
    }
}

/// The channels that the operator names, and the direct chats of this dialect's own users.
fn access(scopes: &[Scope]) -> Access {
    let everywhere = [Scope::Prefix("".into())];
    let named = if scopes.is_empty() { &everywhere[..] } else { scopes };
    let chats = Scope::Chats(convert::CHAT_PREFIX.into());
    let rights = Rights::READ | Rights::WRITE | Rights::HISTORY | Rights::PRESENCE;
    Access::new(named.iter().cloned().chain([chats]).map(|scope| Rule { scope, rights }))
}
