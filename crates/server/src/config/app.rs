//! A tenant: its name, its keys, what it keeps, and the dialects that serve it.

use super::{
    osmium::{self, Osmium},
    reader::{At, Section},
    units,
    vendors::{self, Agora, Pubnub, Scaledrone},
};
use dialect_native::Right;
use edge::Secret;
use model::AppId;
use service::{Retention, Scope};
use std::time::Duration;

/// A tenant.
#[derive(Clone, Debug)]
pub struct App {
    /// Its name.
    pub name: AppId,
    /// The line of the file in which it begins.
    pub line: usize,
    /// What it keeps.
    pub retention: Retention,
    /// Its messages can be searched.
    pub search: bool,
    /// Dialects that are open to anyone may share channels with guarded ones.
    pub share_open: bool,
    /// The keys of the native API.
    pub keys: Vec<Key>,
    /// Served to PubNub's clients.
    pub pubnub: Option<Pubnub>,
    /// Served to Scaledrone's clients.
    pub scaledrone: Option<Scaledrone>,
    /// Served to Agora's clients.
    pub agora: Option<Agora>,
    /// Served to Osmium's clients.
    pub osmium: Option<Osmium>,
}

/// A key of the native API.
#[derive(Clone, Debug)]
pub struct Key {
    /// What is shown as `Authorization: Bearer`.
    pub secret: At<Secret>,
    /// What it gives.
    pub may: Vec<Right>,
    /// Where; empty for everywhere.
    pub channels: Vec<Scope>,
    /// Only so many of the newest messages of a channel are shown.
    pub newest: Option<u32>,
    /// Only messages up to this age are shown.
    pub not_older_than: Option<Duration>,
}

pub(super) fn read(section: Section<'_>) -> Option<App> {
    let name = section.required("name").and_then(|text| match AppId::new(&text.value) {
        Ok(name) => Some(name),
        Err(error) => {
            section.mistake(text.line, format!("app.name: {error}"));
            None
        }
    });
    let app = App {
        name: name.clone().unwrap_or_else(|| AppId::new("nameless").expect("a valid name")),
        line: section.line,
        retention: section.section("retention").map(retention).unwrap_or_default(),
        search: section.flag("search", false),
        share_open: section.flag("share_open", false),
        keys: section.sections("key").into_iter().filter_map(key).collect(),
        pubnub: section.section("pubnub").and_then(vendors::pubnub),
        scaledrone: section.section("scaledrone").and_then(vendors::scaledrone),
        agora: section.section("agora").and_then(vendors::agora),
        osmium: section.section("osmium").and_then(osmium::read),
    };
    section.finish();
    name.map(|_| app)
}

fn retention(section: Section<'_>) -> Retention {
    let age = section.parsed("age", |text| match text {
        "forever" => Ok(None),
        text => units::duration(text).map(Some).map_err(|error| format!("{error}; or \"forever\"")),
    });
    let messages = section.number_or("messages", "unlimited", 1..=u64::MAX);
    section.finish();
    Retention { age: age.and_then(|at| at.value), messages }
}

fn key(section: Section<'_>) -> Option<Key> {
    let secret = section.required_secret("secret");
    let may = rights(&section);
    let channels = channels(&section);
    let newest = section.number("newest", 1..=u64::from(u32::MAX)).map(|at| at.value as u32);
    let not_older_than = section.parsed("not_older_than", units::duration).map(|at| at.value);
    section.finish();
    Some(Key { secret: secret?, may, channels, newest, not_older_than })
}

fn rights(section: &Section<'_>) -> Vec<Right> {
    let Some(names) = section.texts("may") else { return vec![Right::Read] };
    let known = |name: &At<String>| {
        let right = Right::from_name(&name.value);
        right.map_err(|error| section.mistake(name.line, format!("app.key.may: {error}"))).ok()
    };
    names.iter().filter_map(known).collect()
}

/// `channels = ["news", "room.*"]`, in the words of `dialect_native::scope`.
pub(super) fn channels(section: &Section<'_>) -> Vec<Scope> {
    let mut scopes = Vec::new();
    for text in section.texts("channels").unwrap_or_default() {
        match dialect_native::scope(&text.value) {
            Ok(scope) => scopes.push(scope),
            Err(error) => section.mistake(text.line, format!("channels: {:?}: {error}", text.value)),
        }
    }
    scopes
}
