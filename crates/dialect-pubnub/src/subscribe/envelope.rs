//! The answer of subscribe (`protocols/pubnub.md` §5.2): `t` first and without spaces, because one client recovers from a
//! broken answer by it; never `e:0`, never `b:null`.

use super::entries::Entry;
use crate::{
    convert::{self, Extras},
    wire::{Callback, Reply, json},
};
use model::{Change, ChannelChange, ChannelName, Id, Kind, Message, What};
use service::Item;
use std::sync::Arc;

/// The only region there is; at most 127, because one client reads it into 8 bits.
const REGION: &[u8] = b",\"r\":1}";

/// Bytes that an envelope takes beside its payload, about.
const ENVELOPE_BYTES: usize = 192;

/// What all answers to one subscribe have in common.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The subscribe key.
    pub key: Arc<str>,
    /// JSONP.
    pub callback: Callback,
}

impl Answer {
    /// An answer that reaches up to `cursor`.
    pub fn write(&self, cursor: Id, entries: &[Entry], items: &[Item]) -> Reply {
        let size: usize = items.iter().map(|item| item.change.cost() + ENVELOPE_BYTES).sum();
        let mut out = Vec::with_capacity(size + ENVELOPE_BYTES);
        out.extend_from_slice(b"{\"t\":");
        write_position(&mut out, cursor);
        out.extend_from_slice(b",\"m\":[");
        let envelopes = items.iter().filter_map(|item| match (&*item.change, entries.get(item.topic)) {
            // Only what carries a message has an envelope of this kind.
            (Change::Channel(change), Some(entry)) if change.what.message().is_some() => Some((change, entry)),
            _ => None,
        });
        json::joined(&mut out, envelopes, |out, (change, entry)| self.write_envelope(out, change, entry));
        out.extend_from_slice(b"]}");
        Reply::ok(self.callback.wrap(out))
    }

    fn write_envelope(&self, out: &mut Vec<u8>, change: &ChannelChange, entry: &Entry) {
        out.extend_from_slice(b"{\"a\":\"1\",\"f\":0");
        if let Some(number) = event_type(&change.what) {
            out.extend_from_slice(b",\"e\":");
            json::number(out, number);
        }
        let message = change.what.message();
        if let Some(author) = message.and_then(|message| convert::author(message)) {
            out.extend_from_slice(b",\"i\":");
            json::string(out, author);
        }
        out.extend_from_slice(b",\"p\":");
        write_position(out, change.id);
        out.extend_from_slice(b",\"k\":");
        json::string(out, &self.key);
        out.extend_from_slice(b",\"c\":");
        write_channel(out, &change.channel.name);
        out.extend_from_slice(b",\"b\":");
        json::string(out, &entry.name);
        if let Some(message) = message {
            write_message(out, message);
        }
        out.push(b'}');
    }
}

fn write_message(out: &mut Vec<u8>, message: &Message) {
    out.extend_from_slice(b",\"d\":");
    convert::write_payload(out, &message.payload);
    let extras = Extras::of(message);
    if let Some(meta) = extras.meta {
        out.extend_from_slice(b",\"u\":");
        out.extend_from_slice(meta.get().as_bytes());
    }
    let own = extras.pubnub.unwrap_or_default();
    if let Some(sequence) = own.sequence {
        out.extend_from_slice(b",\"s\":");
        json::number(out, sequence);
    }
    if let Some(origination) = own.origination {
        out.extend_from_slice(b",\"o\":{\"t\":");
        json::token(out, origination);
        out.push(b'}');
    }
    if let Some(custom_type) = &message.custom_type {
        out.extend_from_slice(b",\"cmt\":");
        json::string(out, custom_type);
    }
}

/// §5.2: absent for a message.
fn event_type(what: &What) -> Option<u64> {
    match what {
        What::Signal(_) => Some(1),
        What::Published { message, .. } | What::Unstored(message) => (message.kind == Kind::File).then_some(4),
        // No envelope is made of these: they carry no message.
        What::Edited(_)
        | What::Deleted(_)
        | What::Expired(_)
        | What::Floored(_)
        | What::Reacted(_)
        | What::Unreacted { .. }
        | What::Presence(_) => None,
    }
}

fn write_position(out: &mut Vec<u8>, id: Id) {
    out.extend_from_slice(b"{\"t\":");
    json::token(out, id.timetoken());
    out.extend_from_slice(REGION);
}

fn write_channel(out: &mut Vec<u8>, name: &ChannelName) {
    match name {
        ChannelName::Named(text) => json::string(out, text),
        ChannelName::Member(..) | ChannelName::Direct(..) => json::string(out, &name.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use model::{AppId, Channel, ChannelNumber, Origin, Payload, PayloadForm, Seq, UserId};

    fn item(what: fn(Arc<Message>) -> What, message: Message) -> Item {
        let channel = Channel { app: AppId::new("demo").unwrap(), name: ChannelName::named("room.1").unwrap() };
        let change = ChannelChange { id: message.id, channel, number: ChannelNumber::NONE, what: what(message.into()) };
        Item { change: Arc::new(Change::Channel(change)), topic: 0 }
    }

    fn message(payload: &'static str) -> Message {
        Message {
            id: Id::new(17358238908727392, 0),
            seq: Seq::NONE,
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

    fn check(items: &[Item], expected: &str) {
        let entries = [Entry { name: "room.*".into(), messages: true, presence: false }];
        let answer = Answer { key: "sub-c-demo".into(), callback: Callback::NONE };
        let reply = answer.write(Id::new(17358238908727400, 0), &entries, items);
        assert_eq!(std::str::from_utf8(&reply.body).unwrap(), expected);
    }

    /// `protocols/pubnub.md` §5.2.
    #[test]
    fn envelopes_have_what_every_client_needs() {
        check(&[], r#"{"t":{"t":"17358238908727400","r":1},"m":[]}"#);
        let whole = Message {
            author: UserId::new(Origin::Pubnub, "user-2", false).ok(),
            custom_type: Some("text-message".into()),
            extras: Some(Bytes::from_static(br#"{"meta":{"k":"v"},"pubnub":{"s":1,"o":17}}"#)),
            ..message(r#"{"text":"hi"}"#)
        };
        check(
            &[item(What::Unstored, whole)],
            r#"{"t":{"t":"17358238908727400","r":1},"m":[{"a":"1","f":0,"i":"user-2","p":{"t":"17358238908727392","r":1},"k":"sub-c-demo","c":"room.1","b":"room.*","d":{"text":"hi"},"u":{"k":"v"},"s":1,"o":{"t":"17"},"cmt":"text-message"}]}"#,
        );
    }

    #[test]
    fn signals_and_files_say_what_they_are() {
        let file = Message { kind: Kind::File, ..message("2") };
        check(
            &[item(What::Signal, message("1")), item(What::Unstored, file)],
            r#"{"t":{"t":"17358238908727400","r":1},"m":[{"a":"1","f":0,"e":1,"p":{"t":"17358238908727392","r":1},"k":"sub-c-demo","c":"room.1","b":"room.*","d":1},{"a":"1","f":0,"e":4,"p":{"t":"17358238908727392","r":1},"k":"sub-c-demo","c":"room.1","b":"room.*","d":2}]}"#,
        );
    }
}
