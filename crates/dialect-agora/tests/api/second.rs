//! History of the 2.x API: from the newest back, without a hole or a double whatever the milliseconds of the messages.

use crate::house::*;
use model::{ChannelName, Clock, Origin, TICKS_PER_MS};
use serde_json::{Value, json};

async fn get(house: &House, kind: &str, name: &str, parameters: &str) -> Value {
    let path = format!("/rtm/v2/history/{APP}/userId/reader/channelType/{kind}/channel/{name}?{parameters}");
    let answer = house.call(&format!("GET {path}"), &[("authorization", "Basic bWU6c2VjcmV0")], "").await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.json);
    answer.json
}

fn texts(answer: &Value) -> Vec<String> {
    let list = answer["data"]["messageList"].as_array().expect("a list");
    assert_eq!(answer["data"]["count"], list.len());
    list.iter().map(|message| message["message"].as_str().expect("a text").to_owned()).collect()
}

#[tokio::test]
async fn an_answer_has_the_vendors_shape() {
    let house = House::new().await;
    let sent = house.say("ann", "lobby", "hello").await;
    let now = house.clock.now_ticks() / TICKS_PER_MS;
    let mut answer = get(&house, "message", "lobby", "").await;
    assert!(answer["requestId"].is_string());
    answer["requestId"] = Value::Null;
    assert_eq!(
        answer,
        json!({
            "errorCode": 200, "error": false, "requestId": null, "operation": "getMessage", "reason": "", "timestamp": now,
            "data": {
                "messageList": [{"messageType": "STRING", "message": "hello", "customType": "", "publisher": "ann",
                                 "timestamp": now, "id": sent["id"]}],
                "count": 1, "newStart": 0,
            },
        })
    );
}

#[tokio::test]
async fn channels_and_what_users_received_are_told_apart() {
    let house = House::new().await;
    house.say("ann", "bob", "in a channel").await;
    house.tell("ann", "bob", "to a user").await;
    house.tell("bob", "ann", "back").await;
    assert_eq!(texts(&get(&house, "message", "bob", "").await), ["in a channel"]);
    assert_eq!(texts(&get(&house, "user", "bob", "").await), ["to a user"]);
    assert_eq!(texts(&get(&house, "user", "ann", "").await), ["back"]);
    let empty = get(&house, "message", "nowhere", "").await;
    assert_eq!((texts(&empty).len(), &empty["data"]["newStart"]), (0, &json!(0)));
}

#[tokio::test]
async fn both_bounds_are_inside_and_may_be_given_either_way_round() {
    let house = House::new().await;
    let began = house.clock.now_ticks() / TICKS_PER_MS;
    for n in 0..6 {
        house.say("ann", "lobby", &n.to_string()).await;
        house.later(10);
    }
    let at = |n: u64| began + 10 * n;
    for (start, end, expected) in [
        (at(3), at(1), vec!["3", "2", "1"]),
        (at(1), at(3), vec!["3", "2", "1"]),
        (at(3), 0, vec!["3", "2", "1", "0"]),
        (0, at(4), vec!["5", "4"]),
        (at(3) - 1, at(1) + 1, vec!["2"]),
        (at(9), at(8), vec![]),
    ] {
        let found = get(&house, "message", "lobby", &format!("start={start}&end={end}")).await;
        assert_eq!(texts(&found), expected, "{start} {end}");
    }
}

/// Groups of messages of one millisecond, of every size around a page's.
#[tokio::test]
async fn pages_have_no_hole_and_no_double_whatever_shares_a_millisecond() {
    let house = House::new().await;
    let lobby = ChannelName::named("lobby").expect("a name");
    let mut sent: Vec<String> = Vec::new();
    for size in [1, 2, 3, 9, 10, 11, 25, 1, 1, 40] {
        for _ in 0..size {
            let payload = model::Payload { form: model::PayloadForm::Text, bytes: sent.len().to_string().into() };
            house.publish(&lobby, Some((Origin::Native, "ann")), payload).await;
            sent.push(sent.len().to_string());
        }
        house.later(1);
    }
    sent.reverse();
    for count in [1, 2, 5, 10, 12, 100] {
        let (mut found, mut start) = (Vec::new(), 0);
        loop {
            let page = get(&house, "message", "lobby", &format!("start={start}&messageCount={count}")).await;
            let texts = texts(&page);
            assert!(texts.len() <= count.max(10) && !texts.is_empty(), "{} of {count}", texts.len());
            found.extend(texts);
            start = page["data"]["newStart"].as_u64().expect("a number");
            assert!(start < 1 << 53, "JavaScript must be able to hold it");
            if start == 0 {
                break;
            }
        }
        assert_eq!(found, sent, "pages of {count}");
    }
}
