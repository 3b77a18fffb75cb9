//! One flipped bit, a cut, a missing file, in and of every kind of file of a data folder: a start refuses it by the file's
//! name, or every answer is what it was, or an error. Never less. And when the damage is undone all is as it was: nothing
//! was removed for want of what was damaged.

use model::{Effort, Id, Order, Reaction, RecordKey, RecordKind, Result, Seq, Span, Store, Window};
use rand::{Rng, RngExt, SeedableRng, rngs::SmallRng};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use store::{KeptStore, Settings};
use store_disk::{DiskSettings, FileLogSettings, FolderLock, open, verify_tables};
use testkit::{BatchBuilder, Fields, channel, removal_of, user};

const ROOMS: [&str; 3] = ["lobby", "garden", "attic"];
/// Where damage goes; another one can be given as `DAMAGE_SEED`.
const SEED: u64 = 9;
/// Bits flipped in each kind of file.
const FLIPS: usize = 2;

/// A store that lives in a folder.
struct Opened {
    store: KeptStore,
    _lock: FolderLock,
}

fn start(dir: &Path) -> Result<Opened> {
    let log = FileLogSettings { segment_bytes: 64 << 10, segments: 4, reserve: 1, ..FileLogSettings::default() };
    let disk = DiskSettings { log, ballast_bytes: 8 << 10, ..DiskSettings::default() };
    let (log, table, lock) = open(dir, &disk)?;
    let settings = Settings { tail_bytes: 1 << 20, tail_log_bytes: 64 << 10, ..Settings::default() };
    let store = KeptStore::open(Box::new(log), Arc::new(table), settings)?;
    store.settle(BatchBuilder::new().shard(), BatchBuilder::new().epoch())?;
    Ok(Opened { store, _lock: lock })
}

/// Payloads that look like what the log writes around them.
fn forged(number: u64) -> String {
    match number % 3 {
        0 => "\u{0}".repeat(1500),
        1 => format!("\u{1}\u{1}SBKLOG{}", "\u{0}\u{1}\u{2}".repeat(300)),
        _ => format!("{number} {}", "\u{2}".repeat(1022)),
    }
}

/// A folder with something in every kind of file: blocks, edits, reactions, removals, records, and batches that are only
/// in the log, the last of them with forged payloads.
fn build(dir: &Path) {
    let Opened { store, _lock } = start(dir).expect("a new folder");
    let mut builder = BatchBuilder::new();
    for round in 0..3 {
        for room in ROOMS.map(channel) {
            let text = |number: u64| format!("message {number} of round {round} {}", "and more ".repeat(5));
            let messages: Vec<_> = (0..100).map(|number| builder.publish(&room, &text(number))).collect();
            store.apply(&builder.batch()).expect("applied");
            builder.edit(&room, &messages[3], "edited");
            let author = Fields { author: Some(user("ann")), ..Fields::default() };
            builder.publish_with(&room, "by ann", author);
            let (kind, value) = ("reaction".into(), "smile".into());
            builder.react(&room, &Reaction { message: messages[4].id, user: user("ann"), kind, value });
            builder.delete(&room, removal_of(&messages[10..30]));
            builder.set(&record(round), Some(b"a value"));
            store.apply(&builder.batch()).expect("applied");
        }
        if round < 2 {
            store.flush().expect("flushed");
        }
    }
    for number in 0..6 {
        builder.publish(&channel(ROOMS[0]), &forged(number));
        store.apply(&builder.batch()).expect("applied");
    }
}

fn record(number: u64) -> RecordKey {
    let name = format!("record {number}").into_bytes();
    RecordKey { app: channel("lobby").app, kind: RecordKind::Setting, name: name.into() }
}

/// Questions to a store, and what it answers.
fn answers(store: &dyn Store) -> Vec<(String, Result<String>)> {
    let mut answers = Vec::new();
    let shard = BatchBuilder::new().shard();
    for room in ROOMS.map(channel) {
        let mut ask = |what: &str, answer: Result<String>| answers.push((format!("{what} of {room:?}"), answer));
        ask("head", store.heads(std::slice::from_ref(&room)).map(|heads| format!("{heads:?}")));
        for above in (0..350).step_by(50) {
            let window = Window { above: Seq(above), limit: 60, order: Order::Ascending, ..newest() };
            ask(&format!("page above {above}"), page(store, &room, &window));
        }
        ask("newest page", page(store, &room, &newest()));
        ask("count", store.count(&room, Span::ALL, Seq::NONE, Id::MIN).map(|count| count.to_string()));
        ask("reactions", store.reactions(&room, Span::ALL, None, 100).map(|found| format!("{found:?}")));
        ask("changes", store.changes(&room, Id::MIN, 1000).map(|found| format!("{found:?}")));
    }
    answers.push(("feed".into(), store.feed(shard, Span::ALL, 10_000).map(|feed| format!("{feed:?}"))));
    let app = channel("lobby").app;
    answers.push(("channels".into(), store.channels(&app, "", None, 100).map(|found| format!("{found:?}"))));
    let records = store.records(&app, RecordKind::Setting, b"", None, 100);
    answers.push(("records".into(), records.map(|found| format!("{found:?}"))));
    answers
}

fn newest() -> Window {
    let (author, custom_type) = (None, None);
    let (order, limit) = (Order::Descending, 100);
    Window { span: Span::ALL, order, limit, above: Seq::NONE, author, custom_type, now: Id::MIN }
}

fn page(store: &dyn Store, room: &model::Channel, window: &Window) -> Result<String> {
    store.read(room, window, Effort::Disk).map(|page| format!("{page:?}"))
}

/// What is done to a file or a folder.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip { bit: usize },
    Cut { length: usize },
    Missing,
}

fn inflict(path: &Path, damage: Damage) {
    match damage {
        Damage::Missing if path.is_dir() => fs::remove_dir_all(path).expect("removed"),
        Damage::Missing => fs::remove_file(path).expect("removed"),
        Damage::Flip { bit } => {
            let mut bytes = fs::read(path).expect("read");
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(path, bytes).expect("written");
        }
        Damage::Cut { length } => fs::write(path, &fs::read(path).expect("read")[..length]).expect("written"),
    }
}

fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).expect("copied");
        return;
    }
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let name = entry.expect("an entry").file_name();
        copy(&from.join(&name), &to.join(&name));
    }
}

/// Everything below `dir`, by kind: two files of the same kind are equally good to be damaged.
fn kinds(dir: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut kinds: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        for entry in fs::read_dir(dir.join(&below)).expect("listed") {
            let path = below.join(entry.expect("an entry").file_name());
            if dir.join(&path).is_dir() {
                open.push(path.clone());
            }
            kinds.entry(kind_of(dir, &path)).or_default().push(path);
        }
    }
    kinds.values_mut().for_each(|paths| paths.sort());
    kinds
}

fn kind_of(dir: &Path, path: &Path) -> String {
    let is_zero = |path: &Path| fs::read(dir.join(path)).expect("read").iter().all(|byte| *byte == 0);
    let part = |part: &str| match part.parse::<u64>() {
        Ok(0) => "0".to_owned(),
        Ok(_) => "N".to_owned(),
        Err(_) if part.starts_with('v') && part[1..].parse::<u64>().is_ok() => "vN".to_owned(),
        Err(_) if part.starts_with("segment-") && is_zero(path) => "segment of zeros".to_owned(),
        Err(_) if part.starts_with("segment-") => "segment with records".to_owned(),
        Err(_) => part.to_owned(),
    };
    let parts: Vec<String> = path.iter().map(|name| part(name.to_str().expect("a name"))).collect();
    parts.join("/")
}

/// What a test of one damage needs.
struct Case<'a> {
    whole: &'a Path,
    expected: &'a [(String, Result<String>)],
    path: &'a Path,
    damage: Damage,
}

impl Case<'_> {
    fn check(&self) {
        let dir = tempfile::tempdir().expect("a folder");
        copy(self.whole, dir.path());
        inflict(&dir.path().join(self.path), self.damage);
        let said = verify_tables(dir.path(), &mut |_| {}).unwrap_or_else(|error| vec![error.message]);
        match start(dir.path()) {
            Ok(opened) => self.check_answers(&opened, &said),
            Err(error) => self.check_refusal(dir.path(), &error),
        }
    }

    /// Every answer is what it was or an error; if there is one, `verify` had said which file.
    fn check_answers(&self, opened: &Opened, said: &[String]) {
        let mut wrong = 0;
        for ((question, expected), (_, answer)) in self.expected.iter().zip(answers(&opened.store)) {
            match (expected, answer) {
                (Ok(expected), Ok(answer)) => assert_eq!(*expected, answer, "{self}: {question}"),
                (_, answer) => wrong += usize::from(answer.is_err()),
            }
        }
        let is_named = said.iter().any(|said| said.contains(&self.named()));
        assert!(wrong == 0 || is_named, "{self}: {wrong} answers are errors, and verify says {said:?}");
    }

    /// The refusal names the place, and with the damage undone all is there.
    fn check_refusal(&self, dir: &Path, error: &model::Error) {
        assert!(error.message.contains(&self.named()), "{self}: {error}");
        let path = dir.join(self.path);
        if path.is_dir() {
            fs::remove_dir_all(&path).expect("removed");
        }
        copy(&self.whole.join(self.path), &path);
        let opened = start(dir).unwrap_or_else(|error| panic!("{self}, and undone: {error}"));
        for ((question, expected), (_, answer)) in self.expected.iter().zip(answers(&opened.store)) {
            assert_eq!(format!("{expected:?}"), format!("{answer:?}"), "{self}, and undone: {question}");
        }
    }

    /// The folder of the damaged file: of a list it may be said that it does not fit to the file that tells its checksum.
    fn named(&self) -> String {
        self.path.parent().expect("a folder").display().to_string()
    }
}

impl std::fmt::Display for Case<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} in {}", self.damage, self.path.display())
    }
}

fn damages(path: &Path, random: &mut impl Rng) -> Vec<Damage> {
    let mut damages = vec![Damage::Missing];
    let length = if path.is_dir() { 0 } else { fs::metadata(path).expect("a length").len() as usize };
    if length > 0 {
        damages.extend((0..FLIPS).map(|_| Damage::Flip { bit: random.random_range(0..length * 8) }));
        damages.extend([0, random.random_range(0..length)].map(|length| Damage::Cut { length }));
    }
    damages
}

#[test]
fn no_damage_to_any_kind_of_file_is_ever_served_or_passed_over() {
    let whole = tempfile::tempdir().expect("a folder");
    build(whole.path());
    let reference = tempfile::tempdir().expect("a folder");
    copy(whole.path(), reference.path());
    let expected = answers(&start(reference.path()).expect("nothing is damaged").store);
    assert!(expected.iter().all(|(_, answer)| answer.is_ok()), "{expected:?}");
    let given = std::env::var("DAMAGE_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let mut random = SmallRng::seed_from_u64(given.unwrap_or(SEED));
    for (kind, paths) in kinds(whole.path()) {
        let first = &paths[random.random_range(0..paths.len())];
        for damage in damages(&whole.path().join(first), &mut random) {
            // Another file of the kind each time.
            let path = &paths[random.random_range(0..paths.len())];
            let path = if matches!(damage, Damage::Missing) { path } else { first };
            println!("{kind}: {damage:?} in {}", path.display());
            Case { whole: whole.path(), expected: &expected, path, damage }.check();
        }
    }
}
