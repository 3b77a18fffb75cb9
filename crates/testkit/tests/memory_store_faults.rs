//! The oracle fails when told to, and as told; and what compares stores with it finds a store that forgets.

use model::{
    ApplyError, Batch, Change, ChannelNumber, Effort, Id, Message, Order, Position, Reaction, Removal, Seq, SeqRange,
    ShardId, Span, Store, What, Window,
};
use std::{sync::Arc, thread};
use testkit::{
    BatchBuilder, Fields, MemoryStore, Outcome, channel, random, removal_of, store_suite::StoreUnderTest, user,
};

const NEWEST: Window = Window {
    span: Span::ALL,
    order: Order::Descending,
    limit: 10,
    above: Seq::NONE,
    author: None,
    custom_type: None,
    now: Id::MIN,
};

fn batch_of(builder: &mut BatchBuilder, texts: &[&str]) -> Batch {
    texts.iter().for_each(|text| drop(builder.publish(&channel("room"), text)));
    builder.batch()
}

fn visible(store: &MemoryStore) -> u64 {
    store.count(&channel("room"), Span::ALL, Seq::NONE, Id::MIN).expect("counting works")
}

#[test]
fn a_held_apply_waits_before_or_after_it_is_visible() {
    let store = MemoryStore::new();
    let mut builder = BatchBuilder::new();
    for (hold_after, seen_at_gate) in [(false, 0), (true, 2)] {
        let gate = if hold_after { store.faults().hold_after_apply() } else { store.faults().hold_before_apply() };
        let batch = batch_of(&mut builder, &["text"]);
        assert!(!gate.is_reached());
        thread::scope(|scope| {
            let applying = scope.spawn(|| store.apply(&batch));
            gate.wait_until_reached();
            assert_eq!(visible(&store), seen_at_gate);
            assert!(!applying.is_finished());
            gate.open();
            applying.join().expect("no panic").expect("applied");
        });
        assert_eq!(visible(&store), batch.number);
    }
}

#[test]
fn held_reads_wait_and_failing_reads_fail_as_often_as_told() {
    let store = MemoryStore::new();
    let gate = store.faults().hold_reads();
    thread::scope(|scope| {
        let reading = scope.spawn(|| visible(&store));
        gate.wait_until_reached();
        assert!(!reading.is_finished());
        gate.open();
        assert_eq!(reading.join().expect("no panic"), 0);
    });
    store.faults().fail_reads(2);
    assert!(store.read(&channel("room"), &NEWEST, Effort::Disk).is_err());
    assert!(store.heads(&[]).is_err());
    assert!(store.heads(&[]).is_ok());
}

#[test]
fn a_failing_settle_leaves_the_doubt() {
    let store = MemoryStore::new();
    let mut builder = BatchBuilder::new();
    store.faults().next_applies([Outcome::UnknownWritten]);
    store.faults().fail_settles(2);
    let batch = batch_of(&mut builder, &["text"]);
    assert!(matches!(store.apply(&batch), Err(ApplyError::Unknown(_))));
    for _ in 0..2 {
        assert!(store.settle(ShardId(0), 1).is_err());
        assert!(matches!(store.apply(&batch), Err(ApplyError::Unknown(_))));
        assert_eq!(visible(&store), 0);
    }
    assert_eq!(store.settle(ShardId(0), 1).expect("the third works").last_batch, 1);
    assert_eq!(visible(&store), 1);
}

#[test]
fn memory_feed_and_recent_forget_when_told() {
    let store = MemoryStore::new();
    let batch = batch_of(&mut BatchBuilder::new(), &["one", "two", "three"]);
    store.apply(&batch).expect("applied");
    let first = batch.changes[0].id();
    store.faults().empty_memory(true);
    assert_eq!(store.read(&channel("room"), &NEWEST, Effort::Memory).expect("read"), None);
    assert!(store.read(&channel("room"), &NEWEST, Effort::Disk).expect("read").is_some());
    store.faults().forget_feed(first);
    let feed = store.feed(ShardId(0), Span::ALL, 10).expect("fed");
    assert_eq!((feed.items.len(), feed.starts_after), (2, first));
    store.faults().forget_recent(first);
    let (after, recent) = store.recent(ShardId(0), usize::MAX).expect("read");
    assert_eq!((after, recent.len()), (first, 2));
}

#[test]
fn a_batch_that_no_sequencer_may_make_is_refused() {
    let store = MemoryStore::new();
    let mut builder = BatchBuilder::new();
    store.apply(&batch_of(&mut builder, &["first"])).expect("applied");
    store.settle(ShardId(0), 1).expect("settled");
    let good = batch_of(&mut builder, &["second", "third"]);
    let wrong = |edit: fn(&mut Batch)| {
        let mut batch = good.clone();
        edit(&mut batch);
        let answer = store.apply(&batch);
        assert!(matches!(answer, Err(ApplyError::Refused(_))), "{answer:?} for {batch:?}");
    };
    wrong(|batch| batch.number += 1);
    wrong(|batch| batch.epoch = 0);
    wrong(|batch| batch.reserved = 0);
    wrong(|batch| batch.changes.reverse());
    wrong(|batch| drop(batch.changes.remove(0)));
    wrong(|batch| edit_first(batch, |change| change.number = ChannelNumber(9)));
    wrong(|batch| edit_first(batch, |change| change.channel = channel("a new room, not said to be new")));
    wrong(|batch| edit_first(batch, |change| change.id = Id::from_raw(change.id.raw() + 1)));
    wrong(|batch| {
        edit_first(batch, |change| {
            let message = change.what.message().expect("it was published").clone();
            change.what = What::Signal(message);
        });
    });
    store.apply(&good).expect("the batch as it was built");
}

#[test]
fn what_no_sequencer_may_log_about_messages_is_refused() {
    let store = MemoryStore::new();
    let room = channel("room");
    let mut builder = BatchBuilder::new();
    let all: Vec<_> = ["a", "b", "c", "d"].map(|text| builder.publish(&room, text)).into();
    let mortal = Fields { expires_at: Some(Id::new(builder.next_id().ticks() + 100, 0)), ..Fields::default() };
    let mortal = builder.publish_with(&room, "mortal", mortal);
    let smile = Reaction { message: all[0].id, user: user("ann"), kind: "r".into(), value: "smile".into() };
    let smiled = builder.react(&room, &smile);
    let frown = Reaction { value: "frown".into(), ..smile.clone() };
    builder.delete(&room, removal_of(&all[1..2]));
    builder.floor(&room, Position { id: all[0].id, seq: all[0].seq });
    store.apply(&builder.batch()).expect("applied");
    let at = |message: &Message| Position { id: message.id, seq: message.seq };
    let wrong = |why: &str, build: &dyn Fn(&mut BatchBuilder) -> Id| {
        let mut builder = builder.clone();
        build(&mut builder);
        let answer = store.apply(&builder.batch());
        assert!(matches!(answer, Err(ApplyError::Refused(_))), "{why}: {answer:?}");
    };
    let deletes = |why: &str, removal: Removal| wrong(why, &|builder| builder.delete(&room, removal.clone()));
    let good = removal_of(&all[2..4]);
    deletes("nothing", removal_of(&[]));
    deletes("what is deleted", removal_of(&all[1..3]));
    deletes("what is below the floor", removal_of(&all[..1]));
    deletes("a range turned round", Removal { seqs: good.seqs.iter().rev().map(turned).collect(), ..good.clone() });
    let touching = all[2..4].iter().map(|m| SeqRange { first: m.seq, last: m.seq }).collect();
    deletes("ranges that touch", Removal { seqs: touching, ..good.clone() });
    deletes("a wider span", Removal { span: Span::ALL, ..good.clone() });
    deletes("no ids", Removal { ids: Vec::new(), ..good.clone() });
    wrong("twice in one batch", &|builder| {
        builder.delete(&room, good.clone());
        builder.delete(&room, good.clone())
    });
    wrong("before it is due", &|builder| builder.expire(&room, removal_of(std::slice::from_ref(&mortal))));
    wrong("what is never due", &|builder| builder.expire(&room, good.clone()));
    wrong("the floor again", &|builder| builder.floor(&room, at(&all[0])));
    wrong("no message", &|builder| builder.floor(&room, Position { seq: all[3].seq, ..at(&all[2]) }));
    wrong("an edit of nothing", &|builder| {
        builder.edit(&room, &Message { seq: all[3].seq, ..Message::clone(&all[2]) }, "text")
    });
    wrong("a channel without a number", &|builder| builder.react(&channel("nowhere"), &smile));
    wrong("the same twice", &|builder| {
        builder.react(&room, &Reaction { message: all[2].id, ..smile.clone() });
        builder.react(&room, &Reaction { message: all[2].id, ..smile.clone() })
    });
    wrong("another one taken back", &|builder| builder.unreact(&room, smiled, &frown));
    wrong("taken back twice", &|builder| {
        builder.unreact(&room, smiled, &smile);
        builder.unreact(&room, smiled, &smile)
    });
    let mut good = builder.clone();
    good.pass_ticks(200);
    good.delete(&room, removal_of(&all[2..4]));
    good.expire(&room, removal_of(std::slice::from_ref(&mortal)));
    good.edit(&room, &all[2], "an edit of what is gone changes nothing, and may be logged");
    good.unreact(&room, smiled, &smile);
    good.floor(&room, at(&mortal));
    store.apply(&good.batch()).expect("all that may be");
}

#[test]
fn changes_of_channels_forget_when_told() {
    let store = MemoryStore::new();
    let room = channel("room");
    let mut builder = BatchBuilder::new();
    let message = builder.publish(&room, "first");
    let edits = ["one", "two", "three"].map(|text| builder.edit(&room, &message, text));
    store.apply(&builder.batch()).expect("applied");
    store.faults().forget_changes(edits[0]);
    let page = store.changes(&room, message.id, 10).expect("read");
    assert_eq!((page.changes.len(), page.starts_after, page.examined), (2, edits[0], edits[2]));
    assert!(page.starts_after > message.id, "reload");
}

fn turned(range: &SeqRange) -> SeqRange {
    SeqRange { first: range.last, last: range.first }
}

fn edit_first(batch: &mut Batch, edit: fn(&mut model::ChannelChange)) {
    let Change::Channel(change) = Arc::make_mut(&mut batch.changes[0]) else { panic!("it was published") };
    edit(change);
}

/// A store that comes back empty.
struct Forgetful(MemoryStore);

impl StoreUnderTest for Forgetful {
    fn store(&self) -> &dyn Store {
        &self.0
    }

    fn restart(self) -> Forgetful {
        Forgetful(MemoryStore::new())
    }
}

#[test]
#[should_panic(expected = "seed 3: ")]
fn random_operations_find_a_store_that_forgets() {
    random::compare_with_oracle(3, 20, || Forgetful(MemoryStore::new()));
}
