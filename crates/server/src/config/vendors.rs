//! The tables of the vendors' dialects: `[app.pubnub]`, `[app.scaledrone]`, `[app.agora]`; Osmium's is in [`super::osmium`].

use super::{
    app::channels,
    reader::{At, Section},
    units,
};
use dialect_agora::limits as agora_limits;
use dialect_scaledrone::{HistoryCap, RoomHistory, RoomPattern, limits};
use edge::Secret;
use model::Order;
use service::Scope;
use std::time::Duration;

/// A PubNub keyset.
#[derive(Clone, Debug)]
pub struct Pubnub {
    /// The line in which it begins.
    pub line: usize,
    /// `pub-key` of the paths.
    pub publish_key: String,
    /// `sub-key` of the paths.
    pub subscribe_key: String,
    /// Signs requests of servers and grants.
    pub secret_key: Option<At<Secret>>,
    /// Clients need a token.
    pub access_manager: bool,
    /// Messages may be deleted, as the vendor's switch of this name.
    pub delete_from_history: bool,
    /// Where; empty for everywhere.
    pub channels: Vec<Scope>,
    /// The bounds of its calls.
    pub settings: dialect_pubnub::Settings,
}

/// A Scaledrone channel, which is an app here; its rooms are channels.
#[derive(Clone, Debug)]
pub struct Scaledrone {
    /// The line in which it begins.
    pub line: usize,
    /// The channel's id.
    pub channel: String,
    /// Signs tokens, and is the password of the REST API.
    pub secret: Option<At<Secret>>,
    /// Clients need a token.
    pub require_auth: bool,
    /// What a subscriber may ask for.
    pub history: Option<HistoryCap>,
    /// Rooms with a rule of their own.
    pub rooms: Vec<RoomHistory>,
    /// Bytes of a message.
    pub message_bytes: usize,
    /// Connections at a time.
    pub connections: usize,
    /// How long a token is good for a client that reconnects.
    pub reconnect_within: Duration,
    /// Where; empty for everywhere.
    pub channels: Vec<Scope>,
}

/// An Agora project.
#[derive(Clone, Debug)]
pub struct Agora {
    /// The line in which it begins.
    pub line: usize,
    /// 32 hexadecimal digits, as they are spelled at the vendor.
    pub app_id: String,
    /// 32 hexadecimal digits; signs tokens.
    pub certificate: Option<At<Secret>>,
    /// Another one that tokens may be signed with.
    pub secondary_certificate: Option<At<Secret>>,
    /// User of the REST API.
    pub customer_key: Option<String>,
    /// Password of the REST API.
    pub customer_secret: Option<At<Secret>>,
    /// Callers must say who they are.
    pub require_auth: bool,
    /// The order of a query that does not say one.
    pub order: Order,
    /// How long a query may wait to be fetched.
    pub handle_life: Duration,
    /// How often it may be called.
    pub rates: dialect_agora::Rates,
    /// Where; empty for everywhere.
    pub channels: Vec<Scope>,
}

pub(super) fn pubnub(section: Section<'_>) -> Option<Pubnub> {
    let publish_key = section.required("publish_key");
    let subscribe_key = section.required("subscribe_key");
    let secret_key = section.secret("secret_key");
    let access_manager = section.flag("access_manager", false);
    if access_manager && secret_key.is_none() {
        section.mistake(section.line, "app.pubnub: access_manager = true needs a secret_key");
    }
    let delete_from_history = section.flag("delete_from_history", false);
    let channels = channels(&section);
    let settings = pubnub_settings(&section);
    let line = section.line;
    section.finish();
    let (publish_key, subscribe_key) = (publish_key?.value, subscribe_key?.value);
    Some(Pubnub {
        line,
        publish_key,
        subscribe_key,
        secret_key,
        access_manager,
        delete_from_history,
        channels,
        settings,
    })
}

fn pubnub_settings(section: &Section<'_>) -> dialect_pubnub::Settings {
    let mut settings = dialect_pubnub::Settings::default();
    // The vendor's clients give up after 310 s.
    section.set_duration("hold", Duration::from_secs(1)..=Duration::from_secs(300), &mut settings.hold);
    section.set_count("subscribe_messages", 1..=DELIVERED, &mut settings.subscribe_messages);
    let page = 1..=u64::from(model::limits::PAGE_MESSAGES);
    section.set_number("history_messages", page.clone(), &mut settings.history_messages);
    section.set_number("fetch_messages", page, &mut settings.fetch_messages);
    if let Some(most) = section.number("counts_upto", 1..=i64::MAX as u64) {
        settings.counts_upto = most.value;
    }
    section.set_size("answer", 64 << 10..=1 << 30, &mut settings.answer_bytes);
    section.set_count("concurrent_reads", 1..=500, &mut settings.concurrent_reads);
    settings
}

/// Messages that a subscription hands over at a time.
const DELIVERED: u64 = 500;

pub(super) fn scaledrone(section: Section<'_>) -> Option<Scaledrone> {
    let channel = section.parsed("channel", dialect_scaledrone::channel_id);
    if channel.is_none() {
        section.required("channel");
    }
    let secret = section.secret("secret");
    let require_auth = section.flag("require_auth", false);
    if require_auth && secret.is_none() {
        section.mistake(section.line, "app.scaledrone: require_auth = true needs a secret");
    }
    let history = section.section("history").map(scaledrone_history);
    let rooms = section.sections("room").into_iter().filter_map(scaledrone_room).collect();
    let (mut message_bytes, mut connections) = (limits::MESSAGE_BYTES, limits::CONNECTIONS);
    section.set_size("message", 1..=model::limits::PAYLOAD_BYTES, &mut message_bytes);
    section.set_count("connections", 1..=10_000_000, &mut connections);
    let mut reconnect_within = limits::RECONNECT_WITHIN;
    section.set_duration("reconnect_within", Duration::ZERO..=Duration::from_secs(3600), &mut reconnect_within);
    let channels = channels(&section);
    let line = section.line;
    section.finish();
    let channel = channel?.value;
    Some(Scaledrone {
        line,
        channel,
        secret,
        require_auth,
        history,
        rooms,
        message_bytes,
        connections,
        reconnect_within,
        channels,
    })
}

fn scaledrone_history(section: Section<'_>) -> HistoryCap {
    let messages = section.number("messages", 1..=u64::from(limits::HISTORY_MESSAGES));
    let age = section.parsed("age", units::duration);
    section.finish();
    let messages = messages.map_or(limits::VENDOR_HISTORY_MESSAGES, |at| at.value as u32);
    HistoryCap { messages, age: age.map(|at| at.value) }
}

fn scaledrone_room(section: Section<'_>) -> Option<RoomHistory> {
    let name = section.required("name");
    let history = section.section("history").map(scaledrone_history);
    section.finish();
    Some(RoomHistory { room: RoomPattern(name?.value), history })
}

pub(super) fn agora(section: Section<'_>) -> Option<Agora> {
    let app_id = section.parsed("app_id", hex32);
    if app_id.is_none() {
        section.required("app_id");
    }
    let certificate = agora_certificate(&section, "certificate");
    let secondary_certificate = agora_certificate(&section, "secondary_certificate");
    let customer_key = section.text("customer_key").map(|at| at.value);
    let customer_secret = section.secret("customer_secret");
    if customer_key.is_some() != customer_secret.is_some() {
        section.mistake(section.line, "app.agora: customer_key and customer_secret go together");
    }
    let require_auth = section.flag("require_auth", true);
    if require_auth && certificate.is_none() {
        section.mistake(section.line, "app.agora: require_auth = true (the default) needs a certificate");
    }
    let order = section.parsed("order", |text| match text {
        "asc" => Ok(Order::Ascending),
        "desc" => Ok(Order::Descending),
        _ => Err(format!("{text:?} is neither \"asc\" nor \"desc\"")),
    });
    let mut handle_life = agora_limits::HANDLE_LIFE_LEAST;
    let lives = agora_limits::HANDLE_LIFE_LEAST..=agora_limits::HANDLE_LIFE_MOST;
    section.set_duration("query_life", lives, &mut handle_life);
    let rates = agora_rates(&section);
    let channels = channels(&section);
    let line = section.line;
    section.finish();
    Some(Agora {
        line,
        app_id: app_id?.value,
        certificate,
        secondary_certificate,
        customer_key,
        customer_secret,
        require_auth,
        order: order.map_or(Order::Descending, |at| at.value),
        handle_life,
        rates,
        channels,
    })
}

fn agora_certificate(section: &Section<'_>, key: &str) -> Option<At<Secret>> {
    let certificate = section.secret(key);
    if let Some(certificate) = certificate.as_ref().filter(|secret| hex32(secret.value.expose()).is_err()) {
        section.mistake(certificate.line, format!("app.agora.{key}: 32 hexadecimal digits are needed"));
    }
    certificate
}

/// Requests in a second.
fn agora_rates(section: &Section<'_>) -> dialect_agora::Rates {
    let default = dialect_agora::Rates::default();
    let rate = |key: &str, default: u32| match section.given(key) {
        true => section.number_or(key, "unlimited", 1..=1_000_000).map_or(0, |rate| rate as u32),
        false => default,
    };
    dialect_agora::Rates {
        history: rate("history_rate", default.history),
        send: rate("send_rate", default.send),
        events: rate("events_rate", default.events),
    }
}

/// The vendor compares letter by letter, so they are kept as they are spelled.
fn hex32(text: &str) -> Result<String, String> {
    let fits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if fits { Ok(text.to_owned()) } else { Err("32 hexadecimal digits are needed".into()) }
}
