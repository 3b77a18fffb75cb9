//! What is served, in words for a person: the banner of a start and the answer of `check`. Secrets are never shown,
//! but for the demo's, which everybody knows.

use crate::config::{
    App, Config, Key,
    rules::{Door, doors},
    units,
};
use dialect_scaledrone::HistoryCap;
use service::Scope;
use std::{fmt::Write, net::SocketAddr};

/// The key of the built-in app.
const DEMO_KEY: &str = "demo-admin";

/// What a start says. The first line is also for programs: it ends with the address in use.
pub fn banner(config: &Config, address: SocketAddr) -> String {
    let mut text = format!("scrollback listens on http://{address}\n");
    let folder = std::path::absolute(&config.data).unwrap_or_else(|_| config.data.clone());
    let _ = writeln!(text, "  data   {}", folder.display());
    for app in &config.apps {
        let pubnub = app.pubnub.as_ref().map_or("", |_| "; PubNub");
        let scaledrone = app.scaledrone.as_ref().map_or("", |_| "; Scaledrone");
        let agora = app.agora.as_ref().map_or("", |_| "; Agora RTM");
        let osmium = app.osmium.as_ref().map_or("", |_| "; Osmium");
        let keys = counted(app.keys.len(), "key");
        let _ = writeln!(text, "  app    {}: native API, {keys}{pubnub}{scaledrone}{agora}{osmium}", app.name);
    }
    if let Some(app) = config.apps.first() {
        let _ = write!(text, "\nTry it:\n{}", example(app, address));
    }
    text
}

/// A line that publishes, and works as printed for the demo app.
fn example(app: &App, address: SocketAddr) -> String {
    let is_demo = |key: &Key| key.secret.value.is(DEMO_KEY.as_bytes());
    let key = if app.keys.iter().any(is_demo) { DEMO_KEY } else { "<a key that may write>" };
    format!(
        "  curl -H 'Authorization: Bearer {key}' -d '{{\"payload\":{{\"text\":\"hello\"}}}}' \
         http://{address}/v1/apps/{}/channels/lobby/messages\n",
        app.name
    )
}

/// What a configuration would serve, to whom.
pub fn overview(config: &Config) -> String {
    let mut text = format!("listens on {}\nkeeps its data in {}\n", config.listen, config.data.display());
    for app in &config.apps {
        let _ = writeln!(text, "\napp {}", app.name);
        let searched = if app.search { ", can be searched" } else { "" };
        let _ = writeln!(text, "  keeps {}{searched}", retention(app));
        for (index, key) in app.keys.iter().enumerate() {
            let _ = writeln!(text, "  native API, key {}: {}", index + 1, key_in_words(key));
        }
        for line in [pubnub(app), scaledrone(app), agora(app), osmium(app)].into_iter().flatten() {
            let _ = writeln!(text, "  {line}");
        }
        for line in open_doors(app, config.listen) {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

fn retention(app: &App) -> String {
    let age = app.retention.age.map_or("forever".to_owned(), |age| format!("for {}", units::show_duration(age)));
    match app.retention.messages {
        Some(count) => format!("the newest {} of each channel, {age}", counted(count as usize, "message")),
        None => format!("all messages {age}"),
    }
}

fn key_in_words(key: &Key) -> String {
    let rights: Vec<&str> = key.may.iter().map(|right| right.name()).collect();
    let mut text = if rights.is_empty() { "may nothing".to_owned() } else { format!("may {}", rights.join(", ")) };
    text += &format!(" in {}", scopes(&key.channels));
    if let Some(newest) = key.newest {
        text += &format!("; sees the newest {}", counted(newest as usize, "message"));
    }
    if let Some(age) = key.not_older_than {
        text += &format!("; sees nothing older than {}", units::show_duration(age));
    }
    text
}

/// What is served to PubNub's clients.
fn pubnub(app: &App) -> Option<String> {
    let table = app.pubnub.as_ref()?;
    let (publish, subscribe) = (&table.publish_key, &table.subscribe_key);
    let (access, delete) = (on(table.access_manager), on(table.delete_from_history));
    let settings = &table.settings;
    let (one, several) = (settings.history_messages, settings.fetch_messages);
    let (counts, hold) = (settings.counts_upto, units::show_duration(settings.hold));
    Some(format!(
        "PubNub keyset {publish} / {subscribe}, access manager {access}, delete from history {delete}; pages of {one}, \
         {several} of several channels; counts up to {counts}; polls held for {hold}"
    ))
}

fn on(flag: bool) -> &'static str {
    if flag { "on" } else { "off" }
}

fn scaledrone(app: &App) -> Option<String> {
    let table = app.scaledrone.as_ref()?;
    let history = |cap: Option<HistoryCap>| match cap {
        Some(HistoryCap { messages, age: Some(age) }) => {
            format!("{} of {}", counted(messages as usize, "message"), units::show_duration(age))
        }
        Some(HistoryCap { messages, age: None }) => counted(messages as usize, "message"),
        None => "off".to_owned(),
    };
    let tokens = on(table.require_auth);
    let mut text = format!("Scaledrone channel {}, tokens {tokens}, history {}", table.channel, history(table.history));
    for rule in &table.rooms {
        let _ = write!(text, "; in {} {}", rule.room.0, history(rule.history));
    }
    Some(text)
}

/// What may be done without a key or a token, a sentence for each dialect that is served and asks for none.
fn open_doors(app: &App, listen: SocketAddr) -> Vec<String> {
    let sentence = |door: &Door<'_>| {
        let (dialect, may) = match door.name {
            "pubnub" if app.pubnub.as_ref()?.delete_from_history => ("PubNub", "read, write and delete in"),
            "pubnub" => ("PubNub", "read and write in"),
            "scaledrone" if app.scaledrone.as_ref()?.history.is_none() => ("Scaledrone", "follow and write in"),
            "scaledrone" => ("Scaledrone", "read and write in"),
            "agora" => ("Agora", "read and write, under any name, all peer messages and in"),
            _ => return None,
        };
        Some(format!("anyone who can reach {listen} may {may} {} through {dialect}", scopes(door.channels)))
    };
    doors(app).iter().filter(|door| door.open).filter_map(sentence).collect()
}

/// What is served to Agora's callers.
fn agora(app: &App) -> Option<String> {
    let table = app.agora.as_ref()?;
    let certificates = table.certificate.iter().chain(&table.secondary_certificate).count();
    let tokens = match certificates {
        0 => "no tokens".to_owned(),
        _ => format!("tokens of {}", counted(certificates, "certificate")),
    };
    let customer = table.customer_key.as_ref().map_or("no customer".to_owned(), |key| format!("customer {key}"));
    let needed = if table.require_auth { "" } else { ", neither needed" };
    Some(format!("Agora project {}, {tokens}, {customer}{needed}", table.app_id))
}

fn osmium(app: &App) -> Option<String> {
    let table = app.osmium.as_ref()?;
    let epoch = table.epoch.map_or("2025-01-01T00:00:00Z unless kept otherwise".to_owned(), |epoch| epoch.to_string());
    let users = counted(table.users.len(), "user");
    let (communities, groups) = (table.communities.len(), table.groups.len());
    let places = match (communities, groups) {
        (0, 0) => String::new(),
        _ => format!(", communities: {communities}, groups: {groups}"),
    };
    Some(format!("Osmium realm, given here {users}{places}; ids from {epoch}"))
}

fn scopes(scopes: &[Scope]) -> String {
    match scopes {
        [] => "all channels".to_owned(),
        scopes => scopes.iter().map(scope).collect::<Vec<_>>().join(", "),
    }
}

fn scope(scope: &Scope) -> String {
    match scope {
        Scope::Everything => "all channels".to_owned(),
        Scope::Channel(name) => name.to_string(),
        Scope::Prefix(prefix) => format!("{prefix}*"),
        Scope::Expression(expression) => format!("channels in which /{expression}/ is found"),
        Scope::Chats(prefix) => format!("direct chats of users {prefix}*"),
        Scope::Group(group) => format!("group {group}"),
    }
}

fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}
