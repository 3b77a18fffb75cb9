//! Pages: who may see what of them, what they cost, and that one reads one's own writes.

use crate::{counting::CountingStore, rig::*};
use model::{Channel, ErrorKind, Id, Order, Origin, Position, Reaction, Seq, Span, UserId};
use service::{Access, Caller, Channels, Query, Reach, Revision, Rights, Rule, Scope, Settings, Unreact};
use std::sync::Arc;
use testkit::{ManualClock, Wrapped};

fn counting() -> (Arc<Wrapped<CountingStore>>, Channels) {
    let store = Arc::new(Wrapped(CountingStore::default()));
    (store.clone(), start(store, Arc::new(ManualClock::default()), Settings::default()))
}

async fn fill(channels: &Channels, channel: &Channel, count: usize) -> Vec<Id> {
    let drafts = (1..=count).map(|at| (channel.clone(), draft(&at.to_string()))).collect();
    let outcomes = channels.publish_all(&admin(), drafts).await;
    outcomes.into_iter().map(|outcome| outcome.expect("it is published").id).collect()
}

fn newest(n: u32) -> Caller {
    let mut access = Access::admin();
    access.window.newest = Some(n);
    Caller { access: Arc::new(access), ..admin() }
}

/// What is said lately is edited and reacted to without a read; what is not at hand is looked up.
#[tokio::test]
async fn a_recent_message_is_edited_and_reacted_to_without_a_read() {
    let (store, channels) = counting();
    let room = channel("room");
    let ids = fill(&channels, &room, 2).await;
    let ann = UserId::new(Origin::Native, "ann", true).expect("a user");
    let revision = || Revision { payload: draft("y").payload, extras: None };
    let smile = |message| Reaction { message, user: ann.clone(), kind: "reaction".into(), value: "smile".into() };
    for (id, is_read) in [(ids[0], false), (ids[1], true)] {
        store.inner.faults().empty_memory(is_read);
        store.take();
        channels.edit(&admin(), &room, id, revision()).await.expect("edited");
        channels.react(&admin(), &room, smile(id), true).await.expect("a reaction");
        assert_eq!(store.take().0 > 0, is_read);
        let again = channels.react(&admin(), &room, smile(id), true).await.expect_err("it stands");
        assert_eq!(again.kind, ErrorKind::Conflict);
        channels.unreact(&admin(), &room, Unreact::Same(smile(id))).await.expect("taken back");
        channels.react(&admin(), &room, smile(id), true).await.expect("again");
    }
    let page = channels.history(&admin(), &room, &Query::newest(10)).await.expect("a page");
    assert_eq!(texts(&page.page.messages), ["y", "y"]);
}

#[tokio::test]
async fn who_may_see_the_last_10_never_causes_more_than_10_to_be_read() {
    let (store, channels) = counting();
    let room = channel("room");
    let ids = fill(&channels, &room, 100).await;
    let caller = newest(10);
    let all = Span::ALL;
    let old = Span { after: Id::MIN, upto: ids[95] };
    let reaches = [
        Reach::Span { span: all, order: Order::Descending },
        Reach::Span { span: all, order: Order::Ascending },
        Reach::Span { span: old, order: Order::Descending },
        Reach::Around(ids[50]),
        Reach::Around(ids[92]),
    ];
    let expected = [(91, 100), (91, 100), (91, 96), (91, 95), (91, 97)];
    for (reach, (first, last)) in reaches.into_iter().zip(expected) {
        store.take();
        let history = channels.history(&caller, &room, &Query::of(reach, 100)).await.expect("a page");
        let seqs: Vec<Seq> = history.page.messages.iter().map(|message| message.seq).collect();
        assert_eq!(seqs, (first..=last).map(Seq).collect::<Vec<_>>(), "{reach:?}");
        assert!(store.take().1 <= 10, "{reach:?}");
        assert!(history.page.floor.seq >= Seq(90), "{reach:?}");
    }
    assert_eq!(channels.count(&caller, &room, Span::ALL).await.expect("a count"), 10);
    let history = channels.history(&caller, &room, &Query::newest(10)).await.expect("a page");
    assert_eq!(history.hidden_below, Some(ids[90].previous()), "the page says that its window cut here");
    let history = channels.history(&caller, &room, &Query::newest(5)).await.expect("a page");
    assert_eq!(history.hidden_below, None, "the window is not reached");

    let mut follower = channels.subscribe(&caller, vec![topic("room")], Some(Id::MIN)).await.expect("followed");
    assert_eq!(take(&mut follower, 10).await[0].seq, Seq(91), "nor through a subscription");
    fill(&channels, &room, 20).await;
    assert_eq!(take(&mut follower, 20).await[0].seq, Seq(101), "what comes is seen");
}

#[tokio::test]
async fn a_window_that_takes_in_the_whole_channel_hides_nothing() {
    let rig = Rig::new();
    let room = channel("room");
    let ids = fill(&rig.channels, &room, 3).await;
    let page = rig.channels.history(&newest(3), &room, &Query::newest(10)).await.expect("a page");
    assert_eq!((page.page.floor, page.hidden_below), (Position::default(), None));
    rig.publish("room", "one more").await;
    let page = rig.channels.history(&newest(3), &room, &Query::newest(10)).await.expect("a page");
    assert_eq!((page.page.floor.seq, page.hidden_below), (Seq(1), Some(ids[1].previous())));
}

#[tokio::test]
async fn a_window_in_time_cuts_every_kind_of_read() {
    let rig = Rig::new();
    let old = rig.publish("room", "old").await;
    rig.clock.advance_seconds(100);
    rig.publish("room", "young").await;
    let mut by_age = Access::admin();
    by_age.window.not_older_than = Some(std::time::Duration::from_secs(50));
    let mut by_position = Access::admin();
    by_position.window.since = Some(old);
    for access in [by_age, by_position] {
        let caller = Caller { access: Arc::new(access), ..admin() };
        let room = channel("room");
        let history = rig.channels.history(&caller, &room, &Query::newest(10)).await.expect("a page");
        assert_eq!(texts(&history.page.messages), ["young"]);
        assert!(history.page.floor.id >= old && history.hidden_below.is_some());
        assert_eq!(rig.channels.count(&caller, &room, Span::ALL).await.expect("a count"), 1);
        let follower = rig.channels.subscribe(&caller, vec![topic("room")], Some(Id::MIN)).await;
        assert_eq!(texts(&take(&mut follower.expect("followed"), 1).await), ["young"]);
    }
    assert_eq!(texts(&rig.history("room").await), ["old", "young"], "nobody shares another's rights");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_equal_reads_are_one() {
    let (store, channels) = counting();
    let room = channel("room");
    fill(&channels, &room, 10).await;
    store.inner.faults().empty_memory(true);
    store.take();
    let gate = store.inner.faults().hold_reads();
    let readers: Vec<_> = (0..1_000)
        .map(|_| {
            let (channels, room) = (channels.clone(), room.clone());
            tokio::spawn(async move { channels.history(&admin(), &room, &Query::newest(5)).await })
        })
        .collect();
    tokio::task::block_in_place(|| gate.wait_until_reached());
    gate.open();
    let mut pages = Vec::new();
    for reader in readers {
        pages.push(within(reader).await.expect("no panic").expect("a page"));
    }
    assert!(pages.windows(2).all(|two| Arc::ptr_eq(&two[0], &two[1])));
    assert_eq!(store.take(), (1, 5));
    fill(&channels, &room, 1).await;
    let page = channels.history(&admin(), &room, &Query::newest(5)).await.expect("a page");
    assert_eq!(page.page.messages[4].seq, Seq(11));
    assert_eq!(store.take().0, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_reads_their_own_writes() {
    let rig = Arc::new(Rig::with(Settings { page_cache_bytes: 100_000, ..Settings::default() }));
    let writers: Vec<_> = (0..16)
        .map(|writer| {
            let rig = rig.clone();
            tokio::spawn(async move {
                let room = channel(&format!("c{}", writer % 3));
                for at in 0..50 {
                    let mine = format!("{writer}/{at}");
                    let id = rig.publish(room.name.as_named().expect("named"), &mine).await;
                    let page = rig.channels.history(&admin(), &room, &Query::newest(20)).await.expect("a page");
                    assert!(page.page.head.id >= id, "{mine} is not there");
                }
            })
        })
        .collect();
    for writer in writers {
        within(writer).await.expect("every write was read");
    }
    assert!(rig.channels.status().page_cache_bytes <= 100_000);
}

#[tokio::test]
async fn around_splits_its_limit_and_moves_nothing_over() {
    let (_, channels) = counting();
    let room = channel("room");
    let ids = fill(&channels, &room, 10).await;
    let around = async |at: usize, limit| {
        let history = channels.history(&admin(), &room, &Query::of(Reach::Around(ids[at]), limit)).await;
        texts(&history.expect("a page").page.messages).join(" ")
    };
    assert_eq!(around(4, 4).await, "3 4 5 6");
    assert_eq!(around(4, 5).await, "3 4 5 6 7");
    assert_eq!(around(0, 6).await, "1 2 3");
    assert_eq!(around(9, 6).await, "7 8 9 10");
}

#[tokio::test]
async fn rights_are_asked_for_everything() {
    let rig = Rig::new();
    rig.publish("open", "x").await;
    let caller = |scope, rights| Caller { access: Arc::new(Access::new([Rule { scope, rights }])), ..admin() };
    let reader = caller(Scope::Prefix("open".into()), Rights::READ | Rights::HISTORY);
    let (open, closed) = (channel("open"), channel("closed"));
    let forbidden = |kind: ErrorKind| assert_eq!(kind, ErrorKind::Forbidden);
    let query = Query::newest(1);
    assert!(rig.channels.history(&reader, &open, &query).await.is_ok());
    forbidden(rig.channels.history(&reader, &closed, &query).await.expect_err("not allowed").kind);
    forbidden(rig.channels.publish(&reader, &open, draft("x")).await.expect_err("not allowed").kind);
    forbidden(rig.channels.signal(&reader, &open, draft("x")).await.expect_err("not allowed").kind);
    forbidden(rig.channels.count(&reader, &closed, Span::ALL).await.expect_err("not allowed").kind);
    forbidden(rig.channels.list_channels(&reader, "", None, 9).await.expect_err("not allowed").kind);
    forbidden(rig.channels.subscribe(&reader, vec![topic("*")], None).await.err().expect("not allowed").kind);
    assert_eq!(rig.channels.list_channels(&reader, "open", None, 9).await.expect("allowed").len(), 1);
    let other = Caller { app: model::AppId::new("other").expect("an app"), ..admin() };
    forbidden(rig.channels.history(&other, &open, &query).await.expect_err("another tenant").kind);
}

#[tokio::test]
async fn what_happens_is_counted() {
    let rig = Rig::new();
    let mut registry = prometheus_client::registry::Registry::default();
    rig.channels.register_metrics(&mut registry);
    rig.publish("room", "x").await;
    rig.signal("room", "x").await;
    rig.history("room").await;
    rig.history("room").await;
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).expect("it is encoded");
    for line in ["changes_stored_total 1", "changes_live_only_total 1", "page_hits_total 1", "page_misses_total 1"] {
        assert!(text.lines().any(|other| other == line), "{line} in {text}");
    }
    let gauge = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("it is there");
        line.trim().parse::<usize>().expect("a number")
    };
    assert_eq!(gauge("ring_bytes "), rig.channels.status().ring_bytes);
    assert_eq!(gauge("pages_bytes "), rig.channels.status().page_cache_bytes);
    assert!(gauge("pages_bytes ") > 0);
}
