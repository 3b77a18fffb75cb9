//! One order, the same for history, for subscribers and for whoever comes back.

use crate::rig::*;
use model::{Id, Seq};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use service::Query;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_and_pages_see_one_order_under_200_publishers() {
    const PUBLISHERS: usize = 200;
    const EACH: usize = 5;
    let rig = Arc::new(Rig::new());
    let mut follower = rig.follow(&["room"], None).await;
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let rig = rig.clone();
            tokio::spawn(async move {
                for at in 0..EACH {
                    rig.publish("room", &format!("{publisher}/{at}")).await;
                }
            })
        })
        .collect();
    let reader = {
        let rig = rig.clone();
        tokio::spawn(async move {
            let mut pages = Vec::new();
            while pages.last().is_none_or(|page: &Vec<_>| page.len() < PUBLISHERS * EACH) {
                pages.push(rig.history("room").await);
                tokio::task::yield_now().await;
            }
            pages
        })
    };
    let seen = take(&mut follower, PUBLISHERS * EACH).await;
    for publisher in publishers {
        publisher.await.expect("no publisher panics");
    }
    assert_eq!(seen, rig.history("room").await);
    assert!(seen.windows(2).all(|two| two[0].id < two[1].id));
    assert!(seen.iter().zip(1..).all(|(message, seq)| message.seq == Seq(seq)));
    for page in within(reader).await.expect("the reader does not panic") {
        assert_eq!(page, seen[..page.len()], "a page is a prefix of the order");
    }
}

/// What every member of a crowd of publishers and one polling reader does: each poll begins at the last cursor, takes
/// what comes, and is cut at random.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_cursor_over_50_channels_sees_each_message_once() {
    const PUBLISHERS: usize = 8;
    const EACH: usize = 200;
    let rig = Arc::new(Rig::new());
    let names: Vec<String> = (0..50).map(|at| format!("c{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut cursor = rig.channels.frontier();
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let rig = rig.clone();
            tokio::spawn(async move {
                let mut random = SmallRng::seed_from_u64(publisher as u64);
                for at in 0..EACH {
                    let name = format!("c{}", random.random_range(0..50));
                    let text = format!("{publisher}/{at}");
                    if random.random_bool(0.3) {
                        rig.signal(&name, &text).await;
                    } else {
                        rig.publish(&name, &text).await;
                    }
                }
            })
        })
        .collect();
    let mut random = SmallRng::seed_from_u64(99);
    let mut seen: Vec<Id> = Vec::new();
    while seen.len() < PUBLISHERS * EACH {
        let mut poll = rig.follow(&names, Some(cursor)).await;
        for _ in 0..random.random_range(0..3) {
            if random.random_bool(0.2) {
                // Given up while it waits: nothing may be lost with it.
                let _ = tokio::time::timeout(std::time::Duration::from_micros(50), poll.next()).await.map(|delivery| {
                    let delivery = delivery.expect("it goes on");
                    seen.extend(delivery.items.iter().map(|item| item.change.id()));
                });
            } else if seen.len() < PUBLISHERS * EACH {
                let delivery = next(&mut poll).await;
                seen.extend(delivery.items.iter().map(|item| item.change.id()));
            }
        }
        assert!(poll.cursor() <= rig.channels.frontier(), "a cursor never passes the frontier");
        cursor = poll.cursor();
    }
    for publisher in publishers {
        publisher.await.expect("no publisher panics");
    }
    assert_eq!(seen.len(), PUBLISHERS * EACH);
    assert!(seen.windows(2).all(|two| two[0] < two[1]), "each once, in order");
}

#[tokio::test]
async fn a_batch_keeps_the_order_of_its_call() {
    let rig = Rig::new();
    let drafts = (0..100).map(|at| (channel(&format!("c{}", at % 7)), draft(&at.to_string()))).collect();
    let outcomes = rig.channels.publish_all(&admin(), drafts).await;
    let ids: Vec<Id> = outcomes.into_iter().map(|outcome| outcome.expect("it is published").id).collect();
    assert!(ids.windows(2).all(|two| two[0] < two[1]));
    let page = rig.channels.history(&admin(), &channel("c3"), &Query::newest(3)).await.expect("a page");
    assert_eq!(texts(&page.page.messages), ["80", "87", "94"]);
}
