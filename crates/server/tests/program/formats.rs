//! Every format that was ever written opens: a data folder and an export of each are kept, and read in full by each run.
//! `FIXTURE=folder cargo test -p server --test program the_present_format` makes that of the present format in a new folder;
//! it is made once for a format, before the next one changes it.

use crate::program::{assert_sound, run, scrollback};
use model::{ChannelName, Id, Reaction, RecordKind, Store};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use store::{KeptStore, Settings};
use store_disk::{DiskSettings, FileLogSettings};
use testkit::{BatchBuilder, Fields, channel, removal_of, user};

const FORMATS: [&str; 1] = ["format-1"];
const EXPORT: &str = "export.ndjson";
const SEGMENT_BYTES: u64 = 64 << 10;
/// What is kept in the repository stays small.
const FIXTURE_BYTES: u64 = 200 << 10;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn copy(from: &Path, to: &Path) -> u64 {
    fs::create_dir_all(to).expect("made");
    let entries = fs::read_dir(from).expect("listed").map(|entry| entry.expect("an entry").path());
    let copied = |path: PathBuf| {
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() { copy(&path, &to) } else { fs::copy(&path, &to).expect("copied") }
    };
    entries.map(copied).sum()
}

fn exported(data: &Path) -> String {
    let mut command = scrollback(&["export", "--app", "demo", "--data"]);
    command.arg(data);
    let (succeeded, said, complained) = run(command);
    assert!(succeeded, "{complained}");
    said
}

#[test]
fn folders_of_every_format_open_and_have_all_that_was_written() {
    for format in FORMATS {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let bytes = copy(&fixture(format).join("data"), &data);
        assert!(bytes <= FIXTURE_BYTES, "{format} has {bytes} bytes");
        let expected = fs::read_to_string(fixture(format).join(EXPORT)).expect("an export");
        assert_eq!(exported(&data), expected, "{format}");
        assert_sound(&data);
        assert_eq!(exported(&data), expected, "{format}, moved into tables");
    }
}

#[test]
fn exports_of_every_format_are_imported_as_they_were() {
    for format in FORMATS {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let mut command = scrollback(&["import"]);
        command.arg(fixture(format).join(EXPORT)).arg("--data").arg(&data);
        let (succeeded, said, complained) = run(command);
        assert!(succeeded, "{said}{complained}");
        let expected = fs::read_to_string(fixture(format).join(EXPORT)).expect("an export");
        let body = |text: &str| text.split_once('\n').expect("a header").1.to_owned();
        assert_eq!(body(&exported(&data)), body(&expected), "{format}");
    }
}

/// Something of every kind, half of it in tables and half in the log.
fn live(store: &KeptStore) {
    let mut builder = BatchBuilder::new();
    store.settle(builder.shard(), builder.epoch()).expect("settled");
    let direct = model::Channel { name: ChannelName::direct("1001", "1002"), ..channel("x") };
    let member = model::Channel { name: ChannelName::Member(7, 9), ..channel("x") };
    for (round, room) in [channel("lobby"), direct, channel("lobby"), member, channel("röom/🎉")].iter().enumerate()
    {
        let messages: Vec<_> = (0..20).map(|number| builder.publish(room, &format!("{round} {number}"))).collect();
        let far = Id::new(60_000 * 86_400 * model::TICKS_PER_SECOND, 0);
        let fields = Fields {
            author: Some(user("ann")),
            recipient: Some(user("bob")),
            custom_type: Some("note".into()),
            extras: Some(bytes::Bytes::from_static(b"\xff\x00")),
            expires_at: Some(far),
            ..Fields::default()
        };
        builder.publish_with(room, "with all there is", fields);
        builder.edit(room, &messages[3], "edited");
        builder.edit(room, &messages[3], "edited again");
        builder.delete(room, removal_of(&messages[5..8]));
        let (kind, value) = ("reaction".into(), "smile".into());
        builder.react(room, &Reaction { message: messages[9].id, user: user("bob"), kind, value });
        let name = format!("record {round}").into_bytes().into();
        builder.set(&model::RecordKey { app: channel("x").app, kind: RecordKind::Setting, name }, Some(b"a value"));
        store.apply(&builder.batch()).expect("applied");
        if round == 2 {
            store.flush().expect("flushed");
        }
    }
}

#[test]
fn the_present_format_exports_what_the_newest_fixture_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let wanted = std::env::var_os("FIXTURE").map(PathBuf::from);
    let to = wanted.clone().unwrap_or_else(|| folder.path().join("fixture"));
    let data = folder.path().join("data");
    let log = FileLogSettings { segment_bytes: SEGMENT_BYTES, segments: 4, reserve: 1, ..FileLogSettings::default() };
    let disk = DiskSettings { log, ballast_bytes: 0, ..DiskSettings::default() };
    let (log, table, lock) = store_disk::open(&data, &disk).expect("opened");
    let settings = Settings { tail_bytes: 1 << 20, tail_log_bytes: SEGMENT_BYTES, ..Settings::default() };
    let store = KeptStore::open(Box::new(log), Arc::new(table), settings).expect("opened");
    live(&store);
    store.close();
    drop(lock);
    let kept = to.join("data");
    copy(&data, &kept);
    // The engine's journal holds no row, and segments of zeros hold nothing: both are made again.
    let journals = fs::read_dir(kept.join("tables")).expect("listed").map(|entry| entry.expect("an entry").path());
    journals
        .filter(|path| path.extension().is_some_and(|end| end == "jnl"))
        .for_each(|path| fs::remove_file(path).expect("gone"));
    let segments = fs::read_dir(kept.join("log")).expect("listed").map(|entry| entry.expect("an entry").path());
    let is_empty = |path: &PathBuf| fs::read(path).expect("read").iter().all(|byte| *byte == 0);
    segments.filter(is_empty).for_each(|path| fs::remove_file(path).expect("gone"));
    fs::remove_dir(kept.join("quarantine")).expect("it is empty");
    let text = exported(&data);
    fs::write(to.join(EXPORT), &text).expect("written");
    if wanted.is_none() {
        let newest = fixture(FORMATS[FORMATS.len() - 1]).join(EXPORT);
        assert_eq!(text, fs::read_to_string(newest).expect("an export"), "a new format wants a new fixture");
    }
}
