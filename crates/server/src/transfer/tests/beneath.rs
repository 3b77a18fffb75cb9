//! History that comes in below what is there: but for its seqs, a store answers as if it had been there from the beginning.

use super::{
    Header, SMALL,
    alike::Alike,
    apps, cuts, empty, exported, header, import, import_cut,
    life::{Life, Step, TICK, steps},
    pages, random_stores, settle, story, try_import,
};
use model::{AppId, Channel, Id, Position, Seq, Span, Store};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use store::KeptStore;
use testkit::{OnMemory, app, channel, store_suite::StoreUnderTest};

/// An old history, and what happens in a store that has it and in one that gets it later.
struct Case {
    old: OnMemory,
    before: Vec<Step>,
    after: Vec<Step>,
}

fn cases(count: usize, most: usize) -> impl Iterator<Item = Case> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[11; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    random_stores(count).map(move |old| {
        let before = steps(false, most).new_tree(&mut runner).expect("steps").current();
        let after = steps(true, most).new_tree(&mut runner).expect("steps").current();
        Case { old, before, after }
    })
}

/// The channels of the old history, and some that it does not have.
fn rooms(old: &OnMemory, app: &AppId) -> Vec<Channel> {
    let listed = old.store.all_channels(app, None, 1000).expect("listed");
    let own = ["new room", "another"].map(|name| Channel { app: app.clone(), ..channel(name) });
    listed.into_iter().map(|entry| entry.channel).filter(|channel| is_stored(old, channel)).chain(own).collect()
}

fn is_stored(on: &OnMemory, channel: &Channel) -> bool {
    on.store.heads(std::slice::from_ref(channel)).expect("read")[0].last != Position::default()
}

fn texts(old: &OnMemory) -> Vec<(AppId, Vec<u8>)> {
    apps().into_iter().map(|app| (app.clone(), exported(&old.store, &header(app), Id::MIN))).collect()
}

/// Steps in every app of a store.
fn live(on: &OnMemory, old: &OnMemory, steps: &[Step], from: Id, tick: u64) -> u64 {
    apps().iter().fold(tick, |tick, app| {
        let mut life = Life { on, rooms: rooms(old, app), from, tick };
        life.live(steps);
        life.tick
    })
}

fn assert_alike(one: &OnMemory, other: &OnMemory) {
    let alike = Alike { one: &one.store, other: &other.store };
    apps().iter().for_each(|app| alike.assert(app));
    assert_eq!(other.store.verify(&mut |_| {}).expect("verified"), []);
}

#[test]
fn what_comes_in_beneath_is_as_if_it_had_been_there_from_the_beginning() {
    for Case { old, before, after } in cases(12, 50) {
        let texts = texts(&old);
        let first = empty();
        texts.iter().for_each(|(app, text)| drop(import(&first, app, text)));
        let begins = settle(&first).reserved + TICK;
        let from = Id::new(begins, 0);
        let later = empty();
        let tick = live(&first, &old, &before, from, begins);
        assert_eq!(live(&later, &old, &before, from, begins), tick);
        for (app, text) in &texts {
            let imported = try_import(&later, app, text, SMALL).expect("imported");
            assert_eq!(imported.refused, 0, "{imported:?}");
        }
        assert_alike(&first, &later);
        for (app, text) in &texts {
            let again = import(&later, app, text);
            assert_eq!((again.messages, again.gone, again.edits, again.reactions, again.refused), (0, 0, 0, 0, 0));
        }
        assert_alike(&first, &later);
        assert_eq!(live(&first, &old, &after, Id::MIN, tick), live(&later, &old, &after, Id::MIN, tick));
        assert_alike(&first, &later);
        let later = later.restart();
        settle(&later);
        assert_alike(&first, &later);
        for (app, text) in &texts {
            let again = import(&later, app, text);
            assert_eq!((again.messages, again.gone, again.refused), (0, 0, 0), "{again:?}");
        }
        assert_alike(&first, &later);
        // And out of it again, with seqs from below the start.
        let third = empty();
        for app in apps() {
            let text = exported(&later.store, &header(app.clone()), Id::MIN);
            assert_eq!(import(&third, &app, &text).refused, 0);
            super::assert_equal(&later.store, &third.store, &app);
        }
    }
}

#[test]
fn a_cut_leaves_no_gap_and_the_same_import_goes_on() {
    for Case { old, before, .. } in cases(3, 20) {
        let texts = texts(&old);
        let (app, text) = &texts[0];
        let with_history = || {
            let first = empty();
            import(&first, app, text);
            first
        };
        let begins = settle(&with_history()).reserved + TICK;
        let from = Id::new(begins, 0);
        let lived = |on: OnMemory| {
            let tick = live(&on, &old, &before, from, begins);
            (on, tick)
        };
        let later = || lived(empty()).0;
        // A channel that is new in the file has nothing to live on with after a cut.
        let rooms: Vec<Channel> = rooms(&old, app).into_iter().filter(|room| is_stored(&later(), room)).collect();
        let live_on = |on: &OnMemory, tick| match rooms.is_empty() {
            true => {}
            false => Life { on, rooms: rooms.clone(), from, tick }.live(&before),
        };
        for n in cuts(&later(), app, text) {
            let (first, tick) = lived(with_history());
            live_on(&first, tick);
            let (later, done) = import_cut(later(), app, text, n);
            assert!(!done);
            assert_eq!(later.store.verify(&mut |_| {}).expect("verified"), []);
            assert_has_no_gap(&later.store, app);
            live_on(&later, tick);
            assert_has_no_gap(&later.store, app);
            assert_eq!(try_import(&later, app, text, SMALL).expect("imported").refused, 0);
            assert_alike(&first, &later);
        }
    }
}

/// Every seq above the floor is there, or gone and known.
fn assert_has_no_gap(store: &KeptStore, app: &AppId) {
    for entry in store.all_channels(app, None, 1000).expect("listed") {
        let there = pages(store, &entry.channel).into_iter().rev().find(|page| !page.more).expect("a last page");
        let known = there.messages.len() as u64 + there.removed.deleted + there.removed.expired;
        assert_eq!(known, entry.head.last.seq.above(entry.head.floor.seq), "{:?}", entry.channel);
    }
}

/// A store in which a channel has lived from a tick on.
fn lived(room: &Channel, tick: u64, steps: &[Step]) -> OnMemory {
    let on = empty();
    Life { on: &on, rooms: vec![room.clone()], from: Id::MIN, tick }.live(steps);
    on
}

const PUBLISH: Step = Step::Publish { room: 0, by: 0, due: None };
const LATER: u64 = testkit::FIRST_TICK + 1_000_000_000;

#[test]
fn nothing_comes_back_below_a_floor() {
    let (old, _) = story(Id::MAX);
    let text = exported(&old.store, &header(app()), Id::MIN);
    let room = channel("room");
    let on = lived(&room, LATER, &[PUBLISH, PUBLISH, PUBLISH, Step::Floor { room: 0, keep: 500 }]);
    let before = pages(&on.store, &room);
    let imported = import(&on, &app(), &text);
    assert_eq!((imported.below_floors, imported.messages, imported.beneath), (10, 0, 0), "{imported:?}");
    assert_eq!(pages(&on.store, &room), before);
}

#[test]
fn what_overlaps_stays_out() {
    let room = channel("room");
    let text = exported(&lived(&room, LATER, &[PUBLISH; 10]).store, &header(app()), Id::MIN);
    for begins in [LATER - TICK / 2, LATER + TICK / 2, LATER + 5 * TICK - 1, LATER + 8 * TICK + 1] {
        let on = lived(&room, begins, &[PUBLISH; 3]);
        let before = pages(&on.store, &room);
        let imported = import(&on, &app(), &text);
        assert_eq!((imported.refused, imported.messages, imported.beneath), (1, 0, 0), "{imported:?}");
        assert!(imported.refusals[0].contains("channel room") && imported.refusals[0].contains("--to"));
        assert_eq!(pages(&on.store, &room), before);
        let archive = AppId::new("archive").expect("a valid name");
        let imported = import(&on, &archive, &text);
        assert_eq!((imported.refused, imported.channels), (0, 1), "{imported:?}");
    }
}

#[test]
fn a_reaction_with_the_id_of_another_keeps_its_channel_out() {
    let (old, _) = story(Id::MAX);
    let text = exported(&old.store, &header(app()), Id::MIN);
    let room = channel("room");
    let id = old.store.reactions(&room, Span::ALL, None, 10).expect("read")[0].id;
    for (at, is_refused) in [(id.ticks(), true), (id.ticks() + 1, false)] {
        let on = empty();
        let mut life = Life { on: &on, rooms: vec![room.clone()], from: Id::MIN, tick: id.ticks() - 1 };
        life.publish(&room, 0, None);
        life.tick = at;
        life.with_message(0, 0, |life, message| life.react(&message));
        let before = pages(&on.store, &room);
        let imported = import(&on, &app(), &text);
        assert_eq!(imported.refused == 1, is_refused, "{imported:?}");
        assert_eq!(pages(&on.store, &room) == before, is_refused);
        assert_eq!(on.store.reactions(&room, Span::ALL, None, 10).expect("read").len(), 2 - usize::from(is_refused));
        assert_eq!(on.store.verify(&mut |_| {}).expect("verified"), []);
    }
}

#[test]
fn an_older_history_comes_in_below_what_came_in_beneath() {
    let room = channel("room");
    let texts = [LATER / 2, LATER / 4].map(|tick| {
        let one = lived(&room, tick, &[PUBLISH; 300]);
        exported(&one.store, &header(app()), Id::MIN)
    });
    let on = lived(&room, LATER, &[PUBLISH; 5]);
    for text in &texts {
        let imported = try_import(&on, &app(), text, SMALL).expect("imported");
        assert_eq!((imported.refused, imported.messages, imported.beneath), (0, 300, 1), "{imported:?}");
    }
    for text in texts.iter().rev() {
        assert_eq!(import(&on, &app(), text).skipped, 300);
    }
    let page = pages(&on.store, &room).pop().expect("a page");
    let seqs: Vec<i64> = page.messages.iter().map(|message| message.seq.0).collect();
    assert_eq!(seqs, (-599..=5).collect::<Vec<_>>());
    assert!(page.messages.is_sorted_by(|one, other| one.id < other.id));
    assert_eq!((page.floor.seq, page.head.seq), (Seq(-600), Seq(5)));
    assert_eq!(on.store.verify(&mut |_| {}).expect("verified"), []);
}

/// The text of a room that lived from a tick on.
fn text_of(room: &Channel, tick: u64, steps: &[Step]) -> Vec<u8> {
    exported(&lived(room, tick, steps).store, &header(app()), Id::MIN)
}

/// A store that had a history from the beginning and one that got it below what was there: cut behind each batch, lived in,
/// and gone on with.
fn assert_gone_on_with(room: &Channel, text: &[u8], then: &[Step]) {
    let live = |on: &OnMemory, steps: &[Step], tick: u64| {
        let mut life = Life { on, rooms: vec![room.clone()], from: Id::new(LATER, 0), tick };
        life.live(steps);
        life.tick
    };
    for n in 0.. {
        let (first, later) = (empty(), empty());
        import(&first, &app(), text);
        let tick = live(&first, &[PUBLISH; 3], LATER);
        live(&later, &[PUBLISH; 3], LATER);
        let (later, done) = import_cut(later, &app(), text, n);
        assert_eq!(later.store.verify(&mut |_| {}).expect("verified"), [], "cut at {n}");
        assert_has_no_gap(&later.store, &app());
        live(&first, then, tick);
        live(&later, then, tick);
        assert_has_no_gap(&later.store, &app());
        assert_eq!(try_import(&later, &app(), text, SMALL).expect("imported").refused, 0, "cut at {n}");
        assert_alike(&first, &later);
        if done {
            return;
        }
    }
}

const DELETE_SOME: Step = Step::Delete { room: 0, from: 300, to: 600 };

#[test]
fn a_cut_above_messages_that_are_gone_is_gone_on_with() {
    let room = channel("room");
    let text = text_of(&room, LATER / 2, &[&[PUBLISH; 20][..], &[DELETE_SOME]].concat());
    assert_gone_on_with(&room, &text, &[PUBLISH]);
}

#[test]
fn a_cut_within_a_message_is_gone_on_with() {
    let room = channel("room");
    for edits in [10, 12, 25] {
        let steps = [vec![PUBLISH; 10], vec![Step::Edit { room: 0, at: 500 }; edits]].concat();
        assert_gone_on_with(&room, &text_of(&room, LATER / 2, &steps), &[PUBLISH]);
    }
}

#[test]
fn a_channel_lives_on_while_its_history_is_half_there() {
    let room = channel("room");
    let (delete, react) = (Step::Delete { room: 0, from: 0, to: 100 }, Step::React { room: 0, at: 500 });
    let due = Step::Publish { room: 0, by: 1, due: Some(5) };
    let before =
        [PUBLISH, due, PUBLISH, DELETE_SOME, PUBLISH, due, due, react, Step::Edit { room: 0, at: 0 }].repeat(4);
    let text = text_of(&room, LATER / 2, &before);
    assert_gone_on_with(&room, &text, &[delete, PUBLISH, react, Step::Sweep, due, Step::Flush, delete, PUBLISH]);
}

#[test]
fn what_is_published_above_an_imported_history_counts_on_from_it() {
    let room = channel("room");
    let on = lived(&room, LATER, &[PUBLISH; 3]);
    import(&on, &app(), &text_of(&room, LATER / 2, &[PUBLISH; 40]));
    let old = Header { upto: Id::new(LATER, 0), ..header(app()) };
    let (other, text) = (empty(), exported(&on.store, &old, Id::MIN));
    assert_eq!(import(&other, &app(), &text).messages, 40);
    Life { on: &other, rooms: vec![room.clone()], from: Id::MIN, tick: LATER }.live(&[PUBLISH; 3]);
    assert_alike(&on, &other);
    assert_eq!(pages(&on.store, &room), pages(&other.store, &room), "with the same seqs");
}

#[test]
fn a_floor_right_below_the_first_published_message_is_exported() {
    let room = channel("room");
    let on = lived(&room, LATER, &[PUBLISH; 3]);
    import(&on, &app(), &text_of(&room, LATER / 2, &[PUBLISH; 7]));
    Life { on: &on, rooms: vec![room.clone()], from: Id::MIN, tick: LATER * 2 }
        .live(&[Step::Floor { room: 0, keep: 300 }]);
    let other = empty();
    import(&other, &app(), &exported(&on.store, &header(app()), Id::MIN));
    super::assert_equal(&on.store, &other.store, &app());
}

#[test]
fn a_channel_of_which_only_its_floor_is_left_is_gone_on_with_by_its_own_seqs() {
    let room = channel("room");
    let old = text_of(&room, LATER / 2, &[PUBLISH; 7]);
    let on = lived(&room, LATER, &[PUBLISH; 3]);
    import(&on, &app(), &old);
    let other = empty();
    import(&other, &app(), &old);
    let everything = || exported(&on.store, &header(app()), Id::MIN);
    assert_eq!(import(&other, &app(), &everything()).messages, 3);
    let life = |on| Life { on, rooms: vec![room.clone()], from: Id::MIN, tick: LATER * 2 };
    life(&other).live(&[Step::Floor { room: 0, keep: 0 }]);
    life(&on).live(&[PUBLISH]);
    let imported = import(&other, &app(), &everything());
    assert_eq!((imported.messages, imported.below_floors, imported.refused), (1, 10, 0), "{imported:?}");
    let head = |on: &OnMemory| on.store.heads(std::slice::from_ref(&room)).expect("read")[0].last;
    assert_eq!((head(&on).seq, head(&other).seq), (Seq(4), Seq(11)));
    assert_eq!(other.store.verify(&mut |_| {}).expect("verified"), []);
}

#[test]
fn what_a_part_of_a_history_left_out_comes_in_later() {
    let room = channel("room");
    let one = lived(&room, LATER, &[PUBLISH; 40]);
    let at = |seq: u64| Id::new(LATER + seq * TICK, 0);
    let all = exported(&one.store, &header(app()), Id::MIN);
    let newest = exported(&one.store, &Header { after: at(30), ..header(app()) }, Id::MIN);
    let middle = exported(&one.store, &Header { after: at(10), upto: at(30), ..header(app()) }, Id::MIN);
    let other = empty();
    for (text, messages, skipped) in
        [(&newest, 10, 0), (&middle, 20, 0), (&all, 10, 30), (&newest, 0, 10), (&all, 0, 40)]
    {
        let imported = import(&other, &app(), text);
        assert_eq!((imported.messages, imported.skipped, imported.refused), (messages, skipped, 0), "{imported:?}");
        assert_has_no_gap(&other.store, &app());
    }
    super::assert_equal(&one.store, &other.store, &app());
    assert_eq!(other.store.verify(&mut |_| {}).expect("verified"), []);
}
