//! Events (`protocols/agora-rtm.md` §5): fed by the presence of any dialect, handed out once, the newest kept.

use crate::house::*;
use model::{ChannelName, Origin, UserId};
use serde_json::{Value, json};
use service::{Access, Arrival, Caller};
use std::{sync::Arc, time::Duration};

fn user(name: &str) -> Caller {
    let user = UserId::new(Origin::Pubnub, name, false).ok();
    Caller { app: app(), user, access: Arc::new(Access::admin()) }
}

fn rooms(names: &[&str]) -> Vec<ChannelName> {
    names.iter().map(|name| ChannelName::named(name).expect("a name")).collect()
}

async fn come(house: &House, name: &str, to: &[&str]) {
    let arrival = Arrival { connection: "one".into(), timeout: None, state: None, data: None };
    house.channels.arrive(&user(name), &rooms(to), arrival).await.expect("it comes");
}

async fn go(house: &House, name: &str, from: &[&str]) {
    house.channels.leave(&user(name), Some(&rooms(from)), &"one".into()).await.expect("it goes");
}

/// Takes events of a kind until so many have come.
async fn take(house: &House, kind: &str, count: usize) -> Vec<Value> {
    let mut events = Vec::new();
    let taking = async {
        while events.len() < count {
            let answer = house.ok(&format!("GET /rtm/vendor/{kind}"), &Value::Null).await;
            events.extend(answer["events"].as_array().expect("a list").iter().cloned());
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, taking).await.unwrap_or_else(|_| panic!("{count} events of {kind} do not come"));
    events
}

fn short(event: &Value) -> String {
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
    format!("{} {} {}", text("user_id"), text("type"), text("group_id"))
}

/// Waits until the collector follows: what comes before it does is nobody's to tell.
async fn followed(house: House) -> House {
    let following = async {
        while house.channels.status().subscriptions < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, following).await.expect("both projects are followed");
    house
}

#[tokio::test]
async fn who_comes_and_goes_is_told_once_and_in_order() {
    let house = followed(House::new().await).await;
    assert_eq!(house.ok("GET /rtm/vendor/user_events", &Value::Null).await["events"], json!([]));
    come(&house, "ann", &["a", "b"]).await;
    come(&house, "bob", &["a"]).await;
    let joined = take(&house, "channel_events", 3).await;
    assert_eq!(joined.iter().map(short).collect::<Vec<_>>(), ["ann Join a", "ann Join b", "bob Join a"]);
    let event = &joined[0];
    assert!(event["ms"].as_u64().is_some_and(|ms| ms > 0) && event["ts"] == event["ms"], "{event}");
    assert_eq!(event["channel_id"], "a");
    assert_eq!(
        take(&house, "user_events", 2).await.iter().map(short).collect::<Vec<_>>(),
        ["ann Login -", "bob Login -"]
    );

    go(&house, "ann", &["a"]).await;
    come(&house, "ann", &["c"]).await;
    go(&house, "bob", &["a"]).await;
    go(&house, "ann", &["b", "c"]).await;
    let moved = take(&house, "channel_events", 5).await;
    let expected = ["ann Leave a", "ann Join c", "bob Leave a", "ann Leave b", "ann Leave c"];
    assert_eq!(moved.iter().map(short).collect::<Vec<_>>(), expected);
    let gone: Vec<String> = take(&house, "user_events", 2).await.iter().map(short).collect();
    assert_eq!(gone, ["bob Logout -", "ann Logout -"], "who moved from one channel to another stayed online");
    for kind in ["user_events", "channel_events"] {
        assert_eq!(house.ok(&format!("GET /rtm/vendor/{kind}"), &Value::Null).await["events"], json!([]), "handed out");
    }
}

/// On crowded channels it is only told who is there now: who went and came back did not come twice.
#[tokio::test]
async fn who_was_away_unannounced_does_not_join_again() {
    let work = service::Settings {
        presence_announced_users: 1,
        presence_interval: Duration::from_millis(1),
        look: Duration::from_millis(5),
        ..service::Settings::default()
    };
    let house = followed(House::within(work).await).await;
    come(&house, "ann", &["crowd"]).await;
    come(&house, "bob", &["crowd"]).await;
    house.later(5);
    let joined = take(&house, "channel_events", 2).await;
    assert_eq!(joined.iter().map(short).collect::<Vec<_>>(), ["ann Join crowd", "bob Join crowd"]);
    come(&house, "eve", &["crowd"]).await;
    go(&house, "bob", &["crowd"]).await;
    come(&house, "bob", &["crowd"]).await;
    house.later(5);
    let joined = take(&house, "channel_events", 1).await;
    assert_eq!(joined.iter().map(short).collect::<Vec<_>>(), ["eve Join crowd"]);
}

/// On crowded channels nobody is announced by name, and long lists of who came and went are left out: who is nowhere any
/// more has gone all the same.
#[tokio::test]
async fn who_went_unannounced_is_told_to_have_gone() {
    let work = service::Settings {
        presence_announced_users: 1,
        presence_interval: Duration::from_millis(1),
        presence_interval_users: 0,
        look: Duration::from_millis(5),
        ..service::Settings::default()
    };
    let house = followed(House::within(work).await).await;
    come(&house, "ann", &["crowd"]).await;
    assert_eq!(take(&house, "user_events", 1).await.iter().map(short).collect::<Vec<_>>(), ["ann Login -"]);
    come(&house, "bob", &["crowd"]).await;
    come(&house, "eve", &["crowd"]).await;
    go(&house, "ann", &["crowd"]).await;
    house.later(5);
    assert_eq!(take(&house, "user_events", 1).await.iter().map(short).collect::<Vec<_>>(), ["ann Logout -"]);
}

#[tokio::test]
async fn at_most_a_thousand_come_at_once_and_the_newest_two_thousand_are_kept() {
    let house = followed(House::new().await).await;
    for n in 0..2_100 {
        come(&house, &format!("u{n}"), &[&format!("room{}", n % 50)]).await;
    }
    come(&house, "marker", &["end"]).await;
    // The collector is done when it has told of the last one; user events are put in before those of channels.
    let mut last = String::new();
    let mut answers: Vec<usize> = Vec::new();
    let mut users: Vec<String> = Vec::new();
    let waiting = async {
        while !last.starts_with("marker") {
            let events = house.ok("GET /rtm/vendor/channel_events", &Value::Null).await;
            last = events["events"].as_array().and_then(|list| list.last()).map(short).unwrap_or(last);
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it is told");
    for _ in 0..3 {
        let events = house.ok("GET /rtm/vendor/user_events", &Value::Null).await;
        let events = events["events"].as_array().expect("a list").clone();
        answers.push(events.len());
        users.extend(events.iter().map(|event| event["user_id"].as_str().expect("a user").to_owned()));
    }
    assert_eq!(answers, [1_000, 1_000, 0]);
    assert_eq!((users[0].as_str(), users[1_999].as_str()), ("u101", "marker"), "the oldest were dropped");
}
