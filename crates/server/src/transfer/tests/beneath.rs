//! History that comes in below what is there: but for its seqs, a store answers as if it had been there from the beginning.

use super::{
    Header, OnMemory, SMALL, apps, cuts, exported, header, import, import_cut, pages, random_stores, story, try_import,
};
use model::{
    AppId, Batch, Change, Channel, ChannelChange, ChannelNumber, Edit, Effort, Head, Id, Kind, Message, Order, Page,
    Payload, PayloadForm, Position, Reaction, Removal, Selection, SelectionWindow, Selector, Seq, ShardId, Span, Store,
    Target, What, Window,
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use std::{sync::Arc, time::Duration};
use store::KeptStore;
use testkit::{app, channel, store_suite::StoreUnderTest, user};

const TICK: u64 = 1_000;
/// Messages of a channel at which spans begin and end.
const PLACES: usize = 6;

/// What happens in a store. Messages are named by how many thousandths of those that are there lie before them.
#[derive(Clone, Copy, Debug)]
enum Step {
    Publish {
        room: usize,
        by: u8,
        due: Option<u64>,
    },
    Edit {
        room: usize,
        at: usize,
    },
    React {
        room: usize,
        at: usize,
    },
    Delete {
        room: usize,
        from: usize,
        to: usize,
    },
    /// Keeps so many thousandths.
    Floor {
        room: usize,
        keep: usize,
    },
    Flush,
    Sweep,
    Erase {
        room: usize,
    },
}

fn steps(with_floors: bool, most: usize) -> impl Strategy<Value = Vec<Step>> {
    let (room, at) = (0..8_usize, 0..1000_usize);
    let publish = (room.clone(), 0..3_u8, prop::option::weighted(0.2, 1..1_000_u64));
    let floors = u32::from(with_floors);
    let step = prop_oneof![
        12 => publish.prop_map(|(room, by, due)| Step::Publish { room, by, due }),
        3 => (room.clone(), at.clone()).prop_map(|(room, at)| Step::Edit { room, at }),
        3 => (room.clone(), at.clone()).prop_map(|(room, at)| Step::React { room, at }),
        3 => (room.clone(), at.clone(), 0..60_usize)
            .prop_map(|(room, from, more)| Step::Delete { room, from, to: from + more }),
        floors => (room.clone(), 300..1000_usize).prop_map(|(room, keep)| Step::Floor { room, keep }),
        2 => Just(Step::Flush),
        1 => Just(Step::Sweep),
        1 => room.prop_map(|room| Step::Erase { room }),
    ];
    prop::collection::vec(step, 1..most)
}

/// A store in which steps happen, from a tick on.
struct Life<'a> {
    on: &'a OnMemory,
    rooms: Vec<Channel>,
    /// Only messages from this id on are named.
    from: Id,
    tick: u64,
}

impl Life<'_> {
    fn live(&mut self, steps: &[Step]) {
        for step in steps {
            self.tick += TICK;
            match *step {
                Step::Flush => self.on.flush(),
                Step::Sweep => drop(self.on.store.sweep(Duration::from_secs(1)).expect("swept")),
                Step::Erase { room } => self.on.store.erase(&[self.room(room)]).expect("erased"),
                Step::Publish { room, by, due } => self.publish(&self.room(room), by, due),
                Step::Edit { room, at } => self.with_message(room, at, |life, message| life.edit(&message)),
                Step::React { room, at } => self.with_message(room, at, |life, message| life.react(&message)),
                Step::Delete { room, from, to } => self.delete(room, from, to),
                Step::Floor { room, keep } => self.floor(room, keep),
            }
        }
    }

    fn room(&self, room: usize) -> Channel {
        self.rooms[room % self.rooms.len()].clone()
    }

    fn head(&self, room: &Channel) -> Head {
        self.on.store.heads(std::slice::from_ref(room)).expect("read")[0]
    }

    fn there(&self, room: usize) -> Vec<Arc<Message>> {
        let span = Span { after: self.from.previous(), upto: Id::MAX };
        let (order, limit, above, now) = (Order::Ascending, 10_000, Seq::NONE, Id::MIN);
        let window = Window { span, order, limit, above, author: None, custom_type: None, now };
        self.on.store.read(&self.room(room), &window, Effort::Disk).expect("read").expect("from the disk").messages
    }

    fn with_message(&mut self, room: usize, at: usize, does: impl Fn(&Self, Arc<Message>) -> What) {
        let there = self.there(room);
        let Some(message) = there.get(at * there.len() / 1000) else { return };
        let what = does(self, message.clone());
        self.apply(&self.room(room), what);
    }

    fn edit(&self, message: &Message) -> What {
        let payload = Payload { form: PayloadForm::Text, bytes: format!("edited at {}", self.tick).into() };
        let Message { id, seq, .. } = *message;
        What::Edited(Arc::new(Edit { message: id, seq, editor: Some(user("ann")), payload, extras: None }))
    }

    fn react(&self, message: &Message) -> What {
        let (kind, value) = ("reaction".into(), format!("{}", self.tick).into());
        What::Reacted(Arc::new(Reaction { message: message.id, user: user("ann"), kind, value }))
    }

    fn delete(&mut self, room: usize, from: usize, to: usize) {
        let there = self.there(room);
        let at = |at: usize| there.get(at * there.len() / 1000).or(there.last()).map(|message| message.id);
        let (Some(from), Some(to)) = (at(from), at(to)) else { return };
        let target = Target::Span(Span { after: from.previous(), upto: to });
        let removal = self.on.store.removable(&self.room(room), &target, Id::MIN).expect("looked up");
        if !removal.seqs.is_empty() {
            self.apply(&self.room(room), What::Deleted(Arc::new(removal)));
        }
    }

    fn floor(&mut self, room: usize, keep: usize) {
        let (channel, there) = (self.room(room), self.there(room));
        let keep = (there.len() * keep / 1000) as u64;
        let floor = self.on.store.floor_for(&channel, keep, Id::MAX).expect("looked up");
        if floor.seq > self.head(&channel).floor.seq {
            self.apply(&channel, What::Floored(floor));
        }
    }

    fn publish(&mut self, room: &Channel, by: u8, due: Option<u64>) {
        let head = self.head(room);
        let message = Message {
            id: Id::new(self.tick, 0),
            seq: head.last.seq.next(),
            author: Some(user(&format!("user {by}"))),
            recipient: None,
            payload: Payload { form: PayloadForm::Text, bytes: format!("live at {}", self.tick).into() },
            kind: Kind::Message,
            custom_type: None,
            extras: None,
            edited_at: None,
            expires_at: due.map(|ticks| Id::new(self.tick + ticks * TICK, 0)),
        };
        let first = head.number == ChannelNumber::NONE;
        self.apply(room, What::Published { message: Arc::new(message), key: None, first });
    }

    fn apply(&self, room: &Channel, what: What) {
        let (settled, head) = (self.on.settle(), self.head(room));
        let is_new = head.number == ChannelNumber::NONE;
        let number = if is_new { ChannelNumber(settled.last_number.0 + 1) } else { head.number };
        let change = ChannelChange { id: Id::new(self.tick, 0), channel: room.clone(), number, what };
        let changes = vec![Arc::new(Change::Channel(change))];
        let (shard, number, reserved) = (ShardId::default(), settled.last_batch + 1, self.tick + TICK);
        let batch = Batch { shard, epoch: super::LATE_EPOCH, number, reserved, changes };
        self.on.store.settle(shard, super::LATE_EPOCH).expect("settled");
        self.on.store.apply(&batch).expect("applied");
    }
}

/// Two stores that answer the same, but for the seqs of each channel, which all differ by as much.
struct Alike<'a> {
    one: &'a KeptStore,
    other: &'a KeptStore,
}

impl Alike<'_> {
    fn assert(&self, app: &AppId) {
        let listed = |store: &KeptStore| store.all_channels(app, None, 1000).expect("listed");
        let names = |store: &KeptStore| listed(store).into_iter().map(|entry| entry.channel).collect::<Vec<_>>();
        assert_eq!(names(self.one), names(self.other));
        names(self.one).iter().for_each(|channel| self.assert_channel(channel));
        for id in ["user 0", "user 1", "ann"] {
            for selector in [Selector::Author(id.into()), Selector::Sender(id.into()), Selector::Recipient(id.into())] {
                self.assert_selected(app, &Selection::new(vec![selector]).expect("valid"));
            }
        }
        let due = |store: &KeptStore| {
            let due = store.due(ShardId::default(), Id::MAX.previous(), 10_000).expect("read");
            let of_app = due.into_iter().filter(|due| due.channel.app == *app);
            let ids = |due: model::Due| (due.channel, due.messages.iter().map(|at| at.id).collect::<Vec<_>>());
            of_app.map(ids).collect::<Vec<_>>()
        };
        assert_eq!(due(self.one), due(self.other));
    }

    fn shift(&self, channel: &Channel) -> i64 {
        let last = |store: &KeptStore| store.heads(std::slice::from_ref(channel)).expect("read")[0].last;
        let (one, other) = (last(self.one), last(self.other));
        assert_eq!(one.id, other.id, "{channel:?}");
        other.seq.0 - one.seq.0
    }

    fn assert_channel(&self, channel: &Channel) {
        let (Alike { one, other }, shift) = (self, self.shift(channel));
        let moved = |seq: Seq| Seq(seq.0 + shift);
        let of_one: Vec<Page> = pages(one, channel).into_iter().map(|page| moved_page(page, shift)).collect();
        let of_other = pages(other, channel);
        assert_eq!(of_one, of_other, "{channel:?}");
        let gone = |store: &KeptStore| store.gone(channel, Span::ALL, 10_000).expect("read");
        let of_one_gone: Vec<_> =
            gone(one).into_iter().map(|(at, is)| (Position { seq: moved(at.seq), ..at }, is)).collect();
        assert_eq!(of_one_gone, gone(other));
        let removable = |store: &KeptStore| -> Removal {
            store.removable(channel, &Target::Span(Span::ALL), Id::MIN).expect("looked up")
        };
        assert_eq!(moved_removal(&removable(one), shift), removable(other));
        let reactions = |store: &KeptStore| store.reactions(channel, Span::ALL, None, 10_000).expect("read");
        assert_eq!(reactions(one), reactions(other));
        let made = |store: &KeptStore| store.reactions_made(channel, Span::ALL, Order::Descending, 10_000);
        assert_eq!(made(one).expect("read"), made(other).expect("read"));
        let changes = |store: &KeptStore| {
            let page = store.changes(channel, Id::MIN, 10_000).expect("read");
            (page.changes.iter().map(|change| change.id()).collect::<Vec<_>>(), page.starts_after)
        };
        let (of_one, of_other_changes) = (changes(one), changes(other));
        // An erasure takes the feed of a channel that is there.
        assert!(of_one.0 == of_other_changes.0 && of_one.1 >= of_other_changes.1, "{of_one:?} {of_other_changes:?}");
        for message in &of_other.last().expect("a page of all").messages {
            let upto = Span { after: Id::MIN, upto: message.id };
            for now in [Id::MIN, Id::MAX.previous()] {
                let count = |store: &KeptStore, above| store.count(channel, upto, above, now).expect("counted");
                assert_eq!(count(one, Seq::NONE), count(other, Seq::NONE));
                assert_eq!(count(one, Seq(3)), count(other, moved(Seq(3))));
            }
            let versions = |store: &KeptStore| store.versions(channel, message.id).expect("read");
            assert_eq!(versions(one), versions(other));
            assert_eq!(other.position_of(channel, message.id).expect("read").map(|at| at.seq), Some(message.seq));
        }
        for keep in [0, 1, 5, 1000] {
            let floor = |store: &KeptStore| store.floor_for(channel, keep, Id::MAX).expect("looked up");
            assert_eq!(floor(one).id, floor(other).id);
        }
        let all = &of_other.last().expect("a page of all").messages;
        all.iter().step_by(1 + all.len() / PLACES).for_each(|message| self.assert_place(channel, message, shift));
    }

    /// What begins or ends at a message, by its id or by its seq.
    fn assert_place(&self, channel: &Channel, message: &Message, shift: i64) {
        let (id, seq) = (message.id, message.seq);
        let above = |store: &KeptStore, order, above: Seq| {
            let (span, limit, author, custom_type, now) = (Span::ALL, 5, None, None, Id::MIN);
            let window = Window { span, order, limit, above, author, custom_type, now };
            store.read(channel, &window, Effort::Disk).expect("read").expect("from the disk")
        };
        for order in [Order::Ascending, Order::Descending] {
            let of_one = above(self.one, order, Seq(seq.0 - shift));
            assert_eq!(moved_page(of_one, shift), above(self.other, order, seq));
        }
        let behind = Span { after: id, upto: Id::MAX };
        let up_to = Span { after: Id::MIN, upto: id };
        for target in [Target::Span(behind), Target::Span(up_to), Target::Ids(vec![id.previous(), id])] {
            let removable = |store: &KeptStore| store.removable(channel, &target, Id::MIN).expect("looked up");
            assert_eq!(moved_removal(&removable(self.one), shift), removable(self.other));
        }
        let same = |ask: &dyn Fn(&KeptStore) -> u64| assert_eq!(ask(self.one), ask(self.other));
        same(&|store| store.count(channel, behind, Seq::NONE, Id::MIN).expect("counted"));
        same(&|store| store.floor_for(channel, 1, id).expect("looked up").id.raw());
    }

    fn assert_selected(&self, app: &AppId, selection: &Selection) {
        let selected = |store: &KeptStore| {
            let (span, order, now) = (Span::ALL, Order::Ascending, Id::MIN);
            let window = SelectionWindow { span, order, offset: 0, limit: 1000, now };
            let page = store.select(app, selection, &window).expect("selected");
            let total = store.count_selected(app, selection, span, now).expect("counted");
            let behind = SelectionWindow { order: Order::Descending, offset: total / 3, limit: 5, ..window };
            let behind = store.select(app, selection, &behind).expect("selected");
            let payload = |message: &Message| (message.id, message.payload.clone());
            let hits = page.messages.iter().chain(&behind.messages);
            (hits.map(|hit| (hit.channel.clone(), payload(&hit.message))).collect::<Vec<_>>(), total)
        };
        assert_eq!(selected(self.one), selected(self.other));
    }
}

fn moved_page(mut page: Page, shift: i64) -> Page {
    page.floor.seq.0 += shift;
    page.head.seq.0 += shift;
    page.messages.iter_mut().for_each(|message| Arc::make_mut(message).seq.0 += shift);
    page
}

fn moved_removal(removal: &Removal, shift: i64) -> Removal {
    let mut removal = removal.clone();
    removal.seqs.iter_mut().for_each(|range| {
        range.first.0 += shift;
        range.last.0 += shift;
    });
    removal
}

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
        let first = OnMemory::empty();
        texts.iter().for_each(|(app, text)| drop(import(&first, app, text)));
        let begins = first.settle().reserved + TICK;
        let from = Id::new(begins, 0);
        let later = OnMemory::empty();
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
        let OnMemory { store, log, table } = later;
        drop(store);
        let later = OnMemory::settled(log, table);
        assert_alike(&first, &later);
        for (app, text) in &texts {
            let again = import(&later, app, text);
            assert_eq!((again.messages, again.gone, again.refused), (0, 0, 0), "{again:?}");
        }
        assert_alike(&first, &later);
        // And out of it again, with seqs from below the start.
        let third = OnMemory::empty();
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
            let first = OnMemory::empty();
            import(&first, app, text);
            first
        };
        let begins = with_history().settle().reserved + TICK;
        let from = Id::new(begins, 0);
        let lived = |on: OnMemory| {
            let tick = live(&on, &old, &before, from, begins);
            (on, tick)
        };
        let later = || lived(OnMemory::empty()).0;
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
    let on = OnMemory::empty();
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
        let on = OnMemory::empty();
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
        let (first, later) = (OnMemory::empty(), OnMemory::empty());
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
    let (other, text) = (OnMemory::empty(), exported(&on.store, &old, Id::MIN));
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
    let other = OnMemory::empty();
    import(&other, &app(), &exported(&on.store, &header(app()), Id::MIN));
    super::assert_equal(&on.store, &other.store, &app());
}

#[test]
fn a_channel_of_which_only_its_floor_is_left_is_gone_on_with_by_its_own_seqs() {
    let room = channel("room");
    let old = text_of(&room, LATER / 2, &[PUBLISH; 7]);
    let on = lived(&room, LATER, &[PUBLISH; 3]);
    import(&on, &app(), &old);
    let other = OnMemory::empty();
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
    let other = OnMemory::empty();
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
