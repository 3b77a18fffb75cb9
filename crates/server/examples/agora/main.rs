//! Agora's history over HTTP, as a caller meets it: making a query and fetching its page at offsets, and counting. Prints one
//! markdown table; `docs/performance.md` shows it and tells the commands.
//!
//! `fill` writes the messages of `selections` into a data folder that no server uses: they lie 60 days wide, and no call
//! deletes a message between two users, or lets it expire. `ask` asks the server that was then started on it.

#[path = "../pubnub/connection.rs"]
mod connection;
#[path = "../selections/data.rs"]
mod data;
mod fill;
mod questions;

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{Parser, Subcommand};
use connection::Connection;
use hdrhistogram::Histogram;
use questions::Question;
use serde_json::Value;
use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

/// Asks Agora's history of a running server.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    step: Step,
}

#[derive(Subcommand)]
enum Step {
    /// Writes the messages into a data folder; the server must be stopped.
    Fill {
        /// Messages in all.
        #[arg(long, default_value_t = 2_000_000)]
        messages: u64,
        /// The data folder.
        #[arg(long)]
        data: PathBuf,
    },
    /// Asks the server that was started on it, and prints the table.
    Ask(Target),
}

/// What is asked.
#[derive(clap::Args)]
struct Target {
    /// Where the server listens.
    #[arg(long, default_value = "127.0.0.1:7117")]
    server: SocketAddr,
    /// The project's app id; its app is `demo`.
    #[arg(long, default_value = "0123456789abcdef0123456789abcdef")]
    app_id: String,
    /// User and password of the REST API.
    #[arg(long, default_value = "demo:demo")]
    customer: String,
    /// Messages that were filled in.
    #[arg(long, default_value_t = 2_000_000)]
    messages: u64,
    /// How often each question is asked.
    #[arg(long, default_value_t = 2_000)]
    rounds: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    match Arguments::parse().step {
        Step::Fill { messages, data } => {
            ensure!(messages >= 1_000, "at least 1,000 messages are needed");
            fill::fill(&data, messages)
        }
        Step::Ask(target) => target.ask().await,
    }
}

impl Target {
    async fn ask(&self) -> Result<()> {
        let deep = self.messages / 4 * 8 / 10;
        let mut connection = Connection::open(self.server).await?;
        println!("| what | goal | measured | reached | made of |\n|---|---|---|---|---|");
        for question in questions::ALL {
            self.pages(&mut connection, &question, deep).await?;
            self.counts(&mut connection, &question).await?;
        }
        Ok(())
    }

    /// Pages at the offset and at the beginning in turn, so that both meet the same machine.
    async fn pages(&self, connection: &mut Connection, question: &Question, deep: u64) -> Result<()> {
        let (mut first, mut second) = (latencies()?, latencies()?);
        for _ in 0..self.rounds {
            for (offset, latencies) in [(0, &mut first), (deep, &mut second)] {
                let asked = Instant::now();
                let page = self.page(connection, question, offset).await?;
                latencies.saturating_record(asked.elapsed().as_micros() as u64);
                let page: Value = serde_json::from_slice(&page)?;
                let messages = page["messages"].as_array().map_or(0, Vec::len);
                ensure!(messages == 100, "{}: a page of {messages} messages at offset {offset}", question.name);
            }
        }
        let ratio = second.value_at_quantile(0.99) as f64 / first.value_at_quantile(0.99) as f64;
        let details = format!("{} against {}", told(&second), told(&first));
        row(
            &format!("{}: query and page of 100 at offset {deep} against offset 0, p99", question.name),
            3.0,
            ratio,
            "×",
            &details,
        );
        Ok(())
    }

    async fn page(&self, connection: &mut Connection, question: &Question, offset: u64) -> Result<bytes::BytesMut> {
        let made = connection.ask(&self.request("POST", "/rtm/message/history/query", &question.query(offset))).await?;
        let made: Value = serde_json::from_slice(&made)?;
        let location = made["location"].as_str().and_then(|text| text.strip_prefix('~')).context("no location")?;
        connection.ask(&self.request("GET", location, "")).await
    }

    async fn counts(&self, connection: &mut Connection, question: &Question) -> Result<()> {
        let (mut latencies, mut counted) = (latencies()?, 0);
        for _ in 0..self.rounds {
            let request = self.request("GET", &format!("/rtm/message/history/count?{}", question.month()), "");
            let asked = Instant::now();
            let answer = connection.ask(&request).await?;
            latencies.saturating_record(asked.elapsed().as_micros() as u64);
            let answer: Value = serde_json::from_slice(&answer)?;
            counted = answer["count"].as_u64().context("an answer without a count")?;
            ensure!(counted > 0, "{}: nothing was counted", question.name);
        }
        let details = format!("{counted} messages, {}", told(&latencies));
        let p99 = Duration::from_micros(latencies.value_at_quantile(0.99)).as_secs_f64() * 1_000.0;
        row(&format!("{}: count over a month, p99", question.name), 5.0, p99, "ms", &details);
        Ok(())
    }

    /// A request of the project's owner, below the project.
    fn request(&self, method: &str, path: &str, body: &str) -> String {
        let (app_id, length, basic) = (&self.app_id, body.len(), STANDARD.encode(&self.customer));
        format!(
            "{method} /dev/v2/project/{app_id}{path} HTTP/1.1\r\nHost: load\r\nAuthorization: Basic {basic}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    }
}

/// In microseconds.
fn latencies() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 60_000_000, 3).context("bounds of a histogram")
}

fn told(latencies: &Histogram<u64>) -> String {
    let ms = |quantile: f64| latencies.value_at_quantile(quantile) as f64 / 1_000.0;
    format!("p50 {:.2} ms, p99 {:.2} ms, slowest {:.2} ms", ms(0.5), ms(0.99), ms(1.0))
}

fn row(what: &str, goal: f64, measured: f64, unit: &str, details: &str) {
    let reached = if measured <= goal { "yes" } else { "no" };
    println!("| {what} | ≤ {goal} {unit} | {measured:.2} {unit} | {reached} | {details} |");
}
