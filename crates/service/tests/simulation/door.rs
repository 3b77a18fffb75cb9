//! The door between the service and the store: it notes what the service had stored and what became of it, makes batches
//! fail, and lets nobody through any more when the process behind it is dead. With a lie (`lies.rs`) it deceives the
//! service, so that the run has something to find.

use crate::lies::{Liar, Lie};
use model::{
    AppId, ApplyError, Batch, ChangesPage, Channel, Due, Effort, Error, FeedPage, Id, Keyed, Page, Removal, Result,
    Selection, SelectionPage, SelectionWindow, Seq, Settled, ShardId, Span, Store, Target, Window,
};
use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};
use testkit::{Outcome, StoreWrapper};

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
}

impl StoreWrapper for Door {
    fn inner(&self) -> Result<&dyn Store> {
        match self.dead.load(Ordering::SeqCst) {
            true => Err(Error::unavailable("the process is dead")),
            false => Ok(&*self.store),
        }
    }

    fn apply(&self, batch: &Batch) -> Result<(), ApplyError> {
        let store = self.inner().map_err(ApplyError::Refused)?;
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

    fn settle(&self, shard: ShardId, epoch: u64) -> Result<Settled> {
        if self.heard().settles_fail {
            return Err(Error::unavailable("settling fails on purpose"));
        }
        let settled = self.inner()?.settle(shard, epoch)?;
        let mut heard = self.heard();
        if let Some(batch) = heard.doubt.take_if(|batch| batch.number == settled.last_batch) {
            heard.batches.push(batch);
        }
        heard.doubt = None;
        Ok(self.liar.settled(settled))
    }

    fn recent(&self, shard: ShardId, bytes: usize) -> Result<(Id, Vec<Arc<model::Change>>)> {
        self.inner()?.recent(shard, bytes).map(|recent| self.liar.recent(recent))
    }

    fn read(&self, channel: &Channel, window: &Window, effort: Effort) -> Result<Option<Page>> {
        let page = self.inner()?.read(channel, &self.liar.window(window), effort)?;
        Ok(page.map(|page| self.liar.page(page)))
    }

    fn count(&self, channel: &Channel, span: Span, above: Seq, now: Id) -> Result<u64> {
        self.inner()?.count(channel, span, above, now).map(|count| self.liar.count(count))
    }

    fn select(&self, app: &AppId, selection: &Selection, window: &SelectionWindow) -> Result<SelectionPage> {
        self.inner()?.select(app, selection, window).map(|page| self.liar.selected(page))
    }

    fn removable(&self, channel: &Channel, target: &Target, now: Id) -> Result<Removal> {
        self.inner()?.removable(channel, target, now).map(|removal| self.liar.removal(removal))
    }

    fn changes(&self, channel: &Channel, after: Id, limit: u32) -> Result<ChangesPage> {
        self.inner()?.changes(channel, after, limit).map(|page| self.liar.changes(page))
    }

    fn due(&self, shard: ShardId, now: Id, limit: u32) -> Result<Vec<Due>> {
        self.inner()?.due(shard, now, limit).map(|due| self.liar.due(due))
    }

    fn keyed(&self, channel: &Channel, key_hash: u128, now: Id) -> Result<Option<Keyed>> {
        self.inner()?.keyed(channel, key_hash, now).map(|keyed| self.liar.keyed(keyed))
    }

    fn feed(&self, shard: ShardId, span: Span, limit: u32) -> Result<FeedPage> {
        self.inner()?.feed(shard, span, limit).map(|page| self.liar.feed(page))
    }
}
