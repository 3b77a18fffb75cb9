//! Publishing, reading, following, and what machines ask about the program.

use crate::program::{PATIENCE, Program};
use reqwest::{Method, Response};
use serde_json::json;
use tokio::time::timeout;

/// Reads a stream until it holds a text.
pub async fn read_until(stream: &mut Response, text: &str) -> String {
    let mut seen = String::new();
    let read = async {
        while !seen.contains(text) {
            let chunk = stream.chunk().await.expect("the stream goes on").expect("the stream has not ended");
            seen += std::str::from_utf8(&chunk).expect("text");
        }
    };
    timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("{text:?} does not come"));
    seen
}

#[tokio::test]
async fn what_was_published_is_read_and_followed_also_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start(folder.path());
    let first = program.publish("lobby", r#"{"n":1}"#).await;
    assert_eq!(first["seq"], 1);
    assert_eq!(first["durability"], "disk");
    program.publish("lobby", r#"{"n":2}"#).await;
    program.kill();

    let program = Program::start(folder.path());
    let payloads: Vec<_> =
        program.history("lobby").await.into_iter().map(|message| message["payload"].clone()).collect();
    assert_eq!(payloads, [json!({"n": 1}), json!({"n": 2})]);

    let request = program
        .request(Method::GET, "channels/lobby/stream")
        .header("Last-Event-ID", first["id"].as_str().expect("an id"));
    let mut stream = request.send().await.expect("a stream");
    let past = read_until(&mut stream, r#"{"n":2}"#).await;
    assert!(!past.contains(r#"{"n":1}"#), "it begins after the last event that was seen: {past}");
    program.publish("lobby", r#"{"n":3}"#).await;
    read_until(&mut stream, r#"{"n":3}"#).await;

    let channels = program.get("channels?prefix=lo").await;
    assert_eq!(channels["channels"][0]["name"], "lobby");
    assert_eq!(channels["channels"][0]["head"]["seq"], 3);
}

/// The value of a metric.
fn counted(metrics: &str, name: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
    line.trim().parse().unwrap_or_else(|_| panic!("{name}{line} is no number"))
}

#[tokio::test]
async fn probes_answer_and_metrics_count() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start(folder.path());
    let get = async |path: &str| {
        let answer = reqwest::get(format!("http://{}{path}", program.address)).await.expect("an answer");
        assert!(answer.status().is_success(), "{path}");
        answer.text().await.expect("text")
    };
    assert_eq!(get("/healthz").await, "ok\n");
    assert_eq!(get("/readyz").await, "ready\n");
    let before = get("/metrics").await;
    program.publish("lobby", "1").await;
    let after = get("/metrics").await;
    // The program keeps records of its own, so that more may be stored meanwhile.
    for name in ["scrollback_changes_stored_total", "scrollback_store_batches_total"] {
        assert!(counted(&after, name) > counted(&before, name), "{name}");
    }
    let answers = "scrollback_http_answers_total{status=\"2xx\"}";
    assert_eq!((counted(&before, answers), counted(&after, answers)), (2, 4));
}
