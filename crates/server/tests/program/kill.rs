//! SIGKILL under load, many times: what was acknowledged is there, the rest is whole or not at all.

use crate::program::{Program, assert_sound};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};
use tokio::sync::Notify;

const KILLS: u64 = 30;
const PUBLISHERS: u64 = 8;
const CHANNELS: u64 = 3;

/// What publishers know when the program is gone.
#[derive(Default)]
struct Known {
    /// Payload to channel, id and seq, as they were acknowledged.
    acknowledged: HashMap<String, (String, String, u64)>,
    /// Payloads that were sent, acknowledged or not.
    sent: HashSet<String>,
}

/// A publisher sends one message after another, or three at once, until the program is gone.
async fn publish(program: &Program, known: &Mutex<Known>, progress: &Notify, round: u64, publisher: u64) {
    for number in 0_u64.. {
        let channel = format!("room-{}", (publisher + number) % CHANNELS);
        let count = if number % 4 == 3 { 3 } else { 1 };
        let filler = "x".repeat((number % 5 * 100) as usize);
        let payloads: Vec<String> =
            (0..count).map(|part| format!("\"{round}-{publisher}-{number}-{part}-{filler}\"")).collect();
        known.lock().expect("not poisoned").sent.extend(payloads.iter().cloned());
        let drafts: Vec<String> = payloads.iter().map(|payload| format!("{{\"payload\":{payload}}}")).collect();
        let body = if count == 1 { drafts[0].clone() } else { format!("[{}]", drafts.join(",")) };
        let request = program.request(Method::POST, &format!("channels/{channel}/messages")).body(body);
        let Ok(answer) = request.send().await else { return };
        assert!(matches!(answer.status(), StatusCode::OK | StatusCode::CREATED), "{}", answer.status());
        let Ok(answer) = answer.json::<Value>().await else { return };
        let outcomes = answer.as_array().cloned().unwrap_or_else(|| vec![answer]);
        let mut known = known.lock().expect("not poisoned");
        for (payload, outcome) in payloads.into_iter().zip(outcomes) {
            let id = outcome["id"].as_str().expect("an id").to_owned();
            let seq = outcome["seq"].as_u64().expect("a seq");
            known.acknowledged.insert(payload, (channel.clone(), id, seq));
        }
        progress.notify_one();
    }
}

/// One life: publishers at work, killed after some acknowledgements.
async fn live_and_die(program: Program, known: &Arc<Mutex<Known>>, round: u64, acknowledgements: usize) {
    let progress = Notify::new();
    let enough = known.lock().expect("not poisoned").acknowledged.len() + acknowledgements;
    {
        let publishers = (0..PUBLISHERS).map(|publisher| publish(&program, known, &progress, round, publisher));
        let publishers = futures_util::future::join_all(publishers);
        let counted = async {
            while known.lock().expect("not poisoned").acknowledged.len() < enough {
                progress.notified().await;
            }
        };
        tokio::select! {
            _ = publishers => panic!("the program went away by itself"),
            () = counted => {}
        }
    }
    program.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_messages_survive_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let known = Arc::new(Mutex::new(Known::default()));
    let mut random = SmallRng::seed_from_u64(7);
    for round in 0..KILLS {
        live_and_die(Program::start(&data), &known, round, random.random_range(1..150)).await;
    }
    let program = Program::start(&data);
    let mut found = HashMap::new();
    for channel in (0..CHANNELS).map(|number| format!("room-{number}")) {
        let mut last_id = 0;
        for (index, message) in program.history(&channel).await.into_iter().enumerate() {
            let id: u64 = message["id"].as_str().expect("an id").parse().expect("a number");
            let seq = message["seq"].as_u64().expect("a seq");
            assert_eq!(seq, index as u64 + 1, "seqs of {channel} are dense");
            assert!(id > last_id, "ids of {channel} grow");
            last_id = id;
            let payload = message["payload"].to_string();
            let before = found.insert(payload.clone(), (channel.clone(), id.to_string(), seq));
            assert!(before.is_none(), "{payload} is there twice");
        }
    }
    program.kill();

    let known = known.lock().expect("not poisoned");
    assert!(known.acknowledged.len() as u64 > KILLS, "something was acknowledged in each life");
    for (payload, place) in &known.acknowledged {
        assert_eq!(found.get(payload), Some(place), "{payload} was acknowledged there");
    }
    for payload in found.keys() {
        assert!(known.sent.contains(payload), "{payload} is whole, and somebody sent it");
    }
    assert_sound(&data);
}
