//! A store that counts what it is asked for.

use model::{
    AppId, ApplyError, AtHand, Batch, Change, ChangesPage, Channel, ChannelEntry, ChannelName, Due, Effort, FeedPage,
    Head, Id, Keyed, Order, Page, Position, Reaction, ReactionAt, ReactionEntry, Record, RecordKey, RecordKind,
    Removal, Result, Selection, SelectionPage, SelectionWindow, Seq, Settled, ShardId, Span, Store, Target, Version,
    Window,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use testkit::MemoryStore;

#[derive(Default)]
pub struct CountingStore {
    pub inner: MemoryStore,
    /// Calls of `read` that were answered.
    pub reads: AtomicU64,
    /// Messages in their pages.
    pub messages: AtomicU64,
}

impl CountingStore {
    /// Reads and messages since the last call.
    pub fn take(&self) -> (u64, u64) {
        (self.reads.swap(0, SeqCst), self.messages.swap(0, SeqCst))
    }
}

impl Store for CountingStore {
    fn apply(&self, batch: &Batch) -> Result<(), ApplyError> {
        self.inner.apply(batch)
    }

    fn room(&self) -> Result<()> {
        self.inner.room()
    }

    fn settle(&self, shard: ShardId, epoch: u64) -> Result<Settled> {
        self.inner.settle(shard, epoch)
    }

    fn recent(&self, shard: ShardId, bytes: usize) -> Result<(Id, Vec<Arc<Change>>)> {
        self.inner.recent(shard, bytes)
    }

    fn heads(&self, channels: &[Channel]) -> Result<Vec<Head>> {
        self.inner.heads(channels)
    }

    fn read(&self, channel: &Channel, window: &Window, effort: Effort) -> Result<Option<Page>> {
        let page = self.inner.read(channel, window, effort)?;
        if let Some(page) = &page {
            self.reads.fetch_add(1, SeqCst);
            self.messages.fetch_add(page.messages.len() as u64, SeqCst);
        }
        Ok(page)
    }

    fn count(&self, channel: &Channel, span: Span, above: Seq, now: Id) -> Result<u64> {
        self.inner.count(channel, span, above, now)
    }

    fn select(&self, app: &AppId, selection: &Selection, window: &SelectionWindow) -> Result<SelectionPage> {
        self.inner.select(app, selection, window)
    }

    fn count_selected(&self, app: &AppId, selection: &Selection, span: Span, now: Id) -> Result<u64> {
        self.inner.count_selected(app, selection, span, now)
    }

    fn removable(&self, channel: &Channel, target: &Target, now: Id) -> Result<Removal> {
        self.inner.removable(channel, target, now)
    }

    fn floor_for(&self, channel: &Channel, keep: u64, upto: Id) -> Result<Position> {
        self.inner.floor_for(channel, keep, upto)
    }

    fn versions(&self, channel: &Channel, message: Id) -> Result<Vec<Version>> {
        self.inner.versions(channel, message)
    }

    fn reactions(
        &self,
        channel: &Channel,
        messages: Span,
        after: Option<ReactionAt>,
        limit: u32,
    ) -> Result<Vec<ReactionEntry>> {
        self.inner.reactions(channel, messages, after, limit)
    }

    fn reactions_made(&self, channel: &Channel, span: Span, order: Order, limit: u32) -> Result<Vec<ReactionEntry>> {
        self.inner.reactions_made(channel, span, order, limit)
    }

    fn reaction(&self, channel: &Channel, reaction: &Reaction) -> Result<Option<Id>> {
        self.inner.reaction(channel, reaction)
    }

    fn at_hand(&self, channel: &Channel, message: Id, reaction: Option<&Reaction>) -> Result<Option<AtHand>> {
        self.inner.at_hand(channel, message, reaction)
    }

    fn changes(&self, channel: &Channel, after: Id, limit: u32) -> Result<ChangesPage> {
        self.inner.changes(channel, after, limit)
    }

    fn due(&self, shard: ShardId, now: Id, limit: u32) -> Result<Vec<Due>> {
        self.inner.due(shard, now, limit)
    }

    fn sweep(&self, budget: Duration) -> Result<bool> {
        self.inner.sweep(budget)
    }

    fn erase(&self, channels: &[Channel]) -> Result<()> {
        self.inner.erase(channels)
    }

    fn keyed(&self, channel: &Channel, key_hash: u128, now: Id) -> Result<Option<Keyed>> {
        self.inner.keyed(channel, key_hash, now)
    }

    fn feed(&self, shard: ShardId, span: Span, limit: u32) -> Result<FeedPage> {
        self.inner.feed(shard, span, limit)
    }

    fn channels(
        &self,
        app: &AppId,
        prefix: &str,
        after: Option<&ChannelName>,
        limit: u32,
    ) -> Result<Vec<ChannelEntry>> {
        self.inner.channels(app, prefix, after, limit)
    }

    fn all_channels(&self, app: &AppId, after: Option<&ChannelName>, limit: u32) -> Result<Vec<ChannelEntry>> {
        self.inner.all_channels(app, after, limit)
    }

    fn record(&self, key: &RecordKey) -> Result<Option<Record>> {
        self.inner.record(key)
    }

    fn records(
        &self,
        app: &AppId,
        kind: RecordKind,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<Record>> {
        self.inner.records(app, kind, prefix, after, limit)
    }
}
