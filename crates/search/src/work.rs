//! The one thread that writes the index: takes in what the store's feed tells, commits it with its place, makes the
//! index again where it must. What fails is tried again from the last commit.

use crate::{
    index::Shared,
    mark::Mark,
    settings::{DELETED_PART, MERGED_DOCUMENTS, WRITER_BYTES},
};
use model::{Error, Id, Result, ShardId, Store};
use std::{
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::Duration,
};
use tantivy::{
    IndexWriter,
    indexer::{IndexWriterOptions, LogMergePolicy},
};

/// The one shard of one machine.
pub(crate) const SHARD: ShardId = ShardId(0);

/// What the thread is asked for.
pub(crate) enum Ask {
    /// To take in everything up to here now.
    Look(Id),
    /// To leave no byte of what was removed or replaced before this position.
    Erase(Id, Sender<Result<()>>),
    /// To commit and to end.
    Stop,
}

/// The state of the thread.
pub(crate) struct Worker {
    pub shared: Arc<Shared>,
    pub store: Arc<dyn Store>,
    pub open: Option<Open>,
    /// What somebody waits for.
    wanted: Id,
    /// The files were looked through once.
    checked: bool,
}

/// A writer, and where it is.
pub(crate) struct Open {
    pub writer: IndexWriter,
    pub mark: Mark,
    /// Changes that were taken in since the last commit.
    pub pending: usize,
}

impl Worker {
    pub fn new(shared: Arc<Shared>, store: Arc<dyn Store>) -> Worker {
        Worker { shared, store, open: None, wanted: Id::MIN, checked: false }
    }

    pub fn run(mut self, asks: &Receiver<Ask>) {
        let mut pause = Duration::ZERO;
        loop {
            match asks.recv_timeout(pause) {
                Ok(Ask::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Ask::Look(wanted)) => self.wanted = self.wanted.max(wanted),
                Ok(Ask::Erase(upto, answer)) => {
                    self.wanted = self.wanted.max(upto);
                    let erased = self.look().and_then(|()| self.erase());
                    // Whoever asked may have gone away meanwhile.
                    let _ = answer.send(erased);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            pause = match self.look() {
                Ok(()) => self.shared.settings.look_every,
                Err(_) if self.shared.is_stopping() => return,
                Err(error) => {
                    tracing::warn!(?error, "the search index could not go on; it is tried again");
                    // What was not committed is forgotten, and taken in again.
                    self.open = None;
                    self.shared.set_failing();
                    self.shared.settings.retry_every
                }
            };
        }
        if let Some(open) = &mut self.open
            && open.pending > 0
            && let Err(error) = open.commit(&self.shared)
        {
            tracing::warn!(?error, "the search index could not be committed; the next start takes it in again");
        }
    }

    /// Takes in everything that there is.
    fn look(&mut self) -> Result<()> {
        if self.open.is_none() {
            self.open = Some(self.open_writer()?);
        }
        self.walk()?;
        let wanted = self.wanted;
        while !self.take_in_feed(wanted)? {
            // The feed does not reach back to where the index is.
            self.begin_anew()?;
            self.walk()?;
        }
        Ok(())
    }

    pub fn open_writer(&mut self) -> Result<Open> {
        let index = &self.shared.index;
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(WRITER_BYTES)
            .num_worker_threads(1)
            .num_merge_threads(1)
            .build();
        let writer: IndexWriter = index.writer_with_options(options).map_err(Error::internal)?;
        let mut policy = LogMergePolicy::default();
        policy.set_max_docs_before_merge(MERGED_DOCUMENTS);
        policy.set_del_docs_ratio_before_merge(DELETED_PART);
        writer.set_merge_policy(Box::new(policy));
        let newest = self.newest()?;
        let payload = index.load_metas().map_err(Error::internal)?.payload;
        let mark = payload.and_then(|text| Mark::parse(&text, &self.shared.settings));
        // One that is ahead of the store is the index of another store.
        let mark = mark.filter(|mark| mark.position() <= newest);
        let usable = self.checked || self.is_undamaged()?;
        self.checked = true;
        match mark.filter(|_| usable) {
            Some(mark) => {
                self.shared.reader.reload().map_err(Error::internal)?;
                Ok(Open { writer, mark, pending: 0 })
            }
            None => {
                let mark = Mark::of_nothing(&self.shared.settings, newest);
                let mut open = Open { writer, mark, pending: 0 };
                open.clear(&self.shared)?;
                Ok(open)
            }
        }
    }

    /// The id of the newest stored change.
    fn newest(&self) -> Result<Id> {
        Ok(self.store.recent(SHARD, 0)?.0)
    }

    /// Reads all files and holds them against their checksums.
    fn is_undamaged(&self) -> Result<bool> {
        let damaged = self.shared.index.validate_checksum().map_err(Error::internal)?;
        if !damaged.is_empty() {
            tracing::warn!(files = ?damaged, "the search index is damaged; it is made again");
        }
        Ok(damaged.is_empty())
    }

    fn begin_anew(&mut self) -> Result<()> {
        let newest = self.newest()?;
        tracing::info!("the search index is too far behind; it is made again");
        let Some(open) = &mut self.open else { return Ok(()) };
        open.mark = Mark::of_nothing(&self.shared.settings, newest);
        open.clear(&self.shared)
    }
}

impl Open {
    /// Takes everything out.
    fn clear(&mut self, shared: &Shared) -> Result<()> {
        shared.set_unready();
        shared.rebuilds.fetch_add(1, Ordering::Relaxed);
        self.writer.delete_all_documents().map_err(Error::internal)?;
        self.commit(shared)
    }

    /// Makes what was taken in findable, and durable with its place.
    pub fn commit(&mut self, shared: &Shared) -> Result<()> {
        let mut prepared = self.writer.prepare_commit().map_err(Error::internal)?;
        prepared.set_payload(&self.mark.text());
        prepared.commit().map_err(Error::internal)?;
        shared.reader.reload().map_err(Error::internal)?;
        self.pending = 0;
        Ok(())
    }

    /// Commits if enough was taken in.
    pub fn commit_if_full(&mut self, shared: &Shared) -> Result<()> {
        if self.pending >= shared.settings.commit_changes { self.commit(shared) } else { Ok(()) }
    }
}
