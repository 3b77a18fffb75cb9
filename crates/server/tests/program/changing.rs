//! What is there, and who may see it, changes while somebody reads.

use crate::{program::Program, work::read_until};
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// Deleting while a reader pages: what stays comes once, what went says so, and the counts add up.
#[tokio::test]
async fn deleting_while_a_reader_pages_makes_no_double_and_no_hole() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start(folder.path());
    let body: Vec<Value> = (1..=60).map(|number| json!({ "payload": number })).collect();
    let request = program.request(Method::POST, "channels/lobby/messages").json(&body);
    let outcomes: Vec<Value> = request.send().await.expect("an answer").json().await.expect("JSON");
    let id = |number: usize| outcomes[number - 1]["id"].as_str().expect("an id");

    let (mut seen, mut missing, mut query) = (Vec::new(), 0, "?since=0&limit=10".to_owned());
    for page_number in 0.. {
        let page = program.get(&format!("channels/lobby/messages{query}")).await;
        seen.extend(page["messages"].as_array().expect("messages").iter().map(|one| one["payload"].clone()));
        missing += page["page"]["missing"]["deleted"].as_u64().expect("a number");
        // One that was read, one that comes next, and a span ahead of the reader.
        match page_number {
            0 => {
                delete(&program, "DELETE", &format!("channels/lobby/messages/{}", id(5)), None, 1).await;
                delete(&program, "DELETE", &format!("channels/lobby/messages/{}", id(11)), None, 1).await;
            }
            1 => {
                let span = format!("channels/lobby/messages?since={}&upto={}", id(31), id(40));
                delete(&program, "DELETE", &span, None, 10).await;
                let ids = json!({ "ids": [id(1), id(50), id(50)] });
                delete(&program, "POST", "channels/lobby/messages/delete", Some(ids), 2).await;
            }
            _ => {}
        }
        match page["page"]["next"].as_str() {
            Some(next) => query = next.to_owned(),
            None => break,
        }
    }
    let expected: Vec<Value> =
        (1..=60).filter(|n| *n != 11 && *n != 50 && !(31..=40).contains(n)).map(Value::from).collect();
    assert_eq!(seen, expected, "what was read before it went, and all that stayed");
    assert_eq!(seen.len() as u64 + missing, 60, "the pages say what they skipped");
    assert_eq!(program.get("channels/lobby/count").await["count"], 46);
    program.kill();
    let program = Program::start(folder.path());
    assert_eq!(program.get("channels/lobby/count").await["count"], 46, "also after a restart");
}

async fn delete(program: &Program, method: &str, path: &str, body: Option<Value>, went: u64) {
    let request = program.request(Method::from_bytes(method.as_bytes()).expect("a method"), path);
    let request = if let Some(body) = body { request.json(&body) } else { request };
    let answer: Value = request.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(answer["deleted"], went, "{path}: {answer}");
}

#[tokio::test]
async fn a_right_withdrawn_between_two_pages_refuses_the_next_and_ends_the_stream() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start(folder.path());
    for payload in ["1", "2", "3"] {
        program.publish("lobby", payload).await;
    }
    let grant = json!({ "may": ["read"], "channels": ["lobby"], "user": "ann", "ttl": "1h" });
    let grant: Value = program
        .request(Method::POST, "grants")
        .json(&grant)
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let token = grant["token"].as_str().expect("a token");
    let get = async |path: &str| {
        let url = format!("http://{}/v1/apps/demo/{path}", program.address);
        Client::new().get(url).bearer_auth(token).send().await.expect("an answer")
    };
    let mut stream = get("channels/lobby/stream?from=start").await;
    read_until(&mut stream, r#""payload":3}"#).await;
    let page: Value = get("channels/lobby/messages?since=0&limit=1").await.json().await.expect("JSON");
    let next = page["page"]["next"].as_str().expect("a next page");

    let path = format!("grants/{}", grant["id"].as_str().expect("an id"));
    assert!(program.request(Method::DELETE, &path).send().await.expect("an answer").status().is_success());
    assert_eq!(get(&format!("channels/lobby/messages{next}")).await.status(), 401);
    program.publish("lobby", "4").await;
    let last = read_until(&mut stream, "event: error").await;
    assert!(!last.contains(r#""payload":4}"#), "nothing that came after it: {last}");
    let end = async {
        let mut rest = String::new();
        while let Ok(Some(chunk)) = stream.chunk().await {
            rest += &String::from_utf8_lossy(&chunk);
        }
        rest
    };
    let rest = tokio::time::timeout(crate::program::PATIENCE, end).await.expect("the stream ends");
    assert!((last + &rest).contains(r#""status":403"#), "{rest}");
}
