//! The flush: a thread beside the committer that moves a frozen tail into the table. It writes all rows, then moves the
//! checkpoint, then swaps the view, then frees the log; a crash anywhere before the checkpoint leaves blocks that no view
//! shows, and the flush is done again with the same batches.
//!
//! Here is the order of it all. What is written of a channel, `channels` tells, with `altered` for what happened to its
//! messages and `merge` for its blocks; `feed` writes the feed, `lists::flush` the lists. All of them put their rows into
//! `pieces`.

mod altered;
mod channels;
mod feed;
mod pieces;

pub(crate) use altered::Altering;
pub(crate) use pieces::Pieces;

use crate::{
    device::{Space, TableStatus},
    facts::Facts,
    kept_store::{Shared, changes_weeks, feed_days},
    keys, lists,
    meta::{self, FeedState},
    rows,
    settings::TABLE_POLL,
    tail::Part,
    view::{Frozen, View},
};
use bytes::Bytes;
use model::Result;
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// How long a flush takes removed messages out of lists before it leaves them to maintenance.
const TAKE_OUT_AT_MOST: Duration = Duration::from_millis(200);
const MAINTENANCE_POLL: Duration = Duration::from_millis(20);

/// Flushes frozen tails, one at a time.
pub(crate) struct Flusher {
    shared: Arc<Shared>,
    feed: FeedState,
    changes: FeedState,
    /// The checkpoint that the table has: ahead of the view's while a flush failed in its last steps.
    written: u64,
    /// What the last flush made known of channels.
    facts: Vec<(u64, Facts)>,
    /// What was written of the flush up to a batch, piece by piece: done again, it writes only the others.
    pieces: (u64, Vec<u64>),
}

/// A fault of the program ends the flush: whoever waits for it is told, and the log keeps everything.
impl Drop for Flusher {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.views.tell(|state| {
                state.stopping = true;
                state.failures += 1;
                state.last_failure = Some("the flush thread ended by a panic".into());
            });
        }
    }
}

impl Flusher {
    pub fn new(shared: Arc<Shared>, feed: FeedState, changes: FeedState) -> Flusher {
        Flusher { shared, feed, changes, written: 0, facts: Vec::new(), pieces: (0, Vec::new()) }
    }

    /// Flushes until the store stops. What fails is tried again, ever more slowly.
    pub fn run(mut self) {
        let shared = self.shared.clone();
        let (mut pause, mut retry) = (Duration::ZERO, RETRY_FIRST);
        loop {
            shared.views.wait_until(Some(pause), |state, view| state.stopping || view.frozen.is_some());
            if self.is_stopping() {
                return;
            }
            match self.step() {
                Ok(next) => (pause, retry) = (next, RETRY_FIRST),
                Err(_) if self.is_stopping() => return,
                Err(error) => {
                    tracing::error!(?error, "the tables cannot be written; the log keeps what they lack");
                    shared.views.tell(|state| {
                        state.failures += 1;
                        state.last_failure = Some(format!("{error:?}"));
                    });
                    shared.views.wait_until(Some(retry), |state, _| state.stopping);
                    retry = (retry * 2).min(RETRY_MAX);
                }
            }
        }
    }

    /// What is to be done now; how long to wait for the next step when nothing comes to be flushed.
    fn step(&mut self) -> Result<Duration> {
        self.recover()?;
        let frozen = self.shared.views.load().frozen.clone();
        if let Some(frozen) = frozen {
            self.flush(&frozen)?;
            return Ok(Duration::ZERO);
        }
        let more = self.shared.table.keep_room()?;
        Ok(if more { Duration::ZERO } else { TABLE_POLL })
    }

    /// Has the table take writes again if it gave up, and shows readers what it has. Not between checkpoint and view, where
    /// replaced blocks may be gone that the old view needs: then the end of the flush shows it.
    fn recover(&self) -> Result<()> {
        let shared = &self.shared;
        if shared.table.needs_recovery() {
            // Whoever writes notices, and ends.
            let Some(_writer) = shared.try_table_writer() else { return Ok(()) };
            shared.table.recover()?;
        }
        let view = shared.views.load();
        let is_past_checkpoint = view.frozen.as_ref().is_some_and(|frozen| self.written >= frozen.mark.batch);
        if view.snapshot.is_gone() && !is_past_checkpoint {
            self.renew_snapshot()?;
        }
        Ok(())
    }

    /// The same rows as before, seen through a new snapshot: what an unfinished flush wrote is not to be seen.
    fn renew_snapshot(&self) -> Result<()> {
        let snapshot = self.shared.table.snapshot()?;
        self.shared.views.update(|view| view.snapshot = snapshot);
        Ok(())
    }

    fn is_stopping(&self) -> bool {
        self.shared.views.lock().stopping
    }

    fn flush(&mut self, frozen: &Frozen) -> Result<()> {
        let begun = Instant::now();
        let shared = self.shared.clone();
        let _writer = shared.table_writer();
        if self.written < frozen.mark.batch {
            self.write(frozen)?;
            self.written = frozen.mark.batch;
        }
        self.finish(frozen, begun)?;
        // What this leaves to maintenance costs readers of lists a look at every message.
        if let Err(error) = lists::upkeep::take_out_some(&shared, Instant::now() + TAKE_OUT_AT_MOST) {
            tracing::error!(?error, "removed messages could not be taken out of lists; maintenance tries again");
        }
        Ok(())
    }

    /// Everything up to the checkpoint. Done again after a failure, it writes the same rows under the same keys.
    fn write(&mut self, frozen: &Frozen) -> Result<()> {
        let shared = self.shared.clone();
        let (table, mark) = (&*shared.table, frozen.mark);
        self.wait_for_maintenance();
        if self.pieces.0 != mark.batch {
            shared.flushing.store(mark.batch, Ordering::SeqCst);
            meta::put_flushing(table, mark.batch)?;
            self.pieces = (mark.batch, Vec::new());
        }
        self.renew_snapshot()?;
        let view = shared.views.load();
        let mut earlier = std::mem::take(&mut self.pieces.1);
        let written = self.write_pieces(&view, frozen, &mut earlier);
        self.pieces.1 = earlier;
        written?;
        self.trim_feed();
        self.trim_changes();
        meta::put_checkpoint(table, &mark, &self.feed, &self.changes)
    }

    fn write_pieces(&mut self, view: &View, frozen: &Frozen, earlier: &mut Vec<u64>) -> Result<()> {
        let (shared, mark) = (self.shared.clone(), frozen.mark);
        let mut pieces = Pieces::new(&shared, mark.batch, earlier);
        let part = frozen.tail.upto(mark.batch);
        self.write_channels(view, part, &mut pieces)?;
        lists::flush::flush(view, part, &mut pieces, &|| self.is_stopping())?;
        write_keyed(part, &mut pieces)?;
        write_records(part, &mut pieces)?;
        self.write_feed(part, mark, &mut pieces)?;
        pieces.write()?;
        // The facts last: what they tell of is all there then.
        for (number, facts) in &self.facts {
            let key = keys::facts_row(*number);
            if facts.upto == mark.batch {
                let value = facts.encode(&key);
                pieces.put(Space::Channels, key, Some(value));
                pieces.write_if_full()?;
            }
        }
        pieces.write()?;
        for (space, key) in std::mem::take(&mut pieces.last) {
            pieces.put(space, key, None);
            pieces.write_if_full()?;
        }
        pieces.write()?;
        for (week, bytes) in std::mem::take(&mut pieces.changes) {
            let kept = self.changes.days.entry(week).or_default();
            if kept.1 < mark.batch {
                *kept = (kept.0 + bytes, mark.batch);
            }
        }
        if self.feed.block_bytes.1 < mark.batch {
            self.feed.block_bytes = (self.feed.block_bytes.0 + pieces.block_bytes, mark.batch);
        }
        Ok(())
    }

    /// The engine's own merging comes first when it lags behind; a publisher that waits for this flush is told so.
    fn wait_for_maintenance(&self) {
        let settings = &self.shared.settings;
        let until = Instant::now() + settings.runs_wait;
        let lags_behind = |status: TableStatus| status.merges && status.runs_max > settings.runs_max;
        while lags_behind(self.shared.table.status()) && Instant::now() < until {
            self.shared.stats.maintenance_waits.fetch_add(1, Ordering::Relaxed);
            if self.shared.views.wait_until(Some(MAINTENANCE_POLL), |state, _| state.stopping) {
                return;
            }
        }
    }

    /// What follows the checkpoint: replaced blocks and old days go, the view is swapped, the log is freed.
    fn finish(&mut self, frozen: &Frozen, begun: Instant) -> Result<()> {
        let shared = &self.shared;
        let (table, mark) = (&*shared.table, frozen.mark);
        meta::delete_garbage(table, mark.batch)?;
        lists::flush::delete_garbage(table, &*table.snapshot()?, mark.batch)?;
        for space in table.spaces()? {
            let is_old = match space {
                Space::Dedup(day) => !meta::is_dedup_day_needed(day, mark.last_id),
                Space::Feed(day) => keys::end_of_day(day) <= self.feed.starts_after,
                Space::Changes(week) => keys::end_of_week(week) <= self.changes.starts_after,
                _ => false,
            };
            if is_old {
                table.drop_space(space)?;
            }
        }
        let snapshot = table.snapshot()?;
        let feed_days: Arc<[u32]> = feed_days(table)?.into();
        let unlisted = lists::unlisted::apps(&*snapshot)?;
        let changes_weeks: Arc<[u32]> = changes_weeks(table)?.into();
        let facts = std::mem::take(&mut self.facts);
        // Counted before it shows, so that whoever waited for it finds it counted.
        shared.stats.count_flush(begun.elapsed(), frozen.tail.body_bytes() as u64);
        shared.views.update(|view| {
            view.frozen = None;
            view.snapshot = snapshot;
            view.lists = Arc::new(lists::indexed::Indexed { unlisted, ..view.lists.as_ref().clone() });
            view.facts = Arc::new(view.facts.next(facts));
            view.changes_start_after = self.changes.starts_after;
            view.changes_weeks = changes_weeks;
            view.checkpoint = mark.batch;
            view.feed_starts_after = self.feed.starts_after;
            view.feed_days = feed_days;
        });
        // A committer at work does it itself; waiting for one that waits for the next flush would never end.
        if let Ok(mut committer) = shared.committer.try_lock() {
            committer.free(&shared.views);
        }
        Ok(())
    }
}

fn write_keyed(part: Part<'_>, pieces: &mut Pieces<'_>) -> Result<()> {
    for ((day, number, key_hash), published) in part.all_keyed()? {
        let key = keys::dedup_row(number, key_hash);
        let payload_hash = published.key.map_or(0, |key| key.payload_hash);
        let value = rows::encode_keyed(&key, &published, payload_hash);
        pieces.put(Space::Dedup(day), key, Some(value));
        pieces.write_if_full()?;
    }
    Ok(())
}

fn write_records(part: Part<'_>, pieces: &mut Pieces<'_>) -> Result<()> {
    let mut start = Bytes::new();
    while let Some((key, found)) = part.next_record(&start, &[u8::MAX])? {
        start = [&key[..], &[0]].concat().into();
        let value = found.value.map(|value| rows::encode_record(&key, found.version, &value));
        pieces.put(Space::Records, key, value);
        pieces.write_if_full()?;
    }
    Ok(())
}
