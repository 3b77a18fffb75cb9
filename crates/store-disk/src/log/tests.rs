//! What the log promises when power is cut, writes fail and bits flip.

use super::{
    FileLog,
    record::{SECTOR_BYTES, padded_bytes},
    sim_disk::SimDisk,
};
use crate::settings::FileLogSettings;
use bytes::Bytes;
use model::Result;
use proptest::prelude::*;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use store::device::{AppendError, Log, LogRecord};
use testkit::log_suite::record;

const STORE: u64 = 77;

fn settings() -> FileLogSettings {
    FileLogSettings { segment_bytes: 16 << 10, segments: 6, reserve: 2, ..FileLogSettings::default() }
}

fn open_with(disk: &SimDisk, settings: FileLogSettings) -> Result<FileLog> {
    FileLog::open_on(Arc::new(disk.clone()), Path::new("log"), Path::new("aside"), STORE, true, settings)
}

fn replay(log: &mut FileLog) -> Result<Vec<LogRecord>> {
    let mut records = Vec::new();
    log.replay(0, &mut |record| {
        records.push(record);
        Ok(())
    })?;
    Ok(records)
}

/// What a start finds.
fn found(disk: &SimDisk) -> Result<Vec<LogRecord>> {
    replay(&mut open_with(disk, settings())?)
}

fn start(disk: &SimDisk) -> (FileLog, Vec<LogRecord>) {
    let mut log = open_with(disk, settings()).expect("the log opens");
    let records = replay(&mut log).expect("the log can be replayed");
    log.rewrite(&mut records.iter().cloned()).expect("the log can be rewritten");
    (log, records)
}

/// A disk with these records, appended one by one.
fn disk_with(records: &[LogRecord]) -> SimDisk {
    let disk = SimDisk::new();
    let (mut log, _) = start(&disk);
    records.iter().for_each(|record| log.append(record).expect("the append succeeds"));
    drop(log);
    disk
}

/// The file with the log's only record-bearing segment, and the bytes before its unwritten rest.
fn only_segment(disk: &SimDisk) -> PathBuf {
    let is_used = |path: &PathBuf| {
        path.to_string_lossy().contains("log/segment") && disk.read(path).iter().any(|byte| *byte != 0)
    };
    let used: Vec<PathBuf> = disk.names().into_iter().filter(is_used).collect();
    assert_eq!(used.len(), 1, "one segment is used");
    used[0].clone()
}

fn message(result: Result<Vec<LogRecord>>) -> String {
    result.expect_err("the log must be refused").message
}

#[test]
fn a_cut_at_any_sector_of_the_last_record_is_torn_and_of_an_earlier_one_damage() {
    let records = [record(1, 1800), record(2, 900), record(3, 2000)];
    let disk = disk_with(&records);
    let segment = only_segment(&disk);
    let mut start = 0;
    for (index, record) in records.iter().enumerate() {
        for sector in 0..padded_bytes(record.body.len()) / SECTOR_BYTES {
            let cut = disk.copied();
            let at = start + sector * SECTOR_BYTES;
            cut.change(&segment, |bytes| bytes[at..at + SECTOR_BYTES].fill(0));
            if index == 2 {
                assert_eq!(found(&cut).expect("torn"), records[..2], "sector {sector} of the last record");
            } else {
                assert!(message(found(&cut)).contains("damaged in log/segment"), "sector {sector} of record {index}");
            }
        }
        start += padded_bytes(record.body.len());
    }
}

#[test]
fn any_set_of_missing_sectors_of_the_last_record_is_torn() {
    let records = [record(1, 10), record(2, 2000)];
    let disk = disk_with(&records);
    let segment = only_segment(&disk);
    let sectors = padded_bytes(2000) / SECTOR_BYTES;
    for missing in 1_u32..1 << sectors {
        let cut = disk.copied();
        for sector in (0..sectors).filter(|sector| missing & 1 << sector != 0) {
            let at = (1 + sector) * SECTOR_BYTES;
            cut.change(&segment, |bytes| bytes[at..at + SECTOR_BYTES].fill(0));
        }
        assert_eq!(found(&cut).expect("torn"), records[..1], "missing {missing:b}");
    }
}

#[test]
fn a_flipped_bit_in_the_last_acknowledged_record_is_damage_and_is_named() {
    let disk = disk_with(&[record(1, 700), record(2, 700)]);
    let segment = only_segment(&disk);
    let last = padded_bytes(700);
    for at in (last..2 * last).step_by(37) {
        let flipped = disk.copied();
        flipped.change(&segment, |bytes| bytes[at] ^= 0x10);
        let message = message(found(&flipped));
        assert!(message.contains("segment-") && message.contains(&format!("offset {last}")), "byte {at}: {message}");
        assert!(message.contains("--accept-loss 2"), "{message}");
        assert!(flipped.names().iter().any(|path| path.starts_with("aside")), "the files are copied aside");
    }
}

#[test]
fn anything_written_behind_the_end_is_damage() {
    let disk = disk_with(&[record(1, 700)]);
    let segment = only_segment(&disk);
    for at in [padded_bytes(700) + 1, padded_bytes(700) + SECTOR_BYTES, (16 << 10) - 1] {
        let changed = disk.copied();
        changed.change(&segment, |bytes| bytes[at] = 1);
        assert!(found(&changed).is_err(), "byte {at}");
    }
}

#[test]
fn accepted_loss_goes_on_before_the_damage_and_tells_what_was_lost() {
    let disk = disk_with(&[record(1, 10), record(2, 10), record(3, 10), record(4, 10)]);
    disk.change(&only_segment(&disk), |bytes| bytes[SECTOR_BYTES + 80] ^= 1);
    let wrong = FileLogSettings { accept_loss: Some(3), ..settings() };
    assert!(replay(&mut open_with(&disk, wrong).expect("opens")).is_err(), "another loss is not accepted");
    let right = FileLogSettings { accept_loss: Some(2), ..settings() };
    let mut log = open_with(&disk, right).expect("opens");
    assert_eq!(replay(&mut log).expect("accepted"), [record(1, 10)]);
    let loss = log.loss().expect("the loss is told");
    assert_eq!((loss.from_batch, loss.seen, loss.last_seen), (2, 3, Some(4)));
}

#[test]
fn each_copy_of_super_may_fail_alone_and_both_are_refused_by_name() {
    let records = [record(1, 10), record(2, 10)];
    let disk = disk_with(&records);
    let copies = ["log/super-a", "log/super-b"].map(PathBuf::from);
    for copy in &copies {
        let flipped = disk.copied();
        flipped.change(copy, |bytes| bytes[50] ^= 1);
        let missing = disk.copied();
        missing.lose(copy);
        for disk in [flipped, missing] {
            assert_eq!(found(&disk).expect("the other copy is used"), records);
            drop(start(&disk));
            let other = copies.iter().find(|other| *other != copy).expect("two copies");
            disk.lose(other);
            assert_eq!(found(&disk).expect("the start has written both again"), records);
        }
    }
    let neither = disk.copied();
    copies.iter().for_each(|copy| neither.change(copy, |bytes| bytes[50] ^= 1));
    assert!(message(open_with(&neither, settings()).map(|_| Vec::new())).contains("no usable super"));
    copies.iter().for_each(|copy| neither.lose(copy));
    assert!(message(open_with(&neither, settings()).map(|_| Vec::new())).contains("both copies are missing"));
}

#[test]
fn a_missing_or_unreadable_segment_is_damage_the_newest_too() {
    let records: Vec<LogRecord> = (1..=30).map(|batch| record(batch, 1000)).collect();
    let disk = disk_with(&records);
    let used = |path: &PathBuf| {
        path.to_string_lossy().contains("log/segment") && disk.read(path).iter().any(|byte| *byte != 0)
    };
    let segments: Vec<PathBuf> = disk.names().into_iter().filter(used).collect();
    assert!(segments.len() > 2, "several segments are used");
    for segment in segments {
        let missing = disk.copied();
        missing.lose(&segment);
        assert!(message(found(&missing)).contains("cannot be opened"));
        let unreadable = disk.copied();
        unreadable.make_unreadable(&segment);
        assert!(message(found(&unreadable)).contains("cannot be read"), "a read error is never a torn end");
        let headless = disk.copied();
        headless.change(&segment, |bytes| bytes[24] ^= 1);
        assert!(message(found(&headless)).contains("a header does not check"));
        for length in [0, 512, 15 << 10] {
            let shortened = disk.copied();
            shortened.change(&segment, |bytes| bytes.truncate(length));
            assert!(message(found(&shortened)).contains("not 32 sectors"), "cut to {length} bytes");
        }
    }
}

#[test]
fn payloads_that_look_like_records_or_like_nothing_come_back() {
    let first = disk_with(&[record(1, 600)]);
    let forged = Bytes::from(first.read(&only_segment(&first))[..3 * SECTOR_BYTES].to_vec());
    let zeros = Bytes::from(vec![0; 4 * SECTOR_BYTES]);
    let shifted = Bytes::from([&[0; 440], &forged[..]].concat());
    let bodies = [forged, zeros, shifted, Bytes::new()];
    let records: Vec<LogRecord> =
        bodies.into_iter().zip(1..).map(|(body, batch)| LogRecord { body, ..record(batch, 0) }).collect();
    assert_eq!(found(&disk_with(&records)).expect("no damage"), records);
}

#[test]
fn records_of_an_earlier_life_are_never_taken_for_new() {
    let disk = SimDisk::new();
    let (mut log, _) = start(&disk);
    for batch in 1..=200 {
        log.append(&record(batch, 1500)).expect("the append succeeds");
        log.free(batch.saturating_sub(3));
        let after = disk.cut_power(|| true);
        let found = found(&after).expect("no damage");
        assert_eq!(found.last(), Some(&record(batch, 1500)), "nothing after batch {batch}");
    }
}

#[test]
fn a_failed_write_or_sync_is_unknown_and_a_rewrite_goes_to_a_fresh_place() {
    for fail in [SimDisk::fail_write, SimDisk::fail_sync] {
        let disk = SimDisk::new();
        let (mut log, _) = start(&disk);
        log.append(&record(1, 3000)).expect("the append succeeds");
        fail(&disk, 0);
        assert!(matches!(log.append(&record(2, 3000)), Err(AppendError::Unknown(_))));
        assert!(disk.has_struck());
        assert!(matches!(log.append(&record(2, 3000)), Err(AppendError::Refused(_))), "nothing before a rewrite");
        let both = [record(1, 3000), record(2, 3000)];
        log.rewrite(&mut both.iter().cloned()).expect("the log can be rewritten");
        log.append(&record(3, 3000)).expect("the append succeeds");
        let after = disk.cut_power(|| false);
        assert_eq!(found(&after).expect("no damage"), [record(1, 3000), record(2, 3000), record(3, 3000)]);
    }
}

#[test]
fn a_rewrite_that_fails_anywhere_leaves_the_old_log_valid_and_may_be_tried_again() {
    let records = [record(1, 3000), record(2, 3000)];
    for (fail, kind) in [(SimDisk::fail_write as fn(&SimDisk, usize), "write"), (SimDisk::fail_sync, "sync")] {
        for nth in 0.. {
            let disk = SimDisk::new();
            let (mut log, _) = start(&disk);
            records.iter().for_each(|record| log.append(record).expect("the append succeeds"));
            fail(&disk, nth);
            let outcome = log.rewrite(&mut records.iter().cloned());
            if !disk.has_struck() {
                assert!(nth >= 4, "a rewrite has several steps");
                break;
            }
            assert!(outcome.is_err(), "{kind} {nth} failed");
            for keep in [true, false] {
                assert_eq!(found(&disk.cut_power(|| keep)).expect("no damage"), records, "{kind} {nth}");
            }
            log.rewrite(&mut records.iter().cloned()).expect("the next rewrite succeeds");
            log.append(&record(3, 10)).expect("the append succeeds");
            assert_eq!(found(&disk.cut_power(|| false)).expect("no damage").len(), 3, "{kind} {nth}");
        }
    }
}

#[test]
fn a_full_disk_keeps_no_log_from_being_rewritten() {
    let records = [record(1, 3000), record(2, 3000)];
    let disk = SimDisk::new();
    let (mut log, _) = start(&disk);
    records.iter().for_each(|record| log.append(record).expect("the append succeeds"));
    let files = || disk.names().iter().filter(|path| path.to_string_lossy().contains("segment")).count();
    let patience = Instant::now() + Duration::from_secs(20);
    while files() < settings().segments + settings().reserve {
        assert!(Instant::now() < patience, "the files are made");
        thread::yield_now();
    }
    drop(log);
    disk.set_room(0);
    // More often than there are files: used ones are used again.
    for _ in 0..20 {
        let (_, found) = start(&disk);
        assert_eq!(found, records);
    }
}

#[test]
fn a_full_log_refuses_and_takes_more_after_a_free() {
    let disk = SimDisk::new();
    let (mut log, _) = start(&disk);
    let mut batch = 0;
    let refusal = loop {
        batch += 1;
        match log.append(&record(batch, 5000)) {
            Ok(()) => assert!(batch < 100, "six segments are not endless"),
            Err(refusal) => break refusal,
        }
    };
    assert!(matches!(refusal, AppendError::Refused(error) if error.message.contains("full")));
    log.free(batch - 1);
    log.append(&record(batch, 5000)).expect("there is room again");
}

#[test]
fn a_batch_larger_than_the_log_allows_is_refused() {
    let (mut log, _) = start(&SimDisk::new());
    let refused = log.append(&record(1, 17 << 10));
    assert!(matches!(refused, Err(AppendError::Refused(error)) if error.kind == model::ErrorKind::TooLarge));
    log.append(&record(1, 15 << 10)).expect("one that fits is taken");
}

/// One step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Append { bytes: usize },
    FailingAppend { bytes: usize, sync: bool, nth: usize },
    Free { records: u64 },
    Rewrite,
    CutPower { seed: u64 },
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..4000_usize).prop_map(|bytes| Step::Append { bytes }),
        2 => (0..4000_usize, any::<bool>(), 0..3_usize)
            .prop_map(|(bytes, sync, nth)| Step::FailingAppend { bytes, sync, nth }),
        2 => (0..6_u64).prop_map(|records| Step::Free { records }),
        1 => Just(Step::Rewrite),
        2 => any::<u64>().prop_map(|seed| Step::CutPower { seed }),
    ]
}

/// The log and what must be in it.
struct History {
    disk: SimDisk,
    log: FileLog,
    model: Vec<LogRecord>,
    next: u64,
    freed: u64,
}

impl History {
    fn new() -> History {
        let disk = SimDisk::new();
        let (log, _) = start(&disk);
        History { disk, log, model: Vec::new(), next: 1, freed: 0 }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Append { bytes } => self.append(bytes),
            Step::FailingAppend { bytes, sync, nth } => {
                if sync {
                    self.disk.fail_sync(nth)
                } else {
                    self.disk.fail_write(nth)
                }
                self.append(bytes);
            }
            Step::Free { records } => self.free((self.freed + records).min(self.next - 1)),
            Step::Rewrite => self.rewrite(),
            Step::CutPower { seed } => self.cut_power(seed, None),
        }
    }

    fn append(&mut self, bytes: usize) {
        let record = record(self.next, bytes);
        match self.log.append(&record) {
            Ok(()) => self.accept(record),
            Err(AppendError::Refused(_)) => self.free(self.next - 1),
            // Half of the doubtful outcomes end in a power cut, the others in a rewrite that keeps the record.
            Err(AppendError::Unknown(_)) if bytes.is_multiple_of(2) => self.cut_power(bytes as u64, Some(record)),
            Err(AppendError::Unknown(_)) => {
                self.accept(record);
                self.rewrite();
            }
        }
    }

    fn accept(&mut self, record: LogRecord) {
        self.model.push(record);
        self.next += 1;
    }

    fn free(&mut self, upto: u64) {
        self.freed = upto;
        self.log.free(upto);
        self.model.retain(|record| record.batch > upto);
    }

    fn rewrite(&mut self) {
        while self.log.rewrite(&mut self.model.iter().cloned()).is_err() {}
    }

    fn cut_power(&mut self, seed: u64, doubtful: Option<LogRecord>) {
        let mut random = seed | 1;
        let mut keep = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random & 1 == 0
        };
        self.disk = self.disk.cut_power(&mut keep);
        let mut found = found(&self.disk).expect("a power cut is no damage");
        found.retain(|record| record.batch > self.freed);
        if let Some(doubtful) = doubtful
            && found.last() == Some(&doubtful)
        {
            self.accept(doubtful);
        }
        assert_eq!(found, self.model);
        self.log = open_with(&self.disk, settings()).expect("the log opens");
        replay(&mut self.log).expect("the log can be replayed");
        self.rewrite();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn nothing_acknowledged_is_lost_and_nothing_else_appears(steps in prop::collection::vec(any_step(), 1..80)) {
        let mut history = History::new();
        steps.iter().for_each(|step| history.take(step));
        history.cut_power(1, None);
    }
}
