//! Random histories with power cuts and failing devices, held against the plain list of what was acknowledged. The cuts
//! fall into any write of a flush, and each row of the write survives or not by the choice of the seed.

mod support;

use model::{
    ApplyError, Batch, Change, Channel, ChannelName, Effort, FeedItem, FeedKind, Id, Order, Position, Reaction,
    Selection, SelectionWindow, Selector, Seq, Span, Store, Target, What, Window,
};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use store::Settings;
use support::OnMemory;
use testkit::{
    BatchBuilder, ChannelState, Fields, LogFault, MemoryStore, TableFault, app, channel, judge, removal_of, setting,
    store_suite::StoreUnderTest, user,
};

const CHANNELS: usize = 5;

/// The channels of a run: the last one is a direct chat.
fn room(n: usize) -> Channel {
    match n + 1 {
        CHANNELS => Channel { name: ChannelName::direct("ann", "bob"), ..channel("chat") },
        _ => channel(&format!("room {n}")),
    }
}

#[derive(Clone, Debug)]
enum Op {
    /// A batch: (channel, messages of it, bytes of each, whether they expire)…
    Publish(Vec<(usize, u8, u16, bool)>),
    Record(u8, bool),
    /// Things happen to messages of a channel, one batch each.
    Alter(Vec<(usize, Alter, u16)>),
    Flush,
    Sweep,
    /// The power is cut in the `n`th write of a sweep.
    SweepCut {
        write: u32,
        seed: u64,
    },
    /// Everything that was removed leaves the device.
    Erase,
    /// The flush fails in its `n`th write, and is tried again.
    FlushFails {
        write: u32,
        after_spaces: usize,
    },
    /// The power is cut in the `n`th write of a flush.
    FlushCut {
        write: u32,
        seed: u64,
    },
    Restart,
    /// A restart, after which the app is listed by author and recipient, or not.
    Relist(bool),
    /// The append fails like this; then `settle`, before or after a power cut, decides.
    Append {
        fault: LogFault,
        cut: bool,
    },
    RewriteFails,
}

#[derive(Clone, Copy, Debug)]
enum Alter {
    Edit,
    Unedit,
    DeleteOne,
    DeleteMany,
    Expire,
    Floor,
    React,
    Unreact,
}

fn op() -> impl Strategy<Value = Op> {
    use Alter::{DeleteMany, DeleteOne, Edit, Expire, Floor, React, Unedit, Unreact};
    let alter = prop_oneof![
        3 => Just(Edit), 1 => Just(Unedit), 3 => Just(DeleteOne), 1 => Just(DeleteMany), 2 => Just(Expire), 1 => Just(Floor),
        3 => Just(React), 1 => Just(Unreact)
    ];
    let alters = prop::collection::vec((0..CHANNELS, alter, 0u16..1000), 1..6);
    let part = (0..CHANNELS, 1u8..40, prop_oneof![9 => 0u16..200, 1 => 1000u16..4000], any::<bool>());
    let fault = prop_oneof![Just(LogFault::Refuse), Just(LogFault::UnknownKept), Just(LogFault::UnknownLost)];
    prop_oneof![
        8 => prop::collection::vec(part, 1..4).prop_map(Op::Publish),
        1 => (0u8..3, any::<bool>()).prop_map(|(name, set)| Op::Record(name, set)),
        6 => alters.prop_map(Op::Alter),
        2 => Just(Op::Flush),
        1 => Just(Op::Sweep),
        1 => (1u32..5, any::<u64>()).prop_map(|(write, seed)| Op::SweepCut { write, seed }),
        1 => Just(Op::Erase),
        1 => (1u32..8, 0usize..3).prop_map(|(write, after_spaces)| Op::FlushFails { write, after_spaces }),
        4 => (1u32..10, any::<u64>()).prop_map(|(write, seed)| Op::FlushCut { write, seed }),
        1 => Just(Op::Restart),
        1 => any::<bool>().prop_map(Op::Relist),
        1 => (fault, any::<bool>()).prop_map(|(fault, cut)| Op::Append { fault, cut }),
        1 => Just(Op::RewriteFails),
    ]
}

/// The store, and what it must know.
struct History {
    tested: OnMemory,
    builder: BatchBuilder,
    /// What happened, in the plainest reading.
    oracle: MemoryStore,
    records: BTreeMap<u8, Vec<u8>>,
    changes: Vec<Arc<Change>>,
}

impl History {
    fn new(settings: Settings) -> History {
        let (tested, builder) = (OnMemory::empty(settings), BatchBuilder::new());
        tested.store.settle(builder.shard(), builder.epoch()).expect("an empty store settles");
        let (oracle, records, changes) = (MemoryStore::new(), BTreeMap::new(), Vec::new());
        oracle.settle(builder.shard(), builder.epoch()).expect("the oracle settles");
        History { tested, builder, oracle, records, changes }
    }

    fn happened(&mut self, batch: &Batch) {
        self.oracle.apply(batch).expect("the oracle takes a valid batch");
        for change in &batch.changes {
            self.changes.push(change.clone());
            match &**change {
                Change::Channel(_) => {}
                Change::Record(change) => {
                    let name = *change.key.name.last().expect("names here are not empty");
                    match &change.value {
                        Some(value) => self.records.insert(name, value.to_vec()),
                        None => self.records.remove(&name),
                    };
                }
            }
        }
    }

    fn apply(&mut self) {
        let batch = self.builder.batch();
        self.tested.store.apply(&batch).expect("a valid batch is applied");
        self.happened(&batch);
    }

    fn publish(&mut self, parts: &[(usize, u8, u16, bool)]) {
        for (room, count, bytes, expires) in parts {
            for n in 0..*count {
                let text = format!("{n} {}", "x".repeat(usize::from(*bytes)));
                let due = Id::from_raw(self.builder.next_id().raw() + 1000 * u64::from(n % 7));
                let users = [user("ann"), user("bob")];
                let [from, to] = if n % 3 == 0 { [0, 1] } else { [1, 0] };
                let fields = Fields {
                    author: (n % 5 > 0).then(|| users[from].clone()),
                    recipient: Some(users[to].clone()),
                    expires_at: expires.then_some(due),
                    ..Fields::default()
                };
                self.builder.publish_with(&crate::room(*room), &text, fields);
            }
        }
    }

    fn alter(&mut self, room: &Channel, alter: Alter, place: u16) {
        let state = self.oracle.state(room);
        let there: Vec<_> = state.there().cloned().collect();
        let nth = |count: usize| usize::from(place) * count / 1000;
        let Some(message) = there.get(nth(there.len())) else { return };
        let reaction = Reaction {
            message: message.id,
            user: user("ann"),
            kind: "reaction".into(),
            value: format!("{}", place % 3).into(),
        };
        let versions = self.oracle.versions(room, message.id).expect("the oracle answers");
        let builder = &mut self.builder;
        match alter {
            Alter::Edit => drop(builder.edit(room, message, &format!("edited {place}"))),
            Alter::Unedit => {
                if let Some(edit) = versions.get(1) {
                    builder.unedit(room, message, &[edit.at]);
                }
            }
            Alter::DeleteOne => drop(builder.delete(room, removal_of(std::slice::from_ref(message)))),
            Alter::DeleteMany => drop(builder.delete(room, removal_of(&there[nth(there.len())..]))),
            Alter::Expire => {
                let due: Vec<_> = there.into_iter().filter(|m| m.is_expired(builder.next_id())).take(9).collect();
                if !due.is_empty() {
                    builder.expire(room, removal_of(&due));
                }
            }
            Alter::Floor => drop(builder.floor(room, Position { id: message.id, seq: message.seq })),
            Alter::React => {
                if self.oracle.reaction(room, &reaction).expect("the oracle knows").is_none() {
                    builder.react(room, &reaction);
                }
            }
            Alter::Unreact => {
                let made = self.oracle.reactions_made(room, Span::ALL, Order::Ascending, 1).expect("the oracle knows");
                if let Some(made) = made.first() {
                    builder.unreact(room, made.id, &made.reaction);
                }
            }
        }
        self.apply();
    }

    fn take_over(&mut self) {
        let settled = self.tested.store.settle(self.builder.shard(), self.builder.epoch() + 1).expect("settle");
        self.oracle.settle(self.builder.shard(), self.builder.epoch() + 1).expect("the oracle settles");
        self.builder.take_over(settled);
    }

    fn reopen(mut self, open: impl FnOnce(OnMemory) -> OnMemory) -> History {
        self.tested = open(self.tested);
        self.take_over();
        self
    }

    fn run(mut self, op: &Op) -> History {
        match op {
            Op::Publish(parts) => {
                self.publish(parts);
                self.apply();
            }
            Op::Record(name, set) => {
                let value = self.builder.next_id().raw().to_le_bytes();
                self.builder.set(&setting(&[b'a' + name]), set.then_some(&value[..]));
                self.apply();
            }
            Op::Alter(alters) => {
                for (room, alter, place) in alters {
                    self.alter(&crate::room(*room), *alter, *place);
                }
            }
            Op::Flush => self.tested.flush(),
            Op::Sweep => drop(self.tested.store.sweep(Duration::from_secs(1)).expect("a sweep works")),
            Op::SweepCut { write, seed } => {
                self.fault_at(*write, TableFault::PowerCut { seed: *seed });
                let _ = self.tested.store.sweep(Duration::from_secs(1));
                self.tested.table.on_write(|| {});
                return self.reopen(OnMemory::crash);
            }
            Op::Erase => {
                let rooms: Vec<Channel> = (0..CHANNELS).map(room).collect();
                self.tested.store.erase(&rooms).expect("an erasure works");
                self.oracle.erase(&rooms).expect("an erasure works");
            }
            Op::FlushFails { write, after_spaces } => {
                self.fault_at(*write, TableFault::WriteFailsAfter(*after_spaces));
                let _ = self.tested.store.flush();
                self.tested.table.on_write(|| {});
            }
            Op::FlushCut { write, seed } => {
                self.fault_at(*write, TableFault::PowerCut { seed: *seed });
                let _ = self.tested.store.flush();
                self.tested.table.on_write(|| {});
                return self.reopen(OnMemory::crash);
            }
            Op::Restart => return self.reopen(OnMemory::restart),
            Op::Relist(listed) => {
                self.tested.settings.indexed_apps = Some(if *listed { support::apps() } else { BTreeSet::new() });
                return self.reopen(OnMemory::restart);
            }
            Op::Append { fault, cut } => return self.append(*fault, *cut),
            Op::RewriteFails => {
                self.tested.log.plan(LogFault::RewriteFails);
                self.tested = self.tested.restart();
                let epoch = self.builder.epoch() + 1;
                assert!(self.tested.store.settle(self.builder.shard(), epoch).is_err(), "the rewrite fails");
                self.take_over();
            }
        }
        self
    }

    /// The `n`th write to the table from now on ends like this.
    fn fault_at(&self, write: u32, fault: TableFault) {
        let (table, left) = (self.tested.table.clone(), AtomicU32::new(write));
        self.tested.table.on_write(move || {
            if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                table.plan(fault);
            }
        });
    }

    fn append(mut self, fault: LogFault, cut: bool) -> History {
        let way_back = self.builder.clone();
        self.publish(&[(0, 3, 10, false)]);
        let batch = self.builder.batch();
        self.tested.log.plan(fault);
        let outcome = self.tested.store.apply(&batch);
        assert_eq!(matches!(outcome, Err(ApplyError::Refused(_))), fault == LogFault::Refuse, "{outcome:?}");
        if cut {
            self.tested = self.tested.crash();
        }
        let (way_back_shard, way_back_epoch) = (way_back.shard(), way_back.epoch());
        let settled = self.tested.store.settle(way_back_shard, way_back_epoch + 1).expect("settle");
        match settled.last_batch == batch.number {
            true => self.happened(&batch),
            false => self.builder = way_back,
        }
        self.oracle.settle(way_back_shard, way_back_epoch + 1).expect("the oracle settles");
        self.builder.take_over(settled);
        self
    }

    fn check(&self) {
        let store = self.tested.store();
        let now = self.builder.next_id();
        for (room, state) in &self.oracle.states(self.builder.shard()) {
            self.check_pages(room, state, now);
            self.check_asides(room, now);
        }
        let due = store.due(self.builder.shard(), now, 50).expect("what is due is told");
        let states = self.oracle.states(self.builder.shard());
        let states = states.iter().map(|(channel, state)| (channel, state));
        judge::due(&due, now, 50, states).unwrap_or_else(|why| panic!("{why}"));
        self.check_selections(now);
        self.check_feed();
        for name in 0u8..3 {
            let key = setting(&[b'a' + name]);
            let found = store.record(&key).expect("records are read").map(|record| record.value.to_vec());
            assert_eq!(found.as_ref(), self.records.get(&(b'a' + name)));
        }
        let findings = self.tested.store.verify(&mut |_| {}).expect("verify reads everything");
        assert_eq!(findings, [], "verify is silent");
    }

    fn check_pages(&self, room: &Channel, state: &ChannelState, now: Id) {
        let store = self.tested.store();
        let ids: Vec<Id> = state.messages().map(|message| message.id).collect();
        let (some, other) = (ids[ids.len() / 3], ids[ids.len() - 1 - ids.len() / 4]);
        let spans = [Span::ALL, Span { after: some.min(other), upto: some.max(other) }];
        let above = [Seq::NONE, Seq(ids.len() as i64 / 2)];
        for (span, above, order, limit) in [
            (spans[0], above[0], Order::Ascending, 10_000),
            (spans[0], above[0], Order::Descending, 7),
            (spans[1], above[0], Order::Descending, 10_000),
            (spans[1], above[1], Order::Ascending, 5),
            (spans[0], above[1], Order::Ascending, 300),
            (spans[0], above[1], Order::Descending, 300),
        ] {
            let window = Window { span, order, limit, above, author: None, custom_type: None, now };
            let page = store.read(room, &window, Effort::Disk).expect("reads work").expect("with an answer");
            judge::page_of(&page, &window, state).unwrap_or_else(|why| panic!("{why}\nasked: {window:?}"));
            let ask = |store: &dyn Store| store.count(room, span, above, now).expect("counting works");
            assert_eq!(ask(store), ask(&self.oracle), "{room:?} {span:?} above {above}");
        }
    }

    fn check_selections(&self, now: Id) {
        let [ann, bob] = ["ann", "bob"].map(Arc::<str>::from);
        let pair = |author: &Arc<str>, recipient: &Arc<str>| Selector::Pair {
            author: author.clone(),
            recipient: recipient.clone(),
        };
        let within = Selector::AuthorIn { author: bob.clone(), channel: room(0).name };
        let selections = [
            vec![Selector::Author(ann.clone())],
            vec![Selector::Author(bob.clone()), Selector::Sender(bob.clone())],
            vec![Selector::Recipient(bob.clone())],
            vec![pair(&ann, &bob), pair(&bob, &ann)],
            vec![within],
            vec![Selector::Channel(room(1).name), Selector::Recipient(ann.clone())],
        ];
        for selectors in selections {
            let selection = Selection::new(selectors).expect("they are disjoint");
            for (order, offset, limit) in [(Order::Ascending, 0, 10_000), (Order::Descending, 3, 7)] {
                let window = SelectionWindow { span: Span::ALL, order, offset, limit, now };
                let ask = |store: &dyn Store| store.select(&app(), &selection, &window).expect("selecting works");
                assert_eq!(ask(self.tested.store()), ask(&self.oracle), "{selection:?} {window:?}");
            }
        }
    }

    /// Everything beside pages and counts is the same as the oracle says.
    fn check_asides(&self, room: &Channel, now: Id) {
        let ask = |store: &dyn Store| {
            let reactions = store.reactions(room, Span::ALL, None, 100).expect("reactions are read");
            let made = store.reactions_made(room, Span::ALL, Order::Descending, 100).expect("reactions are read");
            let removable = store.removable(room, &Target::Span(Span::ALL), now).expect("it can be said");
            let floor = store.floor_for(room, 3, Id::MAX).expect("it can be said");
            let head = store.heads(std::slice::from_ref(room)).expect("heads are read");
            let versions: Vec<_> = reactions
                .iter()
                .map(|entry| store.versions(room, entry.reaction.message).expect("versions are read"))
                .collect();
            (reactions, made, removable, floor, head, versions)
        };
        assert_eq!(ask(self.tested.store()), ask(&self.oracle), "{room:?}");
        let changes = self.tested.store.changes(room, Id::MIN, 10_000).expect("changes are read");
        let judged = judge::changes(&changes, Id::MIN, 10_000, &self.oracle.state(room), self.oracle.newest());
        judged.unwrap_or_else(|why| panic!("{room:?}: {why}"));
    }

    fn check_feed(&self) {
        let item = |change: &Arc<Change>| match &**change {
            Change::Channel(c) => FeedItem { id: c.id, channel: Some(c.channel.clone()), kind: kind(&c.what) },
            Change::Record(record) => FeedItem { id: record.id, channel: None, kind: FeedKind::Record },
        };
        let all: Vec<FeedItem> = self.changes.iter().map(item).collect();
        let middle = all.get(all.len() / 2).map_or(Id::MIN, |item| item.id);
        for (after, limit) in [(Id::MIN, u32::MAX), (middle, 10)] {
            let span = Span { after, upto: self.builder.next_id() };
            let page = self.tested.store.feed(self.builder.shard(), span, limit).expect("the feed is read");
            judge::feed(&page, span, limit, &all).unwrap_or_else(|why| panic!("{why}"));
        }
    }
}

fn kind(what: &What) -> FeedKind {
    match what {
        What::Edited(_) => FeedKind::Edited,
        What::Unedited(_) => FeedKind::Unedited,
        What::Deleted(_) => FeedKind::Deleted,
        What::Expired(_) => FeedKind::Expired,
        What::Floored(_) => FeedKind::Floored,
        What::Reacted(_) => FeedKind::Reacted,
        What::Unreacted { .. } => FeedKind::Unreacted,
        _ => FeedKind::Published,
    }
}

fn run(settings: Settings, ops: &[Op]) {
    let mut history = History::new(settings);
    for op in ops {
        history = history.run(op);
        history.check();
    }
    history.tested.flush();
    history.check();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn acknowledged_messages_survive_any_cut(ops in prop::collection::vec(op(), 1..25)) {
        run(support::listed(support::small_tails()), &ops);
    }

    #[test]
    fn acknowledged_messages_survive_cuts_of_large_flushes(ops in prop::collection::vec(op(), 1..25)) {
        run(support::listed(Settings { piece_bytes: 3 << 10, ..Settings::default() }), &ops);
    }
}
