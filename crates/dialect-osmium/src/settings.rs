//! What an operator says about one realm.

use crate::directory::{Community, Group, Member};
use edge::Secret;
use model::AppId;
use service::Access;
use std::{collections::BTreeMap, sync::Arc};

/// Where ids begin to count unless the configuration says otherwise: 2025-01-01T00:00:00Z (`protocols/osmium.md` §9).
pub const DEFAULT_EPOCH_MS: u64 = 1_735_689_600_000;

/// A realm: the app that is served to Osmium's clients.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The app.
    pub app: AppId,
    /// Where its ids begin to count, in Unix milliseconds; frozen at first use. None: as it was, or the default.
    pub epoch_ms: Option<u64>,
    /// Users that the configuration gives. They come before those of the native API under the same id.
    pub users: Vec<ConfiguredUser>,
    /// Communities that the configuration gives, under the same rule.
    pub communities: Vec<ConfiguredCommunity>,
    /// Groups that the configuration gives, under the same rule.
    pub groups: Vec<Group>,
    /// Keys of the app; those with the right to administrate may change the directory.
    pub keys: Vec<Key>,
}

/// A user that the configuration gives.
#[derive(Clone, Debug)]
pub struct ConfiguredUser {
    /// 1 to 2^63 - 1.
    pub id: u64,
    /// What is shown, and what `@name` means.
    pub name: String,
    /// What it shows to come in.
    pub token: Secret,
    /// Signs in with it, if it has a password.
    pub email: Option<String>,
    /// Signs in with it.
    pub password: Option<Secret>,
    /// Whether it is a program.
    pub bot: bool,
}

/// A community that the configuration gives.
#[derive(Clone, Debug)]
pub struct ConfiguredCommunity {
    /// With its channels and roles.
    pub community: Community,
    /// Who is in it, besides the owner.
    pub members: BTreeMap<u64, Member>,
}

/// A key of the app's native API.
#[derive(Clone, Debug)]
pub struct Key {
    /// What is shown as `Authorization: Bearer`.
    pub secret: Secret,
    /// What it gives.
    pub access: Arc<Access>,
}
