//! The seal on a handle: the query itself lies in it, and nobody can read it, change it, or make one.

use crate::{
    limits,
    query::{Begin, Filter, Query, Who},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    Key, KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use model::{Id, Order};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// The form of what is sealed; a handle of another one is not known.
const VERSION: u8 = 1;

/// Tells one handle from all others.
pub type Nonce = [u8; NONCE_BYTES];

/// Seals the queries of one project.
pub struct Seal {
    cipher: XChaCha20Poly1305,
    /// What a handle is sealed for, beside its content.
    app_id: String,
}

/// What a handle says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ticket {
    /// What it was made for.
    pub query: Query,
    /// Everything that was visible then: the page has nothing above it.
    pub head: Id,
    /// Until when it is good, in Unix milliseconds.
    pub ends_ms: u64,
    /// Which one it is.
    pub nonce: Nonce,
}

impl Ticket {
    /// One that nobody else has.
    pub fn new(query: Query, head: Id, ends_ms: u64) -> Ticket {
        Ticket { query, head, ends_ms, nonce: rand::rng().random() }
    }
}

impl Seal {
    /// For a project, by its key.
    pub fn new(key: [u8; KEY_BYTES], app_id: &str) -> Seal {
        Seal { cipher: XChaCha20Poly1305::new(&Key::from(key)), app_id: app_id.to_owned() }
    }

    /// The handle that says this; of `[A-Za-z0-9_-]`, and never longer than [`limits::HANDLE_BYTES`].
    pub fn close(&self, ticket: &Ticket) -> String {
        let plain = serde_json::to_vec(&Sealed::of(ticket)).expect("texts and numbers always have a JSON text");
        self.encrypt(&ticket.nonce, &plain)
    }

    /// Seals any bytes.
    pub fn encrypt(&self, nonce: &Nonce, plain: &[u8]) -> String {
        let payload = Payload { msg: plain, aad: self.app_id.as_bytes() };
        let cipher_text = self.cipher.encrypt(&XNonce::from(*nonce), payload).expect("a query is shorter than 256 GiB");
        URL_SAFE_NO_PAD.encode([&nonce[..], &cipher_text].concat())
    }

    /// What a handle says; none if it was never made here, or for another project.
    pub fn open(&self, handle: &str) -> Option<Ticket> {
        if handle.len() > limits::HANDLE_BYTES {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(handle).ok()?;
        let (nonce, cipher_text) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: cipher_text, aad: self.app_id.as_bytes() };
        let plain = self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()?;
        let sealed: Sealed = serde_json::from_slice(&plain).ok()?;
        sealed.ticket(*nonce)
    }
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Sealed {
    version: u8,
    ends_ms: u64,
    head: u64,
    from: Option<String>,
    to: Option<String>,
    between: Option<(String, String)>,
    start_ms: u64,
    end_ms: u64,
    offset: u64,
    cursor: Option<u64>,
    limit: u32,
    ascending: bool,
}

impl Sealed {
    fn of(ticket: &Ticket) -> Sealed {
        let Query { filter, begin, limit, order } = &ticket.query;
        let Filter { who, start_ms, end_ms } = filter.clone();
        let (from, to, between) = match who {
            Who::From(from) => (Some(from), None, None),
            Who::To(to) => (None, Some(to), None),
            Who::FromTo(from, to) => (Some(from), Some(to), None),
            Who::Between(a, b) => (None, None, Some((a, b))),
        };
        let cursor = match begin {
            Begin::Offset(_) => None,
            Begin::Cursor(id) => Some(id.raw()),
        };
        Sealed {
            version: VERSION,
            ends_ms: ticket.ends_ms,
            head: ticket.head.raw(),
            from,
            to,
            between,
            start_ms,
            end_ms,
            offset: ticket.query.offset(),
            cursor,
            limit: *limit,
            ascending: *order == Order::Ascending,
        }
    }

    fn ticket(self, nonce: Nonce) -> Option<Ticket> {
        if self.version != VERSION {
            return None;
        }
        let who = match (self.from, self.to, self.between) {
            (Some(from), None, None) => Who::From(from),
            (None, Some(to), None) => Who::To(to),
            (Some(from), Some(to), None) => Who::FromTo(from, to),
            (None, None, Some((a, b))) => Who::Between(a, b),
            _ => return None,
        };
        let begin = self.cursor.map_or(Begin::Offset(self.offset), |id| Begin::Cursor(Id::from_raw(id)));
        let order = if self.ascending { Order::Ascending } else { Order::Descending };
        let filter = Filter { who, start_ms: self.start_ms, end_ms: self.end_ms };
        let query = Query { filter, begin, limit: self.limit, order };
        Some(Ticket { query, head: Id::from_raw(self.head), ends_ms: self.ends_ms, nonce })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::limits::CHANNEL_NAME_BYTES;

    #[test]
    fn every_query_comes_back_whatever_its_names() {
        let seal = Seal::new([7; KEY_BYTES], "project");
        // Its JSON text has six characters for each.
        let longest = "\u{1}".repeat(CHANNEL_NAME_BYTES);
        let cursor = Begin::Cursor(Id::MAX);
        for (who, begin) in [
            (Who::From("ann".into()), Begin::Offset(3)),
            (Who::To(longest.clone()), cursor),
            (Who::FromTo(longest.clone(), longest.clone()), Begin::Offset(u64::MAX)),
            (Who::Between(longest.clone(), longest), cursor),
        ] {
            let filter = Filter { who, start_ms: u64::MAX, end_ms: u64::MAX };
            let query = Query { filter, begin, limit: 100, order: Order::Descending };
            let ticket = Ticket::new(query, Id::MAX, u64::MAX);
            assert_eq!(seal.open(&seal.close(&ticket)), Some(ticket.clone()));
            assert_eq!(Seal::new([7; KEY_BYTES], "other").open(&seal.close(&ticket)), None);
            assert_eq!(Seal::new([8; KEY_BYTES], "project").open(&seal.close(&ticket)), None);
        }
    }
}
