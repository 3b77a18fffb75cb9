//! Load on the sockets of a running server, as Osmium's clients make it, and the search index under it:
//! `docs/performance.md` tells what is measured and with which commands.

mod connection;
mod words;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use connection::Connection;
use dialect_osmium::wire::{
    ChannelRef, ChatRef, GetHistory, Messages, Search, SendMessage, UserRef, chat_ref::Ref, client_message::Request,
    get_history::Offset, rpc_result,
};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::{
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use words::{Numbers, sentence, two_words};

/// The community whose channels are filled and searched.
const COMMUNITY: u64 = 7_000;
/// Connections that fill a chat at a time.
const FILLING: u64 = 64;

/// Puts load on Osmium's sockets.
#[derive(Parser)]
struct Arguments {
    /// Where the server listens.
    #[arg(long, default_value = "127.0.0.1:7117")]
    server: SocketAddr,
    /// The app.
    #[arg(long, default_value = "demo")]
    app: String,
    /// A key of the app that may do everything.
    #[arg(long, default_value = "demo-admin")]
    key: String,
    /// The token of a user.
    #[arg(long, default_value = "osm-ann")]
    token: String,
    /// Another user of the directory, to whom messages are sent.
    #[arg(long, default_value_t = 1002)]
    other: u64,
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// Reads pages of 50 of a direct chat over open sockets.
    History {
        #[arg(long, default_value_t = 16)]
        sockets: usize,
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Messages that the chat is filled up with before.
        #[arg(long, default_value_t = 20_000)]
        messages: u64,
        /// Pages around random messages instead of the newest ones.
        #[arg(long)]
        deep: bool,
    },
    /// Opens connections that authorize and then say nothing; tells the memory of the server per connection.
    Idle {
        #[arg(long, default_value_t = 10_000)]
        connections: usize,
        /// The server's process.
        #[arg(long)]
        pid: u32,
    },
    /// Publishes sentences into the channels of a community; tells the rate, and how long the index lags at the end.
    Fill {
        #[arg(long, default_value_t = 1_000_000)]
        messages: u64,
        #[arg(long, default_value_t = 100)]
        channels: u64,
        /// Messages in a request.
        #[arg(long, default_value_t = 500)]
        batch: u64,
        #[arg(long, default_value_t = 8)]
        sockets: u64,
        /// The app has no index: do not wait for it.
        #[arg(long)]
        without_index: bool,
    },
    /// Searches for two words in all channels of that community.
    Search {
        #[arg(long, default_value_t = 1_000)]
        queries: u64,
        #[arg(long, default_value_t = 1)]
        sockets: u64,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.scenario {
        Scenario::History { sockets, seconds, messages, deep } => {
            history(&arguments, sockets, Duration::from_secs(seconds), messages, deep).await
        }
        Scenario::Idle { connections, pid } => idle(&arguments, connections, pid).await,
        Scenario::Fill { messages, channels, batch, sockets, without_index } => {
            put_community(&arguments, channels).await?;
            fill(&arguments, messages, channels, batch, sockets, !without_index).await
        }
        Scenario::Search { queries, sockets } => search(&arguments, queries, sockets).await,
    }
}

async fn history(arguments: &Arguments, sockets: usize, time: Duration, messages: u64, deep: bool) -> Result<()> {
    let chat = ChatRef { r#ref: Some(Ref::User(UserRef { user_id: arguments.other })) };
    let ids = fill_chat(arguments, chat, messages).await?;
    ensure!(!ids.is_empty(), "there is nothing to read: say --messages");
    let mut readers = JoinSet::new();
    for reader in 0..sockets {
        let mut connection = Connection::open(arguments.server, &arguments.token, false).await?;
        let ids = ids.clone();
        readers.spawn(async move {
            let mut times = Histogram::<u64>::new(3)?;
            let mut numbers = Numbers::new(reader as u64 + 1);
            let until = Instant::now() + time;
            while Instant::now() < until {
                let around = deep.then(|| Offset::Around(ids[numbers.below(ids.len() as u64) as usize]));
                let call = GetHistory { chat_ref: Some(chat), limit: Some(50), offset: around };
                let began = Instant::now();
                let page = page(connection.call(Request::MessagesGetHistory(call)).await?)?;
                times.record(began.elapsed().as_micros() as u64)?;
                ensure!(deep || page.messages.len() == 50, "a page of {} messages", page.messages.len());
            }
            anyhow::Ok(times)
        });
    }
    let times = all_of(readers).await?;
    println!("{:.0} calls/s", times.len() as f64 / time.as_secs_f64());
    tell(&times);
    Ok(())
}

/// Fills a chat; the ids of what was sent.
async fn fill_chat(arguments: &Arguments, chat: ChatRef, messages: u64) -> Result<Vec<u64>> {
    let mut senders = JoinSet::new();
    for sender in 0..FILLING {
        let mut connection = Connection::open(arguments.server, &arguments.token, false).await?;
        senders.spawn(async move {
            let mut numbers = Numbers::new(sender + 1);
            let mut ids = Vec::new();
            for _ in 0..messages.div_ceil(FILLING) {
                let message = sentence(&mut numbers);
                let call = SendMessage { chat_ref: Some(chat), message, ..SendMessage::default() };
                match connection.call(Request::MessagesSendMessage(call)).await? {
                    Some(rpc_result::Result::SentMessage(sent)) => ids.push(sent.message_id),
                    other => anyhow::bail!("not sent: {other:?}"),
                }
            }
            anyhow::Ok(ids)
        });
    }
    let mut ids = Vec::new();
    while let Some(sent) = senders.join_next().await {
        ids.extend(sent??);
    }
    Ok(ids)
}

async fn idle(arguments: &Arguments, connections: usize, pid: u32) -> Result<()> {
    let before = resident(pid)?;
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(Connection::open(arguments.server, &arguments.token, true).await?);
    }
    let after = resident(pid)?;
    let grown = after.saturating_sub(before);
    println!("{} MiB before, {} MiB with {connections} connections", before >> 20, after >> 20);
    println!("{} MiB over idle, {} B a connection", grown >> 20, grown / connections.max(1) as u64);
    Ok(())
}

/// A community of the token's user, whose channels hold the messages of the app's channels `search-0`, `search-1`….
async fn put_community(arguments: &Arguments, channels: u64) -> Result<()> {
    let path = format!("osmium/communities/{COMMUNITY}");
    // The owner sees every channel. The built-in directory's first user is the owner of the default token.
    ask(arguments, reqwest::Method::PUT, &path, json!({ "name": "Load", "owner": "1001" })).await?;
    for channel in 0..channels {
        let body = json!({ "name": format!("c{channel}"), "alias": format!("search-{channel}") });
        ask(arguments, reqwest::Method::PUT, &format!("{path}/channels/{}", channel + 1), body).await?;
    }
    Ok(())
}

async fn fill(
    arguments: &Arguments,
    messages: u64,
    channels: u64,
    batch: u64,
    sockets: u64,
    has_index: bool,
) -> Result<()> {
    let began = Instant::now();
    let mut newest = 0;
    let mut publishers = JoinSet::new();
    for publisher in 0..sockets {
        let (server, app, key) = (arguments.server, arguments.app.clone(), arguments.key.clone());
        publishers.spawn(async move {
            let (client, mut numbers, mut newest) = (reqwest::Client::new(), Numbers::new(publisher + 1), 0);
            let share = messages / sockets;
            let mut sent = 0;
            while sent < share {
                let count = batch.min(share - sent);
                let drafts: Vec<Value> = (0..count).map(|_| json!({ "payload": sentence(&mut numbers) })).collect();
                let channel = numbers.below(channels);
                let url = format!("http://{server}/v1/apps/{app}/channels/search-{channel}/messages");
                let answer = client.post(url).bearer_auth(&key).json(&drafts).send().await?.error_for_status()?;
                let outcomes: Vec<Value> = answer.json().await?;
                newest = newest.max(id(outcomes.last().and_then(|last| last["id"].as_str()))?);
                sent += count;
            }
            anyhow::Ok(newest)
        });
    }
    while let Some(published) = publishers.join_next().await {
        newest = newest.max(published??);
    }
    let took = began.elapsed();
    println!("{:.0} messages/s", messages as f64 / took.as_secs_f64());
    if has_index {
        let ended = Instant::now();
        while indexed(arguments).await? < newest {}
        println!("the index was complete {:.2} s after the last message", ended.elapsed().as_secs_f64());
    }
    Ok(())
}

async fn indexed(arguments: &Arguments) -> Result<u64> {
    let answer = ask(arguments, reqwest::Method::GET, "search?q=ba&limit=1&channel=search-0", Value::Null).await?;
    id(answer["page"]["indexed"].as_str())
}

async fn search(arguments: &Arguments, queries: u64, sockets: u64) -> Result<()> {
    let channel = ChannelRef { community_id: COMMUNITY, channel_id: 1 };
    let chat = ChatRef { r#ref: Some(Ref::Channel(channel)) };
    let mut searchers = JoinSet::new();
    for searcher in 0..sockets {
        let mut connection = Connection::open(arguments.server, &arguments.token, false).await?;
        searchers.spawn(async move {
            let (mut times, mut numbers) = (Histogram::<u64>::new(3)?, Numbers::new(searcher + 1_000));
            let mut found = 0;
            for _ in 0..queries / sockets {
                let query = two_words(&mut numbers);
                let call = Search { chat_ref: Some(chat), query, ..Search::default() };
                let began = Instant::now();
                found += page(connection.call(Request::MessagesSearch(call)).await?)?.messages.len();
                times.record(began.elapsed().as_micros() as u64)?;
            }
            println!("{found} messages found");
            anyhow::Ok(times)
        });
    }
    tell(&all_of(searchers).await?);
    Ok(())
}

fn page(result: Option<rpc_result::Result>) -> Result<Messages> {
    match result {
        Some(rpc_result::Result::Messages(page)) => Ok(page),
        other => anyhow::bail!("not a page: {other:?}"),
    }
}

async fn all_of(mut readers: JoinSet<Result<Histogram<u64>>>) -> Result<Histogram<u64>> {
    let mut times = Histogram::new(3)?;
    while let Some(read) = readers.join_next().await {
        times.add(read??)?;
    }
    Ok(times)
}

fn tell(times: &Histogram<u64>) {
    let at = |part| times.value_at_quantile(part) as f64 / 1_000.0;
    println!("p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms", at(0.5), at(0.99), at(1.0));
}

async fn ask(arguments: &Arguments, method: reqwest::Method, path: &str, body: Value) -> Result<Value> {
    let url = format!("http://{}/v1/apps/{}/{path}", arguments.server, arguments.app);
    let mut request = reqwest::Client::new().request(method, &url).bearer_auth(&arguments.key);
    if !body.is_null() {
        request = request.json(&body);
    }
    let answer = request.send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status.is_success(), "{url}: {status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

fn id(text: Option<&str>) -> Result<u64> {
    text.and_then(|text| text.parse().ok()).context("an answer without an id")
}

/// Bytes of memory that a process has.
fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("reading the server's memory")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib << 10)
}
