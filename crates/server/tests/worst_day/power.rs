//! Power cuts of the real program. One run of it is recorded: three lives, with flushes, new segments, a log that is
//! rewritten at each start, files that are zeroed. Then the folder is laid as a cut would leave it between two calls, and
//! judged. An ordinary run tries a sample, `SCROLLBACK_CUTS=all` all of them.

use crate::{
    cuts::{Cut, Failure, Plan, judge_cuts},
    disk::{Disk, Fate},
    judge::Told,
    life::{Known, SIZES, channel_name, live, place},
    pages::Pages,
    program::{Program, assert_sound},
    record::{self, Call, Content, Entry, Inode},
    shim::{Shim, quick_folder},
};
use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::OnceLock,
};

const LIVES: u64 = 3;
const ACKNOWLEDGEMENTS: usize = 300;
/// Cuts behind each kind of work in a sample.
const SAMPLE: usize = 16;
const ALL_VARIABLE: &str = "SCROLLBACK_CUTS";

/// Whether the syncs of a path below the data folder are left out.
type IsLeftOut = fn(&str) -> bool;

/// A run of the program, written down.
struct Recording {
    /// Before the first life.
    empty: Disk,
    entries: Vec<Entry>,
    works: Vec<Work>,
    known: Known,
    /// When each acknowledged message went out, in bytes of the record.
    told: HashMap<u64, u64>,
    _shim: Shim,
}

/// What the program was at when it made a call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Work {
    Append,
    /// `super` is switched: a new segment, segments given back, a log written anew.
    Super,
    /// A file of the log is made.
    Filling,
    /// A used file of the log becomes zeros again.
    Zeroing,
    /// Names and contents of the tables: a flush, or merging.
    Tables,
    EngineJournal,
    Folder,
    Answer,
}

/// The same for all tests.
fn recording() -> &'static Recording {
    static RECORDING: OnceLock<Recording> = OnceLock::new();
    RECORDING.get_or_init(|| tokio::runtime::Runtime::new().expect("threads").block_on(record_lives()))
}

async fn record_lives() -> Recording {
    let (shim, known) = (Shim::recording(), Known::default());
    let empty = Disk::of_folder(shim.folder(), 0);
    for life in 0..LIVES {
        let program = shim.start(&SIZES);
        live(&shim, &program, &known, life, ACKNOWLEDGEMENTS).await;
        if life == 1 {
            program.terminate();
            program.ended().await;
        } else {
            program.kill();
        }
    }
    let entries = record::read(&shim.record());
    let (works, told) = (works(&empty, &entries), known.told(&entries));
    Recording { empty, entries, works, known, told, _shim: shim }
}

fn works(empty: &Disk, entries: &[Entry]) -> Vec<Work> {
    let (mut disk, mut used) = (empty.clone(), HashSet::new());
    let work = |entry: &Entry| {
        // What is removed has a path before, what is made after.
        let before = disk.path_of(&entry.call);
        disk.take(&entry.call);
        let after = disk.path_of(&entry.call);
        work_of(if after.as_os_str().is_empty() { &before } else { &after }, &entry.call, &mut used)
    };
    entries.iter().map(work).collect()
}

fn work_of(path: &Path, call: &Call, used: &mut HashSet<Inode>) -> Work {
    let path = path.to_string_lossy();
    if path.starts_with("data/log/segment") {
        return match call {
            Call::Write { inode, content: Content::Bytes(_), .. } => {
                used.insert(*inode);
                Work::Append
            }
            Call::Write { inode, .. } if used.contains(inode) => Work::Zeroing,
            Call::Sync { inode } if used.contains(inode) => Work::Append,
            _ => Work::Filling,
        };
    }
    match &*path {
        "" => Work::Answer,
        path if path.starts_with("data/log/super") => Work::Super,
        path if path.ends_with(".jnl") => Work::EngineJournal,
        path if path.starts_with("data/tables") => Work::Tables,
        _ => Work::Folder,
    }
}

impl Recording {
    /// Between any two calls, or a sample: behind each kind of work so many.
    fn plan(&self, seed: u64) -> Plan {
        match std::env::var(ALL_VARIABLE).is_ok_and(|which| which == "all") {
            true => Plan::all(self.entries.len(), seed),
            false => Plan::sample(&self.works, SAMPLE, seed),
        }
    }

    fn told_before(&self, at: u64) -> Told<'_> {
        Told { known: &self.known, told: &self.told, at }
    }

    /// What is wrong after cuts of a run that did these calls.
    fn judge(&self, entries: &[Entry], plan: &Plan, most: usize) -> Vec<Failure> {
        judge_cuts(&self.empty, entries, plan, most, |data, at| self.told_before(at).judge(data))
    }

    /// The same without syncs that are to be left out: by the path below the data folder.
    fn without_syncs(&self, left_out: impl Fn(&str) -> bool) -> Vec<Entry> {
        let mut disk = self.empty.clone();
        let stays = |entry: &&Entry| {
            disk.take(&entry.call);
            let path = disk.path_of(&entry.call);
            let path = path.strip_prefix("data").map(|path| path.to_string_lossy().into_owned());
            !(matches!(entry.call, Call::Sync { .. }) && left_out(&path.unwrap_or_else(|_| "..".into())))
        };
        self.entries.iter().filter(stays).cloned().collect()
    }
}

#[test]
fn the_recorded_run_does_everything_that_can_be_cut() {
    let recording = recording();
    let count = |work| recording.works.iter().filter(|other| **other == work).count();
    for (work, least) in [
        (Work::Append, 2 * LIVES as usize * ACKNOWLEDGEMENTS / 6),
        (Work::Super, 2 * 2 * 2 * LIVES as usize),
        (Work::Filling, 20),
        (Work::Zeroing, 4),
        (Work::Tables, 200),
        (Work::EngineJournal, 3),
        (Work::Folder, 5),
        (Work::Answer, LIVES as usize * ACKNOWLEDGEMENTS),
    ] {
        assert!(count(work) >= least, "{work:?}: {} calls", count(work));
    }
    let deleted = recording.known.sent().values().filter(|sent| sent.deletion.is_some()).count();
    assert!(deleted > 20, "{deleted} were deleted");
}

#[test]
fn a_power_cut_between_any_two_calls_loses_nothing_that_was_told() {
    let recording = recording();
    let failures = recording.judge(&recording.entries, &recording.plan(1), 8);
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Each sync has its reason: without it a cut does harm, and the judge sees it.
#[test]
fn a_sync_that_is_left_out_is_found() {
    let recording = recording();
    let faults: [(&str, IsLeftOut); 6] = [
        ("appended records", |path| path.starts_with("log/segment")),
        ("both copies of super", |path| path.starts_with("log/super")),
        ("the names in log/", |path| path == "log"),
        ("tables", |path| path.contains("/tables/")),
        ("the names in the folders of tables", |path| path.ends_with("/tables")),
        ("the names in the data folder", |path| path.is_empty()),
    ];
    for (name, left_out) in faults {
        let entries = recording.without_syncs(left_out);
        assert!(entries.len() < recording.entries.len(), "{name}: there are such syncs");
        let plan = Plan::sample(&recording.works, SAMPLE, 2).of_entries(&recording.entries, &entries);
        let failures = recording.judge(&entries, &plan, 1);
        assert!(!failures.is_empty(), "nobody misses the syncs of {name}");
    }
}

/// An answer that goes out before its sync.
#[test]
fn an_answer_that_comes_too_early_is_found() {
    let recording = recording();
    let early: HashMap<u64, u64> =
        recording.told.iter().map(|(id, at)| (*id, recording.before_its_sync(*at))).collect();
    let plan = Plan::sample(&recording.works, SAMPLE, 3);
    let judge = |data: &Path, at| Told { known: &recording.known, told: &early, at }.judge(data);
    let failures = judge_cuts(&recording.empty, &recording.entries, &plan, 1, judge);
    assert!(failures.iter().any(|failure| failure.reason.contains("was told")), "{failures:?}");
}

impl Recording {
    /// The place of the last write to the log before an answer: where it would stand if it did not wait for the sync.
    fn before_its_sync(&self, at: u64) -> u64 {
        let answer = self.entries.partition_point(|entry| entry.at < at);
        let is_append = |index: &usize| {
            self.works[*index] == Work::Append && matches!(self.entries[*index].call, Call::Write { .. })
        };
        let append = (0..answer).rev().find(is_append).expect("it was written before");
        self.entries[append].at
    }
}

/// The engine's journal holds no row: no page of it is ever written, and whatever becomes of it takes nothing along.
#[test]
fn whatever_becomes_of_the_engines_journal_loses_nothing() {
    let recording = recording();
    let mut disk = recording.empty.clone();
    for (entry, work) in recording.entries.iter().zip(&recording.works) {
        assert!(*work != Work::EngineJournal || !matches!(entry.call, Call::Write { .. }), "{:?}", entry.call);
        disk.take(&entry.call);
    }
    let whole = disk.after_cut(Fate::Kept);
    let harms: [fn(&mut Pages); 4] = [
        |journal| journal.set_length(0),
        |journal| journal.set_length(4096),
        |journal| journal.write(0, &[0xa5; 4096]),
        |journal| journal.write(4096, b"\x01\x00a page of something else"),
    ];
    for (number, harm) in harms.iter().enumerate() {
        let mut remains = whole.clone();
        let harmed = remains.files_mut(".jnl").map(harm).count();
        assert!(harmed > 0, "there is a journal");
        let folder = quick_folder();
        remains.lay(folder.path()).expect("there is room");
        let judged = recording.told_before(u64::MAX).judge(&folder.path().join("data"));
        assert_eq!(judged, Ok(()), "harm {number}");
    }
}

/// The power is cut again while the program starts after a cut.
#[test]
fn a_second_cut_during_the_start_loses_nothing() {
    let recording = recording();
    for cut in Plan::sample(&recording.works, 1, 4).cuts {
        let shim = Shim::recording();
        recording.lay(cut, shim.folder());
        let before = Disk::of_folder(shim.folder(), 0);
        shim.start(&SIZES).kill();
        let entries = record::read(&shim.record());
        let told = recording.told_before(recording.place(cut));
        let plan = Plan::sample(&works(&before, &entries), 1, 5);
        let failures = judge_cuts(&before, &entries, &plan, 1, |data, _| told.judge(data));
        assert!(failures.is_empty(), "after {cut:?}: {failures:#?}");
    }
}

/// The program itself serves what a cut left, and goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_serves_what_a_power_cut_left() {
    let recording = tokio::task::spawn_blocking(recording).await.expect("it is recorded");
    for cut in Plan::sample(&recording.works, 1, 6).cuts.into_iter().step_by(4) {
        let folder = quick_folder();
        recording.lay(cut, folder.path());
        let data = folder.path().join("data");
        let program = Program::start_with(&data, &SIZES);
        let found = program.history(&channel_name(0)).await;
        let after = program.publish(&channel_name(0), "\"after\"").await;
        let last = found.last().map_or(0, |message| message["seq"].as_u64().expect("a seq"));
        assert!(after["seq"].as_u64() > Some(last));
        program.kill();
        let known = recording.known.sent().clone();
        for (text, sent) in known.iter().filter(|(_, sent)| sent.channel == 0 && sent.deletion.is_none()) {
            let Some((id, _)) = sent.place.filter(|(id, _)| recording.told[id] < recording.place(cut)) else {
                continue;
            };
            let is_it = |message: &serde_json::Value| message["payload"] == **text && place(message).0 == id;
            assert!(found.iter().any(is_it), "{text:.20} is missing after {cut:?}");
        }
        assert_sound(&data);
    }
}

impl Recording {
    fn lay(&self, cut: Cut, folder: &Path) {
        let mut disk = self.empty.clone();
        self.entries[..cut.before].iter().for_each(|entry| disk.take(&entry.call));
        disk.after_cut(cut.fate).lay(folder).expect("there is room");
    }

    fn place(&self, cut: Cut) -> u64 {
        self.entries.get(cut.before).map_or(u64::MAX, |entry| entry.at)
    }
}
