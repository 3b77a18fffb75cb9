//! The contract of [`Log`] as tests: [`log_suite!`](crate::log_suite!) makes one test of each promise, for any device.

use bytes::Bytes;
use model::Result;
use std::collections::VecDeque;
use store::device::{AppendError, Log, LogRecord};

/// A fresh place for a log; opening it again, after the log was dropped, is a restart of the program.
pub trait LogPlace {
    /// Opens the log that lives here.
    fn open(&self) -> Result<Box<dyn Log>>;
}

/// Makes a test of each promise; the argument is an expression that makes a fresh [`LogPlace`].
#[macro_export]
macro_rules! log_suite {
    ($place:expr) => {
        $crate::log_suite!($place =>
            appended_records_survive_reopening,
            replay_gives_only_what_comes_after,
            rewrite_replaces_everything,
            an_empty_rewrite_lets_the_next_append_choose_its_number,
            a_wrong_number_is_refused_and_changes_nothing,
            nothing_is_taken_before_a_rewrite,
            freed_records_cost_nothing_and_the_rest_stays,
            bodies_of_every_size_come_back_byte_for_byte,
            an_error_of_the_visitor_ends_the_replay,
            any_history_equals_the_model,
        );
    };
    ($place:expr => $($promise:ident,)*) => {
        $(#[test]
        fn $promise() {
            $crate::log_suite::$promise(&$place);
        })*
    };
}

/// A record with this number and a body of `bytes` bytes that depends on both.
pub fn record(batch: u64, bytes: usize) -> LogRecord {
    let body: Vec<u8> = (0..bytes).map(|at| (at as u64 * 31 + batch * 7) as u8).collect();
    LogRecord { batch, epoch: 3, reserved: batch * 1000, changes: 1 + bytes as u32, body: Bytes::from(body) }
}

/// Opens, replays everything and writes it again, as every start does.
pub fn start(place: &dyn LogPlace) -> (Box<dyn Log>, Vec<LogRecord>) {
    let mut log = place.open().expect("the log opens");
    let records = replay(&mut *log, 0);
    log.rewrite(&mut records.iter().cloned()).expect("the log can be rewritten");
    (log, records)
}

/// Everything after `after`.
pub fn replay(log: &mut dyn Log, after: u64) -> Vec<LogRecord> {
    let mut records = Vec::new();
    let mut push = |record| {
        records.push(record);
        Ok(())
    };
    log.replay(after, &mut push).expect("the log can be replayed");
    records
}

fn append_all(log: &mut dyn Log, records: impl IntoIterator<Item = LogRecord>) {
    for record in records {
        log.append(&record).expect("the append succeeds");
    }
}

/// What `append` confirmed is there after a restart, in order, as it was.
pub fn appended_records_survive_reopening(place: &dyn LogPlace) {
    let (mut log, nothing) = start(place);
    assert_eq!(nothing, []);
    append_all(&mut *log, (1..=50).map(|batch| record(batch, batch as usize * 100)));
    drop(log);
    let (mut log, records) = start(place);
    assert_eq!(records, (1..=50).map(|batch| record(batch, batch as usize * 100)).collect::<Vec<_>>());
    append_all(&mut *log, (51..=60).map(|batch| record(batch, 10)));
    drop(log);
    assert_eq!(start(place).1.len(), 60, "appends after a rewrite survive too");
}

/// `replay(after)` begins at `after + 1`.
pub fn replay_gives_only_what_comes_after(place: &dyn LogPlace) {
    let (mut log, _) = start(place);
    append_all(&mut *log, (1..=20).map(|batch| record(batch, 700)));
    drop(log);
    let mut log = place.open().expect("the log opens");
    assert_eq!(replay(&mut *log, 12), (13..=20).map(|batch| record(batch, 700)).collect::<Vec<_>>());
}

/// After `rewrite` the log is exactly what was given, also after a restart.
pub fn rewrite_replaces_everything(place: &dyn LogPlace) {
    let (mut log, _) = start(place);
    append_all(&mut *log, (1..=9).map(|batch| record(batch, 600)));
    log.rewrite(&mut (5..=7).map(|batch| record(batch, 40))).expect("the log can be rewritten");
    append_all(&mut *log, [record(8, 41)]);
    drop(log);
    let (_, records) = start(place);
    assert_eq!(records, [record(5, 40), record(6, 40), record(7, 40), record(8, 41)]);
}

/// The number of a log's first record is the caller's choice.
pub fn an_empty_rewrite_lets_the_next_append_choose_its_number(place: &dyn LogPlace) {
    let (mut log, _) = start(place);
    append_all(&mut *log, (1..=3).map(|batch| record(batch, 5)));
    log.rewrite(&mut std::iter::empty()).expect("the log can be emptied");
    assert_eq!(log.live_bytes(), 0);
    append_all(&mut *log, [record(900, 5), record(901, 5)]);
    drop(log);
    assert_eq!(start(place).1, [record(900, 5), record(901, 5)]);
}

/// Numbers are consecutive; another number is refused before anything is written.
pub fn a_wrong_number_is_refused_and_changes_nothing(place: &dyn LogPlace) {
    let (mut log, _) = start(place);
    append_all(&mut *log, [record(4, 5)]);
    for wrong in [1, 4, 6] {
        assert!(matches!(log.append(&record(wrong, 5)), Err(AppendError::Refused(_))), "batch {wrong} after 4");
    }
    append_all(&mut *log, [record(5, 5)]);
    let gap = [record(4, 5), record(6, 5)];
    assert!(log.rewrite(&mut gap.into_iter()).is_err(), "a rewrite with a gap");
    drop(log);
    assert_eq!(start(place).1, [record(4, 5), record(5, 5)]);
}

/// A log takes records only after `replay` and `rewrite`.
pub fn nothing_is_taken_before_a_rewrite(place: &dyn LogPlace) {
    let mut log = place.open().expect("the log opens");
    assert!(matches!(log.append(&record(1, 5)), Err(AppendError::Refused(_))), "before the replay");
    assert!(log.rewrite(&mut std::iter::empty()).is_err(), "a rewrite before the replay would lose the log");
    assert_eq!(replay(&mut *log, 0), []);
    assert!(matches!(log.append(&record(1, 5)), Err(AppendError::Refused(_))), "before the rewrite");
    log.rewrite(&mut std::iter::empty()).expect("the log can be rewritten");
    append_all(&mut *log, [record(1, 5)]);
}

/// `free` makes room and takes nothing that is still needed.
pub fn freed_records_cost_nothing_and_the_rest_stays(place: &dyn LogPlace) {
    let (mut log, _) = start(place);
    let before = log.live_bytes();
    append_all(&mut *log, (1..=40).map(|batch| record(batch, 5000)));
    let full = log.live_bytes();
    assert!(full >= before + 40 * 5000);
    log.free(30);
    assert!(log.live_bytes() <= full / 3, "three quarters were freed: {} of {full}", log.live_bytes());
    append_all(&mut *log, [record(41, 5000)]);
    log.free(41);
    assert_eq!(log.live_bytes(), 0);
    append_all(&mut *log, [record(42, 5000)]);
    drop(log);
    let mut log = place.open().expect("the log opens");
    assert_eq!(replay(&mut *log, 41), [record(42, 5000)]);
}

/// Sizes around sectors and up to a whole batch.
pub fn bodies_of_every_size_come_back_byte_for_byte(place: &dyn LogPlace) {
    let (mut log, _) = start(place);
    let sizes = [0, 1, 439, 440, 441, 511, 512, 950, 951, 952, 1023, 65_536, 300_001];
    let records: Vec<LogRecord> = sizes.iter().zip(1..).map(|(bytes, batch)| record(batch, *bytes)).collect();
    append_all(&mut *log, records.iter().cloned());
    drop(log);
    assert_eq!(start(place).1, records);
    assert_eq!(start(place).1, records, "and again after a rewrite");
}

/// The visitor's error comes back, and the log is not believed to be replayed.
pub fn an_error_of_the_visitor_ends_the_replay(place: &dyn LogPlace) {
    let (mut log, _) = start(place);
    append_all(&mut *log, (1..=3).map(|batch| record(batch, 5)));
    drop(log);
    let mut log = place.open().expect("the log opens");
    let mut seen = 0;
    let mut visit = |_| {
        seen += 1;
        Err(model::Error::invalid("enough"))
    };
    assert_eq!(log.replay(0, &mut visit).expect_err("the visitor failed").message, "enough");
    assert_eq!(seen, 1);
    assert!(log.rewrite(&mut std::iter::empty()).is_err(), "a rewrite now would lose the log");
}

/// Appends, frees, rewrites and restarts in any order equal a list.
pub fn any_history_equals_the_model(place: &dyn LogPlace) {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let (mut log, _) = start(place);
    let (mut model, mut next, mut freed) = (VecDeque::new(), 1, 0);
    for _ in 0..400 {
        match draw(20) {
            0 => {
                drop(log);
                log = place.open().expect("the log opens");
                assert_eq!(replay(&mut *log, freed), Vec::from(model.clone()));
                log.rewrite(&mut model.iter().cloned()).expect("the log can be rewritten");
            }
            1 => log.rewrite(&mut model.iter().cloned()).expect("the log can be rewritten"),
            2 | 3 => {
                freed = (freed + draw(12)).min(next - 1);
                log.free(freed);
                model.retain(|record: &LogRecord| record.batch > freed);
            }
            _ => {
                let record = record(next, draw(6000) as usize);
                log.append(&record).expect("the append succeeds");
                model.push_back(record);
                next += 1;
            }
        }
        if model.len() > 60 {
            freed = next - 10;
            log.free(freed);
            model.retain(|record: &LogRecord| record.batch > freed);
        }
    }
}
