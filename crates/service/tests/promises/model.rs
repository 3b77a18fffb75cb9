//! Random publishes, signals, subscriptions, polls, failures and restarts against a plain list of what happened.

use crate::rig::*;
use model::Id;
use proptest::{collection::vec, prelude::*};
use service::{Settings, Subscription};
use std::{collections::BTreeMap, time::Duration};
use testkit::Outcome;

const NAMES: [&str; 5] = ["x", "a.x", "a.y", "a.b.x", "a.b.y"];
const TOPICS: [&str; 7] = ["x", "a.x", "a.y", "a.b.x", "*", "a.*", "a.b.*"];
const FOLLOWERS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Publish(usize),
    /// Several in one call, while the store does this.
    PublishAll(Vec<usize>, Outcome),
    Signal(usize),
    /// A follower begins anew with these topics, at its cursor or from now.
    Follow(usize, Vec<usize>, bool),
    Poll(usize),
    Drop(usize),
    Restart,
    Advance(u64),
    SetBack(u64),
}

/// A change that happened: its id, its channel, and whether it can be read back.
struct Happened {
    id: Id,
    name: &'static str,
    stored: bool,
}

/// Somebody who follows, over any number of subscriptions, from one cursor.
struct Follower {
    topics: Vec<&'static str>,
    began: Id,
    cursor: Id,
    subscription: Option<Subscription>,
    seen: Vec<Id>,
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..NAMES.len();
    let outcome = prop_oneof![
        4 => Just(Outcome::Happens),
        1 => Just(Outcome::Refused),
        1 => Just(Outcome::UnknownWritten),
        1 => Just(Outcome::UnknownLost),
    ];
    prop_oneof![
        8 => name.clone().prop_map(Step::Publish),
        3 => (vec(name.clone(), 1..20), outcome).prop_map(|(names, outcome)| Step::PublishAll(names, outcome)),
        2 => name.prop_map(Step::Signal),
        3 => (0..FOLLOWERS, vec(0..TOPICS.len(), 1..4), any::<bool>())
            .prop_map(|(who, topics, on)| Step::Follow(who, topics, on)),
        6 => (0..FOLLOWERS).prop_map(Step::Poll),
        2 => (0..FOLLOWERS).prop_map(Step::Drop),
        1 => Just(Step::Restart),
        1 => (0_u64..100).prop_map(Step::Advance),
        1 => (0_u64..100).prop_map(Step::SetBack),
    ]
}

fn matches(topic: &str, name: &str) -> bool {
    topic.strip_suffix('*').map_or(topic == name, |prefix| name.starts_with(prefix))
}

struct World {
    rig: Rig,
    happened: Vec<Happened>,
    followers: BTreeMap<usize, Follower>,
}

impl World {
    async fn step(&mut self, step: Step) {
        match step {
            Step::Publish(name) => {
                let id = self.rig.publish(NAMES[name], "x").await;
                self.happened.push(Happened { id, name: NAMES[name], stored: true });
            }
            Step::Signal(name) => {
                let id = self.rig.signal(NAMES[name], "x").await;
                self.happened.push(Happened { id, name: NAMES[name], stored: false });
            }
            Step::PublishAll(names, outcome) => {
                self.rig.store.faults().next_applies([outcome]);
                let drafts = names.iter().map(|name| (channel(NAMES[*name]), draft("x"))).collect();
                let outcomes = within(self.rig.channels.publish_all(&admin(), drafts)).await;
                for (name, published) in names.iter().zip(outcomes) {
                    if let Ok(published) = published {
                        self.happened.push(Happened { id: published.id, name: NAMES[*name], stored: true });
                    }
                }
            }
            Step::Follow(who, topics, go_on) => self.follow(who, topics, go_on).await,
            Step::Poll(who) => self.poll(who, 1).await,
            Step::Drop(who) => {
                if let Some(follower) = self.followers.get_mut(&who) {
                    follower.cursor = follower.subscription.take().map_or(follower.cursor, |old| old.cursor());
                }
            }
            Step::Restart => self.restart().await,
            Step::Advance(seconds) => self.rig.clock.advance_seconds(seconds),
            Step::SetBack(seconds) => self.rig.clock.set_back_seconds(seconds),
        }
    }

    async fn follow(&mut self, who: usize, topics: Vec<usize>, go_on: bool) {
        let topics: Vec<&str> = topics.into_iter().map(|topic| TOPICS[topic]).collect();
        let old = self.followers.remove(&who).filter(|_| go_on);
        let mut follower = old.unwrap_or_else(|| {
            let now = self.rig.channels.frontier();
            Follower { topics, began: now, cursor: now, subscription: None, seen: Vec::new() }
        });
        follower.cursor = follower.subscription.take().map_or(follower.cursor, |old| old.cursor());
        follower.subscription = Some(self.rig.follow(&follower.topics, Some(follower.cursor)).await);
        self.followers.insert(who, follower);
    }

    /// Takes what is there, in at most so many deliveries.
    async fn poll(&mut self, who: usize, most: usize) {
        let frontier = self.rig.channels.frontier();
        let Some(follower) = self.followers.get_mut(&who) else { return };
        if follower.subscription.is_none() {
            follower.subscription = Some(self.rig.follow(&follower.topics, Some(follower.cursor)).await);
        }
        let Some(subscription) = &mut follower.subscription else { return };
        for _ in 0..most {
            let owed = self.happened.iter().any(|happened| {
                happened.id > subscription.cursor() && follower.topics.iter().any(|topic| matches(topic, happened.name))
            });
            if !owed {
                break;
            }
            let delivery = next(subscription).await;
            follower.seen.extend(delivery.items.iter().map(|item| item.change.id()));
            follower.cursor = delivery.cursor;
            assert!(delivery.cursor <= frontier, "a cursor never passes the frontier");
        }
    }

    /// Everybody reads to the end first: signals do not survive a restart.
    async fn restart(&mut self) {
        for who in 0..FOLLOWERS {
            self.poll(who, usize::MAX).await;
        }
        for follower in self.followers.values_mut() {
            follower.cursor = follower.subscription.take().map_or(follower.cursor, |old| old.cursor());
        }
        self.rig = self.rig.restart();
    }

    async fn finish(mut self) {
        for who in 0..FOLLOWERS {
            self.poll(who, usize::MAX).await;
        }
        for follower in self.followers.values() {
            let due = self.happened.iter().filter(|happened| {
                happened.id > follower.began && follower.topics.iter().any(|topic| matches(topic, happened.name))
            });
            let due: Vec<Id> = due.map(|happened| happened.id).collect();
            assert_eq!(follower.seen, due, "each once, in order: {:?}", follower.topics);
        }
        for name in NAMES {
            let stored = self.happened.iter().filter(|happened| happened.stored && happened.name == name);
            let stored: Vec<Id> = stored.map(|happened| happened.id).collect();
            let history: Vec<Id> = self.rig.history(name).await.iter().map(|message| message.id).collect();
            assert_eq!(history, stored);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_follower_sees_what_happened_once_and_in_order(steps in vec(step(), 1..120), small in any::<bool>()) {
        // Small bounds bring full mailboxes and evictions; the ring must hold the signals that a follower is owed.
        let patient = Settings { behind: Duration::from_secs(1_000_000), ..Settings::default() };
        let settings = match small {
            true => Settings { mailbox_changes: 2, delivery_changes: 3, known_entries: 8, ..patient },
            false => patient,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let mut world = World { rig: Rig::with(settings), happened: Vec::new(), followers: BTreeMap::new() };
            for step in steps {
                world.step(step).await;
            }
            world.finish().await;
        });
    }
}
