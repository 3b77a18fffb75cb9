//! Random edits, deletions, reactions, expiries, policies, rounds of maintenance and restarts against a plain list of
//! what should be there.

use crate::rig::*;
use model::{Channel, Id, Order, Origin, Reaction, Seq, Span, TICKS_PER_SECOND, Target, UserId};
use proptest::{collection::vec, prelude::*};
use service::{Draft, Query, Reach, Retention, Revision, Settings, Unreact};
use std::{collections::BTreeSet, time::Duration};
use testkit::Outcome;

#[derive(Clone, Debug)]
enum Step {
    Publish(Option<u64>),
    Edit(usize),
    DeleteIds(Vec<usize>),
    DeleteSpan(usize, usize),
    DeleteAll,
    React(usize, u8),
    Unreact(usize, u8),
    Keep(Option<u64>),
    Refuse,
    Maintain,
    Restart,
    /// Whether anything is at hand, or has to be looked up.
    Forget(bool),
    Advance(u64),
}

/// A message as it should read.
struct Expected {
    id: Id,
    text: String,
    due: Option<u64>,
    gone: bool,
    /// Its place among all that were ever published.
    seq: Seq,
}

struct World {
    rig: Rig,
    room: Channel,
    messages: Vec<Expected>,
    reactions: BTreeSet<(Id, u8)>,
    keep: Option<u64>,
    /// What has fallen below a policy that was made durable stays gone.
    floor: Seq,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => proptest::option::weighted(0.3, 1..100_u64).prop_map(Step::Publish),
        3 => any::<usize>().prop_map(Step::Edit),
        3 => vec(any::<usize>(), 1..5).prop_map(Step::DeleteIds),
        2 => (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Step::DeleteSpan(a, b)),
        1 => Just(Step::DeleteAll),
        3 => (any::<usize>(), 0..3_u8).prop_map(|(at, user)| Step::React(at, user)),
        2 => (any::<usize>(), 0..3_u8).prop_map(|(at, user)| Step::Unreact(at, user)),
        1 => proptest::option::of(1..20_u64).prop_map(Step::Keep),
        1 => Just(Step::Refuse),
        3 => Just(Step::Maintain),
        1 => Just(Step::Restart),
        1 => any::<bool>().prop_map(Step::Forget),
        3 => (1..60_u64).prop_map(Step::Advance),
    ]
}

fn smile(message: Id, user: u8) -> Reaction {
    let user = UserId::new(Origin::Native, &user.to_string(), true).expect("a user");
    Reaction { message, user, kind: "reaction".into(), value: "smile".into() }
}

impl World {
    fn new() -> World {
        let (rig, room) = (Rig::with(Settings { expire_messages: 5, ..Settings::default() }), channel("room"));
        World { rig, room, messages: Vec::new(), reactions: BTreeSet::new(), keep: None, floor: Seq::START }
    }

    fn is_there(&self, message: &Expected) -> bool {
        let last = Seq(self.messages.len() as i64);
        let floor = self.keep.map_or(Seq::NONE, |keep| last.minus(keep)).max(self.floor);
        let due = message.due.is_some_and(|due| due <= self.rig.clock_now());
        !message.gone && !due && message.seq > floor
    }

    fn there(&self) -> Vec<&Expected> {
        self.messages.iter().filter(|message| self.is_there(message)).collect()
    }

    fn at(&self, at: usize) -> Option<usize> {
        (!self.messages.is_empty()).then(|| at % self.messages.len())
    }

    async fn step(&mut self, step: Step) {
        let channels = self.rig.channels.clone();
        match step {
            Step::Publish(ttl) => {
                let text = self.messages.len().to_string();
                let draft = Draft { ttl: ttl.map(Duration::from_secs), ..draft(&text) };
                let due = ttl.map(|ttl| self.rig.clock_now() + ttl * TICKS_PER_SECOND);
                let published = channels.publish(&admin(), &self.room, draft).await.expect("published");
                assert_eq!(published.seq, Seq(self.messages.len() as i64 + 1));
                let seq = published.seq;
                self.messages.push(Expected { id: published.id, text, due, gone: false, seq });
            }
            Step::Edit(at) => {
                let Some(at) = self.at(at) else { return };
                let text = format!("{} edited", self.messages[at].text);
                let revision = Revision { payload: draft(&text).payload, extras: None };
                let edited = channels.edit(&admin(), &self.room, self.messages[at].id, revision).await;
                assert_eq!(edited.is_ok(), self.is_there(&self.messages[at]));
                if edited.is_ok() {
                    self.messages[at].text = text;
                }
            }
            Step::DeleteIds(ats) => {
                let chosen: BTreeSet<usize> = ats.into_iter().filter_map(|at| self.at(at)).collect();
                let ids = chosen.iter().map(|at| self.messages[*at].id).collect();
                self.delete(Target::Ids(ids)).await;
            }
            Step::DeleteSpan(a, b) => {
                let (Some(a), Some(b)) = (self.at(a), self.at(b)) else { return };
                let span = Span { after: self.messages[a.min(b)].id, upto: self.messages[a.max(b)].id };
                self.delete(Target::Span(span)).await;
            }
            Step::DeleteAll => self.delete(Target::Span(Span::ALL)).await,
            Step::React(at, user) => {
                let Some(at) = self.at(at) else { return };
                let id = self.messages[at].id;
                let made = channels.react(&admin(), &self.room, smile(id, user), true).await;
                let new = self.is_there(&self.messages[at]) && !self.reactions.contains(&(id, user));
                assert_eq!(made.is_ok(), new, "{made:?}");
                if new {
                    self.reactions.insert((id, user));
                }
            }
            Step::Unreact(at, user) => {
                let Some(at) = self.at(at) else { return };
                let id = self.messages[at].id;
                let taken = channels.unreact(&admin(), &self.room, Unreact::Same(smile(id, user))).await;
                if self.is_there(&self.messages[at]) {
                    assert_eq!(taken.is_ok(), self.reactions.contains(&(id, user)), "{taken:?}");
                }
                if taken.is_ok() {
                    self.reactions.remove(&(id, user));
                }
            }
            Step::Keep(keep) => {
                let retention = keep.map(|keep| Retention { messages: Some(keep), age: None });
                channels.set_retention(&admin(), None, retention).await.expect("set");
                self.keep = keep;
            }
            Step::Refuse => {
                self.rig.store.faults().next_applies([Outcome::Refused]);
                let refused = channels.publish(&admin(), &self.room, draft("never")).await;
                assert!(refused.is_err());
            }
            Step::Maintain => {
                while channels.maintain().await.expect("a round") {}
                let heads = model::Store::heads(&*self.rig.store, std::slice::from_ref(&self.room)).expect("heads");
                self.floor = self.floor.max(heads[0].floor.seq);
            }
            Step::Restart => self.rig = self.rig.restart(),
            Step::Forget(empty) => self.rig.store.faults().empty_memory(empty),
            Step::Advance(seconds) => self.rig.clock.advance_seconds(seconds),
        }
    }

    /// Deletes, and expects exactly those to go that no policy had: a policy hides from readers only.
    async fn delete(&mut self, target: Target) {
        let now = self.rig.clock_now();
        let floor = self.floor;
        let wanted = |message: &Expected| match &target {
            Target::Ids(ids) => ids.contains(&message.id),
            Target::Span(span) => span.contains(message.id),
        };
        let goes = |message: &Expected| {
            wanted(message) && !message.gone && message.seq > floor && message.due.is_none_or(|due| due > now)
        };
        let expected = self.messages.iter().filter(|message| goes(message)).count() as u64;
        let deleted = self.rig.channels.delete(&admin(), &self.room, target.clone()).await.expect("deleted");
        assert_eq!(deleted.messages, expected);
        self.messages.iter_mut().filter(|message| goes(message)).for_each(|message| message.gone = true);
        let heads = model::Store::heads(&*self.rig.store, std::slice::from_ref(&self.room)).expect("heads");
        self.floor = self.floor.max(heads[0].floor.seq);
    }

    async fn check(&self) {
        let channels = &self.rig.channels;
        let there = self.there();
        let expected: Vec<(Id, String)> = there.iter().map(|message| (message.id, message.text.clone())).collect();
        for order in [Order::Ascending, Order::Descending] {
            let (mut read, mut span) = (Vec::new(), Span::ALL);
            loop {
                let query = Query::of(Reach::Span { span, order }, 7);
                let page = channels.history(&admin(), &self.room, &query).await.expect("a page").page.clone();
                let messages = page.messages.iter().map(|message| (message.id, text(message)));
                read.extend(messages);
                if !page.more {
                    break;
                }
                match order {
                    Order::Ascending => span.after = page.covered.upto,
                    Order::Descending => span.upto = page.covered.after,
                }
            }
            read.sort_unstable();
            assert_eq!(read, expected, "{order:?}");
        }
        let count = channels.count(&admin(), &self.room, Span::ALL).await.expect("a count");
        assert_eq!(count, expected.len() as u64);
        let listed = channels.reactions(&admin(), &self.room, Span::ALL, None, 1_000).await.expect("listed").entries;
        let listed: Vec<Id> = listed.iter().map(|entry| entry.reaction.message).collect();
        // What is due and was not expired yet is hidden; its reactions go when it does.
        let shown = |id: &Id| there.iter().any(|message| message.id == *id);
        let listed: Vec<Id> = listed.into_iter().filter(shown).collect();
        let reactions: Vec<Id> = self.reactions.iter().map(|(id, _)| *id).filter(shown).collect();
        assert_eq!(listed, reactions);
        let mut late = self.rig.follow(&["room"], Some(Id::MIN)).await;
        let mut followed = BTreeSet::new();
        let end = self.rig.signal("room", "the end").await;
        while late.cursor() < end {
            let items = next(&mut late).await.items;
            let messages = items.iter().filter(|item| carries_message(item)).map(message_of);
            // The ends of earlier looks are there, too: signals, which are in no history.
            followed.extend(messages.filter(|message| message.seq > Seq::NONE).map(|message| message.id));
        }
        assert_eq!(followed.into_iter().collect::<Vec<_>>(), expected.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_read_shows_what_is_left(steps in vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let mut world = World::new();
            for step in steps {
                world.step(step).await;
                world.check().await;
            }
        });
    }
}
