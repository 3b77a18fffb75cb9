//! Ingest inside this process: 64 publishers on `service::Channels` over the real store, against rows in fjall.

use crate::{
    Setting, baselines,
    table::{Goal, Table},
};
use anyhow::{Context, Result};
use bytes::Bytes;
use hdrhistogram::Histogram;
use model::{AppId, Channel, ChannelName, Clock, Payload, PayloadForm};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use service::{Caller, Channels, Draft, Parts};
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

const PUBLISHERS: u64 = 64;
const PAYLOAD_BYTES: usize = 256;
/// Payloads that are made before the clock starts; messages take them in turns.
const PAYLOADS: usize = 4_096;
/// Channels, and the share of fjall's speed that is to be reached.
const RUNS: [(u64, f64); 3] = [(1_000, 1.5), (100_000, 0.8), (1_000_000, 0.4)];

/// Adds the rows of all runs.
pub async fn measure(setting: &Setting, table: &mut Table) -> Result<()> {
    let payloads = payloads();
    for (channels, ratio) in RUNS {
        eprintln!("measuring: ingest over {channels} channels");
        let messages = (setting.messages * 3 / 10).max(PUBLISHERS);
        let folder = setting.folder.join(format!("ingest-{channels}"));
        let ours = publish_all(&folder.join("scrollback"), channels, &payloads, messages).await?;
        let batch = (ours.messages / ours.store.batches.max(1)).max(1);
        let order = random_channels(channels, messages);
        let rows = folder.join("fjall");
        let fjall = baselines::fjall_rows(&rows, &order, &payloads, messages, batch)?;
        let rate = ours.messages as f64 / ours.seconds;
        let over = format!("{channels} channels");
        let details = format!("{rate:.0}/s against {fjall:.0}/s in fjall, batches of {batch}");
        table.add(format!("ingest over {over} against fjall"), Goal::AtLeast(ratio), rate / fjall, "×", details);
        let ms = |quantile| ours.latencies.value_at_quantile(quantile) as f64 / 1_000.0;
        let details = format!("p50 {:.2} ms, p99 {:.2} ms", ms(0.5), ms(0.99));
        table.add(format!("acknowledgement, {over}, p99.9"), Goal::AtMost(5.0), ms(0.999), "ms", details);
        let slowest = ours.latencies.max() as f64 / 1_000.0;
        table.add(format!("acknowledgement, {over}, slowest"), Goal::AtMost(50.0), slowest, "ms", String::new());
        add_flushes(table, &over, &ours.store);
        std::fs::remove_dir_all(&folder).context("removing what was measured")?;
    }
    Ok(())
}

/// The flushes inside a run: figures without any would be those of the log alone.
fn add_flushes(table: &mut Table, over: &str, store: &StoreStatus) {
    let details = format!("the longest took {} ms; {} stalls", store.flush_micros_max / 1_000, store.stalls);
    table.add(format!("flushes, {over}"), Goal::AtLeast(5.0), store.flushes as f64, "", details);
    if store.flushed_bytes > 0 {
        let (written, flushed) = (store.written_bytes, store.flushed_bytes);
        let details = format!("{} MiB of rows for {} MiB of batches", written >> 20, flushed >> 20);
        let what = format!("write amplification above the engine, {over}");
        table.add(what, Goal::AtMost(3.0), written as f64 / flushed as f64, "×", details);
    }
}

/// What came of a run.
struct Ingested {
    messages: u64,
    seconds: f64,
    latencies: Histogram<u64>,
    store: StoreStatus,
}

/// 64 publishers, each with one message in flight, on channels drawn at random.
async fn publish_all(folder: &Path, channels: u64, payloads: &[Bytes], messages: u64) -> Result<Ingested> {
    let opened = Opened::new(folder)?;
    let app = AppId::new("demo").context("an app's name")?;
    let caller = Caller { app: app.clone(), user: None, access: Arc::new(service::Access::admin()) };
    let names: Result<Vec<Channel>> = (0..channels)
        .map(|number| Ok(Channel { app: app.clone(), name: ChannelName::named(&format!("bench-{number}"))? }))
        .collect();
    let shared = Arc::new(Shared {
        channels: opened.channels.clone(),
        caller,
        names: names?,
        payloads: payloads.to_vec(),
        order: random_channels(channels, messages),
        drawn: AtomicU64::new(0),
    });
    let started = Instant::now();
    let mut publishers = JoinSet::new();
    (0..PUBLISHERS).for_each(|_| drop(publishers.spawn(publish(shared.clone()))));
    let mut latencies = latencies()?;
    while let Some(publisher) = publishers.join_next().await {
        latencies.add(publisher.context("a publisher ended early")??)?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let store = opened.store.status();
    opened.channels.stop().await;
    Ok(Ingested { messages, seconds, latencies, store })
}

/// The service on the real store, on files.
struct Opened {
    channels: Channels,
    store: Arc<KeptStore>,
    _lock: FolderLock,
}

impl Opened {
    fn new(folder: &Path) -> Result<Opened> {
        let (log, table, lock) = store_disk::open(folder, &DiskSettings::default()).context("opening the devices")?;
        let store = KeptStore::open(Box::new(log), Arc::new(table), store::Settings::default());
        let store = Arc::new(store.context("opening the store")?);
        let parts =
            Parts { store: store.clone(), fanout: None, search: None, clock: Arc::new(MachineClock(Instant::now())) };
        let channels = Channels::start(parts, service::Settings::default()).context("starting the service")?;
        Ok(Opened { channels, store, _lock: lock })
    }
}

/// The machine's clock; its monotonic time begins with it.
struct MachineClock(Instant);

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

/// What the publishers share.
struct Shared {
    channels: Channels,
    caller: Caller,
    names: Vec<Channel>,
    payloads: Vec<Bytes>,
    /// The channel of each message.
    order: Vec<u64>,
    drawn: AtomicU64,
}

async fn publish(shared: Arc<Shared>) -> Result<Histogram<u64>> {
    let mut latencies = latencies()?;
    loop {
        let number = shared.drawn.fetch_add(1, Ordering::Relaxed) as usize;
        let Some(channel) = shared.order.get(number) else { return Ok(latencies) };
        let bytes = shared.payloads[number % shared.payloads.len()].clone();
        let draft = Draft::new(Payload { form: PayloadForm::Json, bytes });
        let started = Instant::now();
        shared.channels.publish(&shared.caller, &shared.names[*channel as usize], draft).await?;
        latencies.saturating_record(started.elapsed().as_micros() as u64);
    }
}

/// Microseconds, up to a minute.
fn latencies() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 60_000_000, 3).context("bounds of a histogram")
}

/// JSON strings of random letters: nothing that a codec could make smaller by more than a quarter.
fn payloads() -> Vec<Bytes> {
    let mut random = StdRng::seed_from_u64(1);
    let one = |_| {
        let letters = (2..PAYLOAD_BYTES).map(|_| char::from(random.random_range(b'a'..=b'z')));
        Bytes::from(format!("\"{}\"", letters.collect::<String>()))
    };
    (0..PAYLOADS).map(one).collect()
}

/// A channel for each message, all alike.
fn random_channels(channels: u64, messages: u64) -> Vec<u64> {
    let mut random = StdRng::seed_from_u64(2);
    (0..messages).map(|_| random.random_range(0..channels)).collect()
}
