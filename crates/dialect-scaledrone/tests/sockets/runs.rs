//! What a subscriber sees is one run of the room's order: without a gap, without doubles, history before live.

use crate::{client::Client, house::House};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::Value;
use std::collections::HashMap;
use tokio::task::JoinSet;

const ROOM: &str = "r";

/// What one visitor does, one after the other, on one connection.
#[derive(Clone, Debug)]
struct Visit {
    /// How many past messages it asks for.
    history: u32,
    /// How many messages it takes before it goes on.
    takes: usize,
    leaves: Leave,
}

#[derive(Clone, Copy, Debug)]
enum Leave {
    /// Subscribes again without leaving.
    Again,
    Unsubscribe,
    /// Closes the connection and opens another.
    Disconnect,
}

/// What was seen between a subscribe and the next: ids of history, then ids of live messages.
#[derive(Default, Debug)]
struct Run {
    asked: u32,
    history: Vec<u64>,
    live: Vec<u64>,
}

fn visits() -> impl Strategy<Value = Vec<Visit>> {
    let leaves = prop_oneof![Just(Leave::Again), Just(Leave::Unsubscribe), Just(Leave::Disconnect)];
    let visit = (0..130_u32, 0..40_usize, leaves);
    proptest::collection::vec(visit.prop_map(|(history, takes, leaves)| Visit { history, takes, leaves }), 1..8)
}

#[test]
fn what_a_subscriber_sees_is_a_contiguous_run_of_the_rooms_order() {
    let mut runner = TestRunner::new(Config { cases: 8, failure_persistence: None, ..Config::default() });
    let plan = (proptest::collection::vec(visits(), 1..5), 1..4_usize, 0..150_u32);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let outcome = runner.run(&plan, |(visitors, publishers, before)| {
        runtime.block_on(play(visitors, publishers, before));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

async fn play(visitors: Vec<Vec<Visit>>, publishers: usize, before: u32) {
    let house = House::new().await;
    let mut first = house.connect().await;
    for number in 0..before {
        first.publish(ROOM, &number.to_string()).await;
    }
    let mut work = JoinSet::new();
    for publisher in 0..publishers {
        let mut client = house.connect().await;
        work.spawn(async move {
            for number in 0.. {
                client.publish(ROOM, &format!("\"{publisher}/{number}\"")).await;
                tokio::task::yield_now().await;
            }
        });
    }
    let mut visiting = JoinSet::new();
    for visits in visitors {
        visiting.spawn(visit(house.address, visits));
    }
    let runs: Vec<Run> = visiting.join_all().await.into_iter().flatten().collect();
    work.shutdown().await;

    let order: Vec<u64> = house.stored(ROOM).iter().map(|message| message.id.raw()).collect();
    let places: HashMap<u64, usize> = order.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    for run in runs {
        check(&run, &order, &places);
    }
}

fn check(run: &Run, order: &[u64], places: &HashMap<u64, usize>) {
    let seen: Vec<u64> = run.history.iter().chain(&run.live).copied().collect();
    let Some(first) = seen.first() else { return };
    let start = places[first];
    let expected = &order[start..];
    assert!(seen.len() <= expected.len(), "more messages than there are");
    if let Some(at) = seen.iter().zip(expected).position(|(seen, expected)| seen != expected) {
        let past = run.history.len();
        panic!(
            "a gap or a double: {} comes instead of {}, {at} messages after the first, {past} of them history",
            seen[at], expected[at]
        );
    }
    let most = run.asked.min(100) as usize;
    assert!(run.history.len() <= most, "no more than asked for, or allowed");
    let is_whole = run.history.len() == most || start == 0;
    assert!(run.live.is_empty() || is_whole, "no less than there is, before the first live one");
}

async fn visit(address: std::net::SocketAddr, visits: Vec<Visit>) -> Vec<Run> {
    let (mut client, _) = Client::connect(address, "open").await;
    let mut runs: Vec<Run> = Vec::new();
    for visit in visits {
        let frame = format!(
            "{{\"type\":\"subscribe\",\"room\":\"{ROOM}\",\"history_count\":{},\"callback\":\"in\"}}",
            visit.history
        );
        client.send(&frame).await;
        wait_for("in", &mut client, runs.last_mut()).await;
        let mut run = Run { asked: visit.history, ..Run::default() };
        while run.history.len() + run.live.len() < visit.takes {
            take(client.json().await, Some(&mut run));
        }
        runs.push(run);
        match visit.leaves {
            Leave::Again => {}
            Leave::Unsubscribe => {
                let frame = format!("{{\"type\":\"unsubscribe\",\"room\":\"{ROOM}\",\"callback\":\"out\"}}");
                client.send(&frame).await;
                wait_for("out", &mut client, runs.last_mut()).await;
            }
            Leave::Disconnect => (client, _) = Client::connect(address, "open").await,
        }
    }
    runs
}

/// Takes what comes before an answer; it still belongs to the run before.
async fn wait_for(callback: &str, client: &mut Client, mut run: Option<&mut Run>) {
    loop {
        let frame = client.json().await;
        if frame.get("callback").is_some_and(|answered| answered == callback) {
            return;
        }
        take(frame, run.as_deref_mut());
    }
}

fn take(frame: Value, run: Option<&mut Run>) {
    let run = run.expect("nothing comes before the first subscribe, or after an unsubscribe was answered");
    let id = frame["id"].as_str().expect("an id").parse().expect("a number");
    match frame["type"].as_str() {
        Some("history_message") => {
            assert_eq!(frame["index"], run.history.len(), "numbered from 0");
            assert!(run.live.is_empty(), "history before live");
            run.history.push(id);
        }
        Some("publish") => run.live.push(id),
        other => panic!("unexpected frame of type {other:?}"),
    }
}
