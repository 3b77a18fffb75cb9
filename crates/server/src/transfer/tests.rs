//! Random histories, out of one store and into another: every question has the same answer there.

mod alike;
mod beneath;
mod life;

use super::{
    batches::{Bounds, Size},
    check::Check,
    export::export,
    import::{Import, Imported},
    limits::BATCHES,
    line::{Header, Line},
    lines::Lines,
    resume::{self, Start},
};
use model::{
    AppId, Channel, ChannelName, Effort, Id, Message, Order, Page, Result, Selection, SelectionWindow, Selector, Seq,
    ShardId, Span, Store, Target, Window,
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Cursor,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use store::{KeptStore, Settings};
use testkit::{
    BatchBuilder, Fields, LogDisk, OnMemory, TableDisk, app, channel, random, removal_of, store_suite::StoreUnderTest,
    user,
};

const CASES: usize = 20;
/// Cuts in the import of one history.
const CUTS: usize = 5;
/// Bounds by which a history of a few messages comes in many batches, and some messages with their edits in several.
const SMALL: Bounds = Bounds { batch: Size { bytes: 1 << 20, changes: 5 }, unit: Size { bytes: 1 << 20, changes: 10 } };
/// Above those of a random run.
const LATE_EPOCH: u64 = 1_000_000;

/// A store on these disks, with lists of these apps; `None` leaves them as they are.
fn opened(log: LogDisk, table: TableDisk, indexed_apps: Option<BTreeSet<AppId>>) -> OnMemory {
    let settings = Settings { tail_bytes: 4 << 10, piece_bytes: 2 << 10, indexed_apps, ..Settings::default() };
    OnMemory::open(log, table, settings)
}

fn settled(log: LogDisk, table: TableDisk) -> OnMemory {
    let opened = opened(log, table, Some(apps().into()));
    settle(&opened);
    opened
}

fn empty() -> OnMemory {
    settled(LogDisk::new(), TableDisk::new())
}

fn settle(on: &OnMemory) -> model::Settled {
    let settle = |epoch| on.store.settle(ShardId::default(), epoch);
    settle(1).or_else(|_| settle(LATE_EPOCH)).expect("settled")
}

fn header(app: AppId) -> Header {
    Header { app, channels: Vec::new(), after: Id::MIN, upto: Id::MAX }
}

fn exported(store: &KeptStore, header: &Header, now: Id) -> Vec<u8> {
    let mut lines = Vec::new();
    export(store, header, Start::Beginning, now, &mut lines, &mut |_| {}).expect("exported");
    lines
}

fn lines(text: &[u8]) -> impl Iterator<Item = Line> {
    let mut check = Check::new(u64::MAX);
    text.split_inclusive(|byte| *byte == b'\n').map(move |line| {
        let told = String::from_utf8_lossy(line).into_owned();
        let line = Line::parse(line.strip_suffix(b"\n").expect("an end")).unwrap_or_else(|why| panic!("{why}: {told}"));
        check.line(&line).unwrap_or_else(|why| panic!("{why}: {told}"));
        line
    })
}

/// Imports all of it, by checked lines.
fn import(to: &OnMemory, app: &AppId, text: &[u8]) -> Imported {
    assert!(lines(text).count() > 0);
    try_import(to, app, text, BATCHES).expect("imported")
}

fn try_import(to: &OnMemory, app: &AppId, text: &[u8], bounds: Bounds) -> anyhow::Result<Imported> {
    let import = Import::new(&to.store, app.clone(), settle(to).last_number, bounds);
    import.run(&mut Lines::of(Cursor::new(text))?, &mut |_| {})
}

/// Some of the batches that an import into this store comes in.
fn cuts(to: &OnMemory, app: &AppId, text: &[u8]) -> impl Iterator<Item = usize> + use<> {
    let appended = || to.log.counts().0 as usize;
    let before = appended();
    try_import(to, app, text, SMALL).expect("imported");
    let batches = appended() - before;
    (0..batches).step_by(1 + batches / CUTS)
}

/// Imports until the power goes, in the `n`th batch; what is left then, and whether it came to its end before.
fn import_cut(to: OnMemory, app: &AppId, text: &[u8], n: usize) -> (OnMemory, bool) {
    let (appends, disk) = (AtomicUsize::new(0), to.log.clone());
    to.log.on_append(move |_| {
        if appends.fetch_add(1, Ordering::Relaxed) == n {
            disk.cut_power(false);
        }
    });
    let done = try_import(&to, app, text, SMALL).is_ok();
    to.log.on_append(|_| {});
    let left = to.crash();
    settle(&left);
    (left, done)
}

fn pages(store: &KeptStore, channel: &Channel) -> Vec<Page> {
    let (author, custom_type, above) = (None, None, Seq::NONE);
    let mut pages = Vec::new();
    let nows = [Id::MIN, Id::new(testkit::FIRST_TICK + 1_000_000, 0), Id::MAX.previous()];
    for (order, limit) in [(Order::Ascending, 3), (Order::Descending, 7), (Order::Ascending, 10_000)] {
        for now in nows {
            let mut span = Span::ALL;
            loop {
                let (author, custom_type) = (Option::clone(&author), Option::clone(&custom_type));
                let window = Window { span, order, limit, above, author, custom_type, now };
                let page = store.read(channel, &window, Effort::Disk).expect("read").expect("from the disk");
                match order {
                    Order::Ascending => span.after = page.covered.upto,
                    Order::Descending => span.upto = page.covered.after,
                }
                let more = page.more;
                pages.push(page);
                if !more {
                    break;
                }
            }
        }
    }
    pages
}

fn all_messages(pages: &[Page]) -> impl Iterator<Item = &Arc<Message>> {
    pages.iter().flat_map(|page| &page.messages)
}

/// The same questions to both.
fn assert_equal(one: &KeptStore, other: &KeptStore, app: &AppId) {
    let channels = one.all_channels(app, None, 1000).expect("listed");
    let names: Vec<&ChannelName> = channels.iter().map(|entry| &entry.channel.name).collect();
    let there = other.all_channels(app, None, 1000).expect("listed");
    let stored = |entry: &&model::ChannelEntry| entry.head.last.seq > Seq::START;
    let expected: Vec<&ChannelName> = channels.iter().filter(stored).map(|entry| &entry.channel.name).collect();
    assert_eq!(there.iter().map(|entry| &entry.channel.name).collect::<Vec<_>>(), expected, "of {names:?}");
    for entry in channels.iter().filter(stored) {
        let channel = &entry.channel;
        let head =
            |store: &KeptStore| store.heads(std::slice::from_ref(channel)).map(|heads| (heads[0].last, heads[0].floor));
        same(one, other, "head", head);
        let of_one = pages(one, channel);
        assert_eq!(of_one, pages(other, channel), "{channel:?}");
        for now in [Id::MIN, Id::MAX.previous()] {
            same(one, other, "count", |store| store.count(channel, Span::ALL, Seq::NONE, now));
            same(one, other, "removable", |store| store.removable(channel, &Target::Span(Span::ALL), now));
        }
        let messages: BTreeMap<Id, &Arc<Message>> =
            all_messages(&of_one).map(|message| (message.id, message)).collect();
        for message in messages.values() {
            let upto = Span { after: Id::MIN, upto: message.id };
            same(one, other, "count up to", |store| store.count(channel, upto, Seq::NONE, Id::MIN));
            same(one, other, "versions", |store| store.versions(channel, message.id));
        }
        same(one, other, "reactions", |store| store.reactions(channel, Span::ALL, None, 10_000));
        same(one, other, "reactions by id", |store| {
            let made = store.reactions_made(channel, Span::ALL, Order::Descending, 10_000)?;
            let is_there = |id: Id| store.position_of(channel, id).map(|position| position.is_some());
            // Those to ids that name no message are in no export.
            Ok(made.into_iter().filter(|entry| is_there(entry.reaction.message).expect("read")).collect::<Vec<_>>())
        });
        same(one, other, "gone", |store| store.gone(channel, Span::ALL, 10_000));
        let changes = other.changes(channel, Id::MIN, 100).expect("read");
        assert!(changes.changes.is_empty(), "no change feed tells what was imported: {changes:?}");
        if let Some(last) = all_messages(&of_one).map(|message| message.id).max() {
            assert!(changes.starts_after >= last, "readers from before are told to read again");
        }
    }
    for id in ["user 0", "user 1", "ann"] {
        for selector in [Selector::Author(id.into()), Selector::Sender(id.into()), Selector::Recipient(id.into())] {
            let selection = Selection::new(vec![selector]).expect("valid");
            let (span, now) = (Span::ALL, Id::MIN);
            let window = SelectionWindow { span, order: Order::Ascending, offset: 0, limit: 1000, now };
            same(one, other, "selected", |store| store.select(app, &selection, &window));
            same(one, other, "count of selected", |store| store.count_selected(app, &selection, span, now));
        }
    }
    for (kind, _) in super::json::RECORD_KINDS {
        same(one, other, "records", |store| store.records(app, kind, b"", None, 1000));
    }
}

fn same<T: PartialEq + std::fmt::Debug>(
    one: &KeptStore,
    other: &KeptStore,
    what: &str,
    ask: impl Fn(&KeptStore) -> Result<T>,
) {
    assert_eq!(ask(one).expect("answered"), ask(other).expect("answered"), "{what}");
}

/// Stores with random histories: the same ones in every run.
fn random_stores(cases: usize) -> impl Iterator<Item = OnMemory> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    (0..cases).map(move |_| {
        let steps = random::steps().new_tree(&mut runner).expect("steps").current();
        let (log, table) = (LogDisk::new(), TableDisk::new());
        let opened = || opened(log.clone(), table.clone(), Some(apps().into()));
        random::drive(opened, &steps).expect("the store keeps its contract");
        settled(log.clone(), table.clone())
    })
}

fn apps() -> [AppId; 2] {
    [app(), AppId::new("demo2").expect("a valid name")]
}

#[test]
fn an_imported_history_answers_every_question_as_the_one_it_came_from() {
    for one in random_stores(CASES) {
        let other = empty();
        for app in apps() {
            let text = exported(&one.store, &header(app.clone()), Id::MIN);
            let first = import(&other, &app, &text);
            assert_eq!(first.refused, 0, "{first:?}");
            assert_equal(&one.store, &other.store, &app);
            let again = import(&other, &app, &text);
            assert_eq!((again.messages, again.gone, again.edits, again.reactions, again.refused), (0, 0, 0, 0, 0));
            assert_eq!(again.skipped, first.messages + first.gone);
            assert_equal(&one.store, &other.store, &app);
            assert_eq!(exported(&other.store, &header(app.clone()), Id::MIN), text, "what goes in comes out");
        }
        let feed = other.store.feed(ShardId::default(), Span::ALL, 1000).expect("read");
        assert!(feed.items.is_empty(), "no feed tells what was imported");
        assert_eq!(other.store.verify(&mut |_| {}).expect("verified"), []);
        let reopened = other.restart();
        settle(&reopened);
        apps().iter().for_each(|app| assert_equal(&one.store, &reopened.store, app));
        assert_eq!(reopened.store.verify(&mut |_| {}).expect("verified"), []);
    }
}

#[test]
fn an_imported_history_is_listed_when_lists_are_asked_for_later() {
    for one in random_stores(3) {
        let other = opened(LogDisk::new(), TableDisk::new(), None);
        settle(&other);
        for app in apps() {
            import(&other, &app, &exported(&one.store, &header(app.clone()), Id::MIN));
        }
        let OnMemory { store, log, table, .. } = other;
        drop(store);
        let other = settled(log, table);
        while other.store.sweep(std::time::Duration::from_secs(1)).expect("maintained") {}
        apps().iter().for_each(|app| assert_equal(&one.store, &other.store, app));
        assert_eq!(other.store.verify(&mut |_| {}).expect("verified"), []);
    }
}

#[test]
fn an_import_that_is_cut_anywhere_is_gone_on_with() {
    for one in random_stores(4) {
        let text = exported(&one.store, &header(app()), Id::MIN);
        for n in cuts(&empty(), &app(), &text) {
            let (other, done) = import_cut(empty(), &app(), &text, n);
            assert!(!done);
            assert_eq!(other.store.verify(&mut |_| {}).expect("verified"), []);
            try_import(&other, &app(), &text, SMALL).expect("imported");
            assert_equal(&one.store, &other.store, &app());
        }
    }
}

#[test]
fn an_export_that_is_cut_anywhere_is_gone_on_with() {
    for one in random_stores(3) {
        let text = exported(&one.store, &header(app()), Id::MIN);
        for cut in (0..text.len()).step_by(1 + text.len() / 40) {
            let mut file = text[..cut].to_vec();
            let found = resume::find(&mut &file[..]).expect("it is an export");
            let (header, start) = match found {
                Some(found) => {
                    assert!(!found.is_complete);
                    file.truncate(found.length as usize);
                    (found.header, found.start)
                }
                None => {
                    file.clear();
                    (header(app()), Start::Beginning)
                }
            };
            export(&one.store, &header, start, Id::MIN, &mut file, &mut |_| {}).expect("exported");
            assert!(file == text, "cut at {cut}: {}", String::from_utf8_lossy(&file));
        }
        assert!(resume::find(&mut &text[..]).expect("it is an export").expect("a header").is_complete);
    }
}

/// A store with one channel: ten messages, some edited, deleted, with reactions, and one that is due at `due`.
fn story(due: Id) -> (OnMemory, BatchBuilder) {
    let one = empty();
    let mut builder = BatchBuilder::new();
    let room = channel("room");
    let mut messages: Vec<_> = (0..9).map(|number| builder.publish(&room, &format!("{number}"))).collect();
    messages.push(builder.publish_with(&room, "due", Fields { expires_at: Some(due), ..Fields::default() }));
    builder.edit(&room, &messages[2], "edited");
    builder.edit(&room, &messages[2], "edited again");
    builder.delete(&room, removal_of(&messages[4..6]));
    let (kind, value) = ("reaction".into(), "smile".into());
    builder.react(&room, &model::Reaction { message: messages[7].id, user: user("ann"), kind, value });
    one.store.apply(&builder.batch()).expect("applied");
    (one, builder)
}

#[test]
fn what_is_due_at_the_moment_of_an_export_has_expired_in_it() {
    let due = Id::new(testkit::FIRST_TICK + 5_000, 0);
    let (one, _) = story(due);
    let other = empty();
    import(&other, &app(), &exported(&one.store, &header(app()), due));
    let room = channel("room");
    same(&one.store, &other.store, "count", |store| store.count(&room, Span::ALL, Seq::NONE, due));
    let gone = other.store.gone(&room, Span::ALL, 10).expect("read");
    assert_eq!(
        gone.iter().map(|(at, expired)| (at.seq.0, *expired)).collect::<Vec<_>>(),
        [(5, false), (6, false), (10, true)]
    );
}

#[test]
fn part_of_a_history_keeps_its_seqs_and_begins_with_a_floor() {
    let (one, _) = story(Id::MAX);
    let ids: Vec<Id> = all_messages(&pages(&one.store, &channel("room"))[..4]).map(|message| message.id).collect();
    let part = Header { after: ids[1], upto: ids[4], ..header(app()) };
    let other = empty();
    let imported = import(&other, &app(), &exported(&one.store, &part, Id::MIN));
    assert!(imported.messages > 0);
    let page = pages(&other.store, &channel("room")).remove(8);
    assert_eq!((page.floor.seq, page.messages[0].id, page.messages[0].seq), (Seq(2), ids[2], Seq(3)));
    assert_eq!(other.store.verify(&mut |_| {}).expect("verified"), []);
}

#[test]
fn new_messages_go_on_above_an_imported_history_also_in_the_future() {
    let (one, _) = story(Id::MAX);
    let text = exported(&one.store, &header(app()), Id::MIN);
    let other = empty();
    import(&other, &app(), &text);
    let settled = settle(&other);
    let newest = all_messages(&pages(&one.store, &channel("room"))).map(|message| message.id).max().expect("messages");
    assert!(settled.reserved >= newest.ticks(), "ids of this store lie above those that came in");
}

#[test]
fn an_import_again_brings_back_nothing_that_has_changed_since() {
    let (one, _) = story(Id::MAX);
    let text = exported(&one.store, &header(app()), Id::MIN);
    let other = empty();
    import(&other, &app(), &text);
    let room = channel("room");
    let mut builder = BatchBuilder::new();
    builder.take_over(settle(&other));
    // A life of its own: the last message goes, and one more comes.
    let head = other.store.heads(std::slice::from_ref(&room)).expect("read")[0];
    let all = pages(&other.store, &room).remove(8).messages;
    let batch = builder.life_after(&other, &room, head, &all);
    other.store.apply(&batch).expect("applied");
    let before = pages(&other.store, &room);
    let again = import(&other, &app(), &text);
    assert_eq!((again.messages, again.gone, again.refused), (0, 0, 0), "{again:?}");
    assert_eq!(pages(&other.store, &room), before);
}

/// A batch as a sequencer would make it that goes on with a channel.
trait GoOn {
    fn life_after(&mut self, store: &OnMemory, room: &Channel, head: model::Head, all: &[Arc<Message>])
    -> model::Batch;
}

impl GoOn for BatchBuilder {
    fn life_after(
        &mut self,
        store: &OnMemory,
        room: &Channel,
        head: model::Head,
        all: &[Arc<Message>],
    ) -> model::Batch {
        use model::{Batch, Change, ChannelChange, What};
        let settled = settle(store);
        let last = all.last().expect("messages");
        let ids = (1..).map(|tick| Id::new(settled.reserved + tick, 0));
        let next =
            Message { id: ids.clone().nth(1).expect("endless"), seq: head.last.seq.next(), ..Message::clone(last) };
        let whats = [
            What::Deleted(Arc::new(removal_of(std::slice::from_ref(last)))),
            What::Published { message: Arc::new(next), key: None, first: false },
        ];
        let change = |(id, what)| {
            Arc::new(Change::Channel(ChannelChange { id, channel: room.clone(), number: head.number, what }))
        };
        let changes = ids.zip(whats).map(change).collect();
        let (shard, epoch, number) = (ShardId::default(), 1, settled.last_batch + 1);
        Batch { shard, epoch, number, reserved: settled.reserved + 1000, changes }
    }
}

#[test]
fn a_message_with_more_than_fits_a_batch_is_finished_by_the_next_import() {
    let one = empty();
    let mut builder = BatchBuilder::new();
    let room = channel("room");
    let message = builder.publish(&room, "much edited");
    one.store.apply(&builder.batch()).expect("applied");
    let long = "x".repeat(1 << 20);
    for number in 0..9 {
        builder.edit(&room, &message, &format!("{number} {long}"));
        one.store.apply(&builder.batch()).expect("applied");
    }
    let text = exported(&one.store, &header(app()), Id::MIN);
    for n in 0..10 {
        let (other, _) = import_cut(empty(), &app(), &text, n);
        try_import(&other, &app(), &text, SMALL).expect("imported");
        assert_equal(&one.store, &other.store, &app());
    }
}

#[test]
fn lines_that_do_not_belong_together_are_told() {
    let (one, _) = story(Id::MAX);
    let text = String::from_utf8(exported(&one.store, &header(app()), Id::MIN)).expect("text");
    let all: Vec<&str> = text.lines().collect();
    let said = |lines: &[&str]| {
        let mut check = Check::new(u64::MAX);
        lines
            .iter()
            .map(|line| Line::parse(line.as_bytes()).and_then(|line| check.line(&line)))
            .find_map(|told| told.err())
    };
    assert_eq!(said(&all), None);
    let without = |left_out: usize| {
        let mut lines = all.clone();
        lines.remove(left_out);
        said(&lines)
    };
    assert!(without(0).is_some_and(|why| why.contains("header")));
    assert!(without(1).is_some_and(|why| why.contains("does not follow the line of channel")));
    for (left_out, line) in all.iter().enumerate().skip(2).take(all.len() - 3) {
        let is_alteration = line.contains("\"line\":\"edit\"") || line.contains("\"line\":\"reaction\"");
        assert_eq!(without(left_out).is_none(), is_alteration, "{line}");
    }
    let twice = |line: usize| {
        let mut lines = all.clone();
        lines.insert(line, all[line]);
        said(&lines)
    };
    (0..all.len()).for_each(|line| assert!(twice(line).is_some(), "{}", all[line]));
    let late = all[2].replacen("\"id\":\"4", "\"id\":\"9", 1);
    let mut check = Check::new(testkit::FIRST_TICK);
    let lines = [all[0], all[1], &late].map(|line| Line::parse(line.as_bytes()).expect("a line"));
    let told: Vec<_> = lines.iter().map(|line| check.line(line)).collect();
    assert!(told[2].as_ref().is_err_and(|why| why.contains("ahead of the machine's clock")), "{told:?}");
}
