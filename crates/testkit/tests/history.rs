//! The judge of recorded runs finds each sort of contradiction, and none in a true history.

use model::Order;
use testkit::history::{Answer, Publish, RecordedHistory, Seen, SeenPage, Subscriber, Walk};

fn publish(publisher: &str, channel: &str, text: &str, answer: Answer) -> Publish {
    Publish { publisher: publisher.into(), channel: channel.into(), text: text.into(), answer }
}

fn seen(channel: &str, id: u64, text: &str) -> Seen {
    Seen { channel: channel.into(), id, text: text.into() }
}

/// Two publishers, two channels, one subscriber of both, one walk in each direction over the first.
fn true_history() -> RecordedHistory {
    let room = |id, text| seen("room", id, text);
    let page = |after, upto, messages: &[Seen]| SeenPage {
        after,
        upto,
        head: 60,
        acknowledged: 50,
        messages: messages.into(),
    };
    let all = [room(10, "a1"), room(20, "b1"), room(40, "a2"), room(60, "b3")];
    RecordedHistory {
        publishes: vec![
            publish("ann", "room", "a1", Answer::Acknowledged(10)),
            publish("ann", "room", "a2", Answer::Acknowledged(40)),
            publish("ann", "room", "a1", Answer::Acknowledged(10)),
            publish("bob", "room", "b1", Answer::Acknowledged(20)),
            publish("bob", "hall", "b2", Answer::Acknowledged(30)),
            publish("bob", "room", "b3", Answer::Unknown),
            publish("bob", "room", "b4", Answer::Unknown),
            publish("bob", "room", "b5", Answer::Refused),
        ],
        subscribers: vec![Subscriber {
            name: "sue".into(),
            channels: vec!["room".into(), "hall".into()],
            from: 10,
            upto: 70,
            seen: vec![room(20, "b1"), seen("hall", 30, "b2"), room(40, "a2"), room(60, "b3")],
        }],
        walks: vec![
            Walk {
                name: "up".into(),
                channel: "room".into(),
                order: Order::Ascending,
                pages: vec![page(0, 20, &all[..2]), page(20, u64::MAX, &all[2..])],
            },
            Walk {
                name: "down".into(),
                channel: "room".into(),
                order: Order::Descending,
                pages: vec![page(39, u64::MAX, &all[2..]), page(0, 39, &all[..2])],
            },
        ],
    }
}

#[test]
fn a_true_history_has_no_contradiction() {
    true_history().check().expect("it is true");
    RecordedHistory::default().check().expect("nothing happened");
    let mut twice = true_history();
    twice.merge(RecordedHistory { publishes: vec![], ..true_history() });
    twice.check().expect("readers may see the same");
}

#[test]
fn an_older_page_is_a_prefix() {
    let mut history = true_history();
    history.walks[0].pages = vec![SeenPage {
        after: 0,
        upto: u64::MAX,
        head: 20,
        acknowledged: 20,
        messages: vec![seen("room", 10, "a1"), seen("room", 20, "b1")],
    }];
    history.check().expect("what came later is no part of it");
}

#[test]
fn each_contradiction_is_found_and_named() {
    found("phantom: sue saw \"x\"", |h| h.subscribers[0].seen.push(seen("room", 65, "x")));
    found("phantom: sue saw \"b5\"", |h| h.subscribers[0].seen.push(seen("room", 65, "b5")));
    found("doubled: \"a1\" (11 in room)", |h| h.publishes[2].answer = Answer::Acknowledged(11));
    found("doubled: \"a2\" (61 in room)", |h| h.subscribers[0].seen.push(seen("room", 61, "a2")));
    found("doubled: sue saw \"b3\" (60 in room) twice", |h| h.subscribers[0].seen.push(seen("room", 60, "b3")));
    found("doubled: sue saw \"b3\" (60 in room) and then \"b1\"", |h| {
        h.subscribers[0].seen.push(seen("room", 20, "b1"))
    });
    found("reordered: sue saw", |h| h.subscribers[0].seen.swap(1, 2));
    found("reordered: ann had \"a1\" acknowledged as 10", |h| {
        h.publishes[1].answer = Answer::Acknowledged(9);
        h.subscribers.clear();
        h.walks.clear();
    });
    found("altered: \"b3\" (60 in room), seen by up, is \"b4\"", |h| h.subscribers[0].seen[3].text = "b4".into());
    found("lost: sue went from 10 to 70 and did not see \"a2\"", |h| drop(h.subscribers[0].seen.remove(2)));
    found("lost: sue went from 10 to 70 and did not see \"b3\" (60 in room), seen by up", |h| {
        h.subscribers[0].seen.truncate(3);
    });
    found("lost: sue went from 5 to 70 and did not see \"a1\"", |h| h.subscribers[0].from = 5);
    found("out of range: sue saw \"b3\"", |h| h.subscribers[0].upto = 50);
    found("misplaced: sue saw \"b2\"", |h| h.subscribers[0].channels.truncate(1));
    found("misplaced: sue saw \"b2\" (30 in room), which was sent to hall", |h| {
        h.subscribers[0].seen[1].channel = "room".into();
    });
    found("hole between pages: up ended a page at 20", |h| h.walks[0].pages[1].after = 25);
    found("hole between pages: down ended a page at 39", |h| h.walks[1].pages[1].upto = 30);
    found("lost: up read a page from 0 to 20, head 60, without \"a1\"", |h| {
        drop(h.walks[0].pages[0].messages.remove(0))
    });
    found("lost: down read a page", |h| drop(h.walks[1].pages[0].messages.pop()));
    found("stale: up read a page with head 60 after 61", |h| h.walks[0].pages[1].acknowledged = 61);
    found("out of range: up saw \"b3\"", |h| h.walks[0].pages[1].upto = 50);
    found("reordered: up saw", |h| h.walks[0].pages[0].messages.swap(0, 1));
    found("misplaced: up saw \"b2\" (30 in hall) in room", |h| {
        h.walks[0].pages[1].messages.insert(0, seen("hall", 30, "b2"));
    });
}

/// One edit of the true history gives a contradiction that begins like this.
fn found(expected: &str, edit: fn(&mut RecordedHistory)) {
    let mut history = true_history();
    edit(&mut history);
    let why = history.check().expect_err(expected);
    assert!(why.starts_with(expected), "expected {expected:?}, got {why:?}");
}
