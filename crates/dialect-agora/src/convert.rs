//! Wire ⇄ model: names, payloads, messages. Pure.

use crate::{
    error::{Refusal, parameter},
    limits,
    wire::{self, Text},
};
use bytes::Bytes;
use model::{ChannelName, Id, Message, Origin, Payload, PayloadForm, Result, Selected, Span, TICKS_PER_MS, UserId};
use serde_json::value::RawValue;
use std::sync::Arc;

/// How the users of this dialect are named in direct chats, so that nobody else's direct chat is meant by a name that a
/// caller sends.
pub const CHAT_PREFIX: &str = "agora/";

/// The special characters of an id (`protocols/agora-rtm.md` §4).
const SPECIAL: &str = " !#$%&()+-:;<=.>?@[]^_{}|~,'";

/// Checks an id by which somebody sends or is sent to: `field` is what the caller calls it.
pub fn check_id(field: &str, id: &str) -> Result<(), Refusal> {
    let fits = (1..=limits::NAME_CHARACTERS).contains(&id.len());
    if !fits || !id.chars().all(|c| c.is_ascii_alphanumeric() || SPECIAL.contains(c)) {
        let most = limits::NAME_CHARACTERS;
        return Err(parameter(format!(
            "{field}: 1 to {most} characters of a-z A-Z 0-9 blank and !#$%&()+-:;<=.>?@[]^_{{}}|~,'"
        )));
    }
    Ok(())
}

/// The name of a user in direct chats.
pub fn chat_name(user: &str) -> Arc<str> {
    format!("{CHAT_PREFIX}{user}").into()
}

/// The direct chat of two users.
pub fn chat(a: &str, b: &str) -> ChannelName {
    ChannelName::direct(&chat_name(a), &chat_name(b))
}

/// The author or recipient of a message in a direct chat.
pub fn chat_user(user: &str, verified: bool) -> Result<UserId> {
    UserId::new(Origin::Agora, &chat_name(user), verified)
}

/// The author of a message in a channel.
pub fn user(user: &str, verified: bool) -> Result<UserId> {
    UserId::new(Origin::Agora, user, verified)
}

/// A payload as it is sent: a text.
pub fn payload(text: String) -> Payload {
    Payload { form: PayloadForm::Text, bytes: Bytes::from(text) }
}

/// The content of a message as a text: of a JSON string the string, other JSON as it is spelled.
pub fn text(payload: &Payload) -> Text<'_> {
    // The model holds payloads to be UTF-8.
    let text = std::str::from_utf8(&payload.bytes).unwrap_or_default();
    if payload.form == PayloadForm::Json && text.trim_ascii_start().starts_with('"') {
        // Passed through as it was spelled: a text that no UTF-8 can hold, as half of a surrogate pair, stays what it is.
        if let Ok(string) = serde_json::from_str::<&RawValue>(text) {
            return Text::Json(string);
        }
    }
    Text::Plain(text)
}

/// Who wrote a message, as callers see it; empty if nobody said so.
pub fn author(message: &Message) -> &str {
    message.author.as_ref().map_or("", shown)
}

/// A user as callers see it.
pub fn shown(user: &UserId) -> &str {
    user.id.strip_prefix(CHAT_PREFIX).unwrap_or(&user.id)
}

/// A selected message as a page shows it.
pub fn message(selected: &Selected) -> wire::Message<'_> {
    let message = &*selected.message;
    let is_peer = matches!(selected.channel.name, ChannelName::Direct(..));
    let dst = match &selected.channel.name {
        ChannelName::Named(name) => name,
        // Not selected by this dialect.
        ChannelName::Member(..) => "",
        ChannelName::Direct(..) => message.recipient.as_ref().map_or("", shown),
    };
    wire::Message {
        src: author(message),
        dst,
        message_type: if is_peer { "peer_message" } else { "group_message" },
        payload: text(&message.payload),
        ms: message.id.unix_ms(),
        ts: message.id.unix_ms(),
        id: message.id.to_string(),
    }
}

/// The ids between two times in milliseconds, both inclusive.
pub fn span(start_ms: u64, end_ms: u64) -> Span {
    let first = start_ms.saturating_mul(TICKS_PER_MS);
    let last = end_ms.saturating_add(1).saturating_mul(TICKS_PER_MS) - 1;
    Span { after: Id::last_before(first), upto: Id::last_at(last) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_vendors() {
        let long = "x".repeat(64);
        for good in ["a", "user A", "0", "!#$%&()+-:;<=.>?@[]^_{}|~,'", long.as_str(), " a "] {
            assert!(check_id("user_id", good).is_ok(), "{good:?}");
        }
        let longer = "x".repeat(65);
        for bad in ["", "a\"b", "a/b", "a\\b", "a*", "`", "ä", "a\n", "\u{fffd}", longer.as_str()] {
            assert!(check_id("user_id", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn payloads_of_others_are_texts() {
        let written = |form, text: &'static str| {
            let payload = Payload { form, bytes: Bytes::from_static(text.as_bytes()) };
            serde_json::to_string(&super::text(&payload)).expect("JSON")
        };
        assert_eq!(written(PayloadForm::Text, "say \"hi\""), r#""say \"hi\"""#);
        assert_eq!(written(PayloadForm::Text, "\"quoted\""), r#""\"quoted\"""#);
        assert_eq!(written(PayloadForm::Json, r#""say \"hi\"""#), r#""say \"hi\"""#);
        assert_eq!(written(PayloadForm::Json, r#"{"t": 1.0}"#), r#""{\"t\": 1.0}""#);
        assert_eq!(written(PayloadForm::Json, "7"), r#""7""#);
        assert_eq!(written(PayloadForm::Json, r#""\ud800""#), r#""\ud800""#);
    }

    #[test]
    fn both_ends_of_a_span_are_inside_to_the_millisecond() {
        let span = span(1_000, 2_000);
        let at = |ticks| Id::new(ticks, 0);
        assert!(!span.contains(at(1_000 * TICKS_PER_MS - 1)) && span.contains(at(1_000 * TICKS_PER_MS)));
        assert!(span.contains(at(2_001 * TICKS_PER_MS - 1)) && !span.contains(at(2_001 * TICKS_PER_MS)));
        assert!(super::span(0, u64::MAX).contains(Id::new(1, 0)));
    }
}
