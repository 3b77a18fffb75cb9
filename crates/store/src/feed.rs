//! The feed: what was stored over all channels, in the node's order; and the newest changes whole, which refill the
//! recent ring after a start. Tails hold both by themselves; the table has rows of the feed, a space for each UTC day.

use crate::{
    alteration::Alteration,
    codec::{self, Entry},
    device::Space,
    keys, rows,
    settings::FEED_PAGE_ITEMS,
    tail::{Part, TailBatch},
    view::View,
};
use bytes::Bytes;
use model::{Change, FeedItem, FeedKind, FeedPage, Id, Result, ShardId, Span};
use std::sync::Arc;

impl View {
    /// See [`model::Store::feed`].
    pub fn feed(&self, shard: ShardId, span: Span, limit: u32) -> Result<FeedPage> {
        let limit = limit.min(FEED_PAGE_ITEMS) as usize;
        let wanted = Span { after: span.after.max(self.feed_starts_after), upto: span.upto };
        let mut items = Vec::new();
        // One item more than the limit tells whether there is more.
        self.feed_of_table(shard, wanted, limit + 1, &mut items)?;
        for part in self.parts() {
            feed_of_tail(part, wanted, limit + 1, &mut items)?;
        }
        let more = items.len() > limit;
        items.truncate(limit);
        let examined = match more {
            true => items.last().map_or(span.after, |item| item.id),
            false => span.upto,
        };
        Ok(FeedPage { items, examined, more, starts_after: self.feed_starts_after })
    }

    fn feed_of_table(&self, shard: ShardId, span: Span, limit: usize, items: &mut Vec<FeedItem>) -> Result<()> {
        // What the tails have may be in the table already, by a flush that was cut off.
        let stored = self.parts().next().map_or(Id::MIN, |part| part.after());
        let span = Span { after: span.after, upto: span.upto.min(stored) };
        if span.is_empty() {
            return Ok(());
        }
        let days = keys::day_of(span.after)..=keys::day_of(span.upto);
        for day in self.feed_days.iter().filter(|day| days.contains(day)) {
            let space = Space::Feed(*day);
            let (before, behind) = keys::feed_rows(shard, span.after);
            let reaching_in = self.rows(space, before, true).take(1);
            for row in reaching_in.chain(self.rows(space, behind, false)) {
                let (key, value) = row?;
                let row = rows::decode_feed(&key, &value)?;
                let past_the_end = row.first().is_some_and(|first| first.id > span.upto);
                items.extend(row.into_iter().filter(|item| span.contains(item.id)));
                if items.len() >= limit {
                    return Ok(());
                }
                if past_the_end {
                    break;
                }
            }
        }
        Ok(())
    }

    /// See [`model::Store::recent`].
    pub fn recent(&self, bytes: usize) -> Result<(Id, Vec<Arc<Change>>)> {
        let mut changes = Vec::new();
        let mut left = bytes;
        let mut after = Id::MIN;
        'all: for part in self.parts().rev() {
            for batch in part.batches().iter().rev() {
                let entries: Vec<_> = codec::decode(&batch.record)?;
                for (_, entry) in entries.iter().rev() {
                    let change = codec::change(&batch.record.body, entry)?;
                    let Some(rest) = left.checked_sub(change.cost()) else {
                        after = entry.id();
                        break 'all;
                    };
                    left = rest;
                    changes.push(Arc::new(change));
                }
            }
            after = part.after();
        }
        changes.reverse();
        Ok((after, changes))
    }
}

fn feed_of_tail(part: Part<'_>, span: Span, limit: usize, items: &mut Vec<FeedItem>) -> Result<()> {
    if items.len() >= limit || span.is_empty() {
        return Ok(());
    }
    for batch in part.batches_in(span, limit - items.len()) {
        for entry in codec::entries(&batch.record.body) {
            let (_, entry) = entry?;
            if span.contains(entry.id()) && items.len() < limit {
                items.push(item(&batch, &entry)?);
            }
        }
    }
    Ok(())
}

fn item(batch: &TailBatch, entry: &Entry) -> Result<FeedItem> {
    let (kind, channel) = in_short(&batch.record.body, entry);
    let channel = channel.map(|name| keys::parse_channel(&name)).transpose()?;
    Ok(FeedItem { id: entry.id(), channel, kind })
}

/// What the feed says of a change: its kind, and what names its channel.
pub(crate) fn in_short(body: &Bytes, entry: &Entry) -> (FeedKind, Option<Bytes>) {
    match entry {
        Entry::Published(published) => (FeedKind::Published, Some(body.slice(published.channel.clone()))),
        Entry::Record(_) => (FeedKind::Record, None),
        Entry::Altered(altered) => {
            let kind = match &altered.what {
                Alteration::Edited { .. } => FeedKind::Edited,
                Alteration::Removed { expired: false, .. } => FeedKind::Deleted,
                Alteration::Removed { expired: true, .. } => FeedKind::Expired,
                Alteration::Floored(_) => FeedKind::Floored,
                Alteration::Reacted(_) => FeedKind::Reacted,
                Alteration::Unreacted { .. } => FeedKind::Unreacted,
                Alteration::Unedited(_) => FeedKind::Unedited,
            };
            (kind, Some(body.slice(altered.channel.clone())))
        }
    }
}
