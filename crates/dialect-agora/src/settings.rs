//! What an operator says about one Agora project.

use crate::limits;
use edge::Secret;
use model::{AppId, Order};
use service::Scope;
use std::time::Duration;

/// One Agora project.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The app behind it.
    pub app: AppId,
    /// The app id of the paths; compared letter by letter.
    pub app_id: String,
    /// What its tokens are signed with: one certificate, or two while one is being replaced; none: no token is accepted.
    pub certificates: Vec<Secret>,
    /// Who may come in with a name and a password; none: nobody.
    pub customer: Option<Customer>,
    /// Whether callers must say who they are.
    pub require_auth: bool,
    /// Which channels are seen; empty: every one with a name in the clear. Peer messages are always served.
    pub scopes: Vec<Scope>,
    /// The order of a query that does not say one: the vendor's pages do not agree (`protocols/agora-rtm.md` §3.1).
    pub default_order: Order,
    /// For how long a handle that was not read may be read; from [`limits::HANDLE_LIFE_LEAST`].
    pub handle_life: Duration,
    /// How often an app may call.
    pub rates: Rates,
}

/// A name and a password for the REST API.
#[derive(Clone, Debug)]
pub struct Customer {
    /// The name.
    pub key: String,
    /// The password.
    pub secret: Secret,
}

/// Requests of an app in a second; 0 for no bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rates {
    /// For each of the history calls: making a query, reading its page, counting, the 2.x history.
    pub history: u32,
    /// For both sending calls together.
    pub send: u32,
    /// For each kind of events.
    pub events: u32,
}

impl Default for Rates {
    fn default() -> Rates {
        Rates { history: limits::HISTORY_RATE, send: limits::SEND_RATE, events: limits::EVENTS_RATE }
    }
}

impl Settings {
    /// A project that nobody can come into yet, with the default bounds.
    pub fn new(app: AppId, app_id: impl Into<String>) -> Settings {
        Settings {
            app,
            app_id: app_id.into(),
            certificates: Vec::new(),
            customer: None,
            require_auth: true,
            scopes: Vec::new(),
            default_order: Order::Descending,
            handle_life: limits::HANDLE_LIFE_LEAST,
            rates: Rates::default(),
        }
    }
}
