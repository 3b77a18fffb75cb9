//! Fan-out: many subscribers of one channel, and how long a message takes from the start of its publish to each of them.

use super::{
    client::{Connection, Target},
    load::Plan,
    report::{LatencyReport, latencies, print, record_latency},
    schedule::Schedule,
    work::channel_name,
};
use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Serialize;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinSet, time::sleep_until};

/// How long subscribers may lag behind the last publish before what they lack is missing.
const GRACE: Duration = Duration::from_secs(5);
/// What stands before the time of sending in a payload.
const MARK: &str = "sent-at-us:";
/// The bound of one line of a stream, far above what is published here.
const LINE_BYTES: usize = 64 << 10;

/// What came of it.
#[derive(Serialize)]
pub struct FanoutReport {
    name: &'static str,
    subscribers: usize,
    published: u64,
    delivered: u64,
    /// Deliveries that did not come within the grace after the last publish.
    missing: u64,
    seconds: f64,
    deliveries_per_second: f64,
    #[serde(flatten)]
    latency: LatencyReport,
}

/// Publishes at the plan's rate, or as fast as answers come, over one connection to a channel with `subscribers` streams
/// on it. Everything is measured: the plan's warm-up does not apply.
pub async fn run(target: &Target, subscribers: usize, plan: &Plan, json: bool) -> Result<()> {
    let channel = channel_name(plan.seed) + "-fanout";
    let base = Instant::now();
    let (published, last_published) = watch::channel(None);
    let mut streams = JoinSet::new();
    for _ in 0..subscribers {
        let mut connection = Connection::open(target).await?;
        let body = connection.stream(target.get(&format!("{channel}/stream"))).await?;
        let last_published = last_published.clone();
        streams.spawn(async move {
            let counted = receive(body, base, last_published).await;
            drop(connection); // Kept to here: closing it ends the stream.
            counted
        });
    }
    let count = publish(target, &channel, plan, base).await?;
    let seconds = base.elapsed().as_secs_f64();
    published.send(Some(count)).context("every subscriber went away")?;
    let mut sum = latencies();
    while let Some(received) = streams.join_next().await {
        sum.add(received.context("a subscriber's task ended early")??)?;
    }
    let delivered = sum.len();
    print(
        &FanoutReport {
            name: "fanout",
            subscribers,
            published: count,
            delivered,
            missing: (count * subscribers as u64).saturating_sub(delivered),
            seconds,
            deliveries_per_second: delivered as f64 / seconds,
            latency: LatencyReport::new(&sum),
        },
        json,
    )
}

/// Publishes until the plan is over; how many.
async fn publish(target: &Target, channel: &str, plan: &Plan, base: Instant) -> Result<u64> {
    let mut connection = Connection::open(target).await?;
    let schedule = Arc::new(Schedule::new(Duration::ZERO, plan.duration, plan.rate));
    let mut published = 0;
    while let Some(start) = schedule.next().await {
        let json = format!("{{\"payload\":\"{MARK}{}\"}}", (start - base).as_micros());
        let answer = connection.send(target.post(&format!("{channel}/messages"), json)).await?;
        if !answer.status.is_success() {
            bail!("a publish was answered {answer}");
        }
        published += 1;
    }
    Ok(published)
}

/// Reads a stream until as many messages came as were published, or the grace is over.
async fn receive(
    mut body: Incoming,
    base: Instant,
    mut published: watch::Receiver<Option<u64>>,
) -> Result<Histogram<u64>> {
    let mut received = latencies();
    let mut lines = Lines::default();
    let start = tokio::time::Instant::now();
    let mut deadline = None;
    loop {
        let expected = *published.borrow_and_update();
        if expected.is_some_and(|expected| received.len() >= expected) {
            return Ok(received);
        }
        if expected.is_some() {
            deadline.get_or_insert_with(|| tokio::time::Instant::now() + GRACE);
        }
        let frame = tokio::select! {
            frame = body.frame() => frame,
            changed = published.changed(), if deadline.is_none() => {
                changed.context("the publisher failed")?;
                continue;
            }
            () = sleep_until(deadline.unwrap_or(start)), if deadline.is_some() => return Ok(received),
        };
        let frame = frame.context("the server ended a stream")?.context("reading a stream")?;
        if let Ok(data) = frame.into_data() {
            lines.take(&data, |sent_at| record_latency(&mut received, base.elapsed().saturating_sub(sent_at)))?;
        }
    }
}

/// Cuts a stream into lines, and finds the times of sending in them.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    fn take(&mut self, data: &[u8], mut found: impl FnMut(Duration)) -> Result<()> {
        self.rest.extend_from_slice(data);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            if let Some(sent_at) = sent_at(&line) {
                found(sent_at);
            }
        }
        if self.rest.len() > LINE_BYTES {
            bail!("a line of a stream is longer than {LINE_BYTES} bytes");
        }
        Ok(())
    }
}

/// The time of sending in a `data:` line, whatever stands around it.
fn sent_at(line: &[u8]) -> Option<Duration> {
    let line = std::str::from_utf8(line).ok()?.strip_prefix("data:")?;
    let (_, after) = line.split_once(MARK)?;
    let digits = after.split(|character: char| !character.is_ascii_digit()).next()?;
    Some(Duration::from_micros(digits.parse().ok()?))
}

impl fmt::Display for FanoutReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "fanout: {:.1} s, {} subscribers, {} messages, {} deliveries missing",
            self.seconds, self.subscribers, self.published, self.missing
        )?;
        writeln!(f, "  deliver  {:>9.0} deliveries/s  {}", self.deliveries_per_second, self.latency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_in_lines_that_come_in_pieces() {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for piece in ["event: message\nda", "ta: {\"payload\":\"sent-at-us:12", "34\"}\n\n: keep-alive\n", "data: {}\n"]
        {
            lines.take(piece.as_bytes(), |sent_at| found.push(sent_at)).expect("short lines");
        }
        assert_eq!(found, [Duration::from_micros(1_234)]);
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        assert!(Lines::default().take(&vec![b'x'; LINE_BYTES + 1], |_| {}).is_err());
    }
}
