//! A line out of its JSON. Each value is checked against the bounds of the model; whether lines belong together is for
//! `check` to say.

use super::{
    FORMAT, FORMAT_VERSION, Fate, RECORD_KINDS, Said, SaidKind, Shape,
    fields::{Digits, EntryKind, Name, Text, User},
};
use crate::transfer::{
    limits::{GONE_PER_LINE, LINE_BYTES},
    line::{Header, Line},
};
use bytes::Bytes;
use model::{AppId, Edit, Kind, Message, Payload, PayloadForm, Position, Reaction, Seq, limits};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, sync::Arc};

/// See [`Line::parse`].
pub(crate) fn parse(line: &[u8]) -> Result<Line, String> {
    if line.len() > LINE_BYTES {
        return Err(format!("it has {} bytes, the limit is {LINE_BYTES}", line.len()));
    }
    let tag: Tag<'_> = serde_json::from_slice(line).map_err(said)?;
    match &*tag.line {
        "message" | "edit" => said_line(serde_json::from_slice(line).map_err(said)?),
        "header" | "record" | "channel" | "gone" | "reaction" | "end" => {
            other_line(serde_json::from_slice(line).map_err(said)?)
        }
        kind => Err(format!("there are no lines of kind {kind:.40}")),
    }
}

/// What every line says first.
#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(borrow)]
    line: Cow<'a, str>,
}

fn said(error: serde_json::Error) -> String {
    error.to_string()
}

fn other_line(shape: Shape<'_>) -> Result<Line, String> {
    Ok(match shape {
        Shape::Header { format, version, app, channels, after, upto } => {
            if format != FORMAT || version != FORMAT_VERSION {
                return Err(format!("{format} {version} is unknown; this program knows {FORMAT} {FORMAT_VERSION}"));
            }
            let app = AppId::new(&app).map_err(|error| error.message)?;
            let channels = channels.into_iter().map(Name::read).collect::<Result<_, _>>()?;
            Line::Header(Header { app, channels, after: after.id(), upto: upto.id() })
        }
        Shape::Record { record, name, version, value } => {
            let kind = RECORD_KINDS.iter().find(|(_, name)| *name == record).map(|(kind, _)| *kind);
            let kind = kind.ok_or_else(|| format!("record: no kind {record:?}"))?;
            let (name, value) = (name.read()?, value.read()?);
            if !(1..=limits::RECORD_NAME_BYTES).contains(&name.len()) || value.len() > limits::RECORD_VALUE_BYTES {
                return Err("record: its name or value is too long".into());
            }
            Line::Record { kind, name, version: version.id(), value }
        }
        Shape::Channel { channel, floor, head } => {
            Line::Channel { channel: channel.read()?, floor: position(floor), head: position(head) }
        }
        Shape::Gone { channel, messages } => {
            if !(1..=GONE_PER_LINE).contains(&messages.len()) {
                return Err(format!("messages: 1 to {GONE_PER_LINE}"));
            }
            let gone = |(seq, id, fate)| (position((seq, id)), fate == Fate::Expired);
            Line::Gone { channel: channel.read()?, messages: messages.into_iter().map(gone).collect() }
        }
        Shape::Reaction { channel, message, id, user, kind, value } => {
            if kind.len() > limits::REACTION_BYTES || value.len() > limits::REACTION_BYTES {
                return Err(format!("reaction: its kind or value has more than {} bytes", limits::REACTION_BYTES));
            }
            let (kind, value) = ((*kind).into(), (*value).into());
            let reaction = Reaction { message: message.id(), user: user.read()?, kind, value };
            Line::Reaction { channel: channel.read()?, id: id.id(), reaction: Arc::new(reaction) }
        }
        Shape::End { messages } => Line::End { messages },
    })
}

fn said_line(shape: Said<'_>) -> Result<Line, String> {
    let Said { line, channel, seq, message, id, author, recipient, kind, custom_type, expires, .. } = shape;
    let payload = payload(shape.payload, shape.payload_json, shape.text)?;
    let extras = shape.extras.map(Text::read).transpose()?.map(Bytes::from);
    if payload.bytes.len() > limits::PAYLOAD_BYTES {
        return Err(format!("payload: it has {} bytes, the limit is {}", payload.bytes.len(), limits::PAYLOAD_BYTES));
    }
    if extras.as_ref().is_some_and(|extras| extras.len() > limits::EXTRAS_BYTES) {
        return Err(format!("extras: the limit is {} bytes", limits::EXTRAS_BYTES));
    }
    let (channel, id, seq) = (channel.read()?, id.id(), Seq(seq));
    let author = author.map(User::read).transpose()?;
    if line == SaidKind::Edit {
        let message = message.ok_or("edit: it names no message")?.id();
        let is_only_content = recipient.is_none() && kind.is_none() && custom_type.is_none() && expires.is_none();
        if !is_only_content {
            return Err("edit: it has more than a content".into());
        }
        let edit = Edit { message, seq, editor: author, payload, extras };
        return Ok(Line::Edit { channel, id, edit: Arc::new(edit) });
    }
    if message.is_some() {
        return Err("message: it names another message".into());
    }
    let custom_type = match custom_type {
        Some(name) if name.len() > limits::CUSTOM_TYPE_BYTES => {
            return Err(format!("type: the limit is {} bytes", limits::CUSTOM_TYPE_BYTES));
        }
        name => name.map(|name| (*name).into()),
    };
    let kind = kind.map_or(Kind::Message, EntryKind::read);
    let recipient = recipient.map(User::read).transpose()?;
    let (edited_at, expires_at) = (None, expires.map(Digits::id));
    let message = Message { id, seq, author, recipient, payload, kind, custom_type, extras, edited_at, expires_at };
    Ok(Line::Message { channel, message: Arc::new(message) })
}

fn payload(
    json: Option<&RawValue>,
    json_text: Option<Cow<'_, str>>,
    text: Option<Cow<'_, str>>,
) -> Result<Payload, String> {
    let (form, bytes) = match (json, json_text, text) {
        (Some(json), None, None) => (PayloadForm::Json, Bytes::copy_from_slice(json.get().as_bytes())),
        (None, Some(json), None) => {
            serde_json::from_str::<&RawValue>(&json).map_err(|error| format!("payload_json: {error}"))?;
            (PayloadForm::Json, Bytes::copy_from_slice(json.as_bytes()))
        }
        (None, None, Some(text)) => (PayloadForm::Text, Bytes::copy_from_slice(text.as_bytes())),
        _ => return Err("one of payload, payload_json and text is needed".into()),
    };
    Ok(Payload { form, bytes })
}

fn position((seq, id): (i64, Digits)) -> Position {
    Position { id: id.id(), seq: Seq(seq) }
}
