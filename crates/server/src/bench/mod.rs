//! `scrollback bench`: load against a running server through its native API, as an application would make it.
//!
//! It measures what a client sees, the HTTP of both sides included; what the parts inside cost is measured by
//! `examples/compare.rs`. One seed decides channels, payloads and pages of a run.

mod client;
mod fanout;
mod load;
mod payload;
mod report;
mod schedule;
mod work;
mod zipf;

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use client::{Connection, Target};
use load::Plan;
use payload::{PayloadKind, Payloads};
use serde::Deserialize;
use std::{
    ops::RangeInclusive,
    sync::{Arc, atomic::AtomicU64},
};
use work::{Filling, Mix, Publishing, Reading, channel_name};
use zipf::Zipf;

/// Bounds of what the command line may ask for.
const CONNECTIONS_MAX: u64 = 10_000;
const CHANNELS_MAX: u64 = 10_000_000;

/// Puts load on a running server and tells its throughput and latencies.
#[derive(Args)]
pub struct BenchArguments {
    #[command(subcommand)]
    scenario: Scenario,
    /// Where the server listens.
    #[arg(long, global = true, default_value = "http://127.0.0.1:7117")]
    url: String,
    /// The app to use.
    #[arg(long, global = true, default_value = "demo")]
    app: String,
    /// A key of the app that may read and write.
    #[arg(long, global = true, default_value = "demo-admin")]
    key: String,
    /// Decides channels, payloads and pages.
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
    /// Requests in flight, one on each connection.
    #[arg(long, global = true, default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=CONNECTIONS_MAX))]
    connections: u64,
    /// Requests before this are made and not measured.
    #[arg(long, global = true, default_value = "2s")]
    warm_up: humantime::Duration,
    /// How long to measure.
    #[arg(long, global = true, default_value = "10s")]
    duration: humantime::Duration,
    /// Requests a second over all connections, sent whether or not answers come: latencies count the wait for a free
    /// connection. Without it, each connection sends when it has its answer.
    #[arg(long, global = true)]
    rate: Option<f64>,
    /// One line of JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Scenario {
    /// Publish to channels by Zipf.
    Publish {
        #[command(flatten)]
        channels: Channels,
        #[command(flatten)]
        messages: Messages,
    },
    /// Read the newest page of channels by Zipf.
    Newest {
        #[command(flatten)]
        channels: Channels,
        #[command(flatten)]
        pages: Pages,
    },
    /// Read pages at random depth of what `fill` left.
    Deep {
        #[command(flatten)]
        channels: Channels,
        #[command(flatten)]
        pages: Pages,
    },
    /// Read newest pages, and publish now and then.
    Mixed {
        #[command(flatten)]
        channels: Channels,
        #[command(flatten)]
        pages: Pages,
        #[command(flatten)]
        messages: Messages,
        /// Publishes among all requests.
        #[arg(long, default_value_t = 1.0)]
        publish_percent: f64,
    },
    /// Publish to one channel with many subscribers; latency is from the start of a publish to each delivery.
    Fanout {
        /// Streams that are open while publishing.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=CONNECTIONS_MAX))]
        subscribers: u64,
    },
    /// Publish a number of messages as fast as the server takes them.
    Fill {
        #[command(flatten)]
        channels: Channels,
        #[command(flatten)]
        messages: Messages,
        /// How many messages in all.
        #[arg(long, default_value_t = 1_000_000)]
        total: u64,
        /// The same number to each channel, in turns, instead of by Zipf.
        #[arg(long)]
        even: bool,
    },
}

#[derive(Args)]
struct Channels {
    /// How many channels there are: bench-0, bench-1, …
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=CHANNELS_MAX))]
    channels: u64,
    /// The exponent of their popularity; 0 = all alike.
    #[arg(long, default_value_t = 1.0)]
    zipf: f64,
}

#[derive(Args)]
struct Messages {
    /// `chat`: text of 100 to 300 bytes; or a number: random letters, this many bytes with their quotes.
    #[arg(long, default_value = "chat")]
    payload: PayloadKind,
    /// Messages in one request, all to one channel.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    batch: u64,
}

#[derive(Args)]
struct Pages {
    /// Messages in a page.
    #[arg(long, default_value_t = 100)]
    limit: u32,
}

/// Runs one scenario and prints its report.
pub async fn run(arguments: BenchArguments) -> Result<()> {
    let target = Target::new(&arguments.url, &arguments.app, &arguments.key)?;
    let mut plan = arguments.plan()?;
    let (name, mix) = match &arguments.scenario {
        Scenario::Publish { channels, messages } => ("publish", Mix::Publish(messages.publishing(channels))),
        Scenario::Newest { channels, pages } => ("newest", Mix::Read(pages.reading(channels, None))),
        Scenario::Deep { channels, pages } => {
            ("deep", Mix::Read(pages.reading(channels, Some(filled_range(&target).await?))))
        }
        Scenario::Mixed { channels, pages, messages, publish_percent } => {
            ensure!((0.0..=100.0).contains(publish_percent), "--publish-percent: 0 to 100");
            let reading = pages.reading(channels, None);
            let publishing = Publishing { channels: reading.channels.clone(), ..messages.publishing(channels) };
            ("mixed", Mix::Both(reading, publishing, publish_percent / 100.0))
        }
        Scenario::Fanout { subscribers } => {
            return fanout::run(&target, *subscribers as usize, &plan, arguments.json).await;
        }
        Scenario::Fill { channels, messages, total, even } => {
            (plan.warm_up, plan.duration) = (std::time::Duration::ZERO, None);
            let even_over = even.then_some(channels.channels);
            let filling = Filling { messages: *total, even_over, drawn: AtomicU64::new(0) };
            ("fill", Mix::Fill(messages.publishing(channels), filling))
        }
    };
    report::print(&load::run(name, &target, mix, &plan).await?, arguments.json)
}

impl BenchArguments {
    fn plan(&self) -> Result<Plan> {
        ensure!(self.rate.is_none_or(|rate| rate.is_finite() && rate > 0.0), "--rate: more than 0");
        Ok(Plan {
            connections: self.connections as usize,
            warm_up: self.warm_up.into(),
            duration: Some(self.duration.into()),
            rate: self.rate,
            seed: self.seed,
        })
    }
}

impl Channels {
    fn popularity(&self) -> Arc<Zipf> {
        Arc::new(Zipf::new(self.channels as usize, self.zipf))
    }
}

impl Messages {
    fn publishing(&self, channels: &Channels) -> Publishing {
        Publishing { channels: channels.popularity(), payloads: Payloads::new(self.payload), batch: self.batch }
    }
}

impl Pages {
    fn reading(&self, channels: &Channels, before: Option<RangeInclusive<u64>>) -> Reading {
        Reading { channels: channels.popularity(), limit: self.limit, before }
    }
}

/// From the first to the last id of the most popular channel: a random id between them is at a random depth of every
/// channel that was filled at the same time.
async fn filled_range(target: &Target) -> Result<RangeInclusive<u64>> {
    let mut connection = Connection::open(target).await?;
    let channel = channel_name(0);
    let mut ends = [0; 2];
    for (end, query) in ends.iter_mut().zip(["after=0&limit=1", "limit=1"]) {
        let answer = connection.send(target.get(&format!("{channel}/messages?{query}"))).await?;
        ensure!(answer.status.is_success(), "the server answered {answer}");
        let page: PageAnswer = serde_json::from_slice(&answer.body).context("reading a page")?;
        let message = page.messages.first().with_context(|| format!("{channel} is empty: run `bench fill` first"))?;
        *end = message.id.parse().context("reading an id")?;
    }
    Ok(ends[0]..=ends[1])
}

/// As much of a page of the native API as is needed here.
#[derive(Deserialize)]
struct PageAnswer {
    messages: Vec<MessageAnswer>,
}

#[derive(Deserialize)]
struct MessageAnswer {
    id: String,
}
