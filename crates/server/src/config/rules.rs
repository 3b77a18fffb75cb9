//! What only shows when the parts of a configuration are seen together: names given twice, demo secrets on an open
//! address, open dialects beside guarded ones; and what this build does not do although it is configured.

use super::{
    App, Config,
    reader::{At, Reader},
};
use edge::Secret;
use service::Scope;
use std::{collections::HashMap, net::IpAddr};

/// The secrets of the built-in configuration: everybody knows them.
const DEMO_SECRETS: [&str; 7] =
    ["demo-admin", "sec-demo", "sd-demo", "fedcba9876543210fedcba9876543210", "demo", "osm-ann", "osm-bob"];

/// Notes every mistake of this sort.
pub(super) fn check(config: &Config, reader: &Reader<'_>) {
    unique(reader, config.apps.iter().map(|app| (app.name.to_string(), app.line)), "the app name");
    let pubnub = config.apps.iter().filter_map(|app| app.pubnub.as_ref());
    unique(reader, pubnub.map(|table| (table.subscribe_key.clone(), table.line)), "app.pubnub.subscribe_key");
    let scaledrone = config.apps.iter().filter_map(|app| app.scaledrone.as_ref());
    unique(reader, scaledrone.map(|table| (table.channel.clone(), table.line)), "app.scaledrone.channel");
    let agora = config.apps.iter().filter_map(|app| app.agora.as_ref());
    unique(reader, agora.map(|table| (table.app_id.clone(), table.line)), "app.agora.app_id");
    for app in &config.apps {
        unique_keys(app, reader);
        unique_users(app, reader);
        open_beside_guarded(app, reader);
        history_beyond_a_page(app, config.service.page_messages, reader);
        whole_agora_pages(app, config.service.page_messages, reader);
    }
    if !is_loopback(config.listen.ip()) {
        no_demo_secrets(config, reader);
    }
}

/// A subscriber's history, and a channel's part of an answer, come out of one page.
fn history_beyond_a_page(app: &App, page_messages: u32, reader: &Reader<'_>) {
    if let Some(table) = &app.pubnub {
        let (asked, vendors) = (&table.settings, dialect_pubnub::Settings::default());
        let settings = [
            ("history_messages", asked.history_messages, vendors.history_messages),
            ("fetch_messages", asked.fetch_messages, vendors.fetch_messages),
        ];
        // The vendor's sizes, which nobody has to write down, are cut without a word.
        for (name, messages, _) in
            settings.into_iter().filter(|(_, asked, vendors)| *asked > page_messages.max(*vendors))
        {
            let text = format!("app.pubnub.{name} = {messages} is more than limits.page_messages = {page_messages}");
            reader.mistake(table.line, text);
        }
    }
    let Some(table) = &app.scaledrone else { return };
    let caps = table.rooms.iter().filter_map(|rule| rule.history).chain(table.history);
    if let Some(most) = caps.map(|cap| cap.messages).max().filter(|most| *most > page_messages) {
        let text =
            format!("app.scaledrone: a history of {most} messages is more than limits.page_messages = {page_messages}");
        reader.mistake(table.line, text);
    }
}

/// Agora's callers count on pages of 100 messages; a few more are read to see where the next one begins.
fn whole_agora_pages(app: &App, page_messages: u32, reader: &Reader<'_>) {
    const NEEDED: u32 = dialect_agora::limits::PAGE_MESSAGES + dialect_agora::limits::PAGE_OVERHANG;
    if let Some(table) = app.agora.as_ref().filter(|_| page_messages < NEEDED) {
        let text = format!("app.agora: its pages need limits.page_messages of at least {NEEDED}");
        reader.mistake(table.line, text);
    }
}

/// What an operator should know before relying on it.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    if config.apps.is_empty() {
        warnings.push("no app is configured: nobody can be served (add [[app]])".to_owned());
    }
    for app in &config.apps {
        if app.keys.is_empty() {
            warnings.push(format!("app {}: without [[app.key]] nobody can call its native API", app.name));
        }
    }
    warnings
}

/// Whether only this machine can reach the address.
fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn unique(reader: &Reader<'_>, names: impl Iterator<Item = (String, usize)>, what: &str) {
    let mut seen = HashMap::new();
    for (name, line) in names {
        if let Some(first) = seen.insert(name.clone(), line) {
            reader.mistake(line, format!("{what} {name:?} is given twice, first in line {first}"));
        }
    }
}

/// A key is found by its secret alone, so one secret cannot give two sets of rights.
fn unique_keys(app: &App, reader: &Reader<'_>) {
    let keys = app.keys.iter().enumerate();
    for (index, key) in keys {
        if let Some(first) =
            app.keys[..index].iter().find(|other| other.secret.value.is(key.secret.value.expose().as_bytes()))
        {
            let text = format!("app.key: the same secret is given to another key, in line {}", first.secret.line);
            reader.mistake(key.secret.line, text);
        }
    }
}

fn unique_users(app: &App, reader: &Reader<'_>) {
    let users = app.osmium.iter().flat_map(|osmium| &osmium.users);
    unique(reader, users.clone().map(|user| (user.name.to_lowercase(), user.id.line)), "app.osmium.user.name");
    let emails = users.clone().filter_map(|user| user.email.as_ref());
    unique(reader, emails.map(|email| (email.value.to_lowercase(), email.line)), "app.osmium.user.email");
    let users: Vec<_> = users.collect();
    for (index, user) in users.iter().enumerate() {
        if users[..index].iter().any(|other| other.token.value.is(user.token.value.expose().as_bytes())) {
            reader.mistake(user.token.line, "app.osmium.user: the same token is given to another user");
        }
    }
}

fn no_demo_secrets(config: &Config, reader: &Reader<'_>) {
    for (name, secret) in config.apps.iter().flat_map(secrets) {
        if DEMO_SECRETS.iter().any(|demo| secret.value.is(demo.as_bytes())) {
            let text = format!(
                "{name}: everybody knows this demo secret, and {} can be reached from other machines; \
                 choose another secret or listen on 127.0.0.1",
                config.listen
            );
            reader.mistake(secret.line, text);
        }
    }
}

fn secrets(app: &App) -> Vec<(&'static str, &At<Secret>)> {
    let keys = app.keys.iter().map(|key| ("app.key.secret", &key.secret));
    let pubnub = app.pubnub.iter().filter_map(|table| table.secret_key.as_ref());
    let scaledrone = app.scaledrone.iter().filter_map(|table| table.secret.as_ref());
    let certificate = app.agora.iter().filter_map(|table| table.certificate.as_ref());
    let secondary = app.agora.iter().filter_map(|table| table.secondary_certificate.as_ref());
    let customer = app.agora.iter().filter_map(|table| table.customer_secret.as_ref());
    let users = app.osmium.iter().flat_map(|table| &table.users);
    keys.chain(pubnub.map(|secret| ("app.pubnub.secret_key", secret)))
        .chain(scaledrone.map(|secret| ("app.scaledrone.secret", secret)))
        .chain(certificate.map(|secret| ("app.agora.certificate", secret)))
        .chain(secondary.map(|secret| ("app.agora.secondary_certificate", secret)))
        .chain(customer.map(|secret| ("app.agora.customer_secret", secret)))
        .chain(users.clone().map(|user| ("app.osmium.user.token", &user.token)))
        .chain(users.filter_map(|user| Some(("app.osmium.user.password", user.password.as_ref()?))))
        .collect()
}

/// A door of an app: a dialect, whether anyone may come in, and to which channels it leads.
pub struct Door<'a> {
    /// The name of its table in the file.
    pub name: &'static str,
    /// Whether it asks nobody who they are.
    pub open: bool,
    /// To these; none: to all.
    pub channels: &'a [Scope],
    line: usize,
}

/// The doors of an app.
pub fn doors(app: &App) -> Vec<Door<'_>> {
    let mut doors = Vec::new();
    for key in &app.keys {
        doors.push(Door { name: "a native key", open: false, channels: &key.channels, line: key.secret.line });
    }
    if let Some(table) = &app.pubnub {
        doors.push(Door { name: "pubnub", open: !table.access_manager, channels: &table.channels, line: table.line });
    }
    if let Some(table) = &app.scaledrone {
        doors.push(Door { name: "scaledrone", open: !table.require_auth, channels: &table.channels, line: table.line });
    }
    if let Some(table) = &app.agora {
        doors.push(Door { name: "agora", open: !table.require_auth, channels: &table.channels, line: table.line });
    }
    if let Some(table) = &app.osmium {
        doors.push(Door { name: "osmium", open: false, channels: &[], line: table.line });
    }
    doors
}

/// A channel that one door guards must not be reachable through another that is open, unless the app says so.
fn open_beside_guarded(app: &App, reader: &Reader<'_>) {
    if app.share_open {
        return;
    }
    let doors = doors(app);
    for open in doors.iter().filter(|door| door.open) {
        if let Some(guarded) = doors.iter().find(|door| !door.open && overlap(door.channels, open.channels)) {
            let text = format!(
                "app.{} is open to anyone and shares channels with {}, which is guarded; \
                 narrow one of them with channels = […], or say share_open = true in the app",
                open.name, guarded.name
            );
            reader.mistake(open.line, text);
        }
    }
}

/// Whether two lists of channels have one in common; an empty list is all channels.
fn overlap(a: &[Scope], b: &[Scope]) -> bool {
    a.is_empty() || b.is_empty() || a.iter().any(|a| b.iter().any(|b| a.may_meet(b)))
}
