//! Promises about batches: numbers, outcomes, durability, wholeness.

use super::{Bench, StoreUnderTest, numbered, window};
use crate::{Outcome, channel};
use model::{ApplyError, Batch, Effort, Id, Order, Seq, Settled, Span, limits};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

/// The last batch again, with the same content, is answered as done and done once; also after a restart.
pub fn the_last_batch_again_is_a_no_op<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let room = channel("room");
    let message = bench.builder.publish(&room, "once");
    let batch = bench.builder.batch();
    for _ in 0..3 {
        bench.store().apply(&batch).expect("the same batch again");
    }
    let settled = bench.settle();
    bench.tested.flush();
    let bench = bench.restart();
    bench.store().apply(&batch).expect("the same batch after a restart");
    bench.page(&room, &window(Span::ALL, Order::Ascending, 10), &[message]);
    assert_eq!(bench.settle().last_batch, settled.last_batch);
}

/// A number that does not follow, and the last number with other content, are refused and leave nothing behind.
pub fn a_gap_is_refused_and_changes_nothing<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let room = channel("room");
    let mut all = bench.publish_all(&room, numbered(0..3));
    all.push(bench.builder.publish(&room, "next"));
    let next = bench.builder.batch();
    for number in [0, next.number - 1, next.number + 1, u64::MAX] {
        assert_refused(&bench, &Batch { number, ..next.clone() });
    }
    bench.page(&room, &window(Span::ALL, Order::Ascending, 10), &all[..3]);
    assert_eq!(bench.settle().last_batch, next.number - 1);
    bench.store().apply(&next).expect("the right number");
    bench.page(&room, &window(Span::ALL, Order::Ascending, 10), &all);
}

/// A batch without changes moves the number and the reservation, and both survive a crash.
pub fn an_empty_batch_renews_the_reservation<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    bench.publish_all(&channel("room"), numbered(0..1));
    let before = bench.settle();
    let batch = Batch { reserved: before.reserved + 1000, ..bench.builder.batch() };
    bench.store().apply(&batch).expect("an empty batch");
    let bench = bench.crash();
    assert_eq!(bench.settle(), Settled { last_batch: 2, reserved: batch.reserved, ..before });
}

/// After `Refused` nothing is there, and the same number takes other content.
pub fn a_refused_batch_leaves_its_number_free<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let room = channel("room");
    let mut all = bench.publish_all(&room, numbered(0..2));
    if !can(&bench, Outcome::Refused) {
        return;
    }
    let way_back = bench.builder.clone();
    bench.builder.publish(&room, "refused");
    let batch = bench.builder.batch();
    assert_refused(&bench, &batch);
    bench.page(&room, &window(Span::ALL, Order::Ascending, 10), &all);
    bench.builder.go_back(way_back);
    all.extend(bench.publish_all(&room, ["other content".into()]));
    let bench = bench.crash();
    bench.page(&room, &window(Span::ALL, Order::Ascending, 10), &all);
}

/// A batch that is there although the answer did not know: hidden until `settle`, then there, once, for good.
pub fn settle_decides_a_batch_that_happened<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let room = channel("room");
    let mut all = bench.publish_all(&room, numbered(0..2));
    if !can(&bench, Outcome::UnknownWritten) {
        return;
    }
    all.push(bench.builder.publish(&room, "in doubt"));
    let batch = bench.builder.batch();
    assert_unknown(&bench, &batch);
    bench.page(&room, &window(Span::ALL, Order::Ascending, 10), &all[..2]);
    assert!(bench.store().apply(&batch).is_err(), "nothing is applied before settle decided");
    assert_eq!(bench.settle().last_batch, batch.number);
    assert_eq!(bench.settle().last_id, all[2].id);
    bench.page(&room, &window(Span::ALL, Order::Ascending, 10), &all);
    bench.store().apply(&batch).expect("the decided batch again is a no-op");
    all.extend(bench.publish_all(&room, ["after".into()]));
    let bench = bench.crash();
    bench.page(&room, &window(Span::ALL, Order::Ascending, 10), &all);
}

/// A batch whose writing failed without an answer: `settle` may still make it happen or give it up, and it stays so.
pub fn settle_decides_a_batch_that_may_be_lost<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let room = channel("room");
    let mut all = bench.publish_all(&room, numbered(0..2));
    if !can(&bench, Outcome::UnknownLost) {
        return;
    }
    let way_back = bench.builder.clone();
    let message = bench.builder.publish(&room, "in doubt");
    let batch = bench.builder.batch();
    assert_unknown(&bench, &batch);
    bench.page(&room, &window(Span::ALL, Order::Ascending, 10), &all);
    match bench.settle().last_batch {
        1 => bench.builder.go_back(way_back),
        2 => all.push(message),
        other => panic!("settled at batch {other} of 2"),
    }
    bench.page(&room, &window(Span::ALL, Order::Ascending, 10), &all);
    all.extend(bench.publish_all(&room, ["after".into()]));
    let bench = bench.crash();
    bench.page(&room, &window(Span::ALL, Order::Ascending, 10), &all);
}

/// A crash before `settle` could decide: the next owner's `settle` decides, and its decision stays.
pub fn a_doubt_outlives_a_crash<S: StoreUnderTest>(open: impl Fn() -> S) {
    for outcome in [Outcome::UnknownWritten, Outcome::UnknownLost] {
        let mut bench = Bench::open(&open);
        let room = channel("room");
        let mut all = bench.publish_all(&room, numbered(0..2));
        if !can(&bench, outcome) {
            return;
        }
        all.push(bench.builder.publish(&room, "in doubt"));
        let batch = bench.builder.batch();
        assert_unknown(&bench, &batch);
        let bench = bench.crash();
        let last_batch = bench.settle().last_batch;
        let there = last_batch == 2;
        assert!(there || last_batch == 1, "settled at batch {last_batch} of 2");
        assert!(there || outcome == Outcome::UnknownLost, "a batch that is there was not found");
        let found = if there { &all[..] } else { &all[..2] };
        bench.page(&room, &window(Span::ALL, Order::Ascending, 10), found);
        let bench = bench.crash();
        bench.page(&room, &window(Span::ALL, Order::Ascending, 10), found);
    }
}

/// Every acknowledged batch is there after restarts and crashes, wherever its messages are kept by then, and
/// everything that a sequencer must know of it is found again.
pub fn what_was_applied_survives_restarts_and_crashes<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let rooms = [channel("one"), channel("two"), channel("three")];
    let mut all = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..12 {
        for (room, all) in rooms.iter().zip(&mut all).skip(round % 3) {
            all.extend(bench.publish_all(room, numbered(0..round as u32 * 5 + 1)));
        }
        let before = bench.settle();
        let heads = bench.store().heads(&rooms).expect("heads are read");
        bench = match round % 4 {
            0 => bench.restart(),
            1 => bench.crash(),
            2 => {
                bench.tested.flush();
                bench.crash()
            }
            _ => {
                bench.tested.flush();
                bench
            }
        };
        assert_eq!(bench.settle(), before, "round {round}");
        assert_eq!(bench.store().heads(&rooms).expect("heads are read"), heads, "round {round}");
        for (room, all) in rooms.iter().zip(&all) {
            bench.page(room, &window(Span::ALL, Order::Descending, 1000), all);
        }
    }
}

/// The greatest number of changes that a batch may have, over many channels, is applied and read back.
pub fn a_full_batch_is_applied_whole<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let rooms: Vec<_> = (0..64).map(|n| channel(&format!("room {n}"))).collect();
    let mut all = vec![Vec::new(); rooms.len()];
    for n in 0..limits::BATCH_CHANGES {
        let room = n * n % rooms.len();
        all[room].push(bench.builder.publish(&rooms[room], &format!("text {n}")));
    }
    bench.apply();
    let bench = bench.crash();
    for (room, all) in rooms.iter().zip(&all) {
        bench.page(room, &window(Span::ALL, Order::Ascending, u32::MAX), all);
    }
    let mut told = Vec::new();
    let mut span = Span::ALL;
    loop {
        let page = bench.store().feed(bench.builder.shard(), span, 5000).expect("the feed is read");
        told.extend(page.items.iter().map(|item| item.id));
        span.after = page.examined;
        if !page.more {
            break;
        }
    }
    let mut ids: Vec<Id> = all.iter().flatten().map(|message| message.id).collect();
    ids.sort_unstable();
    assert!(told == ids, "the feed tells {} of {} changes", told.len(), ids.len());
}

/// While batches come in, each reader sees each batch whole or not at all, and never less than before.
pub fn reads_never_see_half_a_batch<S: StoreUnderTest>(open: impl Fn() -> S) {
    const IN_EACH: u64 = 20;
    let mut bench = Bench::open(open);
    let rooms = [channel("left"), channel("right")];
    let batches: Vec<Batch> = (0..150)
        .map(|n| {
            for _ in 0..IN_EACH {
                rooms.iter().for_each(|room| drop(bench.builder.publish(room, &format!("batch {n}"))));
            }
            bench.builder.batch()
        })
        .collect();
    let (store, done) = (bench.store(), AtomicBool::new(false));
    let watch = || {
        let mut seen = 0;
        while !done.load(Ordering::Acquire) {
            let heads = store.heads(&rooms).expect("heads are read");
            let [left, right] = [0, 1].map(|room: usize| heads[room].last.seq.above(Seq::START));
            assert!(left == right && left % IN_EACH == 0, "heads in the middle of a batch: {left} and {right}");
            let newest = window(Span::ALL, Order::Descending, 30);
            let page = store.read(&rooms[0], &newest, Effort::Disk).expect("reads work").expect("with an answer");
            let last = page.messages.last().map_or(Seq::START, |last| last.seq);
            assert_eq!(last, page.head.seq, "the newest page ends at the head that it names");
            let last = last.above(Seq::START);
            assert!(last % IN_EACH == 0 && last >= left && last >= seen, "{last} after {left} and {seen}");
            let all = Span::ALL;
            let count = store.count(&rooms[1], all, Seq::NONE, Id::MIN).expect("counting works");
            assert!(count % IN_EACH == 0 && count >= last, "counted {count} after {last}");
            seen = count;
        }
    };
    thread::scope(|scope| {
        let end = SetOnDrop(&done);
        scope.spawn(watch);
        scope.spawn(watch);
        batches.iter().for_each(|batch| store.apply(batch).expect("a valid batch is applied"));
        bench.tested.flush();
        drop(end);
    });
}

/// Ends the readers also when the writer fails, so that its failure is told and nothing hangs.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn can<S: StoreUnderTest>(bench: &Bench<S>, outcome: Outcome) -> bool {
    let can = bench.tested.next_apply(outcome);
    if !can {
        eprintln!("left out: this store cannot be made to end an apply as {outcome:?}");
    }
    can
}

fn assert_refused<S: StoreUnderTest>(bench: &Bench<S>, batch: &Batch) {
    let result = bench.store().apply(batch);
    assert!(matches!(result, Err(ApplyError::Refused(_))), "batch {} gave {result:?}", batch.number);
}

fn assert_unknown<S: StoreUnderTest>(bench: &Bench<S>, batch: &Batch) {
    let result = bench.store().apply(batch);
    assert!(matches!(result, Err(ApplyError::Unknown(_))), "batch {} gave {result:?}", batch.number);
}
