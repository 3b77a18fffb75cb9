//! Takes in what the store's feed tells. What was touched is deleted from the index and read again from the store, so it
//! does no harm to take the same in twice, and the index has what the store has, not what happened on the way.

use crate::{
    document::holds,
    index::Shared,
    settings::{FEED_ITEMS, READ_AT_ONCE},
    work::{Open, SHARD, Worker},
};
use model::{
    Change, Channel, Effort, Error, FeedItem, FeedKind, Id, Order, Result, Seq, SeqRange, Span, Store, What, Window,
    limits,
};
use std::collections::{BTreeMap, BTreeSet};
use tantivy::{
    DocId, SegmentReader,
    query::{
        BooleanQuery, Query, TermQuery,
        doc_predicate_query::{DocPredicateQuery, FunctionPredicate},
    },
    schema::IndexRecordOption,
};

/// What happened in a channel, as a piece of the feed tells it.
#[derive(Default)]
struct Touched {
    /// The ids of the first and the last message that was published.
    published: Option<(Id, Id)>,
    /// The first change of messages that were there before.
    changed: Option<Id>,
}

/// What changes of a channel come to.
#[derive(Default)]
struct Altered {
    /// What is not as it was indexed.
    stale: Vec<SeqRange>,
    /// Messages with another content.
    edited: BTreeSet<Id>,
    /// The changes do not reach back: nothing is known about the channel.
    unknown: bool,
}

impl Worker {
    /// Takes in everything behind the mark. False when the feed does not reach back to it.
    pub fn take_in_feed(&mut self, wanted: Id) -> Result<bool> {
        let (shared, store) = (&self.shared, &*self.store);
        let Some(open) = &mut self.open else { return Ok(true) };
        loop {
            let span = Span { after: open.mark.position(), upto: Id::MAX };
            let page = store.feed(SHARD, span, FEED_ITEMS)?;
            if page.starts_after > span.after {
                return Ok(false);
            }
            let Some(last) = page.items.last().map(|item| item.id) else { break };
            for (channel, touched) in touched(&page.items, shared) {
                open.refresh(shared, store, &channel, &touched, last)?;
            }
            open.mark.advance(last);
            open.pending += 1;
            open.commit_if_full(shared)?;
            if !page.more {
                break;
            }
            shared.check_goes_on()?;
            if open.pending == 0 {
                shared.set_indexed(open.mark.position());
            }
        }
        if open.pending > 0 {
            open.commit(shared)?;
        }
        shared.set_indexed(open.mark.position().max(wanted));
        Ok(true)
    }
}

/// What a piece of the feed says of each channel that is indexed.
fn touched(items: &[FeedItem], shared: &Shared) -> BTreeMap<Channel, Touched> {
    let mut all: BTreeMap<Channel, Touched> = BTreeMap::new();
    for item in items {
        let Some(channel) = item.channel.as_ref().filter(|channel| shared.settings.apps.contains(&channel.app)) else {
            continue;
        };
        match item.kind {
            FeedKind::Record | FeedKind::Reacted | FeedKind::Unreacted => {}
            FeedKind::Published => {
                let touched = all.entry(channel.clone()).or_default();
                touched.published = Some((touched.published.map_or(item.id, |(first, _)| first), item.id));
            }
            FeedKind::Edited | FeedKind::Unedited | FeedKind::Deleted | FeedKind::Expired | FeedKind::Floored => {
                all.entry(channel.clone()).or_default().changed.get_or_insert(item.id);
            }
        }
    }
    all
}

impl Open {
    /// Makes the index have of a channel what the store has.
    fn refresh(
        &mut self,
        shared: &Shared,
        store: &dyn Store,
        channel: &Channel,
        touched: &Touched,
        upto: Id,
    ) -> Result<()> {
        let altered = match touched.changed {
            Some(first) => altered(store, channel, first, upto)?,
            None => Altered::default(),
        };
        if altered.unknown {
            return self.add_channel(shared, store, channel, upto, true);
        }
        if !altered.stale.is_empty() {
            self.delete(shared, channel, altered.stale)?;
        }
        if let Some((first, last)) = touched.published {
            self.add(shared, store, channel, Span { after: first.previous(), upto: last })?;
        }
        let read_above = touched.published.map_or(Id::MAX, |(first, _)| first);
        for edited in altered.edited.range(..read_above) {
            self.add(shared, store, channel, Span { after: edited.previous(), upto: *edited })?;
        }
        Ok(())
    }

    /// Adds all messages of a channel up to a position, after taking out what there may be of it.
    pub fn add_channel(
        &mut self,
        shared: &Shared,
        store: &dyn Store,
        channel: &Channel,
        upto: Id,
        known: bool,
    ) -> Result<()> {
        if known {
            self.delete(shared, channel, vec![SeqRange { first: Seq::NONE, last: Seq::MAX }])?;
        }
        self.add(shared, store, channel, Span { after: Id::MIN, upto })
    }

    /// Adds the messages of a span that are there.
    fn add(&mut self, shared: &Shared, store: &dyn Store, channel: &Channel, mut span: Span) -> Result<()> {
        loop {
            let window = Window {
                span,
                order: Order::Ascending,
                limit: READ_AT_ONCE.min(limits::PAGE_MESSAGES),
                above: Seq::NONE,
                author: None,
                custom_type: None,
                // What is due is there until it expires; nobody is shown it meanwhile.
                now: Id::MIN,
            };
            let page = store.read(channel, &window, Effort::Disk)?;
            let page = page.ok_or_else(|| Error::internal("the store gave no page although it may take any effort"))?;
            for message in &page.messages {
                if let Some(document) = shared.fields.document(channel, message) {
                    self.writer.add_document(document).map_err(Error::internal)?;
                }
            }
            self.pending += page.messages.len();
            if !page.more {
                return Ok(());
            }
            shared.check_goes_on()?;
            span.after = page.covered.upto;
        }
    }

    /// Takes messages out.
    fn delete(&mut self, shared: &Shared, channel: &Channel, stale: Vec<SeqRange>) -> Result<()> {
        let stale = ordered(stale);
        let of_channel = TermQuery::new(shared.fields.channel(channel), IndexRecordOption::Basic);
        let is_stale = FunctionPredicate::from(move |segment: &SegmentReader| {
            let seqs = segment.fast_fields().u64(crate::document::SEQ)?.first_or_default_col(0);
            let stale = stale.clone();
            Ok(move |document: DocId| holds(&stale, Seq(seqs.get_val(document).cast_signed())))
        });
        let is_stale: DocPredicateQuery = is_stale.into();
        let both: Vec<Box<dyn Query>> = vec![Box::new(of_channel), Box::new(is_stale)];
        let query = Box::new(BooleanQuery::intersection(both));
        self.writer.delete_query(query).map(drop).map_err(Error::internal)
    }
}

/// What changes of a channel, from one up to another, come to. Blocks.
fn altered(store: &dyn Store, channel: &Channel, first: Id, upto: Id) -> Result<Altered> {
    let mut altered = Altered::default();
    let mut after = first.previous();
    loop {
        let page = store.changes(channel, after, READ_AT_ONCE)?;
        if page.starts_after > after {
            return Ok(Altered { unknown: true, ..Altered::default() });
        }
        for change in &page.changes {
            let Change::Channel(change) = &**change else { continue };
            if change.id > upto {
                return Ok(altered);
            }
            match &change.what {
                What::Edited(edit) => {
                    altered.stale.push(SeqRange { first: edit.seq, last: edit.seq });
                    altered.edited.insert(edit.message);
                }
                What::Unedited(unedit) => {
                    altered.stale.push(SeqRange { first: unedit.seq, last: unedit.seq });
                    altered.edited.insert(unedit.message);
                }
                What::Deleted(removal) | What::Expired(removal) => altered.stale.extend(&removal.seqs),
                What::Floored(floor) => altered.stale.push(SeqRange { first: Seq::NONE, last: floor.seq }),
                What::Published { .. }
                | What::Reacted(_)
                | What::Unreacted { .. }
                | What::Unstored(_)
                | What::Signal(_)
                | What::Presence(_) => {}
            }
        }
        if !page.more || page.examined >= upto {
            return Ok(altered);
        }
        after = page.examined;
    }
}

/// The same seqs in ranges that grow and do not overlap.
fn ordered(mut ranges: Vec<SeqRange>) -> Vec<SeqRange> {
    ranges.sort_unstable_by_key(|range| range.first);
    let mut apart: Vec<SeqRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match apart.last_mut() {
            Some(last) if range.first.0 <= last.last.0.saturating_add(1) => last.last = last.last.max(range.last),
            _ => apart.push(range),
        }
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_put_in_order() {
        let range = |first, last| SeqRange { first: Seq(first), last: Seq(last) };
        assert_eq!(ordered(vec![range(7, 9), range(1, 2), range(3, 3), range(8, 8)]), [range(1, 3), range(7, 9)]);
        let all = range(i64::MIN, i64::MAX);
        assert_eq!(ordered(vec![all, range(5, 6)]), [all]);
    }
}
