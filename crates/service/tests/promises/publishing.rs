//! Publishing: keys, bounds, records, and what is never stored.

use crate::rig::*;
use bytes::Bytes;
use model::{ErrorKind, Id, RecordKey, RecordKind, Seq};
use service::{Draft, Settings};
use std::time::Duration;

#[tokio::test]
async fn the_same_key_stores_once() {
    let rig = Rig::new();
    let room = channel("room");
    let drafts = vec![
        (room.clone(), keyed("hello", "k")),
        (room.clone(), keyed("hello", "k")),
        (room.clone(), keyed("something else", "k")),
        (channel("other"), keyed("something else", "k")),
    ];
    let outcomes = rig.channels.publish_all(&admin(), drafts).await;
    let first = *outcomes[0].as_ref().expect("it is published");
    let second = *outcomes[1].as_ref().expect("it is recognised");
    assert_eq!((second.id, second.seq, first.repeated, second.repeated), (first.id, Seq(1), false, true));
    assert_eq!(outcomes[2].as_ref().expect_err("another payload").kind, ErrorKind::Conflict);
    assert!(!outcomes[3].as_ref().expect("another channel").repeated);

    let again = rig.restart();
    let later = again.channels.publish(&admin(), &room, keyed("hello", "k")).await.expect("it is recognised");
    assert_eq!((later.id, later.repeated), (first.id, true));
    assert_eq!(texts(&again.history("room").await), ["hello"]);
    again.clock.advance_seconds(2 * 86_400);
    let fresh = again.channels.publish(&admin(), &room, keyed("hello", "k")).await.expect("it is published");
    assert!(!fresh.repeated, "keys are remembered for today and yesterday");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_with_one_key_stores_once() {
    let rig = Rig::with(Settings { known_entries: 8, ..Settings::default() });
    let crowd: Vec<_> = (0..100)
        .map(|at| {
            let channels = rig.channels.clone();
            tokio::spawn(async move {
                // Others push what is remembered out of its place.
                channels.publish(&admin(), &channel(&format!("c{at}")), draft("x")).await.expect("published");
                channels.publish(&admin(), &channel("room"), keyed("hello", "k")).await.expect("published")
            })
        })
        .collect();
    let mut fresh = 0;
    for member in crowd {
        fresh += usize::from(!within(member).await.expect("no panic").repeated);
    }
    assert_eq!(fresh, 1);
    assert_eq!(texts(&rig.history("room").await), ["hello"]);
}

/// With next to nothing remembered, heads are looked up and evicted all the time: a stale one would repeat a seq, which
/// the oracle refuses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_look_up_never_wins() {
    let rig = Rig::with(Settings { known_entries: 8, ..Settings::default() });
    let publishers: Vec<_> = (0..32)
        .map(|publisher| {
            let channels = rig.channels.clone();
            tokio::spawn(async move {
                for at in 0..50 {
                    let room = channel(&format!("c{}", (publisher * 7 + at) % 40));
                    channels.publish(&admin(), &room, draft("x")).await.expect("seqs are dense");
                }
            })
        })
        .collect();
    for publisher in publishers {
        within(publisher).await.expect("every publish was stored");
    }
    let mut stored = 0;
    for at in 0..40 {
        stored += rig.history(&format!("c{at}")).await.len();
    }
    assert_eq!(stored, 32 * 50);
}

#[tokio::test]
async fn what_breaks_a_bound_is_refused_by_name_and_changes_nothing() {
    let rig = Rig::new();
    let check = async |draft: Draft, kind: ErrorKind, word: &str| {
        let error = rig.channels.publish(&admin(), &channel("room"), draft).await.expect_err("it breaks a bound");
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(word), "{error}");
    };
    check(draft(&"x".repeat(model::limits::PAYLOAD_BYTES + 1)), ErrorKind::TooLarge, "payload").await;
    check(Draft { custom_type: Some("x".repeat(65).into()), ..draft("x") }, ErrorKind::TooLarge, "custom type").await;
    check(keyed("x", ""), ErrorKind::Invalid, "key").await;
    check(keyed("x", &"k".repeat(257)), ErrorKind::Invalid, "key").await;
    check(Draft { ttl: Some(Duration::ZERO), ..draft("x") }, ErrorKind::Invalid, "ttl").await;
    check(Draft { store: false, ..keyed("x", "k") }, ErrorKind::Invalid, "key").await;
    let mut broken = draft("x");
    broken.payload.bytes = Bytes::from_static(&[0xff]);
    check(broken, ErrorKind::Invalid, "UTF-8").await;
    assert!(rig.history("room").await.is_empty());
}

#[tokio::test]
async fn a_call_larger_than_a_batch_keeps_its_order() {
    let rig = Rig::with(Settings { known_entries: 8, ..Settings::default() });
    let large = "x".repeat(1 << 20);
    let drafts = (0..12).map(|at| (channel(&format!("c{}", at % 5)), draft(&format!("{at}{large}")))).collect();
    let outcomes = rig.channels.publish_all(&admin(), drafts).await;
    let ids: Vec<Id> = outcomes.into_iter().map(|outcome| outcome.expect("it is published").id).collect();
    assert!(ids.windows(2).all(|two| two[0] < two[1]));
}

#[tokio::test]
async fn signals_and_unstored_messages_are_seen_and_not_kept() {
    let rig = Rig::new();
    let mut follower = rig.follow(&["room"], None).await;
    let from = rig.channels.frontier();
    rig.signal("room", "signal").await;
    let unstored = Draft { store: false, ..draft("unstored") };
    let told = rig.channels.publish(&admin(), &channel("room"), unstored).await.expect("it is sent");
    assert_eq!(told.seq, Seq::NONE);
    rig.publish("room", "stored").await;
    let all = ["signal", "unstored", "stored"];
    assert_eq!(texts(&take(&mut follower, 3).await), all);
    assert_eq!(texts(&take(&mut rig.follow(&["room"], Some(from)).await, 3).await), all, "from the ring, too");
    let history = rig.history("room").await;
    assert_eq!((texts(&history), history[0].seq), (vec!["stored".to_owned()], Seq(1)));
}

#[tokio::test]
async fn patterns_get_each_change_once() {
    let rig = Rig::new();
    let from = rig.channels.frontier();
    let names = ["*", "a.*", "a.b.*", "a.b.c"];
    let mut live = rig.follow(&names, None).await;
    for name in ["a.b.c", "a.b.x", "a.x", "x", "a.b.c.d.e"] {
        rig.publish(name, name).await;
    }
    let mut again = rig.follow(&names, Some(from)).await;
    for follower in [&mut live, &mut again] {
        let mut topics = Vec::new();
        while topics.len() < 5 {
            topics.extend(next(follower).await.items.iter().map(|item| item.topic));
        }
        assert_eq!(topics, [3, 2, 1, 0, 2]);
    }
}

#[tokio::test]
async fn a_record_is_put_only_over_the_version_that_was_read() {
    let rig = Rig::new();
    let key = RecordKey { app: app(), kind: RecordKind::Setting, name: b"name".as_slice().into() };
    let put = |value: Option<&'static str>, expected| {
        rig.channels.put_record(key.clone(), value.map(|value| Bytes::from_static(value.as_bytes())), expected)
    };
    let first = put(Some("1"), Some(Id::MIN)).await.expect("it does not exist");
    assert_eq!(put(Some("2"), Some(Id::MIN)).await.expect_err("it exists").kind, ErrorKind::Conflict);
    let second = put(Some("2"), Some(first)).await.expect("that is its version");
    assert_eq!(put(Some("3"), Some(first)).await.expect_err("it moved on").kind, ErrorKind::Conflict);
    let record = rig.channels.record(&key).await.expect("readable").expect("it exists");
    assert_eq!((record.version, &record.value[..]), (second, &b"2"[..]));
    let again = rig.restart();
    let put = |value, expected| again.channels.put_record(key.clone(), value, expected);
    assert_eq!(put(None, Some(first)).await.expect_err("it moved on").kind, ErrorKind::Conflict);
    put(None, Some(second)).await.expect("that is its version");
    put(Some(Bytes::new()), Some(Id::MIN)).await.expect("it was deleted");
}
