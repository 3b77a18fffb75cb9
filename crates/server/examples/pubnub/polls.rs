//! Polls of subscribe: how much they hold, how soon they hear, how fast they catch up.

use crate::{Target, connection::Connection, fresh, get};
use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use serde_json::Value;
use std::{fs, sync::Arc, time::Instant};
use tokio::{sync::Barrier, task::JoinSet};

/// Where to begin.
async fn handshake(target: &Target, connection: &mut Connection) -> Result<String> {
    let answer: Value = serde_json::from_slice(&connection.ask(&target.poll(&fresh("begin"), "0")).await?)?;
    Ok(cursor(&answer)?.to_owned())
}

fn cursor(answer: &Value) -> Result<&str> {
    answer["t"]["t"].as_str().context("an answer without a timetoken")
}

fn names(prefix: &str, count: usize) -> String {
    (0..count).map(|number| format!("{prefix}-{number}")).collect::<Vec<_>>().join(",")
}

/// `sizes` are the channels of each poll.
pub async fn held(target: &Target, sizes: Vec<usize>, anonymous: bool, pid: u32) -> Result<()> {
    let before = resident_bytes(pid)?;
    let (began, prefix) = (Instant::now(), fresh("held"));
    let mut open = target.connect().await?;
    let cursor = handshake(target, &mut open).await?;
    let mut connections = Vec::with_capacity(sizes.len());
    for (number, size) in sizes.iter().enumerate() {
        let channels = names(&format!("{prefix}-{number}"), *size);
        let user = if anonymous { String::new() } else { format!("&uuid={prefix}-{number}&heartbeat=300") };
        let mut connection = target.connect().await?;
        connection.send(&get(&format!("/v2/subscribe/{}/{channels}/0?tt={cursor}{user}", target.keys))).await?;
        // The head comes when the poll is held.
        connection.head().await.with_context(|| format!("poll {number}"))?;
        connections.push(connection);
    }
    let after = resident_bytes(pid)?;
    let added = after.saturating_sub(before);
    println!("{} polls held after {:.1} s", connections.len(), began.elapsed().as_secs_f64());
    println!("resident: {} MiB before, {} MiB after", before >> 20, after >> 20);
    println!("added: {:.1} MiB, {} bytes a poll", added as f64 / f64::from(1 << 20), added / sizes.len() as u64);
    Ok(())
}

pub async fn fanout(target: &Target, polls: usize, channels: usize, messages: usize) -> Result<()> {
    let (shared, prefix) = (fresh("fanout"), fresh("own"));
    let mut author = target.connect().await?;
    let cursor = handshake(target, &mut author).await?;
    let (ready, began) = (Arc::new(Barrier::new(polls + 1)), Instant::now());
    let mut working = JoinSet::new();
    for number in 0..polls {
        let list = format!("{},{shared}", names(&format!("{prefix}-{number}"), channels - 1));
        let (mut connection, ready, mut cursor) = (target.connect().await?, ready.clone(), cursor.clone());
        let poll = target.poll(&list, "CURSOR");
        working.spawn(async move {
            let mut latencies = Histogram::<u64>::new(3)?;
            for _ in 0..messages {
                connection.send(&poll.replace("CURSOR", &cursor)).await?;
                let body = connection.head().await?;
                ready.wait().await;
                let answer: Value = serde_json::from_slice(&connection.body(body).await?)?;
                let now = began.elapsed().as_micros() as u64;
                let sent = answer["m"][0]["d"].as_u64().context("a poll that ended without the message")?;
                latencies.record(now.saturating_sub(sent))?;
                cursor = self::cursor(&answer)?.to_owned();
            }
            anyhow::Ok(latencies)
        });
    }
    let mut reads = None;
    for _ in 0..messages {
        ready.wait().await;
        // What the server read to begin with does not count.
        if reads.is_none() {
            reads = Some(reads_of_the_store(&mut target.connect().await?).await?);
        }
        author.ask(&target.publish(&shared, &began.elapsed().as_micros().to_string())).await?;
    }
    let mut all = Histogram::<u64>::new(3)?;
    while let Some(latencies) = working.join_next().await {
        all.add(latencies??)?;
    }
    let reads = reads_of_the_store(&mut author).await? - reads.unwrap_or_default();
    println!("{messages} messages to {polls} polls of {channels} channels: {} answers", all.len());
    tell(&all);
    println!("reads of the store meanwhile: {reads}");
    Ok(())
}

pub async fn catch_up(target: &Target, channels: usize, messages: usize, bytes: usize) -> Result<()> {
    let prefix = fresh("behind");
    let mut connection = target.connect().await?;
    let mut cursor = handshake(target, &mut connection).await?;
    let each = messages.div_ceil(channels);
    for round in 0..each.div_ceil(100) {
        for number in 0..channels {
            let count = (each - round * 100).min(100);
            target.fill(&mut connection, &format!("{prefix}-{number}"), count, bytes).await?;
        }
    }
    let (list, mut latencies, mut heard) = (names(&prefix, channels), Histogram::<u64>::new(3)?, 0);
    while heard < each * channels {
        let asked = Instant::now();
        let answer = connection.ask(&target.poll(&list, &cursor)).await?;
        latencies.record(asked.elapsed().as_micros() as u64)?;
        let answer: Value = serde_json::from_slice(&answer)?;
        heard += answer["m"].as_array().context("an answer without messages")?.len();
        cursor = self::cursor(&answer)?.to_owned();
    }
    ensure!(heard == each * channels, "heard {heard} of {} messages", each * channels);
    println!("{heard} messages of {channels} channels in {} answers", latencies.len());
    tell(&latencies);
    Ok(())
}

fn tell(latencies: &Histogram<u64>) {
    let ms = |quantile: f64| latencies.value_at_quantile(quantile) as f64 / 1000.0;
    println!("p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, max {:.1} ms", ms(0.5), ms(0.99), ms(0.999), ms(1.0));
}

async fn reads_of_the_store(connection: &mut Connection) -> Result<u64> {
    let metrics = connection.ask(&get("/metrics")).await?;
    let text = std::str::from_utf8(&metrics)?;
    let counter = |name: &str| -> Result<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
        Ok(line.trim().parse()?)
    };
    Ok(counter("scrollback_reads_total ")? + counter("scrollback_page_misses_total ")?)
}

fn resident_bytes(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("reading the process of the server")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS in /proc")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib << 10)
}
