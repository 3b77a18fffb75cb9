//! One request on its way: what is known about it once its path, its query and its keys have been read.

use crate::{
    Keyset, Settings,
    auth::{self, Gate, Need, Standing},
    convert,
    error::{Denied, Refusal},
    grants::Grants,
    route::Endpoint,
    signature::Signed,
    subscribe::entries::Entries,
    token::TokenKey,
    wire::Query,
};
use model::{Channel, ChannelName, Clock, TICKS_PER_SECOND, UserId};
use service::{Access, Caller, Channels, Rights, Rule, Scope, Topic};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// What the dialect stands on.
pub struct Dialect {
    /// The work.
    pub channels: Channels,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The keysets, by subscribe key.
    pub tenants: foldhash::HashMap<String, Tenant>,
}

/// A keyset with what belongs to it.
pub struct Tenant {
    keyset: Keyset,
    open: Arc<Access>,
    gate: Gate,
    grants: OnceCell<Arc<Grants>>,
}

/// A request of a known keyset.
pub struct Call<'a> {
    /// The work.
    pub channels: &'a Channels,
    /// The bounds.
    pub settings: &'a Settings,
    /// Whose keys were used.
    pub keyset: &'a Keyset,
    /// What was granted and revoked.
    pub grants: &'a Arc<Grants>,
    /// The parameters.
    pub query: &'a Query<'a>,
    /// Who says to be calling.
    pub user: Option<UserId>,
    /// What the caller may do.
    pub standing: Standing,
    tenant: &'a Tenant,
    dialect: &'a Dialect,
}

impl Tenant {
    /// A keyset. Where rights are not asked for, all that the dialect sees is open.
    pub fn new(keyset: Keyset) -> Tenant {
        let rule = Rule { scope: Scope::Everything, rights: Rights::ALL };
        let open = Access::new([rule]).within(keyset.scopes.iter().cloned());
        Tenant { gate: Gate::new(&keyset), open: Arc::new(open), keyset, grants: OnceCell::new() }
    }

    /// Its keys, and what may be done through them.
    pub fn keyset(&self) -> &Keyset {
        &self.keyset
    }
}

impl Dialect {
    /// A timetoken for now: never below anything that is visible.
    pub fn now(&self) -> u64 {
        self.clock.now_ticks().max(self.channels.frontier().timetoken())
    }

    fn now_seconds(&self) -> u64 {
        self.clock.now_ticks() / TICKS_PER_SECOND
    }

    /// The keyset that a call names.
    pub fn tenant(&self, endpoint: &Endpoint) -> Result<&Tenant, Refusal> {
        self.tenants.get(endpoint.key().unwrap_or_default()).ok_or(Refusal::SubscribeKey)
    }

    /// Says who calls a keyset and what it may do.
    pub async fn call<'a>(
        &'a self,
        tenant: &'a Tenant,
        endpoint: &Endpoint,
        signed: Signed<'a>,
    ) -> Result<Call<'a>, Refusal> {
        let keyset = &tenant.keyset;
        let load = || async { Grants::load(&self.channels, &keyset.app).await.map(Arc::new) };
        let grants = tenant.grants.get_or_try_init(load).await?;
        let now = self.now_seconds();
        if endpoint.is_for_administrators() {
            auth::administrator(keyset, signed, now)?;
        }
        let standing =
            if endpoint.is_free() { Standing::Key(None) } else { tenant.gate.standing(keyset, grants, signed, now)? };
        let user = convert::user(signed.query.get("uuid"), standing.is_proof_of_user(keyset))?;
        Ok(Call {
            channels: &self.channels,
            settings: &keyset.settings,
            keyset,
            grants,
            query: signed.query,
            user,
            standing,
            tenant,
            dialect: self,
        })
    }
}

impl Standing {
    /// Whether it proves who calls: a signature, or a token for one user.
    fn is_proof_of_user(&self, keyset: &Keyset) -> bool {
        match self {
            Standing::Everything => keyset.access_manager,
            Standing::Token(permissions) => permissions.user.is_some(),
            Standing::Key(_) => false,
        }
    }
}

impl Call<'_> {
    /// A timetoken for now.
    pub fn now(&self) -> u64 {
        self.dialect.now()
    }

    /// Unix seconds.
    pub fn now_seconds(&self) -> u64 {
        self.dialect.now_seconds()
    }

    /// What the keyset's tokens are sealed with.
    pub fn token_key(&self) -> &TokenKey {
        self.tenant.gate.key()
    }

    /// A channel of the keyset's app.
    pub fn channel(&self, name: ChannelName) -> Channel {
        Channel { app: self.keyset.app.clone(), name }
    }

    /// The caller for the service, if it has what it needs on all of these channels; the refusal names those where it
    /// lacks it. What was granted is checked here, by the names that the call used; the service holds every caller to
    /// the channels that the dialect sees.
    pub fn caller(&self, need: Need, names: &[&ChannelName]) -> Result<Caller, Refusal> {
        let denied = names.iter().map(|name| name.to_string()).filter(|name| !self.may(need, name)).collect();
        forbid(denied, Vec::new())?;
        Ok(self.permitted())
    }

    /// The caller for a subscription to these topics, each permitted by the name that the call used.
    pub fn subscriber(&self, entries: &Entries) -> Result<Caller, Refusal> {
        let (mut channels, mut groups) = (Vec::new(), Vec::new());
        for (topic, name) in entries.topics.iter().zip(&entries.names) {
            match topic {
                Topic::Channel(_) | Topic::Pattern(_) | Topic::Presence(_) | Topic::PresencePattern(_) => {
                    if !self.may(Need::Read, name) {
                        channels.push(name.to_string());
                    }
                }
                Topic::Group(_) | Topic::PresenceGroup(_) => {
                    if !self.may_group(Need::Read, name) {
                        groups.push(name.to_string());
                    }
                }
            }
        }
        forbid(channels, groups)?;
        Ok(self.permitted())
    }

    /// The caller for a call on a channel group: any of these needs will do.
    pub fn group_caller(&self, needs: &[Need], group: &str) -> Result<Caller, Refusal> {
        let may = needs.iter().any(|need| self.may_group(*need, group));
        forbid(Vec::new(), if may { Vec::new() } else { vec![group.to_owned()] })?;
        Ok(self.permitted())
    }

    /// Whether the caller has what it needs on a channel, by the name that it was called.
    pub fn may(&self, need: Need, name: &str) -> bool {
        let bits = match &self.standing {
            Standing::Everything => return true,
            Standing::Token(permissions) => permissions.channel(name),
            Standing::Key(auth) => self.grants.channel(name, auth.as_deref(), self.now_seconds()),
        };
        bits & need.bit() != 0
    }

    /// The same for a channel group.
    pub fn may_group(&self, need: Need, name: &str) -> bool {
        let bits = match &self.standing {
            Standing::Everything => return true,
            Standing::Token(permissions) => permissions.group(name),
            Standing::Key(auth) => self.grants.group(name, auth.as_deref(), self.now_seconds()),
        };
        bits & need.bit() != 0
    }

    /// Everything that the dialect sees, for what its own rights permitted.
    pub fn permitted(&self) -> Caller {
        Caller { app: self.keyset.app.clone(), user: self.user.clone(), access: self.tenant.open.clone() }
    }
}

/// §11.6: names what is denied.
pub fn forbid(channels: Vec<String>, groups: Vec<String>) -> Result<(), Refusal> {
    if channels.is_empty() && groups.is_empty() {
        return Ok(());
    }
    Err(Refusal::Forbidden(Denied { channels, groups }))
}
