//! Promises about what follows changes: the change feed, what is due, sweeping, erasing.

use super::{StoreUnderTest, Story, numbered};
use crate::{Fields, channel, removal_of, user};
use model::{Change, Channel, ChannelChange, FeedKind, Id, Message, Position, Reaction, ShardId, Span, Store, What};
use std::{sync::Arc, time::Duration};

/// The feed of a channel tells everything but publishes, in order, whole, from any position on; edits that were
/// taken back, and those of messages that are gone, are left out.
pub fn a_channel_tells_its_changes_in_order<S: StoreUnderTest>(open: impl Fn() -> S) {
    let (story, room, _) = eventful(open);
    let story = story.holds(&[&room], |store| {
        let page = store.changes(&room, Id::MIN, 100).expect("changes are read");
        let kinds: Vec<_> = page.changes.iter().map(|change| kind_of(change)).collect();
        assert_eq!(kinds, ["edited", "reacted", "reacted", "unedited", "unreacted", "deleted", "expired", "floored"]);
        assert!(!page.more && page.starts_after < page.changes[0].id());
        let resumed = store.changes(&room, page.changes[2].id(), 2).expect("changes are read");
        assert_eq!((&resumed.changes[..], resumed.more), (&page.changes[3..5], true));
        let end = store.changes(&room, page.examined, 100).expect("changes are read");
        assert!(end.changes.is_empty() && !end.more && end.examined >= page.examined);
    });
    let nowhere = story.store().changes(&channel("nowhere"), Id::MIN, 10).expect("changes are read");
    assert!(nowhere.changes.is_empty() && !nowhere.more);
}

/// The feed of the shard tells each sort of change by its kind.
pub fn the_feed_tells_every_kind_of_change<S: StoreUnderTest>(open: impl Fn() -> S) {
    let (story, ..) = eventful(open);
    let told: Vec<_> =
        story.oracle.stored_changes(ShardId(0)).iter().map(|change| crate::memory_store::feed_item(change)).collect();
    for kind in [2, 3, 4, 5, 6, 7, 8, 9].map(|number| FeedKind::from_number(number).expect("a kind")) {
        assert!(kind == FeedKind::Record || told.iter().any(|item| item.kind == kind), "the story has no {kind:?}");
    }
    story.holds(&[], |store| {
        let page = store.feed(ShardId(0), Span::ALL, 1000).expect("the feed is read");
        assert_eq!((page.items, page.more), (told.clone(), false));
    });
}

/// What is due is told with those due earliest first in line, once, from all channels, until it is removed in any way.
pub fn what_is_due_is_told_until_it_is_gone<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut story = Story::open(open);
    let (one, two) = (channel("one"), channel("two"));
    let start = story.bench.builder.next_id().ticks();
    let due = |ticks: u64| Fields { expires_at: Some(Id::new(start + ticks, 0)), ..Fields::default() };
    let mut messages: Vec<(&Channel, Arc<Message>)> = Vec::new();
    for (n, ticks) in [500, 300, 100, 900, 700, 200, 400, 600, 800].into_iter().enumerate() {
        let room = if n % 3 == 0 { &two } else { &one };
        messages.push((room, story.bench.builder.publish_with(room, "text", due(ticks))));
        story.bench.builder.publish(room, "for ever");
        if n == 5 {
            story.apply();
            story.bench.tested.flush();
        }
    }
    story.apply();
    let ticks_due = |store: &dyn Store, now: u64, limit| {
        let told = store.due(ShardId(0), Id::new(start + now, 0), limit).expect("due ones are read");
        let ids = told.iter().flat_map(|due| due.messages.iter().map(|at| at.id));
        let ticks =
            |id| messages.iter().find(|(_, message)| message.id == id).and_then(|(_, message)| message.expires_at);
        let mut ticks: Vec<u64> = ids.map(|id| ticks(id).expect("it is due some time").ticks() - start).collect();
        ticks.sort_unstable();
        ticks
    };
    let mut story = story.holds(&[&one, &two], |store| {
        assert_eq!(ticks_due(store, 99, 10), []);
        assert_eq!(ticks_due(store, 100, 10), [100], "from its moment on");
        assert_eq!(ticks_due(store, 650, 10), [100, 200, 300, 400, 500, 600]);
        assert_eq!(ticks_due(store, 650, 3), [100, 200, 300], "the earliest of all channels");
        assert_eq!(ticks_due(store, 10_000, 0), []);
        assert_eq!(store.due(ShardId(1), Id::MAX, 10).expect("due ones are read"), [], "another shard");
    });
    story.bench.builder.pass_ticks(1_000);
    let of = |n: usize| std::slice::from_ref(&messages[n].1);
    story.bench.builder.expire(messages[2].0, removal_of(of(2)));
    story.bench.builder.delete(messages[5].0, removal_of(of(5)));
    story.bench.builder.floor(&two, Position { id: messages[3].1.id, seq: messages[3].1.seq });
    story.apply();
    story.holds(&[&one, &two], |store| {
        assert_eq!(ticks_due(store, 10_000, 10), [300, 400, 600, 700, 800]);
    });
}

/// Sweeping comes to an end, and afterwards everything reads as before; so does what happens next.
pub fn sweeping_changes_no_answer<S: StoreUnderTest>(open: impl Fn() -> S) {
    let (mut story, room, all) = eventful(open);
    for flushed in [false, true] {
        if flushed {
            story.bench.tested.flush();
        }
        let rounds = (0..1000).take_while(|_| story.store().sweep(Duration::from_millis(50)).expect("sweeping works"));
        assert!(rounds.count() < 1000, "sweeping comes to an end");
        story.agrees(&[&room], "after a sweep");
    }
    story = goes_on(story, &room, &all);
    assert!(!story.store().sweep(Duration::MAX).expect("sweeping works"), "all the time there is is enough");
    story.holds(&[&room], |_| {});
}

/// Erasing changes nothing that is read, whatever was removed and wherever it is, also done again, and for a channel that
/// is not there.
pub fn erasing_changes_no_answer<S: StoreUnderTest>(open: impl Fn() -> S) {
    let (mut story, room, all) = eventful(open);
    for flushed in [false, true] {
        if flushed {
            story.bench.tested.flush();
        }
        for _ in 0..2 {
            story.erase(&[room.clone(), channel("untouched"), channel("nowhere")]);
            story.agrees(&[&room, &channel("untouched")], "after an erasure");
        }
    }
    story = goes_on(story, &room, &all);
    story.erase(std::slice::from_ref(&room));
    story.holds(&[&room, &channel("untouched")], |_| {});
}

/// What is published behind a floor, an erasure and a flush is read, wherever these fall between the borders of blocks.
pub fn what_comes_after_a_floor_and_an_erasure_is_read<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut story = Story::open(open);
    let mut rooms = Vec::new();
    for (before, between, after) in [(9, 3, 6), (9, 7, 2), (7, 1, 1), (8, 1, 8), (12, 5, 1), (1, 1, 6), (130, 3, 130)] {
        let room = channel(&format!("{before} {between} {after}"));
        let all = story.publish(&room, 0..before);
        story.bench.tested.flush();
        let last = all.last().expect("there is one");
        story.bench.builder.floor(&room, Position { id: last.id, seq: last.seq });
        story.apply();
        let some = story.publish(&room, 0..between);
        story.delete(&room, &some[..1]);
        story.erase(std::slice::from_ref(&room));
        story.publish(&room, 0..after);
        story.bench.tested.flush();
        story.agrees(&[&room], "after all that");
        rooms.push(room);
    }
    story.holds(&rooms.iter().collect::<Vec<_>>(), |_| {});
}

/// A channel to which everything happened, half of it where old messages are kept.
fn eventful<S: StoreUnderTest>(open: impl Fn() -> S) -> (Story<S>, Channel, Vec<Arc<Message>>) {
    let mut story = Story::open(open);
    let room = channel("eventful");
    let untouched = channel("untouched");
    story.publish(&untouched, 0..3);
    let mut all = story.publish(&room, 0..140);
    all.extend(story.publish_due(&room, 1..6));
    let thumb = |n: usize| Reaction { message: all[n].id, user: user("ann"), kind: "r".into(), value: "up".into() };
    for (n, text) in [(3, "edited, then below the floor"), (50, "edited"), (60, "edited, then deleted")] {
        story.bench.builder.edit(&room, &all[n], text);
    }
    let edit = story.bench.builder.edit(&room, &all[55], "edited, then taken back");
    story.bench.builder.react(&room, &thumb(50));
    let back = story.bench.builder.react(&room, &thumb(70));
    story.apply();
    story.bench.tested.flush();
    story.bench.builder.unedit(&room, &all[55], &[edit]);
    story.bench.builder.unreact(&room, back, &thumb(70));
    let gone: Vec<_> = all.iter().skip(60).step_by(3).take(20).cloned().collect();
    story.delete(&room, &gone);
    story.bench.builder.pass_ticks(10);
    story.bench.builder.expire(&room, removal_of(&all[140..143]));
    story.bench.builder.floor(&room, Position { id: all[20].id, seq: all[20].seq });
    story.apply();
    (story, room, all)
}

/// More of everything, on top of what was swept or erased.
fn goes_on<S: StoreUnderTest>(mut story: Story<S>, room: &Channel, all: &[Arc<Message>]) -> Story<S> {
    for text in numbered(0..30) {
        story.bench.builder.publish(room, &text);
    }
    story.bench.builder.edit(room, &all[52], "edited afterwards");
    story.bench.builder.edit(room, &all[60], "edited, though it is gone");
    story.apply();
    story.delete(room, &all[52..55]);
    story.bench.builder.floor(room, Position { id: all[51].id, seq: all[51].seq });
    story.apply();
    story.agrees(&[room], "when it goes on");
    story.bench.tested.flush();
    story
}

fn kind_of(change: &Change) -> &'static str {
    let Change::Channel(ChannelChange { what, .. }) = change else { return "record" };
    match what {
        What::Edited(_) => "edited",
        What::Unedited(_) => "unedited",
        What::Deleted(_) => "deleted",
        What::Expired(_) => "expired",
        What::Floored(_) => "floored",
        What::Reacted(_) => "reacted",
        What::Unreacted { .. } => "unreacted",
        _ => "not for this feed",
    }
}
