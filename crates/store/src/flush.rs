//! The flush: a thread beside the committer that moves a frozen tail into the table. It writes all rows, then moves the
//! checkpoint, then swaps the view, then frees the log; a crash anywhere before the checkpoint leaves blocks that no view
//! shows, and the flush is done again with the same batches.

use crate::{
    codec,
    device::{Space, SpaceRows, TableStatus},
    facts::Facts,
    feed,
    flush_altered::Altering,
    kept_store::{Shared, changes_weeks, feed_days},
    keys::{self, BlockKey},
    lists,
    merge::{self, Flushed, Output},
    meta::{self, FeedState, Mark},
    rows::{self, ChannelRow, FeedRow},
    settings::{FACTS_CACHED, FEED_SHARE, TABLE_POLL},
    tail::Part,
    view::{Frozen, View},
};
use bytes::Bytes;
use model::{Error, Position, Result};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use xxhash_rust::xxh3::Xxh3;

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

    fn write_channels(&mut self, view: &View, part: Part<'_>, pieces: &mut Pieces<'_>) -> Result<()> {
        self.facts.clear();
        let mut numbers = part.numbers();
        numbers.extend(part.altered_numbers());
        // In the order of their keys, so that a piece touches few spaces.
        numbers.sort_unstable_by_key(|number| (keys::blocks_of(*number), *number));
        numbers.dedup();
        for (at, number) in numbers.into_iter().enumerate() {
            if at % 1024 == 0 && self.is_stopping() {
                return Err(Error::unavailable("the store is closing"));
            }
            self.write_one(view, part, number, pieces)?;
            pieces.write_if_full()?;
        }
        Ok(())
    }

    fn write_one(&mut self, view: &View, part: Part<'_>, number: u64, pieces: &mut Pieces<'_>) -> Result<()> {
        let is_new = part.ends(number)?.is_some_and(|ends| ends.is_new);
        let is_altered = part.with_altered(number, |_| ()).is_some();
        let alters = is_altered || part.can_expire(number) || part.imported_upto(number)?.is_some();
        // A channel that ever lost something drops it from what is rewritten; one that did not has nothing to be read.
        let mut altering = match alters || (merge::reads_back(part, number)? && view.has_facts(number)?) {
            true => Some(Altering::begin(view, part, number, pieces.upto)?),
            false => None,
        };
        let fates = (altering.as_mut(), lists::flush::keeps_removed(view, part, number)?);
        if let Some(flushed) = merge::flush_channel(view, part, number, pieces.upto, fates, pieces)? {
            write_channel(view, part, number, &flushed, pieces)?;
        }
        match altering.filter(|_| alters) {
            Some(altering) => self.facts.push((number, altering.write(pieces)?)),
            None if is_new && self.facts.len() < FACTS_CACHED => self.facts.push((number, Facts::default())),
            None => {}
        }
        Ok(())
    }

    /// Forgets the oldest weeks of the change feeds, by the same rule as the days of the feed.
    fn trim_changes(&mut self) {
        let settings = &self.shared.settings;
        let allowed = (self.feed.block_bytes.0 / FEED_SHARE).max(settings.feed_bytes_min);
        let state = &mut self.changes;
        loop {
            let bytes: u64 = state.days.values().map(|(bytes, _)| bytes).sum();
            let too_much = state.days.len() > settings.changes_weeks || bytes > allowed;
            if state.days.len() < 2 || !too_much {
                return;
            }
            if let Some((week, _)) = state.days.pop_first() {
                state.starts_after = state.starts_after.max(keys::end_of_week(week));
            }
        }
    }

    /// Rows of the feed: each of one day, and of as many items as a row takes.
    fn write_feed(&mut self, part: Part<'_>, mark: Mark, pieces: &mut Pieces<'_>) -> Result<()> {
        let mut row = FeedRow::default();
        let mut days: BTreeMap<u32, u64> = BTreeMap::new();
        let mut end_row = |row: &mut FeedRow, pieces: &mut Pieces<'_>| -> Result<()> {
            let key = keys::feed_row(self.shared.shard, row.first);
            let value = row.encode(&key);
            let day = keys::day_of(row.first);
            *days.entry(day).or_default() += value.len() as u64;
            pieces.put(Space::Feed(day), key, Some(value));
            *row = FeedRow::default();
            pieces.write_if_full()
        };
        // What was imported is no news.
        for batch in part.batches().iter().filter(|batch| !codec::is_imported(&batch.record.body)) {
            for entry in codec::entries(&batch.record.body) {
                let (_, entry) = entry?;
                let same_day = keys::day_of(row.first) == keys::day_of(entry.id());
                if !row.is_empty() && (row.is_full() || !same_day) {
                    end_row(&mut row, pieces)?;
                }
                let (kind, channel) = feed::in_short(&batch.record.body, &entry);
                row.push(entry.id(), kind, channel);
            }
        }
        if !row.is_empty() {
            end_row(&mut row, pieces)?;
        }
        for (day, bytes) in days {
            let kept = self.feed.days.entry(day).or_default();
            if kept.1 < mark.batch {
                *kept = (kept.0 + bytes, mark.batch);
            }
        }
        Ok(())
    }

    /// Forgets the oldest days of the feed while there are too many or they take too much. Days are counted as they
    /// are there, not by the calendar: a clock that runs ahead drops nothing.
    fn trim_feed(&mut self) {
        let settings = &self.shared.settings;
        let allowed = (self.feed.block_bytes.0 / FEED_SHARE).max(settings.feed_bytes_min);
        loop {
            let bytes: u64 = self.feed.days.values().map(|(bytes, _)| bytes).sum();
            let too_much = self.feed.days.len() > settings.feed_days + 1 || bytes > allowed;
            if self.feed.days.len() < 2 || !too_much {
                return;
            }
            if let Some((day, _)) = self.feed.days.pop_first() {
                self.feed.starts_after = self.feed.starts_after.max(keys::end_of_day(day));
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

fn write_channel(view: &View, part: Part<'_>, number: u64, flushed: &Flushed, pieces: &mut Pieces<'_>) -> Result<()> {
    let key = keys::channel_row_of(&flushed.name);
    let (id, seq) = flushed.last;
    let mut last = Position { id, seq };
    // What an import brings may lie below what is there.
    if part.imported_upto(number)?.is_some()
        && let Some(row) = view.channel_row(&key)?
        && row.last.id > id
    {
        last = row.last;
    }
    let row = ChannelRow { number, last, upto: pieces.upto };
    let value = row.encode(&key);
    pieces.put(Space::Channels, key, Some(value));
    Ok(())
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

/// Rows on their way to the table, written whenever enough of them are there.
pub(crate) struct Pieces<'a> {
    shared: &'a Shared,
    /// The last batch of the flush.
    pub upto: u64,
    rows: BTreeMap<Space, Vec<(Bytes, Option<Bytes>)>>,
    garbage: Vec<BlockKey>,
    bytes: usize,
    block_bytes: u64,
    /// Bytes put into the change feeds, by week.
    changes: BTreeMap<u32, u64>,
    /// Rows to be deleted when all others are written.
    pub last: Vec<(Space, Bytes)>,
    written: u32,
    /// Hashes of the pieces that this flush has written, in an earlier attempt too.
    earlier: &'a mut Vec<u64>,
}

impl<'a> Pieces<'a> {
    fn new(shared: &'a Shared, upto: u64, earlier: &'a mut Vec<u64>) -> Pieces<'a> {
        let (rows, garbage) = (BTreeMap::new(), Vec::new());
        Pieces {
            shared,
            upto,
            rows,
            garbage,
            bytes: 0,
            block_bytes: 0,
            changes: BTreeMap::new(),
            last: Vec::new(),
            written: 0,
            earlier,
        }
    }

    /// A row of a channel's change feed.
    pub fn change(&mut self, week: u32, key: Bytes, value: Bytes) {
        *self.changes.entry(week).or_default() += value.len() as u64;
        self.put(Space::Changes(week), key, Some(value));
    }

    pub fn put(&mut self, space: Space, key: Bytes, value: Option<Bytes>) {
        self.bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
        self.rows.entry(space).or_default().push((key, value));
    }

    pub fn write_if_full(&mut self) -> Result<()> {
        if self.bytes < self.shared.settings.piece_bytes {
            return Ok(());
        }
        self.write()
    }

    fn write(&mut self) -> Result<()> {
        if !self.garbage.is_empty() {
            let (key, value) = meta::garbage_row(self.upto, self.written, &self.garbage);
            self.put(Space::Meta, key, value);
            self.garbage.clear();
        }
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        let rows: Vec<SpaceRows> = rows
            .into_iter()
            .map(|(space, mut rows)| {
                rows.sort_unstable_by(|one, other| one.0.cmp(&other.0));
                SpaceRows { space, rows }
            })
            .collect();
        self.write_piece(rows)?;
        self.bytes = 0;
        self.written += 1;
        Ok(())
    }

    /// Written twice, a piece would take its room twice, and an attempt on a full device might never come to its end.
    fn write_piece(&mut self, rows: Vec<SpaceRows>) -> Result<()> {
        let (at, hash) = (self.written as usize, hash_of(&rows));
        if self.earlier.get(at) == Some(&hash) {
            return Ok(());
        }
        self.earlier.truncate(at);
        self.shared.stats.written_bytes.fetch_add(self.bytes as u64, Ordering::Relaxed);
        self.shared.table.write(&mut rows.into_iter())?;
        self.earlier.push(hash);
        Ok(())
    }
}

fn hash_of(rows: &[SpaceRows]) -> u64 {
    let mut hash = Xxh3::new();
    for SpaceRows { space, rows } in rows {
        hash.update(space.name().as_bytes());
        for (key, value) in rows {
            let length = value.as_ref().map_or(u64::MAX, |value| value.len() as u64);
            hash.update(&(key.len() as u64).to_le_bytes());
            hash.update(key);
            hash.update(&length.to_le_bytes());
            hash.update(value.as_deref().unwrap_or_default());
        }
    }
    hash.digest()
}

impl Output for Pieces<'_> {
    fn block(&mut self, key: BlockKey, value: Bytes) -> Result<()> {
        self.shared.stats.blocks_written.fetch_add(1, Ordering::Relaxed);
        self.block_bytes += value.len() as u64;
        self.put(key.space(), key.encode(), Some(value));
        self.write_if_full()
    }

    fn garbage(&mut self, key: BlockKey) {
        self.shared.stats.blocks_merged.fetch_add(1, Ordering::Relaxed);
        self.garbage.push(key);
    }
}
