//! Retention, legal holds and erasures: what is kept, for how long, and who says so.

use crate::rig::*;
use bytes::Bytes;
use model::{
    Channel, ChannelName, ErrorKind, Id, Origin, Reaction, RecordKey, RecordKind, Seq, Span, Target, UserId, What,
};
use service::{
    Caller, Draft, Erasure, ErasureState, Hold, HoldScope, Query, Reach, Retention, Revision, Settings, Unreact,
};
use std::{collections::BTreeMap, time::Duration};
use testkit::Outcome;

const DAY: u64 = 86_400;

fn newest(messages: u64) -> Retention {
    Retention { messages: Some(messages), ..Retention::default() }
}

fn younger(seconds: u64) -> Retention {
    Retention { age: Some(Duration::from_secs(seconds)), ..Retention::default() }
}

pub fn user(id: &str) -> UserId {
    UserId::new(Origin::Pubnub, id, false).expect("a valid user")
}

fn by(id: &str, text: &str) -> Draft {
    Draft { author: Some(user(id)), ..draft(text) }
}

pub async fn say(rig: &Rig, name: &str, who: &str, text: &str) -> Id {
    rig.channels.publish(&admin(), &channel(name), by(who, text)).await.expect("it is published").id
}

async fn fill(rig: &Rig, name: &str, count: usize) -> Vec<Id> {
    let mut ids = Vec::new();
    for at in 1..=count {
        ids.push(rig.publish(name, &at.to_string()).await);
    }
    ids
}

pub async fn count(rig: &Rig, room: &Channel) -> u64 {
    rig.channels.count(&admin(), room, Span::ALL).await.expect("a count")
}

async fn set(rig: &Rig, name: Option<&str>, retention: Option<Retention>) {
    let room = name.map(channel);
    let name = room.as_ref().map(|room| &room.name);
    rig.channels.set_retention(&admin(), name, retention).await.expect("it is set");
}

fn floor(rig: &Rig, room: &Channel) -> Seq {
    model::Store::heads(&*rig.store, std::slice::from_ref(room)).expect("heads")[0].floor.seq
}

pub async fn maintain(rig: &Rig) {
    while rig.channels.maintain().await.expect("a round") {}
}

#[tokio::test]
async fn a_policy_holds_for_every_read_at_once_and_is_made_durable_later() {
    let rig = Rig::new();
    let room = channel("room");
    let before = rig.channels.frontier();
    let ids = fill(&rig, "room", 10).await;
    rig.history("room").await;
    set(&rig, None, Some(newest(4))).await;
    for round in 0..2 {
        let page = rig.channels.history(&admin(), &room, &Query::newest(20)).await.expect("a page");
        assert_eq!(texts(&page.page.messages), ["7", "8", "9", "10"]);
        assert_eq!((page.page.floor.seq, page.hidden_below), (Seq(6), None), "gone, not hidden from somebody");
        assert!(page.page.floor.id >= ids[5]);
        let around = rig.channels.history(&admin(), &room, &Query::of(Reach::Around(ids[6]), 6)).await.expect("a page");
        assert_eq!(texts(&around.page.messages), ["7", "8", "9"]);
        assert_eq!(count(&rig, &room).await, 4);
        let mut late = rig.follow(&["room"], Some(before)).await;
        assert_eq!(texts(&take(&mut late, 4).await), ["7", "8", "9", "10"], "catching up, too");
        let error = rig.channels.versions(&admin(), &room, ids[2]).await.expect_err("it is not kept");
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert_eq!(floor(&rig, &room), Seq(if round == 0 { 0 } else { 6 }));
        maintain(&rig).await;
    }
    rig.publish("room", "11").await;
    assert_eq!(texts(&rig.history("room").await), ["8", "9", "10", "11"]);
    set(&rig, Some("room"), Some(newest(100))).await;
    assert_eq!(texts(&rig.history("room").await), ["7", "8", "9", "10", "11"], "what is not gone is there again");
    let again = rig.restart();
    assert_eq!(again.channels.retention(&admin()).await.expect("rules").len(), 2, "policies survive a restart");
    set(&again, Some("room"), None).await;
    assert_eq!(again.history("room").await.len(), 4);
    set(&again, None, None).await;
    assert_eq!(again.history("room").await.len(), 5);
}

#[tokio::test]
async fn age_is_counted_by_the_wall_when_reading_and_by_trusted_time_when_removing() {
    let configured = BTreeMap::from([(app(), younger(30 * DAY))]);
    let rig = Rig::with(Settings { retention: configured, ..Settings::default() });
    let room = channel("room");
    rig.publish("room", "old").await;
    rig.clock.advance_seconds(20 * DAY);
    rig.channels.maintain().await.expect("a round");
    rig.publish("room", "young").await;
    assert_eq!(texts(&rig.history("room").await), ["old", "young"]);
    let now = rig.clock_now();
    rig.clock.set(now + 365 * DAY * model::TICKS_PER_SECOND);
    assert!(rig.history("room").await.is_empty());
    assert_eq!(count(&rig, &room).await, 0);
    maintain(&rig).await;
    rig.clock.set(now);
    maintain(&rig).await;
    assert_eq!(texts(&rig.history("room").await), ["old", "young"], "a year ahead and back took nothing");
    rig.clock.advance_seconds(10 * DAY);
    assert_eq!(texts(&rig.history("room").await), ["old", "young"], "as old as it may be");
    rig.clock.advance_seconds(1);
    assert_eq!(texts(&rig.history("room").await), ["young"], "a page in memory grows old, too");
    assert_eq!(floor(&rig, &room), Seq(0));
    maintain(&rig).await;
    assert_eq!(floor(&rig, &room), Seq(1));
}

#[tokio::test]
async fn a_dry_run_says_what_a_policy_would_take_and_takes_nothing() {
    let rig = Rig::new();
    for (name, messages) in [("a", 3), ("b", 10), ("c", 20), ("d", 30)] {
        fill(&rig, name, messages).await;
    }
    set(&rig, Some("c"), Some(newest(1_000))).await;
    let d = channel("d");
    let hold = Hold { name: "case 1".into(), scope: HoldScope::Channel(d.name.clone()), reason: "a court".into() };
    rig.channels.hold(&admin(), hold).await.expect("held");
    let run = rig.channels.dry_run(&admin(), None, newest(5), None, 100).await.expect("a dry run");
    let told: Vec<_> =
        run.channels.iter().map(|one| (one.channel.as_named(), one.messages, one.held_by.is_some())).collect();
    assert_eq!(told, [(Some("b"), 5, false), (Some("d"), 25, true)]);
    let first = rig.channels.dry_run(&admin(), None, newest(5), None, 2).await.expect("a dry run");
    let second = rig.channels.dry_run(&admin(), None, newest(5), first.next.as_deref(), 2).await.expect("a dry run");
    assert_eq!((first.channels.len(), second.channels.len()), (1, 1), "page by page");
    let c = channel("c");
    let run = rig.channels.dry_run(&admin(), Some(&c.name), newest(5), None, 1).await.expect("a dry run");
    assert_eq!(run.channels[0].messages, 15);
    maintain(&rig).await;
    assert_eq!(rig.history("b").await.len(), 10);
    let bad = Retention { age: Some(Duration::ZERO), ..Retention::default() };
    assert_eq!(rig.channels.dry_run(&admin(), None, bad, None, 1).await.expect_err("no age").kind, ErrorKind::Invalid);
    let reader = Caller { access: std::sync::Arc::new(service::Access::new([])), ..admin() };
    let refused = rig.channels.set_retention(&reader, None, Some(newest(1))).await.expect_err("no right");
    assert_eq!(refused.kind, ErrorKind::Forbidden);
}

#[tokio::test]
async fn a_hold_wins_over_deletion_expiry_retention_and_erasure() {
    let rig = Rig::new();
    let room = channel("room");
    let other = channel("other");
    fill(&rig, "room", 3).await;
    let short = Draft { ttl: Some(Duration::from_secs(60)), ..by("ann", "short") };
    rig.channels.publish(&admin(), &room, short.clone()).await.expect("published");
    rig.channels.publish(&admin(), &other, short).await.expect("published");
    fill(&rig, "other", 3).await;
    let hold = |name: &str, scope| Hold { name: name.into(), scope, reason: String::new() };
    let on_room = hold("case 1", HoldScope::Channel(room.name.clone()));
    rig.channels.hold(&admin(), on_room.clone()).await.expect("held");
    assert_eq!(rig.channels.hold(&admin(), on_room).await.expect_err("it exists").kind, ErrorKind::Conflict);
    // Held whether or not the name was proved.
    let proved = UserId { verified: true, ..user("ann") };
    rig.channels.hold(&admin(), hold("case 2", HoldScope::Author(proved))).await.expect("held");
    let rig = rig.restart();
    assert_eq!(rig.channels.holds(&admin()).await.expect("holds").len(), 2);

    for (room, case) in [(&room, "case"), (&other, "case 2")] {
        let refused = rig.channels.delete(&admin(), room, Target::Span(Span::ALL)).await.expect_err("it is held");
        assert_eq!(refused.kind, ErrorKind::Conflict);
        assert!(refused.message.contains(case), "{refused}");
    }
    let refused = rig.channels.erase(&admin(), &user("ann")).await.expect_err("held");
    assert!(refused.kind == ErrorKind::Conflict && refused.message.contains("case 2"), "{refused}");
    rig.clock.advance_seconds(61);
    set(&rig, None, Some(newest(1))).await;
    maintain(&rig).await;
    assert_eq!(rig.history("room").await.len(), 0, "hidden: the newest is due");
    assert_eq!(rig.history("other").await.len(), 1);
    assert_eq!((floor(&rig, &room), floor(&rig, &other)), (Seq(0), Seq(0)), "ann's is the first one there");
    let changes = rig.store.stored_changes(model::ShardId(0));
    assert!(
        changes.iter().all(|change| !matches!(&**change, model::Change::Channel(change)
        if !matches!(change.what, model::What::Published { .. }))),
        "nothing went"
    );

    rig.channels.release(&admin(), "case 2").await.expect("released");
    maintain(&rig).await;
    assert_eq!((floor(&rig, &room), floor(&rig, &other)), (Seq(0), Seq(3)));
    rig.channels.release(&admin(), "case 1").await.expect("released");
    maintain(&rig).await;
    assert_eq!(floor(&rig, &room), Seq(3));
    assert_eq!(rig.channels.release(&admin(), "case 1").await.expect_err("gone").kind, ErrorKind::NotFound);
}

/// A channel full of what ann said, and of what she did to what others said.
async fn scene(rig: &Rig) -> u64 {
    for name in ["a", "b", "c"] {
        let said = say(rig, name, "bob", "bob's").await;
        if name == "b" {
            continue;
        }
        let hers = say(rig, name, "ann", "ann's secret").await;
        say(rig, name, "ann", "ann's other secret").await;
        let ann = Caller { user: Some(user("ann")), ..admin() };
        let payload = draft("a secret of ann's").payload;
        rig.channels.edit(&ann, &channel(name), said, Revision { payload, extras: None }).await.expect("edited");
        for (message, who) in [(said, "ann"), (said, "bob"), (hers, "bob")] {
            let reaction = Reaction { message, user: user(who), kind: "reaction".into(), value: "x".into() };
            rig.channels.react(&admin(), &channel(name), reaction, true).await.expect("a reaction");
        }
    }
    let name = [&service::records_of(&user("ann"))[..], b"a"].concat();
    let mark = RecordKey { app: app(), kind: RecordKind::ReadMark, name: name.into() };
    rig.channels.put_record(mark, Some(Bytes::from_static(b"1")), None).await.expect("a record");
    2
}

async fn check_erased(rig: &Rig, erasure: &Erasure) {
    assert_eq!(erasure.state, ErasureState::Done);
    let erased = erasure.erased;
    assert_eq!((erased.messages, erased.edits, erased.reactions, erased.records), (4, 2, 2, 1));
    assert_eq!((erasure.channels, &erasure.user), (2, &None));
    assert!(erasure.finished_at.is_some());
    let (places, next) = rig.channels.erased_in(&admin(), &erasure.id, None, 10).await.expect("where");
    assert_eq!(next, None);
    let names: Vec<_> = places.iter().filter_map(|place| place.channel.as_named()).collect();
    assert_eq!(names, ["a", "c"]);
    assert!(places.iter().all(|place| place.erased.messages == 2 && place.erased.edits == 1));
    for name in ["a", "b", "c"] {
        assert_eq!(texts(&rig.history(name).await), ["bob's"]);
        let said = rig.history(name).await[0].id;
        let told = [
            format!("{:?}", rig.channels.versions(&admin(), &channel(name), said).await.expect("versions")),
            format!("{:?}", rig.channels.changes(&admin(), &channel(name), Id::MIN, 100).await.expect("changes")),
        ];
        assert!(told.iter().all(|told| !told.contains("ann's")), "{told:?}");
        let made = rig.channels.reactions_made(&admin(), &channel(name), Span::ALL, model::Order::Ascending, 10).await;
        assert!(made.expect("listed").entries.iter().all(|entry| entry.reaction.user == user("bob")));
    }
    let marks = rig.channels.records(&app(), RecordKind::ReadMark, b"", None, 10).await.expect("records");
    assert!(marks.is_empty());
}

#[tokio::test]
async fn a_person_is_erased_with_everything_they_did_and_a_receipt_is_left() {
    let rig = Rig::new();
    scene(&rig).await;
    let begun = rig.channels.erase(&admin(), &user("ann")).await.expect("begun");
    let same = rig.channels.erase(&admin(), &user("ann")).await.expect("it is under way");
    assert_eq!(begun.id, same.id);
    maintain(&rig).await;
    check_erased(&rig, &rig.channels.erasure(&admin(), &begun.id).await.expect("a receipt")).await;
    assert_eq!(rig.channels.erasures(&admin(), None, 10).await.expect("all").len(), 1);
    let missing = rig.channels.erasure(&admin(), "nothing").await.expect_err("there is none");
    assert_eq!(missing.kind, ErrorKind::NotFound);
    let mut late = rig.follow(&["a"], Some(Id::MIN)).await;
    for item in next(&mut late).await.items {
        assert!(!format!("{:?}", item.change).contains("ann's"), "nor is it in the ring");
    }
}

/// Stops the program after every step and after every write, with the answer lost, and lets the next one go on.
/// Found by a simulation: the erasure, which had waited for a hold, took new messages out of the recent ring, and
/// subscribers who came back passed over them.
#[tokio::test]
async fn what_a_person_does_after_an_erasure_was_asked_for_stays() {
    let rig = Rig::new();
    for room in ["a", "b"] {
        say(&rig, room, "ann", "old").await;
    }
    let theirs = say(&rig, "a", "bob", "bob's").await;
    let b = channel("b");
    let hold = Hold { name: "case".into(), scope: HoldScope::Channel(b.name.clone()), reason: "a court".into() };
    rig.channels.hold(&admin(), hold).await.expect("held");
    let erasure = rig.channels.erase(&admin(), &user("ann")).await.expect("it begins");
    maintain(&rig).await;
    let cursor = rig.channels.frontier();
    for room in ["a", "b"] {
        say(&rig, room, "ann", "new").await;
    }
    let liked = Reaction { message: theirs, user: user("ann"), kind: "r".into(), value: "new".into() };
    rig.channels.react(&admin(), &channel("a"), liked, true).await.expect("it is new, too");
    rig.channels.release(&admin(), "case").await.expect("released");
    maintain(&rig).await;
    let receipt = rig.channels.erasure(&admin(), &erasure.id).await.expect("a receipt");
    assert_eq!((receipt.state, receipt.erased.messages, receipt.erased.reactions), (ErasureState::Done, 2, 0));
    assert_eq!(
        (texts(&rig.history("a").await), texts(&rig.history("b").await)),
        (vec!["bob's".into(), "new".into()], vec!["new".into()])
    );
    let mut late = rig.follow(&["a", "b"], Some(cursor)).await;
    assert_eq!(texts(&take(&mut late, 2).await), ["new", "new"]);
    let reactions = rig.channels.reactions(&admin(), &channel("a"), Span::ALL, None, 10).await.expect("reactions");
    assert_eq!(reactions.entries.len(), 1);
}

/// Found by a simulation: what a clock that runs ahead calls due was hidden from the erasure, and came back with the clock.
#[tokio::test]
async fn an_erasure_takes_what_is_due_by_a_clock_that_runs_ahead() {
    let rig = Rig::new();
    let short = Draft { ttl: Some(Duration::from_secs(4)), ..by("ann", "short") };
    rig.channels.publish(&admin(), &channel("room"), short).await.expect("it is published");
    let now = rig.clock_now();
    rig.clock.set(now + 365 * DAY * model::TICKS_PER_SECOND);
    let erasure = rig.channels.erase(&admin(), &user("ann")).await.expect("it begins");
    maintain(&rig).await;
    let receipt = rig.channels.erasure(&admin(), &erasure.id).await.expect("a receipt");
    assert_eq!((receipt.state, receipt.erased.messages), (ErasureState::Done, 1));
    rig.clock.set(now);
    assert!(rig.history("room").await.is_empty(), "nothing comes back");
}

#[tokio::test]
async fn an_erasure_survives_a_restart_at_every_step() {
    for lost_answer in [false, true] {
        let mut rig = Rig::with(Settings { erase_steps: 1, ..Settings::default() });
        scene(&rig).await;
        let id = rig.channels.erase(&admin(), &user("ann")).await.expect("begun").id;
        let mut steps = 0;
        loop {
            let erasure = rig.channels.erasure(&admin(), &id).await.expect("it is known");
            if erasure.state == ErasureState::Done {
                check_erased(&rig, &erasure).await;
                break;
            }
            if lost_answer {
                rig.store.faults().next_applies([Outcome::UnknownWritten]);
            }
            for _ in 0..=steps % 12 {
                rig.channels.maintain().await.expect("a round");
            }
            rig = rig.restart();
            steps += 1;
            assert!(steps < 100, "it comes to an end");
        }
        assert!(steps > 3);
    }
}

#[tokio::test]
async fn an_erasure_waits_for_a_hold_and_goes_on_when_it_is_released() {
    let rig = Rig::new();
    scene(&rig).await;
    let a = channel("a");
    let hold = Hold { name: "case".into(), scope: HoldScope::Channel(a.name.clone()), reason: "a court".into() };
    rig.channels.hold(&admin(), hold).await.expect("held");
    let id = rig.channels.erase(&admin(), &user("ann")).await.expect("begun").id;
    maintain(&rig).await;
    let erasure = rig.channels.erasure(&admin(), &id).await.expect("it is known");
    assert!(erasure.waits_for.is_some_and(|why| why.contains("case")));
    assert_eq!(count(&rig, &a).await, 3);
    rig.channels.release(&admin(), "case").await.expect("released");
    maintain(&rig).await;
    check_erased(&rig, &rig.channels.erasure(&admin(), &id).await.expect("a receipt")).await;
}

fn unnamed() -> [Channel; 2] {
    let of_app = |name| Channel { app: app(), name };
    [of_app(ChannelName::Member(1, 2)), of_app(ChannelName::direct("ann", "bob"))]
}

#[tokio::test]
async fn what_a_person_wrote_into_messages_of_others_is_taken_back_and_nothing_else() {
    let rig = Rig::new();
    let room = channel("room");
    let ids = [say(&rig, "room", "bob", "bob's").await, say(&rig, "room", "bob", "bob's other").await];
    let edit = async |who: &str, message, text: &str| {
        let caller = Caller { user: Some(user(who)), ..admin() };
        let payload = draft(text).payload;
        rig.channels.edit(&caller, &room, message, Revision { payload, extras: None }).await.expect("edited")
    };
    let mut edits = Vec::new();
    for (who, text) in [("bob", "second"), ("ann", "ann's"), ("bob", "third"), ("ann", "ann's last")] {
        edits.push(edit(who, ids[0], text).await);
    }
    edits.push(edit("ann", ids[1], "ann's").await);
    let mut live = rig.follow(&["room"], None).await;
    let id = rig.channels.erase(&admin(), &user("ann")).await.expect("begun").id;
    maintain(&rig).await;
    let erased = rig.channels.erasure(&admin(), &id).await.expect("a receipt").erased;
    assert_eq!((erased.messages, erased.edits), (0, 3));
    let shown = rig.history("room").await;
    assert_eq!(texts(&shown), ["third", "bob's other"]);
    assert_eq!((shown[0].edited_at, shown[1].edited_at), (Some(edits[2]), None));
    let versions = rig.channels.versions(&admin(), &room, ids[0]).await.expect("versions");
    assert_eq!(versions.iter().map(|version| version.at).collect::<Vec<_>>(), [ids[0], edits[0], edits[2]]);
    let mut told = Vec::new();
    while told.len() < 2 {
        told.extend(next(&mut live).await.items.into_iter().filter_map(|item| match &*item.change {
            model::Change::Channel(change) => match &change.what {
                What::Unedited(unedit) => Some((unedit.message, unedit.edits.clone())),
                _ => None,
            },
            model::Change::Record(_) => None,
        }));
    }
    assert_eq!(told, [(ids[0], vec![edits[1], edits[3]]), (ids[1], vec![edits[4]])], "who follows is told");
}

#[tokio::test]
async fn an_erasure_reaches_every_channel_and_the_person_whether_proved_or_not() {
    let rig = Rig::new();
    for room in &unnamed() {
        for verified in [false, true] {
            let author = Some(UserId { verified, ..user("ann") });
            let said = Draft { author, ..draft("ann's") };
            rig.channels.publish(&admin(), room, said).await.expect("published");
        }
        rig.channels.publish(&admin(), room, by("bob", "bob's")).await.expect("published");
    }
    let only_deleted = say(&rig, "room", "bob", "deleted by ann").await;
    let ann = Caller { user: Some(user("ann")), ..admin() };
    rig.channels.delete(&ann, &channel("room"), Target::Ids(vec![only_deleted])).await.expect("deleted");
    let id = rig.channels.erase(&admin(), &user("ann")).await.expect("begun").id;
    maintain(&rig).await;
    let receipt = rig.channels.erasure(&admin(), &id).await.expect("a receipt");
    assert_eq!((receipt.state, receipt.erased.messages), (ErasureState::Done, 4));
    for room in &unnamed() {
        assert_eq!(count(&rig, room).await, 1, "{room:?}");
    }
    let (first, more) = rig.channels.erased_in(&admin(), &id, None, 2).await.expect("where");
    let (rest, _) = rig.channels.erased_in(&admin(), &id, more.as_deref(), 2).await.expect("where");
    let places: Vec<String> = first.iter().chain(&rest).map(|place| place.channel.to_string()).collect();
    assert_eq!(places, ["room", "member 1/2", "direct ann/bob"], "also where only the feed tells of the person");
    let wrong = rig.channels.erased_in(&admin(), &id, Some("zz"), 2).await.expect_err("no such place");
    assert_eq!(wrong.kind, ErrorKind::Invalid);
    assert!(rig.channels.erase(&admin(), &user("ann")).await.expect("a new one").id != id, "a receipt knows nobody");
}

#[tokio::test]
async fn what_a_hold_keeps_of_a_person_is_neither_unedited_nor_taken_back() {
    let rig = Rig::new();
    let room = channel("room");
    let said = say(&rig, "room", "bob", "bob's").await;
    let ann = Caller { user: Some(user("ann")), ..admin() };
    let payload = draft("ann's").payload;
    rig.channels.edit(&ann, &room, said, Revision { payload, extras: None }).await.expect("edited");
    let reaction = Reaction { message: said, user: user("ann"), kind: "k".into(), value: "v".into() };
    rig.channels.react(&admin(), &room, reaction, true).await.expect("a reaction");
    let hold = Hold { name: "case".into(), scope: HoldScope::Channel(room.name.clone()), reason: String::new() };
    rig.channels.hold(&admin(), hold).await.expect("held");
    let id = rig.channels.erase(&admin(), &user("ann")).await.expect("begun").id;
    maintain(&rig).await;
    assert!(rig.channels.erasure(&admin(), &id).await.expect("known").waits_for.is_some());
    assert_eq!(texts(&rig.history("room").await), ["ann's"]);
    rig.channels.release(&admin(), "case").await.expect("released");
    maintain(&rig).await;
    let erased = rig.channels.erasure(&admin(), &id).await.expect("a receipt").erased;
    assert_eq!((erased.edits, erased.reactions), (1, 1));
    assert_eq!(texts(&rig.history("room").await), ["bob's"]);
}

#[tokio::test]
async fn retention_reaches_channels_without_a_name_in_the_clear() {
    let rig = Rig::new();
    for room in &unnamed() {
        for at in 0..5 {
            rig.channels.publish(&admin(), room, draft(&at.to_string())).await.expect("published");
        }
    }
    let run = rig.channels.dry_run(&admin(), None, newest(2), None, 1).await.expect("a dry run");
    let rest = rig.channels.dry_run(&admin(), None, newest(2), run.next.as_deref(), 5).await.expect("a dry run");
    let would: Vec<_> =
        run.channels.iter().chain(&rest.channels).map(|would| (&would.channel, would.messages)).collect();
    let rooms = unnamed();
    assert_eq!(would, [(&rooms[0].name, 3), (&rooms[1].name, 3)]);
    set(&rig, None, Some(newest(2))).await;
    maintain(&rig).await;
    assert!(rooms.iter().all(|room| floor(&rig, room) == Seq(3)));
}

#[tokio::test]
async fn a_reaction_of_what_is_not_kept_is_not_shown() {
    let rig = Rig::new();
    let ids = fill(&rig, "room", 3).await;
    let reaction = |message| Reaction { message, user: user("ann"), kind: "k".into(), value: "v".into() };
    for id in &ids {
        rig.channels.react(&admin(), &channel("room"), reaction(*id), true).await.expect("a reaction");
    }
    set(&rig, None, Some(newest(1))).await;
    for _ in 0..2 {
        let shown = rig.channels.reactions(&admin(), &channel("room"), Span::ALL, None, 10).await.expect("listed");
        assert_eq!(shown.entries.iter().map(|entry| entry.reaction.message).collect::<Vec<_>>(), [ids[2]]);
        maintain(&rig).await;
    }
    let gone = rig.channels.unreact(&admin(), &channel("room"), Unreact::Same(reaction(ids[0]))).await;
    assert_eq!(gone.expect_err("it went with its message").kind, ErrorKind::NotFound);
}
