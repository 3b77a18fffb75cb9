//! Frames that no client should send. Whoever sends them hears of it; the neighbours notice nothing.

use crate::{
    client::{BINARY, CLOSE, Came, Client, TEXT},
    house::House,
};

/// A neighbour in the room, and whether it is still served.
async fn neighbour(house: &House) -> Client {
    let mut neighbour = house.connect().await;
    neighbour.subscribe("r", "").await;
    neighbour
}

async fn is_served(neighbour: &mut Client) {
    neighbour.publish("r", "\"still here\"").await;
    assert_eq!(neighbour.json().await["message"], "still here");
}

#[tokio::test]
async fn frames_that_are_not_one_object_get_an_error_and_the_connection_goes_on() {
    let house = House::new().await;
    let mut neighbour = neighbour(&house).await;
    let mut client = house.connect().await;
    let deep = "[".repeat(30_000);
    for frame in ["", "x", "[]", "[\"subscribe\"]", "null", "{\"type\":", deep.as_str()] {
        client.send(frame).await;
        assert_eq!(client.text().await, "{\"error\":\"frame: not a JSON object\"}", "{frame:.20}");
    }
    client.send_kind(BINARY, b"{\"type\":\"publish\",\"room\":\"\xc3").await;
    assert_eq!(client.text().await, "{\"error\":\"frame: not UTF-8\"}");
    client.send("{\"type\":\"ping\"}").await;
    client.subscribe("r", "").await;
    is_served(&mut neighbour).await;
}

#[tokio::test]
async fn a_message_that_is_too_large_gets_an_error_and_one_far_too_large_an_end() {
    let house = House::new().await;
    let mut neighbour = neighbour(&house).await;
    let mut client = house.connect().await;
    client.publish("r", &format!("\"{}\"", "x".repeat(32 << 10))).await;
    assert_eq!(client.text().await, "{\"error\":\"message: 32770 bytes, the limit is 32768\"}");
    client.send(&"x".repeat(100_000)).await;
    assert_eq!(client.text().await, "{\"error\":\"frame: too large or not readable\"}");
    let came = client.next().await;
    let Came::Frame(CLOSE, reason) = came else { panic!("not closed: {came:?}") };
    assert_eq!(reason[..2], 1009_u16.to_be_bytes());
    assert_eq!(client.next().await, Came::End);
    let mut busy = house.connect().await;
    for number in 0..10 {
        busy.publish("quiet", &number.to_string()).await;
    }
    busy.send(&"x".repeat(100_000)).await;
    assert_eq!(busy.text().await, "{\"error\":\"frame: too large or not readable\"}");
    let mut huge = house.connect().await;
    huge.send(&"x".repeat(16 << 20)).await;
    while huge.next().await != Came::End {}
    is_served(&mut neighbour).await;
}

#[tokio::test]
async fn text_that_is_not_utf_8_ends_its_connection_and_no_other() {
    let house = House::new().await;
    let mut neighbour = neighbour(&house).await;
    let mut client = house.connect().await;
    client.send_kind(TEXT, b"{\"type\":\"\xff\"}").await;
    while client.next().await != Came::End {}
    is_served(&mut neighbour).await;
}

#[tokio::test]
async fn a_frame_that_breaks_the_protocol_ends_its_connection_and_no_other() {
    let house = House::new().await;
    let mut neighbour = neighbour(&house).await;
    for reserved_opcode in [3, 7, 11, 15] {
        let mut client = house.connect().await;
        client.send_kind(reserved_opcode, b"x").await;
        while client.next().await != Came::End {}
    }
    is_served(&mut neighbour).await;
}

#[tokio::test]
async fn rooms_without_a_name_or_with_too_long_a_one_are_refused() {
    let house = House::new().await;
    let mut client = house.connect().await;
    for (room, error) in
        [("", "room: the name is empty"), (&"x".repeat(10_000), "room: the name has 10000 bytes, the limit is 512")]
    {
        client.send(&format!("{{\"type\":\"subscribe\",\"room\":\"{room}\",\"callback\":1}}")).await;
        assert_eq!(client.text().await, format!("{{\"callback\":1,\"error\":\"{error}\"}}"));
    }
}
