//! What a page shows, and how callers walk through history: by offsets, counting first, and by cursors.

use crate::house::*;
use model::{ChannelName, Origin, Payload, PayloadForm, Span, Target};
use serde_json::{Value, json};
use service::{Access, Caller};
use std::sync::Arc;

#[tokio::test]
async fn a_message_has_the_vendors_fields_and_its_id() {
    let house = House::new().await;
    let sent = house.say("userA", "channelA", "123").await;
    house.later(5);
    house.tell("userA", "userB", "456").await;
    let page = house.page(&all(json!({"source": "userA", "destination": ""}))).await;
    let first = &page["messages"][0];
    let ms = first["ms"].as_u64().expect("a whole number");
    assert_eq!(
        first,
        &json!({"src": "userA", "dst": "channelA", "message_type": "group_message", "payload": "123", "ms": ms, "ts": ms,
                "id": sent["id"]})
    );
    let second = &page["messages"][1];
    assert_eq!((&second["dst"], &second["message_type"]), (&json!("userB"), &json!("peer_message")));
    assert_eq!(second["ms"], ms + 5);
    assert_eq!(page["cursor"], Value::Null);
}

#[tokio::test]
async fn callers_who_count_and_then_loop_get_every_message_once() {
    for total in [0, 1, 99, 100, 101, 250] {
        let house = House::new().await;
        for n in 0..total {
            house.say("ann", "class", &n.to_string()).await;
            house.say("ann", "other", "elsewhere").await;
        }
        let times = "start_time=2000-01-01T00:00:00&end_time=2100-01-01T00:00:00";
        let count = house.count(&format!("source=&destination=class&{times}")).await;
        assert_eq!(count, total);
        for order in ["asc", "desc"] {
            let mut found: Vec<String> = Vec::new();
            while (found.len() as u64) < count {
                let body = json!({
                    "filter": {"source": "", "destination": "class", "start_time": "2000-01-01T00:00:00",
                               "end_time": "2100-01-01T00:00:00"},
                    "offset": found.len(), "limit": 100, "order": order,
                });
                let page = house.page(&body).await;
                assert!(!payloads(&page).is_empty(), "it would ask for ever");
                found.extend(payloads(&page).into_iter().map(str::to_owned));
            }
            if order == "desc" {
                found.reverse();
            }
            assert_eq!(found, (0..total).map(|n| n.to_string()).collect::<Vec<_>>());
        }
        let past = with_times(json!({"destination": "class"}), json!({"offset": total}));
        assert_eq!(house.page(&past).await["messages"], json!([]), "past the end");
    }
}

#[tokio::test]
async fn cursors_walk_both_ways_while_messages_come() {
    let house = House::new().await;
    for n in 0..25 {
        house
            .tell(if n % 2 == 0 { "ann" } else { "bob" }, if n % 2 == 0 { "bob" } else { "ann" }, &n.to_string())
            .await;
    }
    for (order, expected) in [("asc", (0..25).collect::<Vec<i32>>()), ("desc", (0..25).rev().collect())] {
        let (mut found, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let rest = json!({"limit": 7, "order": order, "cursor": cursor});
            let page = house.page(&with_times(json!({"between": ["ann", "bob"]}), rest)).await;
            found.extend(payloads(&page).into_iter().map(|text| text.parse::<i32>().expect("a number")));
            cursor = page["cursor"].clone();
            if cursor.is_null() || found.len() > 25 {
                break;
            }
        }
        let walked: Vec<i32> = found.into_iter().filter(|n| *n < 25).collect();
        assert_eq!(walked, expected, "{order}");
        house.tell("ann", "bob", "99").await;
    }
}

#[tokio::test]
async fn what_others_wrote_is_found_by_author_and_by_channel() {
    let house = House::new().await;
    let lobby = ChannelName::named("lobby").expect("a name");
    let text = Payload { form: PayloadForm::Text, bytes: "plain".into() };
    house.publish(&lobby, Some((Origin::Pubnub, "ann")), json_payload(r#"{"a": 1.0}"#)).await;
    house.publish(&lobby, Some((Origin::Scaledrone, "ann")), json_payload(r#""a text""#)).await;
    house.publish(&lobby, Some((Origin::Osmium, "1001")), text).await;
    house.publish(&lobby, None, json_payload("7")).await;
    house.say("ann", "lobby", "own").await;
    let page = house.page(&all(json!({"destination": "lobby"}))).await;
    assert_eq!(payloads(&page), [r#"{"a": 1.0}"#, "a text", "plain", "7", "own"]);
    let sources: Vec<&str> = page["messages"].as_array().unwrap().iter().map(|m| m["src"].as_str().unwrap()).collect();
    assert_eq!(sources, ["ann", "ann", "1001", "", "ann"]);
    for filter in [json!({"source": "ann"}), json!({"source": "ann", "destination": "lobby"})] {
        assert_eq!(payloads(&house.page(&all(filter)).await), [r#"{"a": 1.0}"#, "a text", "own"]);
    }
}

#[tokio::test]
async fn nobody_elses_direct_chats_are_found() {
    let house = House::new().await;
    let caller = Caller { app: app(), user: None, access: Arc::new(Access::admin()) };
    let user = |id: &str| model::UserId::new(Origin::Osmium, id, true).ok();
    let places = [ChannelName::direct("osmium/1001", "osmium/1002"), ChannelName::Member(5, 6)];
    for name in places {
        let channel = model::Channel { app: app(), name };
        let payload = Payload { form: PayloadForm::Text, bytes: "private".into() };
        let draft = service::Draft { author: user("1001"), recipient: user("1002"), ..service::Draft::new(payload) };
        house.channels.publish(&caller, &channel, draft).await.expect("it is published");
    }
    for filter in [
        json!({"source": "1001"}),
        json!({"source": "osmium/1001"}),
        json!({"destination": "1002"}),
        json!({"destination": "osmium/1002"}),
        json!({"destination": "direct osmium/1001/osmium/1002"}),
        json!({"destination": "member 5/6"}),
        json!({"source": "1001", "destination": "1002"}),
        json!({"between": ["1001", "1002"]}),
        json!({"between": ["osmium/1001", "osmium/1002"]}),
    ] {
        assert_eq!(house.page(&all(filter.clone())).await["messages"], json!([]), "{filter}");
    }
}

#[tokio::test]
async fn what_is_deleted_is_in_neither_pages_nor_counts() {
    let house = House::new().await;
    for n in 0..30 {
        house.say("ann", "lobby", &n.to_string()).await;
    }
    let admin = Caller { app: app(), user: None, access: Arc::new(Access::admin()) };
    let lobby = model::Channel { app: app(), name: ChannelName::named("lobby").expect("a name") };
    let page = house.page(&all(json!({"destination": "lobby"}))).await;
    let id = |n: usize| model::Id::from_raw(page["messages"][n]["id"].as_str().unwrap().parse().unwrap());
    let some = Span { after: id(4), upto: id(14) };
    house.channels.delete(&admin, &lobby, Target::Span(some)).await.expect("they are deleted");
    for filter in [json!({"destination": "lobby"}), json!({"source": "ann"})] {
        let rest = json!({"offset": 4, "limit": 3, "order": "asc"});
        assert_eq!(payloads(&house.page(&with_times(filter, rest)).await), ["4", "15", "16"]);
    }
    assert_eq!(house.count(&format!("source=ann&{ALL_TIMES}")).await, 20);
}
