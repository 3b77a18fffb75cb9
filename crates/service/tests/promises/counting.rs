//! A store that counts what it is asked for.

use model::{
    AppId, ApplyError, Batch, Change, Channel, ChannelEntry, ChannelName, Effort, FeedPage, Head, Id, Keyed, Page,
    Record, RecordKey, RecordKind, Result, Seq, Settled, ShardId, Span, Store, Window,
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
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
