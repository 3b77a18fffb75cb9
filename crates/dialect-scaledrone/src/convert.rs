//! Wire ⇄ model: drafts out of messages, frames out of changes and pages.

use crate::{
    json,
    wire::{self, Frame, MessageParts},
};
use bytes::{BufMut, Bytes, BytesMut};
use model::{Change, Id, Message, Page, Payload, PayloadForm, TICKS_PER_SECOND, UserId, What};
use service::Draft;
use std::borrow::Cow;

/// A message to publish: one JSON value, kept as its author spelled it.
pub fn draft(message: String, author: Option<UserId>) -> Draft {
    let payload = Payload { form: PayloadForm::Json, bytes: message.into() };
    Draft { author, ..Draft::new(payload) }
}

/// The id of a message as frames carry it: the same live, in history and in the native API.
pub fn message_id(id: Id) -> String {
    id.to_string()
}

/// The position that a client names by the id of a frame.
pub fn position(message_id: &str) -> Option<Id> {
    message_id.parse().ok().map(Id::from_raw)
}

/// The live frame of a change that happened in a room, if clients of this dialect are told of it. They are told of
/// messages; signals, edits and deletions have no frame of their own.
pub fn live_frame(room: &str, change: &Change) -> Option<Frame> {
    let Change::Channel(change) = change else { return None };
    match &change.what {
        What::Published { message, .. } | What::Unstored(message) => {
            Some(with_parts(room, message, |parts| wire::publish(&parts)))
        }
        What::Signal(_)
        | What::Edited(_)
        | What::Unedited(_)
        | What::Deleted(_)
        | What::Expired(_)
        | What::Floored(_)
        | What::Reacted(_)
        | What::Unreacted { .. }
        | What::Presence(_) => None,
    }
}

/// Whether a change put a message into the room's history.
pub fn is_stored_message(change: &Change) -> bool {
    matches!(change, Change::Channel(change) if matches!(change.what, What::Published { .. }))
}

/// The history frames of a page, oldest first, as one piece that can be kept with the page: each with its length
/// before it.
pub fn pack_history(room: &str, page: &Page) -> Bytes {
    let mut pack = BytesMut::new();
    for (index, message) in page.messages.iter().enumerate() {
        let frame = with_parts(room, message, |parts| wire::history_message(&parts, index));
        pack.put_u32(u32::try_from(frame.len()).expect("a frame is shorter than 4 GiB"));
        pack.put_slice(frame.as_bytes());
    }
    pack.freeze()
}

/// The frames of [`pack_history`], sharing its bytes.
pub fn unpack_history(mut pack: Bytes) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some((length, _)) = pack.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        let _ = pack.split_to(size_of::<u32>());
        frames.push(Frame::try_from(pack.split_to(length)).expect("frames are text"));
    }
    frames
}

fn with_parts(room: &str, message: &Message, write: impl FnOnce(MessageParts) -> Frame) -> Frame {
    write(MessageParts {
        room,
        message: &json_of(&message.payload),
        id: &message_id(message.id),
        timestamp: message.id.ticks() / TICKS_PER_SECOND,
        client_id: message.author.as_ref().map(|author| &*author.id),
    })
}

/// A payload as one JSON value: JSON as it stands, text as a string.
pub fn json_of(payload: &Payload) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(&payload.bytes);
    match payload.form {
        PayloadForm::Json => text,
        PayloadForm::Text => json::text(&*text).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{
        AppId, Channel, ChannelChange, ChannelName, ChannelNumber, Kind, Origin, Position, RemovedCount, Seq, Span,
    };
    use std::sync::Arc;

    fn message(ticks: u64, form: PayloadForm, text: &'static str, author: Option<UserId>) -> Arc<Message> {
        Arc::new(Message {
            id: Id::new(ticks, 0),
            seq: Seq(1),
            author,
            recipient: None,
            payload: Payload { form, bytes: Bytes::from_static(text.as_bytes()) },
            kind: Kind::Message,
            custom_type: None,
            extras: None,
            edited_at: None,
            expires_at: None,
        })
    }

    fn change(what: What) -> Change {
        let channel = Channel { app: AppId::new("demo").unwrap(), name: ChannelName::named("r").unwrap() };
        Change::Channel(ChannelChange { id: Id::MIN, channel, number: ChannelNumber::NONE, what })
    }

    #[test]
    fn messages_of_other_dialects_are_frames_like_any_other() {
        let author = UserId::new(Origin::Agora, "user \"7\"", false).unwrap();
        let text = message(15_288_144_849_999_999, PayloadForm::Text, "say \"hi\"\n", Some(author));
        let frame = live_frame("r", &change(What::Unstored(text))).expect("a message has a frame");
        assert_eq!(
            frame.as_str(),
            format!(
                "{{\"type\":\"publish\",\"room\":\"r\",\"message\":\"say \\\"hi\\\"\\n\",\"id\":\"{}\",\
                 \"timestamp\":1528814484,\"client_id\":\"user \\\"7\\\"\"}}",
                Id::new(15_288_144_849_999_999, 0)
            )
        );
        let signal = message(1, PayloadForm::Json, "1", None);
        assert!(live_frame("r", &change(What::Signal(signal))).is_none());
    }

    #[test]
    fn history_is_numbered_from_the_oldest() {
        let bodies = ["1", "{\"a\": \n[]}", "\"x\""];
        let messages = bodies
            .iter()
            .zip(1..)
            .map(|(body, second)| message(second * TICKS_PER_SECOND, PayloadForm::Json, body, None));
        let page = Page {
            messages: messages.collect(),
            covered: Span::ALL,
            more: false,
            removed: RemovedCount::default(),
            floor: Position::default(),
            head: Position::default(),
            next_expiry: None,
        };
        let frames = unpack_history(pack_history("r", &page));
        let expected = bodies.iter().zip(1_u64..).enumerate().map(|(index, (body, second))| {
            let id = Id::new(second * TICKS_PER_SECOND, 0);
            format!(
                "{{\"type\":\"history_message\",\"room\":\"r\",\"message\":{body},\"id\":\"{id}\",\
                 \"timestamp\":{second},\"index\":{index}}}"
            )
        });
        assert_eq!(frames.iter().map(|frame| frame.to_string()).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        assert!(unpack_history(Bytes::new()).is_empty());
    }

    #[test]
    fn an_id_of_a_frame_names_its_position() {
        let id = Id::new(17_000_000_000_000_001, 3);
        assert_eq!(position(&message_id(id)), Some(id));
        for junk in ["", "x", "-1", "99999999999999999999999"] {
            assert_eq!(position(junk), None);
        }
    }
}
