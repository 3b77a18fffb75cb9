//! What is published: drafts, checked against the limits and made into changes that the sequencer only has to number.

use crate::{
    Settings,
    hash::{self, Hasher},
    order::{Order, unnumbered},
};
use bytes::Bytes;
use model::{Channel, Error, ErrorKind, Id, Kind, Message, Payload, PayloadForm, Result, Seq, UserId, What, limits};
use std::{sync::Arc, time::Duration};

/// A message that somebody wants to publish.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draft {
    /// Who wrote it.
    pub author: Option<UserId>,
    /// To whom, for a direct message.
    pub recipient: Option<UserId>,
    /// What is said. That JSON is valid is for the dialect to see to.
    pub payload: Payload,
    /// What sort of entry.
    pub kind: Kind,
    /// The application's own type.
    pub custom_type: Option<Arc<str>>,
    /// What only one vendor has.
    pub extras: Option<Bytes>,
    /// How long it may be shown; for ever if not said.
    pub ttl: Option<Duration>,
    /// The publisher's key: the same key with the same author and payload again, today or tomorrow, gets the first
    /// answer again and stores nothing.
    pub key: Option<String>,
    /// Whether history keeps it; if not, only subscribers see it.
    pub store: bool,
}

impl Draft {
    /// A message to store, for ever, with nothing but a payload.
    pub fn new(payload: Payload) -> Draft {
        Draft {
            author: None,
            recipient: None,
            payload,
            kind: Kind::Message,
            custom_type: None,
            extras: None,
            ttl: None,
            key: None,
            store: true,
        }
    }
}

/// What became of a draft.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Published {
    /// The message's id.
    pub id: Id,
    /// Its place in the channel; [`Seq::NONE`] if it was not stored.
    pub seq: Seq,
    /// The key was used before: this is the answer that the first one got.
    pub repeated: bool,
}

/// Makes an order of a draft.
pub(crate) fn order(hasher: &Hasher, settings: &Settings, channel: &Channel, draft: Draft) -> Result<Order> {
    let (stored, ttl, key) = (draft.store, draft.ttl, draft.key.clone());
    if !stored && key.is_some() {
        return Err(Error::invalid("key: only a message that is stored can be recognised again"));
    }
    if ttl.is_some_and(|ttl| ttl.is_zero() || ttl > settings.ttl) {
        return Err(Error::invalid(format!("ttl: more than 0 and at most {} s", settings.ttl.as_secs())));
    }
    let message = message(draft)?;
    let key = key.map(|key| hash::idempotency_key(&key, &message)).transpose()?;
    let message = Arc::new(message);
    let what = match stored {
        true => What::Published { message, key, first: false },
        false => What::Unstored(message),
    };
    let place = hasher.place(channel);
    let key = key.map(|key| hasher.key(place, key.key_hash));
    Ok(Order { key, ttl, ..Order::new(unnumbered(channel, what), place) })
}

/// Makes an order of a signal.
pub(crate) fn signal(hasher: &Hasher, settings: &Settings, channel: &Channel, draft: Draft) -> Result<Order> {
    if draft.payload.bytes.len() > settings.signal_bytes {
        return Err(too_large("payload", draft.payload.bytes.len(), settings.signal_bytes));
    }
    if draft.key.is_some() || draft.ttl.is_some() {
        return Err(Error::invalid("signal: it is never stored, so it has neither key nor ttl"));
    }
    let what = What::Signal(Arc::new(message(draft)?));
    Ok(Order::new(unnumbered(channel, what), hasher.place(channel)))
}

fn message(draft: Draft) -> Result<Message> {
    check_content(&draft.payload, draft.extras.as_ref())?;
    bounded("custom type", draft.custom_type.as_ref().map_or(0, |text| text.len()), limits::CUSTOM_TYPE_BYTES)?;
    Ok(Message {
        id: Id::MIN,
        seq: Seq::NONE,
        author: draft.author,
        recipient: draft.recipient,
        payload: draft.payload,
        kind: draft.kind,
        custom_type: draft.custom_type,
        extras: draft.extras,
        edited_at: None,
        expires_at: None,
    })
}

/// Whether this may be the content of a message.
pub(crate) fn check_content(payload: &Payload, extras: Option<&Bytes>) -> Result<()> {
    bounded("payload", payload.bytes.len(), limits::PAYLOAD_BYTES)?;
    bounded("extras", extras.map_or(0, Bytes::len), limits::EXTRAS_BYTES)?;
    if std::str::from_utf8(&payload.bytes).is_err() {
        return Err(Error::invalid("payload: it is not UTF-8"));
    }
    if payload.form == PayloadForm::Json && payload.bytes.is_empty() {
        return Err(Error::invalid("payload: it is empty"));
    }
    Ok(())
}

pub(crate) fn bounded(what: &str, size: usize, most: usize) -> Result<()> {
    if size <= most { Ok(()) } else { Err(too_large(what, size, most)) }
}

fn too_large(what: &str, size: usize, most: usize) -> Error {
    Error::new(ErrorKind::TooLarge, format!("{what}: it has {size} bytes, the limit is {most}"))
}
