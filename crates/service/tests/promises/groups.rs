//! Groups of channels that change while somebody follows them: nothing lost, nothing doubled, one cursor.

use crate::rig::*;
use model::{Change, ChannelName, ErrorKind, Id, ShardId, What};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use service::{Access, Arrival, Caller, Group, Rights, Rule, Scope, Settings, Topic};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

fn group(text: &str) -> Group {
    Group::new(text).expect("a group")
}

fn name(text: &str) -> ChannelName {
    ChannelName::named(text).expect("a name")
}

async fn add(rig: &Rig, to: &str, channel: &str) {
    rig.channels.add_to_group(&admin(), &group(to), &[name(channel)]).await.expect("it is added");
}

async fn remove(rig: &Rig, from: &str, channel: &str) {
    rig.channels.remove_from_group(&admin(), &group(from), &[name(channel)]).await.expect("it is removed");
}

#[tokio::test]
async fn a_subscription_follows_what_its_group_holds() {
    let rig = Rig::new();
    add(&rig, "g", "a").await;
    let mut follower = rig.channels.subscribe(&admin(), vec![Topic::Group(group("g"))], None).await.expect("followed");
    rig.publish("a", "1").await;
    rig.publish("b", "not yet").await;
    add(&rig, "g", "b").await;
    add(&rig, "other", "c").await;
    rig.publish("b", "2").await;
    rig.publish("c", "never").await;
    remove(&rig, "g", "a").await;
    rig.publish("a", "not any more").await;
    rig.publish("b", "3").await;
    assert_eq!(texts(&take(&mut follower, 3).await), ["1", "2", "3"]);
    rig.channels.delete_group(&admin(), &group("g")).await.expect("it is deleted");
    rig.publish("b", "not any more").await;
    add(&rig, "g", "a").await;
    rig.signal("a", "4").await;
    assert_eq!(texts(&take(&mut follower, 1).await), ["4"]);
}

#[tokio::test]
async fn who_was_away_gets_what_the_group_held_at_the_time() {
    let rig = Rig::new();
    add(&rig, "g", "a").await;
    let cursor = rig.channels.frontier();
    rig.publish("b", "not yet").await;
    rig.publish("a", "1").await;
    add(&rig, "g", "b").await;
    rig.publish("b", "2").await;
    remove(&rig, "g", "a").await;
    rig.publish("a", "not any more").await;
    let topics = vec![Topic::Group(group("g"))];
    let mut poll = rig.channels.subscribe(&admin(), topics.clone(), Some(cursor)).await.expect("followed");
    assert_eq!(texts(&take(&mut poll, 2).await), ["1", "2"]);
    // After a restart what happened is read back into the ring, groups with it.
    let rig = rig.restart();
    let mut poll = rig.channels.subscribe(&admin(), topics.clone(), Some(cursor)).await.expect("followed");
    assert_eq!(texts(&take(&mut poll, 2).await), ["1", "2"]);
    // Where the ring does not reach back, what the group holds now is read.
    rig.store.faults().forget_recent(rig.store.newest());
    let rig = rig.restart();
    rig.store.faults().forget_recent(rig.store.newest());
    let mut poll = rig.channels.subscribe(&admin(), topics, Some(Id::MIN)).await.expect("followed");
    assert!(texts(&take(&mut poll, 2).await).contains(&"2".to_owned()));
}

/// A held subscription and one that comes back again and again, while channels are published in and come and go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_while_a_group_changes() {
    const MESSAGES: usize = 1_500;
    let rig = Arc::new(Rig::new());
    add(&rig, "g", "c0").await;
    let start = rig.channels.frontier();
    let topics = vec![Topic::Group(group("g")), Topic::Channel(name("end"))];
    let held = collect(rig.clone(), topics.clone(), start, usize::MAX);
    let polls = collect(rig.clone(), topics, start, 3);
    let stop = Arc::new(AtomicBool::new(false));
    let changer = {
        let (rig, stop) = (rig.clone(), stop.clone());
        tokio::spawn(async move {
            let mut random = SmallRng::seed_from_u64(1);
            while !stop.load(SeqCst) {
                let channel = format!("c{}", random.random_range(0..6));
                if random.random_bool(0.5) { add(&rig, "g", &channel).await } else { remove(&rig, "g", &channel).await }
            }
        })
    };
    let publishers: Vec<_> = (0..3)
        .map(|publisher| {
            let rig = rig.clone();
            tokio::spawn(async move {
                let mut random = SmallRng::seed_from_u64(100 + publisher);
                for at in 0..MESSAGES / 3 {
                    rig.publish(&format!("c{}", random.random_range(0..6)), &at.to_string()).await;
                }
            })
        })
        .collect();
    let (held, polls) = (tokio::spawn(held), tokio::spawn(polls));
    for publisher in publishers {
        publisher.await.expect("no panic");
    }
    stop.store(true, SeqCst);
    changer.await.expect("no panic");
    rig.publish("end", "end").await;
    let expected = said_in_group(&rig, start);
    assert!(expected.len() > 100, "the group held something now and then");
    assert_eq!(within(held).await.expect("no panic"), expected, "held");
    assert_eq!(within(polls).await.expect("no panic"), expected, "in polls");
}

/// The ids of what comes up to the message in "end", by subscriptions that are given up after so many deliveries.
async fn collect(rig: Arc<Rig>, topics: Vec<Topic>, start: Id, deliveries: usize) -> Vec<Id> {
    let (mut cursor, mut seen) = (start, Vec::new());
    loop {
        let mut poll = rig.channels.subscribe(&admin(), topics.clone(), Some(cursor)).await.expect("followed");
        let mut count = 0;
        while count < deliveries {
            count += 1;
            for item in next(&mut poll).await.items {
                if item.topic == 1 {
                    return seen;
                }
                seen.push(item.change.id());
            }
        }
        cursor = poll.cursor();
    }
}

/// What was published after `start` in channels that belonged to the group at that moment: the records and messages in
/// the order in which they were stored.
fn said_in_group(rig: &Rig, start: Id) -> Vec<Id> {
    let mut members = BTreeSet::new();
    let mut said = Vec::new();
    for change in rig.store.stored_changes(ShardId(0)) {
        match &*change {
            Change::Record(record) => {
                let member = record.key.name[2..].to_vec();
                if record.value.is_some() {
                    members.insert(member)
                } else {
                    members.remove(&member)
                };
            }
            Change::Channel(channel) => {
                let name = channel.channel.name.as_named().unwrap_or_default().as_bytes();
                let published = matches!(channel.what, What::Published { .. });
                if published && change.id() > start && members.contains(name) {
                    said.push(change.id());
                }
            }
        }
    }
    said
}

#[tokio::test]
async fn a_group_tells_who_is_on_its_channels() {
    let rig = Rig::with(Settings { look: Duration::from_millis(2), ..Settings::default() });
    let user = model::UserId::new(model::Origin::Native, "ann", true).expect("a user");
    let ann = Caller { user: Some(user), ..admin() };
    let topics =
        vec![Topic::PresenceGroup(group("g")), Topic::PresencePattern(service::Pattern::new("p.*").expect("ok"))];
    let mut watcher = rig.channels.subscribe(&admin(), topics, None).await.expect("followed");
    let arrival = Arrival { connection: "a".into(), timeout: None, state: None, data: None };
    rig.channels.arrive(&ann, &[name("a")], arrival.clone()).await.expect("it arrives");
    add(&rig, "g", "b").await;
    rig.channels.arrive(&ann, &[name("b"), name("p.1"), name("q.1")], arrival).await.expect("it arrives");
    rig.publish("b", "nobody follows this").await;
    let mut told = Vec::new();
    while told.len() < 2 {
        for item in next(&mut watcher).await.items {
            let Change::Channel(change) = &*item.change else { panic!("a record") };
            assert!(matches!(change.what, What::Presence(_)));
            told.push((item.topic, change.channel.name.to_string()));
        }
    }
    assert_eq!(told, [(0, "b".to_owned()), (1, "p.1".to_owned())]);
}

#[tokio::test]
async fn groups_are_listed_bounded_and_guarded() {
    let rig = Rig::with(Settings { group_channels: 3, subscription_channels: 4, ..Settings::default() });
    let names = |texts: &[&str]| texts.iter().map(|text| name(text)).collect::<Vec<_>>();
    for (to, channels) in [("b", &["1", "2"][..]), ("a", &["z", "y", "y"]), ("a.b", &["x"])] {
        rig.channels.add_to_group(&admin(), &group(to), &names(channels)).await.expect("they are added");
    }
    assert_eq!(rig.channels.group(&admin(), &group("a")).await.expect("listed"), names(&["y", "z"]));
    let (first, next) = rig.channels.list_groups(&admin(), None, 2).await.expect("listed");
    assert_eq!(first, [group("a"), group("a.b")]);
    let (rest, end) = rig.channels.list_groups(&admin(), next.as_ref(), 2).await.expect("listed");
    assert_eq!((rest, end), (vec![group("b")], None));
    let too_many = rig.channels.add_to_group(&admin(), &group("b"), &names(&["3", "4"])).await;
    assert_eq!(too_many.map_err(|error| error.kind), Err(ErrorKind::TooLarge));
    assert_eq!(rig.channels.group(&admin(), &group("b")).await.expect("listed"), names(&["1", "2"]), "all or none");
    for bad in ["", "a\0b", &"g".repeat(257)] {
        assert!(Group::new(bad).is_err());
    }

    let both = vec![Topic::Group(group("a")), Topic::Group(group("b"))];
    let mut follower = rig.channels.subscribe(&admin(), both.clone(), None).await.expect("followed");
    rig.channels.add_to_group(&admin(), &group("b"), &names(&["3"])).await.expect("it is added");
    let grown = within(follower.next()).await.expect_err("it would miss a channel");
    assert_eq!(grown.kind, ErrorKind::TooLarge);
    let refused = rig.channels.subscribe(&admin(), both, None).await.err().map(|error| error.kind);
    assert_eq!(refused, Some(ErrorKind::TooLarge));

    let rule = |scope, rights| Rule { scope, rights };
    let reader = Access::new([rule(Scope::Group(group("a")), Rights::READ)]).within([Scope::Channel(name("y"))]);
    let reader = Caller { access: Arc::new(reader), ..admin() };
    let denied = rig.channels.add_to_group(&reader, &group("a"), &names(&["y"])).await;
    assert_eq!(denied.map_err(|error| error.kind), Err(ErrorKind::Forbidden));
    assert_eq!(rig.channels.list_groups(&reader, None, 10).await.expect("listed").0, [group("a")]);
    let past = rig.channels.subscribe(&reader, vec![Topic::Group(group("b"))], None).await.err();
    assert_eq!(past.map(|error| error.kind), Some(ErrorKind::Forbidden));
    let mut follower = rig.channels.subscribe(&reader, vec![Topic::Group(group("a"))], None).await.expect("followed");
    rig.publish("z", "outside of what the dialect shows").await;
    rig.publish("y", "inside").await;
    assert_eq!(texts(&take(&mut follower, 1).await), ["inside"]);
}
