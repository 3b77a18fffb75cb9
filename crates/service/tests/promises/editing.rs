//! Edits and reactions: who may, what readers see, what goes with its message.

use crate::rig::*;
use model::{Change, ErrorKind, Id, Order, Origin, Reaction, Span, Target, UserId, What};
use service::{Access, Caller, Draft, Query, Revision, Rights, Rule, Scope, Subscription, Unreact};
use std::sync::Arc;

fn user(id: &str) -> UserId {
    UserId::new(Origin::Native, id, true).expect("a valid user")
}

/// Somebody who may read and write, and nothing else.
fn writer(id: &str) -> Caller {
    let rights = Rights::READ | Rights::WRITE | Rights::HISTORY;
    let access = Access::new([Rule { scope: Scope::Everything, rights }]);
    Caller { user: Some(user(id)), access: Arc::new(access), ..admin() }
}

fn by(id: &str, text: &str) -> Draft {
    Draft { author: Some(user(id)), ..draft(text) }
}

fn revision(text: &str) -> Revision {
    Revision { payload: draft(text).payload, extras: None }
}

fn smile(message: Id, id: &str) -> Reaction {
    Reaction { message, user: user(id), kind: "reaction".into(), value: "smile".into() }
}

#[tokio::test]
async fn the_newest_edit_is_what_readers_see_and_older_ones_stay_readable() {
    let rig = Rig::new();
    let room = channel("room");
    let ann = writer("ann");
    let id = rig.channels.publish(&ann, &room, by("ann", "first")).await.expect("published").id;
    rig.publish("room", "other").await;
    let mut follower = rig.follow(&["room"], None).await;
    assert_eq!(texts(&rig.history("room").await), ["first", "other"]);
    let second = rig.channels.edit(&ann, &room, id, revision("second")).await.expect("edited");
    let third = rig.channels.edit(&ann, &room, id, revision("third")).await.expect("edited");
    assert_eq!(texts(&rig.history("room").await), ["third", "other"], "no hot page outlives an edit");
    assert_eq!(rig.history("room").await[0].edited_at, Some(third));
    let versions = rig.channels.versions(&ann, &room, id).await.expect("versions");
    assert_eq!(versions.iter().map(|version| version.at).collect::<Vec<_>>(), [id, second, third]);
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(next(&mut follower).await.items.iter().map(|item| item.change.id()));
    }
    assert_eq!(seen, [second, third], "subscribers see the edits");
    let changes = rig.channels.changes(&ann, &room, id, 10).await.expect("changes");
    assert_eq!(changes.changes.iter().map(|change| change.id()).collect::<Vec<_>>(), [second, third]);
    let again = rig.restart();
    assert_eq!(texts(&again.history("room").await), ["third", "other"]);
}

#[tokio::test]
async fn only_the_author_edits_or_who_manages_the_channel() {
    let rig = Rig::new();
    let room = channel("room");
    let id = rig.channels.publish(&writer("ann"), &room, by("ann", "x")).await.expect("published").id;
    let refused = rig.channels.edit(&writer("bob"), &room, id, revision("y")).await.expect_err("not the author");
    assert_eq!(refused.kind, ErrorKind::Forbidden);
    let asserted = Caller { user: Some(UserId { verified: false, ..user("ann") }), ..writer("ann") };
    let refused = rig.channels.edit(&asserted, &room, id, revision("y")).await.expect_err("only says so");
    assert_eq!(refused.kind, ErrorKind::Forbidden);
    rig.channels.edit(&admin(), &room, id, revision("moderated")).await.expect("may manage");
    assert_eq!(texts(&rig.history("room").await), ["moderated"]);
    for missing in [Id::from_raw(id.raw() - 1), Id::MAX, Id::MIN] {
        let error = rig.channels.edit(&admin(), &room, missing, revision("y")).await.expect_err("it is not there");
        assert_eq!(error.kind, ErrorKind::NotFound);
    }
    let elsewhere = rig.publish("other", "x").await;
    let error = rig.channels.edit(&admin(), &room, elsewhere, revision("y")).await.expect_err("of another channel");
    assert_eq!(error.kind, ErrorKind::NotFound);
    let long = Revision { payload: draft(&"x".repeat(model::limits::PAYLOAD_BYTES + 1)).payload, extras: None };
    assert_eq!(rig.channels.edit(&admin(), &room, id, long).await.expect_err("long").kind, ErrorKind::TooLarge);
}

#[tokio::test]
async fn an_edit_that_meets_a_deletion_is_not_found() {
    let rig = Rig::new();
    let room = channel("room");
    let ids = [rig.publish("room", "1").await, rig.publish("room", "2").await];
    rig.channels.delete(&admin(), &room, Target::Ids(vec![ids[0]])).await.expect("deleted");
    let error = rig.channels.edit(&admin(), &room, ids[0], revision("y")).await.expect_err("it is gone");
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(rig.channels.versions(&admin(), &room, ids[0]).await.is_err());
}

/// Whether the message was at hand when the edit was asked for, or had to be looked up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_that_is_asked_for_before_a_deletion_and_decided_after_it_is_not_found() {
    for empty_memory in [false, true] {
        let rig = Arc::new(Rig::new());
        let ids = [rig.publish("room", "1").await, rig.publish("room", "2").await];
        rig.store.faults().empty_memory(empty_memory);
        let gate = rig.store.faults().hold_before_apply();
        let deleting = rig.clone();
        let target = Target::Ids(vec![ids[0]]);
        let deletion = tokio::spawn(async move { deleting.channels.delete(&admin(), &channel("room"), target).await });
        let until = async |reached: &dyn Fn() -> bool| {
            while !reached() {
                tokio::task::yield_now().await;
            }
        };
        within(until(&|| gate.is_reached())).await;
        let edits = ids.map(|id| {
            let editing = rig.clone();
            tokio::spawn(async move { editing.channels.edit(&admin(), &channel("room"), id, revision("y")).await })
        });
        within(until(&|| rig.channels.status().queued_requests == 3)).await;
        gate.open();
        within(deletion).await.expect("no panic").expect("deleted");
        let [gone, there] = edits;
        let refused = within(gone).await.expect("no panic").expect_err("its message is gone");
        assert_eq!(refused.kind, ErrorKind::NotFound, "empty_memory {empty_memory}");
        within(there).await.expect("no panic").expect("edited");
        assert_eq!(texts(&rig.history("room").await), ["y"]);
    }
}

#[tokio::test]
async fn a_reaction_stands_once_and_goes_with_its_message() {
    let rig = Rig::new();
    let room = channel("room");
    let ids = [rig.publish("room", "1").await, rig.publish("room", "2").await];
    let (ann, bob) = (writer("ann"), writer("bob"));
    let first = rig.channels.react(&ann, &room, smile(ids[0], "ann"), true).await.expect("a reaction");
    let again = rig.channels.react(&ann, &room, smile(ids[0], "ann"), true).await.expect_err("it stands");
    assert_eq!(again.kind, ErrorKind::Conflict);
    let rig = rig.restart();
    let again = rig.channels.react(&ann, &room, smile(ids[0], "ann"), true).await.expect_err("it still stands");
    assert_eq!(again.kind, ErrorKind::Conflict);
    let second = rig.channels.react(&bob, &room, smile(ids[0], "bob"), true).await.expect("another user");
    let third = rig.channels.react(&bob, &room, smile(ids[1], "bob"), true).await.expect("another message");

    let listed = rig.channels.reactions(&ann, &room, Span::ALL, None, 10).await.expect("listed");
    assert_eq!(listed.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [first, second, third]);
    let part = rig.channels.reactions(&ann, &room, Span::ALL, None, 2).await.expect("listed");
    assert!(part.more && part.entries.len() == 2);
    let newest = rig.channels.reactions_made(&ann, &room, Span::ALL, Order::Descending, 2).await.expect("listed");
    assert_eq!(newest.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [second, third]);
    assert!(newest.more);

    let stolen = rig.channels.unreact(&ann, &room, Unreact::Id(second)).await.expect_err("it is bob's");
    assert_eq!(stolen.kind, ErrorKind::Forbidden);
    let taken = rig.channels.unreact(&bob, &room, Unreact::Same(smile(ids[0], "bob"))).await.expect("taken back");
    assert_eq!(taken.id, second);
    let twice = rig.channels.unreact(&bob, &room, Unreact::Id(second)).await.expect_err("it is gone");
    assert_eq!(twice.kind, ErrorKind::NotFound);
    rig.channels.react(&bob, &room, smile(ids[0], "bob"), true).await.expect("it may come again");

    rig.channels.delete(&admin(), &room, Target::Ids(vec![ids[0]])).await.expect("deleted");
    let listed = rig.channels.reactions(&ann, &room, Span::ALL, None, 10).await.expect("listed");
    assert_eq!(listed.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [third]);
}

#[tokio::test]
async fn a_reaction_needs_its_message_only_if_the_caller_says_so() {
    let rig = Rig::new();
    let room = channel("room");
    let id = rig.publish("room", "1").await;
    let nowhere = Id::from_raw(id.raw() - 5);
    let refused = rig.channels.react(&admin(), &room, smile(nowhere, "ann"), true).await.expect_err("no message");
    assert_eq!(refused.kind, ErrorKind::NotFound);
    rig.channels.react(&admin(), &room, smile(nowhere, "ann"), false).await.expect("any position will do");
    let made = rig.channels.reactions_made(&admin(), &room, Span::ALL, Order::Ascending, 10).await.expect("listed");
    assert_eq!(made.entries.len(), 1);
    assert!(rig.channels.reactions(&admin(), &room, Span::ALL, None, 10).await.expect("listed").entries.is_empty());
    let refused = rig.channels.react(&admin(), &channel("empty"), smile(id, "ann"), false).await;
    assert_eq!(refused.expect_err("nothing was ever stored there").kind, ErrorKind::NotFound);
    let other = writer("ann");
    let refused = rig.channels.react(&other, &room, smile(id, "bob"), true).await.expect_err("not bob");
    assert_eq!(refused.kind, ErrorKind::Forbidden);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_equal_reactions_at_the_same_time_one_stands() {
    let rig = Arc::new(Rig::new());
    let id = rig.publish("room", "1").await;
    let same: Vec<_> = (0..20)
        .map(|_| {
            let rig = rig.clone();
            tokio::spawn(async move { rig.channels.react(&admin(), &channel("room"), smile(id, "ann"), true).await })
        })
        .collect();
    let mut stand = 0;
    for one in same {
        match within(one).await.expect("no panic") {
            Ok(_) => stand += 1,
            Err(error) => assert_eq!(error.kind, ErrorKind::Conflict),
        }
    }
    assert_eq!(stand, 1);
}

#[tokio::test]
async fn a_window_hides_what_happened_to_what_it_hides() {
    let rig = Rig::new();
    let room = channel("room");
    let mut ids = Vec::new();
    for at in 0..6 {
        ids.push(rig.publish("room", &at.to_string()).await);
    }
    let old_reaction = rig.channels.react(&admin(), &room, smile(ids[0], "ann"), true).await.expect("a reaction");
    rig.channels.react(&admin(), &room, smile(ids[5], "ann"), true).await.expect("a reaction");
    rig.channels.edit(&admin(), &room, ids[1], revision("secret")).await.expect("edited");
    rig.channels.delete(&admin(), &room, Target::Ids(vec![ids[0], ids[4]])).await.expect("deleted");

    let mut access = Access::admin();
    access.window.newest = Some(3);
    let narrow = Caller { access: Arc::new(access), ..admin() };
    let changes = rig.channels.changes(&narrow, &room, Id::MIN, 10).await.expect("changes").changes;
    let what: Vec<&What> = changes
        .iter()
        .map(|change| match &**change {
            Change::Channel(change) => &change.what,
            Change::Record(_) => panic!("no records"),
        })
        .collect();
    assert_eq!(what.len(), 2, "{what:?}");
    assert!(matches!(what[0], What::Reacted(reaction) if reaction.message == ids[5]));
    let What::Deleted(removal) = what[1] else { panic!("{:?}", what[1]) };
    assert_eq!((removal.count(), &removal.ids[..]), (1, &ids[4..5]), "only what it might have seen");
    let seen = rig.channels.reactions_made(&narrow, &room, Span::ALL, Order::Ascending, 10).await.expect("listed");
    assert!(seen.entries.iter().all(|entry| entry.id != old_reaction));
    let hidden = rig.channels.edit(&narrow, &room, ids[1], revision("y")).await.expect_err("not seen");
    assert_eq!(hidden.kind, ErrorKind::NotFound);
    let page = rig.channels.history(&narrow, &room, &Query::newest(10)).await.expect("a page");
    assert_eq!(texts(&page.page.messages), ["3", "5"]);
    assert_eq!(page.page.removed.deleted, 1, "of those in its window");
    let taken = rig.channels.delete(&narrow, &room, Target::Span(Span::ALL)).await.expect("deleted");
    assert_eq!(taken.messages, 2, "it takes what it sees");
    assert_eq!(texts(&rig.history("room").await), ["secret", "2"]);
}

#[tokio::test]
async fn a_full_store_refuses_what_adds_and_nothing_else() {
    let rig = Rig::new();
    let (room, admin) = (channel("room"), admin());
    let ids = [rig.publish("room", "one").await, rig.publish("room", "two").await];
    let first = rig.channels.publish(&admin, &room, keyed("three", "key")).await.expect("published").id;
    let reaction = rig.channels.react(&admin, &room, smile(ids[0], "ann"), true).await.expect("it stands");
    let mut follower = rig.follow(&["room"], None).await;

    rig.store.faults().set_full(true);
    // All at once, so that what adds shares batches with what does not.
    let (published, edited, reacted, deleted) = tokio::join!(
        rig.channels.publish(&admin, &room, draft("four")),
        rig.channels.edit(&admin, &room, ids[0], revision("edited")),
        rig.channels.react(&admin, &room, smile(ids[0], "bob"), true),
        rig.channels.delete(&admin, &room, Target::Ids(vec![ids[1]])),
    );
    for refused in [published.map(|published| published.id), edited, reacted] {
        let error = refused.expect_err("it adds");
        assert_eq!((error.kind, &error.message[..]), (ErrorKind::Unavailable, "planned: the disk is full"));
    }
    assert_eq!(deleted.expect("it removes").messages, 1);
    let again = rig.channels.publish(&admin, &room, keyed("three", "key")).await.expect("it is there");
    assert_eq!((again.id, again.repeated), (first, true));
    rig.channels.unreact(&admin, &room, Unreact::Id(reaction)).await.expect("it removes");
    rig.signal("room", "live").await;
    while !next(&mut follower).await.items.iter().any(carries_message) {}
    assert_eq!(texts(&rig.history("room").await), ["one", "three"]);

    rig.store.faults().set_full(false);
    rig.publish("room", "five").await;
    assert_eq!(texts(&rig.history("room").await), ["one", "three", "five"]);
}

/// Of what happens live and of what lies in the ring, a subscriber is told what its window leaves, and all of what happens to
/// messages that it was handed.
#[tokio::test]
async fn a_window_holds_for_what_happens_live() {
    let rig = Rig::new();
    let room = channel("room");
    let mut ids = Vec::new();
    for at in 0..4 {
        ids.push(rig.publish("room", &at.to_string()).await);
    }
    let mut by_count = Access::admin();
    by_count.window.newest = Some(2);
    let mut by_position = Access::admin();
    by_position.window.since = Some(ids[1]);
    let mut followers = Vec::new();
    for access in [by_count, by_position] {
        let caller = Caller { access: Arc::new(access), ..admin() };
        let live = rig.channels.subscribe(&caller, vec![topic("room")], None).await.expect("followed");
        let back = rig.channels.subscribe(&caller, vec![topic("room")], Some(Id::MIN)).await.expect("followed");
        followers.push((live, 0));
        followers.push((back, 2));
    }
    for (live, _) in followers.iter_mut().filter(|(_, before)| *before == 0) {
        // The first poll takes it to where it waits.
        assert!(tokio::time::timeout(std::time::Duration::ZERO, live.next()).await.is_err());
    }
    for (message, text) in [(ids[0], "hidden"), (ids[2], "seen"), (ids[1], "hidden, too")] {
        rig.channels.edit(&admin(), &room, message, revision(text)).await.expect("edited");
        rig.channels.react(&admin(), &room, smile(message, "ann"), true).await.expect("a reaction");
    }
    rig.channels.delete(&admin(), &room, Target::Ids(vec![ids[0], ids[3]])).await.expect("deleted");
    rig.channels.delete(&admin(), &room, Target::Ids(vec![ids[1]])).await.expect("deleted");
    for (at, (follower, messages)) in followers.iter_mut().enumerate() {
        let told = told_until(follower, |what| matches!(what, What::Deleted(_))).await;
        let before: Vec<_> = told.iter().take_while(|what| matches!(what, What::Published { .. })).collect();
        // Where it catches up, the deleted message is not in the ring any more.
        assert!(before.len() <= *messages, "follower {at}: {told:?}");
        let rest = &told[before.len()..];
        assert!(matches!(&rest[0], What::Edited(edit) if edit.message == ids[2]), "follower {at}: {rest:?}");
        assert!(matches!(&rest[1], What::Reacted(reaction) if reaction.message == ids[2]), "follower {at}: {rest:?}");
        let What::Deleted(removal) = &rest[2] else { panic!("follower {at}: {rest:?}") };
        assert_eq!((removal.count(), &removal.ids[..], rest.len()), (1, &ids[3..], 3), "follower {at}");
    }
    let late = rig.publish("room", "late").await;
    for text in ["1", "2", "3"] {
        rig.publish("room", text).await;
    }
    rig.channels.edit(&admin(), &room, late, revision("edited")).await.expect("edited");
    for (at, (follower, _)) in followers.iter_mut().enumerate() {
        let told = told_until(follower, |what| matches!(what, What::Edited(_))).await;
        assert_eq!(told.len(), 5, "follower {at} has it, however many came since: {told:?}");
    }
}

async fn told_until(follower: &mut Subscription, is_last: impl Fn(&What) -> bool) -> Vec<What> {
    let mut told: Vec<What> = Vec::new();
    while !told.last().is_some_and(&is_last) {
        for item in next(follower).await.items {
            let Change::Channel(change) = &*item.change else { panic!("no records") };
            told.push(change.what.clone());
        }
    }
    told
}

#[tokio::test]
async fn reactions_to_one_message_are_read_page_by_page() {
    let rig = Rig::new();
    let room = channel("room");
    let ids = [rig.publish("room", "1").await, rig.publish("room", "2").await];
    for n in 0..7 {
        rig.channels.react(&admin(), &room, smile(ids[0], &n.to_string()), true).await.expect("a reaction");
    }
    rig.channels.react(&admin(), &room, smile(ids[1], "last"), true).await.expect("a reaction");
    let (mut after, mut users) = (None, Vec::new());
    loop {
        let page = rig.channels.reactions(&admin(), &room, Span::ALL, after, 3).await.expect("listed");
        assert_eq!(page.more, page.end().is_some());
        users.extend(page.entries.iter().map(|entry| entry.reaction.user.id.to_string()));
        after = page.end();
        if after.is_none() {
            break;
        }
    }
    assert_eq!(users, ["0", "1", "2", "3", "4", "5", "6", "last"]);
}
