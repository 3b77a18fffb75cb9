//! The data folder is locked, versioned, and made in steps that a crash may cut short.

use std::{fs, path::Path};
use store::device::{Log, Space, SpaceRows, Table};
use store_disk::{DiskSettings, FileLogSettings, open};
use testkit::log_suite::record;

fn settings() -> DiskSettings {
    let log = FileLogSettings { segment_bytes: 64 << 10, segments: 3, reserve: 2, ..FileLogSettings::default() };
    DiskSettings { log, ballast_bytes: 0, ..DiskSettings::default() }
}

fn fill(dir: &Path) {
    let (mut log, _table, _lock) = open(dir, &settings()).expect("the folder opens");
    log.replay(0, &mut |_| Ok(())).expect("the log can be replayed");
    log.rewrite(&mut std::iter::empty()).expect("the log can be rewritten");
    log.append(&record(1, 10)).expect("the append succeeds");
}

fn refusal(dir: &Path) -> String {
    match open(dir, &settings()) {
        Ok(_) => panic!("the folder must be refused"),
        Err(error) => error.message,
    }
}

#[test]
fn a_second_program_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let opened = open(dir.path(), &settings()).expect("the folder opens");
    assert!(refusal(dir.path()).contains("in use by another program"));
    drop(opened);
    open(dir.path(), &settings()).expect("the folder is free again");
}

#[test]
fn a_folder_opens_again_with_what_was_in_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fill(dir.path());
    let (mut log, table, _lock) = open(dir.path(), &settings()).expect("the folder opens again");
    let mut seen = Vec::new();
    let replayed = log.replay(0, &mut |record| {
        seen.push(record);
        Ok(())
    });
    replayed.expect("the log can be replayed");
    assert_eq!(seen, [record(1, 10)]);
    assert_eq!(table.spaces().expect("the spaces can be listed"), []);
}

#[test]
fn an_unknown_format_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fill(dir.path());
    fs::write(dir.path().join("store.id"), "scrollback store format 9\nid 0000000000000001\n").expect("written");
    assert!(refusal(dir.path()).contains("format 9 is unknown"));
    fs::write(dir.path().join("store.id"), "something else").expect("written");
    assert!(refusal(dir.path()).contains("not the id of a store"));
}

#[test]
fn a_lost_log_is_never_taken_for_a_new_one() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fill(dir.path());
    fs::remove_dir_all(dir.path().join("log")).expect("the log can be removed");
    assert!(refusal(dir.path()).contains("no usable super"));
}

#[test]
fn a_log_of_another_store_is_refused() {
    let dirs = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    dirs.iter().for_each(|dir| fill(dir.path()));
    fs::remove_dir_all(dirs[0].path().join("log")).expect("the log can be removed");
    fs::rename(dirs[1].path().join("log"), dirs[0].path().join("log")).expect("the log can be moved");
    assert!(refusal(dirs[0].path()).contains("belongs to store"));
}

#[test]
fn a_lost_id_is_refused_and_a_creation_cut_short_goes_on() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fill(dir.path());
    let (id, new_id) = (dir.path().join("store.id"), dir.path().join("store.id.new"));
    fs::rename(&id, &new_id).expect("as if the last step of the creation were missing");
    fill_again(dir.path());
    assert!(id.exists() && !new_id.exists());
    fs::remove_file(&id).expect("the id can be removed");
    assert!(refusal(dir.path()).contains("holds log but no store.id"));
}

/// What a power cut in the very first start may leave, or a kill: nothing was in it, so it begins anew.
#[test]
fn a_creation_cut_off_in_the_midst_of_its_files_begins_anew() {
    let cut_off: [(&str, &[u8]); 4] =
        [("log/super-a", b""), ("tables/0.jnl", b""), ("tables/version", b"FJL"), ("tables/keyspaces/0/v0", b"half")];
    for (file, bytes) in cut_off {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fill(dir.path());
        for part in ["log", "tables"] {
            fs::remove_dir_all(dir.path().join(part)).expect("removed");
        }
        fs::rename(dir.path().join("store.id"), dir.path().join("store.id.new")).expect("it was not finished");
        let file = dir.path().join(file);
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(file, bytes).expect("written");
        fill(dir.path());
        fill_again(dir.path());
    }
}

/// The engine's own list of spaces names one whose folder a power cut took back, before anything was in it.
#[test]
fn a_space_cut_off_while_it_was_made_is_empty_and_any_other_that_is_missing_is_damage() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let row = (b"key".as_slice().into(), Some(b"value".as_slice().into()));
    let write = |space| {
        let (_log, table, _lock) = open(dir.path(), &settings()).expect("the folder opens");
        table.write(&mut [SpaceRows { space, rows: vec![row.clone()] }].into_iter()).expect("written");
    };
    write(Space::Records);
    write(Space::Edits);
    let newest = dir.path().join("tables/keyspaces/2");
    fs::remove_dir_all(&newest).expect("removed");
    let refused = refusal(dir.path());
    assert!(refused.contains("keyspaces/2") && refused.contains("damaged"), "{refused}");

    fs::write(dir.path().join("tables/unfinished"), format!("{:<64}", Space::Edits.name())).expect("written");
    {
        let (_log, table, _lock) = open(dir.path(), &settings()).expect("nothing was in it");
        let snapshot = table.snapshot().expect("a snapshot");
        assert_eq!(snapshot.get(Space::Edits, b"key").expect("read"), None);
        assert_eq!(snapshot.get(Space::Records, b"key").expect("read").as_deref(), Some(b"value".as_slice()));
    }
    write(Space::Edits);
    fs::remove_dir_all(&newest).expect("removed");
    assert!(refusal(dir.path()).contains("keyspaces/2"), "it is not being made any more");
}

fn fill_again(dir: &Path) {
    let (mut log, _table, _lock) = open(dir, &settings()).expect("the folder opens");
    let mut batches = Vec::new();
    let replayed = log.replay(0, &mut |record| {
        batches.push(record.batch);
        Ok(())
    });
    replayed.expect("the log can be replayed");
    assert_eq!(batches, [1]);
}
