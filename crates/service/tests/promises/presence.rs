//! Who is on a channel: joins, leaves, silence, states, intervals, and that it stays within bounds.

use crate::rig::*;
use bytes::Bytes;
use model::{Change, ChannelName, ErrorKind, Origin, PresenceEvent, TICKS_PER_SECOND, UserId, What};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use service::{Arrival, Caller, Here, Settings, Subscription, Topic, WhoIsHere};
use std::{collections::BTreeSet, time::Duration};
use testkit::Outcome;

fn settings() -> Settings {
    Settings { look: Duration::from_millis(2), ..Settings::default() }
}

fn user(id: &str) -> UserId {
    UserId::new(Origin::Native, id, true).expect("a user")
}

fn as_user(id: &str) -> Caller {
    Caller { user: Some(user(id)), ..admin() }
}

fn name(text: &str) -> ChannelName {
    ChannelName::named(text).expect("a name")
}

fn connection(key: &str, timeout_s: Option<u64>) -> Arrival {
    Arrival { connection: key.into(), timeout: timeout_s.map(Duration::from_secs), state: None, data: None }
}

async fn arrive(rig: &Rig, id: &str, key: &str, timeout_s: Option<u64>) {
    let arrived = rig.channels.arrive(&as_user(id), &[name("room")], connection(key, timeout_s)).await;
    arrived.expect("it arrives");
}

async fn leave(rig: &Rig, id: &str, key: &str) {
    rig.channels.leave(&as_user(id), Some(&[name("room")]), &key.into()).await.expect("it leaves");
}

async fn watch(rig: &Rig) -> Subscription {
    rig.channels.subscribe(&admin(), vec![Topic::Presence(name("room"))], None).await.expect("followed")
}

async fn here(rig: &Rig, limit: usize, offset: usize) -> Here {
    let asked = WhoIsHere { channels: Some(vec![name("room")]), after: None, limit, offset };
    rig.channels.here(&admin(), &asked).await.expect("an answer").remove(0)
}

async fn ids_here(rig: &Rig) -> Vec<String> {
    here(rig, 10_000, 0).await.members.iter().map(|member| member.user.id.to_string()).collect()
}

/// The next `count` events as text, in order.
async fn events(watcher: &mut Subscription, count: usize) -> Vec<String> {
    let mut told = Vec::new();
    while told.len() < count {
        told.extend(next(watcher).await.items.iter().map(|item| in_words(&item.change)));
    }
    assert_eq!(told.len(), count, "more was announced: {told:?}");
    told
}

fn event_of(change: &Change) -> (&PresenceEvent, u64) {
    match change {
        Change::Channel(change) => match &change.what {
            What::Presence(presence) => (&presence.event, presence.occupancy),
            other => panic!("{other:?} was delivered to who follows presence"),
        },
        Change::Record(_) => panic!("records are not delivered"),
    }
}

fn in_words(change: &Change) -> String {
    let list = |users: &[UserId]| {
        let ids: BTreeSet<&str> = users.iter().map(|user| &*user.id).collect();
        ids.into_iter().collect::<Vec<_>>().join(",")
    };
    let state = |state: &Option<Bytes>| String::from_utf8_lossy(state.as_deref().unwrap_or_default()).into_owned();
    let (event, occupancy) = event_of(change);
    match event {
        PresenceEvent::Joined { user, state: with, .. } => format!("{} joined{} {occupancy}", user.id, state(with)),
        PresenceEvent::Left { user, state: with, .. } => format!("{} left{} {occupancy}", user.id, state(with)),
        PresenceEvent::TimedOut { user, .. } => format!("{} timed out {occupancy}", user.id),
        PresenceEvent::StateChanged { user, state: with } => format!("{} is {} {occupancy}", user.id, state(with)),
        PresenceEvent::Interval { joined, left, timed_out } => {
            format!("+{} -{} ~{} {occupancy}", list(joined), list(left), list(timed_out))
        }
    }
}

#[tokio::test]
async fn a_user_joins_with_the_first_connection_and_leaves_with_the_last() {
    let rig = Rig::with(settings());
    let mut watcher = watch(&rig).await;
    let mut reader = rig.follow(&["room"], None).await;
    arrive(&rig, "ann", "phone", None).await;
    arrive(&rig, "ann", "laptop", None).await;
    arrive(&rig, "ann", "laptop", None).await;
    arrive(&rig, "bob", "phone", None).await;
    leave(&rig, "ann", "phone").await;
    leave(&rig, "eve", "phone").await;
    assert_eq!(ids_here(&rig).await, ["ann", "bob"]);
    leave(&rig, "ann", "laptop").await;
    assert_eq!(events(&mut watcher, 3).await, ["ann joined 1", "bob joined 2", "ann left 1"]);
    assert_eq!(ids_here(&rig).await, ["bob"]);
    rig.publish("room", "hi").await;
    assert_eq!(texts(&take(&mut reader, 1).await), ["hi"], "who follows messages sees nobody come and go");
}

#[tokio::test]
async fn the_same_key_of_another_user_is_another_connection() {
    let rig = Rig::with(settings());
    arrive(&rig, "ann", "socket", None).await;
    arrive(&rig, "bob", "socket", None).await;
    leave(&rig, "bob", "socket").await;
    let unverified = Caller { user: Some(UserId { verified: false, ..user("ann") }), ..admin() };
    rig.channels.leave(&unverified, None, &"socket".into()).await.expect("nothing to do");
    assert_eq!(ids_here(&rig).await, ["ann"], "nor does a name that was not proved leave for the one that was");
}

#[tokio::test]
async fn who_falls_silent_times_out_and_who_is_heard_does_not() {
    let rig = Rig::with(settings());
    let mut watcher = watch(&rig).await;
    arrive(&rig, "ann", "a", Some(30)).await;
    arrive(&rig, "bob", "b", Some(30)).await;
    arrive(&rig, "dan", "d", None).await;
    assert_eq!(events(&mut watcher, 3).await.len(), 3);
    rig.clock.advance_seconds(20);
    let missing = rig.channels.heartbeat(&as_user("ann"), &[name("room"), name("hall")], &"a".into()).await;
    assert_eq!(missing.expect("heard"), [name("hall")], "it says where it is not");
    rig.clock.advance_seconds(15);
    assert_eq!(events(&mut watcher, 1).await, ["bob timed out 2"]);
    rig.clock.advance_seconds(14);
    // Announced by a look at the clock of now, which found nobody else silent.
    arrive(&rig, "eve", "e", None).await;
    assert_eq!(events(&mut watcher, 1).await, ["eve joined 3"]);
    rig.clock.advance_seconds(1);
    assert_eq!(events(&mut watcher, 1).await, ["ann timed out 2"]);
    rig.clock.set_back_seconds(1_000);
    arrive(&rig, "fay", "f", Some(30)).await;
    rig.clock.advance_seconds(29);
    arrive(&rig, "gus", "g", None).await;
    assert_eq!(events(&mut watcher, 2).await, ["fay joined 3", "gus joined 4"], "a wall that jumps changes nothing");
}

#[tokio::test]
async fn states_are_kept_told_and_bounded() {
    let rig = Rig::with(settings());
    let mut watcher = watch(&rig).await;
    let ann = as_user("ann");
    let away = Some(Bytes::from_static(br#"{"s":"away"}"#));
    let absent = rig.channels.set_state(&ann, &[name("room")], away.clone()).await.expect("an answer");
    assert_eq!(absent, [name("room")], "who is not there has no state");
    let mut arrival = connection("a", None);
    (arrival.state, arrival.data) = (Some("1".into()), Some("opaque".into()));
    rig.channels.arrive(&ann, &[name("room")], arrival).await.expect("it arrives");
    rig.channels.set_state(&ann, &[name("room")], away.clone()).await.expect("it is set");
    rig.channels.set_state(&ann, &[name("room")], away.clone()).await.expect("it is set");
    leave(&rig, "bob", "b").await;
    let there = rig.channels.state(&ann, &[name("room"), name("hall")], &user("ann")).await.expect("an answer");
    assert_eq!(there[0].as_ref().map(|member| member.state.clone()), Some(away));
    assert_eq!(there[0].as_ref().and_then(|member| member.data.clone()), Some("opaque".into()));
    assert_eq!(there[1], None);
    assert_eq!(rig.channels.where_is(&admin(), &user("ann")).await.expect("an answer"), [name("room")]);
    leave(&rig, "ann", "a").await;
    let expected = ["ann joined1 1", r#"ann is {"s":"away"} 1"#, r#"ann left{"s":"away"} 0"#];
    assert_eq!(events(&mut watcher, 3).await, expected, "an equal state is not told again");
    let large = Some(Bytes::from(vec![b'1'; model::limits::PRESENCE_STATE_BYTES + 1]));
    let error = rig.channels.set_state(&ann, &[name("room")], large).await.expect_err("too large");
    assert_eq!(error.kind, ErrorKind::TooLarge);
    assert_eq!(rig.channels.status().presence_bytes, 0, "nothing is left of who has gone");
}

#[tokio::test]
async fn nobody_is_there_after_a_restart_until_heard_of_again() {
    let rig = Rig::with(settings());
    arrive(&rig, "ann", "a", Some(300)).await;
    rig.channels.stop().await;
    let rig = rig.restart();
    assert_eq!(rig.channels.occupancy(&admin(), &name("room")).await.expect("an answer"), 0);
    let mut watcher = watch(&rig).await;
    let missing = rig.channels.heartbeat(&as_user("ann"), &[name("room")], &"a".into()).await.expect("heard");
    assert_eq!(missing, [name("room")]);
    arrive(&rig, "ann", "a", Some(300)).await;
    assert_eq!(events(&mut watcher, 1).await, ["ann joined 1"]);
}

#[tokio::test]
async fn above_a_size_only_intervals_are_told() {
    let rig = Rig::with(Settings { presence_announced_users: 2, ..settings() });
    let mut watcher = watch(&rig).await;
    for id in ["a", "b", "c", "d", "e"] {
        arrive(&rig, id, id, None).await;
    }
    leave(&rig, "e", "e").await;
    assert_eq!(events(&mut watcher, 2).await, ["a joined 1", "b joined 2"]);
    rig.clock.advance_seconds(10);
    assert_eq!(events(&mut watcher, 1).await, ["+c,d -e ~ 4"], "of who came and went it tells the end");
    leave(&rig, "a", "a").await;
    arrive(&rig, "f", "f", Some(5)).await;
    rig.clock.advance_seconds(10);
    assert_eq!(events(&mut watcher, 1).await, ["+ -a ~f 3"]);
    arrive(&rig, "g", "g", None).await;
    leave(&rig, "b", "b").await;
    leave(&rig, "c", "c").await;
    leave(&rig, "d", "d").await;
    assert_eq!(events(&mut watcher, 3).await, ["+g -b ~ 3", "c left 2", "d left 1"], "small again: one by one");
}

#[tokio::test]
async fn ten_thousand_on_one_channel_stay_within_bounds() {
    const USERS: usize = 10_000;
    let rig = Rig::with(settings());
    let mut watcher = watch(&rig).await;
    for at in 0..USERS {
        arrive(&rig, &format!("user-{at}"), "a", Some(60)).await;
    }
    assert_eq!(events(&mut watcher, 100).await[99], "user-99 joined 100");
    rig.clock.advance_seconds(10);
    assert_eq!(events(&mut watcher, 1).await, ["+ - ~ 10000"], "too many to list: a reader asks");
    let page = here(&rig, 1_000, 9_500).await;
    assert_eq!((page.occupancy, page.members.len()), (USERS, 500));
    assert_eq!(here(&rig, usize::MAX, 0).await.members.len(), rig.settings.presence_listed);
    let status = rig.channels.status();
    assert_eq!(status.presence_connections, USERS);
    assert!(status.presence_bytes < 8 << 20, "{} bytes", status.presence_bytes);
    assert!(status.ring_bytes < 1 << 20, "{} bytes in the ring", status.ring_bytes);
    rig.clock.advance_seconds(60);
    let told = events(&mut watcher, 102).await;
    assert_eq!(told[0], "+ - ~ 101", "first what happened while it was large");
    assert!(told[1].ends_with("timed out 100") && told[101].ends_with("timed out 0"), "{told:?}");
    assert_eq!(rig.channels.status().presence_bytes, 0);
}

#[tokio::test]
async fn every_bound_refuses_all_of_a_call_or_nothing() {
    let rig = Rig::with(Settings { presence_connections: 3, presence_user_channels: 2, ..settings() });
    let (one, two, three) = (name("1"), name("2"), name("3"));
    let arrive = async |id: &str, channels: &[ChannelName]| {
        rig.channels.arrive(&as_user(id), channels, connection("a", None)).await.map_err(|error| error.kind)
    };
    assert_eq!(arrive("ann", &[one.clone(), two.clone(), three.clone()]).await, Err(ErrorKind::Invalid));
    assert_eq!(rig.channels.status().presence_connections, 0);
    assert_eq!(arrive("ann", &[one.clone(), two.clone()]).await, Ok(()));
    assert_eq!(arrive("bob", &[one.clone(), two.clone()]).await, Err(ErrorKind::TooMany));
    assert_eq!(rig.channels.where_is(&admin(), &user("bob")).await.expect("an answer"), []);
    assert_eq!(arrive("bob", &[three]).await, Ok(()));
    let nobody = rig.channels.arrive(&admin(), std::slice::from_ref(&one), connection("a", None)).await;
    assert_eq!(nobody.map_err(|error| error.kind), Err(ErrorKind::Invalid), "it must be said who it is");
    for (key, timeout) in [("", Some(1)), ("a", Some(0)), ("a", Some(u64::MAX)), (&*"k".repeat(257), None)] {
        let refused = rig.channels.arrive(&as_user("ann"), std::slice::from_ref(&one), connection(key, timeout)).await;
        assert_eq!(refused.map_err(|error| error.kind), Err(ErrorKind::Invalid), "{key} {timeout:?}");
    }
}

#[tokio::test]
async fn what_the_store_kept_from_being_told_is_told_by_an_interval() {
    let rig = Rig::with(settings());
    let mut watcher = watch(&rig).await;
    arrive(&rig, "ann", "a", None).await;
    assert_eq!(events(&mut watcher, 1).await, ["ann joined 1"]);
    rig.clock.advance_seconds(100);
    rig.store.faults().next_applies([Outcome::Refused]);
    arrive(&rig, "bob", "b", None).await;
    let told = loop {
        rig.clock.advance_seconds(11);
        if let Ok(delivery) = tokio::time::timeout(Duration::from_millis(20), watcher.next()).await {
            break delivery.expect("it goes on");
        }
    };
    assert_eq!(in_words(&told.items[0].change), "+ - ~ 2", "somebody came or went: ask who is there");
}

/// Between two intervals a follower sees by asking what is not true at the end of it.
#[tokio::test]
async fn a_follower_who_asked_within_an_interval_is_set_right() {
    let rig = Rig::with(Settings { presence_announced_users: 2, ..settings() });
    let mut watcher = watch(&rig).await;
    for id in ["a", "b", "c", "d", "e"] {
        arrive(&rig, id, id, None).await;
    }
    rig.clock.advance_seconds(10);
    assert_eq!(events(&mut watcher, 3).await, ["a joined 1", "b joined 2", "+c,d,e - ~ 5"]);
    arrive(&rig, "f", "f", None).await;
    leave(&rig, "e", "e").await;
    let mut known: BTreeSet<String> = ids_here(&rig).await.into_iter().collect();
    leave(&rig, "f", "f").await;
    arrive(&rig, "e", "e", None).await;
    arrive(&rig, "g", "g", None).await;
    rig.clock.advance_seconds(10);
    let told = next(&mut watcher).await;
    assert_eq!(in_words(&told.items[0].change), "+e,g -f ~ 6");
    learn(&mut known, &told.items[0].change, &rig).await;
    assert_eq!(known.into_iter().collect::<Vec<_>>(), ids_here(&rig).await);
}

/// What a follower learns from events, and by asking when an interval lists nobody, is who is there.
#[tokio::test]
async fn a_follower_who_listens_knows_who_is_there() {
    let rig = Rig::with(Settings { presence_announced_users: 4, presence_interval_users: 3, ..settings() });
    let both = ["room", "end"].map(|text| Topic::Presence(name(text))).to_vec();
    for seed in 0..20 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut watcher = rig.channels.subscribe(&admin(), both.clone(), None).await.expect("followed");
        let mut known: BTreeSet<String> = ids_here(&rig).await.into_iter().collect();
        for _ in 0..60 {
            let id = format!("u{}", random.random_range(0..8));
            match random.random_range(0..5) {
                0 | 1 => arrive(&rig, &id, "a", Some(random.random_range(1..40))).await,
                2 => leave(&rig, &id, "a").await,
                3 => rig.clock.advance(random.random_range(0..6 * TICKS_PER_SECOND)),
                _ => arrive(&rig, &id, "b", Some(30)).await,
            }
        }
        // Longer than an interval, until nobody fell silent in it.
        let mut connections = usize::MAX;
        while connections != rig.channels.status().presence_connections {
            connections = rig.channels.status().presence_connections;
            rig.clock.advance_seconds(11);
            // Once it is told that somebody came, the clock was looked at; what that brought is told before it goes.
            rig.channels.arrive(&as_user("end"), &[name("end")], connection("a", None)).await.expect("it arrives");
            learn_to_the_end(&mut known, &mut watcher, &rig).await;
            rig.channels.leave(&as_user("end"), None, &"a".into()).await.expect("it leaves");
            learn_to_the_end(&mut known, &mut watcher, &rig).await;
        }
        assert_eq!(known.into_iter().collect::<Vec<_>>(), ids_here(&rig).await, "seed {seed}");
    }
}

/// Learns from what is told before the next event of the other channel.
async fn learn_to_the_end(known: &mut BTreeSet<String>, watcher: &mut Subscription, rig: &Rig) {
    let mut ended = false;
    while !ended {
        for item in next(watcher).await.items {
            ended |= item.topic == 1;
            if item.topic == 0 {
                learn(known, &item.change, rig).await;
            }
        }
    }
}

async fn learn(known: &mut BTreeSet<String>, change: &Change, rig: &Rig) {
    match event_of(change).0 {
        PresenceEvent::Joined { user, .. } => {
            known.insert(user.id.to_string());
        }
        PresenceEvent::Left { user, .. } | PresenceEvent::TimedOut { user, .. } => {
            known.remove(&*user.id);
        }
        PresenceEvent::StateChanged { .. } => {}
        PresenceEvent::Interval { joined, left, timed_out } => {
            if joined.is_empty() && left.is_empty() && timed_out.is_empty() {
                *known = ids_here(rig).await.into_iter().collect();
            }
            known.extend(joined.iter().map(|user| user.id.to_string()));
            known.retain(|id| left.iter().chain(timed_out).all(|user| *user.id != **id));
        }
    }
}
