//! Who may call: the vectors over HTTP, the order between the ways to say who one is, senders, rates, scopes.

use crate::{
    house::*,
    vectors::{Vector, vectors},
};
use dialect_agora::{Rates, Settings};
use edge::Secret;
use model::TICKS_PER_SECOND;
use serde_json::{Value, json};
use service::Scope;

fn token_of<'a>(vectors: &'a [Vector], name: &str) -> &'a str {
    let vector = vectors.iter().find(|vector| vector.name == name).expect("the vector is there");
    &vector.headers["x-agora-token"]
}

fn send_path(app_id: &str, sender: &str) -> String {
    let sender = percent_encoding::utf8_percent_encode(sender, percent_encoding::NON_ALPHANUMERIC);
    format!("POST /dev/v2/project/{app_id}/rtm/users/{sender}/channel_messages")
}

const HELLO: &str = r#"{"channel_name":"lobby","payload":"hello","enable_historical_messaging":true}"#;

#[tokio::test]
async fn every_vector_has_its_verdict_over_http() {
    for vector in vectors() {
        let certificates = vec![Secret::new(vector.app_certificate.as_str())];
        let house = House::with(Settings { certificates, app_id: vector.path_app_id.clone(), ..settings() }).await;
        house.clock.set(vector.now * TICKS_PER_SECOND);
        let headers: Vec<(&str, &str)> = vector.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let count =
            format!("GET /dev/v2/project/{}/rtm/message/history/count?source=a&{ALL_TIMES}", vector.path_app_id);
        let read = house.call(&count, &headers, "").await;
        if vector.expect.verdict == "accept" {
            assert_eq!(read.status, 200, "{}: {}", vector.name, read.json);
            let uid = vector.expect.uid.expect("who it is");
            let sent = house.call(&send_path(&vector.path_app_id, &uid), &headers, HELLO).await;
            assert_eq!(sent.status, 200, "{}: {}", vector.name, sent.json);
            let other = house.call(&send_path(&vector.path_app_id, "somebody else"), &headers, HELLO).await;
            assert_eq!(other.status, 401, "{}", vector.name);
            assert_eq!(other.json["result"], "failed");
        } else {
            assert_eq!(read.status, 401, "{} was accepted", vector.name);
            // Of an empty token the gateway says that there is none.
            let shown =
                headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("x-agora-token") && value.is_empty());
            let expected = if shown { json!({"message": "Unauthorized"}) } else { json!("unauthorized") };
            assert_eq!(if shown { &read.json } else { &read.json["code"] }, &expected, "{}", vector.name);
        }
    }
}

#[tokio::test]
async fn the_gateway_answers_before_the_service() {
    let house = House::new().await;
    let base = format!("/dev/v2/project/{APP}");
    let check = async |ask: String, headers: &[(&str, &str)], status: u16, text: &str| {
        let answer = house.call(&ask, headers, "not even JSON").await;
        assert_eq!((answer.status.as_u16(), answer.json), (status, json!({ "message": text })), "{ask}");
    };
    let no_route = "no Route matched with those values";
    check(format!("GET {base}/rtm/nothing"), &[], 404, no_route).await;
    check(format!("GET {base}/rtm/message/history/query"), &[], 404, no_route).await;
    check("GET /rtm/v3/history".into(), &[], 404, no_route).await;
    check(format!("GET /{base}/nothing"), &[], 404, no_route).await;
    let query = format!("POST {base}/rtm/message/history/query");
    check(query.clone(), &[], 401, "Unauthorized").await;
    let invalid = "Invalid authentication credentials";
    check(query.clone(), &[("authorization", "Basic bWU6d3Jvbmc=")], 401, invalid).await;
    check(query.clone(), &[("authorization", "Bearer x")], 401, invalid).await;
    let unknown = query.replace(APP, "ffffffffffffffffffffffffffffffff");
    check(unknown.clone(), &[], 401, "Unauthorized").await;
    check(unknown, &[("authorization", "Basic bWU6c2VjcmV0")], 401, invalid).await;
    let lower = query.replace(APP, &APP.to_lowercase());
    check(lower, &[("authorization", "Basic bWU6c2VjcmV0")], 401, invalid).await;
}

#[tokio::test]
async fn every_answer_names_its_request_in_digits() {
    let house = House::new().await;
    let first = house.say("ann", "lobby", "x").await;
    let second = house.ask("POST /rtm/message/history/query", "{").await.json;
    for answer in [&first, &second] {
        let id = answer["request_id"].as_str().expect("a text");
        let (run, count) = id.split_once('_').expect("two parts");
        assert!([run, count].iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()) && !part.is_empty()), "{id}");
    }
    assert_ne!(first["request_id"], second["request_id"]);
}

#[tokio::test]
async fn a_token_header_goes_before_a_token_in_authorization() {
    let vectors = vectors();
    let house = House::new().await;
    house.clock.set(1_700_000_000 * TICKS_PER_SECOND);
    let (good, junk) = (token_of(&vectors, "006-valid"), "006junk");
    let count = format!("GET /dev/v2/project/{APP}/rtm/message/history/count?source=a&{ALL_TIMES}");
    let status = async |headers: &[(&str, &str)]| house.call(&count, headers, "").await.status.as_u16();
    let agora = |token: &str| format!("agora token={token}");
    assert_eq!(
        status(&[("x-agora-token", good), ("authorization", &agora(junk)), ("x-agora-uid", "userA")]).await,
        200
    );
    assert_eq!(
        status(&[("x-agora-token", junk), ("authorization", &agora(good)), ("x-agora-uid", "userA")]).await,
        401
    );
    assert_eq!(status(&[("authorization", &agora(good)), ("x-agora-uid", "userA")]).await, 200);
    assert_eq!(status(&[("authorization", &agora(good))]).await, 401, "its user must be named beside it");
    assert_eq!(status(&[("authorization", "Basic bWU6c2VjcmV0"), ("x-agora-token", junk)]).await, 200);
    assert_eq!(
        status(&[("authorization", "Basic bWU6"), ("x-agora-token", good), ("x-agora-uid", "userA")]).await,
        401
    );
    assert_eq!(status(&[("x-agora-token", good), ("x-agora-uid", "userA"), ("api_secret", "stray")]).await, 200);
}

#[tokio::test]
async fn an_open_project_asks_nobody_and_still_refuses_what_is_wrong() {
    let house = House::with(Settings { require_auth: false, ..settings() }).await;
    let path = send_path(APP, "ann");
    assert_eq!(house.call(&path, &[], HELLO).await.status, 200);
    assert_eq!(house.call(&path, &[("x-agora-token", "junk")], HELLO).await.status, 401);
    assert_eq!(house.call(&path, &[("authorization", "Basic bWU6")], HELLO).await.status, 401);
}

#[tokio::test]
async fn each_call_of_an_app_has_its_rate() {
    let rates = Rates { history: 3, send: 2, events: 1 };
    let house = House::with(Settings { rates, ..settings() }).await;
    let query = all(json!({"source": "a"})).to_string();
    let count = format!("GET /rtm/message/history/count?source=a&{ALL_TIMES}");
    let calls = [
        ("POST /rtm/message/history/query", query.as_str(), 3),
        ("GET /rtm/message/history/query/x", "", 3),
        (count.as_str(), "", 3),
        ("POST /rtm/users/ann/channel_messages", HELLO, 2),
        ("POST /rtm/users/ann/peer_messages", HELLO, 0),
        ("GET /rtm/vendor/user_events", "", 1),
        ("GET /rtm/hook/channel_events", "", 1),
    ];
    for (ask, body, admitted) in calls {
        for n in 0..5 {
            let answer = house.ask(ask, body).await;
            let is_refused = answer.status == 429;
            assert_eq!(is_refused, n >= admitted, "{ask}, call {n}");
            if is_refused {
                assert_eq!(answer.json, json!({ "message": "API rate limit exceeded" }));
                assert_eq!(answer.headers["retry-after"], "1");
            }
        }
    }
    house.later(1_000);
    assert_eq!(house.ask(&count, "").await.status, 200, "a second later it goes on");
}

#[tokio::test]
async fn a_project_sees_no_channel_outside_of_its_scope() {
    let house = House::with(Settings { scopes: vec![Scope::Prefix("room.".into())], ..settings() }).await;
    house.say("ann", "room.1", "inside").await;
    let refused = house.ask("POST /rtm/users/ann/channel_messages", HELLO).await;
    assert_eq!((refused.status.as_u16(), &refused.json["code"]), (403, &json!("forbidden")));
    let lobby = model::ChannelName::named("lobby").expect("a name");
    house.publish(&lobby, Some((model::Origin::Native, "ann")), json_payload("1")).await;
    house.tell("ann", "lobby", "to a user of that name").await;
    let page = house.page(&all(json!({"destination": "lobby"}))).await;
    assert_eq!(payloads(&page), ["to a user of that name"]);
    assert_eq!(house.count(&format!("destination=lobby&{ALL_TIMES}")).await, 1);
    assert_eq!(house.count(&format!("source=ann&destination=room.1&{ALL_TIMES}")).await, 1);
    let alone = house.ask(&format!("GET /rtm/message/history/count?source=ann&{ALL_TIMES}"), "").await;
    assert_eq!(alone.status, 403, "a source alone is asked of all channels");
    assert_eq!(alone.json["result"], Value::from("failed"));
}
