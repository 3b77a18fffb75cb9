//! Handles: what names a query until its page is fetched (`protocols/agora-rtm.md` §3.2). A handle is the query itself,
//! sealed, so however many are asked for, nothing is kept of them. That one was used is a note in the store, which lives
//! as long as the handle would have: so a handle is good for one page, also after a restart.

use crate::{
    limits,
    query::{Begin, Filter, Query, Who},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use chacha20poly1305::{
    Key, KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use edge::CancellationToken;
use futures_util::{StreamExt, stream};
use model::{AppId, Error, ErrorKind, Id, Order, RecordKey, RecordKind, Result};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use service::Channels;
use std::time::Duration;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const KEY_RECORD: &str = "agora/handle-key";
const USED: &[u8] = b"agora/handle/";
/// The form of what is sealed; a handle of another one is not known.
const VERSION: u8 = 1;
/// Notes that are cleared away at the same time.
const AT_ONCE: usize = 32;

/// The handles of one project.
pub struct Handles {
    channels: Channels,
    app: AppId,
    cipher: XChaCha20Poly1305,
    /// What a handle is sealed for, beside its content.
    app_id: String,
    life_ms: u64,
}

/// A handle that was opened.
pub struct Ticket {
    /// What it was made for.
    pub query: Query,
    /// Everything that was visible then: the page has nothing above it.
    pub head: Id,
    ends_ms: u64,
    nonce: [u8; NONCE_BYTES],
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

impl Handles {
    /// The handles of a project; their key is drawn once and kept.
    pub async fn open(channels: Channels, app: AppId, app_id: &str, life: Duration) -> Result<Handles> {
        let key = key_of(&channels, &app).await?;
        let life_ms = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        let cipher = XChaCha20Poly1305::new(&Key::from(key));
        Ok(Handles { channels, app, cipher, app_id: app_id.to_owned(), life_ms })
    }

    /// A handle for a query, made at a moment at which everything up to `head` was visible.
    pub fn seal(&self, query: &Query, head: Id, now_ms: u64) -> String {
        let nonce: [u8; NONCE_BYTES] = rand::rng().random();
        let sealed = Sealed::of(query, head, now_ms.saturating_add(self.life_ms));
        let plain = serde_json::to_vec(&sealed).expect("texts and numbers always have a JSON text");
        let payload = Payload { msg: &plain, aad: self.app_id.as_bytes() };
        let cipher_text = self.cipher.encrypt(&XNonce::from(nonce), payload).expect("a query is shorter than 256 GiB");
        URL_SAFE_NO_PAD.encode([&nonce[..], &cipher_text].concat())
    }

    /// What a handle was made for; none if it was never made here, or its time is over.
    pub fn open_handle(&self, handle: &str, now_ms: u64) -> Option<Ticket> {
        if handle.len() > limits::HANDLE_BYTES {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(handle).ok()?;
        let (nonce, cipher_text) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: cipher_text, aad: self.app_id.as_bytes() };
        let plain = self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()?;
        let sealed: Sealed = serde_json::from_slice(&plain).ok()?;
        let ends_ms = sealed.ends_ms;
        let head = Id::from_raw(sealed.head);
        let query = sealed.query()?;
        (now_ms <= ends_ms).then_some(Ticket { query, head, ends_ms, nonce: *nonce })
    }

    /// Uses a handle up; false if it was used before. Where nothing can be written now, it is not noted: a full disk must
    /// not keep anybody from reading.
    pub async fn spend(&self, ticket: &Ticket) -> Result<bool> {
        let key = self.note(ticket.ends_ms, &ticket.nonce);
        match self.channels.put_record(key, Some(Bytes::from_static(b"\x01")), Some(Id::MIN)).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind == ErrorKind::Conflict => Ok(false),
            Err(error) if error.kind == ErrorKind::Unavailable => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Clears notes of handles away whose time is over, until `stop` is cancelled.
    pub async fn keep_clear(&self, clock: &dyn model::Clock, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(limits::CLEARING_EVERY) => {}
            }
            if let Err(error) = self.clear(clock.now_ticks() / model::TICKS_PER_MS).await {
                tracing::warn!(%error, app = %self.app, "clearing away notes of used Agora handles; trying again later");
            }
        }
    }

    /// Clears away all notes whose time is over at a moment.
    async fn clear(&self, now_ms: u64) -> Result<()> {
        loop {
            let kind = RecordKind::Spent;
            let notes = self.channels.records(&self.app, kind, USED, None, limits::CLEARED_NOTES).await?;
            let found = notes.len();
            let over: Vec<_> = notes.into_iter().filter(|note| ends_of(&note.key.name) < now_ms).collect();
            let complete = over.len() < found || found < limits::CLEARED_NOTES as usize;
            let mut cleared = stream::iter(over.into_iter().map(|note| self.channels.put_record(note.key, None, None)))
                .buffer_unordered(AT_ONCE);
            while let Some(outcome) = cleared.next().await {
                outcome?;
            }
            if complete {
                return Ok(());
            }
        }
    }

    /// Notes lie in the order in which they end.
    fn note(&self, ends_ms: u64, nonce: &[u8]) -> RecordKey {
        let name = [USED, &ends_ms.to_be_bytes(), nonce].concat();
        RecordKey { app: self.app.clone(), kind: RecordKind::Spent, name: name.into() }
    }
}

/// When the handle of a note ends; of one that is none of ours, never.
fn ends_of(name: &[u8]) -> u64 {
    let rest = name.strip_prefix(USED).and_then(|rest| rest.split_first_chunk());
    rest.map_or(u64::MAX, |(ends_ms, _)| u64::from_be_bytes(*ends_ms))
}

async fn key_of(channels: &Channels, app: &AppId) -> Result<[u8; KEY_BYTES]> {
    let key = RecordKey { app: app.clone(), kind: RecordKind::Setting, name: KEY_RECORD.as_bytes().into() };
    if let Some(record) = channels.record(&key).await? {
        let kept = record.value[..].try_into();
        return kept.map_err(|_| Error::internal(format!("the record {KEY_RECORD} of the app {app} cannot be read")));
    }
    let drawn: [u8; KEY_BYTES] = rand::rng().random();
    channels.put_record(key, Some(Bytes::copy_from_slice(&drawn)), Some(Id::MIN)).await?;
    Ok(drawn)
}

impl Sealed {
    fn of(query: &Query, head: Id, ends_ms: u64) -> Sealed {
        let Filter { who, start_ms, end_ms } = query.filter.clone();
        let (from, to, between) = match who {
            Who::From(from) => (Some(from), None, None),
            Who::To(to) => (None, Some(to), None),
            Who::FromTo(from, to) => (Some(from), Some(to), None),
            Who::Between(a, b) => (None, None, Some((a, b))),
        };
        let cursor = match query.begin {
            Begin::Offset(_) => None,
            Begin::Cursor(id) => Some(id.raw()),
        };
        Sealed {
            version: VERSION,
            ends_ms,
            head: head.raw(),
            from,
            to,
            between,
            start_ms,
            end_ms,
            offset: query.offset(),
            cursor,
            limit: query.limit,
            ascending: query.order == Order::Ascending,
        }
    }

    fn query(self) -> Option<Query> {
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
        Some(Query { filter, begin, limit: self.limit, order })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::TICKS_PER_MS;
    use service::{Parts, Settings};
    use std::sync::Arc;
    use testkit::{ManualClock, MemoryStore};

    fn query() -> Query {
        let filter = Filter { who: Who::From("ann".into()), start_ms: 0, end_ms: 7 };
        Query { filter, begin: Begin::Offset(3), limit: 20, order: Order::Ascending }
    }

    async fn notes(handles: &Handles) -> usize {
        let notes = handles.channels.records(&handles.app, RecordKind::Spent, USED, None, 1_000).await;
        notes.expect("records").len()
    }

    #[tokio::test]
    async fn notes_of_used_handles_are_cleared_away_when_the_handles_have_ended() {
        let clock = Arc::new(ManualClock::new(1_000 * TICKS_PER_MS));
        let parts = Parts { store: Arc::new(MemoryStore::new()), fanout: None, search: None, clock };
        let channels = Channels::start(parts, Settings::default()).expect("it starts");
        let app = AppId::new("a").expect("a name");
        let handles = Handles::open(channels, app, "project", Duration::from_millis(600)).await.expect("it opens");
        for made_ms in [1_000, 1_000, 1_500] {
            let ticket = handles.open_handle(&handles.seal(&query(), Id::MIN, made_ms), made_ms).expect("it is good");
            assert_eq!((&ticket.query, ticket.head), (&query(), Id::MIN));
            assert!(handles.spend(&ticket).await.expect("it is spent"));
            assert!(!handles.spend(&ticket).await.expect("it was spent"));
        }
        for (now_ms, left) in [(1_600, 3), (1_601, 1), (2_100, 1), (2_101, 0)] {
            handles.clear(now_ms).await.expect("they are cleared");
            assert_eq!(notes(&handles).await, left, "at {now_ms}");
        }
    }
}
