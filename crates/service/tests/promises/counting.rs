//! A store that counts what it is asked for.

use model::{Channel, Effort, Page, Result, Store, Window};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use testkit::{MemoryStore, StoreWrapper};

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

impl StoreWrapper for CountingStore {
    fn inner(&self) -> Result<&dyn Store> {
        Ok(&self.inner)
    }

    fn read(&self, channel: &Channel, window: &Window, effort: Effort) -> Result<Option<Page>> {
        let page = self.inner.read(channel, window, effort)?;
        if let Some(page) = &page {
            self.reads.fetch_add(1, SeqCst);
            self.messages.fetch_add(page.messages.len() as u64, SeqCst);
        }
        Ok(page)
    }
}
