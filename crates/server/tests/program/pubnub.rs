//! PubNub's subscribe over the whole program: a client that polls with the timetoken it was given gets every acknowledged
//! message once and in order, whatever is published between its polls, also when the program is killed meanwhile and
//! its own polls are cut off. `cargo xtask soak` runs it for longer.

use crate::program::{PATIENCE, Program};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use reqwest::{Client, Response};
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

const CHANNELS: u64 = 50;
const PUBLISHERS: u64 = 8;
/// Messages that each publisher has acknowledged at least in each life.
const MESSAGES: u64 = 150;
/// For how long it publishes at least, in seconds, half before the program is killed and half after it.
const SOAK_VARIABLE: &str = "SCROLLBACK_SOAK_SECONDS";

/// What publishers know.
#[derive(Default)]
struct Known {
    /// Payload to channel and timetoken.
    acknowledged: HashMap<String, (String, u64)>,
    /// Payloads without an answer, or not yet: there or not.
    unknown: HashSet<String>,
}

/// Where the program answers now; it moves when it is started again.
type Address = watch::Receiver<SocketAddr>;

async fn get(client: &Client, address: SocketAddr, path: &str) -> reqwest::Result<Response> {
    client.get(format!("http://{address}{path}")).timeout(PATIENCE).send().await
}

/// What is published between two deaths.
#[derive(Clone, Copy)]
struct Life {
    number: u64,
    /// It lasts as long at least.
    least: Duration,
}

/// Publishes until its messages of this life are acknowledged and its time is over, or the program is gone.
async fn publish(client: Client, address: SocketAddr, known: Arc<Mutex<Known>>, life: Life, publisher: u64) {
    let (began, Life { number: life, least }) = (Instant::now(), life);
    let mut random = SmallRng::seed_from_u64(life * 100 + publisher);
    let (mut acknowledged, mut number) = (0, 0);
    while acknowledged < MESSAGES || began.elapsed() < least {
        number += 1;
        let channel = format!("room.{}", random.random_range(0..CHANNELS));
        let payload = format!("{life}-{publisher}-{number}");
        let path = format!("/publish/demo/demo/0/{channel}/0/%22{payload}%22?uuid=publisher-{publisher}");
        known.lock().expect("not poisoned").unknown.insert(payload.clone());
        let answer: Option<Value> = match get(&client, address, &path).await {
            Ok(answer) => answer.json().await.ok(),
            Err(_) => None,
        };
        let mut known = known.lock().expect("not poisoned");
        match answer.as_ref().and_then(|answer| answer[2].as_str()) {
            Some(token) => {
                let token = token.parse().expect("a timetoken");
                known.unknown.remove(&payload);
                known.acknowledged.insert(payload, (channel, token));
                acknowledged += 1;
            }
            None => return,
        }
    }
}

/// What a subscriber heard: channel, timetoken, payload.
type Heard = Vec<(String, u64, String)>;

/// Polls until it has heard the payload `last`. Now and then it gives up a poll, or is away for a while.
async fn subscribe(client: Client, mut address: Address, ready: Arc<Notify>, channels: String, last: String) -> Heard {
    let mut random = SmallRng::seed_from_u64(1);
    let (mut heard, mut cursor) = (Heard::new(), 0_u64);
    loop {
        let path = format!("/v2/subscribe/demo/{channels}/0?tt={cursor}&uuid=subscriber");
        let at = *address.borrow_and_update();
        let poll = async { get(&client, at, &path).await?.json::<Value>().await };
        let patience =
            if random.random_bool(0.2) { Duration::from_millis(random.random_range(0..20)) } else { PATIENCE };
        let answer = match timeout(patience, poll).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => {
                // The program was killed: nothing to do until it is there again, on another port.
                if *address.borrow() == at && timeout(PATIENCE, address.changed()).await.is_err() {
                    panic!("the program did not come back");
                }
                continue;
            }
            Err(_given_up) => continue,
        };
        cursor = answer["t"]["t"].as_str().and_then(|text| text.parse().ok()).expect("a cursor");
        ready.notify_one();
        let before = heard.len();
        for message in answer["m"].as_array().expect("messages") {
            let token = message["p"]["t"].as_str().and_then(|text| text.parse().ok()).expect("a timetoken");
            let text = |field: &str| message[field].as_str().expect("a text").to_owned();
            heard.push((text("c"), token, text("d")));
        }
        if heard[before..].iter().any(|(_, _, payload)| *payload == last) {
            return heard;
        }
        if random.random_bool(0.05) {
            tokio::time::sleep(Duration::from_millis(random.random_range(0..500))).await;
        }
    }
}

/// All publishers of one life, until they are done or the program is gone.
async fn publishers(client: &Client, address: SocketAddr, known: &Arc<Mutex<Known>>, life: Life) {
    let publishers = (0..PUBLISHERS).map(|publisher| publish(client.clone(), address, known.clone(), life, publisher));
    futures_util::future::join_all(publishers).await;
}

fn assert_heard(heard: &Heard, known: &Known, by: &str) {
    let (mut newest, mut once) = (HashMap::new(), HashMap::new());
    for (channel, token, payload) in heard {
        assert!(newest.insert(channel, *token).is_none_or(|before| before < *token), "{by}: {channel} is out of order");
        let again = once.insert(payload.clone(), (channel.clone(), *token));
        assert!(again.is_none(), "{by}: {payload} came twice");
    }
    for (payload, place) in &known.acknowledged {
        assert_eq!(once.get(payload), Some(place), "{by}: {payload} was acknowledged there");
    }
    for payload in once.keys() {
        let sent = known.acknowledged.contains_key(payload) || known.unknown.contains(payload);
        assert!(sent || payload == LAST, "{by}: nobody sent {payload}");
    }
}

/// The payload after which nothing comes any more.
const LAST: &str = "last";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_message_is_heard_once_and_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let (client, known) = (Client::new(), Arc::new(Mutex::new(Known::default())));
    let program = Program::start(&data);
    let (moved, address) = watch::channel(program.address);
    let names: Vec<String> = (0..CHANNELS).map(|number| format!("room.{number}")).collect();
    let ready = Arc::new(Notify::new());
    let mut subscribers = Vec::new();
    for channels in [names.join(","), "room.*".to_owned()] {
        let subscriber = subscribe(client.clone(), address.clone(), ready.clone(), channels, LAST.to_owned());
        subscribers.push(tokio::spawn(subscriber));
        // Its first cursor stands before the first message.
        timeout(PATIENCE, ready.notified()).await.expect("a handshake");
    }

    let seconds = std::env::var(SOAK_VARIABLE).map_or(0, |text| text.parse().expect("a number of seconds"));
    let least = Duration::from_secs(seconds) / 2;
    publishers(&client, program.address, &known, Life { number: 1, least }).await;
    let acknowledged = || known.lock().expect("not poisoned").acknowledged.len();
    let goal = acknowledged() + (PUBLISHERS * MESSAGES / 2) as usize;
    let half = publishers(&client, program.address, &known, Life { number: 2, least: Duration::ZERO });
    let enough = async {
        while acknowledged() < goal {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = half => panic!("the second life is long enough to be cut short"),
        () = enough => {}
    }
    program.kill();
    let program = Program::start(&data);
    moved.send(program.address).expect("subscribers listen");
    publishers(&client, program.address, &known, Life { number: 3, least }).await;
    let path = format!("/publish/demo/demo/0/room.0/0/%22{LAST}%22");
    assert!(get(&client, program.address, &path).await.expect("an answer").status().is_success());

    for (subscriber, by) in subscribers.into_iter().zip(["50 channels", "a wildcard"]) {
        let heard = timeout(PATIENCE, subscriber).await.expect("it hears the last one").expect("it does not panic");
        println!("{by}: heard {} messages, {} of them acknowledged", heard.len(), acknowledged());
        assert_heard(&heard, &known.lock().expect("not poisoned"), by);
    }
}
