//! Promises about selections: messages by author, recipient and channel, over all channels of an app.

use super::{StoreUnderTest, Story};
use crate::{Fields, agree::Pair, app, channel, removal_of, user};
use model::{
    AppId, Channel, ChannelName, Id, Message, Order, Origin, Position, Selection, SelectionWindow, Selector, Span,
    Store, UserId,
};
use std::{sync::Arc, time::Duration};

fn author(name: &str) -> Selector {
    Selector::Author(name.into())
}

fn sender(name: &str) -> Selector {
    Selector::Sender(name.into())
}

fn recipient(name: &str) -> Selector {
    Selector::Recipient(name.into())
}

fn pair(author: &str, recipient: &str) -> Selector {
    Selector::Pair { author: author.into(), recipient: recipient.into() }
}

fn within(author: &str, room: &Channel) -> Selector {
    Selector::AuthorIn { author: author.into(), channel: room.name.clone() }
}

fn of(selectors: impl IntoIterator<Item = Selector>) -> Selection {
    Selection::new(selectors).expect("the selectors are disjoint")
}

fn chat(one: &str, other: &str) -> Channel {
    Channel { app: app(), name: ChannelName::direct(one, other) }
}

fn by(name: &str) -> Fields {
    Fields { author: Some(user(name)), ..Fields::default() }
}

fn from_to(author: &str, recipient: &str) -> Fields {
    Fields { recipient: Some(user(recipient)), ..by(author) }
}

/// All selectors that the messages of [`peopled`] may be among, and selections of several.
fn selections(rooms: &[Channel]) -> Vec<Selection> {
    let names = ["ann", "bob", "room"];
    let mut all: Vec<Selection> = Vec::new();
    for name in names {
        all.extend([of([author(name)]), of([sender(name)]), of([author(name), sender(name)]), of([recipient(name)])]);
        all.extend(names.map(|other| of([pair(name, other)])));
        all.extend(rooms[..4].iter().map(|room| of([within(name, room)])));
    }
    all.extend(rooms.iter().map(|room| of([Selector::Channel(room.name.clone())])));
    all.push(of([pair("ann", "bob"), pair("bob", "ann")]));
    all.push(of([recipient("room"), Selector::Channel(channel("room").name)]));
    all.push(of([pair("ann", "room"), within("ann", &channel("room")), pair("room", "ann")]));
    all.push(of([author("ann"), author("bob"), author("room")]));
    all
}

fn count(store: &dyn Store, selectors: impl IntoIterator<Item = Selector>) -> u64 {
    store.count_selected(&app(), &of(selectors), Span::ALL, Id::MIN).expect("counting works")
}

/// Users are told by name alone, in their own app; direct chats and channels are told apart; two kinds of one name make
/// one selection.
pub fn a_selection_is_what_its_selectors_say<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut story = Story::open(open);
    let (room, other) = (channel("room"), channel("other"));
    let (ann_bob, ann_room) = (chat("ann", "bob"), chat("ann", "room"));
    let elsewhere = Channel { app: AppId::new("demo2").expect("a valid name"), ..room.clone() };
    let member = Channel { app: app(), name: ChannelName::Member(7, 8) };
    let unverified = UserId { origin: Origin::Pubnub, verified: false, ..user("ann") };
    let builder = &mut story.bench.builder;
    let due = Id::new(builder.next_id().ticks() + 50, 0);
    let m = [
        builder.publish_with(&room, "0", by("ann")),
        builder.publish_with(&room, "1", Fields { author: Some(unverified), ..Fields::default() }),
        builder.publish_with(&other, "2", by("ann")),
        builder.publish_with(&ann_bob, "3", from_to("ann", "bob")),
        builder.publish_with(&ann_bob, "4", from_to("bob", "ann")),
        builder.publish_with(&elsewhere, "5", by("ann")),
        builder.publish_with(&ann_room, "6", from_to("ann", "room")),
        builder.publish_with(&room, "7", Fields { expires_at: Some(due), ..by("bob") }),
        builder.publish_with(&room, "8", Fields::default()),
        builder.publish_with(&member, "9", by("bob")),
        builder.publish_with(&room, "10", from_to("bob", "ann")),
        builder.publish_with(&chat("bob", "bob"), "11", from_to("bob", "bob")),
    ];
    story.apply();
    let ids = |wanted: &[usize]| wanted.iter().map(|&n| m[n].id).collect::<Vec<Id>>();
    let story = story.holds(&[&room, &ann_bob], |store| {
        let page = |selectors: Vec<Selector>, order, offset, limit, now| {
            let window = SelectionWindow { span: Span::ALL, order, offset, limit, now };
            let page = store.select(&app(), &of(selectors), &window).expect("selecting works");
            (page.messages.iter().map(|selected| selected.message.id).collect::<Vec<Id>>(), page.total)
        };
        let all = |selectors: Vec<Selector>| page(selectors, Order::Ascending, 0, 100, Id::MIN).0;
        assert_eq!(all(vec![author("ann")]), ids(&[0, 1, 2]));
        assert_eq!(all(vec![author("bob")]), ids(&[7, 10]), "only in channels with names in the clear");
        assert_eq!(all(vec![sender("ann")]), ids(&[3, 6]));
        assert_eq!(all(vec![recipient("bob")]), ids(&[3, 11]));
        assert_eq!(all(vec![recipient("ann")]), ids(&[4]), "not what a channel names a recipient of");
        assert_eq!(all(vec![pair("ann", "bob")]), ids(&[3]));
        assert_eq!(all(vec![pair("ann", "bob"), pair("bob", "ann")]), ids(&[3, 4]));
        assert_eq!(all(vec![pair("bob", "bob")]), ids(&[11]));
        assert_eq!(all(vec![within("ann", &room)]), ids(&[0, 1]));
        assert_eq!(all(vec![within("ann", &ann_bob)]), ids(&[]), "pairs tell of direct chats");
        assert_eq!(all(vec![within("bob", &member)]), ids(&[9]));
        assert_eq!(all(vec![Selector::Channel(room.name.clone())]), ids(&[0, 1, 7, 8, 10]));
        assert_eq!(all(vec![Selector::Channel(room.name.clone()), recipient("room")]), ids(&[0, 1, 6, 7, 8, 10]));
        assert_eq!(all(vec![author("nobody")]), ids(&[]));
        assert_eq!(all(vec![Selector::Channel(channel("nowhere").name)]), ids(&[]));
        let by_bob = || vec![author("bob"), sender("bob"), within("bob", &member)];
        let bob = |order, offset, limit, now| page(by_bob(), order, offset, limit, now);
        assert_eq!(bob(Order::Descending, 1, 2, Id::MIN), (ids(&[9, 10]), 5));
        assert_eq!(bob(Order::Ascending, 1, 2, Id::MIN), (ids(&[7, 9]), 5));
        assert_eq!(bob(Order::Ascending, 1, 2, due), (ids(&[9, 10]), 4), "what is due is hidden");
        assert_eq!(bob(Order::Ascending, 4, 9, due), (ids(&[]), 4), "past the end");
        let window = SelectionWindow { span: Span::ALL, order: Order::Ascending, offset: 3, limit: 2, now: Id::MIN };
        let by_ann = of([author("ann"), sender("ann")]);
        let told = store.select(&app(), &by_ann, &window).expect("selecting works").messages;
        assert_eq!((&told[0].channel, &told[1].channel), (&ann_bob, &ann_room));
        assert_eq!((&told[0].message, &told[1].message), (&m[3], &m[6]), "whole messages");
    });
    let counted = story.store().count_selected(&app(), &of([author("bob")]), Span::ALL, due);
    assert_eq!(counted.expect("counting works"), 1, "what is due is not counted");
    let app2 = AppId::new("demo2").expect("a valid name");
    let elsewhere = story.store().count_selected(&app2, &of([author("ann")]), Span::ALL, Id::MIN);
    assert_eq!(elsewhere.expect("counting works"), 1, "each app has its own");
}

/// Six channels and three users; of the messages some are due soon.
fn peopled<S: StoreUnderTest>(story: &mut Story<S>, rooms: &[Channel], count: usize) -> Vec<Arc<Message>> {
    let names = ["ann", "bob", "room"];
    let builder = &mut story.bench.builder;
    let mut messages = Vec::new();
    for n in 0..count {
        let room = &rooms[n * 7 % rooms.len()];
        let fields = match &room.name {
            ChannelName::Direct(low, high) if n % 2 == 0 => from_to(low, high),
            ChannelName::Direct(low, high) => from_to(high, low),
            _ => by(names[n * 5 % 3]),
        };
        let due = n % 11 == 3;
        let expires_at = due.then(|| Id::new(builder.next_id().ticks() + 10_000 + (n % 4) as u64 * 10_000, 0));
        messages.push(builder.publish_with(room, &format!("text {n}"), Fields { expires_at, ..fields }));
    }
    story.apply();
    messages
}

fn rooms() -> Vec<Channel> {
    vec![
        channel("room"),
        chat("ann", "bob"),
        channel("other"),
        chat("ann", "room"),
        Channel { app: app(), name: ChannelName::Member(1, 2) },
        chat("bob", "room"),
    ]
}

fn agrees<S: StoreUnderTest>(story: &Story<S>, borders: &[Id], now: Id, when: &str) {
    let pair = Pair { tested: story.store(), oracle: &story.oracle };
    for selection in selections(&rooms()) {
        if let Err(why) = pair.selection(&selection, borders, now) {
            panic!("{when}: {why}");
        }
    }
}

/// Edits, deletions, expiry, floors, erasure, and more messages in between: counts and pages of every selection are
/// those of a plain filter, before and after everything was moved to where old messages are kept.
pub fn selections_stay_exact_whatever_happens<S: StoreUnderTest>(open: impl Fn() -> S) {
    let rooms = rooms();
    for flush_after in [0, 4, 9] {
        let mut story = Story::open(&open);
        let mut all = peopled(&mut story, &rooms, 90);
        let start = all[0].id.ticks();
        let of_room = |story: &Story<S>, n: usize| story.oracle.stored_messages(&rooms[n]);
        for step in 0..9 {
            if step == flush_after {
                story.bench.tested.flush();
            }
            match step {
                0 => {
                    let chat = of_room(&story, 1);
                    let some: Vec<_> = chat.into_iter().skip(2).step_by(3).collect();
                    story.delete(&rooms[1], &some);
                }
                1 => all.extend(peopled(&mut story, &rooms, 40)),
                2 => {
                    let first = of_room(&story, 0)[4].clone();
                    story.bench.builder.floor(&rooms[0], Position { id: first.id, seq: first.seq });
                    story.apply();
                }
                3 => {
                    let message = of_room(&story, 2)[3].clone();
                    story.bench.builder.edit(&rooms[2], &message, "another text");
                    story.apply();
                }
                4 => {
                    story.bench.builder.pass_ticks(20_500);
                    let now = story.bench.builder.next_id();
                    for room in &rooms {
                        let due: Vec<_> =
                            story.oracle.state(room).there().filter(|m| m.is_expired(now)).cloned().collect();
                        if !due.is_empty() {
                            story.bench.builder.expire(room, removal_of(&due[..due.len().div_ceil(2)]));
                        }
                    }
                    story.apply();
                }
                5 => all.extend(peopled(&mut story, &rooms, 60)),
                6 => while story.store().sweep(Duration::from_secs(1)).expect("sweeping works") {},
                7 => story.store().erase(&rooms[..3]).expect("erasing works"),
                _ => {
                    let rest = story.oracle.state(&rooms[3]).there().cloned().collect::<Vec<_>>();
                    story.delete(&rooms[3], &rest);
                }
            }
            let borders = [Id::MIN, all[40].id, Id::MAX];
            agrees(&story, &borders, Id::new(start + 30_500, 0), &format!("flushed after {flush_after}, step {step}"));
        }
        let story = story.holds(&[], |_| {});
        agrees(&story, &[Id::MIN, all[100].id, Id::MAX], Id::MIN, "in the end");
    }
}

/// Thousands of messages of one author, one pair and one channel, with holes: every rank is right, from both ends.
pub fn long_selections_are_ranked_exactly<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut story = Story::open(open);
    let (room, direct) = (channel("room"), chat("ann", "bob"));
    let mut all = Vec::new();
    for part in 0..6 {
        for n in 0..600 {
            let (room, fields) = if n % 3 == 0 { (&direct, from_to("ann", "bob")) } else { (&room, by("ann")) };
            all.push(story.bench.builder.publish_with(room, "text", fields));
        }
        story.apply();
        if part % 2 == 0 {
            story.bench.tested.flush();
        }
    }
    let gone = |n: usize| n % 7 == 2 || (900..1500).contains(&n);
    for (room, is_direct) in [(&room, false), (&direct, true)] {
        let of_room = all.iter().enumerate().filter(|(n, _)| gone(*n) && (n % 600 % 3 == 0) == is_direct);
        let some: Vec<_> = of_room.map(|(_, message)| message.clone()).collect();
        story.delete(room, &some);
    }
    let left: Vec<Id> = (0..all.len()).filter(|n| !gone(*n)).map(|n| all[n].id).collect();
    story.holds(&[], |store| {
        assert_eq!(count(store, [author("ann"), sender("ann")]), left.len() as u64);
        let both = [pair("ann", "bob"), within("ann", &room)];
        assert_eq!(count(store, both.clone()), left.len() as u64);
        for selectors in [
            vec![author("ann"), sender("ann")],
            both.to_vec(),
            vec![recipient("bob"), Selector::Channel(room.name.clone())],
        ] {
            let selection = of(selectors);
            for offset in [0, 1, 255, 256, 257, 700, 1024, left.len() - 3, left.len()] {
                for order in [Order::Ascending, Order::Descending] {
                    let window =
                        SelectionWindow { span: Span::ALL, order, offset: offset as u64, limit: 5, now: Id::MIN };
                    let page = store.select(&app(), &selection, &window).expect("selecting works");
                    let ids: Vec<Id> = page.messages.iter().map(|selected| selected.message.id).collect();
                    let end = (offset + 5).min(left.len());
                    let expected = match order {
                        Order::Ascending => &left[offset..end],
                        Order::Descending => &left[left.len() - end..left.len() - offset],
                    };
                    assert_eq!((ids.as_slice(), page.total), (expected, left.len() as u64), "{window:?}");
                }
            }
            for (after, upto) in [(0, 300), (255, 256), (256, 1500), (800, 1600), (10, all.len() - 1)] {
                let span = Span { after: all[after].id, upto: all[upto].id };
                let counted = store.count_selected(&app(), &selection, span, Id::MIN).expect("counting works");
                assert_eq!(counted, left.iter().filter(|id| span.contains(**id)).count() as u64, "{span:?}");
            }
        }
    });
}

/// What a selector has at or below its cut is not there for that selector: neither in pages nor in counts.
pub fn selections_begin_above_their_cuts<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut story = Story::open(open);
    let rooms = rooms();
    let all = peopled(&mut story, &rooms, 60);
    story.bench.tested.flush();
    let more = peopled(&mut story, &rooms, 30);
    for cut in [all[0].id.previous(), all[10].id, all[45].id.previous(), more[12].id, Id::MAX] {
        for selection in selections(&rooms) {
            let first = selection.parts()[0].0.clone();
            let selection = selection.above(|selector| Ok(if *selector == first { cut } else { all[20].id }));
            let pair = Pair { tested: story.store(), oracle: &story.oracle };
            let agreed = pair.selection(&selection.expect("cutting never fails"), &[Id::MIN, Id::MAX], Id::MIN);
            agreed.unwrap_or_else(|why| panic!("cut at {cut}: {why}"));
        }
    }
}
