//! Load on a running server as PubNub's clients make it, beside what the native API does with the same: `docs/performance.md`
//! tells what is measured and with which commands.

mod compare;
mod connection;
mod polls;

use anyhow::Result;
use clap::{Parser, Subcommand};
use connection::Connection;
use std::{net::SocketAddr, time::Duration};

/// Puts load on PubNub's endpoints.
#[derive(Parser)]
struct Arguments {
    /// Where the server listens.
    #[arg(long, default_value = "127.0.0.1:7117")]
    server: SocketAddr,
    /// The publish key and the subscribe key of a keyset without Access Manager.
    #[arg(long, default_value = "demo")]
    keys: String,
    /// The app behind the keyset.
    #[arg(long, default_value = "demo")]
    app: String,
    /// A key of its native API that may read and write.
    #[arg(long, default_value = "demo-admin")]
    native_key: String,
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// The newest 100 messages by v3 fetch, against the native page of the same.
    Fetch {
        #[arg(long, default_value_t = 100)]
        channels: usize,
        /// Bytes of a message.
        #[arg(long, default_value_t = 256)]
        bytes: usize,
        #[command(flatten)]
        rounds: Rounds,
    },
    /// Publishing by GET, against single publishes of the native API.
    Publish {
        #[arg(long, default_value_t = 100)]
        channels: usize,
        /// Bytes of a message.
        #[arg(long, default_value_t = 256)]
        bytes: usize,
        #[command(flatten)]
        rounds: Rounds,
    },
    /// Polls that are held; tells the memory of the server over idle.
    Held {
        #[arg(long, default_value_t = 10_000)]
        polls: usize,
        #[arg(long, default_value_t = 10)]
        channels: usize,
        /// So many of the polls are of `--many-channels` instead.
        #[arg(long, default_value_t = 100)]
        large: usize,
        #[arg(long, default_value_t = 500)]
        many_channels: usize,
        /// Nobody says who polls, so nobody is present.
        #[arg(long)]
        anonymous: bool,
        /// The server's process.
        #[arg(long)]
        pid: u32,
    },
    /// One message at a time to polls that wait for it; tells the time from sending to each poll's answer.
    Fanout {
        #[arg(long, default_value_t = 1_000)]
        polls: usize,
        #[arg(long, default_value_t = 50)]
        channels: usize,
        #[arg(long, default_value_t = 50)]
        messages: usize,
    },
    /// One client that catches up; tells the time of each answer.
    CatchUp {
        #[arg(long, default_value_t = 500)]
        channels: usize,
        #[arg(long, default_value_t = 100_000)]
        messages: usize,
        /// Bytes of a message.
        #[arg(long, default_value_t = 256)]
        bytes: usize,
    },
}

/// How two things are measured side by side.
#[derive(clap::Args)]
struct Rounds {
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Of each of the two, one after the other, so that both meet the same machine.
    #[arg(long, default_value_t = 4)]
    rounds: usize,
    /// A round.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
}

impl Rounds {
    fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let Arguments { server, keys, app, native_key, scenario } = Arguments::parse();
    let target = Target { server, keys, app, native_key };
    match scenario {
        Scenario::Fetch { channels, bytes, rounds } => compare::fetch(&target, channels, bytes, &rounds).await,
        Scenario::Publish { channels, bytes, rounds } => compare::publish(&target, channels, bytes, &rounds).await,
        Scenario::Held { polls, channels, large, many_channels, anonymous, pid } => {
            let sizes = (0..polls).map(|poll| if poll < large { many_channels } else { channels });
            polls::held(&target, sizes.collect(), anonymous, pid).await
        }
        Scenario::Fanout { polls, channels, messages } => polls::fanout(&target, polls, channels, messages).await,
        Scenario::CatchUp { channels, messages, bytes } => polls::catch_up(&target, channels, messages, bytes).await,
    }
}

/// What the load is put on.
struct Target {
    server: SocketAddr,
    keys: String,
    app: String,
    native_key: String,
}

impl Target {
    async fn connect(&self) -> Result<Connection> {
        Connection::open(self.server).await
    }

    /// A poll of these channels, joined by commas.
    fn poll(&self, channels: &str, cursor: &str) -> String {
        get(&format!("/v2/subscribe/{}/{channels}/0?tt={cursor}", self.keys))
    }

    fn publish(&self, channel: &str, payload: &str) -> String {
        get(&format!("/publish/{0}/{0}/0/{channel}/0/{payload}?uuid=load", self.keys))
    }

    /// A request to the native API, below the app.
    fn native(&self, method: &str, path: &str, body: &str) -> String {
        let (app, key, length) = (&self.app, &self.native_key, body.len());
        format!(
            "{method} /v1/apps/{app}/{path} HTTP/1.1\r\nHost: load\r\nAuthorization: Bearer {key}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    }

    /// Publishes messages of so many bytes in requests of up to 100, to one channel.
    async fn fill(&self, connection: &mut Connection, channel: &str, messages: usize, bytes: usize) -> Result<()> {
        for at in (0..messages).step_by(100) {
            let one = format!("{{\"payload\":{},\"author\":\"load\"}}", payload(bytes));
            let batch = vec![one; 100.min(messages - at)].join(",");
            let path = format!("channels/{channel}/messages");
            connection.ask(&self.native("POST", &path, &format!("[{batch}]"))).await?;
        }
        Ok(())
    }
}

/// A request without a body.
fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: load\r\n\r\n")
}

/// JSON of so many bytes.
fn payload(bytes: usize) -> String {
    format!("\"{}\"", "x".repeat(bytes.saturating_sub(2)))
}

/// A payload as it stands in a path.
fn in_path(payload: &str) -> String {
    payload.replace('"', "%22")
}

/// Names that no other run has used.
fn fresh(prefix: &str) -> String {
    use rand::RngExt;
    format!("{prefix}-{:08x}", rand::rng().random_range(0..u32::MAX))
}
