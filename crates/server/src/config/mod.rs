//! What the program is told: the file, the command line over it, and what holds without either.
//!
//! Reading is written by hand over the parsed TOML so that all mistakes are told at once with their lines
//! ([`reader`]); what only shows when the parts are seen together is in [`rules`].

mod app;
mod osmium;
mod reader;
pub mod rules;
pub mod units;
mod vendors;

pub use app::{App, Key};
pub use osmium::{Osmium, OsmiumUser};
pub use reader::{Environment, Mistake};
pub use vendors::{Agora, Scaledrone};

use reader::{Reader, Section};
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// What holds without a file. `config.example.toml` is the same with every setting explained; a test compares them.
const DEFAULT: &str = include_str!("default.toml");

/// Everything that the program is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The data folder.
    pub data: PathBuf,
    /// Bounds of sockets and requests.
    pub edge: edge::Settings,
    /// Bounds of the work.
    pub service: service::Settings,
    /// The search index.
    pub search: search::Settings,
    /// Bounds of the native API.
    pub native: dialect_native::Settings,
    /// The tenants.
    pub apps: Vec<App>,
}

/// What the command line says over the file.
#[derive(Clone, Default, Debug)]
pub struct Overrides {
    /// `--listen`
    pub listen: Option<SocketAddr>,
    /// `--data`
    pub data: Option<PathBuf>,
}

/// A configuration that can be served, and what an operator should know about it.
#[derive(Debug)]
pub struct Checked {
    /// What to serve.
    pub config: Config,
    /// What is not as one may think.
    pub warnings: Vec<String>,
}

/// Reads a file, or the built-in configuration without one. All mistakes at once.
pub fn load(file: Option<&Path>, overrides: &Overrides) -> anyhow::Result<Result<Checked, Vec<Mistake>>> {
    let environment = |name: &str| std::env::var(name).ok();
    let Some(path) = file else { return Ok(read(DEFAULT, Path::new("."), &environment, overrides).0) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| anyhow::anyhow!("cannot read the configuration {}: {error}", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    Ok(read(&text, folder, &environment, overrides).0)
}

/// Reads a text; also tells every key that was asked for, as a dotted path.
pub fn read(
    text: &str,
    folder: &Path,
    environment: Environment<'_>,
    overrides: &Overrides,
) -> (Result<Checked, Vec<Mistake>>, BTreeSet<String>) {
    let reader = Reader::new(text, folder, environment);
    let table = reader.parse();
    let config = config(reader.root(&table), overrides);
    rules::check(&config, &reader);
    drop(table);
    let (mistakes, asked) = reader.finish();
    let outcome = if mistakes.is_empty() {
        let warnings = rules::warnings(&config);
        Ok(Checked { config, warnings })
    } else {
        Err(mistakes)
    };
    (outcome, asked)
}

fn config(root: Section<'_>, overrides: &Overrides) -> Config {
    let listen = root.parsed("listen", |text| {
        text.parse::<SocketAddr>().map_err(|_| format!("{text:?} is not an address like \"127.0.0.1:7117\""))
    });
    let data = root.text("data");
    let mut config = Config {
        listen: overrides.listen.or(listen.map(|at| at.value)).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 7117))),
        data: overrides.data.clone().or(data.map(|at| at.value.into())).unwrap_or("scrollback-data".into()),
        edge: edge::Settings::default(),
        service: service::Settings::default(),
        search: search::Settings::default(),
        native: dialect_native::Settings::default(),
        apps: Vec::new(),
    };
    if let Some(section) = root.section("limits") {
        limits(section, &mut config);
    }
    if let Some(section) = root.section("stream") {
        stream(section, &mut config);
    }
    if let Some(section) = root.section("memory") {
        memory(section, &mut config.service);
    }
    config.apps = root.sections("app").into_iter().filter_map(app::read).collect();
    config.service.retention = config.apps.iter().map(|app| (app.name.clone(), app.retention)).collect();
    config.search.apps = config.apps.iter().filter(|app| app.search).map(|app| app.name.clone()).collect();
    root.finish();
    config
}

fn limits(section: Section<'_>, config: &mut Config) {
    let second = Duration::from_secs(1);
    let (edge, service) = (&mut config.edge, &mut config.service);
    section.set_count("connections", 1..=1_000_000, &mut edge.connections);
    section.set_count("requests", 1..=100_000, &mut edge.requests);
    section.set_duration("head_timeout", second / 10..=second * 3600, &mut edge.head_timeout);
    section.set_duration("body_timeout", second / 10..=second * 3600, &mut edge.body_timeout);
    section.set_duration("write_timeout", second / 10..=second * 3600, &mut edge.write_timeout);
    section.set_duration("stop_timeout", second / 10..=second * 8, &mut edge.stop_timeout);
    section.set_size("body", 1 << 10..=64 << 20, &mut edge.body_bytes);
    section.set_size("bodies", 1 << 20..=64 << 30, &mut edge.bodies_bytes);
    section.set_count("publish_messages", 1..=10_000, &mut config.native.publish_messages);
    section.set_count("publish_queue", 1..=1_000_000, &mut service.queue_requests);
    section.set_size("publish_queue_bytes", 4 << 20..=4 << 30, &mut service.queue_bytes);
    section.set_count("subscriptions", 1..=10_000_000, &mut service.subscriptions);
    section.set_count("stream_channels", 1..=10_000, &mut service.subscription_topics);
    if let Some(messages) = section.number("page_messages", 1..=u64::from(model::limits::PAGE_MESSAGES)) {
        service.page_messages = messages.value as u32;
    }
    section.set_count("many_channels", 1..=10_000, &mut service.many_channels);
    section.set_size("many_bytes", 64 << 10..=1 << 30, &mut config.native.many_bytes);
    section.set_duration("many_time", second / 10..=second * 60, &mut config.native.many_time);
    section.set_count("presence", 1..=100_000_000, &mut service.presence_connections);
    section.set_size("presence_bytes", 1 << 20..=64 << 30, &mut service.presence_bytes);
    section.set_count("presence_announced", 0..=100_000, &mut service.presence_announced_users);
    section.set_duration("presence_interval", second..=second * 3600, &mut service.presence_interval);
    section.finish();
    service.publish_drafts = service.publish_drafts.max(config.native.publish_messages);
    config.native.body = edge::body::Bounds { bytes: edge.body_bytes, time: edge.body_timeout };
    config.native.page_messages = service.page_messages;
    config.native.many_channels = service.many_channels;
    config.native.stream_channels = service.subscription_topics;
}

fn stream(section: Section<'_>, config: &mut Config) {
    let second = Duration::from_secs(1);
    section.set_duration("heartbeat", second / 10..=second * 3600, &mut config.native.heartbeat);
    section.set_duration("retry", second / 100..=second * 3600, &mut config.native.retry);
    section.finish();
}

fn memory(section: Section<'_>, service: &mut service::Settings) {
    let minute = Duration::from_secs(60);
    section.set_size("recent", 1 << 20..=16 << 30, &mut service.ring_bytes);
    section.set_duration("recent_age", minute / 6..=minute * 60, &mut service.ring_age);
    section.set_size("pages", 0..=64 << 30, &mut service.page_cache_bytes);
    section.finish();
}

#[cfg(test)]
mod tests;
