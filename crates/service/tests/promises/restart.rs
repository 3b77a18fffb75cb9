//! What survives an end that nobody announced, whatever the clock does meanwhile.

use crate::rig::*;
use model::TICKS_PER_SECOND;

/// Publishes, signals last, is stopped in the middle of a commit, and comes back with the clock 10 s behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_mid_commit_and_a_clock_10_s_back_lose_and_double_nothing() {
    let rig = Rig::new();
    let mut follower = rig.follow(&["a", "b"], None).await;
    rig.publish("a", "1").await;
    let last_signal = rig.signal("b", "signal").await;
    assert_eq!(texts(&take(&mut follower, 2).await), ["1", "signal"]);
    let cursor = follower.cursor();
    assert_eq!(cursor, last_signal, "a signal was the last thing delivered");

    // The batch is written, its answer is not there: the process dies here.
    let gate = rig.store.faults().hold_after_apply();
    let held = tokio::spawn({
        let channels = rig.channels.clone();
        async move { channels.publish(&admin(), &channel("a"), draft("2")).await }
    });
    tokio::task::block_in_place(|| gate.wait_until_reached());
    assert_eq!(follower.cursor(), cursor, "nothing is promised before the answer");

    rig.clock.set_back_seconds(10);
    let again = rig.restart();
    let mut follower = again.follow(&["a", "b"], Some(cursor)).await;
    let third = again.publish("b", "3").await;
    assert!(third > last_signal, "ids grow");
    assert_eq!(texts(&take(&mut follower, 2).await), ["2", "3"]);
    assert_eq!(texts(&again.history("a").await), ["1", "2"]);
    gate.open();
    // The old process is gone as far as the test is concerned; its answer is nobody's.
    let _ = within(held).await;
}

#[tokio::test]
async fn signals_alone_never_reach_past_what_is_reserved() {
    let mut rig = Rig::new();
    for _ in 0..5 {
        let mut last = rig.signal("a", "signal").await;
        for _ in 0..5 {
            rig.clock.advance_seconds(1);
            last = rig.signal("a", "signal").await;
        }
        rig.clock.set_back_seconds(20);
        rig = rig.restart();
        assert!(rig.channels.frontier() >= last, "a cursor from before is not above what is examined");
        assert!(rig.signal("a", "later").await > last);
    }
    assert!(rig.history("a").await.is_empty(), "signals are not stored");
}

#[tokio::test]
async fn a_clock_that_jumps_makes_ids_grow_and_hides_nothing() {
    let rig = Rig::new();
    let mut follower = rig.follow(&["room"], None).await;
    let mut ids = vec![rig.publish("room", "now").await];
    rig.clock.set_back_seconds(3_600);
    ids.push(rig.publish("room", "an hour back").await);
    rig.clock.advance_seconds(366 * 86_400);
    ids.push(rig.publish("room", "a year ahead").await);
    rig.clock.set_back_seconds(366 * 86_400);
    ids.push(rig.publish("room", "back").await);
    assert!(ids.windows(2).all(|two| two[0] < two[1]));
    assert_eq!(rig.channels.frontier(), ids[3]);
    let all = ["now", "an hour back", "a year ahead", "back"];
    assert_eq!(texts(&rig.history("room").await), all);
    assert_eq!(texts(&take(&mut follower, 4).await), all);
    let again = rig.restart();
    assert_eq!(texts(&again.history("room").await), all);
    assert!(again.publish("room", "after").await > ids[3]);
}

#[tokio::test]
async fn a_life_is_counted_by_the_clock_also_when_ids_run_ahead() {
    let rig = Rig::new();
    rig.clock.advance_seconds(86_400);
    rig.publish("room", "tomorrow").await;
    rig.clock.set_back_seconds(86_400);
    let short = service::Draft { ttl: Some(std::time::Duration::from_secs(60)), ..draft("short") };
    rig.channels.publish(&admin(), &channel("room"), short).await.expect("it is published");
    assert_eq!(texts(&rig.history("room").await), ["tomorrow", "short"]);
    rig.clock.advance(60 * TICKS_PER_SECOND);
    assert_eq!(texts(&rig.history("room").await), ["tomorrow"], "a page in memory does not outlive its messages");
}

#[tokio::test]
async fn what_was_stored_before_a_restart_is_followed_from_the_ring_or_the_store() {
    let rig = Rig::new();
    let before = rig.channels.frontier();
    let mut ids = Vec::new();
    for at in 0..100 {
        ids.push(rig.publish(&format!("c.{}", at % 10), &at.to_string()).await);
    }
    let expected: Vec<String> = (0..100).map(|at| at.to_string()).collect();
    let store = std::sync::Arc::new(rig.store.restart());
    store.faults().forget_recent(ids[70]);
    let again = Rig::over(store, rig.clock.clone(), rig.settings.clone());
    let names: Vec<String> = (0..10).map(|at| format!("c.{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for topics in [&names[..], &["c.*"], &["*"]] {
        let mut follower = again.follow(topics, Some(before)).await;
        assert_eq!(texts(&take(&mut follower, 100).await), expected, "{topics:?}");
        let mut follower = again.follow(topics, Some(ids[49])).await;
        assert_eq!(texts(&take(&mut follower, 50).await), expected[50..], "{topics:?}");
    }
    // The feed has lost its beginning: patterns are resolved to channels, which are merged.
    again.store.faults().forget_feed(ids[60]);
    let mut follower = again.follow(&["c.*"], Some(before)).await;
    assert_eq!(texts(&take(&mut follower, 100).await), expected);
}
