//! A message as it is stored and as it is read.

use crate::{Id, Position, Seq, UserId};
use bytes::Bytes;
use std::sync::Arc;

/// A message: what was accepted, byte for byte, with its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// When and where in the node's order.
    pub id: Id,
    /// The place in the channel; [`Seq::NONE`] when it was not stored.
    pub seq: Seq,
    /// Who wrote it, if anyone said so.
    pub author: Option<UserId>,
    /// To whom, for a direct message.
    pub recipient: Option<UserId>,
    /// What was said.
    pub payload: Payload,
    /// What sort of entry in the channel.
    pub kind: Kind,
    /// The application's own type of message.
    pub custom_type: Option<Arc<str>>,
    /// What only one vendor has: opaque to all others, rendered by the dialect that wrote it.
    pub extras: Option<Bytes>,
    /// The id of the newest edit that is merged into this message.
    pub edited_at: Option<Id>,
    /// From which position on it must not be shown any more.
    pub expires_at: Option<Id>,
}

impl Message {
    /// Where it lies.
    pub fn position(&self) -> Position {
        Position { id: self.id, seq: self.seq }
    }

    /// About how many bytes it takes in memory: what byte-bounded queues count.
    pub fn cost(&self) -> usize {
        size_of::<Message>() + self.payload.bytes.len() + self.extras.as_ref().map_or(0, Bytes::len)
    }

    /// Whether it is due to be hidden at `now`.
    pub fn is_expired(&self, now: Id) -> bool {
        self.expires_at.is_some_and(|due| due <= now)
    }
}

/// The content of a message: bytes kept exactly as accepted, never parsed on the way out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payload {
    /// How to read the bytes.
    pub form: PayloadForm,
    /// Valid UTF-8; for [`PayloadForm::Json`] also valid JSON.
    pub bytes: Bytes,
}

/// How the bytes of a payload are to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum PayloadForm {
    /// One JSON value, spelled as its author spelled it.
    Json = 1,
    /// Plain text: what a dialect without JSON carries.
    Text = 2,
}

/// What sort of entry a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Kind {
    /// Something somebody said.
    #[default]
    Message = 1,
    /// A file announced (`protocols/pubnub.md` §4.1).
    File = 2,
    /// A member came (`protocols/osmium.md` §4).
    Join = 3,
    /// A member left.
    Leave = 4,
    /// A call.
    Call = 5,
}

impl Kind {
    /// The kind with this stored number.
    pub fn from_number(number: u8) -> Option<Kind> {
        Some(match number {
            1 => Kind::Message,
            2 => Kind::File,
            3 => Kind::Join,
            4 => Kind::Leave,
            5 => Kind::Call,
            _ => return None,
        })
    }
}

impl PayloadForm {
    /// The form with this stored number.
    pub fn from_number(number: u8) -> Option<PayloadForm> {
        Some(match number {
            1 => PayloadForm::Json,
            2 => PayloadForm::Text,
            _ => return None,
        })
    }
}
