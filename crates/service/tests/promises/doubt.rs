//! Batches that fail: everybody is told the truth, and order holds.

use crate::rig::*;
use model::{Error, ErrorKind, Id, Result};
use service::Published;
use testkit::Outcome;

/// Publishes from ten callers at once while one batch ends like this; then once more, and compares what everybody was
/// told with what is there.
async fn check(outcome: Outcome) -> Vec<Result<Published>> {
    let rig = Rig::new();
    let mut follower = rig.follow(&["room", "other"], None).await;
    rig.publish("room", "first").await;
    rig.store.faults().next_applies([outcome]);
    rig.store.faults().fail_settles(2);
    let drafts = (0..10).map(|at| (channel(if at < 8 { "room" } else { "other" }), draft(&at.to_string()))).collect();
    let outcomes = within(rig.channels.publish_all(&admin(), drafts)).await;
    rig.store.faults().fail_settles(0);
    let after = rig.publish("room", "after").await;

    let mut told: Vec<Id> = outcomes.iter().flatten().map(|published| published.id).collect();
    told.push(after);
    let seen = take(&mut follower, told.len() + 1).await;
    assert_eq!(seen[1..].iter().map(|message| message.id).collect::<Vec<_>>(), told, "{outcome:?}");
    let mut history = rig.history("room").await;
    history.extend(rig.history("other").await);
    history.sort_by_key(|message| message.id);
    assert_eq!(history, seen, "{outcome:?}");
    assert!(rig.channels.status().accepting);
    assert_eq!(rig.channels.status().queued_requests, 0);
    outcomes
}

#[tokio::test]
async fn a_batch_that_survived_its_lost_answer_is_acknowledged() {
    assert!(check(Outcome::UnknownWritten).await.iter().all(|outcome| outcome.is_ok()));
}

#[tokio::test]
async fn a_batch_that_did_not_survive_is_answered_as_not_stored() {
    for outcome in check(Outcome::UnknownLost).await {
        let error = outcome.expect_err("nothing of it is there");
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.message.contains("nothing was stored"), "{error}");
    }
}

#[tokio::test]
async fn a_refused_batch_leaves_no_trace() {
    for outcome in check(Outcome::Refused).await {
        assert!(outcome.expect_err("it was refused").message.contains("nothing was stored"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_new_is_accepted_nor_promised_while_an_outcome_is_unknown() {
    let rig = Rig::new();
    rig.publish("room", "first").await;
    let frontier = rig.channels.frontier();
    rig.store.faults().next_applies([Outcome::UnknownWritten]);
    rig.store.faults().fail_settles(u32::MAX);
    let waiting = tokio::spawn({
        let channels = rig.channels.clone();
        async move { channels.publish(&admin(), &channel("room"), draft("doubtful")).await }
    });
    let refused = |error: &Error| error.kind == ErrorKind::Unavailable && error.message.contains("nothing was stored");
    within(async {
        while rig.channels.status().accepting {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let late = rig.channels.publish(&admin(), &channel("room"), draft("late")).await;
    assert!(refused(&late.expect_err("it is in doubt")));
    assert_eq!(rig.channels.frontier(), frontier, "it stays below the oldest id in doubt");
    assert_eq!(texts(&rig.history("room").await), ["first"], "reading goes on");
    rig.store.faults().fail_settles(0);
    let published = within(waiting).await.expect("no panic").expect("it survived");
    assert_eq!(rig.channels.frontier(), published.id);
    assert_eq!(texts(&rig.history("room").await), ["first", "doubtful"]);
}

#[tokio::test]
async fn an_outcome_that_stays_unknown_is_told_as_unknown() {
    let settings = service::Settings { settle_wait: std::time::Duration::from_millis(1), ..Default::default() };
    let rig = Rig::with(settings);
    rig.store.faults().next_applies([Outcome::UnknownLost]);
    rig.store.faults().fail_settles(u32::MAX);
    let told = within(rig.channels.publish(&admin(), &channel("room"), draft("?"))).await;
    assert!(told.expect_err("nobody knows").message.contains("not known"));
    within(rig.channels.stop()).await;
}
