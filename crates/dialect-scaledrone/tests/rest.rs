//! The REST calls as exchanges: what is asked, and what is answered (`protocols/scaledrone.md` §8).

use axum::{Router, body::Body};
use base64::{Engine, prelude::*};
use dialect_scaledrone::{HistoryCap, RoomHistory, RoomPattern, Settings, Waits, router};
use edge::{CancellationToken, Secret};
use hmac::{Hmac, KeyInit, Mac};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use model::AppId;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use service::{Channels, Parts, Scope};
use sha2::Sha256;
use std::sync::Arc;
use testkit::{ManualClock, MemoryStore};
use tower::ServiceExt;

fn house() -> Router {
    let clock = Arc::new(ManualClock::default());
    let parts = Parts { store: Arc::new(MemoryStore::new()), fanout: None, search: None, clock: clock.clone() };
    let channels = Channels::start(parts, service::Settings::default()).expect("it starts");
    let settings = ["open", "guarded"].map(|channel| Settings {
        require_auth: channel == "guarded",
        history: Some(HistoryCap { messages: 3, age: None }),
        rooms: vec![RoomHistory { room: RoomPattern("quiet".to_owned()), history: None }],
        reachable: vec![Scope::Prefix("".into())],
        ..Settings::new(AppId::new("app").expect("a name"), channel, Some(Secret::new("s3cret")))
    });
    let narrow = Settings {
        reachable: vec![Scope::Prefix("room.".into())],
        ..Settings::new(AppId::new("narrow").expect("a name"), "narrow", None)
    };
    let settings = settings.into_iter().chain([narrow]);
    router(channels, settings, Waits::default(), clock, &mut Registry::default(), CancellationToken::new())
}

/// Asks, and checks the status; the answer as JSON, which all answers of this dialect are.
async fn ask(house: &Router, ask: &str, headers: &[(&str, &str)], body: &str, expected: u16) -> Value {
    let (method, path) = ask.split_once(' ').expect("method and path");
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).expect("a request");
    let answer = house.clone().oneshot(request).await.expect("a router always answers");
    let status = answer.status();
    let bytes = answer.into_body().collect().await.expect("a whole answer").to_bytes();
    assert_eq!(status.as_u16(), expected, "{ask}: {}", String::from_utf8_lossy(&bytes));
    if status == StatusCode::NOT_FOUND || status == StatusCode::METHOD_NOT_ALLOWED {
        return Value::Null;
    }
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{ask}: {error}"))
}

async fn payloads(house: &Router, channel: &str, room: &str) -> Vec<Value> {
    let secret = basic(channel, "s3cret");
    let page = ask(house, &format!("GET /{channel}/{room}/history"), &[("authorization", &secret)], "", 200).await;
    let messages = page["messages"].as_array().expect("messages");
    messages.iter().map(|message| message["payload"].clone()).collect()
}

fn basic(channel: &str, secret: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{channel}:{secret}")))
}

fn bearer(permissions: &Value) -> String {
    let claims = json!({ "channel": "guarded", "exp": 4_000_000_000_u64, "permissions": permissions });
    let signed = format!(
        "{}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#),
        BASE64_URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(b"s3cret").expect("any key");
    mac.update(signed.as_bytes());
    format!("Bearer {signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

#[tokio::test]
async fn rooms_are_segments_of_paths_however_they_are_escaped() {
    let house = house();
    for (path, room) in
        [("a%2Fb", "a%2Fb"), ("%C3%A4%20%F0%9F%8E%89", "%C3%A4%20%F0%9F%8E%89"), ("publish", "%70ublish")]
    {
        ask(&house, &format!("POST /open/{path}/publish"), &[], "hi", 200).await;
        assert_eq!(payloads(&house, "open", room).await, ["hi"], "{path}");
    }
    ask(&house, "POST /open/publish/rooms?r=x&other=1&r=y+z&r=%26", &[], "hi", 200).await;
    for room in ["x", "y%20z", "%26"] {
        assert_eq!(payloads(&house, "open", room).await, ["hi"], "{room}");
    }
    ask(&house, "POST /open/%FF/publish", &[], "hi", 400).await;
    ask(&house, "POST /open/a%00b/publish", &[], "hi", 400).await;
    ask(&house, "POST /open/publish/rooms?r=%FF", &[], "hi", 400).await;
    let many = "r=x&".repeat(101);
    ask(&house, &format!("POST /open/publish/rooms?{many}"), &[], "hi", 400).await;
}

#[tokio::test]
async fn only_paths_of_known_channels_are_taken() {
    let house = house();
    for path in
        ["GET /other/stats", "GET /v1/stats", "GET /publish/rooms", "POST /publish/rooms?r=a", "GET /open", "GET /"]
    {
        ask(&house, path, &[], "", 404).await;
    }
    ask(&house, "GET /open/r/publish", &[], "", 405).await;
    ask(&house, "POST /open/stats", &[], "", 405).await;
}

#[tokio::test]
async fn rooms_outside_of_what_the_dialect_may_reach_are_refused() {
    let house = house();
    ask(&house, "POST /narrow/room.a/publish", &[], "hi", 200).await;
    let refused = ask(&house, "POST /narrow/hall/publish", &[], "hi", 403).await;
    assert_eq!(refused, json!({ "message": "room: not served here" }));
    ask(&house, "GET /narrow/room.a/history", &[], "", 403).await;
    ask(&house, "GET /narrow/stats", &[("authorization", &basic("narrow", ""))], "", 401).await;
}

#[tokio::test]
async fn json_is_kept_as_it_was_spelled_within_its_bounds() {
    let house = house();
    let headers = [("content-type", "Application/JSON; charset=utf-8")];
    for body in [" {\"b\": 1.50, \"a\":[]} ", "\"text\"", "null"] {
        ask(&house, "POST /open/json/publish", &headers, body, 200).await;
    }
    assert_eq!(payloads(&house, "open", "json").await, [json!({ "a": [], "b": 1.5 }), json!("text"), Value::Null]);
    let deep = format!("{}{}", "[".repeat(101), "]".repeat(101));
    ask(&house, "POST /open/json/publish", &headers, &deep, 400).await;
    ask(&house, "POST /open/json/publish", &headers, &"1".repeat((32 << 10) + 1), 413).await;
}

#[tokio::test]
async fn credentials_decide_what_is_seen() {
    let house = house();
    let feed = bearer(&json!({ "^feed$": { "publish": true, "subscribe": true, "history": 2 } }));
    let feed = [("authorization", feed.as_str())];
    for number in 0..5 {
        ask(&house, "POST /guarded/feed/publish", &feed, &number.to_string(), 200).await;
    }
    ask(&house, "POST /guarded/other/publish", &feed, "x", 403).await;
    ask(&house, "POST /guarded/feed/publish", &[], "x", 401).await;
    ask(&house, "POST /guarded/feed/publish", &[("authorization", "Basic !")], "x", 401).await;
    ask(&house, "POST /guarded/feed/publish", &[("authorization", "Digest x")], "x", 401).await;
    let parts = ask(&house, "GET /guarded/stats", &[("authorization", "Bearer a.b")], "", 401).await;
    assert_eq!(parts, json!({ "message": "JWT does not have 3 parts" }));
    ask(&house, "GET /guarded/other/members", &feed, "", 403).await;
    assert_eq!(ask(&house, "GET /guarded/rooms", &feed, "", 200).await, json!([]));

    let page = ask(&house, "GET /guarded/feed/history?limit=9", &feed, "", 200).await;
    let seen: Vec<&Value> = page["messages"].as_array().expect("messages").iter().map(|m| &m["payload"]).collect();
    assert_eq!(seen, ["3", "4"], "no more than the token's newest two");
    let older = format!("GET /guarded/feed/history?before={}", page["messages"][0]["id"].as_str().expect("an id"));
    assert_eq!(ask(&house, &older, &feed, "", 200).await["messages"], json!([]), "nor by going back");
    assert_eq!(payloads(&house, "guarded", "feed").await, ["2", "3", "4"], "the channel's cap");
    ask(&house, "GET /open/quiet/history", &[], "", 403).await;
    ask(&house, "GET /open/feed/history?after=x", &[], "", 400).await;
}
