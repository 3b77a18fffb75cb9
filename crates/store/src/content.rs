//! The content of one message, without its place: who, to whom, what. The same bytes lie in the log, in the tail and
//! in blocks, so that a flush copies them and a read slices its payload out of them.
//!
//! ```text
//! kind u8 ‖ form u8 ‖ flags u8 ‖ [author] ‖ [recipient] ‖ [custom type] ‖ [extras] ‖ [edited at] ‖ payload (the rest)
//! user        = origin (bit 7: verified) ‖ length ‖ id
//! custom type = length ‖ text;  extras = length ‖ bytes;  edited at = varint
//! ```

use crate::{
    settings::CONTENT_BYTES_MAX,
    wire::{Malformed, Parsed, Reader, put_prefixed, put_varint},
};
use bytes::Bytes;
use model::{Author, Edit, Id, Kind, Message, Origin, Payload, PayloadForm, Seq, UserId, limits};
use std::ops::Range;

const AUTHOR: u8 = 1;
const RECIPIENT: u8 = 2;
const CUSTOM_TYPE: u8 = 4;
const EXTRAS: u8 = 8;
const EDITED: u8 = 16;
const VERIFIED: u8 = 0x80;

/// A content, taken apart but not copied.
pub(crate) struct Content<'a> {
    kind: Kind,
    form: PayloadForm,
    author: Option<User<'a>>,
    recipient: Option<User<'a>>,
    custom_type: Option<&'a str>,
    extras: Option<Range<usize>>,
    edited_at: Option<Id>,
    payload: Range<usize>,
}

/// A user, taken apart but not copied.
#[derive(Clone, Copy)]
pub(crate) struct User<'a> {
    origin: Origin,
    verified: bool,
    id: &'a str,
}

/// Appends the content of a message.
pub(crate) fn encode(message: &Message, out: &mut Vec<u8>) {
    let flag = |there: bool, flag: u8| if there { flag } else { 0 };
    out.push(message.kind as u8);
    out.push(message.payload.form as u8);
    out.push(
        flag(message.author.is_some(), AUTHOR)
            | flag(message.recipient.is_some(), RECIPIENT)
            | flag(message.custom_type.is_some(), CUSTOM_TYPE)
            | flag(message.extras.is_some(), EXTRAS)
            | flag(message.edited_at.is_some(), EDITED),
    );
    for user in [&message.author, &message.recipient].into_iter().flatten() {
        put_user(out, user);
    }
    if let Some(custom_type) = &message.custom_type {
        put_prefixed(out, custom_type.as_bytes());
    }
    if let Some(extras) = &message.extras {
        put_prefixed(out, extras);
    }
    if let Some(edited_at) = message.edited_at {
        put_varint(out, edited_at.raw());
    }
    out.extend_from_slice(&message.payload.bytes);
}

/// Appends the content of an edit: that of a plain message whose author is the editor.
pub(crate) fn encode_edit(edit: &Edit, out: &mut Vec<u8>) {
    let flag = |there: bool, flag: u8| if there { flag } else { 0 };
    out.push(Kind::Message as u8);
    out.push(edit.payload.form as u8);
    out.push(flag(edit.editor.is_some(), AUTHOR) | flag(edit.extras.is_some(), EXTRAS));
    if let Some(editor) = &edit.editor {
        put_user(out, editor);
    }
    if let Some(extras) = &edit.extras {
        put_prefixed(out, extras);
    }
    out.extend_from_slice(&edit.payload.bytes);
}

/// Appends a user.
pub(crate) fn put_user(out: &mut Vec<u8>, user: &UserId) {
    out.push(user.origin as u8 | if user.verified { VERIFIED } else { 0 });
    put_prefixed(out, user.id.as_bytes());
}

impl<'a> Content<'a> {
    pub fn parse(bytes: &'a [u8]) -> Parsed<Content<'a>> {
        if bytes.len() > CONTENT_BYTES_MAX {
            return Err(Malformed("content: too long"));
        }
        let mut reader = Reader::new(bytes);
        let kind = Kind::from_number(reader.u8()?).ok_or(Malformed("kind of message"))?;
        let form = PayloadForm::from_number(reader.u8()?).ok_or(Malformed("form of payload"))?;
        let flags = reader.u8()?;
        if flags >= EDITED << 1 {
            return Err(Malformed("flags of content"));
        }
        let has = |flag: u8| flags & flag != 0;
        Ok(Content {
            kind,
            form,
            author: has(AUTHOR).then(|| User::parse(&mut reader)).transpose()?,
            recipient: has(RECIPIENT).then(|| User::parse(&mut reader)).transpose()?,
            custom_type: has(CUSTOM_TYPE).then(|| reader.text(limits::CUSTOM_TYPE_BYTES)).transpose()?,
            extras: has(EXTRAS).then(|| reader.prefixed_range(limits::EXTRAS_BYTES)).transpose()?,
            edited_at: has(EDITED).then(|| reader.varint()).transpose()?.map(Id::from_raw),
            payload: reader.rest(),
        })
    }

    pub fn is_by(&self, author: &Author) -> bool {
        self.author.is_some_and(|user| {
            user.id == &*author.id
                && author.origin.is_none_or(|origin| origin == user.origin)
                && author.verified.is_none_or(|verified| verified == user.verified)
        })
    }

    /// The name of its author.
    pub fn author(&self) -> Option<&'a str> {
        self.author.map(|user| user.id)
    }

    /// Its author.
    pub fn author_user(&self) -> Option<UserId> {
        self.author.map(User::to_user)
    }

    /// The name of its recipient.
    pub fn recipient(&self) -> Option<&'a str> {
        self.recipient.map(|user| user.id)
    }

    pub fn is_of_type(&self, custom_type: &str) -> bool {
        self.custom_type == Some(custom_type)
    }

    /// The message with this content; payload and extras are slices of `bytes`, which are what was parsed.
    pub fn message(&self, id: Id, seq: Seq, expires_at: Option<Id>, bytes: &Bytes) -> Message {
        Message {
            id,
            seq,
            author: self.author.map(User::to_user),
            recipient: self.recipient.map(User::to_user),
            payload: Payload { form: self.form, bytes: bytes.slice(self.payload.clone()) },
            kind: self.kind,
            custom_type: self.custom_type.map(Into::into),
            extras: self.extras.clone().map(|range| bytes.slice(range)),
            edited_at: self.edited_at,
            expires_at,
        }
    }
}

impl<'a> User<'a> {
    pub fn parse(reader: &mut Reader<'a>) -> Parsed<User<'a>> {
        let origin = reader.u8()?;
        let id = reader.text(limits::USER_ID_BYTES)?;
        let verified = origin & VERIFIED != 0;
        let origin = Origin::from_number(origin & !VERIFIED).ok_or(Malformed("origin of a user"))?;
        Ok(User { origin, verified, id })
    }

    pub fn to_user(self) -> UserId {
        UserId { origin: self.origin, id: self.id.into(), verified: self.verified }
    }
}
