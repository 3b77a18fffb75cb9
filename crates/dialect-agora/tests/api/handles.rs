//! Handles (`protocols/agora-rtm.md` §3.2): good for one page, for at least ten minutes, also after a restart; and what
//! they name is fixed when they are made.

use crate::house::*;
use serde_json::{Value, json};

const LIFE_MS: u64 = 600_000;

async fn status(house: &House, path: &str) -> u16 {
    house.ask(&format!("GET {path}"), "").await.status.as_u16()
}

#[tokio::test]
async fn a_query_is_echoed_and_its_location_can_be_followed_in_every_way() {
    let house = House::new().await;
    let body = with_times(json!({"source": "a"}), json!({"offset": 100, "limit": 20, "order": "asc"}));
    let made = house.ok("POST /rtm/message/history/query", &body).await;
    assert_eq!((&made["offset"], &made["limit"], &made["order"]), (&json!(100), &json!(20), &json!("asc")));
    let location = made["location"].as_str().expect("a location");
    let handle = location.strip_prefix("~/rtm/message/history/query/").expect("the vendor's beginning");
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    assert!(handle.len() >= 16 && handle.bytes().all(is_plain), "{handle}");
    let plain = house.ok("POST /rtm/message/history/query", &with_times(json!({"source": "a"}), json!({}))).await;
    assert_eq!((&plain["offset"], &plain["limit"], &plain["order"]), (&json!(0), &json!(20), &json!("desc")));
    assert_ne!(plain["location"], made["location"]);
}

#[tokio::test]
async fn a_query_with_the_longest_names_can_be_fetched() {
    let house = House::new().await;
    let longest = "\u{1}".repeat(512);
    let page = house.page(&all(json!({"source": longest, "destination": longest}))).await;
    assert_eq!(page["messages"], json!([]));
}

#[tokio::test]
async fn a_handle_is_good_for_one_page_also_after_a_restart() {
    let house = House::new().await;
    house.say("ann", "lobby", "x").await;
    let query = all(json!({"destination": "lobby"}));
    let (used, unused) = (house.query(&query).await, house.query(&query).await);
    assert_eq!(status(&house, &used).await, 200);
    assert_eq!(status(&house, &used).await, 410);
    let house = house.restart().await;
    assert_eq!(status(&house, &used).await, 410, "that it was used is not forgotten");
    let page = house.ok(&format!("GET {unused}"), &Value::Null).await;
    assert_eq!(payloads(&page), ["x"]);
    let gone = house.ask(&format!("GET {unused}"), "").await;
    assert_eq!((gone.status.as_u16(), &gone.json["code"]), (410, &json!("gone")));
}

#[tokio::test]
async fn of_many_who_fetch_at_once_one_gets_the_page() {
    let house = House::new().await;
    let path = house.query(&all(json!({"destination": "lobby"}))).await;
    let fetches = (0..20).map(|_| status(&house, &path));
    let mut statuses = futures_util::future::join_all(fetches).await;
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (200, &[410; 19][..]));
}

#[tokio::test]
async fn an_unread_handle_lives_for_ten_minutes() {
    let house = House::new().await;
    let query = all(json!({"destination": "lobby"}));
    let (in_time, late) = (house.query(&query).await, house.query(&query).await);
    house.later(LIFE_MS);
    assert_eq!(status(&house, &in_time).await, 200);
    house.later(1);
    assert_eq!(status(&house, &late).await, 410);
}

#[tokio::test]
async fn handles_that_were_never_made_here_are_gone() {
    let house = House::new().await;
    let path = house.query(&all(json!({"destination": "lobby"}))).await;
    let (base, handle) = path.rsplit_once('/').expect("a handle at its end");
    let elsewhere = format!("GET /dev/v2/project/{OTHER}{path}");
    let basic = [("authorization", "Basic bWU6c2VjcmV0")];
    assert_eq!(house.call(&elsewhere, &basic, "").await.status, 410, "it is another app's");
    for at in 0..handle.len() {
        let mut changed = handle.as_bytes().to_vec();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        // The last character may hold bits that say nothing; they must be as they were all the same.
        let changed = String::from_utf8(changed).expect("ASCII");
        assert_eq!(status(&house, &format!("{base}/{changed}")).await, 410, "byte {at}");
    }
    for byte in 0..=255_u8 {
        assert_eq!(status(&house, &format!("{base}/%{byte:02X}")).await, 410);
        assert_eq!(status(&house, &format!("{base}/{handle}%{byte:02X}")).await, 410);
    }
    for strange in ["MjIzMDA3OjEyODA5MzkyOQ==", "123456123456", &"A".repeat(10_000), &handle[1..]] {
        assert_eq!(status(&house, &format!("{base}/{strange}")).await, 410);
    }
    assert_eq!(status(&house, &path).await, 200, "the right one is still good");
}

#[tokio::test]
async fn a_page_has_nothing_that_was_sent_after_its_query() {
    let house = House::new().await;
    house.say("ann", "lobby", "before").await;
    let path = house.query(&all(json!({"destination": "lobby"}))).await;
    house.say("ann", "lobby", "after").await;
    let page = house.ok(&format!("GET {path}"), &Value::Null).await;
    assert_eq!(payloads(&page), ["before"]);
}

/// A handle is the query itself: of one that was not fetched nothing is kept, neither in the store nor beside it. So there
/// is no bound that many of them could reach.
#[tokio::test]
async fn any_number_of_handles_may_be_asked_for() {
    let house = House::new().await;
    house.say("ann", "lobby", "x").await;
    let query = all(json!({"destination": "lobby"}));
    let first = house.query(&query).await;
    let kept = records(&house).await;
    for _ in 0..5_000 {
        house.query(&query).await;
    }
    assert_eq!(records(&house).await, kept, "nothing was written");
    let page = house.ok(&format!("GET {first}"), &Value::Null).await;
    assert_eq!(payloads(&page), ["x"], "and none pushes out another");
    assert_eq!(records(&house).await, kept + 1, "that it was used is noted");
}

async fn records(house: &House) -> usize {
    let kind = model::RecordKind::Spent;
    house.channels.records(&app(), kind, b"", None, 1_000).await.expect("records").len()
}
