//! A line as JSON.

use super::{
    FORMAT, FORMAT_VERSION, Fate, RECORD_KINDS, Said, SaidKind, Shape,
    fields::{Digits, EntryKind, Name, Text, User},
};
use crate::transfer::line::{Header, Line};
use bytes::Bytes;
use model::{ChannelName, Edit, Id, Message, Payload, PayloadForm, Position, Seq, UserId};
use std::borrow::Cow;

/// See [`Line::write`].
pub(crate) fn write(line: &Line, out: &mut Vec<u8>) {
    let written = match line {
        Line::Message { channel, message } => write_said(channel, Content::of_message(message), out),
        Line::Edit { channel, id, edit } => write_said(channel, Content::of_edit(*id, edit), out),
        other => serde_json::to_writer(&mut *out, &shape(other)),
    };
    // Maps with names and memory that grows: there is nothing that could fail.
    debug_assert!(written.is_ok(), "{written:?}");
    out.push(b'\n');
}

fn shape(line: &Line) -> Shape<'_> {
    match line {
        Line::Header(Header { app, channels, after, upto }) => Shape::Header {
            format: FORMAT.into(),
            version: FORMAT_VERSION,
            app: app.as_str().into(),
            channels: channels.iter().map(Name::of).collect(),
            after: Digits::of(*after),
            upto: Digits::of(*upto),
        },
        Line::Record { kind, name, version, value } => Shape::Record {
            record: RECORD_KINDS.iter().find(|(known, _)| known == kind).map_or("", |(_, name)| *name).into(),
            name: Text::of(name),
            version: Digits::of(*version),
            value: Text::of(value),
        },
        Line::Channel { channel, floor, head } => {
            let pair = |position: &Position| (position.seq.0, Digits::of(position.id));
            Shape::Channel { channel: Name::of(channel), floor: pair(floor), head: pair(head) }
        }
        Line::Gone { channel, messages } => {
            let fate = |expired: bool| if expired { Fate::Expired } else { Fate::Deleted };
            let gone = |(at, expired): &(Position, bool)| (at.seq.0, Digits::of(at.id), fate(*expired));
            Shape::Gone { channel: Name::of(channel), messages: messages.iter().map(gone).collect() }
        }
        Line::Reaction { channel, id, reaction } => Shape::Reaction {
            channel: Name::of(channel),
            message: Digits::of(reaction.message),
            id: Digits::of(*id),
            user: User::of(&reaction.user),
            kind: (*reaction.kind).into(),
            value: (*reaction.value).into(),
        },
        Line::End { messages } => Shape::End { messages: *messages },
        Line::Message { .. } | Line::Edit { .. } => unreachable!("they have a shape of their own"),
    }
}

/// What a message and an edit have in common.
struct Content<'a> {
    of: Option<Id>,
    id: Id,
    seq: Seq,
    author: Option<&'a UserId>,
    payload: &'a Payload,
    extras: Option<&'a Bytes>,
    message: Option<&'a Message>,
}

impl<'a> Content<'a> {
    fn of_message(message: &'a Message) -> Content<'a> {
        Content {
            of: None,
            id: message.id,
            seq: message.seq,
            author: message.author.as_ref(),
            payload: &message.payload,
            extras: message.extras.as_ref(),
            message: Some(message),
        }
    }

    fn of_edit(id: Id, edit: &'a Edit) -> Content<'a> {
        Content {
            of: Some(edit.message),
            id,
            seq: edit.seq,
            author: edit.editor.as_ref(),
            payload: &edit.payload,
            extras: edit.extras.as_ref(),
            message: None,
        }
    }
}

fn write_said(channel: &ChannelName, content: Content<'_>, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let text = String::from_utf8_lossy(&content.payload.bytes);
    let raw = match (content.payload.form, &text) {
        (PayloadForm::Json, Cow::Borrowed(text)) if stays_as_it_is(text) => serde_json::from_str(text).ok(),
        _ => None,
    };
    let is_json = content.payload.form == PayloadForm::Json;
    let message = content.message;
    let said = Said {
        line: if content.of.is_some() { SaidKind::Edit } else { SaidKind::Message },
        channel: Name::of(channel),
        seq: content.seq.0,
        message: content.of.map(Digits::of),
        id: Digits::of(content.id),
        time: time(content.id).into(),
        author: content.author.map(User::of),
        recipient: message.and_then(|message| message.recipient.as_ref()).map(User::of),
        kind: message.and_then(|message| EntryKind::of(message.kind)),
        custom_type: message.and_then(|message| message.custom_type.as_deref()).map(Cow::Borrowed),
        payload: raw,
        payload_json: (is_json && raw.is_none()).then(|| text.clone()),
        text: (!is_json).then(|| text.clone()),
        extras: content.extras.map(|extras| Text::of(extras)),
        expires: message.and_then(|message| message.expires_at).map(Digits::of),
    };
    serde_json::to_writer(out, &said)
}

/// Whether JSON inside a line comes back byte by byte: what surrounds a value is dropped, and a line is one line.
fn stays_as_it_is(json: &str) -> bool {
    json.trim_ascii().len() == json.len() && !json.contains(['\n', '\r'])
}

fn time(id: Id) -> String {
    let ms = i64::try_from(id.unix_ms()).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    ms.map_or_else(String::new, |time| format!("{time:.3}"))
}
