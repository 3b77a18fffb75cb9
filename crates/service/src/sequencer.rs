//! The one owner of order, and the committer: one thread that takes everything that waits, gives each change its id,
//! number and seq, has the store make the batch durable, makes it known and answers. Nothing else in the program is
//! serial. No timer delays a lone message: a batch is what came while the one before was committed.
//!
//! It never reads the store. What it does not remember is looked up beside it (`lookup.rs`), and the request
//! comes back. How a change is decided is in `decide.rs`, how a batch ends in `commit.rs`.

use crate::{
    Settings,
    decide::recall,
    hash::Place,
    known::{Entry, Known},
    live::Live,
    metrics::Metrics,
    order::{LookUp, Request},
    queue::Queue,
    removals::Removals,
    ring::Recent,
};
use model::{Batch, ChannelNumber, Clock, Error, Id, MAX_TICKS, Result, Settled, ShardId, Store, limits};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, mpsc::Sender},
    time::Duration,
};

/// On one machine there is one shard, which has one owner for ever.
pub const SHARD: ShardId = ShardId(0);
/// The epoch of that owner.
pub const EPOCH: u64 = 1;

/// Later than this no clock is believed, so that ids never run out (the year 3111).
const LATEST_TICKS: u64 = MAX_TICKS / 2;

/// How often a request is looked up, because what it is about keeps changing, before it is refused.
const MOST_ROUNDS: u32 = 1_000;

/// What changed in so many rounds is remembered, for requests that say what was at hand before they were made.
const ROUNDS_REMEMBERED: usize = 8;

/// What the sequencer works with.
pub(crate) struct Tools {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub live: Arc<Live>,
    pub queue: Arc<Queue>,
    pub look_ups: Sender<Vec<Request>>,
    /// Look-ups of what removals would take: beside the others, since they may be long.
    pub removal_look_ups: Sender<Vec<Request>>,
    pub metrics: Metrics,
}

pub(crate) struct Sequencer {
    pub(crate) tools: Tools,
    /// What arrived and was not looked at.
    pub(crate) waiting: VecDeque<Request>,
    /// What was decided with the batch that is being made, to be answered after its commit.
    pub(crate) decided: Vec<Request>,
    /// The last of them, when the batch was full before its last order.
    pub(crate) partial: Option<Request>,
    pub(crate) known: Known,
    pub(crate) removals: Removals,
    pub(crate) making: Making,
    /// How often everything was forgotten.
    pub(crate) era: u64,
    /// The look-ups whose answers may still be used, by the id up to which they saw everything.
    in_flight: BTreeMap<Id, usize>,
    /// The frontiers of the last rounds, the oldest first: what changed after it is remembered.
    lately: VecDeque<Id>,
    slot: u8,
    /// The last tick that was given out.
    pub(crate) last_tick: u64,
    pub(crate) last_number: ChannelNumber,
    pub(crate) reserved: u64,
    pub(crate) reserve_ahead: u64,
    pub(crate) settle_wait: Duration,
    /// An outcome stayed unknown until the end: nothing is decided any more.
    pub(crate) lost: bool,
}

/// The batch that is being made.
pub(crate) struct Making {
    /// What goes to the store.
    pub batch: Batch,
    /// What becomes known: the same and the live-only changes.
    pub changes: Vec<Recent>,
    /// The id of the stored change before each of them on its channel; only kept for a fan-out.
    pub previous: Vec<Id>,
    bytes: usize,
    /// What was remembered before.
    pub undo: Vec<(Place, Option<Entry>)>,
    pub number_before: ChannelNumber,
    pub now_ticks: u64,
    /// Whether what makes the store larger is taken.
    pub room: Result<()>,
}

impl Sequencer {
    /// Goes on after what `settled` says is there.
    pub fn new(tools: Tools, settings: &Settings, settled: Settled) -> Sequencer {
        Sequencer {
            tools,
            waiting: VecDeque::new(),
            decided: Vec::new(),
            partial: None,
            known: Known::new(settings.known_entries),
            removals: Removals::default(),
            making: Making::new(&settled),
            era: 0,
            in_flight: BTreeMap::new(),
            lately: VecDeque::with_capacity(ROUNDS_REMEMBERED),
            slot: settings.slot,
            last_tick: first_tick(&settled),
            last_number: settled.last_number,
            reserved: settled.reserved,
            reserve_ahead: (settings.reserve_ahead.as_nanos() / 100) as u64,
            settle_wait: settings.settle_wait,
            lost: false,
        }
    }

    /// Works until the queue is closed and everything that was accepted is answered.
    pub fn run(mut self) {
        loop {
            let nothing_left = self.waiting.is_empty();
            if !self.tools.queue.take(&mut self.waiting, nothing_left) {
                return;
            }
            self.tools.metrics.waiting.set(self.waiting.len() as i64);
            self.round();
        }
    }

    /// Makes one batch of what waits, commits it and answers.
    fn round(&mut self) {
        self.begin();
        let mut to_look_up = Vec::new();
        while !self.making.is_full()
            && let Some(mut request) = self.waiting.pop_front()
        {
            if self.lost {
                request.fail(&Error::unavailable("the server is stopping; nothing was stored"));
            }
            if !self.knows_enough(&mut request) {
                to_look_up.push(request);
                continue;
            }
            self.decide_all(&mut request);
            if request.is_decided() {
                self.land(&request);
                self.decided.push(request);
            } else {
                self.partial = Some(request);
            }
        }
        self.look_up(to_look_up);
        self.commit();
        if let Some(mut request) = self.partial.take() {
            request.settled = request.outcomes.len();
            self.waiting.push_front(request);
        }
        self.tools.queue.answer(&mut self.decided);
    }

    fn begin(&mut self) {
        self.making.now_ticks = self.tools.clock.now_ticks().min(LATEST_TICKS);
        self.making.number_before = self.last_number;
        self.making.room = self.tools.store.room();
        let frontier = self.tools.live.frontier();
        if self.lately.back() != Some(&frontier) {
            if self.lately.len() == ROUNDS_REMEMBERED {
                self.lately.pop_front();
            }
            self.lately.push_back(frontier);
        }
        self.forget_what_may_be_forgotten();
    }

    /// Whether everything is known that the request's orders need. What is remembered now is noted in them, since it
    /// may be forgotten before they are all decided.
    fn knows_enough(&mut self, request: &mut Request) -> bool {
        if request.is_decided() {
            return true;
        }
        if request.looked_up.is_some_and(|look_up| look_up.era == self.era) {
            return !self.is_overtaken(request);
        }
        let remembered_since = self.lately.front().copied().unwrap_or(Id::MAX);
        if request.undecided().iter().all(|order| order.is_at_hand(remembered_since)) {
            return true;
        }
        let many = request.orders.len() > 1;
        if !request.undecided().iter_mut().all(|order| recall(&self.known, order)) {
            return false;
        }
        if many {
            self.take_off(request);
        }
        true
    }

    fn decide_all(&mut self, request: &mut Request) {
        while !self.making.is_full()
            && let Some(order) = request.orders.get_mut(request.outcomes.len())
        {
            let outcome = self.decide(order);
            request.outcomes.push(outcome);
        }
    }

    /// Asks for what is missing; the requests come back through the queue.
    fn look_up(&mut self, requests: Vec<Request>) {
        let (mut removals, mut others) = (Vec::new(), Vec::new());
        for mut request in requests {
            self.land(&request);
            request.rounds += 1;
            if request.rounds > MOST_ROUNDS {
                request.fail(&Error::unavailable("what it is about keeps changing; nothing was stored"));
                request.looked_up = None;
                self.decided.push(request);
                continue;
            }
            self.take_off(&mut request);
            if request.removes() { removals.push(request) } else { others.push(request) }
        }
        self.send(others, false);
        self.send(removals, true);
    }

    fn send(&mut self, requests: Vec<Request>, removals: bool) {
        if requests.is_empty() {
            return;
        }
        self.tools.metrics.looked_up.inc_by(requests.len() as u64);
        let to = if removals { &self.tools.removal_look_ups } else { &self.tools.look_ups };
        if let Err(unsent) = to.send(requests) {
            for mut request in unsent.0 {
                self.land(&request);
                request.fail(&Error::unavailable("nothing was stored"));
                self.decided.push(request);
            }
        }
    }

    /// From now on nothing may be forgotten that changes while the request is on its way.
    fn take_off(&mut self, request: &mut Request) {
        let look_up = LookUp { as_of: self.tools.live.frontier(), era: self.era };
        request.looked_up = Some(look_up);
        *self.in_flight.entry(look_up.as_of).or_default() += 1;
    }

    /// The request is decided, or about to be looked up again.
    pub(crate) fn land(&mut self, request: &Request) {
        let Some(look_up) = request.looked_up else { return };
        if let Some(count) = self.in_flight.get_mut(&look_up.as_of) {
            *count -= 1;
            if *count == 0 {
                self.in_flight.remove(&look_up.as_of);
                self.forget_what_may_be_forgotten();
            }
        }
    }

    fn forget_what_may_be_forgotten(&mut self) {
        let evictable = self.evictable();
        self.known.shrink(evictable);
        self.removals.shrink(evictable);
    }

    /// Everything is forgotten: nothing that was found before holds.
    pub(crate) fn forget_all(&mut self) {
        self.known.forget_all();
        self.removals.forget_all();
        self.lately.clear();
        self.era += 1;
    }

    /// What changed after this id must be remembered: the batch that is being made, what look-ups in flight may not have
    /// seen, and the last rounds.
    pub(crate) fn evictable(&self) -> Id {
        let frontier = self.tools.live.frontier();
        let oldest = [self.in_flight.first_key_value().map(|(as_of, _)| *as_of), self.lately.front().copied()];
        oldest.into_iter().flatten().fold(frontier, Id::min)
    }

    /// The next id: the clock's, but never one that is not above all before.
    pub(crate) fn draw(&mut self) -> Id {
        let next = self.peek();
        self.last_tick = next.ticks();
        next
    }

    /// The id that would be drawn now.
    pub(crate) fn peek(&self) -> Id {
        Id::new(self.making.now_ticks.max(self.last_tick + 1), self.slot)
    }

    /// The last id that was drawn.
    pub(crate) fn last_id(&self) -> Id {
        Id::new(self.last_tick, self.slot)
    }
}

impl Making {
    fn new(settled: &Settled) -> Making {
        let batch = Batch { shard: SHARD, epoch: EPOCH, number: settled.last_batch, reserved: 0, changes: Vec::new() };
        Making {
            batch,
            changes: Vec::new(),
            previous: Vec::new(),
            bytes: 0,
            undo: Vec::new(),
            number_before: settled.last_number,
            now_ticks: 0,
            room: Ok(()),
        }
    }

    fn is_full(&self) -> bool {
        self.changes.len() >= limits::BATCH_CHANGES || self.bytes >= limits::BATCH_BYTES
    }

    /// Takes a numbered change in.
    pub(crate) fn include(&mut self, recent: Recent, previous: Option<Id>) {
        self.bytes += recent.change.cost();
        if recent.change.is_stored() {
            self.batch.changes.push(recent.change.clone());
        }
        self.previous.extend(previous);
        self.changes.push(recent);
    }

    pub(crate) fn clear(&mut self) {
        self.batch.changes.clear();
        self.changes.clear();
        self.previous.clear();
        self.undo.clear();
        self.bytes = 0;
    }
}

/// The tick above which ids start: all that were ever given out are at or below it.
pub(crate) fn first_tick(settled: &Settled) -> u64 {
    settled.reserved.max(settled.last_id.ticks())
}
