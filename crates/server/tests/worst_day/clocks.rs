//! The wall clock of the whole program jumps: an hour back, a year ahead, every second, over restarts. Ids never go
//! back, nothing is withheld from readers, and nothing is removed before its time.

use crate::{
    life::{place, post},
    program::{PATIENCE, Program},
    shim::Shim,
};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 24 * HOUR;

/// What was published in room 0, in order.
struct Story {
    shim: Shim,
    program: Program,
    ids: Vec<u64>,
}

impl Story {
    fn begin() -> Story {
        let shim = Shim::of_the_clock();
        let program = shim.start(&[]);
        Story { shim, program, ids: Vec::new() }
    }

    /// SIGKILL, and a start at another time.
    fn restarted(self, ahead: i64) -> Story {
        self.program.kill();
        self.shim.set_clock(ahead);
        Story { program: self.shim.start(&[]), ..self }
    }

    /// Publishes one more message; its id is above all others.
    async fn publish(&mut self) {
        let (status, answer) = post(&self.program, 0, &self.ids.len().to_string()).await.expect("an answer");
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        let (id, seq) = place(&answer);
        assert!(self.ids.last().is_none_or(|last| *last < id), "{id} is not above {:?}", self.ids.last());
        self.ids.push(id);
        assert_eq!(seq, self.ids.len() as i64);
    }

    /// Everything is there, in the order in which it was published; the newest page begins with the newest.
    async fn assert_all_there(&self, when: &str) {
        let history = self.program.history("room-0").await;
        let found: Vec<u64> = history.iter().map(|message| place(message).0).collect();
        assert_eq!(found, self.ids, "{when}");
        let newest = self.program.get("channels/room-0/messages?limit=1").await;
        let newest = newest["messages"].as_array().and_then(|page| page.last()).map(|message| place(message).0);
        assert_eq!(newest, self.ids.last().copied(), "{when}");
    }
}

async fn follow(program: &Program) -> Response {
    program.request(Method::GET, "channels/room-0/stream").send().await.expect("a stream")
}

/// The stream brings this message, in time.
async fn assert_followed(stream: &mut Response, id: u64) {
    let mut seen = String::new();
    let read = async {
        while !seen.contains(&format!("\"id\":\"{id}\"")) {
            let chunk = stream.chunk().await.expect("the stream goes on").expect("the stream has not ended");
            seen += std::str::from_utf8(&chunk).expect("text");
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("{id} is withheld: {seen}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_never_go_back_and_nothing_is_withheld_whatever_the_clock_does() {
    let mut story = Story::begin();
    for ahead in [0, -HOUR, YEAR, 0, 2 * YEAR, -YEAR, 30] {
        let mut stream = follow(&story.program).await;
        story.shim.set_clock(ahead);
        for _ in 0..5 {
            story.publish().await;
            assert_followed(&mut stream, *story.ids.last().expect("one was published")).await;
        }
        story.assert_all_there(&format!("{ahead} s ahead")).await;
    }
    for ahead in [-HOUR, 3 * YEAR, 0] {
        story = story.restarted(ahead);
        story.assert_all_there(&format!("started {ahead} s ahead")).await;
        let mut stream = follow(&story.program).await;
        story.publish().await;
        assert_followed(&mut stream, *story.ids.last().expect("one was published")).await;
    }
}

/// Signals take ids without a record: they, too, do not come again after SIGKILL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_of_signals_do_not_come_again_when_the_clock_goes_back_over_a_restart() {
    let mut story = Story::begin();
    story.publish().await;
    let signal = story.program.request(Method::POST, "channels/room-0/signals").body("{\"payload\":1}");
    let answer: Value = signal.send().await.expect("an answer").json().await.expect("JSON");
    let signal: u64 = answer["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
    let mut story = story.restarted(-HOUR);
    story.publish().await;
    assert!(story.ids[1] > signal);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_steps_all_the_time_keeps_order_and_loses_nothing() {
    let mut story = Story::begin();
    let until = Instant::now() + Duration::from_secs(3);
    for step in 0_i64.. {
        if Instant::now() > until {
            break;
        }
        // Forth and back, by more each time.
        story.shim.set_clock(if step % 2 == 0 { step * 7 } else { -step * 11 });
        story.publish().await;
    }
    story.assert_all_there("after many steps").await;
    let story = story.restarted(0);
    story.assert_all_there("after a restart").await;
}

/// A year ahead everything is too old: readers do not see it, and it is there when the clock comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_far_ahead_removes_nothing_also_over_a_restart() {
    let mut story = Story::begin();
    let rule = json!({ "age": "30d", "messages": "unlimited" });
    let request = story.program.request(Method::PUT, "channels/room-0/retention").body(rule.to_string());
    assert_eq!(request.send().await.expect("an answer").status(), StatusCode::OK);
    for _ in 0..5 {
        story.publish().await;
    }
    let hours = json!({ "payload": "for an hour", "ttl": "1h" }).to_string();
    let request = story.program.request(Method::POST, "channels/room-1/messages").body(hours);
    assert_eq!(request.send().await.expect("an answer").status(), StatusCode::CREATED);

    story.shim.set_clock(YEAR);
    for restarts in 0..2 {
        assert_eq!(story.program.history("room-0").await, [] as [Value; 0], "too old to be shown");
        assert_eq!(story.program.history("room-1").await, [] as [Value; 0], "its hour is over");
        let clock = story.program.get("clock").await;
        assert!(clock["doubted_for"].is_u64(), "{clock}");
        maintained(&story.program).await;
        if restarts == 0 {
            story = story.restarted(YEAR);
        }
    }
    story.shim.set_clock(0);
    story.assert_all_there("the clock came back").await;
    assert_eq!(story.program.history("room-1").await.len(), 1, "its hour is not over");
}

/// Waits until maintenance had its turn a few times: what it removes by count goes meanwhile, also in doubt.
async fn maintained(program: &Program) {
    for round in 0..2 {
        let room = format!("counted-{round}-{}", program.address.port());
        for _ in 0..3 {
            program.publish(&room, "1").await;
        }
        let rule = json!({ "age": "forever", "messages": 1 }).to_string();
        let request = program.request(Method::PUT, &format!("channels/{room}/retention")).body(rule);
        assert_eq!(request.send().await.expect("an answer").status(), StatusCode::OK);
        let patience = Instant::now() + PATIENCE;
        // The listing tells the floor that maintenance moved, not what the rule hides.
        while program.get(&format!("channels?prefix={room}")).await["channels"][0]["floor"]["seq"] != 2 {
            assert!(Instant::now() < patience, "maintenance does not come");
        }
    }
}

/// What is due by a clock that runs true goes at its time, and is removed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_to_live_ends_at_its_time() {
    let story = Story::begin();
    let draft = json!({ "payload": "for a moment", "ttl": "2s" }).to_string();
    let sent = Instant::now();
    let request = story.program.request(Method::POST, "channels/room-1/messages").body(draft);
    assert_eq!(request.send().await.expect("an answer").status(), StatusCode::CREATED);
    let answered = Instant::now();
    let patience = Instant::now() + PATIENCE;
    while !story.program.history("room-1").await.is_empty() {
        assert!(Instant::now() < patience, "it does not go");
    }
    assert!(sent.elapsed() >= Duration::from_secs(2), "{:?} and {:?}", sent.elapsed(), answered.elapsed());
}
