//! The oracle of [`model::Store`]: its contract in the plainest reading. Vectors and maps behind one mutex, every
//! answer by filtering ([`ChannelState`]), not one line shared with the real store. It checks what the contract asks of the caller, too:
//! a batch that no sequencer may make is refused by name (`valid_batch`). How it fails on purpose is in [`crate::Faults`].

use crate::{
    channel_state::ChannelState,
    faults::{Faults, Outcome},
    selected, valid_batch,
};
use model::{
    AppId, ApplyError, AtHand, Batch, Change, ChangesPage, Channel, ChannelEntry, ChannelName, ChannelNumber, Due,
    Effort, Error, FeedItem, FeedKind, FeedPage, Head, Id, Keyed, Message, Order, Page, Position, Reaction, ReactionAt,
    ReactionEntry, Record, RecordChange, RecordKey, RecordKind, Removal, Result, Selection, SelectionPage,
    SelectionWindow, Seq, Settled, ShardId, Span, Store, TICKS_PER_SECOND, Target, Version, What, Window,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
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
    channels: BTreeMap<Channel, (ShardId, ChannelState)>,
    records: BTreeMap<RecordKey, Record>,
    /// A channel in which nothing happened.
    nowhere: ChannelState,
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

    /// Everything that a channel ever stored, by growing id, past every removal, bound, filter and fault; edited messages
    /// with their newest content.
    pub fn stored_messages(&self, channel: &Channel) -> Vec<Arc<Message>> {
        self.kept().state(channel).messages().cloned().collect()
    }

    /// What a channel has been through, past every fault.
    pub fn state(&self, channel: &Channel) -> ChannelState {
        self.kept().state(channel).clone()
    }

    /// What each channel of a shard has been through.
    pub fn states(&self, shard: ShardId) -> Vec<(Channel, ChannelState)> {
        let kept = self.kept();
        let of_shard = kept.channels.iter().filter(|(_, (owner, _))| *owner == shard);
        of_shard.map(|(channel, (_, state))| (channel.clone(), state.clone())).collect()
    }

    /// The id of the newest stored change of any shard.
    pub fn newest(&self) -> Id {
        self.kept().newest()
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

    fn room(&self) -> Result<()> {
        self.faults.room()
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
        Ok(channels.iter().map(|channel| kept.state(channel).head()).collect())
    }

    fn read(&self, channel: &Channel, window: &Window, effort: Effort) -> Result<Option<Page>> {
        if effort == Effort::Memory && self.faults.nothing_in_memory() {
            return Ok(None);
        }
        Ok(Some(self.kept_for_read()?.state(channel).page(window)))
    }

    fn count(&self, channel: &Channel, span: Span, above: Seq, now: Id) -> Result<u64> {
        Ok(self.kept_for_read()?.state(channel).count(span, above, now))
    }

    fn select(&self, app: &AppId, selection: &Selection, window: &SelectionWindow) -> Result<SelectionPage> {
        let kept = self.kept_for_read()?;
        let all = selected::selected(kept.each_state(), app, selection, window.span, window.now);
        Ok(selected::page(all, window))
    }

    fn count_selected(&self, app: &AppId, selection: &Selection, span: Span, now: Id) -> Result<u64> {
        let kept = self.kept_for_read()?;
        Ok(selected::selected(kept.each_state(), app, selection, span, now).len() as u64)
    }

    fn removable(&self, channel: &Channel, target: &Target, now: Id) -> Result<Removal> {
        self.kept_for_read()?.state(channel).removable(target, now)
    }

    fn floor_for(&self, channel: &Channel, keep: u64, upto: Id) -> Result<Position> {
        Ok(self.kept_for_read()?.state(channel).floor_for(keep, upto))
    }

    fn versions(&self, channel: &Channel, message: Id) -> Result<Vec<Version>> {
        Ok(self.kept_for_read()?.state(channel).versions(message))
    }

    fn reactions(
        &self,
        channel: &Channel,
        messages: Span,
        after: Option<ReactionAt>,
        limit: u32,
    ) -> Result<Vec<ReactionEntry>> {
        Ok(self.kept_for_read()?.state(channel).reactions(messages, after, limit))
    }

    fn reactions_made(&self, channel: &Channel, span: Span, order: Order, limit: u32) -> Result<Vec<ReactionEntry>> {
        Ok(self.kept_for_read()?.state(channel).reactions_made(span, order, limit))
    }

    fn reaction(&self, channel: &Channel, reaction: &Reaction) -> Result<Option<Id>> {
        Ok(self.kept_for_read()?.state(channel).reaction(reaction))
    }

    fn at_hand(&self, channel: &Channel, message: Id, reaction: Option<&Reaction>) -> Result<Option<AtHand>> {
        if self.faults.nothing_in_memory() {
            return Ok(None);
        }
        Ok(self.kept().state(channel).at_hand(message, reaction))
    }

    fn changes(&self, channel: &Channel, after: Id, limit: u32) -> Result<ChangesPage> {
        Ok(self.kept_for_read()?.state(channel).changes(after, limit, self.faults.changes_start_after()))
    }

    fn due(&self, shard: ShardId, now: Id, limit: u32) -> Result<Vec<Due>> {
        let kept = self.kept_for_read()?;
        let of_shard = kept.channels.iter().filter(|(_, (owner, _))| *owner == shard);
        let mut due: Vec<_> = of_shard
            .flat_map(|(channel, (_, state))| state.due(now).map(move |(due, at)| (due, channel, at)))
            .collect();
        due.sort_by_key(|(due, ..)| *due);
        let mut by_channel: BTreeMap<&Channel, Vec<Position>> = BTreeMap::new();
        for (_, channel, at) in due.into_iter().take(limit as usize) {
            by_channel.entry(channel).or_default().push(at);
        }
        let entry = |(channel, mut messages): (&Channel, Vec<Position>)| {
            messages.sort_by_key(|at| at.seq);
            Due { channel: channel.clone(), messages }
        };
        Ok(by_channel.into_iter().map(entry).collect())
    }

    /// There is nothing to give back: what is removed stays in memory, for the judges.
    fn sweep(&self, _budget: Duration) -> Result<bool> {
        self.kept_for_read().map(|_| false)
    }

    /// There is no device; but that it was asked for is remembered, for the judges.
    fn erase(&self, channels: &[Channel]) -> Result<()> {
        let mut kept = self.kept_for_read()?;
        let newest = kept.newest();
        for channel in channels {
            if let Some((_, state)) = kept.channels.get_mut(channel) {
                state.may_forget_changes(newest);
            }
        }
        Ok(())
    }

    fn keyed(&self, channel: &Channel, key_hash: u128, now: Id) -> Result<Option<Keyed>> {
        let kept = self.kept_for_read()?;
        let day = |id: Id| id.ticks() / TICKS_PER_DAY;
        let remembered = |id: Id| day(id) == day(now) || day(id) + 1 == day(now);
        Ok(kept.state(channel).keys().rev().find_map(|(message, key)| {
            let found = key.key_hash == key_hash && remembered(message.id);
            found.then_some(Keyed { id: message.id, seq: message.seq, payload_hash: key.payload_hash })
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
        let entry = |channel: &Channel| ChannelEntry { channel: channel.clone(), head: kept.state(channel).head() };
        Ok(channels.take(limit as usize).map(entry).collect())
    }

    fn all_channels(&self, app: &AppId, after: Option<&ChannelName>, limit: u32) -> Result<Vec<ChannelEntry>> {
        let kept = self.kept_for_read()?;
        let of_app = kept.channels.keys().filter(|channel| channel.app == *app);
        let entry = |channel: &Channel| ChannelEntry { channel: channel.clone(), head: kept.state(channel).head() };
        let behind = of_app.filter(|channel| after.is_none_or(|after| channel.name > *after));
        Ok(behind.take(limit as usize).map(entry).collect())
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
        if let Err(why) = valid_batch::check(batch, epoch, self.settled(batch.shard), |channel| self.state(channel)) {
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
        for happening in &batch.changes {
            match &**happening {
                Change::Channel(change) => {
                    let channel = self.channels.entry(change.channel.clone());
                    channel.or_insert_with(|| (batch.shard, ChannelState::default())).1.apply(happening);
                }
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

    fn set(&mut self, change: &RecordChange) {
        let key = change.key.clone();
        match &change.value {
            Some(value) => self.records.insert(key.clone(), Record { key, version: change.id, value: value.clone() }),
            None => self.records.remove(&key),
        };
    }

    /// The id of the newest stored change of any shard.
    fn newest(&self) -> Id {
        let newest = self.shards.values().filter_map(|shard| shard.changes.last());
        newest.map(|last| last.id()).max().unwrap_or_default()
    }

    fn changes(&self, shard: ShardId) -> &[Arc<Change>] {
        self.shards.get(&shard).map_or(&[], |shard| &shard.changes)
    }

    fn each_state(&self) -> impl Iterator<Item = (&Channel, &ChannelState)> {
        self.channels.iter().map(|(channel, (_, state))| (channel, state))
    }

    fn state(&self, channel: &Channel) -> &ChannelState {
        self.channels.get(channel).map_or(&self.nowhere, |(_, state)| state)
    }
}

/// A stored change as the feed tells it.
pub(crate) fn feed_item(change: &Change) -> FeedItem {
    match change {
        Change::Channel(change) => {
            let kind = match change.what {
                What::Published { .. } => FeedKind::Published,
                What::Edited(_) => FeedKind::Edited,
                What::Unedited(_) => FeedKind::Unedited,
                What::Deleted(_) => FeedKind::Deleted,
                What::Expired(_) => FeedKind::Expired,
                What::Floored(_) => FeedKind::Floored,
                What::Reacted(_) => FeedKind::Reacted,
                What::Unreacted { .. } => FeedKind::Unreacted,
                What::Unstored(_) | What::Signal(_) | What::Presence(_) => unreachable!("no batch may hold it"),
            };
            FeedItem { id: change.id, channel: Some(change.channel.clone()), kind }
        }
        Change::Record(change) => FeedItem { id: change.id, channel: None, kind: FeedKind::Record },
    }
}
