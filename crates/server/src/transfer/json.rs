//! How lines look as JSON. Ids are strings, because many readers keep numbers as floating point; payloads are JSON in JSON
//! where that keeps every byte of them.

use super::{
    limits::{GONE_PER_LINE, LINE_BYTES},
    line::{Header, Line},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use model::{
    AppId, ChannelName, Edit, Id, Kind, Message, Origin, Payload, PayloadForm, Position, Reaction, RecordKind, Seq,
    UserId, limits,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{borrow::Cow, sync::Arc};

const FORMAT: &str = "scrollback export";
const FORMAT_VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "lowercase", deny_unknown_fields)]
enum Shape<'a> {
    Header {
        format: Cow<'a, str>,
        version: u32,
        app: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        channels: Vec<Name<'a>>,
        after: Digits,
        upto: Digits,
    },
    Record {
        record: Cow<'a, str>,
        name: Text<'a>,
        version: Digits,
        value: Text<'a>,
    },
    Channel {
        channel: Name<'a>,
        floor: (i64, Digits),
        head: (i64, Digits),
    },
    Gone {
        channel: Name<'a>,
        messages: Vec<(i64, Digits, Fate)>,
    },
    Reaction {
        channel: Name<'a>,
        message: Digits,
        id: Digits,
        user: User<'a>,
        kind: Cow<'a, str>,
        value: Cow<'a, str>,
    },
    End {
        messages: u64,
    },
}

/// A message or an edit: apart from the others, because JSON in JSON cannot be read through a tag.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said<'a> {
    line: SaidKind,
    #[serde(borrow)]
    channel: Name<'a>,
    seq: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<Digits>,
    id: Digits,
    /// For people and other programs: the id tells it.
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    author: Option<User<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    recipient: Option<User<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<EntryKind>,
    #[serde(borrow, rename = "type", default, skip_serializing_if = "Option::is_none")]
    custom_type: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    payload_json: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    extras: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<Digits>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SaidKind {
    Message,
    Edit,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum EntryKind {
    File,
    Join,
    Leave,
    Call,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Fate {
    Deleted,
    Expired,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Name<'a> {
    Named(Cow<'a, str>),
    Direct { direct: (Cow<'a, str>, Cow<'a, str>) },
    Member { community: Digits, channel: Digits },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct User<'a> {
    id: Cow<'a, str>,
    origin: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    verified: bool,
}

/// Bytes that are mostly text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Text<'a> {
    Utf8(Cow<'a, str>),
    Bytes { base64: Cow<'a, str> },
}

/// A number of 64 bits, as a string.
#[derive(Clone, Copy)]
struct Digits(u64);

impl Serialize for Digits {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Digits, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map(Digits).map_err(|_| serde::de::Error::custom(format!("not an id: {text:?}")))
    }
}

/// What every line says first.
#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(borrow)]
    line: Cow<'a, str>,
}

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

fn position((seq, id): (i64, Digits)) -> Position {
    Position { id: id.id(), seq: Seq(seq) }
}

impl Digits {
    fn of(id: Id) -> Digits {
        Digits(id.raw())
    }

    fn id(self) -> Id {
        Id::from_raw(self.0)
    }
}

impl EntryKind {
    fn of(kind: Kind) -> Option<EntryKind> {
        match kind {
            Kind::Message => None,
            Kind::File => Some(EntryKind::File),
            Kind::Join => Some(EntryKind::Join),
            Kind::Leave => Some(EntryKind::Leave),
            Kind::Call => Some(EntryKind::Call),
        }
    }

    fn read(self) -> Kind {
        match self {
            EntryKind::File => Kind::File,
            EntryKind::Join => Kind::Join,
            EntryKind::Leave => Kind::Leave,
            EntryKind::Call => Kind::Call,
        }
    }
}

impl<'a> Name<'a> {
    fn of(name: &'a ChannelName) -> Name<'a> {
        match name {
            ChannelName::Named(text) => Name::Named((&**text).into()),
            ChannelName::Direct(a, b) => Name::Direct { direct: ((&**a).into(), (&**b).into()) },
            ChannelName::Member(community, channel) => {
                Name::Member { community: Digits(*community), channel: Digits(*channel) }
            }
        }
    }

    fn read(self) -> Result<ChannelName, String> {
        match self {
            Name::Named(text) => ChannelName::named(&text).map_err(|error| error.message),
            Name::Direct { direct: (a, b) } => {
                let fits = |name: &str| (1..=limits::USER_ID_BYTES).contains(&name.len()) && !name.contains('\0');
                match fits(&a) && fits(&b) {
                    true => Ok(ChannelName::direct(&a, &b)),
                    false => Err("channel: the names of a direct chat are too long, or empty".into()),
                }
            }
            Name::Member { community, channel } => Ok(ChannelName::Member(community.0, channel.0)),
        }
    }
}

const ORIGINS: [(Origin, &str); 5] = [
    (Origin::Native, "native"),
    (Origin::Pubnub, "pubnub"),
    (Origin::Scaledrone, "scaledrone"),
    (Origin::Agora, "agora"),
    (Origin::Osmium, "osmium"),
];

/// The kinds of records, in the order in which they are exported.
pub(crate) const RECORD_KINDS: [(RecordKind, &str); 8] = [
    (RecordKind::Setting, "setting"),
    (RecordKind::Grant, "grant"),
    (RecordKind::GroupMember, "group_member"),
    (RecordKind::Directory, "directory"),
    (RecordKind::ReadMark, "read_mark"),
    (RecordKind::Hold, "hold"),
    (RecordKind::Erasure, "erasure"),
    (RecordKind::Spent, "spent"),
];

impl<'a> User<'a> {
    fn of(user: &'a UserId) -> User<'a> {
        let origin = ORIGINS.iter().find(|(origin, _)| *origin == user.origin).map_or("", |(_, name)| *name);
        User { id: (&*user.id).into(), origin: origin.into(), verified: user.verified }
    }

    fn read(self) -> Result<UserId, String> {
        let origin = ORIGINS.iter().find(|(_, name)| *name == self.origin).map(|(origin, _)| *origin);
        let origin = origin.ok_or_else(|| format!("user: no origin {:?}", self.origin))?;
        UserId::new(origin, &self.id, self.verified).map_err(|error| error.message)
    }
}

impl<'a> Text<'a> {
    fn of(bytes: &'a [u8]) -> Text<'a> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Text::Utf8(text.into()),
            Err(_) => Text::Bytes { base64: STANDARD.encode(bytes).into() },
        }
    }

    fn read(self) -> Result<Vec<u8>, String> {
        match self {
            Text::Utf8(text) => Ok(text.into_owned().into_bytes()),
            Text::Bytes { base64 } => STANDARD.decode(&*base64).map_err(|error| format!("base64: {error}")),
        }
    }
}
