//! Who may do what, and until when: rules, policies, scopes, tokens that end, grants that are withdrawn.

use crate::rig::*;
use bytes::Bytes;
use model::{ChannelName, ErrorKind, Id, Order, Selection, Selector, Span, TICKS_PER_SECOND};
use service::{
    Access, Caller, Expression, Grant, Group, Policy, Query, Reach, Rights, Rule, Scope, Settings, Standing, Topic,
    WhoIsHere,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

fn name(text: &str) -> ChannelName {
    ChannelName::named(text).expect("a name")
}

fn with(access: Access) -> Caller {
    Caller { access: Arc::new(access), ..admin() }
}

fn until(end: Id) -> Caller {
    let mut access = Access::admin();
    access.until = Some(end);
    with(access)
}

fn on(standing: Standing) -> Caller {
    let mut access = Access::admin();
    access.stands_on = Some(standing);
    with(access)
}

fn rig() -> Rig {
    Rig::with(Settings { look: Duration::from_millis(2), ..Settings::default() })
}

fn in_seconds(rig: &Rig, seconds: u64) -> Id {
    use model::Clock;
    Id::new(rig.clock.now_ticks() + seconds * TICKS_PER_SECOND, 0)
}

fn grant(name: &str, until: Option<Id>) -> Grant {
    Grant { name: name.as_bytes().into(), value: Bytes::from_static(b"rights"), until, version: Id::MIN }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_poll_ends_when_its_token_expires() {
    let rig = rig();
    let caller = until(in_seconds(&rig, 60));
    let mut follower = rig.channels.subscribe(&caller, vec![topic("room")], None).await.expect("followed");
    let before = rig.publish("room", "before").await;
    rig.clock.advance_seconds(59);
    assert_eq!(texts(&take(&mut follower, 1).await), ["before"]);
    let held = tokio::spawn(async move {
        let ended = follower.next().await.map(|delivery| delivery.items.len()).map_err(|error| error.kind);
        (ended, follower.cursor())
    });
    rig.clock.advance_seconds(1);
    let (ended, cursor) = within(held).await.expect("no panic");
    assert_eq!(ended, Err(ErrorKind::Forbidden));
    let late = rig.publish("room", "late").await;
    assert!(before <= cursor && cursor < late);
    let refused = rig.channels.history(&caller, &channel("room"), &Query::newest(1)).await;
    assert_eq!(refused.map(drop).map_err(|error| error.kind), Err(ErrorKind::Forbidden));
    let mut renewed = rig.channels.subscribe(&admin(), vec![topic("room")], Some(cursor)).await.expect("followed");
    assert_eq!(texts(&take(&mut renewed, 1).await), ["late"], "with another token it goes on where it stood");
}

#[tokio::test]
async fn nothing_above_the_end_is_handed_out_however_late_anyone_looks() {
    let rig = Rig::new();
    let caller = until(in_seconds(&rig, 60));
    let mut live = rig.channels.subscribe(&caller, vec![topic("room")], None).await.expect("followed");
    assert!(tokio::time::timeout(Duration::ZERO, live.next()).await.is_err(), "it waits");
    rig.publish("room", "1").await;
    rig.clock.advance_seconds(60);
    rig.publish("room", "2").await;
    // The clock goes back, ids do not: the token seems to be good, and what was said after its end is not for it.
    rig.clock.set_back_seconds(30);
    let mut late = rig.channels.subscribe(&caller, vec![topic("room")], Some(Id::MIN)).await.expect("followed");
    for follower in [&mut live, &mut late] {
        assert_eq!(texts(&take(follower, 1).await), ["1"]);
        assert_eq!(within(follower.next()).await.map_err(|error| error.kind), Err(ErrorKind::Forbidden));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_is_revoked_ends_streams_and_refuses_the_next_page() {
    let rig = Rig::new();
    rig.channels.put_grant(&app(), &grant("token", None)).await.expect("it is put");
    let standing = rig.channels.standing(&app(), b"token").await.expect("it stands");
    let caller = on(standing);
    for text in ["1", "2"] {
        rig.publish("room", text).await;
    }
    let page = |order| Query::of(Reach::Span { span: Span::ALL, order }, 1);
    let first = rig.channels.history(&caller, &channel("room"), &page(Order::Ascending)).await.expect("a page");
    assert_eq!(texts(&first.page.messages), ["1"]);
    let mut follower = rig.channels.subscribe(&caller, vec![topic("room")], None).await.expect("followed");
    rig.publish("room", "3").await;
    assert_eq!(texts(&take(&mut follower, 1).await), ["3"]);
    let held = tokio::spawn(async move { follower.next().await.map_err(|error| error.kind) });
    assert!(rig.channels.revoke(&app(), b"token").await.expect("it is revoked"));
    assert_eq!(within(held).await.expect("no panic"), Err(ErrorKind::Forbidden));
    let refused =
        |outcome: model::Result<()>| assert_eq!(outcome.map_err(|error| error.kind), Err(ErrorKind::Forbidden));
    let room = channel("room");
    refused(rig.channels.history(&caller, &room, &page(Order::Descending)).await.map(drop));
    refused(rig.channels.count(&caller, &room, Span::ALL).await.map(drop));
    refused(rig.channels.publish(&caller, &room, draft("4")).await.map(drop));
    refused(rig.channels.signal(&caller, &room, draft("4")).await.map(drop));
    refused(rig.channels.publish_all(&caller, vec![(room.clone(), draft("4"))]).await.remove(0).map(drop));
    refused(rig.channels.list_channels(&caller, "", None, 10).await.map(drop));
    refused(rig.channels.occupancy(&caller, &room.name).await.map(drop));
    refused(rig.channels.group(&caller, &Group::new("g").expect("ok")).await.map(drop));
    refused(rig.channels.subscribe(&caller, vec![topic("room")], None).await.map(drop));
    assert!(!rig.channels.revoke(&app(), b"token").await.expect("nothing to do"));
    assert_eq!(rig.history("room").await.len(), 3, "nothing came of what was refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_of_revocation_ends_a_stream_that_catches_up() {
    let rig = Rig::with(Settings { delivery_changes: 1, ..Settings::default() });
    let standing = rig.channels.standing(&app(), b"revoked/token").await.expect("it stands");
    assert_eq!(standing.version(), Id::MIN, "it stands on the note's not being there");
    let caller = on(standing);
    for at in 0..10 {
        rig.publish("room", &at.to_string()).await;
    }
    let mut follower = rig.channels.subscribe(&caller, vec![topic("room")], Some(Id::MIN)).await.expect("followed");
    assert_eq!(texts(&take(&mut follower, 1).await), ["0"]);
    rig.channels.put_grant(&app(), &grant("revoked/token", None)).await.expect("it is put");
    assert_eq!(within(follower.next()).await.map_err(|error| error.kind), Err(ErrorKind::Forbidden));
    let again = rig.channels.standing(&app(), b"revoked/token").await.expect("a look");
    assert_ne!(again.version(), Id::MIN, "who comes now finds the note");
    let rig = rig.restart();
    let kept = rig.channels.standing(&app(), b"revoked/token").await.expect("a look");
    assert_eq!(kept.version(), again.version(), "also after a restart");
}

#[tokio::test]
async fn grants_are_kept_listed_and_forgotten_when_they_expire() {
    let configured = std::collections::BTreeMap::from([(app(), service::Retention::default())]);
    let rig = Rig::with(Settings { retention: configured, ..Settings::default() });
    let until = in_seconds(&rig, 10);
    for (name, until) in [("a/1", None), ("a/2", Some(until)), ("b/1", None)] {
        rig.channels.put_grant(&app(), &grant(name, until)).await.expect("it is put");
    }
    let names = |grants: &[Grant]| grants.iter().map(|grant| grant.name.to_vec()).collect::<Vec<_>>();
    let (listed, next) = rig.channels.grants(&app(), b"a/", None, 10).await.expect("listed");
    assert_eq!((names(&listed), next), (vec![b"a/1".to_vec(), b"a/2".to_vec()], None));
    assert_eq!(listed[1].until, Some(until));
    assert_eq!(rig.channels.grant(&app(), b"a/2").await.expect("read").map(|grant| grant.value), Some("rights".into()));
    rig.clock.advance_seconds(10);
    assert_eq!(rig.channels.grant(&app(), b"a/2").await.expect("read"), None);
    let (first, next) = rig.channels.grants(&app(), b"", None, 2).await.expect("listed");
    assert_eq!(names(&first), [b"a/1"]);
    let (rest, _) = rig.channels.grants(&app(), b"", next.as_deref(), 2).await.expect("listed");
    assert_eq!(names(&rest), [b"b/1"]);
    let now = rig.clock_now();
    rig.clock.set(now + 365 * 86_400 * TICKS_PER_SECOND);
    rig.channels.maintain().await.expect("a round");
    let records = rig.channels.records(&app(), model::RecordKind::Grant, b"", None, 10).await.expect("listed");
    assert_eq!(records.len(), 3, "a clock that runs ahead takes nothing");
    rig.clock.set(now);
    rig.channels.maintain().await.expect("a round");
    let records = rig.channels.records(&app(), model::RecordKind::Grant, b"", None, 10).await.expect("listed");
    assert_eq!(records.len(), 2, "the one that expired is gone");
}

#[tokio::test]
async fn a_dialect_reaches_no_channel_outside_of_its_scope() {
    let rig = Rig::new();
    rig.publish("secret.1", "x").await;
    let caller = with(Access::admin().within([Scope::Prefix("open.".into()), Scope::Channel(name("lobby"))]));
    let query = Query::newest(1);
    for inside in ["open.1", "lobby"] {
        rig.channels.history(&caller, &channel(inside), &query).await.expect("inside");
        rig.channels.publish(&caller, &channel(inside), draft("x")).await.expect("inside");
    }
    rig.channels.subscribe(&caller, vec![topic("open.*")], None).await.expect("inside");
    let refused =
        |outcome: model::Result<()>| assert_eq!(outcome.map_err(|error| error.kind), Err(ErrorKind::Forbidden));
    let secret = channel("secret.1");
    refused(rig.channels.history(&caller, &secret, &query).await.map(drop));
    refused(rig.channels.count(&caller, &secret, Span::ALL).await.map(drop));
    refused(rig.channels.publish(&caller, &secret, draft("x")).await.map(drop));
    refused(rig.channels.list_channels(&caller, "", None, 10).await.map(drop));
    for outside in ["secret.1", "secret.*", "*"] {
        refused(rig.channels.subscribe(&caller, vec![topic(outside)], None).await.map(drop));
    }
    let direct = model::Channel { app: app(), name: ChannelName::direct("a", "b") };
    refused(rig.channels.history(&caller, &direct, &query).await.map(drop));
}

/// A dialect reaches the direct chats of its own users, by whatever selector, and no others; and by author alone only
/// what it sees every channel of.
#[tokio::test]
async fn selections_reach_no_chat_outside_of_the_dialects_own() {
    let rig = Rig::new();
    let rule = |scope| Rule { scope, rights: Rights::HISTORY | Rights::WRITE };
    let own = || rule(Scope::Chats("own/".into()));
    let wide = with(Access::new([rule(Scope::Prefix("".into())), own()]));
    let narrow = with(Access::new([rule(Scope::Prefix("open.".into())), own()]));
    let chat = |a: &str, b: &str| model::Channel { app: app(), name: ChannelName::direct(a, b) };
    let admin = with(Access::admin());
    for (a, b) in [("own/1", "own/2"), ("other/1", "other/2")] {
        let user = |name: &str| model::UserId::new(model::Origin::Native, name, true).ok();
        let draft = service::Draft { author: user(a), recipient: user(b), ..draft("x") };
        rig.channels.publish(&admin, &chat(a, b), draft).await.expect("it is published");
    }
    let count = async |caller: &Caller, selector: Selector| {
        let selection = Selection::new([selector]).expect("one selector");
        rig.channels.count_selected(caller, &selection, Span::ALL).await.map_err(|error| error.kind)
    };
    let pair = |a: &str, b: &str| Selector::Pair { author: a.into(), recipient: b.into() };
    for (selector, expected) in [
        (Selector::Sender("own/1".into()), Ok(1)),
        (Selector::Recipient("own/2".into()), Ok(1)),
        (pair("own/1", "own/2"), Ok(1)),
        (Selector::Channel(chat("own/1", "own/2").name), Ok(1)),
        (Selector::Sender("other/1".into()), Err(ErrorKind::Forbidden)),
        (Selector::Recipient("other/2".into()), Err(ErrorKind::Forbidden)),
        (pair("other/1", "own/2"), Err(ErrorKind::Forbidden)),
        (pair("own/1", "other/2"), Err(ErrorKind::Forbidden)),
        (Selector::Channel(chat("other/1", "other/2").name), Err(ErrorKind::Forbidden)),
    ] {
        for caller in [&wide, &narrow] {
            assert_eq!(count(caller, selector.clone()).await, expected, "{selector:?}");
        }
    }
    assert_eq!(count(&wide, Selector::Author("other/1".into())).await, Ok(0), "what is said in chats is not by author");
    assert_eq!(count(&narrow, Selector::Author("own/1".into())).await, Err(ErrorKind::Forbidden));
    assert!(rig.channels.publish(&wide, &chat("own/1", "other/1"), draft("x")).await.is_err());
    assert!(rig.channels.publish(&wide, &chat("own/1", "own/3"), draft("x")).await.is_ok());
}

#[test]
fn expressions_are_linear_bounded_and_not_anchored() {
    let access = Access::new([Rule {
        scope: Scope::Expression(Expression::new("^room-[0-9]+$").expect("it compiles")),
        rights: Rights::READ,
    }]);
    assert!(access.allows(&name("room-17"), Rights::READ));
    assert!(!access.allows(&name("room-17x"), Rights::READ) && !access.allows(&name("room-17"), Rights::WRITE));
    assert!(!access.allows_prefix("room-", Rights::READ));
    assert!(Expression::new("room").expect("it compiles").is_found_in("the-room-1"));
    for bad in ["(", r"(a)\1", "(?=a)", "((a{100}){100}){100}", &"a".repeat(2_000), &"(".repeat(500)] {
        assert_eq!(Expression::new(bad).expect_err("refused").kind, ErrorKind::Invalid, "{bad}");
    }
    let slow = Expression::new(r"^(a+)+(a|aa)*b$").expect("it compiles");
    let started = Instant::now();
    assert!(!slow.is_found_in(&"a".repeat(512)));
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[derive(Debug, Default)]
struct Counted(AtomicUsize);

impl Policy for Counted {
    fn channel(&self, name: &ChannelName) -> Rights {
        self.0.fetch_add(1, SeqCst);
        let open = name.as_named().is_some_and(|text| text.starts_with("open"));
        if open { Rights::READ | Rights::HISTORY } else { Rights::NONE }
    }
}

#[tokio::test]
async fn a_policy_is_asked_once_for_each_name() {
    let rig = Rig::new();
    let policy = Arc::new(Counted::default());
    let caller = with(Access::by_policy(policy.clone()));
    for _ in 0..10 {
        rig.channels.history(&caller, &channel("open"), &Query::newest(1)).await.expect("open");
        let closed = rig.channels.history(&caller, &channel("closed"), &Query::newest(1)).await;
        assert_eq!(closed.map(drop).map_err(|error| error.kind), Err(ErrorKind::Forbidden));
        assert!(rig.channels.subscribe(&caller, vec![topic("open.*")], None).await.is_err(), "it gives no prefix");
    }
    assert_eq!(policy.0.load(SeqCst), 2);
}

#[tokio::test]
async fn who_is_there_is_a_right_of_its_own() {
    let rig = Rig::new();
    let caller = with(Access::new([Rule { scope: Scope::Everything, rights: Rights::READ | Rights::HISTORY }]));
    let kind = |outcome: model::Result<()>| outcome.map_err(|error| error.kind);
    let watch = rig.channels.subscribe(&caller, vec![Topic::Presence(name("room"))], None).await.map(drop);
    assert_eq!(kind(watch), Err(ErrorKind::Forbidden));
    let occupancy = rig.channels.occupancy(&caller, &name("room")).await.map(drop);
    assert_eq!(kind(occupancy), Err(ErrorKind::Forbidden));
    let all = WhoIsHere { channels: None, after: None, limit: 10, offset: 0 };
    let user = model::UserId::new(model::Origin::Native, "ann", true).expect("a user");
    let ann = Caller { user: Some(user.clone()), ..admin() };
    let arrival = service::Arrival { connection: "a".into(), timeout: None, state: None, data: None };
    rig.channels.arrive(&ann, &[name("room")], arrival).await.expect("it arrives");
    assert_eq!(rig.channels.here(&caller, &all).await.expect("an answer"), []);
    assert_eq!(rig.channels.where_is(&caller, &user).await.expect("an answer"), []);
    assert_eq!(rig.channels.here(&admin(), &all).await.expect("an answer")[0].occupancy, 1);
}
