//! What it costs to find the subscribers of a message among many that follow patterns: the same messages are sent while
//! nobody follows anything and while 10,000 subscriptions each follow a pattern of their own, of which every message
//! matches one. `cargo run --release -p service --example match_patterns`

use bytes::Bytes;
use model::{AppId, Channel, ChannelName, Clock, Payload, PayloadForm};
use service::{Access, Caller, Channels, Draft, Parts, Pattern, Settings, Subscription, Topic};
use std::{sync::Arc, time::Duration};
use testkit::{ManualClock, MemoryStore};

const SUBSCRIPTIONS: usize = 10_000;
const MESSAGES: usize = 10_000;
const ROUNDS: usize = 15;

/// The machine's clock, which only an example and the program read.
struct RealClock;

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "an example stands where the program stands")]
    fn now_ticks(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| (since.as_nanos() / 100) as u64)
    }

    fn monotonic_ticks(&self) -> u64 {
        self.now_ticks()
    }
}

#[tokio::main]
async fn main() -> model::Result<()> {
    let parts = Parts {
        store: Arc::new(MemoryStore::new()),
        fanout: None,
        search: None,
        clock: Arc::new(ManualClock::default()),
    };
    let channels = Channels::start(parts, Settings::default())?;
    let caller = Caller { app: AppId::new("demo")?, user: None, access: Arc::new(Access::admin()) };
    let alone = send(&channels, &caller).await?;
    let mut followers = Vec::with_capacity(SUBSCRIPTIONS);
    for at in 0..SUBSCRIPTIONS {
        followers.push(follow(&channels, &caller, at).await?);
    }
    let followed = send(&channels, &caller).await?;
    println!("a message, nobody follows:            {:>8.2} us", micros(alone));
    println!("a message, {SUBSCRIPTIONS} follow patterns:      {:>8.2} us", micros(followed));
    println!("to match it and hand it to one of them: {:>6.2} us", micros(followed.saturating_sub(alone)));
    channels.stop().await;
    Ok(())
}

/// Follows a pattern of one, two or three levels, and waits until it is live.
async fn follow(channels: &Channels, caller: &Caller, at: usize) -> model::Result<Subscription> {
    let pattern = if at.is_multiple_of(2) { format!("p{at}.*") } else { format!("p{at}.q.*") };
    let topic = Topic::Pattern(Pattern::new(&pattern)?);
    let mut follower = channels.subscribe(caller, vec![topic], None).await?;
    // It never ends: the first poll takes the subscription to where it waits.
    let _ = tokio::time::timeout(Duration::ZERO, follower.next()).await;
    Ok(follower)
}

/// The median time of a message, of some rounds, each of one call.
async fn send(channels: &Channels, caller: &Caller) -> model::Result<Duration> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let drafts = (0..MESSAGES).map(draft).collect::<model::Result<Vec<_>>>()?;
        let drafts =
            drafts.into_iter().map(|(name, draft)| (Channel { app: caller.app.clone(), name }, draft)).collect();
        let started = RealClock.now_ticks();
        for outcome in channels.publish_all(caller, drafts).await {
            outcome?;
        }
        times.push(Duration::from_nanos(RealClock.now_ticks().saturating_sub(started) * 100) / MESSAGES as u32);
    }
    times.sort();
    Ok(times[ROUNDS / 2])
}

fn draft(at: usize) -> model::Result<(ChannelName, Draft)> {
    let payload = Payload { form: PayloadForm::Text, bytes: Bytes::from_static(b"something is said") };
    Ok((ChannelName::named(&format!("p{at}.q.room"))?, Draft { store: false, ..Draft::new(payload) }))
}

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1_000.0
}
