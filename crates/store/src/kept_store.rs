//! The store as a whole: what it consists of, how it is opened and closed, and where each call of
//! [`model::Store`] is answered.

use crate::{
    channels::NameCache,
    codec,
    commit::{self, Committer, Found},
    device::{Log, Space, Table},
    flush::Flusher,
    lists::{self, indexed::Indexed},
    meta::{self, Meta},
    settings::{REST_ATTEMPTS, SNAPSHOT_WAIT, Settings},
    stats::{Stats, StoreStatus},
    tail::Tail,
    verify::{Finding, Progress},
    view::{Frozen, View, Views},
};
use model::{
    AppId, ApplyError, AtHand, Batch, Change, ChangesPage, Channel, ChannelEntry, ChannelName, Due, Effort, Error,
    FeedPage, Head, Id, Keyed, Order, Page, Position, Reaction, ReactionAt, ReactionEntry, Record, RecordKey,
    RecordKind, Removal, Result, Selection, SelectionPage, SelectionWindow, Seq, Settled, ShardId, Span, Store, Target,
    Version, Window,
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, atomic::AtomicU64},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Keeps history on a log and a table.
///
/// Dropping it, or [`KeptStore::close`], ends the flush that may be going on; nothing is lost by that, or by no
/// goodbye at all: a start after either is the same.
pub struct KeptStore {
    shared: Arc<Shared>,
    flusher: Option<JoinHandle<()>>,
}

/// How far a table goes that has everything and is not being written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rest {
    /// The last batch.
    pub last_batch: u64,
    /// The last id.
    pub last_id: Id,
}

/// What committer, readers and flush share.
pub(crate) struct Shared {
    pub committer: Mutex<Committer>,
    pub views: Views,
    pub table: Arc<dyn Table>,
    pub names: NameCache,
    pub stats: Stats,
    pub settings: Settings,
    pub shard: ShardId,
    /// Whoever holds it writes the table: the flush or maintenance.
    writer: Mutex<()>,
    /// The last batch of the flush that was begun last: above the view's checkpoint, it is to be done again unchanged.
    pub flushing: AtomicU64,
}

impl KeptStore {
    /// Opens the store of shard 0 on its two devices: finishes what a cut-off flush left, reads the log past the
    /// checkpoint. [`Store::settle`] must follow before anything is applied. Damage is an error that names its place.
    pub fn open(log: Box<dyn Log>, table: Arc<dyn Table>, settings: Settings) -> Result<KeptStore> {
        let shard = ShardId::default();
        let (meta, lists) = match begin(&*table, shard, &settings) {
            // A full device keeps room back for these writes.
            Err(_) if table.needs_recovery() => table.recover().and_then(|()| begin(&*table, shard, &settings))?,
            begun => begun?,
        };
        let mut log = log;
        let found = replay(&mut *log, &meta)?;
        let view = View {
            active: Arc::new(Tail::new(meta.checkpoint.batch, meta.checkpoint.last_id)),
            active_upto: meta.checkpoint.batch,
            frozen: None,
            snapshot: table.snapshot()?,
            lists: Arc::new(lists),
            checkpoint: meta.checkpoint.batch,
            settled: false,
            feed_starts_after: meta.feed.starts_after,
            feed_days: feed_days(&*table)?.into(),
            facts: Arc::default(),
            changes_start_after: meta.changes.starts_after,
            changes_weeks: changes_weeks(&*table)?.into(),
        };
        let shared = Arc::new(Shared {
            committer: Mutex::new(Committer::new(log, shard, found)),
            views: Views::new(view),
            table,
            names: NameCache::default(),
            stats: Stats::default(),
            settings,
            shard,
            writer: Mutex::default(),
            flushing: AtomicU64::new(meta.flushing),
        });
        let flusher = Flusher::new(shared.clone(), meta.feed, meta.changes);
        let thread = thread::Builder::new().name("flush".into()).spawn(move || flusher.run());
        Ok(KeptStore { shared, flusher: Some(thread.map_err(Error::internal)?) })
    }

    /// Moves everything that was applied into the table; returns when it is there. Not needed for durability: for
    /// tests, and before a backup.
    pub fn flush(&self) -> Result<()> {
        let views = &self.shared.views;
        let upto = views.load().active_upto;
        let failures = views.lock().failures;
        loop {
            let view = views.load();
            if view.checkpoint >= upto {
                self.shared.committer().free(views);
                return Ok(());
            }
            if view.frozen.is_none() {
                self.shared.committer().freeze(views);
            }
            let patience = Some(Duration::from_secs(60));
            views.wait_until(patience, |state, view| {
                state.stopping || state.failures > failures || view.frozen.is_none()
            });
            let state = views.lock();
            if state.stopping || state.failures > failures {
                let why = state.last_failure.clone().unwrap_or_else(|| "the store is closing".into());
                return Err(Error::unavailable("the flush failed, the log still has everything").with_source(why));
            }
        }
    }

    /// Moves everything that was applied so far into the table and calls `take` while nobody writes the table: what the
    /// table's device has then is the whole store as of the place that `take` is told, without any log. Batches go on to
    /// be applied meanwhile; only the flush waits.
    pub fn at_rest<T>(&self, take: impl FnOnce(Rest) -> Result<T>) -> Result<T> {
        let shared = &self.shared;
        for _ in 0..REST_ATTEMPTS {
            self.flush()?;
            let _writer = shared.table_writer();
            let meta = Meta::open(&*shared.table, &*shared.table.snapshot()?, shared.shard)?;
            if meta.flushing <= meta.checkpoint.batch {
                return take(Rest { last_batch: meta.checkpoint.batch, last_id: meta.checkpoint.last_id });
            }
        }
        Err(Error::unavailable("the tables are not at rest: flushes fail and are tried again"))
    }

    /// Applies what another store had, with its ids: messages, removals, edits and reactions of channels that are new here,
    /// or that an import goes on with, and records. Durable when it returns, all of it or nothing. Numbers of new channels
    /// go on above [`Settled::last_number`]; ids grow within a channel, and are not those of anything there. It is history and
    /// no news: no feed and no change feed tells it, and ids given out later lie above all of these.
    ///
    /// Messages may also end right below the first one of a channel, by ids and by seqs, when nothing below it was ever
    /// removed: then a floor comes before them that says where the channel begins now. What was brought to a channel in this
    /// way is flushed before the next such changes of it.
    ///
    /// For a store that nobody else uses: what reads it before the next [`KeptStore::flush`] may miss what was imported.
    pub fn import(&self, changes: &[Arc<Change>]) -> Result<(), ApplyError> {
        let shared = &self.shared;
        shared.committer().import(changes, &shared.views, &shared.settings, &shared.stats, &*shared.table)
    }

    /// The messages of a span that are not there any more, oldest first, and whether their time was over: what lies
    /// above the floor, deleted or expired. At most `limit`.
    pub fn gone(&self, channel: &Channel, span: Span, limit: usize) -> Result<Vec<(Position, bool)>> {
        self.shared.read(|view| view.gone(channel, span, limit, &self.shared.names))
    }

    /// Where the message of a channel with this id lies, whatever became of it, if it lies above the floor.
    pub fn position_of(&self, channel: &Channel, id: Id) -> Result<Option<Position>> {
        self.shared.read(|view| view.position_of(channel, id, &self.shared.names))
    }

    /// Where the oldest message of a channel lies that lies above the floor, whatever became of it.
    pub fn first_position(&self, channel: &Channel) -> Result<Option<Position>> {
        self.shared.read(|view| view.first_position(channel, &self.shared.names))
    }

    /// The store in numbers.
    pub fn status(&self) -> StoreStatus {
        let shared = &self.shared;
        let view = shared.views.load();
        let table = shared.table.status();
        let log_bytes = match shared.committer.try_lock() {
            Ok(committer) => Some(committer.log_bytes()),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner().log_bytes()),
            Err(TryLockError::WouldBlock) => None,
        };
        let state = shared.views.lock();
        StoreStatus {
            last_batch: view.active_upto,
            checkpoint: view.checkpoint,
            tail_bytes: view.active.resident() as u64,
            tail_changes: view.active.changes() as u64,
            frozen_bytes: view.frozen.as_ref().map_or(0, |frozen| frozen.tail.resident() as u64),
            flush_failures: state.failures,
            last_flush_failure: state.last_failure.clone(),
            table_bytes: table.bytes,
            table_runs_max: table.runs_max,
            is_full: shared.table.is_full(),
            log_bytes,
            ..shared.stats.status()
        }
    }

    /// Reads everything and checks checksums, seqs, ids, heads, counts and the feed; what is wrong, in words. `progress` is
    /// called now and then.
    pub fn verify(&self, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Finding>> {
        self.shared.read(|view| crate::verify::verify(view, self.shared.shard, progress))
    }

    /// Stops the flush and waits for its end.
    pub fn close(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        self.shared.views.tell(|state| state.stopping = true);
        if let Some(flusher) = self.flusher.take()
            && flusher.join().is_err()
        {
            tracing::error!("the flush thread ended by a panic");
        }
    }
}

impl Drop for KeptStore {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    pub fn table_writer(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, unless somebody holds it.
    pub fn try_table_writer(&self) -> Option<MutexGuard<'_, ()>> {
        match self.writer.try_lock() {
            Ok(writer) => Some(writer),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    pub fn committer(&self) -> MutexGuard<'_, Committer> {
        self.committer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads how far the table goes, and finishes what a flush that was cut off behind its checkpoint left.
fn begin(table: &dyn Table, shard: ShardId, settings: &Settings) -> Result<(Meta, Indexed)> {
    let meta = Meta::open(table, &*table.snapshot()?, shard)?;
    meta::delete_garbage(table, meta.checkpoint.batch)?;
    lists::flush::delete_garbage(table, &*table.snapshot()?, meta.checkpoint.batch)?;
    let lists = lists::open(table, &meta, settings)?;
    Ok((meta, lists))
}

/// Reads the log past the checkpoint. A flush that was cut off is done again with exactly the batches that it had: then
/// it writes the same blocks under the same keys (`docs/decisions/0004-blocks.md`).
fn replay(log: &mut dyn Log, meta: &Meta) -> Result<Found> {
    let checkpoint = meta.checkpoint;
    let mut frozen = None;
    let mut mark = checkpoint;
    let mut tail = Tail::new(checkpoint.batch, checkpoint.last_id);
    log.replay(checkpoint.batch, &mut |record| {
        if record.batch != mark.batch + 1 {
            return Err(Error::internal(format!("the log goes on with batch {} after {}", record.batch, mark.batch)));
        }
        let entries = codec::decode(&record)
            .map_err(|malformed| Error::internal(format!("batch {} of the log: {malformed}", record.batch)))?;
        mark = commit::mark_after(mark, &record, &entries);
        tail.add(record, entries);
        if mark.batch == meta.flushing {
            let full = std::mem::replace(&mut tail, Tail::new(mark.batch, mark.last_id));
            frozen = Some(Frozen { tail: Arc::new(full), mark });
        }
        Ok(())
    })?;
    if meta.flushing > mark.batch {
        return Err(Error::internal(format!(
            "the log ends with batch {}, but batches up to {} were being flushed",
            mark.batch, meta.flushing
        )));
    }
    Ok(Found { frozen, active: Arc::new(tail), mark })
}

/// The weeks of the channels' change feeds that the table has, the oldest first.
pub(crate) fn changes_weeks(table: &dyn Table) -> Result<Vec<u32>> {
    let week = |space| match space {
        Space::Changes(week) => Some(week),
        _ => None,
    };
    let mut weeks: Vec<u32> = table.spaces()?.into_iter().filter_map(week).collect();
    weeks.sort_unstable();
    Ok(weeks)
}

/// The days of the feed that the table has, the oldest first.
pub(crate) fn feed_days(table: &dyn Table) -> Result<Vec<u32>> {
    let day = |space| match space {
        Space::Feed(day) => Some(day),
        _ => None,
    };
    let mut days: Vec<u32> = table.spaces()?.into_iter().filter_map(day).collect();
    days.sort_unstable();
    Ok(days)
}

impl Store for KeptStore {
    fn apply(&self, batch: &Batch) -> Result<(), ApplyError> {
        let shared = &self.shared;
        shared.committer().apply(batch, &shared.views, &shared.settings, &shared.stats, &*shared.table)
    }

    fn room(&self) -> Result<()> {
        match self.shared.table.is_full() {
            true => Err(commit::disk_full()),
            false => Ok(()),
        }
    }

    fn settle(&self, shard: ShardId, epoch: u64) -> Result<Settled> {
        let settled = self.shared.committer().settle(shard, epoch, &self.shared.views)?;
        // An import that was cut short: no reader meets ids of another time in a tail.
        let has_imported = self.shared.views.load().parts().any(|part| part.has_imported());
        if has_imported {
            self.flush()?;
        }
        Ok(settled)
    }

    fn recent(&self, shard: ShardId, bytes: usize) -> Result<(Id, Vec<Arc<Change>>)> {
        match shard == self.shared.shard {
            true => self.shared.read(|view| view.recent(bytes)),
            false => Ok((Id::MIN, Vec::new())),
        }
    }

    fn heads(&self, channels: &[Channel]) -> Result<Vec<Head>> {
        let names = &self.shared.names;
        self.shared.read(|view| channels.iter().map(|channel| view.head_of(channel, names)).collect())
    }

    fn read(&self, channel: &Channel, window: &Window, effort: Effort) -> Result<Option<Page>> {
        let names = &self.shared.names;
        if effort == Effort::Disk {
            return self.shared.read(|view| view.page(channel, window, effort, names));
        }
        // It may not wait for the next snapshot: then it is not all in memory.
        let view = self.shared.view()?;
        match view.page(channel, window, effort, names) {
            Err(_) if view.snapshot.is_gone() => Ok(None),
            page => page,
        }
    }

    fn count(&self, channel: &Channel, span: Span, above: Seq, now: Id) -> Result<u64> {
        self.shared.read(|view| view.count(channel, span, above, now, &self.shared.names))
    }

    fn select(&self, app: &AppId, selection: &Selection, window: &SelectionWindow) -> Result<SelectionPage> {
        self.shared.read(|view| view.select(app, selection, window, &self.shared.names))
    }

    fn count_selected(&self, app: &AppId, selection: &Selection, span: Span, now: Id) -> Result<u64> {
        self.shared.read(|view| view.count_selected(app, selection, span, now, &self.shared.names))
    }

    fn removable(&self, channel: &Channel, target: &Target, now: Id) -> Result<Removal> {
        self.shared.read(|view| view.removable(channel, target, now, &self.shared.names))
    }

    fn floor_for(&self, channel: &Channel, keep: u64, upto: Id) -> Result<Position> {
        self.shared.read(|view| view.floor_for(channel, keep, upto, &self.shared.names))
    }

    fn versions(&self, channel: &Channel, message: Id) -> Result<Vec<Version>> {
        self.shared.read(|view| view.versions(channel, message, &self.shared.names))
    }

    fn reactions(
        &self,
        channel: &Channel,
        messages: Span,
        after: Option<ReactionAt>,
        limit: u32,
    ) -> Result<Vec<ReactionEntry>> {
        self.shared.read(|view| view.reactions(channel, messages, after, limit, &self.shared.names))
    }

    fn lacks_reactions(&self, channel: &Channel) -> Result<bool> {
        self.shared.view()?.lacks_reactions(channel, &self.shared.names)
    }

    fn reactions_made(&self, channel: &Channel, span: Span, order: Order, limit: u32) -> Result<Vec<ReactionEntry>> {
        self.shared.read(|view| view.reactions_made(channel, span, order, limit, &self.shared.names))
    }

    fn reaction(&self, channel: &Channel, reaction: &Reaction) -> Result<Option<Id>> {
        self.shared.read(|view| view.reaction(channel, reaction, &self.shared.names))
    }

    fn at_hand(&self, channel: &Channel, message: Id, reaction: Option<&Reaction>) -> Result<Option<AtHand>> {
        self.shared.view()?.at_hand(channel, message, reaction, &self.shared.names)
    }

    fn changes(&self, channel: &Channel, after: Id, limit: u32) -> Result<ChangesPage> {
        self.shared.read(|view| view.changes(channel, after, limit, &self.shared.names))
    }

    fn due(&self, shard: ShardId, now: Id, limit: u32) -> Result<Vec<Due>> {
        match shard == self.shared.shard {
            true => self.shared.read(|view| view.due(now, limit)),
            false => Ok(Vec::new()),
        }
    }

    fn sweep(&self, budget: Duration) -> Result<bool> {
        crate::sweep::sweep(&self.shared, budget)
    }

    fn erase(&self, channels: &[Channel]) -> Result<()> {
        self.flush()?;
        crate::erase::erase(&self.shared, channels)
    }

    fn keyed(&self, channel: &Channel, key_hash: u128, now: Id) -> Result<Option<Keyed>> {
        self.shared.read(|view| view.keyed(channel, key_hash, now, &self.shared.names))
    }

    fn feed(&self, shard: ShardId, span: Span, limit: u32) -> Result<FeedPage> {
        match shard == self.shared.shard {
            true => self.shared.read(|view| view.feed(shard, span, limit)),
            false => Ok(FeedPage { items: Vec::new(), examined: span.upto, more: false, starts_after: Id::MIN }),
        }
    }

    fn channels(
        &self,
        app: &AppId,
        prefix: &str,
        after: Option<&ChannelName>,
        limit: u32,
    ) -> Result<Vec<ChannelEntry>> {
        self.shared.read(|view| view.channels(app, prefix, after, limit))
    }

    fn all_channels(&self, app: &AppId, after: Option<&ChannelName>, limit: u32) -> Result<Vec<ChannelEntry>> {
        self.shared.read(|view| view.all_channels(app, after, limit))
    }

    fn record(&self, key: &RecordKey) -> Result<Option<Record>> {
        self.shared.read(|view| view.record(key))
    }

    fn records(
        &self,
        app: &AppId,
        kind: RecordKind,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<Record>> {
        self.shared.read(|view| view.records(app, kind, prefix, after, limit))
    }
}

impl Shared {
    /// Reads from one view. When the table takes its snapshot back meanwhile, all is read again from the next one.
    fn read<T>(&self, mut read: impl FnMut(&View) -> Result<T>) -> Result<T> {
        let until = Instant::now() + SNAPSHOT_WAIT;
        loop {
            let view = self.view()?;
            let answer = read(&view);
            if answer.is_ok() || !view.snapshot.is_gone() {
                return answer;
            }
            let left = until.saturating_duration_since(Instant::now());
            if !self.views.wait_until(Some(left), |_, view| !view.snapshot.is_gone()) {
                return answer;
            }
        }
    }

    /// The view to read from.
    pub fn view(&self) -> Result<Arc<View>> {
        let view = self.views.load();
        match view.settled {
            true => Ok(view),
            false => Err(Error::unavailable("the store is starting: it is not decided yet what is there")),
        }
    }
}
