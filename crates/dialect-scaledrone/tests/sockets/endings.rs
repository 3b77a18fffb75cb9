//! How connections end: by the client, by the server, by nobody at all.

use crate::{
    client::{CLOSE, Came, Client, PATIENCE, PING, PONG, TEXT},
    house::{CONNECTIONS, House},
};
use dialect_scaledrone::Waits;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_close_of_the_client_is_answered() {
    let house = House::new().await;
    let mut client = house.connect().await;
    client.send_kind(CLOSE, &1000_u16.to_be_bytes()).await;
    assert_eq!(client.next().await, Came::Frame(CLOSE, 1000_u16.to_be_bytes().to_vec()));
    assert_eq!(client.next().await, Came::End);
    let mut without_code = house.connect().await;
    without_code.send_kind(CLOSE, b"").await;
    assert!(matches!(without_code.next().await, Came::Frame(CLOSE, _)));
}

#[tokio::test]
async fn a_stop_drops_connections_without_a_close_frame() {
    let house = House::new().await;
    let mut idle = house.connect().await;
    let mut member = house.connect().await;
    member.subscribe("r", "").await;
    let mut new = Client::open(house.address, "").await;
    house.stop.cancel();
    for client in [&mut idle, &mut member, &mut new] {
        assert_eq!(client.next().await, Came::End, "after a close frame, JavaScript clients would not come back");
    }
}

#[tokio::test]
async fn who_is_turned_away_gets_a_code_and_is_cut_off_even_if_it_never_answers() {
    let house = House::new().await;
    let mut client = Client::open(house.address, "").await;
    client.send("{\"type\":\"handshake\",\"channel\":\"nope\",\"callback\":0}").await;
    assert_eq!(client.text().await, "{\"callback\":0,\"error\":\"Channel not found\"}");
    let Came::Frame(CLOSE, reason) = client.next().await else { panic!("not closed") };
    assert_eq!(reason[..2], 1008_u16.to_be_bytes());
    assert_eq!(client.next().await, Came::End);
}

/// Long enough for a busy machine to answer in time, and no longer.
const SHORT: Waits =
    Waits { ping: Duration::from_secs(1), write: Duration::from_secs(1), close: Duration::from_millis(100) };

#[tokio::test]
async fn who_does_not_answer_pings_is_dropped_and_who_does_is_not() {
    let house = House::with(SHORT).await;
    let mut quiet = house.connect().await;
    let mut alive = house.connect().await;
    let began = Instant::now();
    for _ in 0..4 {
        assert_eq!(alive.next().await, Came::Frame(PING, Vec::new()));
        alive.send_kind(PONG, b"").await;
    }
    assert!(began.elapsed() >= SHORT.ping * 3);
    assert_eq!(quiet.next().await, Came::Frame(PING, Vec::new()));
    assert_eq!(quiet.next().await, Came::End);
}

#[tokio::test]
async fn who_never_shakes_hands_is_turned_away() {
    let house = House::with(SHORT).await;
    let mut client = Client::open(house.address, "").await;
    assert!(matches!(client.next().await, Came::Frame(CLOSE, _)));
}

/// The kernel buffers some megabytes for a reader that takes nothing; then its connection is cut, while its neighbour
/// got everything.
#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_off_and_delays_nobody() {
    let house = House::with(Waits { ping: Duration::from_secs(60), ..SHORT }).await;
    let mut slow = house.connect().await;
    slow.subscribe("observable-r", "").await;
    let mut neighbour = house.connect().await;
    neighbour.subscribe("observable-r", "").await;
    let mut author = house.connect().await;
    let message = format!("\"{}\"", "x".repeat(30_000));
    for _ in 0..400 {
        author.publish("observable-r", &message).await;
    }
    let (mut messages, mut left) = (0, false);
    while messages < 400 || !left {
        let Came::Frame(TEXT, frame) = neighbour.next().await else { panic!("the neighbour is cut off") };
        match frame.starts_with(b"{\"type\":\"publish\"") {
            true => messages += 1,
            false => left |= frame.starts_with(b"{\"type\":\"observable_member_leave\""),
        }
    }
    while slow.next().await != Came::End {}
}

#[tokio::test]
async fn one_connection_too_many_is_refused_at_once_and_its_place_is_free_again() {
    let house = House::new().await;
    let mut connected = Vec::new();
    for _ in 0..CONNECTIONS {
        connected.push(house.connect().await);
    }
    let mut refused = Client::open(house.address, "").await;
    refused.send("{\"type\":\"handshake\",\"channel\":\"open\",\"callback\":0}").await;
    assert_eq!(refused.text().await, "{\"callback\":0,\"error\":\"connection limit exceeded\"}");
    assert!(matches!(refused.next().await, Came::Frame(CLOSE, _)));

    // Sockets that say nothing are of no channel yet; there is a bound for those of all channels together.
    let mut silent = Vec::new();
    let refusal = loop {
        match Client::try_open(house.address, "").await {
            Ok(client) => silent.push(client),
            Err(refusal) => break refusal,
        }
        assert!(silent.len() <= CONNECTIONS);
    };
    assert!(refusal.starts_with("HTTP/1.1 503 "), "{refusal}");

    for mut leaving in [connected.remove(0), silent.remove(0)] {
        leaving.send_kind(CLOSE, b"").await;
        while leaving.next().await != Came::End {}
    }
    let again = async {
        while Client::try_open(house.address, "").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("a place that was left is free again");
}
