//! Lists by author and recipient as they lie in the table: what a question reads, and how apps come in and go.

mod support;

use bytes::Bytes;
use model::{Channel, Id, Message, Order, Selection, SelectionPage, SelectionWindow, Selector, Span, Store};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use store::{
    Settings,
    device::{BLOCK_SPACES, Space},
};
use support::{OnMemory, listed, small_tails};
use testkit::{BatchBuilder, Fields, app, channel, removal_of, store_suite::StoreUnderTest, user};

struct Bench {
    tested: OnMemory,
    builder: BatchBuilder,
}

impl Bench {
    fn open(settings: Settings) -> Bench {
        let bench = Bench { tested: OnMemory::empty(settings), builder: BatchBuilder::new() };
        bench.tested.store.settle(bench.builder.shard(), bench.builder.epoch()).expect("an empty store settles");
        bench
    }

    fn publish(&mut self, room: &Channel, author: &str, count: usize) -> Vec<Arc<Message>> {
        let fields = Fields { author: Some(user(author)), ..Fields::default() };
        let messages = (0..count).map(|n| self.builder.publish_with(room, &format!("text {n}"), fields.clone()));
        let messages = messages.collect();
        self.apply();
        messages
    }

    fn apply(&mut self) {
        self.tested.store.apply(&self.builder.batch()).expect("a valid batch is applied");
    }

    /// Another opening, with these apps listed.
    fn reopen(mut self, settings: Settings) -> Bench {
        self.tested.settings = settings;
        self.tested = self.tested.restart();
        let settled = self.tested.store.settle(self.builder.shard(), self.builder.epoch() + 1).expect("settle");
        self.builder.take_over(settled);
        self
    }

    fn select(&self, author: &str) -> model::Result<SelectionPage> {
        let selection = Selection::new([Selector::Author(author.into())]).expect("one selector");
        let window =
            SelectionWindow { span: Span::ALL, order: Order::Ascending, offset: 0, limit: 10_000, now: Id::MIN };
        self.tested.store.select(&app(), &selection, &window)
    }

    fn told(&self, author: &str) -> Vec<Id> {
        let page = self.select(author).expect("selecting works");
        page.messages.iter().map(|selected| selected.message.id).collect()
    }

    fn sweep(&self) {
        let rounds = (0..1000).take_while(|_| self.tested.store.sweep(Duration::from_secs(1)).expect("a sweep works"));
        assert!(rounds.count() < 1000, "sweeping comes to an end");
    }

    /// The keys of a space.
    fn keys(&self, space: Space) -> Vec<Bytes> {
        self.tested.table.rows(space).into_iter().map(|(key, _)| key).collect()
    }

    /// Harms all blocks of a channel, as a failing medium would.
    fn harm_blocks(&self, number: u64) {
        let space = Space::Blocks((number % u64::from(BLOCK_SPACES)) as u8);
        for key in self.keys(space) {
            assert!(self.tested.table.flip(space, &key, 5), "the block is there");
        }
    }
}

fn ids(messages: &[Arc<Message>]) -> Vec<Id> {
    messages.iter().map(|message| message.id).collect()
}

/// Only the asked author's messages are read: harm elsewhere is not even noticed.
#[test]
fn a_selection_reads_nobody_elses_messages() {
    let mut bench = Bench::open(listed(Settings::default()));
    let by_ann = bench.publish(&channel("one"), "ann", 300);
    bench.publish(&channel("two"), "bob", 300);
    bench.tested.flush();
    bench.harm_blocks(2);
    let bench = bench.reopen(listed(Settings::default()));
    assert_eq!(bench.told("ann"), ids(&by_ann));
    assert!(bench.select("bob").is_err(), "harm is told, not passed over");
}

/// Without lists every message is looked at; an app that is listed later is caught up on, and what comes meanwhile is in.
#[test]
fn an_app_that_is_listed_later_is_caught_up_on() {
    let mut bench = Bench::open(small_tails());
    let mut by_ann = bench.publish(&channel("one"), "ann", 700);
    bench.publish(&channel("two"), "bob", 30);
    by_ann.extend(bench.publish(&channel("three"), "ann", 50));
    bench.tested.flush();
    let mut bench = bench.reopen(listed(small_tails()));
    assert_eq!(bench.told("ann"), ids(&by_ann), "before anything was caught up on");
    by_ann.extend(bench.publish(&channel("one"), "ann", 40));
    bench.tested.flush();
    assert_eq!(bench.told("ann"), ids(&by_ann), "while it is being caught up on");
    bench.sweep();
    by_ann.extend(bench.publish(&channel("three"), "ann", 3));
    assert_eq!(bench.tested.store.verify(&mut |_| {}).expect("verify reads everything"), []);
    bench.tested.flush();
    bench.harm_blocks(2);
    let bench = bench.reopen(listed(small_tails()));
    assert_eq!(bench.told("ann"), ids(&by_ann), "from the lists alone");
}

/// The lists of an app that is left out go, and it is listed again from the beginning.
#[test]
fn the_lists_of_an_app_that_is_left_out_are_discarded() {
    let mut bench = Bench::open(listed(Settings::default()));
    let mut by_ann = bench.publish(&channel("one"), "ann", 600);
    bench.tested.flush();
    let lists = |bench: &Bench| bench.keys(Space::Lists).into_iter().filter(|key| key[0] != b'n').count();
    assert!(lists(&bench) > 0);
    let left_out = || Settings { indexed_apps: Some(BTreeSet::new()), ..Settings::default() };
    let mut bench = bench.reopen(left_out());
    by_ann.extend(bench.publish(&channel("one"), "ann", 5));
    assert_eq!(bench.told("ann"), ids(&by_ann));
    bench.sweep();
    assert_eq!(lists(&bench), 0);
    bench.tested.flush();
    let bench = bench.reopen(listed(Settings::default()));
    bench.sweep();
    assert_eq!(bench.told("ann"), ids(&by_ann));
    assert_eq!(bench.tested.store.verify(&mut |_| {}).expect("verify reads everything"), []);
    assert!(lists(&bench) > 0);
    let bench = bench.reopen(Settings::default());
    assert!(lists(&bench) > 0, "who says nothing of it leaves it as it is");
}

/// Harm in a list is found by verify, and is an error to who asks, never a wrong answer.
#[test]
fn harm_in_a_list_is_found() {
    let mut bench = Bench::open(listed(Settings::default()));
    let by_ann = bench.publish(&channel("one"), "ann", 600);
    bench.tested.flush();
    let nodes: Vec<Bytes> = bench.keys(Space::Lists).into_iter().filter(|key| key[0] == b'a').collect();
    assert!(nodes.len() > 1, "a list of 600 has nodes below its root");
    for key in nodes {
        bench.tested.table.flip(Space::Lists, &key, 6);
        let harmed = bench.reopen(listed(Settings::default()));
        assert!(harmed.select("ann").is_err(), "{key:?}");
        assert_ne!(harmed.tested.store.verify(&mut |_| {}).expect("verify reads everything"), [], "{key:?}");
        harmed.tested.table.flip(Space::Lists, &key, 6);
        bench = harmed.reopen(listed(Settings::default()));
        assert_eq!(bench.told("ann"), ids(&by_ann));
    }
}

/// Who has no messages left has no list, and after an erasure no row names them.
#[test]
fn erasure_leaves_no_name_in_lists() {
    let mut bench = Bench::open(listed(Settings::default()));
    let room = channel("one");
    let by_ann = bench.publish(&room, "ann", 600);
    let by_bob = bench.publish(&room, "bob", 20);
    bench.tested.flush();
    let names =
        |bench: &Bench| bench.keys(Space::Lists).iter().filter(|key| key.windows(3).any(|w| w == b"ann")).count();
    assert!(names(&bench) > 0);
    bench.builder.delete(&room, removal_of(&by_ann));
    bench.apply();
    assert_eq!(bench.told("ann"), []);
    bench.tested.store.erase(std::slice::from_ref(&room)).expect("an erasure works");
    assert_eq!(names(&bench), 0);
    assert_eq!((bench.told("ann"), bench.told("bob")), (vec![], ids(&by_bob)));
}
