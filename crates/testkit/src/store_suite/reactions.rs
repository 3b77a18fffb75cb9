//! Promises about reactions.

use super::{StoreUnderTest, Story};
use crate::{channel, user};
use model::{Channel, Id, Message, Order, Position, Reaction, ReactionAt, ReactionEntry, Span, Store, UserId};

fn reaction(message: &Message, who: &str, value: &str) -> Reaction {
    Reaction { message: message.id, user: user(who), kind: "reaction".into(), value: value.into() }
}

/// One stands per user, message, kind and value; it is found, taken back, and made again under another id.
pub fn a_reaction_stands_until_it_is_taken_back<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut story = Story::open(open);
    let (room, beside) = (channel("room"), channel("beside"));
    let all = story.publish(&room, 0..3);
    story.publish(&beside, 0..1);
    let smile = reaction(&all[1], "ann", "smile");
    let others = [
        reaction(&all[2], "ann", "smile"),
        reaction(&all[1], "bob", "smile"),
        reaction(&all[1], "ann", "frown"),
        Reaction { kind: "receipt".into(), ..smile.clone() },
        Reaction { user: UserId { verified: false, ..user("ann") }, ..smile.clone() },
        // Taken together, kind and value are the letters of another.
        Reaction { kind: "reactions".into(), value: "mile".into(), ..smile.clone() },
    ];
    let first = story.bench.builder.react(&room, &smile);
    story.apply();
    let finds = |store: &dyn Store, room: &Channel, was: &Reaction| store.reaction(room, was).expect("looked up");
    for other in &others {
        assert_eq!(finds(story.store(), &room, other), None, "{other:?} is another one");
    }
    let ids: Vec<Id> = others.iter().map(|other| story.bench.builder.react(&room, other)).collect();
    story.apply();
    story.bench.tested.flush();
    let mut story = story.holds(&[&room, &beside], |store| {
        assert!(!store.lacks_reactions(&room).expect("told"), "nobody may be told that there are none");
        assert_eq!(finds(store, &room, &smile), Some(first));
        assert_eq!(finds(store, &beside, &smile), None, "in another channel");
        for (other, id) in others.iter().zip(&ids) {
            assert_eq!(finds(store, &room, other), Some(*id), "{other:?}");
        }
    });
    story.bench.builder.unreact(&room, first, &smile);
    story.apply();
    story = story.holds(&[&room], |store| {
        assert_eq!(finds(store, &room, &smile), None);
        let left = store.reactions(&room, Span::ALL, None, 100).expect("reactions are read");
        assert_eq!(left.len(), 6);
        assert!(left.iter().all(|entry| entry.id != first));
    });
    let again = story.bench.builder.react(&room, &smile);
    let frown = ids[2];
    story.bench.builder.unreact(&room, frown, &others[2]);
    let frown_again = story.bench.builder.react(&room, &others[2]);
    story.apply();
    story.holds(&[&room], |store| {
        assert_eq!(finds(store, &room, &smile), Some(again));
        assert_eq!(finds(store, &room, &others[2]), Some(frown_again), "taken back and made in one batch");
    });
}

/// By the messages of a span: by message, then by reaction. By their own time: from either end, always by growing id.
pub fn reactions_are_listed_by_message_and_by_time<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut story = Story::open(open);
    let room = channel("room");
    let all = story.publish(&room, 0..10);
    let late = reaction(&all[8], "ann", "1");
    let mut ids = vec![story.bench.builder.react(&room, &late)];
    story.apply();
    story.bench.tested.flush();
    for (n, value) in [(2, "2"), (5, "3"), (2, "4"), (5, "5"), (9, "6")] {
        ids.push(story.bench.builder.react(&room, &reaction(&all[n], "ann", value)));
    }
    let nothing = Reaction { message: Id::from_raw(all[5].id.raw() + 1), ..late.clone() };
    ids.push(story.bench.builder.react(&room, &nothing));
    story.apply();
    story.holds(&[&room], |store| {
        let by_message = |span, limit| values(store.reactions(&room, span, None, limit).expect("reactions are read"));
        assert_eq!(by_message(Span::ALL, 100), ["2", "4", "3", "5", "1", "6"], "and none of what is no message");
        assert_eq!(by_message(Span::ALL, 3), ["2", "4", "3"]);
        assert_eq!(by_message(Span { after: all[2].id, upto: all[8].id }, 100), ["3", "5", "1"]);
        assert_eq!(
            by_message(Span { after: all[2].id.previous(), upto: all[8].id.previous() }, 100),
            ["2", "4", "3", "5"]
        );
        assert_eq!(by_message(Span { after: all[5].id, upto: all[2].id }, 100), Vec::<String>::new());
        let by_time =
            |span, order, limit| values(store.reactions_made(&room, span, order, limit).expect("reactions are read"));
        let middle = Span { after: ids[1], upto: ids[4] };
        for order in [Order::Ascending, Order::Descending] {
            assert_eq!(by_time(Span::ALL, order, 100), ["1", "2", "3", "4", "5", "6", "1"]);
            assert_eq!(by_time(middle, order, 100), ["3", "4", "5"]);
            assert_eq!(by_time(middle, order, 0), Vec::<String>::new());
        }
        assert_eq!(by_time(middle, Order::Ascending, 2), ["3", "4"]);
        assert_eq!(by_time(middle, Order::Descending, 2), ["4", "5"]);
        assert_eq!(store.reaction(&room, &nothing).expect("looked up"), Some(ids[6]));
    });
}

/// A page of reactions goes on behind the last one of the page before, also in the middle of a message, and whatever
/// became of that one.
pub fn reactions_to_one_message_are_paged<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut story = Story::open(open);
    let room = channel("room");
    let all = story.publish(&room, 0..4);
    let mut ids = Vec::new();
    for n in 0..30 {
        ids.push(story.bench.builder.react(&room, &reaction(&all[1], &format!("user {n}"), &n.to_string())));
        if n == 14 {
            story.apply();
            story.bench.tested.flush();
        }
    }
    story.bench.builder.react(&room, &reaction(&all[2], "ann", "of the next message"));
    story.bench.builder.unreact(&room, ids[9], &reaction(&all[1], "user 9", "9"));
    story.apply();
    story.holds(&[&room], |store| {
        for limit in [1, 4, 10, 50] {
            let (mut after, mut visited) = (None, Vec::new());
            loop {
                let page = store.reactions(&room, Span::ALL, after, limit).expect("reactions are read");
                let Some(last) = page.last() else { break };
                after = Some(ReactionAt { message: last.reaction.message, reaction: last.id });
                visited.extend(values(page));
                assert!(visited.len() < 100, "paging comes to an end");
            }
            let made = (0..30).filter(|n| *n != 9).map(|n| n.to_string());
            assert_eq!(visited, Vec::from_iter(made.chain(["of the next message".into()])), "{limit} at a time");
        }
        let taken_back = Some(ReactionAt { message: all[1].id, reaction: ids[9] });
        let next = store.reactions(&room, Span::ALL, taken_back, 1).expect("reactions are read");
        assert_eq!(values(next), ["10"]);
        let elsewhere = Span { after: all[1].id, upto: Id::MAX };
        let next = store.reactions(&room, elsewhere, taken_back, 9).expect("reactions are read");
        assert_eq!(values(next), ["of the next message"], "the span holds, too");
    });
}

/// Reactions go with their message, whatever takes it; one to a message that is gone never stands; one to what was never
/// a message stands until the floor passes it.
pub fn reactions_go_with_their_message<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut story = Story::open(open);
    let room = channel("room");
    let mut all = story.publish(&room, 0..8);
    all.extend(story.publish_due(&room, 1..3));
    let nothing = |n: usize| Reaction { message: Id::from_raw(all[n].id.raw() + 1), ..reaction(&all[n], "bob", "air") };
    for message in &all {
        story.bench.builder.react(&room, &reaction(message, "ann", "before"));
    }
    story.bench.builder.react(&room, &nothing(1));
    story.bench.builder.react(&room, &nothing(4));
    let taken_back = reaction(&all[4], "ann", "taken back");
    let id = story.bench.builder.react(&room, &taken_back);
    story.apply();
    story.bench.tested.flush();
    story.delete(&room, &all[4..6]);
    story.bench.builder.expire(&room, crate::removal_of(&all[8..9]));
    story.bench.builder.floor(&room, Position { id: all[2].id, seq: all[2].seq });
    story.apply();
    for message in &all {
        story.bench.builder.react(&room, &reaction(message, "ann", "after"));
    }
    story.bench.builder.unreact(&room, id, &taken_back);
    story.apply();
    let gone = |n: usize| n <= 2 || n == 4 || n == 5 || n == 8;
    story.holds(&[&room], |store| {
        let stands = |was: &Reaction| store.reaction(&room, was).expect("looked up").is_some();
        for (n, message) in all.iter().enumerate() {
            for value in ["before", "after"] {
                assert_eq!(stands(&reaction(message, "ann", value)), !gone(n), "{value} at {n}");
            }
        }
        assert!(!stands(&nothing(1)), "below the floor");
        assert!(stands(&nothing(4)), "beside a deleted message");
        let listed = store.reactions(&room, Span::ALL, None, 100).expect("reactions are read").len();
        let made = store.reactions_made(&room, Span::ALL, Order::Ascending, 100).expect("reactions are read").len();
        assert_eq!((listed, made), (8, 9));
    });
}

fn values(entries: Vec<ReactionEntry>) -> Vec<String> {
    entries.iter().map(|entry| entry.reaction.value.to_string()).collect()
}
