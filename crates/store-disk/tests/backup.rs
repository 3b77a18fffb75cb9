//! Points of a store in a folder of backups: each is what the store was at its place, whatever came later, whatever was cut
//! short, and damage is named.

use model::{Effort, Id, Message, Order, Seq, Span, Store, Window};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use store::{KeptStore, Settings};
use store_disk::{
    BackupFolder, Capture, DiskSettings, EngineTable, FileLogSettings, FolderLock, Place, Point, capture, open, restore,
};
use tempfile::TempDir;
use testkit::{BatchBuilder, channel};

const ROOMS: [&str; 2] = ["lobby", "garden"];

/// A store that lives in a folder. Its parts end in this order.
struct Life {
    store: KeptStore,
    table: Arc<EngineTable>,
    _lock: FolderLock,
    dir: PathBuf,
    builder: BatchBuilder,
}

impl Life {
    fn begin(dir: &Path) -> Life {
        let log = FileLogSettings { segment_bytes: 64 << 10, segments: 4, reserve: 1, ..FileLogSettings::default() };
        let disk = DiskSettings { log, ballast_bytes: 8 << 10, ..DiskSettings::default() };
        let (log, table, lock) = open(dir, &disk).expect("the folder opens");
        let table = Arc::new(table);
        let settings = Settings { tail_bytes: 1 << 20, tail_log_bytes: 64 << 10, ..Settings::default() };
        let store = KeptStore::open(Box::new(log), table.clone(), settings).expect("the store opens");
        let builder = BatchBuilder::new();
        store.settle(builder.shard(), builder.epoch()).expect("settled");
        Life { store, table, _lock: lock, dir: dir.to_owned(), builder }
    }

    fn publish(&mut self, messages: u64) {
        for number in 0..messages {
            let room = channel(ROOMS[number as usize % ROOMS.len()]);
            let message = self.builder.publish(&room, &format!("message {number}"));
            if number % 5 == 0 {
                self.builder.edit(&room, &message, "edited");
            }
            self.store.apply(&self.builder.batch()).expect("applied");
        }
    }

    fn capture(&self) -> Capture {
        let taken = self.store.at_rest(|rest| {
            let place = Place { batch: rest.last_batch, id: rest.last_id };
            capture(&self.dir, &self.table, place, 1)
        });
        taken.expect("a point")
    }

    fn back_up(&self, backups: &Path) -> Point {
        let capture = self.capture();
        let folder = BackupFolder::for_store(backups, capture.point.store_id).expect("a folder of backups");
        folder.add(&capture.point, capture.folder(), &mut |_| {}).expect("added");
        capture.point.clone()
    }

    fn messages(&self) -> BTreeMap<&'static str, Vec<Arc<Message>>> {
        let (author, custom_type, now) = (None, None, Id::MIN);
        let (order, limit, above) = (Order::Ascending, 10_000, Seq::NONE);
        let window = Window { span: Span::ALL, order, limit, above, author, custom_type, now };
        let page = |room| self.store.read(&channel(room), &window, Effort::Disk).expect("read").expect("from the disk");
        ROOMS.into_iter().map(|room| (room, page(room).messages)).collect()
    }

    fn assert_sound(&self) {
        assert_eq!(self.store.verify(&mut |_| {}).expect("verified"), []);
    }
}

fn folders() -> (TempDir, PathBuf, PathBuf) {
    let root = tempfile::tempdir().expect("a folder");
    let (data, backups) = (root.path().join("data"), root.path().join("backups"));
    (root, data, backups)
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("listed").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn each_point_is_the_store_as_it_was_and_takes_new_messages() {
    let (root, data, backups) = folders();
    let mut life = Life::begin(&data);
    let mut points = Vec::new();
    for messages in [0, 30, 1, 300] {
        life.publish(messages);
        points.push((life.back_up(&backups), life.messages()));
    }
    life.publish(10);
    for (number, (point, messages)) in points.iter().enumerate() {
        let to = root.path().join(format!("restored-{number}"));
        restore(&backups, Some(point.place.id), &to, &mut |_| {}).expect("restored");
        let mut restored = Life::begin(&to);
        assert_eq!(&restored.messages(), messages, "point {number}");
        restored.assert_sound();
        restored.builder = points_builder(number);
        restored.publish(3);
        let grown: usize = restored.messages().values().map(Vec::len).sum();
        assert_eq!(grown, messages.values().map(Vec::len).sum::<usize>() + 3);
        restored.assert_sound();
    }
}

/// A builder as it was when that many of the rounds above were over.
fn points_builder(number: usize) -> BatchBuilder {
    let folder = tempfile::tempdir().expect("a folder");
    let mut life = Life::begin(folder.path());
    [0, 30, 1, 300].into_iter().take(number + 1).for_each(|messages| life.publish(messages));
    life.builder.clone()
}

#[test]
fn a_second_point_copies_only_what_changed_and_the_same_one_nothing() {
    let (_root, data, backups) = folders();
    let mut life = Life::begin(&data);
    life.publish(500);
    let first = life.back_up(&backups);
    let capture = life.capture();
    let folder = BackupFolder::for_store(&backups, first.store_id).expect("opened");
    assert!(folder.add(&capture.point, capture.folder(), &mut |_| {}).expect("added").was_there);
    drop(capture);
    life.publish(1);
    let capture = life.capture();
    let added = folder.add(&capture.point, capture.folder(), &mut |_| {}).expect("added");
    let already: Vec<_> = capture.point.files.iter().filter(|file| first.files.contains(file)).collect();
    assert!(!already.is_empty() && added.shared.0 >= already.len() as u64, "{added:?}");
    assert_eq!(added.copied.0 + added.shared.0, capture.point.files.len() as u64);
    assert!(added.copied.0 < capture.point.files.len() as u64 / 2, "{added:?}");
}

#[test]
fn what_is_captured_stays_while_the_store_changes() {
    let (root, data, backups) = folders();
    let mut life = Life::begin(&data);
    life.publish(100);
    let capture = life.capture();
    let before = life.messages();
    for _ in 0..5 {
        life.publish(200);
        life.store.flush().expect("flushed");
    }
    let folder = BackupFolder::for_store(&backups, capture.point.store_id).expect("opened");
    folder.add(&capture.point, capture.folder(), &mut |_| {}).expect("added");
    let linked = capture.folder().to_owned();
    drop(capture);
    assert!(!linked.exists(), "the links are gone");
    drop(folder);
    let to = root.path().join("restored");
    restore(&backups, None, &to, &mut |_| {}).expect("restored");
    assert_eq!(Life::begin(&to).messages(), before);
}

#[test]
fn a_backup_that_is_cut_short_adds_no_point_and_is_gone_on_with() {
    let (_root, data, backups) = folders();
    let mut life = Life::begin(&data);
    life.publish(50);
    let first = life.back_up(&backups);
    life.publish(50);
    let capture = life.capture();
    let folder = BackupFolder::for_store(&backups, first.store_id).expect("opened");
    // As after a kill: some files are there, one in part, no list.
    let taken_away = capture.point.files.iter().rev().find(|file| !first.files.contains(file)).expect("a new file");
    let source = capture.folder().join(&taken_away.path);
    let whole = fs::read(&source).expect("read");
    fs::remove_file(&source).expect("removed");
    let refused = folder.add(&capture.point, capture.folder(), &mut |_| {}).expect_err("a file is missing");
    assert!(refused.message.contains(&taken_away.path), "{refused}");
    assert_eq!(folder.points().expect("listed").len(), 1);
    assert_eq!(folder.check(&mut |_| {}).expect("checked"), [""; 0]);
    fs::write(&source, &whole[..whole.len() - 1]).expect("written");
    let refused = folder.add(&capture.point, capture.folder(), &mut |_| {}).expect_err("a file is cut");
    assert!(refused.message.contains("too short"), "{refused}");
    fs::write(&source, whole).expect("written");
    let added = folder.add(&capture.point, capture.folder(), &mut |_| {}).expect("added");
    assert!(added.shared.0 > 0 && folder.points().expect("listed").len() == 2, "{added:?}");
}

#[test]
fn damage_to_a_backup_is_named_and_refused_and_healed_by_the_next_backup() {
    let (root, data, backups) = folders();
    let mut life = Life::begin(&data);
    life.publish(50);
    life.back_up(&backups);
    let (stored, others): (Vec<_>, Vec<_>) =
        files(&backups).into_iter().partition(|path| path.parent() != Some(&backups));
    let others = others.into_iter().filter(|path| !path.ends_with("lock"));
    let lists = files(&backups.join("points"));
    for (number, path) in stored.into_iter().step_by(4).chain(lists).chain(others).enumerate() {
        let whole = fs::read(&path).expect("read");
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        for damaged in [&flipped[..], &whole[..whole.len() - 1]] {
            fs::write(&path, damaged).expect("written");
            let to = root.path().join(format!("restored-{number}"));
            let refused = restore(&backups, None, &to, &mut |_| {}).expect_err("it is damaged");
            let name = path.file_name().expect("a name").to_str().expect("text");
            assert!(refused.message.contains(name), "{name}: {refused}");
            let found = BackupFolder::open(&backups).and_then(|folder| folder.check(&mut |_| {}));
            let said = found.map_or_else(|error| error.message, |findings| findings.join("\n"));
            assert!(said.contains(name), "{name}: {said}");
            let is_store = to.join("store.id").exists();
            assert!(!is_store, "what was not restored is not served");
            let _ = fs::remove_dir_all(&to);
        }
        fs::write(&path, whole).expect("written");
    }
    // Who is told of a damaged file removes it.
    files(&backups.join("files")).iter().for_each(|file| fs::remove_file(file).expect("removed"));
    life.publish(1);
    life.back_up(&backups);
    let to = root.path().join("restored");
    restore(&backups, None, &to, &mut |_| {}).expect("all that the new point has was copied again");
    assert_eq!(Life::begin(&to).messages(), life.messages());
}

#[test]
fn restoring_is_gone_on_with_and_touches_no_folder_that_holds_something() {
    let (root, data, backups) = folders();
    let mut life = Life::begin(&data);
    life.publish(50);
    let first = life.back_up(&backups);
    life.publish(50);
    let second = life.back_up(&backups);
    let messages = life.messages();

    let full = root.path().join("full");
    fs::create_dir(&full).expect("made");
    fs::write(full.join("thesis.txt"), "years of work").expect("written");
    let refused = restore(&backups, None, &full, &mut |_| {}).expect_err("it is not empty");
    assert!(refused.message.contains("is not empty"), "{refused}");
    assert_eq!(files(&full).len(), 1);

    // Cut short: one file of the backup is away.
    let to = root.path().join("restored");
    let last = second.files.last().expect("a file");
    let name = format!("{:032x}-{}", last.checksum, last.bytes);
    let (there, away) = (backups.join("files").join(&name), root.path().join("away"));
    fs::rename(&there, &away).expect("moved");
    restore(&backups, None, &to, &mut |_| {}).expect_err("a file is missing");
    let refused = open(&to, &DiskSettings::default()).map(drop).expect_err("it is no store yet");
    assert!(refused.message.contains("beginning of a restoration"), "{refused}");
    fs::rename(&away, &there).expect("moved");
    let refused = restore(&backups, Some(first.place.id), &to, &mut |_| {}).expect_err("of another point");
    assert!(refused.message.contains("another restoration"), "{refused}");
    restore(&backups, None, &to, &mut |_| {}).expect("gone on with");
    let refused = restore(&backups, None, &to, &mut |_| {}).expect_err("it holds a store");
    assert!(refused.message.contains("is not empty"), "{refused}");
    assert_eq!(Life::begin(&to).messages(), messages);
}

#[test]
fn old_points_go_with_the_files_that_no_other_has() {
    let (root, data, backups) = folders();
    let mut life = Life::begin(&data);
    let mut points = Vec::new();
    for _ in 0..4 {
        life.publish(40);
        points.push((life.back_up(&backups), life.messages()));
    }
    let folder = BackupFolder::for_store(&backups, points[0].0.store_id).expect("opened");
    let before = files(&backups).len();
    assert_eq!(folder.keep_newest(2).expect("two went"), 2);
    assert!(files(&backups).len() < before - 2, "files went, too");
    let left: Vec<Id> = folder.points().expect("listed").iter().map(|point| point.id).collect();
    assert_eq!(left, [points[2].0.place.id, points[3].0.place.id]);
    assert_eq!(folder.check(&mut |_| {}).expect("checked"), [""; 0]);
    drop(folder);
    let refused = restore(&backups, Some(points[0].0.place.id), &root.path().join("x"), &mut |_| {});
    assert!(refused.expect_err("it is gone").message.contains("has no point"));
    let to = root.path().join("restored");
    restore(&backups, Some(points[2].0.place.id), &to, &mut |_| {}).expect("restored");
    assert_eq!(Life::begin(&to).messages(), points[2].1);
}

#[test]
fn a_folder_of_something_else_or_of_another_store_is_refused() {
    let (root, data, backups) = folders();
    let mut life = Life::begin(&data);
    life.publish(1);
    let point = life.back_up(&backups);
    let refused = BackupFolder::for_store(&backups, point.store_id ^ 1).expect_err("of another store");
    assert!(refused.message.contains("backups of store"), "{refused}");
    let refused = BackupFolder::for_store(&data, point.store_id).expect_err("a data folder");
    assert!(refused.message.contains("no backups"), "{refused}");
    let refused = BackupFolder::open(root.path()).expect_err("not backups");
    assert!(refused.message.contains("holds no backups"), "{refused}");
    let _held = BackupFolder::for_store(&backups, point.store_id).expect("opened");
    let refused = BackupFolder::open(&backups).expect_err("in use");
    assert!(refused.message.contains("another backup or restore"), "{refused}");
}
