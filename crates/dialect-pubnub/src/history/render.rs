//! The answers of a v3 fetch (`protocols/pubnub.md` §7.1). Payloads go through as they were accepted.

use super::{
    acted::Acted,
    more::{More, write_cursor},
};
use crate::{
    convert::{self, Extras},
    wire::{Query, encode_key, json},
};
use bytes::Bytes;
use model::{Kind, Message, ReactionEntry};
use service::History;
use std::{collections::BTreeMap, sync::Arc};

/// The beginning of every v3 answer: some client needs each of these fields.
pub const FETCH_HEAD: &[u8] = b"{\"status\":200,\"error\":false,\"error_message\":\"\",\"channels\":{";

/// Bytes that the fields of one message take beside its payload, about.
const FIELDS_BYTES: usize = 160;

/// Which fields a v3 fetch shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fields {
    meta: bool,
    user: bool,
    message_type: bool,
    custom_type: bool,
    /// Whether the keys of channels are percent-encoded.
    pub encode: bool,
}

impl Fields {
    /// What a query asks for.
    pub fn of(query: &Query) -> Fields {
        Fields {
            meta: query.flag("include_meta", false),
            user: query.flag("include_uuid", false),
            message_type: query.flag("include_message_type", false),
            custom_type: query.flag("include_custom_message_type", false),
            encode: query.flag("encode_channels", true),
        }
    }

    /// The name under which a page keeps its bytes in this format.
    fn format(self) -> &'static str {
        const FORMATS: [&str; 32] = [
            "pubnub",
            "pubnub m",
            "pubnub u",
            "pubnub mu",
            "pubnub t",
            "pubnub mt",
            "pubnub ut",
            "pubnub mut",
            "pubnub c",
            "pubnub mc",
            "pubnub uc",
            "pubnub muc",
            "pubnub tc",
            "pubnub mtc",
            "pubnub utc",
            "pubnub mutc",
            "pubnub e",
            "pubnub me",
            "pubnub ue",
            "pubnub mue",
            "pubnub te",
            "pubnub mte",
            "pubnub ute",
            "pubnub mute",
            "pubnub ce",
            "pubnub mce",
            "pubnub uce",
            "pubnub muce",
            "pubnub tce",
            "pubnub mtce",
            "pubnub utce",
            "pubnub mutce",
        ];
        let bits = [self.meta, self.user, self.message_type, self.custom_type, self.encode];
        FORMATS[bits.iter().enumerate().map(|(bit, set)| usize::from(*set) << bit).sum::<usize>()]
    }
}

/// A v3 answer with one page of one channel. The page keeps it for the next who asks for the same.
pub fn page(page: &History, name: &str, fields: Fields) -> Bytes {
    page.rendered(fields.format(), |history| {
        let mut out = Fetch::default();
        out.messages(name, history.page.messages.iter(), size_of_page(&history.page.messages), fields);
        out.finish()
    })
}

/// A v3 answer that is being written (§7.1).
#[derive(Default)]
pub struct Fetch(Vec<u8>);

impl Fetch {
    /// Adds a channel, unless it has no messages.
    pub fn channel(&mut self, name: &str, pages: &[Arc<History>], fields: Fields) {
        let size = pages.iter().map(|history| size_of_page(&history.page.messages)).sum();
        self.messages(name, pages.iter().flat_map(|history| &history.page.messages), size, fields);
    }

    fn messages<'a>(
        &mut self,
        name: &str,
        messages: impl Iterator<Item = &'a Arc<Message>>,
        size: usize,
        fields: Fields,
    ) {
        let mut messages = messages.peekable();
        if messages.peek().is_none() {
            return;
        }
        let out = &mut self.0;
        out.reserve(size + FETCH_HEAD.len() + name.len());
        out.extend_from_slice(if out.is_empty() { FETCH_HEAD } else { b"," });
        key(out, name, fields.encode);
        out.push(b'[');
        json::joined(out, messages, |out, message| write_message(out, message, fields));
        out.push(b']');
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The whole answer.
    pub fn finish(self) -> Bytes {
        let mut out = self.channels();
        out.push(b'}');
        out.into()
    }

    /// The whole answer to a call with this server's own parameters: it says of which channels there is more, and with what
    /// value of `cursor` to go on.
    pub fn finish_with(self, cursor: &str, more: &[More], fields: Fields) -> Bytes {
        let mut out = self.channels();
        out.extend_from_slice(b",\"more\":{");
        json::joined(&mut out, more, |out, more| {
            key(out, more.name, fields.encode);
            out.push(b'{');
            write_cursor(out, cursor, more.token);
            out.push(b'}');
        });
        out.extend_from_slice(b"}}");
        out.into()
    }

    fn channels(mut self) -> Vec<u8> {
        if self.0.is_empty() {
            self.0.extend_from_slice(FETCH_HEAD);
        }
        self.0.push(b'}');
        self.0
    }
}

/// Writes the key of a channel.
pub fn key(out: &mut Vec<u8>, name: &str, encode: bool) {
    if encode {
        out.push(b'"');
        encode_key(name, out);
        out.push(b'"');
    } else {
        json::string(out, name);
    }
    out.push(b':');
}

fn size_of_page(messages: &[Arc<Message>]) -> usize {
    messages.iter().map(|message| message.payload.bytes.len() + FIELDS_BYTES).sum()
}

/// Writes messages with what was done to them (§7.2): type, value, and who did it when.
pub fn with_actions(out: &mut Vec<u8>, acted: &[Acted], fields: Fields) {
    out.push(b'[');
    json::joined(out, acted, |out, (message, entries)| {
        write_message(out, message, fields);
        if !entries.is_empty() {
            out.pop(); // its closing brace
            write_actions(out, entries);
            out.push(b'}');
        }
    });
    out.push(b']');
}

fn write_actions(out: &mut Vec<u8>, entries: &[ReactionEntry]) {
    let mut kinds: BTreeMap<&str, BTreeMap<&str, Vec<&ReactionEntry>>> = BTreeMap::new();
    for entry in entries {
        let values = kinds.entry(&entry.reaction.kind).or_default();
        values.entry(&entry.reaction.value).or_default().push(entry);
    }
    out.extend_from_slice(b",\"actions\":{");
    json::joined(out, kinds, |out, (kind, values)| {
        json::string(out, kind);
        out.extend_from_slice(b":{");
        json::joined(out, values, |out, (value, entries)| {
            json::string(out, value);
            out.extend_from_slice(b":[");
            json::joined(out, entries, |out, entry| {
                out.extend_from_slice(b"{\"uuid\":");
                json::string(out, &entry.reaction.user.id);
                out.extend_from_slice(b",\"actionTimetoken\":");
                json::token(out, entry.id.timetoken());
                out.push(b'}');
            });
            out.push(b']');
        });
        out.push(b'}');
    });
    out.push(b'}');
}

fn write_message(out: &mut Vec<u8>, message: &Message, fields: Fields) {
    out.extend_from_slice(b"{\"message\":");
    convert::write_payload(out, &message.payload);
    out.extend_from_slice(b",\"timetoken\":");
    json::token(out, message.id.timetoken());
    if fields.meta {
        write_meta(out, message);
    }
    if fields.message_type {
        let number: &[u8] = if message.kind == Kind::File { b"4" } else { b"null" };
        out.extend_from_slice(b",\"message_type\":");
        out.extend_from_slice(number);
    }
    if fields.user {
        out.extend_from_slice(b",\"uuid\":");
        json::string(out, convert::author(message).unwrap_or_default());
    }
    if fields.custom_type {
        out.extend_from_slice(b",\"custom_message_type\":");
        match &message.custom_type {
            Some(text) => json::string(out, text),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
}

/// Writes `meta`. None is an empty string, in both versions.
pub fn write_meta(out: &mut Vec<u8>, message: &Message) {
    out.extend_from_slice(b",\"meta\":");
    out.extend_from_slice(Extras::of(message).meta.map_or("\"\"", |meta| meta.get()).as_bytes());
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use model::{Id, Origin, Payload, PayloadForm, Seq, UserId};

    pub fn message(ticks: u64, payload: &'static str) -> Message {
        Message {
            id: Id::new(ticks, 0),
            seq: Seq(1),
            author: None,
            recipient: None,
            payload: Payload { form: PayloadForm::Json, bytes: Bytes::from_static(payload.as_bytes()) },
            kind: Kind::Message,
            custom_type: None,
            extras: None,
            edited_at: None,
            expires_at: None,
        }
    }

    pub fn full(ticks: u64) -> Message {
        Message {
            author: UserId::new(Origin::Pubnub, "user-1", false).ok(),
            custom_type: Some("text-message".into()),
            extras: Some(Bytes::from_static(b"{\"meta\":{\"k\": 1}}")),
            kind: Kind::File,
            ..message(ticks, "{\"a\": 1.0}")
        }
    }

    fn check_message(message: &Message, query: &str, expected: &str) {
        let mut out = Vec::new();
        write_message(&mut out, message, Fields::of(&Query::parse(query).unwrap()));
        assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
    }

    /// §7.1.
    #[test]
    fn messages_show_what_is_asked_for() {
        let everything =
            "include_meta=true&include_uuid=true&include_message_type=true&include_custom_message_type=true";
        check_message(&full(17), "", r#"{"message":{"a": 1.0},"timetoken":"17"}"#);
        check_message(
            &full(17),
            everything,
            r#"{"message":{"a": 1.0},"timetoken":"17","meta":{"k": 1},"message_type":4,"uuid":"user-1","custom_message_type":"text-message"}"#,
        );
        check_message(
            &message(17, "null"),
            everything,
            r#"{"message":null,"timetoken":"17","meta":"","message_type":null,"uuid":"","custom_message_type":null}"#,
        );
        let text = Message {
            payload: Payload { form: PayloadForm::Text, bytes: Bytes::from_static(b"say \"hi\"") },
            ..message(17, "")
        };
        check_message(&text, "", r#"{"message":"say \"hi\"","timetoken":"17"}"#);
    }

    #[test]
    fn every_choice_of_fields_has_a_name_of_its_own() {
        let mut names = std::collections::HashSet::new();
        for bits in 0..32u8 {
            let set = |bit: u8| bits & 1 << bit != 0;
            let (meta, user, message_type, custom_type, encode) = (set(0), set(1), set(2), set(3), set(4));
            let fields = Fields { meta, user, message_type, custom_type, encode };
            assert!(names.insert(fields.format()));
        }
    }
}
