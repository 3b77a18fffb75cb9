//! The shapes of the native API: what a publish looks like when it comes in, what messages and pages look like when
//! they go out. Pages are written by hand into one buffer, because payloads go out as the bytes that came in.

use crate::{convert, json::push_string};
use model::{Id, Message, Origin, Page, Payload, PayloadForm, Position, Seq, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;
use service::{History, Published, Query};
use std::io::Write;

/// A message to publish. The values are taken as raw text, so that an error can name its field, and a payload is kept
/// byte for byte.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draft<'a> {
    #[serde(borrow)]
    pub payload: &'a RawValue,
    #[serde(borrow)]
    pub author: Option<&'a RawValue>,
    #[serde(borrow)]
    pub r#type: Option<&'a RawValue>,
    #[serde(borrow)]
    pub meta: Option<&'a RawValue>,
    #[serde(borrow)]
    pub ttl: Option<&'a RawValue>,
    #[serde(borrow)]
    pub key: Option<&'a RawValue>,
    #[serde(borrow)]
    pub store: Option<&'a RawValue>,
}

/// What other dialects and this one keep beside a payload: a JSON object, of which this dialect knows `meta`.
#[derive(Deserialize)]
struct Extras<'a> {
    #[serde(borrow)]
    meta: Option<&'a RawValue>,
}

/// Why something is not the JSON that it should be, without a line in a text that the client never saw.
pub(crate) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split_once(" at line ").map_or(text.as_str(), |(reason, _)| reason).to_owned()
}

/// What became of one publish.
pub(crate) fn push_published(out: &mut Vec<u8>, published: &Published) {
    push_place(out, published.id, published.seq);
    let durability = if published.seq == Seq::NONE { "none" } else { "disk" };
    push(out, format_args!(",\"durability\":\"{durability}\""));
    if published.repeated {
        out.extend_from_slice(b",\"repeated\":true");
    }
    out.push(b'}');
}

/// A message, with the name of its channel if the reader may not know it.
pub(crate) fn push_message(out: &mut Vec<u8>, message: &Message, channel: Option<&str>) {
    push_place(out, message.id, message.seq);
    push(out, format_args!(",\"time\":\"{}\"", convert::time(message.id)));
    if let Some(channel) = channel {
        push_field(out, "channel", channel);
    }
    if let Some(author) = &message.author {
        push_user(out, "author", author);
    }
    if let Some(custom_type) = &message.custom_type {
        push_field(out, "type", custom_type);
    }
    if let Some(meta) = message.extras.as_deref().and_then(meta) {
        push(out, format_args!(",\"meta\":{meta}"));
    }
    if let Some(edit) = message.edited_at {
        push(out, format_args!(",\"edit\":\"{edit}\",\"edited\":\"{}\"", convert::time(edit)));
    }
    if let Some(due) = message.expires_at {
        push(out, format_args!(",\"expires\":\"{}\"", convert::time(due)));
    }
    push_payload(out, &message.payload);
    out.push(b'}');
}

/// Who, and which door said so if it was not this one.
pub(crate) fn push_user(out: &mut Vec<u8>, name: &str, user: &UserId) {
    push_field(out, name, &user.id);
    if user.origin != Origin::Native {
        push_field(out, "origin", origin_name(user.origin));
    }
}

/// A page with what it proves: an object. The links hold everything that makes a page, so equal pages have equal bytes.
pub(crate) fn page(history: &History, query: &Query) -> Vec<u8> {
    let page = &history.page;
    let bytes: usize = page.messages.iter().map(|message| 256 + message.payload.bytes.len()).sum();
    let mut out = Vec::with_capacity(512 + bytes);
    out.extend_from_slice(b"{\"messages\":[");
    for (index, message) in page.messages.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_message(&mut out, message, None);
    }
    out.extend_from_slice(b"],\"page\":{\"first\":");
    push_end(&mut out, page.messages.first().map(|message| &**message));
    out.extend_from_slice(b",\"last\":");
    push_end(&mut out, page.messages.last().map(|message| &**message));
    let (after, upto) = (page.covered.after, page.covered.upto);
    push(&mut out, format_args!(",\"covered\":{{\"after\":\"{after}\",\"upto\":\"{upto}\"}},\"more\":{}", page.more));
    push_position(&mut out, "floor", page.floor);
    push_position(&mut out, "head", page.head);
    let (deleted, expired) = (page.removed.deleted, page.removed.expired);
    push(&mut out, format_args!(",\"missing\":{{\"deleted\":{deleted},\"expired\":{expired}}}"));
    match history.hidden_below {
        Some(id) => push(&mut out, format_args!(",\"hidden_by_window\":\"{id}\"")),
        None => out.extend_from_slice(b",\"hidden_by_window\":null"),
    }
    push_link(&mut out, "previous", previous(page), query);
    push_link(&mut out, "next", next(page), query);
    out.extend_from_slice(b"}}");
    out
}

/// The older neighbour of a page: everything before it, unless nothing can be there.
fn previous(page: &Page) -> Option<String> {
    let before = page.covered.after.raw().saturating_add(1);
    (page.covered.after > page.floor.id).then(|| format!("before={before}"))
}

/// The newer neighbour, unless the page reaches the newest message.
fn next(page: &Page) -> Option<String> {
    (page.covered.upto < page.head.id).then(|| format!("after={}", page.covered.upto))
}

fn push_link(out: &mut Vec<u8>, name: &str, bound: Option<String>, query: &Query) {
    let Some(bound) = bound else { return push(out, format_args!(",\"{name}\":null")) };
    let mut link = format!("?{bound}&limit={}", query.limit);
    let encoded =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    if let Some(author) = &query.author {
        link += &format!("&author={}", encoded(&author.id));
        if let Some(origin) = author.origin {
            link += &format!("&origin={}", origin_name(origin));
        }
    }
    if let Some(custom_type) = &query.custom_type {
        link += &format!("&type={}", encoded(custom_type));
    }
    push_field(out, name, &link);
}

fn push_end(out: &mut Vec<u8>, message: Option<&Message>) {
    match message {
        Some(message) => push(out, format_args!("{{\"id\":\"{}\",\"seq\":{}}}", message.id, message.seq)),
        None => out.extend_from_slice(b"null"),
    }
}

pub(crate) fn push_position(out: &mut Vec<u8>, name: &str, position: Position) {
    push(out, format_args!(",\"{name}\":{{\"id\":\"{}\",\"seq\":{}}}", position.id, position.seq));
}

/// Opens an object with what every message and every outcome begins with. What is not stored has no seq.
pub(crate) fn push_place(out: &mut Vec<u8>, id: Id, seq: Seq) {
    push(out, format_args!("{{\"id\":\"{id}\",\"timetoken\":\"{}\"", id.timetoken()));
    if seq != Seq::NONE {
        push(out, format_args!(",\"seq\":{seq}"));
    }
}

/// JSON goes out as it came in; plain text, which other dialects carry, as a string that says so.
pub(crate) fn push_payload(out: &mut Vec<u8>, payload: &Payload) {
    match payload.form {
        PayloadForm::Json => {
            out.extend_from_slice(b",\"payload\":");
            out.extend_from_slice(&payload.bytes);
        }
        PayloadForm::Text => {
            out.extend_from_slice(b",\"form\":\"text\"");
            push_field(out, "payload", &String::from_utf8_lossy(&payload.bytes));
        }
    }
}

/// What is said, with what is kept beside it.
pub(crate) fn push_content(out: &mut Vec<u8>, payload: &Payload, extras: Option<&[u8]>) {
    if let Some(meta) = extras.and_then(meta) {
        push(out, format_args!(",\"meta\":{meta}"));
    }
    push_payload(out, payload);
}

pub(crate) fn push_field(out: &mut Vec<u8>, name: &str, text: &str) {
    push(out, format_args!(",\"{name}\":"));
    push_string(out, text);
}

pub(crate) fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("memory takes every byte");
}

pub(crate) fn meta(extras: &[u8]) -> Option<&str> {
    serde_json::from_slice::<Extras<'_>>(extras).ok()?.meta.map(RawValue::get)
}

pub(crate) fn origin_name(origin: Origin) -> &'static str {
    match origin {
        Origin::Native => "native",
        Origin::Pubnub => "pubnub",
        Origin::Scaledrone => "scaledrone",
        Origin::Agora => "agora",
        Origin::Osmium => "osmium",
    }
}

pub(crate) mod change;
#[cfg(test)]
mod tests;
