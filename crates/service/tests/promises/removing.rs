//! Deletions and expiry: all or nothing, each message once, and every reader told the same.

use crate::rig::*;
use model::{Change, Channel, ErrorKind, Id, Order, Seq, Span, TICKS_PER_SECOND, Target, What};
use service::{Caller, Draft, Query, Reach, Settings};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use testkit::Outcome;

async fn fill(rig: &Rig, name: &str, count: usize) -> Vec<Id> {
    let drafts = (1..=count).map(|at| (channel(name), draft(&at.to_string()))).collect();
    let outcomes = rig.channels.publish_all(&admin(), drafts).await;
    outcomes.into_iter().map(|outcome| outcome.expect("it is published").id).collect()
}

fn short(text: &str, seconds: u64) -> Draft {
    Draft { ttl: Some(Duration::from_secs(seconds)), ..draft(text) }
}

async fn count(rig: &Rig, room: &Channel) -> u64 {
    rig.channels.count(&admin(), room, Span::ALL).await.expect("a count")
}

#[tokio::test]
async fn what_is_deleted_is_gone_from_every_read_at_once() {
    let rig = Rig::new();
    let room = channel("room");
    let before = rig.channels.frontier();
    let ids = fill(&rig, "room", 10).await;
    rig.history("room").await;
    let mut follower = rig.follow(&["room"], None).await;
    let target = Target::Ids(vec![ids[2], ids[3], ids[7], ids[2], Id::MAX]);
    let deleted = rig.channels.delete(&admin(), &room, target).await.expect("deleted");
    assert_eq!(deleted.messages, 3);
    let left = ["1", "2", "5", "6", "7", "9", "10"];
    assert_eq!(texts(&rig.history("room").await), left);
    assert_eq!(count(&rig, &room).await, 7);
    let page = rig.channels.history(&admin(), &room, &Query::newest(20)).await.expect("a page");
    assert_eq!(page.page.removed.deleted, 3, "the page says what it skipped");
    let around = rig.channels.history(&admin(), &room, &Query::of(Reach::Around(ids[3]), 4)).await.expect("a page");
    assert_eq!(texts(&around.page.messages), ["1", "2", "5", "6"]);
    let items = next(&mut follower).await.items;
    let Change::Channel(change) = &*items[0].change else { panic!("a change of a channel") };
    let What::Deleted(removal) = &change.what else { panic!("{:?}", change.what) };
    assert_eq!(removal.ids, [ids[2], ids[3], ids[7]]);
    let mut late = rig.follow(&["room"], Some(before)).await;
    let items = next(&mut late).await.items;
    let seen: Vec<_> =
        items.iter().filter(|item| is_publish(&item.change)).map(|item| text(message_of(item))).collect();
    assert_eq!(seen, left, "nor does the ring show it");
    let again = rig.channels.delete(&admin(), &room, Target::Ids(vec![ids[2]])).await.expect("nothing to do");
    assert_eq!((again.id, again.messages), (None, 0));
    assert_eq!(texts(&rig.restart().history("room").await), left);
}

fn is_publish(change: &Change) -> bool {
    matches!(change, Change::Channel(change) if matches!(change.what, What::Published { .. }))
}

#[tokio::test]
async fn a_span_and_everything_go_at_once_and_seqs_are_never_used_again() {
    let rig = Rig::new();
    let room = channel("room");
    let ids = fill(&rig, "room", 10).await;
    let span = Span { after: ids[1], upto: ids[4] };
    assert_eq!(rig.channels.delete(&admin(), &room, Target::Span(span)).await.expect("deleted").messages, 3);
    assert_eq!(count(&rig, &room).await, 7);
    let everything = rig.channels.delete(&admin(), &room, Target::Span(Span::ALL)).await.expect("deleted");
    assert_eq!(everything.messages, 7);
    assert_eq!(count(&rig, &room).await, 0);
    let page = rig.channels.history(&admin(), &room, &Query::newest(20)).await.expect("a page");
    assert_eq!((page.page.floor.seq, page.page.head.seq), (Seq(10), Seq(10)), "one floor, at any size");
    rig.publish("room", "new").await;
    assert_eq!(rig.history("room").await[0].seq, Seq(11));
    let nothing = rig.channels.delete(&admin(), &channel("nowhere"), Target::Span(Span::ALL)).await.expect("nothing");
    assert_eq!(nothing.messages, 0);
}

#[tokio::test]
async fn what_cannot_be_deleted_is_refused_and_changes_nothing() {
    let rig = Rig::new();
    let room = channel("room");
    let ids = fill(&rig, "room", 3).await;
    let other = fill(&rig, "other", 3).await;
    let kind = async |target| rig.channels.delete(&admin(), &room, target).await.expect_err("it is refused").kind;
    let million: Vec<Id> = (0..1_000_000).map(Id::from_raw).collect();
    assert_eq!(kind(Target::Ids(million)).await, ErrorKind::TooLarge);
    assert_eq!(kind(Target::Span(Span { after: ids[2], upto: ids[0] })).await, ErrorKind::Invalid);
    let reader = Caller { access: Arc::new(service::Access::new([])), ..admin() };
    let forbidden = rig.channels.delete(&reader, &room, Target::Ids(ids.clone())).await.expect_err("no right");
    assert_eq!(forbidden.kind, ErrorKind::Forbidden);
    let passed = rig.channels.delete(&admin(), &room, Target::Ids(other)).await.expect("they are of another channel");
    assert_eq!(passed.messages, 0);
    rig.store.faults().next_applies([Outcome::Refused]);
    let failed = rig.channels.delete(&admin(), &room, Target::Ids(ids.clone())).await.expect_err("the store refused");
    assert!(failed.message.contains("nothing was stored"));
    assert_eq!(count(&rig, &room).await, 3);
    assert_eq!(rig.channels.delete(&admin(), &room, Target::Ids(ids)).await.expect("now it goes").messages, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overlapping_deletions_take_each_message_once() {
    let rig = Arc::new(Rig::new());
    let room = channel("room");
    let ids = fill(&rig, "room", 300).await;
    let deleters: Vec<_> = (0..30)
        .map(|at| {
            let (rig, room, ids) = (rig.clone(), room.clone(), ids.clone());
            tokio::spawn(async move {
                let target = match at % 3 {
                    0 => Target::Span(Span { after: ids[at], upto: ids[at + 200] }),
                    1 => Target::Ids(ids.iter().copied().skip(at).step_by(7).collect()),
                    _ => Target::Ids(vec![ids[at], ids[at + 1], ids[299 - at]]),
                };
                rig.channels.delete(&admin(), &room, target).await.expect("deleted").messages
            })
        })
        .collect();
    let mut told = 0;
    for deleter in deleters {
        told += within(deleter).await.expect("no panic");
    }
    let mut times: BTreeMap<Seq, u32> = BTreeMap::new();
    for change in rig.store.stored_changes(model::ShardId(0)) {
        let Change::Channel(change) = &*change else { continue };
        if let What::Deleted(removal) = &change.what {
            let seqs = removal.seqs.iter().flat_map(|range| range.first.0..=range.last.0);
            seqs.for_each(|seq| *times.entry(Seq(seq)).or_default() += 1);
        }
    }
    assert!(times.values().all(|times| *times == 1), "each seq once");
    assert_eq!(times.len() as u64, told, "and whoever was told so took it");
    assert_eq!(count(&rig, &room).await, 300 - told);
}

#[tokio::test]
async fn a_reader_who_pages_while_others_delete_sees_no_double_and_no_hole() {
    let rig = Rig::new();
    let room = channel("room");
    let ids = fill(&rig, "room", 100).await;
    for order in [Order::Ascending, Order::Descending] {
        let (mut span, mut seen, mut skipped, mut round) = (Span::ALL, Vec::new(), 0, 0);
        loop {
            let query = Query::of(Reach::Span { span, order }, 7);
            let page = rig.channels.history(&admin(), &room, &query).await.expect("a page").page.clone();
            seen.extend(page.messages.iter().map(|message| message.id));
            skipped += page.removed.deleted;
            if !page.more {
                break;
            }
            match order {
                Order::Ascending => span.after = page.covered.upto,
                Order::Descending => span.upto = page.covered.after,
            }
            let targets = vec![ids[round * 3], ids[99 - round * 3], ids[50 + round]];
            rig.channels.delete(&admin(), &room, Target::Ids(targets)).await.expect("deleted");
            round += 1;
        }
        seen.sort_unstable();
        let before = seen.len();
        seen.dedup();
        assert_eq!(seen.len(), before, "no double");
        let left: Vec<Id> = rig.history("room").await.iter().map(|message| message.id).collect();
        assert!(left.iter().all(|id| seen.binary_search(id).is_ok()), "no hole");
        assert!(seen.len() as u64 + skipped <= 100 && skipped > 0, "{} and {skipped}", seen.len());
    }
}

#[tokio::test]
async fn expiry_in_the_middle_is_told_the_same_everywhere() {
    let rig = Rig::new();
    let room = channel("room");
    let before = rig.channels.frontier();
    rig.publish("room", "1").await;
    let short = rig.channels.publish(&admin(), &room, short("2", 60)).await.expect("published").id;
    rig.publish("room", "3").await;
    let mut live = rig.follow(&["room"], None).await;
    let check = async |left: &[&str], expired: u64| {
        assert_eq!(texts(&rig.history("room").await), left);
        assert_eq!(count(&rig, &room).await, left.len() as u64);
        let page = rig.channels.history(&admin(), &room, &Query::newest(20)).await.expect("a page");
        assert_eq!(page.page.removed.expired, expired);
        let around = rig.channels.history(&admin(), &room, &Query::of(Reach::Around(short), 10)).await.expect("a page");
        assert_eq!(texts(&around.page.messages), left);
        let mut late = rig.follow(&["room"], Some(before)).await;
        let items = next(&mut late).await.items;
        let seen: Vec<_> =
            items.iter().filter(|item| is_publish(&item.change)).map(|item| text(message_of(item))).collect();
        assert_eq!(seen, left);
    };
    check(&["1", "2", "3"], 0).await;
    rig.clock.advance_seconds(59);
    rig.channels.maintain().await.expect("a round");
    check(&["1", "2", "3"], 0).await;
    rig.clock.advance_seconds(1);
    check(&["1", "3"], 1).await;
    rig.channels.maintain().await.expect("a round");
    check(&["1", "3"], 1).await;
    let items = next(&mut live).await.items;
    let Change::Channel(change) = &*items[0].change else { panic!("a change of a channel") };
    assert!(matches!(&change.what, What::Expired(removal) if removal.ids == [short]));
    rig.channels.maintain().await.expect("a round");
    let changes = rig.channels.changes(&admin(), &room, Id::MIN, 10).await.expect("changes");
    assert_eq!(changes.changes.len(), 1, "it expires once");
}

#[tokio::test]
async fn many_due_messages_expire_round_by_round() {
    let rig = Rig::with(Settings { expire_messages: 10, ..Settings::default() });
    let room = channel("room");
    for at in 0..35 {
        rig.channels.publish(&admin(), &room, short(&at.to_string(), 60)).await.expect("published");
    }
    rig.clock.advance_seconds(61);
    let mut rounds = 1;
    while rig.channels.maintain().await.expect("a round") {
        rounds += 1;
    }
    assert_eq!(rounds, 4);
    let expired = rig.channels.changes(&admin(), &room, Id::MIN, 100).await.expect("changes").changes;
    assert_eq!(expired.len(), 4);
}

/// An hour back, a year ahead for a minute, and back: reads follow the wall clock, removals only time that passed.
#[tokio::test]
async fn a_clock_that_jumps_removes_nothing_early_and_withholds_nothing() {
    let rig = Rig::new();
    let room = channel("room");
    rig.channels.publish(&admin(), &room, short("a month", 30 * 86_400)).await.expect("published");
    rig.publish("room", "for ever").await;
    let both = ["a month", "for ever"];
    rig.channels.maintain().await.expect("a round");
    rig.clock.set_back_seconds(3_600);
    rig.channels.maintain().await.expect("a round");
    assert_eq!(texts(&rig.history("room").await), both);
    let now = rig.clock_now() + 3_600 * TICKS_PER_SECOND;
    rig.clock.set(now + 365 * 86_400 * TICKS_PER_SECOND);
    assert_eq!(texts(&rig.history("room").await), ["for ever"], "by the wall clock it is over");
    for _ in 0..6 {
        rig.clock.advance_seconds(10);
        rig.channels.maintain().await.expect("a round");
    }
    let status = rig.channels.clock_status(&admin()).expect("a status");
    assert_eq!(status.removal_ticks, None, "{status:?}");
    rig.clock.set_back_seconds(365 * 86_400);
    rig.channels.maintain().await.expect("a round");
    assert_eq!(texts(&rig.history("room").await), both, "nothing was removed, and no page withholds it");
    assert!(rig.channels.clock_status(&admin()).expect("a status").removal_ticks.is_some());

    rig.clock.set(now + 365 * 86_400 * TICKS_PER_SECOND);
    rig.channels.maintain().await.expect("a round");
    let rig = rig.restart();
    rig.channels.maintain().await.expect("a round");
    let changes = rig.channels.changes(&admin(), &room, Id::MIN, 10).await.expect("changes").changes;
    assert!(changes.is_empty(), "nor after a restart");
    rig.channels.confirm_clock(&admin()).await.expect("the operator knows");
    rig.channels.maintain().await.expect("a round");
    let changes = rig.channels.changes(&admin(), &room, Id::MIN, 10).await.expect("changes").changes;
    assert_eq!(changes.len(), 1, "now it is removed");
}
