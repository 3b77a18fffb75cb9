//! More load than the program can take: ten times the publishers that its queue holds, readers that stop reading, peers
//! that say half a sentence, ten thousand connections. Who is too much is told so at once, memory stays within its
//! bound, neighbours are served, and what was acknowledged is there.

use crate::{
    program::{PATIENCE, Program, assert_sound, serve},
    shim::quick_folder,
};
use futures_util::future::join_all;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::Value;
use std::{
    collections::HashSet,
    fs,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const CONNECTIONS: usize = 10_000;
/// Publishes that may wait, and ten times as many publishers.
const QUEUE: usize = 64;
const PUBLISHERS: usize = 10 * QUEUE;
const REQUESTS: usize = 256;
/// Below every wait of the program, above what a busy machine needs.
const AT_ONCE: Duration = Duration::from_secs(10);
/// Resident memory in MiB, of the program unoptimised: with its small bounds, and with ten thousand open streams.
const MEMORY: u64 = 192;
const MEMORY_OF_STREAMS: u64 = 384;
/// Files that the system has to allow: for each side of a connection one, and what both need besides.
const FILES: u64 = CONNECTIONS as u64 + 1_000;

const PROBE: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

/// Small bounds, short waits, and a neighbour.
const CONFIG: &str = r#"
[limits]
connections = 10000
requests = 256
bodies = "16MiB"
publish_queue = 64
publish_queue_bytes = "4MiB"
head_timeout = "3s"
body_timeout = "3s"
write_timeout = "3s"
[memory]
recent = "4MiB"
pages = "8MiB"
[[app]]
name = "demo"
[[app.key]]
secret = "demo-admin"
may = ["read", "write", "delete", "admin"]
[[app]]
name = "neighbour"
[[app.key]]
secret = "neighbour-key"
may = ["read", "write"]
"#;

/// A program with small bounds.
struct Loaded {
    program: Program,
    folder: tempfile::TempDir,
    client: Client,
}

impl Loaded {
    fn start() -> Loaded {
        let folder = quick_folder();
        let config = folder.path().join("scrollback.toml");
        fs::write(&config, CONFIG).expect("a file");
        let config = config.to_str().expect("a path in UTF-8");
        let command = serve(&folder.path().join("data"), &["--config", config, "--tail", "4MiB"]);
        Loaded { program: Program::spawn(command), folder, client: Client::new() }
    }

    /// Never was more memory resident than this, in MiB.
    fn assert_memory_is_within(&self, bound: u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.program.id())).expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        let kibibytes: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
        println!("{} MiB of memory at most", kibibytes >> 10);
        assert!(kibibytes >> 10 <= bound, "{} MiB", kibibytes >> 10);
    }

    fn of_neighbour(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}/v1/apps/neighbour/{path}", self.program.address);
        self.client.request(method, url).bearer_auth("neighbour-key").timeout(AT_ONCE)
    }

    /// The neighbour publishes and reads, again if it is refused, until `done`; each of both comes through in time.
    async fn serve_neighbour(&self, done: &AtomicBool) -> u64 {
        let mut published = 0;
        while !done.load(Ordering::SeqCst) || published == 0 {
            let publish = || self.of_neighbour(Method::POST, "channels/quiet/messages").body("{\"payload\":1}");
            let answer = served(publish).await.json::<Value>().await.expect("JSON");
            published += 1;
            assert_eq!(answer["seq"], published);
            served(|| self.of_neighbour(Method::GET, "channels/quiet/messages?limit=1")).await;
        }
        published
    }

    /// Waits until so few connections are left.
    async fn assert_connections_fall_to(&self, few: usize) {
        let patience = Instant::now() + PATIENCE;
        loop {
            // One more may still be too many.
            let count = self.connections().await.unwrap_or(usize::MAX);
            if count <= few {
                return;
            }
            assert!(Instant::now() < patience, "{count} connections stay");
        }
    }

    /// How many connections there are, if it is told.
    async fn connections(&self) -> Option<usize> {
        let answer = self.client.get(format!("http://{}/metrics", self.program.address)).send().await.ok()?;
        let metrics = answer.error_for_status().ok()?.text().await.ok()?;
        metrics.lines().find_map(|line| line.strip_prefix("scrollback_http_connections "))?.trim().parse().ok()
    }

    async fn connect(&self, text: &str) -> TcpStream {
        let mut socket = TcpStream::connect(self.program.address).await.expect("it is accepted");
        socket.write_all(text.as_bytes()).await.expect("it is taken");
        socket
    }
}

/// Asks again while it is refused for overload; served in time.
async fn served(request: impl Fn() -> RequestBuilder) -> Response {
    let patience = Instant::now() + AT_ONCE;
    loop {
        let answer = request().send().await.expect("an answer");
        if answer.status().is_success() {
            return answer;
        }
        assert_refused(&answer);
        assert!(Instant::now() < patience, "it is never served");
    }
}

/// 429 or 503, and when to come again.
fn assert_refused(answer: &Response) {
    let overload = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
    assert!(overload.contains(&answer.status()), "{}", answer.status());
    assert!(answer.headers().contains_key("retry-after"));
}

/// One publisher: on and on until `until`; what was acknowledged.
async fn publish(loaded: &Loaded, number: usize, until: Instant, refused: &AtomicU64) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for round in 0_u64.. {
        let began = Instant::now();
        if began > until {
            break;
        }
        let text = format!("{number}-{round}-{}", "x".repeat(2_000));
        let request = loaded.program.request(Method::POST, &format!("channels/room-{}/messages", number % 8));
        let answer = request.body(format!("{{\"payload\":\"{text}\"}}")).send().await.expect("an answer");
        assert!(began.elapsed() < AT_ONCE, "answered after {:?}", began.elapsed());
        if answer.status() == StatusCode::CREATED {
            acknowledged.push(text);
        } else {
            assert_refused(&answer);
            refused.fetch_add(1, Ordering::SeqCst);
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_times_the_publishers_are_refused_at_once_and_what_was_acknowledged_is_there() {
    let loaded = Loaded::start();
    let (refused, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let until = Instant::now() + Duration::from_secs(5);
    let all = async {
        let publishers = (0..PUBLISHERS).map(|number| publish(&loaded, number, until, &refused));
        let acknowledged: Vec<String> = join_all(publishers).await.concat();
        done.store(true, Ordering::SeqCst);
        acknowledged
    };
    let (acknowledged, neighbours) = tokio::join!(all, loaded.serve_neighbour(&done));
    let refused = refused.into_inner();
    println!("{} acknowledged, {refused} refused, {neighbours} of the neighbour", acknowledged.len());
    assert!(acknowledged.len() > REQUESTS && refused > 0 && neighbours > 1);
    loaded.assert_memory_is_within(MEMORY);

    let mut found = HashSet::new();
    for room in 0..8 {
        for message in loaded.program.history(&format!("room-{room}")).await {
            let text = message["payload"].as_str().expect("text").to_owned();
            assert!(found.insert(text), "it is there twice");
        }
    }
    assert!(acknowledged.iter().all(|text| found.contains(text)), "something acknowledged is missing");
    let data = loaded.folder.path().join("data");
    loaded.program.kill();
    assert_sound(&data);
}

/// Each takes part of a conversation and then nothing more: the head of a request, its body, a page, a stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_stop_and_peers_that_say_half_a_sentence_are_cut_off_and_keep_nobody_waiting() {
    const EACH: usize = 100;
    let loaded = Loaded::start();
    let head = |method: &str, path: &str| {
        format!("{method} /v1/apps/demo/channels/{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer demo-admin\r\n")
    };
    let half_a_head = "GET /v1/apps/demo/chan".to_owned();
    let half_a_body = head("POST", "room/messages") + "content-length: 100\r\n\r\n{\"payload\":";
    let stream = head("GET", "room/stream") + "\r\n";
    let mut held = Vec::new();
    for text in ["", &half_a_head, &half_a_body, &stream] {
        held.extend(join_all((0..EACH).map(|_| loaded.connect(text))).await);
    }
    let mut follower = loaded.program.request(Method::GET, "channels/room/stream").send().await.expect("a stream");

    // More than the system keeps for a socket whose other end does not read.
    let (large, done) = ("x".repeat(24_000), AtomicBool::new(false));
    let publishing = async {
        for number in 0..500 {
            let text = format!("{{\"payload\":\"{number} {large}\"}}");
            served(|| loaded.program.request(Method::POST, "channels/room/messages").body(text.clone())).await;
        }
        done.store(true, Ordering::SeqCst);
    };
    let (mut seen, mut next) = (String::new(), 0);
    let following = async {
        while next < 500 {
            let chunk = follower.chunk().await.expect("the stream goes on").expect("it has not ended");
            seen += std::str::from_utf8(&chunk).expect("text");
            while let Some(at) = seen.find(&format!("\"payload\":\"{next} ")) {
                seen.drain(..at + 12);
                next += 1;
            }
        }
    };
    let all = async { tokio::join!(publishing, following, loaded.serve_neighbour(&done)) };
    tokio::time::timeout(PATIENCE, all).await.expect("all are served");
    // Who only read half a page is cut off as well.
    let page = head("GET", "room/messages?limit=500") + "\r\n";
    held.extend(join_all((0..EACH).map(|_| loaded.connect(&page))).await);
    drop(follower);
    loaded.assert_connections_fall_to(8).await;
    loaded.assert_memory_is_within(MEMORY);
    drop(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_connections_are_served_and_one_more_is_told_so() {
    if !files_are_allowed() {
        return;
    }
    let loaded = Loaded::start();
    let mut held = Vec::new();
    while held.len() < CONNECTIONS - 1 {
        let count = (CONNECTIONS - 1 - held.len()).min(100);
        held.extend(join_all((0..count).map(|_| held_open(&loaded))).await);
    }
    let mut neighbour = loaded.connect(PROBE).await;
    assert!(answer_of(&mut neighbour).await.starts_with("HTTP/1.1 200"));
    let mut refused = loaded.connect("").await;
    let answer = answer_of(&mut refused).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after"), "{answer}");
    let began = Instant::now();
    neighbour.write_all(PROBE.as_bytes()).await.expect("it is taken");
    assert!(answer_of(&mut neighbour).await.starts_with("HTTP/1.1 200"));
    assert!(began.elapsed() < AT_ONCE);
    loaded.assert_memory_is_within(MEMORY_OF_STREAMS);
    drop((held, neighbour));
    loaded.assert_connections_fall_to(8).await;
}

/// A stream: it stays open and is told nothing but heartbeats.
async fn held_open(loaded: &Loaded) -> TcpStream {
    let head = "GET /v1/apps/demo/channels/held/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer demo-admin\r\n\r\n";
    let mut socket = loaded.connect(head).await;
    let answer = answer_of(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    socket
}

/// The first bytes of an answer, which hold its head.
async fn answer_of(socket: &mut TcpStream) -> String {
    let mut bytes = vec![0; 4096];
    let read = tokio::time::timeout(AT_ONCE, socket.read(&mut bytes)).await.expect("it is answered in time");
    String::from_utf8_lossy(&bytes[..read.expect("it is answered")]).into_owned()
}

/// Whether the system allows so many open files, asked for as far as it goes.
fn files_are_allowed() -> bool {
    let mut limit = getrlimit(Resource::Nofile);
    let allowed = limit.maximum.unwrap_or(FILES);
    if allowed < FILES {
        assert!(std::env::var_os("CI").is_none(), "{FILES} open files are needed, and {allowed} are allowed");
        println!("not tried: {FILES} open files are needed, and {allowed} are allowed");
        return false;
    }
    limit.current = Some(allowed);
    setrlimit(Resource::Nofile, limit).expect("it is within what is allowed");
    true
}
