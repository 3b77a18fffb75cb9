//! Erasures beside others: several at once, through restarts, and while legal holds come and go.

use crate::{
    keeping::{count, maintain, say, user},
    rig::*,
};
use model::{ErrorKind, Id, Reaction};
use service::{Caller, Erasure, ErasureState, Hold, HoldScope, Revision, Settings};

impl Rig {
    async fn erase(&self, who: &str) -> String {
        self.channels.erase(&admin(), &user(who)).await.expect("it begins").id
    }

    async fn erasure(&self, id: &str) -> Erasure {
        self.channels.erasure(&admin(), id).await.expect("it is known")
    }

    async fn hold(&self, name: &str, scope: HoldScope) {
        let hold = Hold { name: name.into(), scope, reason: String::new() };
        self.channels.hold(&admin(), hold).await.expect("held");
    }

    async fn edit_by(&self, who: &str, name: &str, message: Id, text: &str) {
        let caller = Caller { user: Some(user(who)), ..admin() };
        let revision = Revision { payload: draft(text).payload, extras: None };
        self.channels.edit(&caller, &channel(name), message, revision).await.expect("edited");
    }

    async fn react_by(&self, who: &str, name: &str, message: Id) {
        let reaction = Reaction { message, user: user(who), kind: "reaction".into(), value: "x".into() };
        self.channels.react(&admin(), &channel(name), reaction, true).await.expect("a reaction");
    }
}

fn of_channel(name: &str) -> HoldScope {
    HoldScope::Channel(channel(name).name)
}

/// With a restart after every few steps: each receipt tells what its own erasure took, and nothing is left of either.
#[tokio::test]
async fn two_erasures_at_once_take_and_tell_each_its_own() {
    let mut rig = Rig::with(Settings { erase_steps: 1, ..Settings::default() });
    for name in ["a", "b"] {
        let said = say(&rig, name, "carol", "carol's").await;
        for (who, times) in [("ann", 1), ("bob", 2)] {
            for _ in 0..times {
                say(&rig, name, who, &format!("{who}'s own")).await;
                rig.edit_by(who, name, said, &format!("{who}'s words")).await;
            }
            rig.react_by(who, name, said).await;
        }
    }
    let (ann, bob) = (rig.erase("ann").await, rig.erase("bob").await);
    assert_ne!(ann, bob);
    for round in 0..100 {
        for _ in 0..=round % 7 {
            rig.channels.maintain().await.expect("a round");
        }
        rig = rig.restart();
        if rig.erasure(&bob).await.state == ErasureState::Done && rig.erasure(&ann).await.state == ErasureState::Done {
            break;
        }
    }
    for (id, times) in [(&ann, 1), (&bob, 2)] {
        let Erasure { erased, channels, user, state, .. } = rig.erasure(id).await;
        assert_eq!((state, channels, user), (ErasureState::Done, 2, None));
        assert_eq!((erased.messages, erased.edits, erased.reactions), (2 * times, 2 * times, 2), "{id}");
    }
    for name in ["a", "b"] {
        assert_eq!(texts(&rig.history(name).await), ["carol's"]);
    }
}

#[tokio::test]
async fn an_erasure_that_a_hold_stops_keeps_no_other_from_going_on() {
    let rig = Rig::new();
    let who = ["ann", "bob", "carol"];
    for name in who {
        say(&rig, name, name, "a word").await;
        rig.hold(name, of_channel(name)).await;
    }
    let ids = [rig.erase("ann").await, rig.erase("bob").await, rig.erase("carol").await];
    for released in [0, 2, 1] {
        maintain(&rig).await;
        for (at, id) in ids.iter().enumerate() {
            let erasure = rig.erasure(id).await;
            let is_held = rig.channels.holds(&admin()).await.expect("holds").iter().any(|hold| hold.name == who[at]);
            assert_eq!(erasure.state == ErasureState::Done, !is_held, "{}", who[at]);
            assert_eq!(erasure.waits_for.is_some_and(|why| why.contains(who[at])), is_held);
        }
        rig.channels.release(&admin(), who[released]).await.expect("released");
    }
    maintain(&rig).await;
    for id in &ids {
        assert_eq!(rig.erasure(id).await.state, ErasureState::Done);
    }
}

/// Also when the channel's change feed, by which it counts, is dropped while it waits, as other erasures do.
#[tokio::test]
async fn what_an_erasure_took_before_a_hold_came_is_in_its_receipt() {
    let rig = Rig::with(Settings { erase_steps: 1, ..Settings::default() });
    let room = channel("room");
    let (all, mut said) = (1_003, Vec::new());
    for _ in 0..all {
        said.push(service::Draft { author: Some(user("ann")), ..draft("ann's") });
    }
    let said = said.into_iter().map(|said| (room.clone(), said)).collect();
    for outcome in rig.channels.publish_all(&admin(), said).await {
        outcome.expect("published");
    }
    let id = rig.erase("ann").await;
    while count(&rig, &room).await == all {
        rig.channels.maintain().await.expect("a round");
    }
    rig.hold("case", of_channel("room")).await;
    maintain(&rig).await;
    assert!(rig.erasure(&id).await.waits_for.is_some());
    let left = count(&rig, &room).await;
    assert!(0 < left && left < all, "the hold came in the middle");
    let (places, _) = rig.channels.erased_in(&admin(), &id, None, 10).await.expect("where");
    assert_eq!(places[0].erased.messages, all - left, "it is told while it waits");

    rig.store.faults().forget_changes(rig.store.newest());
    let rig = rig.restart();
    rig.channels.release(&admin(), "case").await.expect("released");
    maintain(&rig).await;
    let receipt = rig.erasure(&id).await;
    assert_eq!((receipt.state, receipt.erased.messages, receipt.channels), (ErasureState::Done, all, 1));
}

/// The hold is placed before what the erasure takes, but not yet when it looks for holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_comes_at_the_last_moment_wins() {
    for is_edit in [true, false] {
        let rig = Rig::with(Settings { erase_steps: 1, ..Settings::default() });
        let said = say(&rig, "room", "bob", "bob's").await;
        match is_edit {
            true => rig.edit_by("ann", "room", said, "ann's").await,
            false => rig.react_by("ann", "room", said).await,
        }
        let id = rig.erase("ann").await;
        // The first step finds the channel, the next ones look at messages and reactions.
        for _ in 0..if is_edit { 1 } else { 2 } {
            rig.channels.maintain().await.expect("a round");
        }
        let gate = rig.store.faults().hold_before_apply();
        let channels = rig.channels.clone();
        let busy = tokio::spawn(async move { channels.publish(&admin(), &channel("other"), draft("x")).await });
        let queued = async |count| {
            while rig.channels.status().queued_requests < count {
                tokio::task::yield_now().await;
            }
        };
        within(queued(1)).await;
        let channels = rig.channels.clone();
        let hold = Hold { name: "case".into(), scope: of_channel("room"), reason: String::new() };
        let hold = tokio::spawn(async move { channels.hold(&admin(), hold).await });
        within(queued(2)).await;
        let channels = rig.channels.clone();
        let round = tokio::spawn(async move { channels.maintain().await });
        within(queued(3)).await;
        gate.open();
        within(busy).await.expect("no panic").expect("published");
        within(hold).await.expect("no panic").expect("held");
        within(round).await.expect("no panic").expect("a round");
        maintain(&rig).await;
        let erasure = rig.erasure(&id).await;
        assert!(erasure.waits_for.is_some_and(|why| why.contains("case")), "is_edit {is_edit}");
        assert_eq!(texts(&rig.history("room").await), [if is_edit { "ann's" } else { "bob's" }]);
        let left =
            rig.channels.reactions(&admin(), &channel("room"), model::Span::ALL, None, 10).await.expect("listed");
        assert_eq!(left.entries.len(), usize::from(!is_edit));
    }
}

#[tokio::test]
async fn a_hold_on_an_author_keeps_what_others_wrote_into_their_messages() {
    let rig = Rig::new();
    let said = say(&rig, "room", "bob", "bob's").await;
    rig.edit_by("ann", "room", said, "ann's").await;
    rig.hold("case", HoldScope::Author(user("bob"))).await;
    let id = rig.erase("ann").await;
    maintain(&rig).await;
    assert!(rig.erasure(&id).await.waits_for.is_some());
    assert_eq!(texts(&rig.history("room").await), ["ann's"]);
    let refused = rig.channels.erase(&admin(), &user("bob")).await.expect_err("held");
    assert_eq!(refused.kind, ErrorKind::Conflict);
    rig.channels.release(&admin(), "case").await.expect("released");
    maintain(&rig).await;
    assert_eq!(rig.erasure(&id).await.state, ErasureState::Done);
    assert_eq!(texts(&rig.history("room").await), ["bob's"]);
}
