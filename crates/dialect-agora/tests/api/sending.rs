//! Sending (`protocols/agora-rtm.md` §4): what is answered, what is kept, what others see of it.

use crate::house::*;
use model::{Channel, ChannelName, Origin, PayloadForm};
use serde_json::{Value, json};
use service::{Access, Caller, Query, Topic};
use std::sync::Arc;

#[tokio::test]
async fn a_message_is_in_the_history_when_it_is_answered_if_its_sender_asks_for_it() {
    let house = House::new().await;
    for (kept, expected) in [(json!(true), 1), (json!(false), 0), (Value::Null, 0)] {
        let channel = format!("room {kept}");
        let body = json!({"channel_name": channel, "payload": "x", "enable_historical_messaging": kept, "extra": {}});
        let sent = house.ok("POST /rtm/users/ann/channel_messages", &body).await;
        assert_eq!(sent["code"], "message_sent");
        assert!(sent["id"].as_str().is_some_and(|id| id.parse::<u64>().is_ok()));
        let page = house.page(&all(json!({"destination": channel}))).await;
        assert_eq!(payloads(&page).len(), expected, "{kept}");
        if expected > 0 {
            assert_eq!(page["messages"][0]["id"], sent["id"]);
        }
    }
}

#[tokio::test]
async fn nobody_acknowledges_and_waiting_is_answered_with_offline() {
    let house = House::new().await;
    let body = json!({"destination": "bob", "payload": "x", "enable_offline_messaging": true});
    for (parameters, code) in [
        ("", "message_sent"),
        ("?wait_for_ack=false", "message_sent"),
        ("?wait_for_ack=", "message_sent"),
        ("?wait_for_ack=true", "message_offline"),
        ("?wait_for_ack=1", "message_offline"),
    ] {
        for path in ["peer_messages", "peer_message"] {
            let sent = house.ok(&format!("POST /rtm/users/ann/{path}{parameters}"), &body).await;
            assert_eq!(sent["code"], code, "{parameters}");
        }
    }
    let wrong = house.ask("POST /rtm/users/ann/peer_messages?wait_for_ack=yes", &body.to_string()).await;
    assert_eq!((wrong.status.as_u16(), &wrong.json["code"]), (400, &json!("invalid_parameter")));
}

#[tokio::test]
async fn ids_of_every_allowed_character_are_kept_as_they_are() {
    let house = House::new().await;
    let id = "a b!#$%&()+-:;<=.>?@[]^_{}|~,'Z9";
    let encoded = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC).to_string();
    house.say(&encoded, id, "in a channel").await;
    house.tell(&encoded, id, "to a user").await;
    let page = house.page(&all(json!({"source": id, "destination": id}))).await;
    assert_eq!(payloads(&page), ["in a channel", "to a user"]);
    for message in page["messages"].as_array().expect("messages") {
        assert_eq!((message["src"].as_str(), message["dst"].as_str()), (Some(id), Some(id)));
    }
    let parameters = format!("source={encoded}&destination=%22{encoded}%22&{ALL_TIMES}");
    assert_eq!(house.count(&parameters).await, 2);
}

#[tokio::test]
async fn payloads_are_texts_up_to_their_bound() {
    let house = House::new().await;
    let largest = "ä".repeat(16 << 10);
    for (n, payload) in ["{\"t\":1}", "\"quoted\"", " ", "\u{1F389}\n\0", largest.as_str()].into_iter().enumerate() {
        house.say("ann", &format!("room{n}"), payload).await;
        let page = house.page(&all(json!({"destination": format!("room{n}")}))).await;
        assert_eq!(payloads(&page), [payload]);
    }
    let too_long = json!({"channel_name": "r", "payload": format!("{largest}x")}).to_string();
    let answer = house.ask("POST /rtm/users/ann/channel_messages", &too_long).await;
    assert_eq!((answer.status.as_u16(), &answer.json["message"]), (400, &json!("payload: 1 to 32768 bytes of UTF-8")));
    let escaped = format!(r#"{{"channel_name":"r","payload":"{}"}}"#, "\\u0041".repeat(32 << 10));
    assert_eq!(house.ask("POST /rtm/users/ann/channel_messages", &escaped).await.status, 200, "escapes count once");
}

#[tokio::test]
async fn others_see_what_is_sent_to_a_channel_and_nothing_of_what_is_sent_to_a_user() {
    let house = House::new().await;
    let admin = Caller { app: app(), user: None, access: Arc::new(Access::admin()) };
    let lobby = ChannelName::named("lobby").expect("a name");
    let mut live = house.channels.subscribe(&admin, vec![Topic::Channel(lobby.clone())], None).await.expect("followed");
    house.tell("ann", "lobby", "to a user of that name").await;
    house.ok("POST /rtm/users/ann/channel_messages", &json!({"channel_name": "lobby", "payload": "not kept"})).await;
    house.say("ann", "lobby", "kept").await;
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let delivery = tokio::time::timeout(PATIENCE, live.next()).await.expect("in time").expect("it goes on");
        for item in delivery.items {
            let model::Change::Channel(change) = &*item.change else { continue };
            heard.extend(change.what.message().cloned());
        }
    }
    let texts: Vec<&[u8]> = heard.iter().map(|message| &message.payload.bytes[..]).collect();
    assert_eq!(texts, [b"not kept", &b"kept"[..]]);
    let channel = Channel { app: app(), name: lobby };
    let page = house.channels.history(&admin, &channel, &Query::newest(10)).await.expect("a page");
    let [message] = &page.page.messages[..] else { panic!("one message is kept") };
    let author = message.author.as_ref().expect("an author");
    assert_eq!((author.origin, &*author.id, author.verified), (Origin::Agora, "ann", false), "the customer may say so");
    assert_eq!(message.payload.form, PayloadForm::Text);
}
