//! What survives, what is made again, and what is gone for good.

use crate::house::{House, ids_of, other_app, settings};
use model::{Channel, ChannelName, Search};
use search::{Index, Settings};
use std::{collections::BTreeSet, fs};
use testkit::{Fields, app, channel};

impl House {
    /// The words in the dictionaries of the index, after a look at its files: all of them are in use.
    fn words_on_disk(&self) -> BTreeSet<String> {
        let index = tantivy::Index::open_in_dir(self.folder.path()).expect("the index opens");
        let used: Vec<String> =
            index.searchable_segment_ids().expect("segments").iter().map(|id| id.uuid_string()).collect();
        for entry in fs::read_dir(self.folder.path()).expect("the folder is listed") {
            let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
            let of_segment = name.split('.').next().filter(|stem| stem.len() == 32);
            assert!(of_segment.is_none_or(|stem| used.iter().any(|used| used == stem)), "{name} is left over");
        }
        let field = index.schema().get_field("words").expect("the field");
        let searcher = index.reader().expect("a reader").searcher();
        let mut words = BTreeSet::new();
        for segment in searcher.segment_readers() {
            let terms = segment.inverted_index(field).expect("an index");
            let mut terms = terms.terms().stream().expect("terms");
            while let Some((word, _)) = terms.next() {
                words.insert(String::from_utf8_lossy(word).into_owned());
            }
        }
        words
    }

    fn rebuilds(&self) -> u64 {
        self.index.status().rebuilds
    }
}

#[test]
fn a_start_goes_on_where_the_index_was() {
    let mut house = House::new();
    let first = house.publish("room", "hello one");
    assert_eq!(house.found("hello"), ids_of(&[&first]));
    assert_eq!(house.rebuilds(), 1, "a new index is made once");
    house.index.close();
    let second = house.publish("room", "hello two");
    house.reopen();
    assert_eq!(house.found("hello"), ids_of(&[&first, &second]));
    assert_eq!((house.rebuilds(), house.index.status().documents), (0, 2));
}

#[test]
fn an_index_that_is_missing_damaged_or_of_other_apps_is_made_again() {
    let mut house = House::new();
    let message = house.publish("room", "hello");
    house.publish("hall", "bye");
    let found = ids_of(&[&message]);
    assert_eq!(house.found("hello"), found);

    house.index.close();
    fs::write(house.folder.path().join("meta.json"), "{").expect("it is written");
    house.reopen();
    assert_eq!((house.found("hello"), house.rebuilds()), (found.clone(), 1), "what cannot be opened");

    house.index.close();
    let is_of_words = |path: &std::path::Path| path.extension().is_some_and(|extension| extension == "idx");
    let mut files = fs::read_dir(house.folder.path()).expect("the folder").map(|entry| entry.expect("an entry").path());
    let file = files.find(|path| is_of_words(path)).expect("a file");
    let mut bytes = fs::read(&file).expect("it is read");
    bytes[0] ^= 1;
    fs::write(&file, bytes).expect("it is written");
    house.reopen();
    assert_eq!((house.found("hello"), house.rebuilds()), (found.clone(), 1), "a flipped bit");

    house.index.close();
    Index::remove(house.folder.path()).expect("it goes");
    house.reopen();
    assert_eq!((house.found("hello"), house.rebuilds()), (found.clone(), 1), "nothing");

    let apps = [app(), other_app()].into();
    house.reopen_with(Settings { apps, ..settings() });
    assert_eq!((house.found("hello"), house.rebuilds()), (found, 1), "another set of apps");
}

#[test]
fn every_kind_of_channel_is_read_when_the_index_is_made_again() {
    let mut house = House::new();
    let in_app = |name| Channel { app: app(), name };
    let named = house.publish("room", "hello room");
    let member = house.publish_with(&in_app(ChannelName::Member(5, 6)), "hello member", Fields::default());
    let direct = house.publish_with(&in_app(ChannelName::direct("a", "b")), "hello direct", Fields::default());
    house.index.close();
    Index::remove(house.folder.path()).expect("it goes");
    house.reopen();
    assert_eq!(house.found("hello"), ids_of(&[&named, &member, &direct]));
    assert_eq!(house.rebuilds(), 1);
}

#[test]
fn a_feed_that_does_not_reach_back_is_no_loss() {
    let mut house = House::new();
    let first = house.publish("room", "hello one");
    assert_eq!(house.found("hello"), ids_of(&[&first]));
    house.index.close();
    let second = house.publish("room", "hello two");
    house.delete("room", &[first]);
    house.store.faults().forget_feed(house.newest());
    house.reopen();
    assert_eq!(house.found("hello"), ids_of(&[&second]));
    assert_eq!(house.rebuilds(), 1);
}

#[test]
fn changes_that_do_not_reach_back_make_the_channel_be_read_again() {
    let mut house = House::new();
    let first = house.publish("room", "hello one");
    let other = house.publish("hall", "hello hall");
    assert_eq!(house.found("hello"), ids_of(&[&first, &other]));
    house.index.close();
    house.edit("room", &first, "changed one");
    let second = house.publish("room", "changed two");
    house.store.faults().forget_changes(house.newest());
    house.reopen();
    assert_eq!(house.found("changed"), ids_of(&[&first, &second]));
    assert_eq!(house.found("hello"), ids_of(&[&other]));
    assert_eq!((house.rebuilds(), house.index.status().documents), (0, 3));
}

#[test]
fn a_store_that_fails_for_a_while_is_waited_for() {
    let mut house = House::new();
    let first = house.publish("room", "hello one");
    assert_eq!(house.found("hello"), ids_of(&[&first]));
    house.store.faults().fail_reads(1);
    let second = house.publish("room", "hello two");
    while house.index.status().failures == 0 {
        crate::house::wait();
    }
    assert_eq!(house.found("hello"), ids_of(&[&first, &second]));
    assert_eq!(house.index.status().documents, 2, "taken in again, and once");
}

#[test]
fn no_word_of_what_was_erased_is_left() {
    let mut house = House::new();
    let gone = house.publish("room", "zebra words");
    let changed = house.publish("room", "quokka words");
    let kept = house.publish("room", "axolotl words");
    assert_eq!(house.found("words").len(), 3);
    house.delete("room", &[gone]);
    house.edit("room", &changed, "narwhal words");
    assert_eq!(house.found("words"), ids_of(&[&changed, &kept]));

    house.index.erase(house.newest()).expect("it is erased");
    let left = ["axolotl", "narwhal", "words"].map(String::from);
    assert_eq!(house.words_on_disk(), BTreeSet::from(left));
    assert_eq!(house.found("words"), ids_of(&[&changed, &kept]));
}

/// As an erasure of who wrote them takes them back: one whose message shows another edit afterwards, one whose message shows
/// its first content, and two that were never seen by the index apart.
#[test]
fn no_word_of_an_edit_that_was_taken_back_is_left() {
    for feed_is_cut in [false, true] {
        let mut house = House::new();
        let room = channel("room");
        let first = house.publish("room", "axolotl words");
        let second = house.publish("room", "narwhal words");
        let zebra = house.builder.edit(&room, &first, "zebra words");
        house.apply();
        house.edit("room", &first, "wombat words");
        let quokka = house.builder.edit(&room, &second, "quokka words");
        house.apply();
        assert_eq!(house.found("quokka"), ids_of(&[&second]));
        assert_eq!(house.found("wombat"), ids_of(&[&first]));
        let okapi = house.builder.edit(&room, &second, "okapi words");
        house.builder.unedit(&room, &first, &[zebra]);
        house.builder.unedit(&room, &second, &[quokka, okapi]);
        house.apply();
        if feed_is_cut {
            // The store's own erasure comes first, and drops what told of it.
            house.store.faults().forget_changes(house.newest());
        }
        house.index.erase(house.newest()).expect("it is erased");
        let left = ["narwhal", "wombat", "words"].map(String::from);
        assert_eq!(house.words_on_disk(), BTreeSet::from(left), "{feed_is_cut}");
        assert_eq!(house.found("narwhal"), ids_of(&[&second]));
        assert_eq!(house.found("words"), ids_of(&[&first, &second]));
    }
}

#[test]
fn a_channel_that_lost_everything_leaves_nothing() {
    let mut house = House::new();
    let messages: Vec<_> = (0..5).map(|number| house.publish("room", &format!("zebra {number}"))).collect();
    assert_eq!(house.found("zebra").len(), 5);
    assert!(house.words_on_disk().contains("zebra"));
    let last = &messages[4];
    house.builder.floor(&channel("room"), model::Position { id: last.id, seq: last.seq });
    house.apply();
    house.index.erase(house.newest()).expect("it is erased");
    assert_eq!(house.words_on_disk(), BTreeSet::new());
    assert_eq!((house.found("zebra"), house.index.status().documents), (vec![], 0));
}
