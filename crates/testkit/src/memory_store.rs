//! The oracle of [`model::Store`]: its contract in the plainest reading. Vectors and maps behind one mutex, every
//! answer by filtering, not one line shared with the real store. It checks what the contract asks of the caller, too:
//! a batch that no sequencer may make is refused by name (`valid_batch`). How it fails on purpose is in [`crate::Faults`].

use crate::{
    faults::{Faults, Outcome},
    valid_batch,
};
use model::{
    AppId, ApplyError, Batch, Change, Channel, ChannelChange, ChannelEntry, ChannelName, ChannelNumber, Effort, Error,
    FeedItem, FeedKind, FeedPage, Head, Id, IdempotencyKey, Keyed, Message, Order, Page, Position, Record,
    RecordChange, RecordKey, RecordKind, RemovedCount, Result, Seq, Settled, ShardId, Span, Store, TICKS_PER_SECOND,
    What, Window, limits,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

const TICKS_PER_DAY: u64 = 86_400 * TICKS_PER_SECOND;

/// A store that keeps everything in memory, for ever, and fails when told to.
#[derive(Default)]
pub struct MemoryStore {
    kept: Arc<Mutex<Kept>>,
    faults: Faults,
}

/// What survives a restart.
#[derive(Default)]
struct Kept {
    shards: BTreeMap<ShardId, Shard>,
    channels: BTreeMap<Channel, History>,
    records: BTreeMap<RecordKey, Record>,
}

#[derive(Default)]
struct Shard {
    epoch: u64,
    reserved: u64,
    last_number: ChannelNumber,
    last: Option<Batch>,
    /// The batch whose outcome nobody knows, and whether it is in truth there.
    doubt: Option<(Batch, bool)>,
    changes: Vec<Arc<Change>>,
}

#[derive(Default)]
struct History {
    number: ChannelNumber,
    messages: Vec<(Arc<Message>, Option<IdempotencyKey>)>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// The knobs by which it fails on purpose.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// What a new process finds: the kept state, with a batch in doubt still in doubt; no knob is set. The old value
    /// must not be used any more.
    pub fn restart(&self) -> MemoryStore {
        MemoryStore { kept: self.kept.clone(), faults: Faults::default() }
    }

    /// Everything that a channel ever stored, by growing id, past every bound, filter and fault.
    pub fn stored_messages(&self, channel: &Channel) -> Vec<Arc<Message>> {
        self.kept().messages(channel).cloned().collect()
    }

    /// Everything that a shard ever stored, by growing id, past every bound, filter and fault.
    pub fn stored_changes(&self, shard: ShardId) -> Vec<Arc<Change>> {
        self.kept().changes(shard).to_vec()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no panic happens under this lock")
    }

    fn kept_for_read(&self) -> Result<MutexGuard<'_, Kept>> {
        self.faults.before_read()?;
        Ok(self.kept())
    }
}

impl Store for MemoryStore {
    fn apply(&self, batch: &Batch) -> Result<(), ApplyError> {
        self.faults.before_apply();
        let result = self.kept().apply(batch, || self.faults.next_outcome());
        self.faults.after_apply();
        result
    }

    fn settle(&self, shard: ShardId, epoch: u64) -> Result<Settled> {
        self.faults.before_settle()?;
        self.kept().settle(shard, epoch)
    }

    fn recent(&self, shard: ShardId, bytes: usize) -> Result<(Id, Vec<Arc<Change>>)> {
        let kept = self.kept_for_read()?;
        let changes = kept.changes(shard);
        let mut first = changes.len();
        let mut used = 0;
        while first > 0
            && used + changes[first - 1].cost() <= bytes
            && changes[first - 1].id() > self.faults.recent_after()
        {
            first -= 1;
            used += changes[first].cost();
        }
        let before = if first == 0 { Id::MIN } else { changes[first - 1].id() };
        Ok((before, changes[first..].to_vec()))
    }

    fn heads(&self, channels: &[Channel]) -> Result<Vec<Head>> {
        let kept = self.kept_for_read()?;
        Ok(channels.iter().map(|channel| kept.head(channel)).collect())
    }

    fn read(&self, channel: &Channel, window: &Window, effort: Effort) -> Result<Option<Page>> {
        if effort == Effort::Memory && self.faults.nothing_in_memory() {
            return Ok(None);
        }
        Ok(Some(self.kept_for_read()?.page(channel, window)))
    }

    fn count(&self, channel: &Channel, span: Span, above: Seq, now: Id) -> Result<u64> {
        let kept = self.kept_for_read()?;
        let there = |m: &&Arc<Message>| span.contains(m.id) && m.seq > above && !m.is_expired(now);
        Ok(kept.messages(channel).filter(there).count() as u64)
    }

    fn keyed(&self, channel: &Channel, key_hash: u128, now: Id) -> Result<Option<Keyed>> {
        let kept = self.kept_for_read()?;
        let day = |id: Id| id.ticks() / TICKS_PER_DAY;
        let remembered = |id: Id| day(id) == day(now) || day(id) + 1 == day(now);
        let messages = kept.channels.get(channel).map_or(&[][..], |history| &history.messages);
        Ok(messages.iter().rev().find_map(|(message, key)| {
            let key = (*key).filter(|key| key.key_hash == key_hash && remembered(message.id))?;
            Some(Keyed { id: message.id, seq: message.seq, payload_hash: key.payload_hash })
        }))
    }

    fn feed(&self, shard: ShardId, span: Span, limit: u32) -> Result<FeedPage> {
        let kept = self.kept_for_read()?;
        let starts_after = self.faults.feed_starts_after();
        let wanted = |change: &&Arc<Change>| span.contains(change.id()) && change.id() > starts_after;
        let mut items: Vec<FeedItem> = kept.changes(shard).iter().filter(wanted).map(|c| feed_item(c)).collect();
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let last = items.last().map_or(span.after, |item| item.id);
        Ok(FeedPage { items, examined: if more { last } else { span.upto }, more, starts_after })
    }

    fn channels(
        &self,
        app: &AppId,
        prefix: &str,
        after: Option<&ChannelName>,
        limit: u32,
    ) -> Result<Vec<ChannelEntry>> {
        let kept = self.kept_for_read()?;
        let begins = |channel: &Channel| channel.name.as_named().is_some_and(|name| name.starts_with(prefix));
        let channels = kept.channels.keys().filter(|channel| {
            channel.app == *app && begins(channel) && after.is_none_or(|after| channel.name > *after)
        });
        let entry = |channel: &Channel| ChannelEntry { channel: channel.clone(), head: kept.head(channel) };
        Ok(channels.take(limit as usize).map(entry).collect())
    }

    fn record(&self, key: &RecordKey) -> Result<Option<Record>> {
        Ok(self.kept_for_read()?.records.get(key).cloned())
    }

    fn records(
        &self,
        app: &AppId,
        kind: RecordKind,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<Record>> {
        let kept = self.kept_for_read()?;
        let fits = |key: &RecordKey| {
            key.app == *app
                && key.kind == kind
                && key.name.starts_with(prefix)
                && after.is_none_or(|after| &*key.name > after)
        };
        Ok(kept.records.values().filter(|record| fits(&record.key)).take(limit as usize).cloned().collect())
    }
}

impl Kept {
    fn apply(&mut self, batch: &Batch, outcome: impl FnOnce() -> Outcome) -> Result<(), ApplyError> {
        let shard = self.shards.entry(batch.shard).or_default();
        if shard.doubt.is_some() {
            return Err(ApplyError::Unknown(Error::unavailable("an earlier batch is in doubt: settle first")));
        }
        if shard.last.as_ref() == Some(batch) {
            return Ok(());
        }
        let epoch = shard.epoch;
        if let Err(why) = valid_batch::check(batch, epoch, self.settled(batch.shard), |channel| self.head(channel)) {
            return Err(ApplyError::Refused(Error::invalid(format!("batch {}: {why}", batch.number))));
        }
        let there = match outcome() {
            Outcome::Happens => {
                self.happen(batch);
                return Ok(());
            }
            Outcome::Refused => return Err(ApplyError::Refused(Error::unavailable("refused on purpose"))),
            Outcome::UnknownWritten => true,
            Outcome::UnknownLost => false,
        };
        self.shards.entry(batch.shard).or_default().doubt = Some((batch.clone(), there));
        Err(ApplyError::Unknown(Error::unavailable("the answer is lost on purpose")))
    }

    fn settle(&mut self, shard: ShardId, epoch: u64) -> Result<Settled> {
        let state = self.shards.entry(shard).or_default();
        if epoch < state.epoch {
            return Err(Error::new(model::ErrorKind::Conflict, format!("epoch {} owns the shard", state.epoch)));
        }
        state.epoch = epoch;
        if let Some((batch, true)) = state.doubt.take() {
            self.happen(&batch);
        }
        Ok(self.settled(shard))
    }

    fn settled(&self, shard: ShardId) -> Settled {
        let Some(state) = self.shards.get(&shard) else { return Settled::default() };
        Settled {
            last_batch: state.last.as_ref().map_or(0, |batch| batch.number),
            last_id: state.changes.last().map_or(Id::MIN, |change| change.id()),
            reserved: state.reserved,
            last_number: state.last_number,
        }
    }

    fn happen(&mut self, batch: &Batch) {
        for change in &batch.changes {
            match &**change {
                Change::Channel(change) => self.publish(change),
                Change::Record(change) => self.set(change),
            }
        }
        let numbers = batch.changes.iter().filter_map(|change| match &**change {
            Change::Channel(change) => Some(change.number),
            Change::Record(_) => None,
        });
        let shard = self.shards.entry(batch.shard).or_default();
        shard.last_number = numbers.fold(shard.last_number, ChannelNumber::max);
        shard.reserved = shard.reserved.max(batch.reserved);
        shard.changes.extend(batch.changes.iter().cloned());
        shard.last = Some(batch.clone());
    }

    fn publish(&mut self, change: &ChannelChange) {
        match &change.what {
            What::Published { message, key, first: _ } => {
                let history = self.channels.entry(change.channel.clone()).or_default();
                history.number = change.number;
                history.messages.push((message.clone(), *key));
            }
            What::Unstored(_) | What::Signal(_) => {}
        }
    }

    fn set(&mut self, change: &RecordChange) {
        let key = change.key.clone();
        match &change.value {
            Some(value) => self.records.insert(key.clone(), Record { key, version: change.id, value: value.clone() }),
            None => self.records.remove(&key),
        };
    }

    fn changes(&self, shard: ShardId) -> &[Arc<Change>] {
        self.shards.get(&shard).map_or(&[], |shard| &shard.changes)
    }

    fn messages(&self, channel: &Channel) -> impl Iterator<Item = &Arc<Message>> {
        self.channels.get(channel).into_iter().flat_map(|history| history.messages.iter().map(|(message, _)| message))
    }

    fn head(&self, channel: &Channel) -> Head {
        let number = self.channels.get(channel).map_or(ChannelNumber::NONE, |history| history.number);
        let last = self.messages(channel).last().map(|last| Position { id: last.id, seq: last.seq });
        Head { number, last: last.unwrap_or_default(), floor: Position::default() }
    }

    fn page(&self, channel: &Channel, window: &Window) -> Page {
        let mut fitting: Vec<_> = self.messages(channel).filter(|message| fits(message, window)).cloned().collect();
        if window.order == Order::Descending {
            fitting.reverse();
        }
        let room = page_room(&fitting, window.limit);
        let more = fitting.len() > room;
        fitting.truncate(room);
        let covered = if more { covered_up_to(fitting.last(), window) } else { window.span };
        let gone = |m: &&Arc<Message>| covered.contains(m.id) && m.seq > window.above && m.is_expired(window.now);
        let expired = self.messages(channel).filter(gone).count();
        if window.order == Order::Descending {
            fitting.reverse();
        }
        let head = self.head(channel);
        Page {
            next_expiry: fitting.iter().filter_map(|message| message.expires_at).min(),
            messages: fitting,
            covered,
            more,
            removed: RemovedCount { deleted: 0, expired: expired as u64 },
            floor: head.floor,
            head: head.last,
        }
    }
}

fn fits(message: &Message, window: &Window) -> bool {
    window.span.contains(message.id)
        && message.seq > window.above
        && !message.is_expired(window.now)
        && window.author.as_ref().is_none_or(|author| message.author.as_ref() == Some(author))
        && window.custom_type.as_ref().is_none_or(|wanted| message.custom_type.as_ref() == Some(wanted))
}

/// How many of these a page takes: the limit, the bound of messages, and the bytes up to the message that crosses
/// their bound.
fn page_room(fitting: &[Arc<Message>], limit: u32) -> usize {
    let most = limit.min(limits::PAGE_MESSAGES) as usize;
    let mut bytes = 0;
    let within_bytes = fitting.iter().take_while(|message| {
        let open = bytes < limits::PAGE_BYTES;
        bytes += message.payload.bytes.len();
        open
    });
    within_bytes.take(most).count()
}

/// What a page covers that had to stop at `last`; nothing, at its starting end, when it could not even start.
fn covered_up_to(last: Option<&Arc<Message>>, window: &Window) -> Span {
    let Span { after, upto } = window.span;
    match window.order {
        Order::Ascending => Span { after, upto: last.map_or(after, |last| last.id) },
        Order::Descending => Span { after: last.map_or(upto, |last| last.id.previous()), upto },
    }
}

/// A stored change as the feed tells it.
pub(crate) fn feed_item(change: &Change) -> FeedItem {
    match change {
        Change::Channel(change) => {
            FeedItem { id: change.id, channel: Some(change.channel.clone()), kind: FeedKind::Published }
        }
        Change::Record(change) => FeedItem { id: change.id, channel: None, kind: FeedKind::Record },
    }
}
