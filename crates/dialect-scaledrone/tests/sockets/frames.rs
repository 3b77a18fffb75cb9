//! What is sent, and in which order.

use crate::{
    client::{BINARY, Client, PING, PONG},
    house::{House, channel},
};
use bytes::Bytes;
use model::{Origin, Payload, PayloadForm, UserId};
use serde_json::{Value, json};
use service::Draft;

#[tokio::test]
async fn text_and_binary_frames_are_read_and_text_is_sent() {
    let house = House::new().await;
    let mut client = house.connect().await;
    client.send_kind(BINARY, b"{\"type\":\"subscribe\",\"room\":\"r\",\"callback\":1}").await;
    assert_eq!(client.text().await, "{\"callback\":1}");
    client.send_in_pieces("{\"type\":\"publish\",\"room\":\"r\",\"message\":\"\u{e4}\"}").await;
    assert_eq!(client.json().await["message"], "\u{e4}");
    client
        .send_in_pieces(&format!("{{\"type\":\"publish\",\"room\":\"r\",\"message\":\"{}\"}}", "x".repeat(1_000)))
        .await;
    assert_eq!(client.json().await["message"], "x".repeat(1_000));
}

#[tokio::test]
async fn any_origin_may_come_and_compression_is_declined() {
    let house = House::new().await;
    let headers = "Origin: http://elsewhere.example\r\n\
                   Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let client = Client::open(house.address, headers).await;
    assert!(!client.head.to_ascii_lowercase().contains("sec-websocket-extensions"), "{}", client.head);
}

#[tokio::test]
async fn pings_of_a_client_are_answered() {
    let house = House::new().await;
    let mut client = house.connect().await;
    client.send_kind(PING, b"are you there").await;
    assert_eq!(client.next().await, crate::client::Came::Frame(PONG, b"are you there".to_vec()));
}

#[tokio::test]
async fn frames_after_a_subscribe_come_in_the_documented_order() {
    let house = House::new().await;
    let (mut author, author_id) = Client::connect(house.address, "open").await;
    author.subscribe("observable-r", "").await;
    assert_eq!(author.json().await["type"], "observable_members");
    for number in 0..7 {
        author.publish("observable-r", &number.to_string()).await;
    }
    let mut live = Vec::new();
    for _ in 0..7 {
        live.push(author.json().await);
    }

    let (mut reader, reader_id) = Client::connect(house.address, "open").await;
    reader.subscribe("observable-r", ",\"history\":5,\"history_count\":5").await;
    let members = json!({
        "type": "observable_members", "room": "observable-r", "data": [{"id": author_id}, {"id": reader_id}]
    });
    assert_eq!(reader.json().await, members);
    for (index, number) in (2..7).enumerate() {
        let expected = json!({
            "type": "history_message", "room": "observable-r", "message": number, "index": index,
            "id": live[number]["id"], "timestamp": live[number]["timestamp"], "client_id": author_id,
        });
        assert_eq!(reader.json().await, expected, "as it was live, but for its type and place");
    }
    author.publish("observable-r", "7").await;
    assert_eq!(reader.json().await["message"], 7);
    assert_eq!(author.json().await["type"], "observable_member_join");
}

#[tokio::test]
async fn who_names_the_last_message_it_saw_gets_what_it_missed() {
    let house = House::new().await;
    let mut author = house.connect().await;
    author.subscribe("r", "").await;
    let mut ids = Vec::new();
    for number in 0..150 {
        author.publish("r", &number.to_string()).await;
        ids.push(author.json().await["id"].as_str().expect("an id").to_owned());
    }
    let missed = async |seen: usize, fields: &str| {
        let mut reader = house.connect().await;
        let frame = format!(
            "{{\"type\":\"subscribe\",\"room\":\"r\",\"history_after\":\"{}\"{fields},\"callback\":\"s\"}}",
            ids[seen]
        );
        reader.send(&frame).await;
        let answer = reader.json().await;
        reader.publish("r", "\"end\"").await;
        let mut messages = Vec::new();
        loop {
            let frame = reader.json().await;
            if frame["type"] == "publish" {
                return (answer["history_complete"].clone(), messages);
            }
            assert_eq!(frame["index"], messages.len());
            messages.push(frame["message"].clone());
        }
    };
    let numbers = |range: std::ops::Range<u64>| range.map(Value::from).collect::<Vec<_>>();
    assert_eq!(missed(147, "").await, (true.into(), numbers(148..150)));
    let ended = |mut messages: Vec<Value>, ends: usize| {
        messages.extend(std::iter::repeat_n(Value::from("end"), ends));
        messages
    };
    assert_eq!(missed(149, "").await, (true.into(), ended(vec![], 1)));
    assert_eq!(missed(52, "").await, (true.into(), ended(numbers(53..150), 2)));
    assert_eq!(missed(40, "").await, (false.into(), ended(numbers(53..150), 3)), "only the newest 100");
    assert_eq!(missed(140, ",\"history_count\":4").await, (false.into(), ended(vec![], 4)));
}

#[tokio::test]
async fn what_other_dialects_wrote_has_its_author_as_client() {
    let house = House::new().await;
    let mut reader = house.connect().await;
    reader.subscribe("r", "").await;
    let payload = Payload { form: PayloadForm::Text, bytes: Bytes::from_static(b"say \"hi\"") };
    let author = UserId::new(Origin::Agora, "agora-ann", true).ok();
    let draft = Draft { author, ..Draft::new(payload.clone()) };
    house.channels.publish(&house.admin(), &channel("r"), draft).await.expect("it is published");
    let unstored = Draft { store: false, ..Draft::new(payload) };
    house.channels.publish(&house.admin(), &channel("r"), unstored).await.expect("it is published");

    let live = reader.json().await;
    assert_eq!((&live["message"], &live["client_id"]), (&json!("say \"hi\""), &json!("agora-ann")));
    let unstored = reader.json().await;
    assert_eq!((&unstored["message"], unstored.get("client_id")), (&json!("say \"hi\""), None));

    let mut later = house.connect().await;
    later.subscribe("r", ",\"history_count\":9").await;
    let history = later.json().await;
    assert_eq!((&history["type"], &history["id"]), (&json!("history_message"), &live["id"]));
    later.publish("r", "\"mine\"").await;
    assert_eq!(later.json().await["message"], "mine", "what was not stored is not history");
    let stored = house.stored("r");
    let mine = stored.last().expect("two are stored");
    assert_eq!(&mine.payload.bytes[..], b"\"mine\"");
    assert!(mine.author.as_ref().is_some_and(|author| author.origin == Origin::Scaledrone && !author.verified));
}

#[tokio::test]
async fn payloads_are_sent_as_their_authors_spelled_them() {
    let house = House::new().await;
    let mut client = house.connect().await;
    client.subscribe("r", "").await;
    for spelled in ["1.50", "1e400", "{ \"b\":1,\n \"a\":[ ] , \"b\":2}", "\"\\u00e4\\/\"", "12345678901234567890123"] {
        client.publish("r", spelled).await;
        assert!(client.text().await.contains(&format!("\"message\":{spelled},\"id\"")), "{spelled}");
    }
}

#[tokio::test]
async fn a_publish_with_a_callback_is_answered_and_their_order_is_kept() {
    let house = House::new().await;
    let mut client = house.connect().await;
    for number in 0..300 {
        client
            .send(&format!(
                "{{\"type\":\"publish\",\"room\":\"r{}\",\"message\":{number},\"callback\":{number}}}",
                number % 3
            ))
            .await;
    }
    for number in 0..300 {
        assert_eq!(client.json().await, json!({ "callback": number }));
    }
    for room in 0..3 {
        let stored = house.stored(&format!("r{room}"));
        let numbers = stored.iter().map(|message| String::from_utf8_lossy(&message.payload.bytes).into_owned());
        let expected: Vec<String> = (room..300).step_by(3).map(|number| number.to_string()).collect();
        assert_eq!(numbers.collect::<Vec<_>>(), expected);
    }
}
