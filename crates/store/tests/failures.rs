//! What the store does when a device is slow, fails or damages, and what it then says.

mod support;

use model::{
    ApplyError, Batch, Effort, ErrorKind, Id, IdempotencyKey, Order, Seq, Span, Store, TICKS_PER_SECOND, Window,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};
use store::{KeptStore, Settings, device::Table};
use support::OnMemory;
use testkit::{BatchBuilder, Fields, LogDisk, LogFault, TableDisk, TableFault, channel, store_suite::StoreUnderTest};

fn opened(settings: Settings) -> (OnMemory, BatchBuilder) {
    let (tested, builder) = (OnMemory::empty(settings), BatchBuilder::new());
    tested.store.settle(builder.shard(), builder.epoch()).expect("an empty store settles");
    (tested, builder)
}

fn batch_of(builder: &mut BatchBuilder, count: usize) -> Batch {
    for n in 0..count {
        builder.publish(&channel("room"), &format!("text {n}"));
    }
    builder.batch()
}

fn newest(limit: u32) -> Window {
    let (author, custom_type) = (None, None);
    Window { span: Span::ALL, order: Order::Descending, limit, above: Seq::NONE, author, custom_type, now: Id::MIN }
}

#[test]
fn a_batch_in_doubt_keeps_its_number_until_a_rewrite_succeeds() {
    let (tested, mut builder) = opened(Settings::default());
    tested.store.apply(&batch_of(&mut builder, 3)).unwrap();
    let doubtful = batch_of(&mut builder, 2);
    [LogFault::UnknownLost, LogFault::RewriteFails, LogFault::RewriteFails]
        .into_iter()
        .for_each(|f| tested.log.plan(f));
    assert!(matches!(tested.store.apply(&doubtful), Err(ApplyError::Unknown(_))));
    for _ in 0..2 {
        assert!(tested.store.settle(builder.shard(), builder.epoch()).is_err(), "the rewrite fails");
        assert!(matches!(tested.store.apply(&doubtful), Err(ApplyError::Unknown(_))));
        let page = tested.store.read(&channel("room"), &newest(10), Effort::Disk).unwrap().unwrap();
        assert_eq!(page.head.seq, Seq(3), "reads go on with what was acknowledged");
    }
    assert_eq!(tested.store.settle(builder.shard(), builder.epoch()).unwrap().last_batch, doubtful.number);
    tested.store.apply(&doubtful).expect("the decided batch again is a no-op");
    assert_eq!(tested.store.heads(&[channel("room")]).unwrap()[0].last.seq, Seq(5));
}

#[test]
fn a_hole_between_checkpoint_and_log_refuses_the_start() {
    let (tested, mut builder) = opened(Settings::default());
    for _ in 0..4 {
        tested.store.apply(&batch_of(&mut builder, 3)).unwrap();
    }
    let records = tested.log.records();
    drop(tested.store);
    let holed = LogDisk::new();
    let mut log = holed.open();
    store::device::Log::replay(&mut log, 0, &mut |_| Ok(())).unwrap();
    store::device::Log::rewrite(&mut log, &mut records.into_iter().skip(1)).unwrap();
    let refused = KeptStore::open(Box::new(holed.open()), Arc::new(tested.table.open()), Settings::default());
    let why = format!("{:?}", refused.err().expect("a missing batch is damage"));
    assert!(why.contains("the log goes on with batch 2 after 0"), "{why}");
}

#[test]
fn publishers_are_refused_in_time_when_the_flush_hangs() {
    let settings = Settings { stall_wait: Duration::from_millis(50), ..support::small_tails() };
    let (tested, mut builder) = opened(settings);
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    tested.table.on_write(move || {
        let _ = released.lock().unwrap().recv();
    });
    let refused = (0..200).find_map(|_| tested.store.apply(&batch_of(&mut builder, 10)).err());
    let Some(ApplyError::Refused(error)) = refused else { panic!("expected a refusal, got {refused:?}") };
    assert_eq!(error.kind, ErrorKind::Unavailable);
    let status = tested.store.status();
    assert!(status.stalls > 0 && status.frozen_bytes > 0);
    assert!(status.tail_bytes + status.frozen_bytes < 4 * tested.settings.tail_bytes as u64, "{status:?}");
    drop(release);
    tested.flush();
    let next = Batch { number: tested.store.status().last_batch + 1, ..builder.batch() };
    tested.store.apply(&Batch { changes: Vec::new(), ..next }).expect("after the flush there is room again");
}

#[test]
fn a_failed_flush_is_told_and_tried_again() {
    let (tested, mut builder) = opened(Settings::default());
    tested.store.apply(&batch_of(&mut builder, 300)).unwrap();
    [TableFault::WriteFails, TableFault::SnapshotFails].into_iter().for_each(|fault| tested.table.plan(fault));
    assert!(tested.store.flush().is_err(), "the first attempt fails");
    while tested.store.flush().is_err() {}
    let status = tested.store.status();
    assert_eq!((status.checkpoint, status.flushes), (1, 1));
    assert!(status.flush_failures >= 2 && status.last_flush_failure.is_some(), "{status:?}");
    assert_eq!(tested.log.records(), [], "what the table has leaves the log");
}

#[test]
fn a_flush_that_ends_by_a_panic_is_told_to_who_waits_for_it() {
    let (tested, mut builder) = opened(Settings::default());
    tested.store.apply(&batch_of(&mut builder, 300)).unwrap();
    tested.table.on_write(|| panic!("a fault of the program, put in on purpose"));
    let store = tested.store.clone();
    let (told, answer) = mpsc::channel();
    std::thread::spawn(move || told.send(store.flush()));
    let failed = answer.recv_timeout(Duration::from_secs(30)).expect("it is told").expect_err("nothing was flushed");
    assert!(format!("{failed:?}").contains("panic"), "{failed:?}");
    let page = tested.store.read(&channel("room"), &newest(10), Effort::Memory).unwrap();
    assert_eq!(page.map(|page| page.messages.len()), Some(10), "reads go on");
    tested.table.on_write(|| {});
    let tested = tested.restart();
    tested.store.settle(builder.shard(), 2).unwrap();
    tested.flush();
    assert_eq!(tested.store.status().flushes, 1);
}

#[test]
fn a_damaged_block_is_named_and_nothing_is_made_up() {
    let (tested, mut builder) = opened(Settings::default());
    tested.store.apply(&batch_of(&mut builder, 300)).unwrap();
    tested.flush();
    let OnMemory { store, log, table, .. } = tested;
    drop(store);
    let key = first_block(&table);
    assert!(table.flip(store::device::Space::Blocks(1), &key, 40), "there is a block of channel 1");
    let tested = OnMemory::open(log, table, Settings::default());
    tested.store.settle(builder.shard(), 2).unwrap();
    let oldest = Window { order: Order::Ascending, ..newest(10) };
    assert_eq!(tested.store.read(&channel("room"), &oldest, Effort::Disk).unwrap_err().kind, ErrorKind::Internal);
    let page = tested.store.read(&channel("room"), &newest(10), Effort::Disk).unwrap().unwrap();
    assert_eq!(page.messages.len(), 10, "other blocks are read as before");
    let findings = tested.store.verify(&mut |_| {}).unwrap();
    assert!(findings[0].what.contains("checksum"), "{findings:?}");
}

#[test]
fn readers_do_not_notice_that_an_idle_table_is_recovered() {
    let (tested, mut builder) = opened(Settings::default());
    tested.store.apply(&batch_of(&mut builder, 300)).unwrap();
    tested.flush();
    tested.table.plan(TableFault::RecoveryFails);
    tested.table.give_up();
    let patience = Instant::now() + Duration::from_secs(20);
    let mut recovered = false;
    while !recovered {
        assert!(Instant::now() < patience, "an idle table is recovered");
        // One read more after it was recovered.
        recovered = tested.table.recoveries() == 2;
        let page = tested.store.read(&channel("room"), &newest(10), Effort::Disk).expect("reads wait").expect("a page");
        assert_eq!((page.head.seq, page.messages.len()), (Seq(300), 10));
    }
}

#[test]
fn what_a_flush_has_written_is_not_written_again_when_it_is_done_again() {
    let settings = Settings { piece_bytes: 2 << 10, ..Settings::default() };
    let (tested, mut builder) = opened(settings);
    tested.store.apply(&batch_of(&mut builder, 2_000)).unwrap();
    let (table, writes) = (tested.table.clone(), AtomicU64::new(0));
    tested.table.on_write(move || {
        if writes.fetch_add(1, Ordering::SeqCst) % 3 == 2 {
            table.plan(TableFault::WriteFails);
        }
    });
    let attempts = (0..20).take_while(|_| tested.store.flush().is_err()).count();
    let status = tested.store.status();
    assert!(status.flushes == 1 && attempts >= 2, "{status:?}");
    let bytes = tested.table.open().status().bytes;
    assert!(status.written_bytes < 2 * bytes, "{status:?} for {bytes} bytes");
}

#[test]
fn a_full_device_is_told_and_deletions_go_on() {
    let settings = Settings { stall_wait: Duration::from_millis(50), ..support::small_tails() };
    let (tested, mut builder) = opened(settings);
    let first = builder.publish(&channel("room"), "to be deleted");
    tested.store.apply(&builder.batch()).unwrap();
    assert!(tested.store.room().is_ok());
    tested.table.set_full(true);
    assert_eq!(tested.store.room().unwrap_err().kind, ErrorKind::Unavailable);
    builder.delete(&channel("room"), testkit::removal_of(&[first]));
    tested.store.apply(&builder.batch()).expect("deletions go on");

    let table = tested.table.clone();
    tested.table.on_write(move || table.plan(TableFault::WriteFails));
    let refused = (0..200).find_map(|_| tested.store.apply(&batch_of(&mut builder, 10)).err());
    let Some(ApplyError::Refused(error)) = refused else { panic!("expected a refusal, got {refused:?}") };
    assert!(error.message.contains("disk is full"), "{error}");
    assert!(tested.store.read(&channel("room"), &newest(10), Effort::Disk).unwrap().is_some(), "reading goes on");
}

fn first_block(table: &TableDisk) -> Vec<u8> {
    use store::device::Space;
    let snapshot = table.open().snapshot().expect("nothing is broken");
    let all = bytes::Bytes::new()..bytes::Bytes::from_static(&[u8::MAX; 32]);
    let first = snapshot.range(Space::Blocks(1), all, false).next().expect("a block");
    first.expect("nothing is broken").0.to_vec()
}

#[test]
fn days_of_keys_and_of_the_feed_are_dropped_whole() {
    const DAY: u64 = 86_400 * TICKS_PER_SECOND;
    let settings = Settings { feed_days: 2, ..Settings::default() };
    let (tested, mut builder) = opened(settings);
    let mut firsts = Vec::new();
    for day in 0..6u64 {
        let key = Some(IdempotencyKey { key_hash: u128::from(day), payload_hash: day });
        firsts.push(builder.publish_with(&channel("room"), "keyed", Fields { key, ..Fields::default() }));
        let batch = builder.batch();
        tested.store.apply(&batch).unwrap();
        tested.flush();
        builder.pass_ticks(DAY);
    }
    let now = firsts[5].id;
    let keyed = |day: u64| tested.store.keyed(&channel("room"), u128::from(day), now).unwrap().map(|keyed| keyed.id);
    assert_eq!([3, 4, 5].map(keyed), [None, Some(firsts[4].id), Some(now)]);
    let feed = tested.store.feed(builder.shard(), Span::ALL, 100).unwrap();
    let ids: Vec<Id> = feed.items.iter().map(|item| item.id).collect();
    assert_eq!(ids, [firsts[3].id, firsts[4].id, firsts[5].id], "the newest day and two before");
    assert!(firsts[2].id <= feed.starts_after && feed.starts_after < firsts[3].id);
    assert_eq!(tested.store.verify(&mut |_| {}).unwrap(), []);
}

#[test]
fn newest_pages_of_fresh_channels_need_no_disk() {
    let (tested, mut builder) = opened(Settings::default());
    tested.store.apply(&batch_of(&mut builder, 50)).unwrap();
    let read = |window: &Window| tested.store.read(&channel("room"), window, Effort::Memory).unwrap();
    assert_eq!(read(&newest(100)).expect("all of it is in the tail").messages.len(), 50);
    tested.flush();
    tested.store.apply(&batch_of(&mut builder, 5)).unwrap();
    assert_eq!(read(&newest(5)).expect("five are in the tail").messages.len(), 5);
    assert!(read(&newest(6)).is_none(), "the sixth is in a block");
}

#[test]
fn a_block_is_rewritten_at_most_twice() {
    let (tested, mut builder) = opened(Settings::default());
    for _ in 0..60 {
        tested.store.apply(&batch_of(&mut builder, 9)).unwrap();
        tested.flush();
    }
    let status = tested.store.status();
    assert!(status.written_bytes < 4 * status.flushed_bytes, "{status:?}");
    let page = tested.store.read(&channel("room"), &newest(540), Effort::Disk).unwrap().unwrap();
    assert_eq!(page.messages.len(), 540);
}

#[test]
fn a_sweep_gives_back_what_was_removed() {
    let (tested, mut builder) = opened(Settings::default());
    let room = channel("room");
    let word = |n: u64| format!("{:x}", (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let text = |n: u64| (0..20).map(|part| word(n * 20 + part)).collect::<String>();
    let messages: Vec<_> = (0..1024).map(|n| builder.publish(&room, &text(n))).collect();
    tested.store.apply(&builder.batch()).unwrap();
    tested.flush();
    let bytes = || tested.store.status().table_bytes;
    let whole = bytes();

    let some: Vec<_> = messages[512..].iter().enumerate().filter(|(n, _)| n % 4 != 0).map(|(_, m)| m.clone()).collect();
    builder.delete(&room, testkit::removal_of(&some));
    tested.store.apply(&builder.batch()).unwrap();
    tested.flush();
    assert!(!tested.store.sweep(Duration::from_secs(10)).unwrap(), "there is no more to do");
    assert_eq!(tested.store.status().blocks_swept, 4, "three in four of these blocks went");
    let thinned = bytes();
    assert!(thinned < whole * 3 / 4, "{whole} bytes became {thinned}");

    let at = &messages[400];
    builder.floor(&room, model::Position { id: at.id, seq: at.seq });
    tested.store.apply(&builder.batch()).unwrap();
    tested.flush();
    assert!(!tested.store.sweep(Duration::from_secs(10)).unwrap(), "there is no more to do");
    assert!(bytes() < thinned / 2, "{thinned} bytes became {}", bytes());
    let page = tested.store.read(&room, &newest(1000), Effort::Disk).unwrap().unwrap();
    assert_eq!((page.messages.len(), page.removed.deleted), (111 + 128, 384));
    assert_eq!(tested.store.verify(&mut |_| {}).unwrap(), []);
}
