//! The service on the real store inside this process, and the load that its parts are measured under: 64 publishers, each
//! with one message in flight.

use anyhow::{Context, Result};
use bytes::Bytes;
use hdrhistogram::Histogram;
use model::{AppId, Channel, ChannelName, Clock, Id, Origin, Payload, PayloadForm, Reaction, UserId};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use service::{Access, Caller, Channels, Draft, Parts, Revision};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};
use store::{KeptStore, StoreStatus};
use store_disk::{DiskSettings, FolderLock};
use tokio::task::JoinSet;

pub const PUBLISHERS: u64 = 64;
const PAYLOAD_BYTES: usize = 256;
/// Payloads that are made before the clock starts; messages take them in turns.
const PAYLOADS: usize = 4_096;

/// The service on the real store, on files.
pub struct Opened {
    pub channels: Channels,
    pub store: Arc<KeptStore>,
    _lock: FolderLock,
}

impl Opened {
    pub fn new(folder: &Path, settings: service::Settings) -> Result<Opened> {
        let (log, table, lock) = store_disk::open(folder, &DiskSettings::default()).context("opening the devices")?;
        let store = KeptStore::open(Box::new(log), Arc::new(table), store::Settings::default());
        let store = Arc::new(store.context("opening the store")?);
        let parts =
            Parts { store: store.clone(), fanout: None, search: None, clock: Arc::new(MachineClock(Instant::now())) };
        let channels = Channels::start(parts, settings).context("starting the service")?;
        Ok(Opened { channels, store, _lock: lock })
    }
}

/// The machine's clock; its monotonic time begins with it.
pub struct MachineClock(pub Instant);

impl Clock for MachineClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the time comes in")]
    fn now_ticks(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        (since.as_nanos() / 100) as u64
    }

    fn monotonic_ticks(&self) -> u64 {
        (self.0.elapsed().as_nanos() / 100) as u64
    }
}

/// What is published.
#[derive(Clone, Copy)]
pub struct Load {
    /// Over so many channels, drawn at random.
    pub channels: u64,
    /// So many changes.
    pub messages: u64,
    /// Each so-many-th is an edit of the publisher's last message, or a reaction to it, instead of a message.
    pub altered: Option<u64>,
}

/// What came of a run.
pub struct Ingested {
    pub messages: u64,
    pub seconds: f64,
    pub latencies: Histogram<u64>,
    pub store: StoreStatus,
}

impl Ingested {
    /// Changes a second.
    pub fn rate(&self) -> f64 {
        self.messages as f64 / self.seconds
    }
}

/// Publishes all of a load.
pub async fn publish_all(
    folder: &Path,
    settings: service::Settings,
    load: Load,
    payloads: &[Bytes],
) -> Result<Ingested> {
    let opened = Opened::new(folder, settings)?;
    let caller = caller()?;
    let shared = Arc::new(Shared {
        channels: opened.channels.clone(),
        names: names(&caller.app, load.channels)?,
        caller,
        payloads: payloads.to_vec(),
        order: random_channels(load.channels, load.messages),
        altered: load.altered,
        drawn: AtomicU64::new(0),
    });
    let started = Instant::now();
    let mut publishers = JoinSet::new();
    (0..PUBLISHERS).for_each(|_| drop(publishers.spawn(publish(shared.clone()))));
    let mut latencies = micros()?;
    while let Some(publisher) = publishers.join_next().await {
        latencies.add(publisher.context("a publisher ended early")??)?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let store = opened.store.status();
    opened.channels.stop().await;
    Ok(Ingested { messages: load.messages, seconds, latencies, store })
}

/// What the publishers share.
struct Shared {
    channels: Channels,
    caller: Caller,
    names: Vec<Channel>,
    payloads: Vec<Bytes>,
    /// The channel of each change.
    order: Vec<u64>,
    altered: Option<u64>,
    drawn: AtomicU64,
}

async fn publish(shared: Arc<Shared>) -> Result<Histogram<u64>> {
    let mut latencies = micros()?;
    let mut last: Option<(usize, Id)> = None;
    loop {
        let number = shared.drawn.fetch_add(1, Ordering::Relaxed);
        let Some(channel) = shared.order.get(number as usize) else { return Ok(latencies) };
        let turn = shared.altered.filter(|every| number.is_multiple_of(*every)).map(|every| number / every);
        let started = Instant::now();
        match (turn, last) {
            (Some(turn), Some((at, message))) => shared.alter(at, message, turn).await?,
            _ => {
                let at = *channel as usize;
                let draft = Draft::new(shared.payload(number));
                last = Some((at, shared.channels.publish(&shared.caller, &shared.names[at], draft).await?.id));
            }
        }
        latencies.saturating_record(started.elapsed().as_micros() as u64);
    }
}

impl Shared {
    fn payload(&self, number: u64) -> Payload {
        let bytes = self.payloads[number as usize % self.payloads.len()].clone();
        Payload { form: PayloadForm::Json, bytes }
    }

    /// Edits the message, or reacts to it, in turns.
    async fn alter(&self, at: usize, message: Id, turn: u64) -> Result<()> {
        let channel = &self.names[at];
        if turn.is_multiple_of(2) {
            let revision = Revision { payload: self.payload(turn), extras: None };
            self.channels.edit(&self.caller, channel, message, revision).await?;
        } else {
            let user = UserId::new(Origin::Native, &format!("user {turn}"), false)?;
            let reaction = Reaction { message, user, kind: "reaction".into(), value: "smile".into() };
            self.channels.react(&self.caller, channel, reaction, true).await?;
        }
        Ok(())
    }
}

/// One who may do everything.
pub fn caller() -> Result<Caller> {
    Ok(Caller { app: AppId::new("demo")?, user: None, access: Arc::new(Access::admin()) })
}

/// The channels of a load.
pub fn names(app: &AppId, channels: u64) -> Result<Vec<Channel>> {
    let name = |number| Ok(Channel { app: app.clone(), name: ChannelName::named(&format!("bench-{number}"))? });
    (0..channels).map(name).collect()
}

/// Microseconds, up to a minute.
pub fn micros() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 60_000_000, 3).context("bounds of a histogram")
}

/// JSON strings of random letters: nothing that a codec could make smaller by more than a quarter.
pub fn payloads() -> Vec<Bytes> {
    let mut random = StdRng::seed_from_u64(1);
    let one = |_| {
        let letters = (2..PAYLOAD_BYTES).map(|_| char::from(random.random_range(b'a'..=b'z')));
        Bytes::from(format!("\"{}\"", letters.collect::<String>()))
    };
    (0..PAYLOADS).map(one).collect()
}

/// A channel for each message, all alike.
pub fn random_channels(channels: u64, messages: u64) -> Vec<u64> {
    let mut random = StdRng::seed_from_u64(2);
    (0..messages).map(|_| random.random_range(0..channels)).collect()
}
