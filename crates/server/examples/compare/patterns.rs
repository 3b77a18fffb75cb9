//! What it costs to find the subscribers of a message among many that follow patterns: the same messages are sent while
//! nobody follows anything and while many subscriptions each follow a pattern of their own, of which every message
//! matches one.

use crate::inside::{self, MachineClock};
use anyhow::Result;
use bytes::Bytes;
use model::{Channel, ChannelName, Payload, PayloadForm};
use service::{Caller, Channels, Draft, Parts, Pattern, Settings, Subscription, Topic};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use testkit::MemoryStore;

/// Subscriptions, each with a pattern of its own.
pub const SUBSCRIPTIONS: usize = 10_000;
const MESSAGES: usize = 10_000;
const ROUNDS: usize = 15;

/// The median time of a message.
pub struct Matched {
    /// While nobody follows.
    pub alone: Duration,
    /// While all patterns are followed.
    pub followed: Duration,
}

/// Sends messages that are not stored, so that matching them is most of the work.
pub async fn measure() -> Result<Matched> {
    let clock = Arc::new(MachineClock(Instant::now()));
    let channels = Channels::start(
        Parts { store: Arc::new(MemoryStore::new()), fanout: None, search: None, clock },
        Settings::default(),
    )?;
    let caller = inside::caller()?;
    let alone = send(&channels, &caller).await?;
    let mut followers = Vec::with_capacity(SUBSCRIPTIONS);
    for at in 0..SUBSCRIPTIONS {
        followers.push(follow(&channels, &caller, at).await?);
    }
    let followed = send(&channels, &caller).await?;
    channels.stop().await;
    Ok(Matched { alone, followed })
}

/// Follows a pattern of one, two or three levels, and waits until it is live.
async fn follow(channels: &Channels, caller: &Caller, at: usize) -> Result<Subscription> {
    let pattern = if at.is_multiple_of(2) { format!("p{at}.*") } else { format!("p{at}.q.*") };
    let topic = Topic::Pattern(Pattern::new(&pattern)?);
    let mut follower = channels.subscribe(caller, vec![topic], None).await?;
    // It never ends: the first poll takes the subscription to where it waits.
    let _ = tokio::time::timeout(Duration::ZERO, follower.next()).await;
    Ok(follower)
}

/// The median time of a message, of some rounds, each of one call.
async fn send(channels: &Channels, caller: &Caller) -> Result<Duration> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let drafts = (0..MESSAGES).map(draft).collect::<Result<Vec<_>>>()?;
        let drafts =
            drafts.into_iter().map(|(name, draft)| (Channel { app: caller.app.clone(), name }, draft)).collect();
        let started = Instant::now();
        for outcome in channels.publish_all(caller, drafts).await {
            outcome?;
        }
        times.push(started.elapsed() / MESSAGES as u32);
    }
    times.sort();
    Ok(times[ROUNDS / 2])
}

fn draft(at: usize) -> Result<(ChannelName, Draft)> {
    let payload = Payload { form: PayloadForm::Text, bytes: Bytes::from_static(b"something is said") };
    Ok((ChannelName::named(&format!("p{at}.q.room"))?, Draft { store: false, ..Draft::new(payload) }))
}
