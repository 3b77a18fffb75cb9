//! Promises about deletion, expiry and floors.

use super::{Bench, StoreUnderTest, Story, window};
use crate::{agree::Pair, channel, removal_of};
use model::{
    Channel, Effort, ErrorKind, Id, Order, Page, Position, RemovedCount, Seq, SeqRange, ShardId, Span, Store, Target,
    Window, limits,
};

/// Seqs from the first up to and with the second.
fn ranges<const N: usize>(ranges: [(i64, i64); N]) -> Vec<SeqRange> {
    ranges.map(|(first, last)| SeqRange { first: Seq(first), last: Seq(last) }).into()
}

/// A look-up before a deletion names exactly what is there: seqs as ranges, ids one by one while they are few.
pub fn what_a_removal_would_take_is_resolved<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut story = Story::open(open);
    let room = channel("room");
    let all = story.publish(&room, 0..10);
    story.bench.tested.flush();
    story.publish(&room, 10..12);
    let span = |after: usize, upto: usize| Target::Span(Span { after: all[after].id, upto: all[upto].id });
    let one = story.removable(&room, Target::Ids(vec![all[4].id]));
    assert_eq!((one.seqs, one.ids, one.by), (ranges([(5, 5)]), vec![all[4].id], None));
    assert_eq!(one.span, Span { after: all[4].id.previous(), upto: all[4].id });
    let list = vec![all[7].id, all[2].id, Id::from_raw(5), all[1].id, all[2].id, Id::MAX];
    let list = story.removable(&room, Target::Ids(list));
    assert_eq!(list.seqs, ranges([(2, 3), (8, 8)]), "in any order, twice, and among ids that name nothing");
    assert_eq!(list.ids, [all[1].id, all[2].id, all[7].id]);
    assert_eq!(list.span, Span { after: all[1].id.previous(), upto: all[7].id });
    assert_eq!(story.removable(&room, span(1, 4)).seqs, ranges([(3, 5)]));
    story.delete(&room, &all[3..4]);
    assert_eq!(story.removable(&room, span(1, 4)).seqs, ranges([(3, 3), (5, 5)]), "around what is gone");
    let nothing = crate::removal_of(&[]);
    for target in [span(4, 4), span(6, 2), span(2, 3), Target::Ids(vec![]), Target::Ids(vec![all[3].id])] {
        assert_eq!(story.removable(&room, target.clone()), nothing, "{target:?}");
    }
    assert_eq!(story.removable(&channel("nowhere"), Target::Span(Span::ALL)), nothing);
    let many = story.publish(&room, 12..1112);
    let removal = story.removable(&room, Target::Span(Span { after: all[9].id, upto: many[998].id }));
    assert_eq!((removal.seqs, removal.ids.len()), (ranges([(11, 1011)]), 0), "1,001 are not named one by one");
    let removal = story.removable(&room, Target::Span(Span { after: all[9].id, upto: many[997].id }));
    assert_eq!(removal.ids.len(), 1000);
    story.holds(&[], |store| {
        let everything = store.removable(&room, &Target::Span(Span::ALL), Id::MAX).expect("the look-up works");
        assert_eq!(everything.seqs, ranges([(1, 3), (5, 1112)]));
    });
}

/// One, a list, a span, what overlaps with them, everything: pages, counts and what pages say is removed agree, and seqs
/// go on.
pub fn a_deletion_takes_exactly_what_it_names<S: StoreUnderTest>(open: impl Fn() -> S) {
    for flush_after in 0..5 {
        let mut story = Story::open(&open);
        let (room, beside) = (channel("room"), channel("beside"));
        let all = story.publish(&room, 0..40);
        story.publish(&beside, 0..3);
        let span = |after: usize, upto: usize| Target::Span(Span { after: all[after].id, upto: all[upto].id });
        let targets = [
            Target::Ids(vec![all[20].id]),
            Target::Ids(vec![all[0].id, all[8].id, all[30].id]),
            span(9, 14),
            span(6, 21),
        ];
        for (step, (target, left)) in targets.into_iter().zip([39, 36, 31, 23]).enumerate() {
            if flush_after == step {
                story.bench.tested.flush();
            }
            let removal = story.removable(&room, target);
            story.delete_all(&room, removal);
            let count = story.store().count(&room, Span::ALL, Seq::NONE, Id::MIN).expect("counting works");
            assert_eq!(count, left, "after deletion {step}");
        }
        let mut story = story.holds(&[&room, &beside], |store| {
            let page = newest(store, &room, 100);
            assert_eq!((page.messages.len(), page.removed), (23, RemovedCount { deleted: 17, expired: 0 }));
            let page = read(store, &room, &window(Span { after: all[5].id, upto: all[22].id }, Order::Ascending, 100));
            assert_eq!((page.messages.len(), page.removed.deleted), (2, 15), "7 and 23 are left of 7 to 23");
        });
        let removal = story.removable(&room, Target::Span(Span::ALL));
        assert_eq!(removal.count(), 23);
        story.delete_all(&room, removal);
        let story = story.holds(&[&room], |store| {
            let page = newest(store, &room, 100);
            assert_eq!((page.messages.len(), page.removed.deleted, page.head.seq), (0, 40, Seq(40)));
            let again = store.removable(&room, &Target::Span(Span::ALL), Id::MIN).expect("the look-up works");
            assert_eq!(again, removal_of(&[]), "a second time there is nothing to take");
        });
        let mut story = story;
        assert_eq!(story.publish(&room, 40..41)[0].seq, Seq(41));
        story.agrees(&[&room], "with a new message above what is gone");
    }
}

/// The borders of what a page covered and of what it says is removed are exact: pages of one message tell each removed
/// one once, whichever way they go.
pub fn pages_tell_what_they_skipped_exactly_once<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut story = Story::open(open);
    let room = channel("holes");
    let mut all = Vec::new();
    for part in 0..3 {
        all.extend(story.publish(&room, part * 100..part * 100 + 100));
        story.bench.tested.flush();
    }
    let gone = |n: &usize| matches!(n, 0..3 | 7 | 50 | 120..140 | 200 | 202 | 255..258 | 299);
    let holes: Vec<_> = (0..300).filter(gone).map(|n| all[n].clone()).collect();
    for part in holes.chunks(7) {
        story.delete(&room, part);
    }
    let last = *[299, 298].iter().find(|n| !gone(n)).expect("298 is there");
    let state = story.oracle.state(&room);
    let oracle = story.oracle.restart();
    story.holds(&[&room], |store| {
        let page = read(store, &room, &window(Span::ALL, Order::Ascending, 1));
        assert_eq!((page.messages[0].id, page.more), (all[3].id, true));
        assert!(page.covered.upto >= all[3].id && page.covered.upto < all[4].id);
        assert_eq!(page.removed.deleted, 3);
        let page = read(store, &room, &window(Span::ALL, Order::Descending, 1));
        assert_eq!((page.messages[0].id, page.removed.deleted), (all[last].id, 1));
        let inside = Span { after: all[119].id, upto: all[139].id };
        let page = read(store, &room, &window(inside, Order::Descending, 10));
        assert_eq!((page.messages.len(), page.removed.deleted, page.more), (0, 20, false), "nothing but a hole");
        assert_eq!(page.covered, inside);
        let beside = Span { after: inside.after, upto: all[138].id };
        assert_eq!(read(store, &room, &window(beside, Order::Ascending, 10)).removed.deleted, 19);
        let above = Window { above: Seq(131), ..window(inside, Order::Ascending, 10) };
        assert_eq!(read(store, &room, &above).removed.deleted, 9, "of those above the seq bound");
        for order in [Order::Ascending, Order::Descending] {
            let walked = Pair { tested: store, oracle: &oracle }.walk(&room, &window(Span::ALL, order, 1), &state);
            walked.unwrap_or_else(|why| panic!("{order:?}: {why}"));
        }
    });
}

/// A message deleted between two pages is not read twice, and hides none beside it.
pub fn deleting_while_paging_leaves_no_hole<S: StoreUnderTest>(open: impl Fn() -> S) {
    for order in [Order::Ascending, Order::Descending] {
        let mut story = Story::open(&open);
        let room = channel("paged");
        let all = story.publish(&room, 0..60);
        story.bench.tested.flush();
        let mut window = window(Span::ALL, order, 7);
        let mut visited = Vec::new();
        for round in 0..=all.len() {
            let page = read(story.store(), &room, &window);
            visited.extend(page.messages.iter().map(|message| message.id));
            match order {
                Order::Ascending => window.span.after = page.covered.upto,
                Order::Descending => window.span.upto = page.covered.after,
            }
            if !page.more {
                break;
            }
            // One that was read, one that stands next, one that is to come.
            let at = all.iter().position(|message| Some(&message.id) == visited.last()).expect("it was published");
            let victims = [at, at + 1, at.saturating_sub(1), (at + 13) % 60].map(|n| all[n.min(59)].id);
            let removal = story.removable(&room, Target::Ids(victims.into()));
            story.delete_all(&room, removal);
            if round == 2 {
                story.bench.tested.flush();
            }
        }
        let mut once = visited.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), visited.len(), "read twice");
        let left = story.oracle.state(&room);
        assert!(left.there().all(|message| once.binary_search(&message.id).is_ok()), "missed one that is there");
        story.agrees(&[&room], "in the end");
    }
}

/// What is due reads alike before and after its expiry is applied; once applied it is gone at every moment.
pub fn expiry_reads_alike_before_and_after_it_is_applied<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut story = Story::open(open);
    let room = channel("fading");
    let mut all = story.publish(&room, 0..5);
    all.extend(story.publish_due(&room, 10..30));
    story.bench.tested.flush();
    all.extend(story.publish_due(&room, 5..15));
    all.extend(story.publish(&room, 25..30));
    let now = all[30].expires_at.expect("it is due some time");
    let due: Vec<_> = all.iter().filter(|message| message.is_expired(now)).cloned().collect();
    let gone = due.len() as u64;
    assert!(gone > 6 && gone < 30);
    let deleted = due[2].clone();
    story.delete(&room, std::slice::from_ref(&deleted));
    let expected = RemovedCount { deleted: 1, expired: gone - 1 };
    let reads_so = |store: &dyn Store, now: Id| {
        let page = read(store, &room, &Window { now, ..window(Span::ALL, Order::Descending, 100) });
        assert_eq!((page.messages.len() as u64, page.removed), (40 - gone, expected), "at {now:?}");
        assert_eq!(store.count(&room, Span::ALL, Seq::NONE, now).expect("counting works"), 40 - gone);
    };
    let mut story = story.holds(&[&room], |store| {
        reads_so(store, now);
        assert_eq!(newest(store, &room, 100).removed, RemovedCount { deleted: 1, expired: 0 }, "earlier");
    });
    story.bench.builder.pass_ticks(now.ticks() + 1 - story.bench.builder.next_id().ticks().min(now.ticks() + 1));
    let due: Vec<_> = due.into_iter().filter(|message| *message != deleted).collect();
    for part in due.chunks(4) {
        story.bench.builder.expire(&room, removal_of(part));
        story.apply();
    }
    story.holds(&[&room], |store| {
        [Id::MIN, now].into_iter().for_each(|now| reads_so(store, now));
        assert_eq!(store.due(ShardId(0), now, 100).expect("due ones are read"), [], "all of them were expired");
    });
}

/// A floor takes all at or below it: pages end there and name it, counts start there, what was removed below is not told
/// any more. It rises, over holes and up to the head, and publishing goes on above it.
pub fn a_floor_takes_everything_below<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut story = Story::open(open);
    let (room, beside) = (channel("floored"), channel("beside"));
    let mut all = story.publish(&room, 0..150);
    story.publish(&beside, 0..2);
    story.bench.tested.flush();
    all.extend(story.publish(&room, 150..200));
    story.delete(&room, &all[10..40]);
    story.delete(&room, &all[160..165]);
    for (at, left, deleted) in [(5, 159, 35), (20, 155, 24), (128, 66, 5), (161, 35, 3), (199, 0, 0)] {
        let floor = Position { id: all[at].id, seq: all[at].seq };
        story.bench.builder.floor(&room, floor);
        story.apply();
        story = story.holds(&[&room], |store| {
            let page = newest(store, &room, 500);
            assert_eq!((page.floor, page.messages.len(), page.removed.deleted), (floor, left, deleted), "at {at}");
            assert!(!page.more && page.covered == Span::ALL);
            assert_eq!(store.heads(std::slice::from_ref(&room)).expect("heads are read")[0].floor, floor);
            let below = Span { after: Id::MIN, upto: floor.id };
            assert_eq!(store.count(&room, below, Seq::NONE, Id::MIN).expect("counting works"), 0);
            assert_eq!(store.removable(&room, &Target::Span(below), Id::MIN).expect("looked up"), removal_of(&[]));
        });
    }
    assert_eq!(story.publish(&room, 200..201)[0].seq, Seq(201));
    story.agrees(&[&room, &beside], "above the floor");
}

/// Where a floor would go, by count and by age: never above what is to stay, never on what is gone.
pub fn floors_are_found_by_count_and_age<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut story = Story::open(open);
    let room = channel("kept");
    let all = story.publish(&room, 0..300);
    story.delete(&room, &all[290..295]);
    story.delete(&room, &all[100..200]);
    story.bench.builder.floor(&room, Position { id: all[4].id, seq: all[4].seq });
    story.apply();
    story.holds(&[&room], |store| {
        let floor_for = |keep, upto| store.floor_for(&room, keep, upto).expect("the look-up works").seq;
        let seqs = |seqs: &[i64]| seqs.iter().map(|seq| Seq(*seq)).collect::<Vec<_>>();
        let nowhere = Seq::NONE.0;
        assert_eq!(
            [0, 1, 5, 6, 94, 95].map(|keep| floor_for(keep, Id::MAX))[..],
            seqs(&[300, 299, 290, 289, 201, 100])
        );
        let most = [189, 190, 191, 1000, u64::MAX].map(|keep| floor_for(keep, Id::MAX));
        assert_eq!(most[..], seqs(&[6, nowhere, nowhere, nowhere, nowhere]));
        let by_age = [292, 150, 99, 5, 4].map(|n: usize| floor_for(0, all[n].id));
        assert_eq!(by_age[..], seqs(&[290, 100, 100, 6, nowhere]));
        assert_eq!(floor_for(7, all[286].id.previous()), Seq(286), "the older of both");
        assert_eq!(store.floor_for(&channel("nowhere"), 0, Id::MAX).expect("looked up"), Position::NONE);
    });
}

/// Counts and pages stay exact in a channel of many thousands with many holes, at the borders of whatever the removed
/// ones are kept in.
pub fn removals_stay_exact_among_many_thousands<S: StoreUnderTest>(open: impl Fn() -> S) {
    const COUNT: u32 = 66_500;
    let mut story = Story::open(open);
    let room = channel("huge");
    let mut all = Vec::new();
    for part in 0..7 {
        all.extend(story.publish(&room, part * 9500..part * 9500 + 9500));
    }
    assert_eq!(all.len(), COUNT as usize);
    story.bench.tested.flush();
    let scattered: Vec<_> = all.iter().step_by(97).cloned().collect();
    story.delete(&room, &scattered);
    for (after, upto) in [(16_370, 16_400), (65_500, 65_533), (65_533, 65_560), (66_400, 66_499)] {
        let removal = story.removable(&room, Target::Span(Span { after: all[after].id, upto: all[upto].id }));
        story.delete_all(&room, removal);
    }
    let ids: Vec<Id> = all.iter().map(|message| message.id).collect();
    let borders = [16_383, 65_534, 65_535, 65_536].map(|n: usize| ids[n]);
    for when in ["as applied", "after a flush", "after a crash"] {
        match when {
            "after a flush" => story.bench.tested.flush(),
            "after a crash" => story.bench = story.bench.crash(),
            _ => {}
        }
        let (pair, state) = (Pair { tested: story.store(), oracle: &story.oracle }, story.oracle.state(&room));
        for &border in &borders {
            for span in [Span { after: Id::MIN, upto: border }, Span { after: border, upto: Id::MAX }] {
                let verdict = pair.equal("count", |store| store.count(&room, span, Seq::NONE, Id::MIN));
                verdict.unwrap_or_else(|why| panic!("{when}: {why}"));
                let order = if span.after == Id::MIN { Order::Descending } else { Order::Ascending };
                let page = pair.page(&room, &window(span, order, 60), &state);
                page.unwrap_or_else(|why| panic!("{when}: {why}"));
            }
        }
    }
}

/// A removal in more pieces than one change may have is refused, and one of exactly as many is not.
pub fn a_removal_in_too_many_pieces_is_refused<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let room = channel("in pieces");
    let mut ids = Vec::new();
    while ids.len() <= 2 * limits::REMOVAL_RANGES {
        let batch: Vec<_> = (0..limits::BATCH_CHANGES).map(|_| bench.builder.publish(&room, "").id).collect();
        bench.apply();
        ids.extend(batch);
    }
    bench.tested.flush();
    let mut every_second: Vec<Id> = ids.into_iter().step_by(2).take(limits::REMOVAL_RANGES + 1).collect();
    let removable = |ids| bench.store().removable(&room, &Target::Ids(ids), Id::MIN);
    let refused = removable(every_second.clone()).expect_err("one too many");
    assert_eq!(refused.kind, ErrorKind::TooLarge);
    every_second.pop();
    let removal = removable(every_second).expect("as many as a change may have");
    assert_eq!((removal.seqs.len(), removal.ids.len()), (limits::REMOVAL_RANGES, 0));
}

fn read(store: &dyn Store, room: &Channel, window: &Window) -> Page {
    store.read(room, window, Effort::Disk).expect("reads work").expect("with an answer")
}

fn newest(store: &dyn Store, room: &Channel, limit: u32) -> Page {
    read(store, room, &window(Span::ALL, Order::Descending, limit))
}
