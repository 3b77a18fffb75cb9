//! What callers may get wrong, a row each: the status, the code, and that the answer says what is wrong.

use crate::house::*;
use serde_json::{Value, json};

const TIMES: &str = r#""start_time":"2019-08-01T01:22:10Z","end_time":"2019-08-01T01:32:10Z""#;

async fn refused(house: &House, ask: &str, body: &str, status: u16, code: &str) {
    let answer = house.ask(ask, body).await;
    assert_eq!(answer.status, status, "{ask} {body:.200}: {}", answer.json);
    assert_eq!((&answer.json["result"], &answer.json["code"]), (&json!("failed"), &json!(code)), "{ask} {body:.200}");
    let text = answer.json["message"].as_str().expect("a text");
    assert!(!text.is_empty() && answer.json["reason"] == text, "{ask}");
    assert!(answer.json["request_id"].is_string(), "{ask}");
}

#[tokio::test]
async fn queries() {
    let house = House::new().await;
    let filter = |fields: &str| format!(r#"{{"filter":{{{fields}}}}}"#);
    let with = |rest: &str| format!(r#"{{"filter":{{"source":"a",{TIMES}}},{rest}}}"#);
    let rows = [
        String::new(),
        "{".into(),
        "null".into(),
        "[]".into(),
        r#""x""#.into(),
        "{}".into(),
        r#"{"filter":7}"#.into(),
        filter(TIMES),
        filter(&format!(r#""source":"","destination":null,{TIMES}"#)),
        filter(&format!(r#""source":7,{TIMES}"#)),
        filter(&format!(r#""source":{{}},{TIMES}"#)),
        filter(r#""source":"a""#),
        filter(r#""source":"a","start_time":"2019-08-01T01:22:10Z""#),
        filter(r#""source":"a","start_time":1564622530,"end_time":1564622530"#),
        filter(r#""source":"a","start_time":"2019-08-01T01:22:10Z","end_time":"2019-08-01T01:22:09Z""#),
        filter(r#""source":"a","start_time":"2019-08-01T01:22:10+01:00","end_time":"2019-08-01T01:32:10Z""#),
        filter(r#""source":"a","start_time":"yesterday","end_time":"2019-08-01T01:32:10Z""#),
        with(r#""limit":0"#),
        with(r#""limit":101"#),
        with(r#""limit":"20""#),
        with(r#""limit":1.5"#),
        with(r#""limit":-5"#),
        with(r#""offset":-1"#),
        with(r#""offset":"1""#),
        with(r#""order":"up""#),
        with(r#""cursor":"zzz""#),
        with(&format!(r#""x":"{}""#, "x".repeat(300 << 10))),
        "\"\\ud800\"".into(),
    ];
    for body in rows {
        refused(&house, "POST /rtm/message/history/query", &body, 400, "invalid_parameter").await;
    }
    let unknown = with(r#""off_set":0,"limit":10,"unknown":{"deep":[1]}"#);
    assert_eq!(house.ask("POST /rtm/message/history/query", &unknown).await.status, 200, "unknown keys are ignored");
}

#[tokio::test]
async fn counts() {
    let house = House::new().await;
    let times = "start_time=2019-08-01T01:22:10Z&end_time=2019-08-01T01:32:10Z";
    for parameters in [
        String::new(),
        "source=a".into(),
        times.into(),
        format!("source=&destination=&{times}"),
        format!("source=%ff&{times}"),
        format!("source=%00&{times}"),
        "source=a&start_time=2019-08-01T01:22:10Z&end_time=2018-08-01T01:22:10Z".into(),
        "source=a&start_time=2019-08-01T01:22:10%2B01:00&end_time=2019-08-01T01:32:10Z".into(),
        format!("source={}&{times}", "x".repeat(600)),
        format!("between=a&{times}"),
        format!("between=a&between=b&source=c&{times}"),
    ] {
        refused(&house, &format!("GET /rtm/message/history/count?{parameters}"), "", 400, "invalid_parameter").await;
    }
    assert_eq!(house.count(&format!("&&source=a&unknown=%zz&{times}")).await, 0);
}

#[tokio::test]
async fn messages() {
    let house = House::new().await;
    let long = "x".repeat(65);
    let (peer, channel) = ("POST /rtm/users/ann/peer_messages", "POST /rtm/users/ann/channel_messages");
    let rows = [
        (peer, json!({"payload": "x"})),
        (peer, json!({"destination": "bob"})),
        (peer, json!({"destination": "", "payload": "x"})),
        (peer, json!({"destination": long, "payload": "x"})),
        (peer, json!({"destination": "a/b", "payload": "x"})),
        (peer, json!({"destination": "ä", "payload": "x"})),
        (peer, json!({"destination": 7, "payload": "x"})),
        (peer, json!({"destination": null, "payload": "x"})),
        (peer, json!({"destination": "bob", "payload": {"t": 1}})),
        (peer, json!({"destination": "bob", "payload": ""})),
        (peer, json!({"destination": "bob", "payload": null})),
        (peer, json!({"destination": "bob", "payload": "x".repeat(32_769)})),
        (peer, json!({"destination": "bob", "payload": "x".repeat(300 << 10)})),
        (peer, json!({"destination": "bob", "payload": "x", "enable_offline_messaging": "true"})),
        (peer, json!({"destination": "bob", "payload": "x", "enable_historical_messaging": 1})),
        (channel, json!({"destination": "lobby", "payload": "x"})),
        (channel, json!({"channel_name": "a\"b", "payload": "x"})),
        (channel, json!({"channel_name": "lobby", "payload": ["x"]})),
        (channel, json!({"channel_name": "lobby", "payload": "x", "enable_historical_messaging": "yes"})),
    ];
    for (ask, body) in rows {
        refused(&house, ask, &body.to_string(), 400, "invalid_parameter").await;
    }
    for body in ["", "{", "[]", "payload=x", r#"{"channel_name":"r","payload":"\ud800"}"#] {
        refused(&house, channel, body, 400, "invalid_parameter").await;
    }
    let fine = json!({"channel_name": "lobby", "payload": "x"}).to_string();
    for sender in ["%20ann", "ann%20", "a%2Fb", "%C3%A4", "%FF", "a%22b", long.as_str()] {
        refused(&house, &format!("POST /rtm/users/{sender}/channel_messages"), &fine, 400, "invalid_parameter").await;
    }
    let page = house.page(&all(json!({"destination": "lobby"}))).await;
    assert_eq!(page["messages"], json!([]), "nothing of it was kept");
}

#[tokio::test]
async fn the_second_generation_says_it_in_its_own_shape() {
    let house = House::new().await;
    let basic = [("authorization", "Basic bWU6c2VjcmV0")];
    let path = format!("/rtm/v2/history/{APP}/userId/ann/channelType/message/channel/lobby");
    for parameters in
        ["start=x", "end=-1", "start=1.5", "messageCount=0", "messageCount=101", "messageCount=x", "start=%ff"]
    {
        let answer = house.call(&format!("GET {path}?{parameters}"), &basic, "").await;
        assert_eq!(answer.status, 400, "{parameters}");
        assert_eq!((&answer.json["errorCode"], &answer.json["error"]), (&json!(400), &Value::Bool(true)));
        assert!(answer.json["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{parameters}");
    }
    let user = path.replace("/ann/", "/%C3%A4/");
    assert_eq!(house.call(&format!("GET {user}"), &basic, "").await.status, 400);
    let none = house.call(&format!("GET {path}"), &[], "").await;
    assert_eq!((none.status.as_u16(), none.json), (401, json!({"message": "Unauthorized"})));
}
