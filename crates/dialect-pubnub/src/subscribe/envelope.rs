//! The answer of subscribe (`protocols/pubnub.md` §5.2): `t` first and without spaces, because one client recovers from a
//! broken answer by it; never `e:0`, never `b:null`.

use super::event;
use crate::{
    convert::{self, Extras, PRESENCE_SUFFIX},
    wire::{Callback, Reply, json},
};
use model::{Change, ChannelChange, Id, Kind, Message, UserId, What};
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
    /// An answer that reaches up to `cursor`. `names` are those of the topics.
    pub fn write(&self, cursor: Id, names: &[Arc<str>], items: &[Item]) -> Reply {
        let size: usize = items.iter().map(|item| item.change.cost() + ENVELOPE_BYTES).sum();
        let mut out = Vec::with_capacity(size + ENVELOPE_BYTES);
        out.extend_from_slice(b"{\"t\":");
        write_position(&mut out, cursor);
        out.extend_from_slice(b",\"m\":[");
        let envelopes = items.iter().filter_map(|item| match (&*item.change, names.get(item.topic)) {
            (Change::Channel(change), Some(name)) => Some((change, name)),
            _ => None,
        });
        json::joined(&mut out, envelopes, |out, (change, name)| self.write_envelope(out, change, name));
        out.extend_from_slice(b"]}");
        Reply::ok(self.callback.wrap(out))
    }

    fn write_envelope(&self, out: &mut Vec<u8>, change: &ChannelChange, name: &str) {
        out.extend_from_slice(b"{\"a\":\"1\",\"f\":0");
        if let Some(number) = event_type(&change.what) {
            out.extend_from_slice(b",\"e\":");
            json::number(out, number);
        }
        if let Some(publisher) = publisher(&change.what) {
            out.extend_from_slice(b",\"i\":");
            json::string(out, &publisher.id);
        }
        out.extend_from_slice(b",\"p\":");
        write_position(out, change.id);
        out.extend_from_slice(b",\"k\":");
        json::string(out, &self.key);
        let channel = change.channel.name.to_string();
        out.extend_from_slice(b",\"c\":");
        if let What::Presence(presence) = &change.what {
            json::string(out, &format!("{channel}{PRESENCE_SUFFIX}"));
            write_subscribed(out, name);
            event::presence(out, &channel, presence, change.id);
        } else {
            json::string(out, &channel);
            write_subscribed(out, name);
            write_content(out, change);
        }
        out.push(b'}');
    }
}

fn write_subscribed(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"b\":");
    json::string(out, name);
}

fn write_content(out: &mut Vec<u8>, change: &ChannelChange) {
    match &change.what {
        What::Published { message, .. } | What::Unstored(message) | What::Signal(message) => {
            write_message(out, message);
        }
        What::Reacted(reaction) => event::action(out, "added", reaction, change.id),
        What::Unreacted { reaction, was } => event::action(out, "removed", was, *reaction),
        What::Presence(_)
        | What::Edited(_)
        | What::Unedited(_)
        | What::Deleted(_)
        | What::Expired(_)
        | What::Floored(_) => {}
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

/// Whether PubNub's clients have a word for it: edits, deletions and the end of messages they learn from history.
pub fn is_told(what: &What) -> bool {
    match what {
        What::Published { .. }
        | What::Unstored(_)
        | What::Signal(_)
        | What::Reacted(_)
        | What::Unreacted { .. }
        | What::Presence(_) => true,
        What::Edited(_) | What::Unedited(_) | What::Deleted(_) | What::Expired(_) | What::Floored(_) => false,
    }
}

/// §5.2: absent for a message and for presence.
fn event_type(what: &What) -> Option<u64> {
    match what {
        What::Signal(_) => Some(1),
        What::Reacted(_) | What::Unreacted { .. } => Some(3),
        What::Published { message, .. } | What::Unstored(message) => (message.kind == Kind::File).then_some(4),
        What::Presence(_)
        | What::Edited(_)
        | What::Unedited(_)
        | What::Deleted(_)
        | What::Expired(_)
        | What::Floored(_) => None,
    }
}

fn publisher(what: &What) -> Option<&UserId> {
    match what {
        What::Published { message, .. } | What::Unstored(message) | What::Signal(message) => message.author.as_ref(),
        What::Reacted(reaction) | What::Unreacted { was: reaction, .. } => Some(&reaction.user),
        What::Presence(_)
        | What::Edited(_)
        | What::Unedited(_)
        | What::Deleted(_)
        | What::Expired(_)
        | What::Floored(_) => None,
    }
}

fn write_position(out: &mut Vec<u8>, id: Id) {
    out.extend_from_slice(b"{\"t\":");
    json::token(out, id.timetoken());
    out.extend_from_slice(REGION);
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use model::{AppId, Channel, ChannelName, ChannelNumber, Origin, Payload, PayloadForm, Seq, UserId};

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
        let names = ["room.*".into()];
        let answer = Answer { key: "sub-c-demo".into(), callback: Callback::NONE };
        let reply = answer.write(Id::new(17358238908727400, 0), &names, items);
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

    /// §8 and §10.
    #[test]
    fn actions_and_presence_are_told_in_the_vendors_words() {
        let user = || UserId::new(Origin::Pubnub, "user-1", false).unwrap();
        let reaction =
            model::Reaction { message: Id::new(15, 0), user: user(), kind: "reaction".into(), value: "smile".into() };
        let at = |what| {
            let mut item = item(What::Unstored, message("0"));
            let Change::Channel(change) = (*item.change).clone() else { panic!() };
            item.change = Arc::new(Change::Channel(ChannelChange { what, ..change }));
            item
        };
        let head = r#"{"t":{"t":"17358238908727400","r":1},"m":[{"a":"1","f":0"#;
        let place = r#""p":{"t":"17358238908727392","r":1},"k":"sub-c-demo""#;
        check(
            &[at(What::Reacted(Arc::new(reaction)))],
            &format!(
                r#"{head},"e":3,"i":"user-1",{place},"c":"room.1","b":"room.*","d":{{"source":"actions","version":"1.0","event":"added","data":{{"type":"reaction","value":"smile","actionTimetoken":"17358238908727392","messageTimetoken":"15"}}}}}}]}}"#
            ),
        );
        let joined = model::PresenceEvent::Joined { user: user(), state: None, data: None };
        check(
            &[at(What::Presence(Arc::new(model::Presence { event: joined, occupancy: 2 })))],
            &format!(
                r#"{head},{place},"c":"room.1-pnpres","b":"room.*","d":{{"action":"join","uuid":"user-1","timestamp":1735823890,"precise_timestamp":1735823890872,"occupancy":2}},"u":{{"pn_action":"join","pn_uuid":"user-1","pn_timestamp":1735823890,"pn_precise_timestamp":1735823890872,"pn_occupancy":2,"pn_ispresence":1,"pn_channel":"room.1"}}}}]}}"#
            ),
        );
    }
}
