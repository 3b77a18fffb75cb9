//! The data folder is locked, versioned, and made in steps that a crash may cut short.

use std::{fs, path::Path};
use store::device::{Log, Table};
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
