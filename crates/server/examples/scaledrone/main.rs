//! Load on the sockets of a running server, as Scaledrone's clients make it: `docs/performance.md` tells what is
//! measured and with which commands.

mod connection;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use connection::Connection;
use hdrhistogram::Histogram;
use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Connections that are being opened at a time.
const OPENING: usize = 64;

/// Puts load on Scaledrone's sockets.
#[derive(Parser)]
struct Arguments {
    /// Where the server listens.
    #[arg(long, default_value = "127.0.0.1:7117")]
    server: SocketAddr,
    /// The Scaledrone channel, without required authentication and with history.
    #[arg(long, default_value = "demo")]
    channel: String,
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// Opens connections that shake hands and then say nothing; tells the memory of the server per connection.
    Idle {
        #[arg(long, default_value_t = 10_000)]
        connections: usize,
        /// Each subscribes to a room of its own.
        #[arg(long)]
        subscribe: bool,
        /// The server's process.
        #[arg(long)]
        pid: u32,
    },
    /// Messages to one room, at a steady rate; tells the time from sending to each subscriber's receiving.
    Room {
        #[arg(long, default_value_t = 1_000)]
        subscribers: usize,
        #[arg(long, default_value_t = 200)]
        messages: u64,
        /// Messages in a second.
        #[arg(long, default_value_t = 10)]
        rate: u64,
        /// Bytes of a message.
        #[arg(long, default_value_t = 200)]
        bytes: usize,
    },
    /// Subscribes and unsubscribes as fast as answers come, with the newest messages of one room.
    Subscribe {
        #[arg(long, default_value_t = 32)]
        connections: usize,
        #[arg(long, default_value_t = 100)]
        history: usize,
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Bytes of a message.
        #[arg(long, default_value_t = 100)]
        bytes: usize,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let load = Load { server: arguments.server, channel: arguments.channel.into() };
    match arguments.scenario {
        Scenario::Idle { connections, subscribe, pid } => load.idle(connections, subscribe, pid).await,
        Scenario::Room { subscribers, messages, rate, bytes } => load.room(subscribers, messages, rate, bytes).await,
        Scenario::Subscribe { connections, history, seconds, bytes } => {
            load.subscribe(connections, history, Duration::from_secs(seconds), bytes).await
        }
    }
}

#[derive(Clone)]
struct Load {
    server: SocketAddr,
    channel: Arc<str>,
}

impl Load {
    async fn idle(&self, count: usize, subscribe: bool, pid: u32) -> Result<()> {
        let before = resident_bytes(pid)?;
        let began = Instant::now();
        let mut connections = self.connect(count).await?;
        if subscribe {
            for (index, connection) in connections.iter_mut().enumerate() {
                connection.subscribe(&format!("room-{index}"), 0).await?;
            }
        }
        let took = began.elapsed();
        let after = resident_bytes(pid)?;
        let added = after.saturating_sub(before);
        println!("{count} connections in {:.1} s", took.as_secs_f64());
        println!("resident: {} MiB before, {} MiB after", before >> 20, after >> 20);
        println!("added: {:.1} MiB, {} bytes a connection", added as f64 / f64::from(1 << 20), added / count as u64);
        Ok(())
    }

    async fn room(&self, subscribers: usize, messages: u64, rate: u64, bytes: usize) -> Result<()> {
        let room = fresh_room();
        let began = Instant::now();
        let mut readers = JoinSet::new();
        for mut connection in self.connect(subscribers).await? {
            connection.subscribe(&room, 0).await?;
            readers.spawn(async move {
                let mut latencies = Histogram::<u64>::new(3)?;
                for _ in 0..messages {
                    let sent = sent_at(connection.next().await?)?;
                    let now = began.elapsed().as_micros() as u64;
                    latencies.record(now.saturating_sub(sent))?;
                }
                anyhow::Ok(latencies)
            });
        }
        let mut author = Connection::open(self.server, &self.channel).await?;
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate)?);
        let filler = "x".repeat(bytes);
        for _ in 0..messages {
            ticks.tick().await;
            author.publish(&room, &format!("\"{}/{filler}\"", began.elapsed().as_micros())).await?;
        }
        let mut all = Histogram::<u64>::new(3)?;
        while let Some(latencies) = readers.join_next().await {
            all.add(latencies??)?;
        }
        let ms = |quantile: f64| all.value_at_quantile(quantile) as f64 / 1000.0;
        println!("{messages} messages of {bytes} B at {rate}/s to {subscribers} subscribers: {} deliveries", all.len());
        println!("p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, max {:.1} ms", ms(0.5), ms(0.99), ms(0.999), ms(1.0));
        Ok(())
    }

    async fn subscribe(&self, connections: usize, history: usize, time: Duration, bytes: usize) -> Result<()> {
        let room = fresh_room();
        let mut author = Connection::open(self.server, &self.channel).await?;
        author.subscribe(&room, 0).await?;
        for _ in 0..history {
            author.publish(&room, &format!("\"{}\"", "x".repeat(bytes))).await?;
            author.next().await?;
        }
        let (subscribes, room) = (Arc::new(AtomicU64::new(0)), Arc::<str>::from(room));
        let mut latencies = Histogram::<u64>::new(3)?;
        let began = Instant::now();
        let mut working = JoinSet::new();
        for mut connection in self.connect(connections).await? {
            let (subscribes, room) = (subscribes.clone(), room.clone());
            working.spawn(async move {
                let mut latencies = Histogram::<u64>::new(3)?;
                while began.elapsed() < time {
                    let asked = Instant::now();
                    connection.subscribe(&room, history).await?;
                    for _ in 0..history {
                        connection.next().await?;
                    }
                    latencies.record(asked.elapsed().as_micros() as u64)?;
                    connection.unsubscribe(&room).await?;
                    subscribes.fetch_add(1, Ordering::Relaxed);
                }
                anyhow::Ok(latencies)
            });
        }
        while let Some(taken) = working.join_next().await {
            latencies.add(taken??)?;
        }
        let rate = subscribes.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
        let ms = |quantile: f64| latencies.value_at_quantile(quantile) as f64 / 1000.0;
        println!("{rate:.0} subscribes/s with {history} messages of {bytes} B on {connections} connections");
        println!("p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms", ms(0.5), ms(0.99), ms(1.0));
        Ok(())
    }

    async fn connect(&self, count: usize) -> Result<Vec<Connection>> {
        let mut connections = Vec::with_capacity(count);
        while connections.len() < count {
            let mut opening = JoinSet::new();
            for _ in 0..OPENING.min(count - connections.len()) {
                let load = self.clone();
                opening.spawn(async move { Connection::open(load.server, &load.channel).await });
            }
            for connection in opening.join_all().await {
                connections.push(connection.context("opening a connection; are file descriptors used up?")?);
            }
        }
        Ok(connections)
    }
}

/// A room that no earlier run has filled.
fn fresh_room() -> String {
    format!("load-{:016x}", rand::random::<u64>())
}

/// The microseconds at the beginning of a message.
fn sent_at(frame: &[u8]) -> Result<u64> {
    const FIELD: &[u8] = b"\"message\":\"";
    let at = frame.windows(FIELD.len()).position(|window| window == FIELD).context("a frame without a message")?;
    let digits = frame[at + FIELD.len()..].split(|byte| *byte == b'/').next().unwrap_or_default();
    Ok(std::str::from_utf8(digits)?.parse()?)
}

fn resident_bytes(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("reading the memory of the server")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    ensure!(kib > 0, "no memory in use");
    Ok(kib << 10)
}
