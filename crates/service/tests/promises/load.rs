//! Bounds: what happens when there is too much of something.

use crate::rig::*;
use model::ErrorKind;
use service::Settings;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_answers_at_once() {
    let rig = Rig::with(Settings { queue_requests: 3, ..Settings::default() });
    rig.publish("room", "first").await;
    let gate = rig.store.faults().hold_before_apply();
    let accepted: Vec<_> = (0..3)
        .map(|at| {
            let channels = rig.channels.clone();
            tokio::spawn(async move { channels.publish(&admin(), &channel("room"), draft(&at.to_string())).await })
        })
        .collect();
    within(async {
        while rig.channels.status().queued_requests < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let refused = within(rig.channels.publish(&admin(), &channel("room"), draft("late"))).await;
    assert_eq!(refused.expect_err("the queue is full").kind, ErrorKind::TooMany);
    gate.open();
    for publish in accepted {
        within(publish).await.expect("no panic").expect("it was accepted");
    }
    assert_eq!(rig.history("room").await.len(), 4);
}

#[tokio::test]
async fn a_slow_subscriber_is_bounded_and_misses_nothing() {
    // The ring holds little, so that it has to go on from the store.
    let rig = Rig::with(Settings { mailbox_changes: 4, ring_bytes: 4_096, ..Settings::default() });
    let mut slow = rig.follow(&["room"], None).await;
    rig.publish("room", "0").await;
    assert_eq!(texts(&take(&mut slow, 1).await), ["0"], "it is live");
    for at in 1..200 {
        rig.publish("room", &at.to_string()).await;
    }
    assert!(rig.channels.status().ring_bytes <= 4_096);
    let expected: Vec<String> = (1..200).map(|at| at.to_string()).collect();
    assert_eq!(texts(&take(&mut slow, 199).await), expected);
    rig.publish("room", "live again").await;
    assert_eq!(texts(&take(&mut slow, 1).await), ["live again"]);
}

#[tokio::test]
async fn a_subscriber_that_stays_behind_is_cut_off() {
    let rig = Rig::with(Settings { mailbox_changes: 4, delivery_changes: 2, ..Settings::default() });
    let mut slow = rig.follow(&["room"], None).await;
    rig.publish("room", "0").await;
    take(&mut slow, 1).await;
    for at in 1..100 {
        rig.publish("room", &at.to_string()).await;
    }
    // What its mailbox took in, and then a piece of the ring.
    take(&mut slow, 6).await;
    rig.clock.advance_seconds(61);
    let end = within(slow.next()).await.expect_err("it was behind for over a minute");
    assert_eq!(end.kind, ErrorKind::TooMany);
}

#[tokio::test]
async fn a_delivery_is_bounded_by_count_and_bytes() {
    let rig = Rig::with(Settings { delivery_changes: 10, delivery_bytes: 100_000, ..Settings::default() });
    let start = rig.channels.frontier();
    for _ in 0..30 {
        rig.publish("small", "x").await;
    }
    let mut follower = rig.follow(&["small"], Some(start)).await;
    assert_eq!(next(&mut follower).await.items.len(), 10);
    let large = "x".repeat(60_000);
    for _ in 0..4 {
        rig.publish("large", &large).await;
    }
    let mut follower = rig.follow(&["large"], Some(start)).await;
    assert_eq!(next(&mut follower).await.items.len(), 2);
}

#[tokio::test]
async fn subscriptions_are_counted_and_bounded() {
    let rig = Rig::with(Settings { subscriptions: 2, ..Settings::default() });
    let first = rig.follow(&["a"], None).await;
    let _second = rig.follow(&["a", "b.*"], None).await;
    let third = rig.channels.subscribe(&admin(), vec![topic("a")], None).await;
    assert_eq!(third.err().expect("there are two").kind, ErrorKind::TooMany);
    drop(first);
    assert_eq!(rig.channels.status().subscriptions, 1);
    rig.follow(&["a"], None).await;
}

#[tokio::test]
async fn stopping_finishes_what_waits_and_ends_subscriptions() {
    let rig = Rig::new();
    let mut follower = rig.follow(&["room"], None).await;
    let accepted = tokio::spawn({
        let channels = rig.channels.clone();
        async move { channels.publish(&admin(), &channel("room"), draft("last")).await }
    });
    within(accepted).await.expect("no panic").expect("it was accepted");
    within(rig.channels.stop()).await;
    let late = rig.channels.publish(&admin(), &channel("room"), draft("late")).await;
    assert_eq!(late.expect_err("it has stopped").kind, ErrorKind::Unavailable);
    assert_eq!(texts(&take(&mut follower, 1).await), ["last"]);
    assert_eq!(within(follower.next()).await.expect_err("it has ended").kind, ErrorKind::Unavailable);
}

/// Ten thousand subscriptions of ten channels each: the memory is that of the maps and empty mailboxes.
#[tokio::test]
async fn ten_thousand_subscriptions_come_and_go() {
    let rig = Rig::new();
    let mut waiting = Vec::new();
    for at in 0..10_000 {
        let names: Vec<String> = (0..10).map(|topic| format!("c{}", (at + topic) % 5_000)).collect();
        waiting.push(rig.follow(&names.iter().map(String::as_str).collect::<Vec<_>>(), None).await);
    }
    rig.publish("c0", "hello").await;
    let mut reached = 0;
    for follower in &mut waiting {
        tokio::select! {
            biased;
            delivery = follower.next() => reached += delivery.expect("it goes on").items.len(),
            () = std::future::ready(()) => {}
        }
    }
    assert_eq!(reached, 20);
    drop(waiting);
    assert_eq!(rig.channels.status().subscriptions, 0);
}
