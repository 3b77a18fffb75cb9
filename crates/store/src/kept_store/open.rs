//! How a store is opened: what the table has, and what the log has past it.

use super::{KeptStore, Shared};
use crate::{
    channels::NameCache,
    codec,
    commit::{self, Committer, Found},
    device::{Log, Space, Table},
    flush::Flusher,
    lists::{self, indexed::Indexed},
    meta::{self, Meta},
    settings::Settings,
    stats::Stats,
    tail::Tail,
    view::{Frozen, View, Views},
};
use model::{Error, Result, ShardId};
use std::{
    sync::{Arc, Mutex, atomic::AtomicU64},
    thread,
};

impl KeptStore {
    /// Opens the store of shard 0 on its two devices: finishes what a cut-off flush left, reads the log past the
    /// checkpoint. [`model::Store::settle`] must follow before anything is applied. Damage is an error that names its
    /// place.
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
