//! A store on this log: one write or one sync fails, at any place, and then all works; or the power is cut in that moment,
//! and what was not synced is dropped.

use super::{FileLog, sim_disk::SimDisk};
use crate::settings::FileLogSettings;
use model::{ApplyError, Effort, Id, Order, Seq, Settled, Span, Store, Window};
use std::{path::Path, sync::Arc};
use store::{KeptStore, Settings};
use testkit::{BatchBuilder, TableDisk, channel};

const BATCHES: u64 = 14;
const FLUSH_AFTER: u64 = 6;

/// What fails.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Write,
    Sync,
}

/// What follows when the outcome of a batch is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Then {
    Settle,
    CutPower { seed: u32 },
}

/// The two devices, and what publishers were told.
struct World {
    log: SimDisk,
    table: TableDisk,
    builder: BatchBuilder,
    acknowledged: Vec<String>,
    doubtful: Option<(u64, String)>,
}

impl World {
    fn new() -> World {
        let (log, table, builder) = (SimDisk::new(), TableDisk::new(), BatchBuilder::new());
        World { log, table, builder, acknowledged: Vec::new(), doubtful: None }
    }

    fn open(&self) -> KeptStore {
        let settings =
            FileLogSettings { segment_bytes: 4 << 10, segments: 6, reserve: 2, ..FileLogSettings::default() };
        let (disk, aside) = (Arc::new(self.log.clone()), Path::new("aside"));
        let log = FileLog::open_on(disk, Path::new("log"), aside, 77, true, settings).expect("the log opens");
        let store = KeptStore::open(Box::new(log), Arc::new(self.table.open()), Settings::default());
        store.expect("no cut is damage")
    }

    /// Tries until the store has decided what is there: the fault strikes once.
    fn settle(&self, store: &KeptStore) -> Settled {
        let settled = (0..3).find_map(|_| store.settle(self.builder.shard(), self.builder.epoch()).ok());
        settled.expect("it works again")
    }

    /// Publishes batch after batch, until all are done or, if the power is to be cut, until one is in doubt.
    fn publish(&mut self, store: &KeptStore, then: Then) {
        for number in 0..BATCHES {
            if number == FLUSH_AFTER {
                store.flush().expect("the table is whole");
            }
            let text = format!("{number} {}", "x".repeat(300 * (number as usize % 4)));
            let way_back = self.builder.clone();
            self.builder.publish(&channel("room"), &text);
            let batch = self.builder.batch();
            match store.apply(&batch) {
                Ok(()) => self.acknowledged.push(text),
                Err(ApplyError::Refused(_)) => self.builder.go_back(way_back),
                Err(ApplyError::Unknown(_)) => {
                    assert!(matches!(store.apply(&batch), Err(ApplyError::Unknown(_))), "nothing before it is settled");
                    assert_eq!(texts(store), self.acknowledged, "no read shows what is in doubt");
                    self.doubtful = Some((batch.number, text));
                    if then != Then::Settle {
                        return;
                    }
                    let settled = self.settle(store);
                    if !self.decide(settled) {
                        self.builder.go_back(way_back);
                    }
                }
            }
        }
    }

    /// Whether the batch in doubt is there: its publisher is told so now.
    fn decide(&mut self, settled: Settled) -> bool {
        let Some((number, text)) = self.doubtful.take() else { return false };
        let is_there = settled.last_batch == number;
        if is_there {
            self.acknowledged.push(text);
        }
        is_there
    }

    /// What was not synced is dropped, or kept, by the seed; then the store is opened again.
    fn after_power_cut(mut self, store: KeptStore, seed: u32) -> (World, KeptStore) {
        let mut sector = 0;
        let log = self.log.cut_power(|| {
            sector += 1;
            seed >> (sector % 4) & 1 == 1
        });
        self.table.cut_power();
        drop(store);
        self.log = log;
        let store = self.open();
        let settled = self.settle(&store);
        self.decide(settled);
        (self, store)
    }
}

fn texts(store: &KeptStore) -> Vec<String> {
    let (author, custom_type) = (None, None);
    let (span, order, limit) = (Span::ALL, Order::Ascending, 100);
    let window = Window { span, order, limit, above: Seq::NONE, author, custom_type, now: Id::MIN };
    let page = store.read(&channel("room"), &window, Effort::Disk).expect("reads go on").expect("a page");
    page.messages.iter().map(|message| String::from_utf8_lossy(&message.payload.bytes).into_owned()).collect()
}

/// One life with a fault; whether it struck.
fn live(fault: Fault, nth: usize, then: Then) -> bool {
    let mut world = World::new();
    let store = world.open();
    world.settle(&store);
    match fault {
        Fault::Write => world.log.fail_write(nth),
        Fault::Sync => world.log.fail_sync(nth),
    }
    world.publish(&store, then);
    let has_struck = world.log.has_struck();
    let seed = match then {
        Then::Settle => 0,
        Then::CutPower { seed } => seed,
    };
    if then == Then::Settle {
        assert_eq!(texts(&store), world.acknowledged, "{fault:?} {nth}");
    }
    let (world, store) = world.after_power_cut(store, seed);
    assert_eq!(texts(&store), world.acknowledged, "{fault:?} {nth}, {then:?}, after a power cut");
    assert_eq!(store.verify(&mut |_| {}).expect("readable"), [], "{fault:?} {nth}, {then:?}");
    has_struck
}

#[test]
fn a_write_or_a_sync_that_fails_once_loses_and_doubles_nothing_and_is_told() {
    let seeds = [0b0000, 0b1111, 0b0101, 0b0010].map(|seed| Then::CutPower { seed });
    for fault in [Fault::Write, Fault::Sync] {
        for then in [Then::Settle].into_iter().chain(seeds) {
            let struck = (0..1000).take_while(|nth| live(fault, *nth, then)).count();
            assert!(struck > BATCHES as usize, "each batch is written and synced: {fault:?} struck {struck} times");
        }
    }
}
