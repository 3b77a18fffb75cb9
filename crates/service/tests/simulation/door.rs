//! The door between the service and the store: it notes what the service had stored and what became of it, makes batches
//! fail, and lets nobody through any more when the process behind it is dead. With a lie (`lies.rs`) it deceives the
//! service, so that the run has something to find.

use crate::lies::{Liar, Lie};
use model::{
    AppId, ApplyError, AtHand, Batch, ChangesPage, Channel, ChannelEntry, ChannelName, Due, Effort, Error, FeedPage,
    Head, Id, Keyed, Order, Page, Position, Reaction, ReactionAt, ReactionEntry, Record, RecordKey, RecordKind,
    Removal, Result, Selection, SelectionPage, SelectionWindow, Seq, Settled, ShardId, Span, Store, Target, Version,
    Window,
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use testkit::Outcome;

type Plan = Box<dyn Fn(Outcome) + Send + Sync>;

/// What went through all doors of a run.
#[derive(Default)]
pub struct Heard {
    /// What happened and was not taken from here yet.
    pub batches: Vec<Batch>,
    /// The batch of which nobody knows.
    doubt: Option<Batch>,
    /// How the next batch ends that changes anything.
    pub next: Option<Outcome>,
    /// The fault that struck and was not taken from here yet.
    pub struck: Option<Outcome>,
    /// While it is so, nothing is settled.
    pub settles_fail: bool,
}

pub struct Door {
    store: Arc<dyn Store>,
    plan: Plan,
    heard: Arc<Mutex<Heard>>,
    liar: Liar,
    dead: AtomicBool,
}

impl Door {
    pub fn new(store: Arc<dyn Store>, plan: Plan, heard: Arc<Mutex<Heard>>, lie: Option<Lie>) -> Door {
        Door { store, plan, heard, liar: Liar::new(lie), dead: AtomicBool::new(false) }
    }

    /// Whoever asks from now on belongs to a process that is dead.
    pub fn shut(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().expect("no panic happens under this lock")
    }

    fn open(&self) -> Result<&dyn Store> {
        match self.dead.load(Ordering::SeqCst) {
            true => Err(Error::unavailable("the process is dead")),
            false => Ok(&*self.store),
        }
    }
}

impl Store for Door {
    fn apply(&self, batch: &Batch) -> Result<(), ApplyError> {
        let store = self.open().map_err(ApplyError::Refused)?;
        if !batch.changes.is_empty() {
            let mut heard = self.heard();
            if let Some(outcome) = heard.next.take() {
                (self.plan)(outcome);
                heard.struck = Some(outcome);
            }
        }
        let outcome = if self.liar.loses(batch) { Ok(()) } else { store.apply(batch) };
        match &outcome {
            Ok(()) => self.heard().batches.push(batch.clone()),
            Err(ApplyError::Unknown(_)) => self.heard().doubt = Some(batch.clone()),
            Err(ApplyError::Refused(_)) => {}
        }
        outcome
    }

    fn room(&self) -> Result<()> {
        self.open()?.room()
    }

    fn settle(&self, shard: ShardId, epoch: u64) -> Result<Settled> {
        if self.heard().settles_fail {
            return Err(Error::unavailable("settling fails on purpose"));
        }
        let settled = self.open()?.settle(shard, epoch)?;
        let mut heard = self.heard();
        if let Some(batch) = heard.doubt.take_if(|batch| batch.number == settled.last_batch) {
            heard.batches.push(batch);
        }
        heard.doubt = None;
        Ok(self.liar.settled(settled))
    }

    fn recent(&self, shard: ShardId, bytes: usize) -> Result<(Id, Vec<Arc<model::Change>>)> {
        self.open()?.recent(shard, bytes).map(|recent| self.liar.recent(recent))
    }

    fn heads(&self, channels: &[Channel]) -> Result<Vec<Head>> {
        self.open()?.heads(channels)
    }

    fn read(&self, channel: &Channel, window: &Window, effort: Effort) -> Result<Option<Page>> {
        let page = self.open()?.read(channel, &self.liar.window(window), effort)?;
        Ok(page.map(|page| self.liar.page(page)))
    }

    fn count(&self, channel: &Channel, span: Span, above: Seq, now: Id) -> Result<u64> {
        self.open()?.count(channel, span, above, now).map(|count| self.liar.count(count))
    }

    fn select(&self, app: &AppId, selection: &Selection, window: &SelectionWindow) -> Result<SelectionPage> {
        self.open()?.select(app, selection, window).map(|page| self.liar.selected(page))
    }

    fn count_selected(&self, app: &AppId, selection: &Selection, span: Span, now: Id) -> Result<u64> {
        self.open()?.count_selected(app, selection, span, now)
    }

    fn removable(&self, channel: &Channel, target: &Target, now: Id) -> Result<Removal> {
        self.open()?.removable(channel, target, now).map(|removal| self.liar.removal(removal))
    }

    fn floor_for(&self, channel: &Channel, keep: u64, upto: Id) -> Result<Position> {
        self.open()?.floor_for(channel, keep, upto)
    }

    fn versions(&self, channel: &Channel, message: Id) -> Result<Vec<Version>> {
        self.open()?.versions(channel, message)
    }

    fn reactions(
        &self,
        channel: &Channel,
        messages: Span,
        after: Option<ReactionAt>,
        limit: u32,
    ) -> Result<Vec<ReactionEntry>> {
        self.open()?.reactions(channel, messages, after, limit)
    }

    fn lacks_reactions(&self, channel: &Channel) -> Result<bool> {
        self.open()?.lacks_reactions(channel)
    }

    fn at_hand(&self, channel: &Channel, message: Id, reaction: Option<&Reaction>) -> Result<Option<AtHand>> {
        self.open()?.at_hand(channel, message, reaction)
    }

    fn reactions_made(&self, channel: &Channel, span: Span, order: Order, limit: u32) -> Result<Vec<ReactionEntry>> {
        self.open()?.reactions_made(channel, span, order, limit)
    }

    fn reaction(&self, channel: &Channel, reaction: &Reaction) -> Result<Option<Id>> {
        self.open()?.reaction(channel, reaction)
    }

    fn changes(&self, channel: &Channel, after: Id, limit: u32) -> Result<ChangesPage> {
        self.open()?.changes(channel, after, limit).map(|page| self.liar.changes(page))
    }

    fn due(&self, shard: ShardId, now: Id, limit: u32) -> Result<Vec<Due>> {
        self.open()?.due(shard, now, limit).map(|due| self.liar.due(due))
    }

    fn sweep(&self, budget: Duration) -> Result<bool> {
        self.open()?.sweep(budget)
    }

    fn erase(&self, channels: &[Channel]) -> Result<()> {
        self.open()?.erase(channels)
    }

    fn keyed(&self, channel: &Channel, key_hash: u128, now: Id) -> Result<Option<Keyed>> {
        self.open()?.keyed(channel, key_hash, now).map(|keyed| self.liar.keyed(keyed))
    }

    fn feed(&self, shard: ShardId, span: Span, limit: u32) -> Result<FeedPage> {
        self.open()?.feed(shard, span, limit).map(|page| self.liar.feed(page))
    }

    fn channels(
        &self,
        app: &AppId,
        prefix: &str,
        after: Option<&ChannelName>,
        limit: u32,
    ) -> Result<Vec<ChannelEntry>> {
        self.open()?.channels(app, prefix, after, limit)
    }

    fn all_channels(&self, app: &AppId, after: Option<&ChannelName>, limit: u32) -> Result<Vec<ChannelEntry>> {
        self.open()?.all_channels(app, after, limit)
    }

    fn record(&self, key: &RecordKey) -> Result<Option<Record>> {
        self.open()?.record(key)
    }

    fn records(
        &self,
        app: &AppId,
        kind: RecordKind,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<Record>> {
        self.open()?.records(app, kind, prefix, after, limit)
    }
}
