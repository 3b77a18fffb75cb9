//! The memory devices keep the contracts of the devices, and fail the way they are told to.

use bytes::Bytes;
use std::{sync::Arc, thread, time::Duration};
use store::device::{AppendError, Log, Space, SpaceRows, Table};
use testkit::{
    LogDisk, LogFault, TableDisk, TableFault,
    log_suite::{LogPlace, record, start},
    table_suite::{TablePlace, rows},
};

struct Place<T>(T);

impl LogPlace for Place<LogDisk> {
    fn open(&self) -> model::Result<Box<dyn Log>> {
        Ok(Box::new(self.0.open()))
    }
}

impl TablePlace for Place<TableDisk> {
    fn open(&self) -> model::Result<Arc<dyn Table>> {
        Ok(Arc::new(self.0.open()))
    }
}

mod log_contract {
    testkit::log_suite!(super::Place(super::LogDisk::new()));
}

mod table_contract {
    testkit::table_suite!(super::Place(super::TableDisk::new()));
}

#[test]
fn an_unknown_append_is_there_or_not_as_planned_and_stops_the_log() {
    for (fault, survivors) in [(LogFault::UnknownKept, 2), (LogFault::UnknownLost, 1)] {
        let disk = LogDisk::new();
        let place = Place(disk.clone());
        let (mut log, _) = start(&place);
        log.append(&record(1, 10)).expect("the append succeeds");
        disk.plan(fault);
        assert!(matches!(log.append(&record(2, 10)), Err(AppendError::Unknown(_))));
        assert!(matches!(log.append(&record(3, 10)), Err(AppendError::Refused(_))), "only a rewrite helps");
        drop(log);
        assert_eq!(start(&place).1.len(), survivors);
    }
}

#[test]
fn a_refused_append_and_a_failed_rewrite_change_nothing() {
    let disk = LogDisk::new();
    let place = Place(disk.clone());
    let (mut log, _) = start(&place);
    log.append(&record(1, 10)).expect("the append succeeds");
    disk.plan(LogFault::RewriteFails);
    disk.plan(LogFault::Refuse);
    assert!(matches!(log.append(&record(2, 10)), Err(AppendError::Refused(_))));
    assert!(log.rewrite(&mut std::iter::empty()).is_err());
    log.append(&record(2, 10)).expect("the number was free");
    assert_eq!(disk.records(), [record(1, 10), record(2, 10)]);
}

#[test]
fn a_held_append_is_kept_or_lost_when_the_power_is_cut() {
    for keep_held in [true, false] {
        let disk = LogDisk::new();
        let (mut log, _) = start(&Place(disk.clone()));
        disk.freeze();
        let appending = thread::spawn(move || log.append(&record(1, 10)));
        assert_eq!(disk.wait_until_held(Duration::from_secs(10)), Some(1));
        assert_eq!(disk.records(), [], "a held record is not durable");
        disk.cut_power(keep_held);
        let outcome = appending.join().expect("the appending thread ends");
        assert!(matches!(outcome, Err(AppendError::Unknown(_))));
        assert_eq!(disk.records().len(), usize::from(keep_held));
    }
}

#[test]
fn a_thawed_append_succeeds() {
    let disk = LogDisk::new();
    let (mut log, _) = start(&Place(disk.clone()));
    disk.freeze();
    let appending = thread::spawn(move || log.append(&record(1, 10)).is_ok());
    assert_eq!(disk.wait_until_held(Duration::from_secs(10)), Some(1));
    disk.thaw();
    assert!(appending.join().expect("the appending thread ends"));
    assert_eq!(disk.records(), [record(1, 10)]);
}

#[test]
fn damage_stops_the_replay() {
    let disk = LogDisk::new();
    let (mut log, _) = start(&Place(disk.clone()));
    log.append(&record(1, 10)).expect("the append succeeds");
    disk.damage(1);
    assert!(disk.open().replay(0, &mut |_| Ok(())).is_err());
}

#[test]
fn a_power_cut_inside_a_write_keeps_some_rows_and_ends_the_table() {
    let disk = TableDisk::new();
    let table = disk.open();
    let rows_of = |count: u64| SpaceRows {
        space: Space::Meta,
        rows: (0..count).map(|key| (Bytes::from(key.to_be_bytes().to_vec()), Some(Bytes::from_static(b"v")))).collect(),
    };
    disk.plan(TableFault::PowerCut { seed: 7 });
    assert!(table.write(&mut std::iter::once(rows_of(100))).is_err());
    assert!(table.snapshot().is_err(), "the table is dead");
    let table = disk.open();
    let survivors = rows(&*table.snapshot().expect("a snapshot"), Space::Meta).len();
    assert!((1..100).contains(&survivors), "{survivors} of 100 rows survived");
}

#[test]
fn a_write_fails_after_as_many_spaces_as_planned() {
    let disk = TableDisk::new();
    let table = disk.open();
    disk.plan(TableFault::WriteFailsAfter(1));
    let row = || vec![(Bytes::from_static(b"k"), Some(Bytes::from_static(b"v")))];
    let both = [Space::Meta, Space::Records].map(|space| SpaceRows { space, rows: row() });
    assert!(table.write(&mut both.into_iter()).is_err());
    assert_eq!(table.spaces().expect("the spaces can be listed"), [Space::Meta]);
}
