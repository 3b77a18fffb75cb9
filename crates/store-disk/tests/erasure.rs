//! After an erasure no file of the folder holds the text of what was removed.

use model::{Effort, Id, Message, Order, Reaction, Seq, Span, Store, Window};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use store::{KeptStore, Settings};
use store_disk::{DiskSettings, FileLogSettings, FolderLock, open};
use tempfile::TempDir;
use testkit::{BatchBuilder, channel, removal_of, setting, user};

struct Folder {
    store: KeptStore,
    builder: BatchBuilder,
    _lock: FolderLock,
    dir: TempDir,
}

impl Folder {
    fn new() -> Folder {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let log = FileLogSettings { segment_bytes: 1 << 20, segments: 3, reserve: 1, ..FileLogSettings::default() };
        let disk = DiskSettings { log, ballast_bytes: 0, ..DiskSettings::default() };
        let (log, table, lock) = open(dir.path(), &disk).expect("the folder opens");
        let store = KeptStore::open(Box::new(log), Arc::new(table), Settings::default()).expect("the store opens");
        let builder = BatchBuilder::new();
        store.settle(builder.shard(), builder.epoch()).expect("an empty store settles");
        Folder { store, builder, _lock: lock, dir }
    }

    fn publish(&mut self, room: &str, texts: impl Iterator<Item = String>) -> Vec<Arc<Message>> {
        let messages = texts.map(|text| self.builder.publish(&channel(room), &text)).collect();
        self.apply();
        messages
    }

    fn apply(&mut self) {
        let batch = self.builder.batch();
        self.store.apply(&batch).expect("the batch is applied");
    }

    /// All bytes of all files but zeros, which no text here has.
    fn bytes(&self) -> Bytes {
        let mut files = Vec::new();
        visit(self.dir.path(), &mut |path, bytes| {
            files.push((path.to_owned(), bytes.iter().copied().filter(|byte| *byte != 0).collect()));
        });
        Bytes(files)
    }
}

struct Bytes(Vec<(PathBuf, Vec<u8>)>);

impl Bytes {
    /// The files that hold this text.
    fn with(&self, text: &str) -> Vec<&Path> {
        let holds = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        self.0.iter().filter(|(_, bytes)| holds(bytes)).map(|(path, _)| &**path).collect()
    }
}

fn visit(dir: &Path, look: &mut dyn FnMut(&Path, &[u8])) {
    for entry in fs::read_dir(dir).expect("the folder is listed") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => visit(&path, look),
            // A file that the engine drops meanwhile is gone, which is what is asked for.
            false => fs::read(&path).map_or((), |bytes| look(&path, &bytes)),
        }
    }
}

/// Text that no codec finds a pattern in.
fn secret(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + (state % 90) as u8)
    };
    (0..48).map(|_| next()).collect()
}

#[test]
fn no_file_holds_what_was_erased() {
    let mut folder = Folder::new();
    let room = channel("room");
    let first = folder.publish("room", (0..5).map(secret));
    folder.builder.edit(&room, &first[0], &secret(100));
    folder.builder.edit(&room, &first[4], &secret(101));
    folder.apply();
    folder.store.flush().expect("a flush works");
    let second = folder.publish("room", (5..20).map(secret));
    folder.publish("other", (200..210).map(secret));
    let before = folder.bytes();
    for seed in [0, 1, 6, 100, 101, 200] {
        assert!(!before.with(&secret(seed)).is_empty(), "secret {seed} is on the disk");
    }
    folder.builder.delete(&room, removal_of(&first[..4]));
    folder.builder.delete(&room, removal_of(&second[1..3]));
    folder.apply();

    folder.store.erase(std::slice::from_ref(&room)).expect("the erasure comes to its end");
    let after = folder.bytes();
    for seed in [0, 1, 2, 3, 6, 7, 100] {
        assert_eq!(after.with(&secret(seed)), [] as [&Path; 0], "secret {seed} is erased");
    }
    for seed in [5, 8, 101, 200] {
        assert!(!after.with(&secret(seed)).is_empty(), "secret {seed} was not removed and is there");
    }
    let (author, custom_type, now) = (None, None, Id::MIN);
    let window =
        Window { span: Span::ALL, order: Order::Ascending, limit: 100, above: Seq::NONE, author, custom_type, now };
    let page = folder.store.read(&room, &window, Effort::Disk).expect("reads work").expect("with an answer");
    assert_eq!((page.messages.len(), page.removed.deleted), (14, 6));
    assert_eq!(folder.store.verify(&mut |_| {}).expect("everything is read"), []);
}

#[test]
fn no_file_holds_what_a_floor_took_once_it_is_erased() {
    let mut folder = Folder::new();
    let room = channel("room");
    let messages = folder.publish("room", (0..20).map(secret));
    folder.store.flush().expect("a flush works");
    let at = &messages[11];
    folder.builder.floor(&room, model::Position { id: at.id, seq: at.seq });
    folder.apply();
    folder.store.erase(std::slice::from_ref(&room)).expect("the erasure comes to its end");
    let after = folder.bytes();
    for seed in 0..12 {
        assert_eq!(after.with(&secret(seed)), [] as [&Path; 0], "secret {seed} is erased");
    }
    let count = folder.store.count(&room, Span::ALL, Seq::NONE, Id::MIN).expect("counting works");
    assert_eq!(count, 8);
    assert_eq!(folder.store.verify(&mut |_| {}).expect("everything is read"), []);
}

#[test]
fn no_file_holds_edits_reactions_and_records_that_were_taken_back() {
    let mut folder = Folder::new();
    let room = channel("room");
    let messages = folder.publish("room", (0..5).map(secret));
    let flushed = folder.builder.edit(&room, &messages[0], &secret(300));
    let kept = folder.builder.edit(&room, &messages[0], &secret(301));
    let reaction = Reaction {
        message: messages[1].id,
        user: user(&secret(302)),
        kind: "reaction".into(),
        value: secret(303).as_str().into(),
    };
    let reacted = folder.builder.react(&room, &reaction);
    folder.builder.set(&setting(b"deleted"), Some(secret(304).as_bytes()));
    folder.builder.set(&setting(b"replaced"), Some(secret(305).as_bytes()));
    folder.apply();
    folder.store.flush().expect("a flush works");
    let fresh = folder.builder.edit(&room, &messages[2], &secret(306));
    folder.apply();
    let before = folder.bytes();
    for seed in 300..=306 {
        assert!(!before.with(&secret(seed)).is_empty(), "secret {seed} is on the disk");
    }
    folder.builder.unedit(&room, &messages[0], &[flushed]);
    folder.builder.unedit(&room, &messages[2], &[fresh]);
    folder.builder.unreact(&room, reacted, &reaction);
    folder.builder.set(&setting(b"deleted"), None);
    folder.builder.set(&setting(b"replaced"), Some(secret(307).as_bytes()));
    folder.apply();

    folder.store.erase(std::slice::from_ref(&room)).expect("the erasure comes to its end");
    let after = folder.bytes();
    for seed in [300, 302, 303, 304, 305, 306] {
        assert_eq!(after.with(&secret(seed)), [] as [&Path; 0], "secret {seed} is erased");
    }
    for seed in [0, 2, 301, 307] {
        assert!(!after.with(&secret(seed)).is_empty(), "secret {seed} was not taken back and is there");
    }
    let versions = folder.store.versions(&room, messages[0].id).expect("versions are read");
    assert_eq!(versions.iter().map(|version| version.at).collect::<Vec<_>>(), [messages[0].id, kept]);
    let changes = folder.store.changes(&room, Id::MIN, 10).expect("changes are read");
    assert!(changes.changes.is_empty() && changes.starts_after > kept, "the feed begins anew: {changes:?}");
    assert_eq!(folder.store.verify(&mut |_| {}).expect("everything is read"), []);
}
