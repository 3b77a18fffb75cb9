//! The committer's side: applying batches and deciding what is there. One thread at a time; it never reads the table.

use crate::{
    codec::{self, Encoder, Entry},
    device::{AppendError, Log, LogRecord, Table},
    meta::Mark,
    settings::Settings,
    stats::Stats,
    tail::Tail,
    view::{Frozen, View, Views},
};
use model::{ApplyError, Batch, Change, ChannelNumber, Error, ErrorKind, Id, Result, Settled, ShardId, limits};
use std::{
    mem,
    sync::{Arc, atomic::Ordering},
};
use xxhash_rust::xxh3::xxh3_64;

/// Decides the order of things on disk.
pub(crate) struct Committer {
    log: Box<dyn Log>,
    shard: ShardId,
    stage: Stage,
    /// How far the batches go that happened.
    mark: Mark,
    /// Up to where the log was given back.
    freed: u64,
    encoder: Encoder,
}

/// Where the log is in its life.
enum Stage {
    /// The log was read; what it holds must be written anew before it is believed.
    Found(Found),
    /// Batches are taken.
    Ready,
    /// Writing the log anew failed, between two batches: it must succeed before another one.
    Suspect,
    /// This batch may be in the log or not. It keeps its number: settling makes it happen.
    Doubt(LogRecord),
}

/// What the log holds past the checkpoint.
pub(crate) struct Found {
    /// What a flush that was cut off was about to write.
    pub frozen: Option<Frozen>,
    pub active: Arc<Tail>,
    pub mark: Mark,
}

impl Committer {
    pub fn new(log: Box<dyn Log>, shard: ShardId, found: Found) -> Committer {
        Committer { log, shard, mark: found.mark, stage: Stage::Found(found), freed: 0, encoder: Encoder::default() }
    }

    /// See [`model::Store::apply`].
    pub fn apply(
        &mut self,
        batch: &Batch,
        views: &Views,
        settings: &Settings,
        stats: &Stats,
        table: &dyn Table,
    ) -> Result<(), ApplyError> {
        self.begin(views)?;
        let record = self.encode(batch).map_err(ApplyError::Refused)?;
        let body_hash = xxh3_64(&record.body);
        if batch.number == self.mark.batch && batch.number > 0 && body_hash == self.mark.body_hash {
            return Ok(());
        }
        self.check(batch).map_err(ApplyError::Refused)?;
        self.append(record, views, settings, stats, table)
    }

    /// See [`crate::KeptStore::import`].
    pub fn import(
        &mut self,
        changes: &[Arc<Change>],
        views: &Views,
        settings: &Settings,
        stats: &Stats,
        table: &dyn Table,
    ) -> Result<(), ApplyError> {
        self.begin(views)?;
        let newest = changes.iter().map(|change| change.id().ticks()).max().unwrap_or_default();
        let body = self.encoder.encode_imported(changes).map_err(ApplyError::Refused)?;
        let record = LogRecord {
            batch: self.mark.batch + 1,
            epoch: self.mark.epoch,
            reserved: self.mark.reserved.max(newest),
            changes: changes.len() as u32,
            body,
        };
        self.append(record, views, settings, stats, table)
    }

    /// Whether a batch can be taken now.
    fn begin(&mut self, views: &Views) -> Result<(), ApplyError> {
        if let Stage::Suspect = self.stage {
            self.relog(views).map_err(ApplyError::Refused)?;
        }
        match &self.stage {
            Stage::Ready | Stage::Suspect => Ok(()),
            Stage::Doubt(_) => Err(ApplyError::Unknown(in_doubt())),
            Stage::Found(_) => Err(ApplyError::Refused(Error::unavailable("nothing was written: settle first"))),
        }
    }

    /// Makes an encoded batch durable and visible.
    fn append(
        &mut self,
        record: LogRecord,
        views: &Views,
        settings: &Settings,
        stats: &Stats,
        table: &dyn Table,
    ) -> Result<(), ApplyError> {
        // Everything that could be wrong with the body is found before it is written.
        let entries = codec::decode(&record).map_err(|malformed| ApplyError::Refused(malformed.into()))?;
        make_room(views, settings, stats, table).map_err(ApplyError::Refused)?;
        freeze_if_full(self.mark, views, settings);
        self.free(views);
        match self.log.append(&record) {
            Ok(()) => {}
            Err(AppendError::Refused(error)) => return Err(ApplyError::Refused(error)),
            Err(AppendError::Unknown(error)) => {
                self.stage = Stage::Doubt(record);
                return Err(ApplyError::Unknown(error));
            }
        }
        stats.count_batch(entries.len(), record.body.len());
        self.publish(record, entries, views);
        freeze_if_full(self.mark, views, settings);
        Ok(())
    }

    fn encode(&mut self, batch: &Batch) -> Result<LogRecord> {
        if batch.changes.len() > limits::BATCH_CHANGES {
            return Err(Error::invalid(format!("batch {}: too many changes", batch.number)));
        }
        let body = self.encoder.encode(&batch.changes)?;
        let changes = batch.changes.len() as u32;
        Ok(LogRecord { batch: batch.number, epoch: batch.epoch, reserved: batch.reserved, changes, body })
    }

    /// What the contract asks of a batch, as far as the committer can see it without reading.
    fn check(&self, batch: &Batch) -> Result<()> {
        let refused = |why: String| Err(Error::invalid(format!("batch {}: {why}", batch.number)));
        if batch.shard != self.shard {
            return refused(format!("shard {} is not kept here", batch.shard.0));
        }
        if batch.number != self.mark.batch + 1 {
            return refused(format!("the next number is {}", self.mark.batch + 1));
        }
        if batch.epoch < self.mark.epoch {
            return refused(format!("epoch {} has ended", batch.epoch));
        }
        let mut last = self.mark.last_id;
        for change in &batch.changes {
            if change.id() <= last {
                return refused("its ids do not grow".into());
            }
            last = change.id();
            if let Change::Channel(change) = &**change
                && change.number == ChannelNumber::NONE
            {
                return refused("a channel has no number".into());
            }
        }
        if !batch.changes.is_empty() && last.ticks() > batch.reserved {
            return refused("its ids pass the reservation".into());
        }
        Ok(())
    }

    /// Makes a durable batch visible.
    fn publish(&mut self, record: LogRecord, entries: Vec<(usize, Entry)>, views: &Views) {
        self.mark = mark_after(self.mark, &record, &entries);
        views.load().active.add(record, entries);
        views.update(|view| view.active_upto = self.mark.batch);
    }

    /// See [`model::Store::settle`].
    pub fn settle(&mut self, shard: ShardId, epoch: u64, views: &Views) -> Result<Settled> {
        if shard != self.shard {
            return Err(Error::invalid(format!("shard {} is not kept here", shard.0)));
        }
        if epoch < self.mark.epoch {
            return Err(Error::new(ErrorKind::Conflict, format!("epoch {} owns the shard", self.mark.epoch)));
        }
        if !matches!(self.stage, Stage::Ready) {
            self.relog(views)?;
        }
        self.mark.epoch = epoch;
        Ok(Settled {
            last_batch: self.mark.batch,
            last_id: self.mark.last_id,
            reserved: self.mark.reserved,
            last_number: ChannelNumber(self.mark.last_number),
        })
    }

    /// Writes every batch past the checkpoint to a fresh place, the one in doubt too; only then is it believed.
    fn relog(&mut self, views: &Views) -> Result<()> {
        let mut view = View::clone(&views.load());
        if let Stage::Found(found) = &self.stage {
            view.frozen = found.frozen.clone();
            view.active = found.active.clone();
            view.active_upto = found.mark.batch;
        }
        let kept: Vec<_> = view.parts().flat_map(|part| part.batches()).map(|batch| batch.record).collect();
        let doubt = match &self.stage {
            Stage::Doubt(record) => Some((record.clone(), codec::decode(record)?)),
            Stage::Found(_) | Stage::Ready | Stage::Suspect => None,
        };
        let in_doubt = doubt.iter().map(|(record, _)| record.clone());
        self.log.rewrite(&mut kept.into_iter().chain(in_doubt))?;
        if let Stage::Found(_) = mem::replace(&mut self.stage, Stage::Ready) {
            views.update(|current| *current = View { settled: true, ..view });
        }
        if let Some((record, entries)) = doubt {
            self.publish(record, entries, views);
        }
        Ok(())
    }

    /// Writes what the log still needs to a fresh place; what it held before is overwritten in the background.
    pub fn renew_log(&mut self, views: &Views) -> Result<()> {
        if let Stage::Ready = self.stage {
            self.stage = Stage::Suspect;
        }
        self.relog(views)
    }

    pub fn is_log_scrubbed(&self) -> bool {
        self.log.is_scrubbed()
    }

    /// Ends the active tail here, so that it is flushed whole. Nothing if it is empty or one is frozen already.
    pub fn freeze(&self, views: &Views) {
        freeze(self.mark, views);
    }

    /// Gives back the log up to the checkpoint of the view, if that was not done yet.
    pub fn free(&mut self, views: &Views) {
        let checkpoint = views.load().checkpoint;
        if checkpoint > self.freed {
            self.log.free(checkpoint);
            self.freed = checkpoint;
        }
    }

    pub fn log_bytes(&self) -> u64 {
        self.log.live_bytes()
    }
}

/// Why nothing new is taken.
pub(crate) fn disk_full() -> Error {
    Error::unavailable("the disk is full: nothing new is stored until there is room")
}

fn in_doubt() -> Error {
    Error::unavailable("an earlier batch may have been written or not: settle first")
}

/// How far things go with one batch more.
pub(crate) fn mark_after(mark: Mark, record: &LogRecord, entries: &[(usize, Entry)]) -> Mark {
    Mark {
        batch: record.batch,
        epoch: mark.epoch.max(record.epoch),
        reserved: mark.reserved.max(record.reserved),
        body_hash: xxh3_64(&record.body),
        last_id: newest(mark.last_id, &record.body, entries),
        last_number: entries.iter().map(|(_, entry)| entry.number()).fold(mark.last_number, u64::max),
    }
}

/// The newest id that was stored when a batch has happened after `before`: an import brings ids of any time, in any order.
pub(crate) fn newest(before: Id, body: &[u8], entries: &[(usize, Entry)]) -> Id {
    match codec::is_imported(body) {
        true => entries.iter().map(|(_, entry)| entry.id()).fold(before, Id::max),
        false => entries.last().map_or(before, |(_, entry)| entry.id()),
    }
}

/// Waits while both tails are full; refuses when the flush does not come to an end in time.
fn make_room(views: &Views, settings: &Settings, stats: &Stats, table: &dyn Table) -> Result<()> {
    let has_room = |view: &View| view.frozen.is_none() || !is_full(&view.active, settings);
    if has_room(&views.load()) {
        return Ok(());
    }
    stats.stalls.fetch_add(1, Ordering::Relaxed);
    match views.wait_until(Some(settings.stall_wait), |_, view| has_room(view)) {
        true => Ok(()),
        false if table.is_full() => Err(disk_full()),
        false => Err(Error::unavailable("nothing was written: the store cannot flush fast enough")),
    }
}

fn is_full(tail: &Tail, settings: &Settings) -> bool {
    tail.resident() >= settings.tail_bytes
        || tail.log_bytes() as u64 >= settings.tail_log_bytes
        || tail.changes() >= settings.tail_changes
}

fn freeze_if_full(mark: Mark, views: &Views, settings: &Settings) {
    if is_full(&views.load().active, settings) {
        freeze(mark, views);
    }
}

fn freeze(mark: Mark, views: &Views) {
    views.update(|view| {
        if view.frozen.is_none() && !view.active.is_empty() {
            let active = mem::replace(&mut view.active, Arc::new(Tail::new(mark.batch, mark.last_id)));
            view.frozen = Some(Frozen { tail: active, mark });
        }
    });
}
