//! Handles: what names a query until its page is fetched (`protocols/agora-rtm.md` §3.2). A handle is the query itself,
//! sealed, so however many are asked for, nothing is kept of them. That one was used is a note in the store, which lives
//! as long as the handle would have: so a handle is good for one page, also after a restart.

use crate::{
    limits,
    query::Query,
    seal::{KEY_BYTES, Nonce, Seal, Ticket},
};
use bytes::Bytes;
use edge::CancellationToken;
use futures_util::{StreamExt, stream};
use model::{AppId, Error, ErrorKind, Id, RecordKey, RecordKind, Result};
use rand::RngExt;
use service::Channels;
use std::time::Duration;

const KEY_RECORD: &str = "agora/handle-key";
const USED: &[u8] = b"agora/handle/";
/// Notes that are cleared away at the same time.
const AT_ONCE: usize = 32;

/// The handles of one project.
pub struct Handles {
    channels: Channels,
    app: AppId,
    seal: Seal,
    life_ms: u64,
}

impl Handles {
    /// The handles of a project; their key is drawn once and kept.
    pub async fn open(channels: Channels, app: AppId, app_id: &str, life: Duration) -> Result<Handles> {
        let key = key_of(&channels, &app).await?;
        let life_ms = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        Ok(Handles { channels, app, seal: Seal::new(key, app_id), life_ms })
    }

    /// A handle for a query, made at a moment at which everything up to `head` was visible.
    pub fn seal(&self, query: Query, head: Id, now_ms: u64) -> String {
        self.seal.close(&Ticket::new(query, head, now_ms.saturating_add(self.life_ms)))
    }

    /// What a handle was made for; none if it was never made here, or its time is over.
    pub fn open_handle(&self, handle: &str, now_ms: u64) -> Option<Ticket> {
        self.seal.open(handle).filter(|ticket| now_ms <= ticket.ends_ms)
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
    fn note(&self, ends_ms: u64, nonce: &Nonce) -> RecordKey {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{Begin, Filter, Who};
    use model::{Order, TICKS_PER_MS};
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
            let ticket = handles.open_handle(&handles.seal(query(), Id::MIN, made_ms), made_ms).expect("it is good");
            assert_eq!((&ticket.query, ticket.head), (&query(), Id::MIN));
            assert!(handles.spend(&ticket).await.expect("it is spent"));
            assert!(!handles.spend(&ticket).await.expect("it was spent"));
        }
        for (now_ms, left) in [(1_600, 3), (1_601, 1), (2_100, 1), (2_101, 0)] {
            handles.clear(now_ms).await.expect("they are cleared");
            assert_eq!(notes(&handles).await, left, "at {now_ms}");
        }
        let many = 3 * limits::CLEARED_NOTES as usize + 1;
        for _ in 0..many {
            let ticket = handles.open_handle(&handles.seal(query(), Id::MIN, 3_000), 3_000).expect("it is good");
            assert!(handles.spend(&ticket).await.expect("it is spent"));
        }
        handles.clear(3_600).await.expect("they are cleared");
        assert_eq!(notes(&handles).await, 1_000, "a full answer of them");
        handles.clear(3_601).await.expect("they are cleared");
        assert_eq!(notes(&handles).await, 0, "however many there are");
    }
}
