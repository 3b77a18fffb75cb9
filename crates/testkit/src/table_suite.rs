//! The contract of [`Table`] as tests: [`table_suite!`](crate::table_suite!) makes one test of each promise, for any
//! device.

use bytes::Bytes;
use model::Result;
use std::{collections::BTreeMap, sync::Arc};
use store::device::{Snapshot, Space, SpaceRows, Table};

/// A fresh place for a table; opening it again, after the table was dropped, is a restart of the program.
pub trait TablePlace {
    /// Opens the table that lives here.
    fn open(&self) -> Result<Arc<dyn Table>>;
}

/// Makes a test of each promise; the argument is an expression that makes a fresh [`TablePlace`].
#[macro_export]
macro_rules! table_suite {
    ($place:expr) => {
        $crate::table_suite!($place =>
            written_rows_survive_reopening,
            a_snapshot_sees_nothing_later,
            a_deleted_key_is_gone_and_may_come_back,
            ranges_go_both_ways_and_are_half_open,
            a_space_that_was_never_written_is_empty,
            a_dropped_space_is_gone_and_older_snapshots_keep_it,
            writing_the_same_rows_again_is_harmless,
            keys_that_do_not_grow_are_refused,
            large_and_odd_values_come_back,
            any_history_equals_the_model,
        );
    };
    ($place:expr => $($promise:ident,)*) => {
        $(#[test]
        fn $promise() {
            $crate::table_suite::$promise(&$place);
        })*
    };
}

type Row = (Bytes, Option<Bytes>);

fn put(key: &str, value: &str) -> Row {
    (Bytes::copy_from_slice(key.as_bytes()), Some(Bytes::copy_from_slice(value.as_bytes())))
}

fn delete(key: &str) -> Row {
    (Bytes::copy_from_slice(key.as_bytes()), None)
}

fn write(table: &dyn Table, space: Space, rows: Vec<Row>) {
    table.write(&mut std::iter::once(SpaceRows { space, rows })).expect("the rows can be written");
}

fn get(snapshot: &dyn Snapshot, space: Space, key: &str) -> Option<String> {
    let value = snapshot.get(space, key.as_bytes()).expect("the row can be read");
    value.map(|value| String::from_utf8(value.to_vec()).expect("the value is text"))
}

/// Every row of a space, by growing key.
pub fn rows(snapshot: &dyn Snapshot, space: Space) -> Vec<(Bytes, Bytes)> {
    let all = Bytes::new()..Bytes::from_static(&[0xff; 32]);
    snapshot.range(space, all, false).collect::<Result<Vec<_>>>().expect("the rows can be read")
}

fn keys(snapshot: &dyn Snapshot, space: Space, range: (&str, &str), reverse: bool) -> Vec<String> {
    let range = Bytes::copy_from_slice(range.0.as_bytes())..Bytes::copy_from_slice(range.1.as_bytes());
    let text =
        |row: Result<(Bytes, Bytes)>| String::from_utf8(row.expect("a row").0.to_vec()).expect("the key is text");
    snapshot.range(space, range, reverse).map(text).collect()
}

/// What `write` confirmed is there after a restart, in every space.
pub fn written_rows_survive_reopening(place: &dyn TablePlace) {
    let table = place.open().expect("the table opens");
    let spaces =
        [Space::Meta, Space::Channels, Space::Blocks(7), Space::Dedup(20_000), Space::Feed(20_001), Space::Records];
    let mut all = spaces.iter().map(|space| SpaceRows { space: *space, rows: vec![put("key", &space.name())] });
    table.write(&mut all).expect("the rows can be written");
    drop(table);
    let table = place.open().expect("the table opens again");
    let mut found = table.spaces().expect("the spaces can be listed");
    found.sort();
    assert_eq!(found, spaces);
    let snapshot = table.snapshot().expect("a snapshot");
    for space in spaces {
        assert_eq!(get(&*snapshot, space, "key"), Some(space.name()));
    }
}

/// A snapshot is a moment: later writes, deletes and drops do not reach it.
pub fn a_snapshot_sees_nothing_later(place: &dyn TablePlace) {
    let table = place.open().expect("the table opens");
    let space = Space::Blocks(0);
    let empty = table.snapshot().expect("a snapshot");
    write(&*table, space, vec![put("a", "1"), put("b", "1")]);
    let first = table.snapshot().expect("a snapshot");
    write(&*table, space, vec![put("a", "2"), delete("b"), put("c", "2")]);
    let second = table.snapshot().expect("a snapshot");
    assert_eq!(rows(&*empty, space), []);
    assert_eq!(keys(&*first, space, ("a", "z"), false), ["a", "b"]);
    assert_eq!(get(&*first, space, "a").as_deref(), Some("1"));
    assert_eq!(get(&*first, space, "c"), None);
    assert_eq!(keys(&*second, space, ("a", "z"), false), ["a", "c"]);
    assert_eq!(get(&*second, space, "a").as_deref(), Some("2"));
}

/// Deleting hides all older values of the key, across restarts, until it is written again.
pub fn a_deleted_key_is_gone_and_may_come_back(place: &dyn TablePlace) {
    let table = place.open().expect("the table opens");
    write(&*table, Space::Records, vec![put("a", "1")]);
    write(&*table, Space::Records, vec![put("a", "2")]);
    write(&*table, Space::Records, vec![delete("a"), delete("never there")]);
    drop(table);
    let table = place.open().expect("the table opens again");
    assert_eq!(rows(&*table.snapshot().expect("a snapshot"), Space::Records), []);
    write(&*table, Space::Records, vec![put("a", "3")]);
    assert_eq!(get(&*table.snapshot().expect("a snapshot"), Space::Records, "a").as_deref(), Some("3"));
}

/// Ranges hold their start and not their end, in either direction, over rows of several writes.
pub fn ranges_go_both_ways_and_are_half_open(place: &dyn TablePlace) {
    let table = place.open().expect("the table opens");
    let space = Space::Channels;
    write(&*table, space, vec![put("a", ""), put("c", ""), put("e", "")]);
    write(&*table, space, vec![put("b", ""), put("d", ""), put("dd", "")]);
    let snapshot = table.snapshot().expect("a snapshot");
    assert_eq!(keys(&*snapshot, space, ("b", "e"), false), ["b", "c", "d", "dd"]);
    assert_eq!(keys(&*snapshot, space, ("b", "e"), true), ["dd", "d", "c", "b"]);
    assert_eq!(keys(&*snapshot, space, ("a1", "a2"), false), [""; 0]);
    assert_eq!(keys(&*snapshot, space, ("c", "c"), false), [""; 0]);
    assert_eq!(keys(&*snapshot, space, ("d", "a"), true), [""; 0], "a range the wrong way round is empty");
}

/// Reading what was never written is an empty answer, not an error, and creates nothing.
pub fn a_space_that_was_never_written_is_empty(place: &dyn TablePlace) {
    let table = place.open().expect("the table opens");
    let snapshot = table.snapshot().expect("a snapshot");
    assert_eq!(get(&*snapshot, Space::Feed(1), "a"), None);
    assert_eq!(rows(&*snapshot, Space::Feed(1)), []);
    assert_eq!(table.spaces().expect("the spaces can be listed"), []);
    table.drop_space(Space::Feed(1)).expect("dropping what is not there is nothing to do");
}

/// A dropped space is empty at once and after a restart; a snapshot from before still reads it.
pub fn a_dropped_space_is_gone_and_older_snapshots_keep_it(place: &dyn TablePlace) {
    let table = place.open().expect("the table opens");
    write(&*table, Space::Dedup(1), vec![put("a", "1")]);
    write(&*table, Space::Dedup(2), vec![put("a", "2")]);
    let before = table.snapshot().expect("a snapshot");
    table.drop_space(Space::Dedup(1)).expect("the space can be dropped");
    assert_eq!(get(&*before, Space::Dedup(1), "a").as_deref(), Some("1"));
    drop(before);
    assert_eq!(get(&*table.snapshot().expect("a snapshot"), Space::Dedup(1), "a"), None);
    drop(table);
    let table = place.open().expect("the table opens again");
    assert_eq!(table.spaces().expect("the spaces can be listed"), [Space::Dedup(2)]);
    write(&*table, Space::Dedup(1), vec![put("b", "3")]);
    let snapshot = table.snapshot().expect("a snapshot");
    assert_eq!(keys(&*snapshot, Space::Dedup(1), ("", "z"), false), ["b"], "a space made again starts empty");
}

/// A flush that is done again writes the same rows again.
pub fn writing_the_same_rows_again_is_harmless(place: &dyn TablePlace) {
    let table = place.open().expect("the table opens");
    for _ in 0..3 {
        write(&*table, Space::Meta, vec![put("a", "1"), delete("b"), put("c", "1")]);
    }
    assert_eq!(rows(&*table.snapshot().expect("a snapshot"), Space::Meta).len(), 2);
    write(&*table, Space::Meta, vec![]);
    table.write(&mut std::iter::empty()).expect("no rows are no error");
}

/// Keys that do not strictly grow are a mistake of the caller and named as such.
pub fn keys_that_do_not_grow_are_refused(place: &dyn TablePlace) {
    let table = place.open().expect("the table opens");
    for wrong in [vec![put("b", "1"), put("a", "1")], vec![put("a", "1"), delete("a")]] {
        let written = table.write(&mut std::iter::once(SpaceRows { space: Space::Meta, rows: wrong }));
        assert!(written.is_err());
    }
    write(&*table, Space::Meta, vec![put("z", "1")]);
    assert_eq!(keys(&*table.snapshot().expect("a snapshot"), Space::Meta, ("", "zz"), false), ["z"]);
}

/// Empty values, values of zeros, values larger than any data block.
pub fn large_and_odd_values_come_back(place: &dyn TablePlace) {
    let table = place.open().expect("the table opens");
    let values = [
        Bytes::new(),
        Bytes::from(vec![0; 70_000]),
        Bytes::from((0..3_000_000).map(|at| at as u8).collect::<Vec<_>>()),
    ];
    let numbered =
        values.iter().zip(1_u64..).map(|(value, at)| (Bytes::from(at.to_be_bytes().to_vec()), value.clone()));
    let numbered: Vec<(Bytes, Bytes)> = numbered.collect();
    let written = numbered.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    write(&*table, Space::Blocks(31), written);
    drop(table);
    let table = place.open().expect("the table opens again");
    assert_eq!(rows(&*table.snapshot().expect("a snapshot"), Space::Blocks(31)), numbered);
}

/// Writes, deletes and restarts in any order equal a map, in both directions, while older snapshots stay as they were.
pub fn any_history_equals_the_model(place: &dyn TablePlace) {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let space = Space::Blocks(3);
    let mut table = place.open().expect("the table opens");
    let mut model: BTreeMap<Bytes, Bytes> = BTreeMap::new();
    for round in 0..60_u64 {
        let mut changes = BTreeMap::new();
        for _ in 0..draw(30) {
            let key = Bytes::from(draw(80).to_be_bytes().to_vec());
            let value = (draw(4) > 0).then(|| Bytes::from(vec![round as u8; draw(900) as usize]));
            changes.insert(key, value);
        }
        let before = table.snapshot().expect("a snapshot");
        write(&*table, space, changes.clone().into_iter().collect());
        assert_eq!(rows(&*before, space), model.clone().into_iter().collect::<Vec<_>>());
        for (key, value) in changes {
            match value {
                Some(value) => model.insert(key, value),
                None => model.remove(&key),
            };
        }
        drop(before);
        if draw(10) == 0 {
            drop(table);
            table = place.open().expect("the table opens again");
        }
        let after = table.snapshot().expect("a snapshot");
        assert_eq!(rows(&*after, space), model.clone().into_iter().collect::<Vec<_>>());
        let all = Bytes::new()..Bytes::from_static(&[0xff; 9]);
        let falling = after.range(space, all, true).collect::<Result<Vec<_>>>().expect("the rows can be read");
        assert_eq!(falling, model.clone().into_iter().rev().collect::<Vec<_>>());
    }
}
