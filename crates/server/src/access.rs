//! Keys of the configuration to rights of the service.

use crate::config::{Agora, App, Config, Key, Osmium, OsmiumUser, Scaledrone};
use dialect_agora as agora;
use dialect_native as native;
use dialect_osmium as osmium;
use dialect_pubnub as pubnub;
use dialect_scaledrone as scaledrone;
use service::{Access, AccessWindow, Rights, Rule, Scope};
use std::sync::Arc;

/// The apps as the native API takes them.
pub fn native_apps(apps: &[App]) -> Vec<native::App> {
    let app = |app: &App| native::App { name: app.name.clone(), keys: app.keys.iter().map(key).collect() };
    apps.iter().map(app).collect()
}

/// The keysets of PubNub's clients. They see names in the clear only.
pub fn pubnub_keysets(config: &Config) -> Vec<pubnub::Keyset> {
    config.apps.iter().filter_map(|app| pubnub_keyset(app, config)).collect()
}

fn pubnub_keyset(app: &App, config: &Config) -> Option<pubnub::Keyset> {
    let table = app.pubnub.as_ref()?;
    let everywhere = || vec![Scope::Prefix("".into())];
    Some(pubnub::Keyset {
        app: app.name.clone(),
        publish_key: table.publish_key.clone(),
        subscribe_key: table.subscribe_key.clone(),
        secret_key: table.secret_key.as_ref().map(|secret| secret.value.clone()),
        access_manager: table.access_manager,
        delete_from_history: table.delete_from_history,
        scopes: if table.channels.is_empty() { everywhere() } else { table.channels.clone() },
        retention: app.retention.age,
        body_time: config.edge.body_timeout,
        settings: pubnub::Settings { page_messages: config.service.page_messages, ..table.settings.clone() },
    })
}

/// The apps that Scaledrone's clients reach, as that dialect takes them.
pub fn scaledrone_channels(apps: &[App]) -> Vec<scaledrone::Settings> {
    let served = apps.iter().filter_map(|app| Some((app, app.scaledrone.as_ref()?)));
    let settings = |(app, table): (&App, &Scaledrone)| scaledrone::Settings {
        app: app.name.clone(),
        channel: table.channel.clone(),
        secret: table.secret.as_ref().map(|secret| secret.value.clone()),
        require_auth: table.require_auth,
        history: table.history,
        rooms: table.rooms.clone(),
        reachable: table.channels.clone(),
        message_bytes: table.message_bytes,
        connections: table.connections,
        reconnect_within: table.reconnect_within,
    };
    served.map(settings).collect()
}

/// The projects that Agora's callers reach, as that dialect takes them.
pub fn agora_projects(apps: &[App]) -> Vec<agora::Settings> {
    let served = apps.iter().filter_map(|app| Some((app, app.agora.as_ref()?)));
    let settings = |(app, table): (&App, &Agora)| {
        let certificates = table.certificate.iter().chain(&table.secondary_certificate);
        let customer = table.customer_key.clone().zip(table.customer_secret.as_ref());
        agora::Settings {
            app: app.name.clone(),
            app_id: table.app_id.clone(),
            certificates: certificates.map(|secret| secret.value.clone()).collect(),
            customer: customer.map(|(key, secret)| agora::Customer { key, secret: secret.value.clone() }),
            require_auth: table.require_auth,
            scopes: table.channels.clone(),
            default_order: table.order,
            handle_life: table.handle_life,
            rates: table.rates,
        }
    };
    served.map(settings).collect()
}

/// The realms that Osmium's clients reach, as that dialect takes them.
pub fn osmium_realms(apps: &[App]) -> Vec<osmium::Settings> {
    let served = apps.iter().filter_map(|app| Some((app, app.osmium.as_ref()?)));
    let settings = |(app, table): (&App, &Osmium)| osmium::Settings {
        app: app.name.clone(),
        epoch_ms: table.epoch.map(|epoch| u64::try_from(epoch.as_millisecond()).unwrap_or(0)),
        users: table.users.iter().map(osmium_user).collect(),
        communities: table.communities.clone(),
        groups: table.groups.clone(),
        keys: app
            .keys
            .iter()
            .map(|key| osmium::Key { secret: key.secret.value.clone(), access: access(key).into() })
            .collect(),
    };
    served.map(settings).collect()
}

fn osmium_user(user: &OsmiumUser) -> osmium::ConfiguredUser {
    osmium::ConfiguredUser {
        id: user.id.value,
        name: user.name.clone(),
        token: user.token.value.clone(),
        email: user.email.as_ref().map(|email| email.value.clone()),
        password: user.password.as_ref().map(|password| password.value.clone()),
        bot: user.bot,
    }
}

fn key(key: &Key) -> native::Key {
    native::Key { secret: key.secret.value.clone(), access: Arc::new(access(key)) }
}

fn access(key: &Key) -> Access {
    let rights = key.may.iter().fold(Rights::NONE, |rights, right| rights | right.rights());
    let everywhere = [Scope::Everything];
    let scopes = if key.channels.is_empty() { &everywhere[..] } else { &key.channels };
    let mut access = Access::new(scopes.iter().map(|scope| Rule { scope: scope.clone(), rights }));
    access.window = AccessWindow { newest: key.newest, not_older_than: key.not_older_than, since: None };
    access
}
