//! The native API against the oracle of the store: exchanges kept as data files, which do not know which server
//! answers, and streams.

use axum::{
    Router,
    body::{Body, BodyDataStream},
};
use dialect_native::{App, Key, Settings, router};
use edge::{CancellationToken, Secret};
use futures_util::StreamExt;
use http::{Request, Response};
use http_body_util::BodyExt;
use model::{AppId, ChannelName};
use serde_json::{Value, value::RawValue};
use service::{Access, AccessWindow, Channels, Parts, Rights, Rule, Scope};
use std::{sync::Arc, time::Duration};
use testkit::{ManualClock, MemoryStore};
use tower::ServiceExt;

const PATIENCE: Duration = Duration::from_secs(30);

struct Api {
    router: Router,
    stop: CancellationToken,
}

fn api() -> Api {
    let clock = Arc::new(ManualClock::default());
    let parts = Parts { store: Arc::new(MemoryStore::new()), fanout: None, search: None, clock: clock.clone() };
    let channels = Channels::start(parts, service::Settings::default()).expect("it starts");
    let stop = CancellationToken::new();
    let settings = Settings { heartbeat: Duration::from_millis(50), ..Settings::default() };
    let app = App { name: AppId::new("demo").expect("a name"), keys: keys() };
    Api { router: router(channels, clock, [app], settings, stop.clone()), stop }
}

/// `admin` may everything, `reader` reads, `writer` writes into `room.*`, `author` everywhere, `one` reads one channel,
/// `late` sees the newest two.
fn keys() -> Vec<Key> {
    let key = |secret: &str, access: Access| Key { secret: Secret::new(secret), access: Arc::new(access) };
    let read = Rights::READ | Rights::HISTORY | Rights::PRESENCE;
    let everywhere = |rights| Access::new([Rule { scope: Scope::Everything, rights }]);
    let mut late = everywhere(read);
    late.window = AccessWindow { newest: Some(2), ..AccessWindow::default() };
    let one = ChannelName::named("one").expect("a name");
    vec![
        key("admin", Access::admin()),
        key("reader", everywhere(read)),
        key("writer", Access::new([Rule { scope: Scope::Prefix("room.".into()), rights: Rights::WRITE }])),
        key("author", everywhere(Rights::WRITE)),
        key("one", Access::new([Rule { scope: Scope::Channel(one), rights: read }])),
        key("late", late),
    ]
}

impl Api {
    async fn call(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.expect("a router always answers")
    }

    async fn publish(&self, body: &str) {
        let response = self.call(request("POST", "/v1/apps/demo/channels/a/messages", Some("admin"), body)).await;
        assert!(response.status().is_success(), "{}", response.status());
    }

    async fn stream(&self, path: &str) -> BodyDataStream {
        let response = self.call(request("GET", path, Some("admin"), "")).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        response.into_body().into_data_stream()
    }
}

fn request(method: &str, path: &str, key: Option<&str>, body: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    request.body(Body::from(body.to_owned())).expect("a request")
}

/// Asks every exchange of a file, in order, of one server that was empty before. An exchange: what it is about, `ask`
/// (method and path), `key`, `headers`, `body` (text), and the answer: `status`, `answer` (which must hold what is
/// written; `"*"` stands for anything), `holds` (texts in it), `sends` (headers). What `keep` names of an answer stands
/// for `{name}` in the exchanges after it.
async fn check(file: &str) {
    let api = api();
    let exchanges: Vec<Box<RawValue>> = serde_json::from_str(file).expect("JSON");
    assert!(!exchanges.is_empty());
    let mut kept: Vec<(String, String)> = Vec::new();
    for exchange in exchanges {
        let text = kept.iter().fold(exchange.get().to_owned(), |text, (name, value)| text.replace(name, value));
        let exchange: Value = serde_json::from_str(&text).expect("JSON");
        let about = exchange["about"].as_str().expect("what it is about");
        let (method, path) = exchange["ask"].as_str().and_then(|ask| ask.split_once(' ')).expect("method and path");
        let body = exchange["body"].as_str().unwrap_or_default();
        let mut request = request(method, path, exchange["key"].as_str(), body);
        for (name, value) in exchange["headers"].as_object().into_iter().flatten() {
            let name = http::HeaderName::try_from(name.as_str()).expect("a header");
            request.headers_mut().insert(name, value.as_str().expect("a text").parse().expect("a value"));
        }
        let response = api.call(request).await;
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(u64::from(head.status.as_u16()), exchange["status"], "{about}: {text}");
        if let Some(expected) = exchange.get("answer") {
            let answer = serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{about}: {error}: {text}"));
            assert!(fits(expected, &answer), "{about}:\nexpected {expected}\nanswered {text}");
        }
        for (name, member) in exchange["keep"].as_object().into_iter().flatten() {
            let answer: Value = serde_json::from_slice(&bytes).expect("JSON");
            let value = answer[member.as_str().expect("a member")].as_str().expect("a text");
            kept.push((format!("{{{name}}}"), value.to_owned()));
        }
        for part in exchange["holds"].as_array().into_iter().flatten() {
            assert!(text.contains(part.as_str().expect("a text")), "{about}: {part} is missing in {text}");
        }
        for (name, value) in exchange["sends"].as_object().into_iter().flatten() {
            assert_eq!(
                head.headers.get(name).map(|value| value.as_bytes()),
                value.as_str().map(str::as_bytes),
                "{about}: {name}"
            );
        }
    }
}

fn fits(expected: &Value, answer: &Value) -> bool {
    match (expected, answer) {
        (Value::String(any), _) if any == "*" => true,
        (Value::Object(expected), Value::Object(answer)) => {
            expected.iter().all(|(name, value)| answer.get(name).is_some_and(|found| fits(value, found)))
        }
        (Value::Array(expected), Value::Array(answer)) => {
            expected.len() == answer.len() && expected.iter().zip(answer).all(|(expected, found)| fits(expected, found))
        }
        _ => expected == answer,
    }
}

#[tokio::test]
async fn publishing() {
    check(include_str!("exchanges/publish.json")).await;
}

#[tokio::test]
async fn pages() {
    check(include_str!("exchanges/history.json")).await;
}

#[tokio::test]
async fn rights_and_paths() {
    check(include_str!("exchanges/rights.json")).await;
}

#[tokio::test]
async fn edits_deletions_reactions_and_changes() {
    check(include_str!("exchanges/alter.json")).await;
}

#[tokio::test]
async fn many_channels_at_once() {
    check(include_str!("exchanges/many.json")).await;
}

#[tokio::test]
async fn presence_and_groups() {
    check(include_str!("exchanges/people.json")).await;
}

#[tokio::test]
async fn retention_holds_erasures_and_clocks() {
    check(include_str!("exchanges/admin.json")).await;
}

#[tokio::test]
async fn grants() {
    check(include_str!("exchanges/grants.json")).await;
}

/// Reads until a text was seen.
async fn read_until(stream: &mut BodyDataStream, text: &str) -> String {
    let mut seen = String::new();
    let read = async {
        while !seen.contains(text) {
            let chunk = stream.next().await.expect("the stream has not ended").expect("it goes on");
            seen += std::str::from_utf8(&chunk).expect("text");
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("{text:?} does not come"));
    seen
}

#[tokio::test]
async fn a_stream_joins_history_and_live_and_says_where_to_go_on() {
    let api = api();
    api.publish(r#"[{"payload":1},{"payload":2}]"#).await;
    let mut stream = api.stream("/v1/apps/demo/channels/a/stream?from=start").await;
    let past = read_until(&mut stream, r#""payload":2}"#).await;
    assert!(past.starts_with("retry: 2000\nevent: position\nid: 0\n"), "{past}");
    assert!(past.contains(r#""payload":1}"#), "{past}");
    api.publish(r#"{"payload":3}"#).await;
    let live = read_until(&mut stream, "\n\n").await;
    assert!(live.contains("event: message\n") && live.contains(r#""channel":"a","payload":3}"#), "{live}");

    let id = live.split("id: ").nth(1).and_then(|rest| rest.lines().next()).expect("an id");
    api.publish(r#"{"payload":4}"#).await;
    let mut again = request("GET", "/v1/apps/demo/channels/a/stream?from=start", Some("admin"), "");
    again.headers_mut().insert("last-event-id", id.parse().expect("a value"));
    let mut again = api.call(again).await.into_body().into_data_stream();
    let seen = read_until(&mut again, r#""payload":4}"#).await;
    assert!(!seen.contains(r#""payload":3}"#), "the last event that was seen comes before from: {seen}");
}

#[tokio::test]
async fn a_stream_shows_signals_beats_and_says_goodbye() {
    let api = api();
    let mut stream = api.stream("/v1/apps/demo/stream?channel=a&pattern=b.*&access_token=unused").await;
    read_until(&mut stream, "event: position").await;
    read_until(&mut stream, ":\n\n").await;
    let signal = request("POST", "/v1/apps/demo/channels/b.c/signals", Some("admin"), "{\"payload\":[1,\r\n2]}");
    assert_eq!(api.call(signal).await.status(), 201);
    let seen = read_until(&mut stream, "\ndata: 2]}\n\n").await;
    assert!(seen.contains("event: signal\n") && seen.contains(r#""channel":"b.c","payload":[1,"#), "{seen}");
    api.stop.cancel();
    read_until(&mut stream, ": stopping\n\n").await;
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_stream_takes_its_key_from_the_query() {
    let api = api();
    let call = async |path: &str| api.call(request("GET", path, None, "")).await.status().as_u16();
    assert_eq!(call("/v1/apps/demo/channels/a/stream?access_token=reader").await, 200);
    assert_eq!(call("/v1/apps/demo/channels/a/stream?access_token=wrong").await, 401);
    assert_eq!(call("/v1/apps/demo/channels/a/messages?access_token=reader").await, 401, "streams only");
}

#[tokio::test]
async fn a_stream_shows_what_happens_to_messages_and_who_is_there() {
    let api = api();
    let mut stream = api.stream("/v1/apps/demo/stream?group=friends&presence=group:friends").await;
    read_until(&mut stream, "event: position").await;
    let call = async |method: &str, path: &str, body: &str| {
        let response = api.call(request(method, &format!("/v1/apps/demo/{path}"), Some("admin"), body)).await;
        assert!(response.status().is_success(), "{method} {path}: {}", response.status());
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        serde_json::from_slice::<Value>(&bytes).expect("JSON")
    };
    call("PUT", "groups/friends/channels/a", "").await;
    let published = call("POST", "channels/a/messages", r#"{"payload":1,"author":"ann"}"#).await;
    let message = format!("channels/a/messages/{}", published["id"].as_str().expect("an id"));
    call("PATCH", &message, r#"{"payload":2}"#).await;
    let reaction = call("POST", &format!("{message}/reactions"), r#"{"user":"bob","value":"smile"}"#).await;
    call("DELETE", &format!("channels/a/reactions/{}", reaction["id"].as_str().expect("an id")), "").await;
    call("POST", "channels/a/presence", r#"{"user":"bob","state":{"n": 1}}"#).await;
    let joined = read_until(&mut stream, "event: presence").await;
    call("DELETE", &message, "").await;
    let seen = joined + &read_until(&mut stream, "event: delete").await;
    let events: Vec<&str> = seen.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(events, ["message", "edit", "reaction", "reaction-removed", "presence", "delete"], "{seen}");
    for part in
        [r#""change":"edit","channel":"a""#, r#""payload":2"#, r#""event":"join","user":"bob","state":{"n": 1}"#]
    {
        assert!(seen.contains(part), "{part} is missing in {seen}");
    }
    call("DELETE", "groups/friends/channels/a", "").await;
    call("POST", "channels/a/messages", r#"{"payload":"unseen"}"#).await;
    call("PUT", "groups/friends/channels/b", "").await;
    call("POST", "channels/b/messages", r#"{"payload":"seen"}"#).await;
    let rest = read_until(&mut stream, r#""payload":"seen"}"#).await;
    assert!(!rest.contains("unseen"), "{rest}");
}
