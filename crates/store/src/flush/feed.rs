//! The feed in the table, by days, and how far back it and the channels' change feeds, by weeks, reach.

use super::{Flusher, Pieces};
use crate::{codec, device::Space, feed, keys, meta::Mark, rows::FeedRow, settings::FEED_SHARE, tail::Part};
use model::Result;
use std::collections::BTreeMap;

impl Flusher {
    /// Rows of the feed: each of one day, and of as many items as a row takes.
    pub(super) fn write_feed(&mut self, part: Part<'_>, mark: Mark, pieces: &mut Pieces<'_>) -> Result<()> {
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
    pub(super) fn trim_feed(&mut self) {
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

    /// Forgets the oldest weeks of the change feeds, by the same rule as the days of the feed.
    pub(super) fn trim_changes(&mut self) {
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
}
