//! What the service does by itself, beside the sequencer: expires what is due, moves floors, forgets grants that are over,
//! carries erasures on, has the store give back bytes. A bounded piece of each, round after round, on a thread of its own. What it changes goes
//! through the sequencer like everything else.

use crate::{
    Caller, Channels, Settings,
    eraser::Eraser,
    floors::Floors,
    grants::Expired,
    live::Live,
    order::{Aim, Order, Placed, Request},
    queue::Queue,
    removal::removal_order,
    sequencer::SHARD,
    trusted::{ClockStatus, Watch, clock_key},
};
use bytes::Bytes;
use model::{Change, Channel, Clock, Due, Error, Id, RecordChange, RecordKey, Result, Search, Store, limits};
use std::sync::{
    Arc,
    mpsc::{Receiver, RecvTimeoutError},
};
use tokio::sync::{oneshot, watch};

/// Orders that are waited for together.
const ORDERS: usize = 256;
/// Due messages that a hold keeps are asked for again and again: at most so many beside the others.
const HELD_DUE: u32 = 100_000;

/// What is asked of maintenance.
pub(crate) enum Round {
    /// A round now.
    Now(oneshot::Sender<Result<bool>>),
    /// There is a new erasure.
    Erase,
    /// To end.
    Stop,
}

/// Keeps the house.
pub(crate) struct Keeper {
    pub store: Arc<dyn Store>,
    pub search: Option<Arc<dyn Search>>,
    pub clock: Arc<dyn Clock>,
    pub live: Arc<Live>,
    pub queue: Arc<Queue>,
    pub watch: Arc<Watch>,
    pub settings: Settings,
    pub asked: Receiver<Round>,
    pub _ended: watch::Sender<()>,
}

/// How far the parts have come.
#[derive(Default)]
struct Progress {
    /// Messages that were due in the last round and stayed.
    held_due: u32,
    floors: Floors,
    grants: Expired,
    eraser: Eraser,
}

impl Channels {
    /// What the clocks say, and whether things are removed by time. Needs [`Rights::ADMIN`](crate::Rights::ADMIN).
    pub fn clock_status(&self, caller: &Caller) -> Result<ClockStatus> {
        self.shared.admit_admin(caller)?;
        Ok(self.shared.watch.look(&*self.shared.clock))
    }

    /// An operator says that the wall clock is right: it is believed at once, for all apps of the node. Needs
    /// [`Rights::ADMIN`](crate::Rights::ADMIN).
    pub async fn confirm_clock(&self, caller: &Caller) -> Result<ClockStatus> {
        self.shared.admit_admin(caller)?;
        let status = self.shared.watch.confirm(&*self.shared.clock);
        if let Some(value) = self.shared.watch.to_write(&*self.shared.clock) {
            self.put_record(clock_key(), Some(value), None).await?;
            self.shared.watch.written(&*self.shared.clock);
        }
        Ok(status)
    }

    /// Does a round of maintenance now, and returns when it is done: whether there is more to do.
    pub async fn maintain(&self) -> Result<bool> {
        let (sender, receiver) = oneshot::channel();
        let stopping = || Error::unavailable("the server is stopping");
        self.shared.rounds.send(Round::Now(sender)).map_err(|_| stopping())?;
        receiver.await.map_err(|_| stopping())?
    }
}

impl Keeper {
    /// Works until it is told to stop or nobody is left who could.
    pub fn run(self) {
        let mut progress = Progress::default();
        let mut pause = self.settings.maintenance_every;
        loop {
            let asked = match self.asked.recv_timeout(pause) {
                Ok(Round::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Round::Erase) => {
                    progress.eraser.look();
                    continue;
                }
                Ok(Round::Now(answer)) => Some(answer),
                Err(RecvTimeoutError::Timeout) => None,
            };
            let done = self.round(&mut progress, asked.is_some());
            let more = matches!(done, Ok(true));
            pause = if more { self.settings.maintenance_every / 10 } else { self.settings.maintenance_every };
            match (asked, done) {
                // Whoever asked may have gone away meanwhile.
                (Some(answer), done) => drop(answer.send(done)),
                (None, Err(error)) if self.queue.is_accepting() => {
                    tracing::warn!(?error, "a round of maintenance failed; it is tried again");
                }
                (None, _) => {}
            }
        }
    }

    /// A piece of everything, also if one part fails; whether there is more to do. With `at_once`, floors and grants are
    /// looked at whenever that was done last.
    fn round(&self, progress: &mut Progress, at_once: bool) -> Result<bool> {
        if !self.queue.is_accepting() {
            return Err(Error::unavailable("nothing is accepted now"));
        }
        let clock = self.watch.look(&*self.clock);
        let trusted = clock.removal_ticks;
        let parts = [
            self.write_clock().map(|()| false),
            trusted.map_or(Ok(false), |ticks| self.expire(ticks, &mut progress.held_due)),
            progress.floors.step(self, trusted, at_once),
            trusted.map_or(Ok(false), |ticks| progress.grants.step(self, ticks, at_once)),
            progress.eraser.step(self),
            self.store.sweep(self.settings.sweep_work),
        ];
        parts.into_iter().try_fold(false, |more, part| Ok(part? || more))
    }

    fn write_clock(&self) -> Result<()> {
        if let Some(value) = self.watch.to_write(&*self.clock) {
            self.put_record(clock_key(), Some(value))?;
            self.watch.written(&*self.clock);
        }
        Ok(())
    }

    /// Makes durable that messages are gone whose time is over by trusted time.
    fn expire(&self, ticks: u64, held_due: &mut u32) -> Result<bool> {
        let at = Id::new(ticks, 0);
        let limit = self.settings.expire_messages.saturating_add(*held_due);
        let due = self.store.due(SHARD, at, limit)?;
        let asked: u64 = due.iter().map(|due| due.messages.len() as u64).sum();
        let mut orders = Vec::new();
        for Due { channel, messages } in due {
            for messages in messages.chunks(limits::REMOVAL_IDS) {
                let ids = messages.iter().map(|position| position.id).collect();
                orders.push(self.removal(&channel, Aim::Expire { ids, at }));
            }
        }
        let mut gone = 0;
        for outcome in self.submit(orders) {
            gone += outcome?.messages;
        }
        *held_due = u32::try_from(asked.saturating_sub(gone)).unwrap_or(u32::MAX).min(HELD_DUE);
        Ok(asked >= u64::from(limit) && gone > 0)
    }

    pub fn removal(&self, channel: &Channel, aim: Aim) -> Order {
        removal_order(channel, self.live.hasher.place(channel), aim)
    }

    pub fn put_record(&self, key: RecordKey, value: Option<Bytes>) -> Result<()> {
        self.put_record_at(key, value, None)
    }

    /// The same; `Conflict` if the record has another version than the expected one.
    pub fn put_record_at(&self, key: RecordKey, value: Option<Bytes>, expected: Option<Id>) -> Result<()> {
        let place = self.live.hasher.record(&key);
        let change = Arc::new(Change::Record(RecordChange { id: Id::MIN, key, value }));
        self.submit_one(Order { expected, ..Order::new(change, place) }).map(drop)
    }

    pub fn submit_one(&self, order: Order) -> Result<Placed> {
        let outcome = self.submit(vec![order]).pop();
        outcome.unwrap_or_else(|| Err(Error::internal("the sequencer gave no outcome")))
    }

    /// Hands orders to the sequencer, each by itself, and waits for what became of them.
    pub fn submit(&self, orders: Vec<Order>) -> Vec<Result<Placed>> {
        let mut outcomes = Vec::with_capacity(orders.len());
        let mut orders = orders.into_iter().peekable();
        while orders.peek().is_some() {
            let waiting: Vec<_> = orders.by_ref().take(ORDERS).map(|order| self.push(order)).collect();
            outcomes.extend(waiting.into_iter().map(|waiting| {
                let outcomes = waiting?.blocking_recv();
                let lost = || Error::unavailable("the sequencer failed; it is not known whether this was stored");
                outcomes.map_err(|_| lost())?.pop().unwrap_or_else(|| Err(lost()))
            }));
        }
        outcomes
    }

    fn push(&self, order: Order) -> Result<oneshot::Receiver<Vec<Result<Placed>>>> {
        let (sender, receiver) = oneshot::channel();
        self.queue.push(Request::new(vec![order], sender))?;
        Ok(receiver)
    }
}
