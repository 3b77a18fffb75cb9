//! What a call of history asks for: the vendor's parameters (`protocols/pubnub.md` §6 and §7.1), and beside them, in v3, those
//! of this server, which no client of the vendor sends: `after`, `limit`, `author`, `type`.

use crate::{
    call::Call,
    convert,
    error::Refusal,
    limits,
    selection::{self, Bounds},
};
use model::{Id, Order, Span, UserId};
use std::sync::Arc;

/// What is to be read of each channel.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Where to look.
    pub span: Span,
    /// From which end.
    pub order: Order,
    /// How many messages.
    pub limit: u32,
    /// Only messages of this author.
    pub author: Option<UserId>,
    /// Only messages of this custom type.
    pub custom_type: Option<Arc<str>>,
    /// One of this server's own parameters was given, so the answer may say what the vendor's never does.
    pub own: bool,
    /// The parameter by which one goes on: `start`, or `after` if that was given.
    pub cursor: &'static str,
}

impl Asked {
    /// A v2 history.
    pub fn list(call: &Call) -> Result<Asked, Refusal> {
        Asked::vendors(call, "count", call.settings.history_messages)
    }

    /// A v3 fetch, of several channels or of one with its actions if it is not `alone`.
    pub fn fetch(call: &Call, alone: bool) -> Result<Asked, Refusal> {
        let settings = call.settings;
        let most = if alone { settings.history_messages } else { settings.fetch_messages };
        let mut asked = Asked::vendors(call, "max", most)?;
        let query = call.query;
        asked.own = ["after", "limit", "author", "type"].iter().any(|name| query.get(name).is_some());
        if let Some(after) = query.timetoken("after")? {
            if query.get("start").is_some() {
                return Err(Refusal::Argument("after"));
            }
            let bounds = Bounds { start: Some(after), end: query.timetoken("end")? };
            (asked.span, asked.order) = forwards(bounds);
            asked.cursor = "after";
        }
        if query.get("limit").is_some() {
            asked.limit = count(call, "limit", most, settings.page_messages)?;
        }
        asked.author = convert::user(query.get("author"), false).map_err(|_| Refusal::Argument("author"))?;
        asked.custom_type = query.get("type").map(Arc::from);
        Ok(asked)
    }

    fn vendors(call: &Call, limit: &'static str, most: u32) -> Result<Asked, Refusal> {
        let most = most.min(call.settings.page_messages);
        let limit = count(call, limit, most, most)?;
        let (span, order) = selection::history(bounds(call)?, call.query.flag("reverse", false));
        Ok(Asked { span, order, limit, author: None, custom_type: None, own: false, cursor: "start" })
    }

    /// How many pages may be read for one channel: with a filter, each may be long to read and empty.
    pub fn most_pages(&self) -> usize {
        if self.author.is_some() || self.custom_type.is_some() { limits::FILTERED_PAGES } else { usize::MAX }
    }
}

/// The bounds of a call.
pub fn bounds(call: &Call) -> Result<Bounds, Refusal> {
    Ok(Bounds { start: call.query.timetoken("start")?, end: call.query.timetoken("end")? })
}

/// Everything later than `start`, up to `end` if that is given; nothing if that comes first.
fn forwards(bounds: Bounds) -> (Span, Order) {
    match (bounds.start, bounds.end) {
        (Some(after), Some(end)) if end < after => (Span { after: Id::MIN, upto: Id::MIN }, Order::Ascending),
        _ => selection::history(bounds, true),
    }
}

/// How many messages are asked for: zero or less means the default, more than the most means the most.
fn count(call: &Call, name: &'static str, default: u32, most: u32) -> Result<u32, Refusal> {
    let Some(text) = call.query.get(name) else { return Ok(default) };
    let number: i64 = text.parse().map_err(|_| Refusal::Argument(name))?;
    Ok(if number <= 0 { default } else { u32::try_from(number).unwrap_or(most).min(most) })
}
