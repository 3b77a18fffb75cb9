//! What the table on the engine promises beyond the contract of the device.

use bytes::Bytes;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use store::device::{Space, SpaceRows, Table};
use store_disk::{EngineSettings, EngineTable};
use testkit::table_suite::rows;

const SPACE: Space = Space::Blocks(1);

struct Folder {
    _keep: tempfile::TempDir,
    tables: PathBuf,
    quarantine: PathBuf,
}

impl Folder {
    fn new() -> Folder {
        let keep = tempfile::tempdir().expect("a temporary folder");
        let folder = |name| {
            let path = keep.path().join(name);
            fs::create_dir(&path).expect("a folder");
            path
        };
        Folder { tables: folder("tables"), quarantine: folder("quarantine"), _keep: keep }
    }

    fn open(&self) -> EngineTable {
        EngineTable::open(&self.tables, &self.quarantine, EngineSettings::default()).expect("the table opens")
    }

    fn journals(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.tables).expect("the tables can be listed");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "jnl")).collect()
    }
}

fn write(table: &EngineTable, space: Space, keys: u64, value: u8) {
    try_write(table, space, keys, value).expect("the rows can be written");
}

fn try_write(table: &EngineTable, space: Space, keys: u64, value: u8) -> model::Result<()> {
    let rows = (0..keys).map(|key| (Bytes::from(key.to_be_bytes().to_vec()), Some(Bytes::from(vec![value; 500]))));
    let rows = SpaceRows { space, rows: rows.collect() };
    table.write(&mut std::iter::once(rows))
}

/// The folder with the files of the first space that was written.
fn files_of_first_space(folder: &Folder) -> PathBuf {
    folder.tables.join("keyspaces/1/tables")
}

/// Waits for what another thread does.
fn until(what: &str, done: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < patience, "{what}");
        thread::yield_now();
    }
}

fn count(table: &EngineTable) -> usize {
    rows(&*table.snapshot().expect("a snapshot"), SPACE).len()
}

fn bytes_below(path: &Path) -> u64 {
    let entries = fs::read_dir(path).expect("a folder can be listed").map(|entry| entry.expect("an entry"));
    let size = |entry: fs::DirEntry| match entry.file_type().expect("a type").is_dir() {
        true => bytes_below(&entry.path()),
        false => entry.metadata().map_or(0, |metadata| metadata.len()),
    };
    entries.map(size).sum()
}

#[test]
fn rows_never_pass_through_the_engines_journal() {
    let folder = Folder::new();
    let table = folder.open();
    write(&table, SPACE, 200, 0xab);
    for journal in folder.journals() {
        let content = fs::read(journal).expect("the journal can be read");
        assert!(content.iter().all(|byte| *byte == 0), "the journal is empty");
    }
}

#[test]
fn a_missing_or_unreadable_journal_loses_nothing() {
    for damage in [None, Some(&[0x5a; 600][..])] {
        let folder = Folder::new();
        let table = folder.open();
        write(&table, SPACE, 200, 1);
        write(&table, SPACE, 100, 2);
        drop(table);
        for journal in folder.journals() {
            match damage {
                None => fs::remove_file(journal).expect("the journal can be removed"),
                Some(bytes) => fs::write(journal, bytes).expect("the journal can be damaged"),
            }
        }
        let table = folder.open();
        assert_eq!(count(&table), 200);
        write(&table, SPACE, 300, 3);
        assert_eq!(count(&table), 300, "it can be written as before");
        drop(table);
        assert_eq!(count(&folder.open()), 300);
    }
}

#[test]
fn a_journal_that_stops_the_engine_is_set_aside_by_name() {
    let folder = Folder::new();
    let table = folder.open();
    write(&table, SPACE, 200, 1);
    drop(table);
    for journal in folder.journals() {
        fs::write(journal, journal_with_a_wrong_checksum()).expect("the journal can be damaged");
    }
    let table = folder.open();
    assert_eq!(count(&table), 200);
    let aside = fs::read_dir(&folder.quarantine).expect("the quarantine can be listed").count();
    assert_eq!(aside, 1);
}

/// One whole batch, made by the engine itself, with a bit of its value flipped.
fn journal_with_a_wrong_checksum() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let db = fjall::Database::builder(folder.path()).open().expect("an engine");
    let keyspace = db.keyspace("blocks-01", fjall::KeyspaceCreateOptions::default).expect("a keyspace");
    keyspace.insert("key", "a value of some length").expect("a row");
    db.persist(fjall::PersistMode::SyncAll).expect("the journal is synced");
    drop((keyspace, db));
    let mut journal = fs::read(folder.path().join("0.jnl")).expect("the journal can be read");
    let at = journal.windows(7).position(|bytes| bytes == b"a value").expect("the value is in the journal");
    journal[at] ^= 1;
    journal
}

#[test]
fn after_a_write_that_failed_none_is_made_before_the_engine_was_opened_again() {
    let folder = Folder::new();
    let table = folder.open();
    write(&table, SPACE, 100, 1);
    let files = files_of_first_space(&folder);
    let aside = files.with_extension("aside");
    let set_aside = || {
        fs::rename(&files, &aside).expect("moved");
        fs::write(&files, "where the engine wants a folder").expect("written");
    };
    let put_back = || {
        fs::remove_file(&files).expect("removed");
        fs::rename(&aside, &files).expect("moved");
    };
    set_aside();
    assert!(!table.needs_recovery());
    try_write(&table, SPACE, 150, 2).expect_err("no file can be made");
    put_back();
    assert!(table.needs_recovery());
    try_write(&table, SPACE, 150, 2).expect_err("it is not opened again yet");

    set_aside();
    let refused = table.recover().expect_err("it cannot be opened").message;
    assert!(refused.contains("keyspaces/1/tables"), "{refused}");
    put_back();
    table.recover().expect("it can be opened");
    assert!(!table.needs_recovery());
    assert_eq!(count(&table), 100, "nothing of what failed");
    write(&table, SPACE, 150, 2);
    assert_eq!(count(&table), 150);
    drop(table);
    assert_eq!(count(&folder.open()), 150);
}

#[test]
fn an_engine_that_cannot_merge_reads_and_writes_and_merges_again_when_it_can() {
    let folder = Folder::new();
    let table = folder.open();
    write(&table, SPACE, 400, 0);
    let files = fs::read_dir(files_of_first_space(&folder)).expect("listed");
    let file = files.map(|file| file.expect("an entry").path()).next().expect("a file");
    let flip = || {
        let mut bytes = fs::read(&file).expect("read");
        bytes[60] ^= 1;
        fs::write(&file, bytes).expect("written");
    };
    flip();
    let mut round = 0;
    until("merging gives up", || !table.status().merges || try_write(&table, SPACE, 400, 1).is_err());
    for _ in 0..10 {
        round += 1;
        write(&table, SPACE, 400, round);
        let snapshot = table.snapshot().expect("a snapshot");
        let found = snapshot.get(SPACE, &7_u64.to_be_bytes()).expect("newer runs are whole").expect("a value");
        assert_eq!(found[0], round);
    }
    flip();
    until("it wants to be opened again", || table.needs_recovery());
    until("it is opened again", || table.recover().is_ok());
    until("it merges", || {
        write(&table, SPACE, 400, round);
        table.status().runs_max <= 8
    });
    assert_eq!(count(&table), 400);
}

#[test]
fn runs_stay_few_and_old_versions_leave_the_disk() {
    let folder = Folder::new();
    let table = folder.open();
    for round in 0..60 {
        write(&table, SPACE, 400, round);
    }
    // Compaction runs beside: each further write gives it another chance, bounded.
    let settled = (0..500).any(|round| {
        write(&table, SPACE, 400, round as u8);
        table.status().runs_max <= 8
    });
    assert!(settled, "{} runs", table.status().runs_max);
    drop(table);
    let table = folder.open();
    for round in 0..20 {
        write(&table, SPACE, 400, round);
    }
    let live = 400 * 508;
    let bytes = bytes_below(&folder.tables.join("keyspaces"));
    assert!(bytes < 60 * live, "{bytes} bytes on disk for {live} live after 80 and more rewrites");
    assert!(table.status().bytes > 0);
}

#[test]
fn a_snapshot_does_not_change_while_others_write_and_compact() {
    let folder = Folder::new();
    let table = Arc::new(folder.open());
    let done = Arc::new(AtomicBool::new(false));
    let writer = thread::spawn({
        let (table, done) = (table.clone(), done.clone());
        move || {
            for round in 0..60 {
                write(&table, SPACE, 50, round);
                write(&table, Space::Blocks(2), 50, round);
            }
            done.store(true, Ordering::Release);
        }
    });
    while !done.load(Ordering::Acquire) {
        let snapshot = table.snapshot().expect("a snapshot");
        let first = rows(&*snapshot, SPACE);
        let values: Vec<u8> = first.iter().map(|(_, value)| value[0]).collect();
        assert!(values.windows(2).all(|pair| pair[0] == pair[1]), "a write is seen whole or not at all");
        for _ in 0..5 {
            assert_eq!(rows(&*snapshot, SPACE), first);
        }
    }
    writer.join().expect("the writer ends");
}

#[test]
fn a_table_closes_although_a_view_of_it_is_still_held() {
    let folder = Folder::new();
    let table = folder.open();
    write(&table, SPACE, 10, 1);
    let snapshot = table.snapshot().expect("a snapshot");
    drop(table);
    assert!(snapshot.get(SPACE, b"key").is_err(), "the view says that it is gone");
    assert_eq!(count(&folder.open()), 10, "the folder can be opened again meanwhile");
}
