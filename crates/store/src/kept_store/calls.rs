//! Where each call of [`model::Store`] is answered: from one view, by the part of this crate that the call is about.

use super::KeptStore;
use crate::commit;
use model::{
    AppId, ApplyError, AtHand, Batch, Change, ChangesPage, Channel, ChannelEntry, ChannelName, Due, Effort, FeedPage,
    Head, Id, Keyed, Order, Page, Position, Reaction, ReactionAt, ReactionEntry, Record, RecordKey, RecordKind,
    Removal, Result, Selection, SelectionPage, SelectionWindow, Seq, Settled, ShardId, Span, Store, Target, Version,
    Window,
};
use std::{sync::Arc, time::Duration};

impl Store for KeptStore {
    fn apply(&self, batch: &Batch) -> Result<(), ApplyError> {
        let shared = &self.shared;
        shared.committer().apply(batch, &shared.views, &shared.settings, &shared.stats, &*shared.table)
    }

    fn room(&self) -> Result<()> {
        match self.shared.table.is_full() {
            true => Err(commit::disk_full()),
            false => Ok(()),
        }
    }

    fn settle(&self, shard: ShardId, epoch: u64) -> Result<Settled> {
        let settled = self.shared.committer().settle(shard, epoch, &self.shared.views)?;
        // An import that was cut short: no reader meets ids of another time in a tail.
        let has_imported = self.shared.views.load().parts().any(|part| part.has_imported());
        if has_imported {
            self.flush()?;
        }
        Ok(settled)
    }

    fn recent(&self, shard: ShardId, bytes: usize) -> Result<(Id, Vec<Arc<Change>>)> {
        match shard == self.shared.shard {
            true => self.shared.read(|view| view.recent(bytes)),
            false => Ok((Id::MIN, Vec::new())),
        }
    }

    fn heads(&self, channels: &[Channel]) -> Result<Vec<Head>> {
        let names = &self.shared.names;
        self.shared.read(|view| channels.iter().map(|channel| view.head_of(channel, names)).collect())
    }

    fn read(&self, channel: &Channel, window: &Window, effort: Effort) -> Result<Option<Page>> {
        let names = &self.shared.names;
        if effort == Effort::Disk {
            return self.shared.read(|view| view.page(channel, window, effort, names));
        }
        // It may not wait for the next snapshot: then it is not all in memory.
        let view = self.shared.view()?;
        match view.page(channel, window, effort, names) {
            Err(_) if view.snapshot.is_gone() => Ok(None),
            page => page,
        }
    }

    fn count(&self, channel: &Channel, span: Span, above: Seq, now: Id) -> Result<u64> {
        self.shared.read(|view| view.count(channel, span, above, now, &self.shared.names))
    }

    fn select(&self, app: &AppId, selection: &Selection, window: &SelectionWindow) -> Result<SelectionPage> {
        self.shared.read(|view| view.select(app, selection, window, &self.shared.names))
    }

    fn count_selected(&self, app: &AppId, selection: &Selection, span: Span, now: Id) -> Result<u64> {
        self.shared.read(|view| view.count_selected(app, selection, span, now, &self.shared.names))
    }

    fn removable(&self, channel: &Channel, target: &Target, now: Id) -> Result<Removal> {
        self.shared.read(|view| view.removable(channel, target, now, &self.shared.names))
    }

    fn floor_for(&self, channel: &Channel, keep: u64, upto: Id) -> Result<Position> {
        self.shared.read(|view| view.floor_for(channel, keep, upto, &self.shared.names))
    }

    fn versions(&self, channel: &Channel, message: Id) -> Result<Vec<Version>> {
        self.shared.read(|view| view.versions(channel, message, &self.shared.names))
    }

    fn reactions(
        &self,
        channel: &Channel,
        messages: Span,
        after: Option<ReactionAt>,
        limit: u32,
    ) -> Result<Vec<ReactionEntry>> {
        self.shared.read(|view| view.reactions(channel, messages, after, limit, &self.shared.names))
    }

    fn lacks_reactions(&self, channel: &Channel) -> Result<bool> {
        self.shared.view()?.lacks_reactions(channel, &self.shared.names)
    }

    fn reactions_made(&self, channel: &Channel, span: Span, order: Order, limit: u32) -> Result<Vec<ReactionEntry>> {
        self.shared.read(|view| view.reactions_made(channel, span, order, limit, &self.shared.names))
    }

    fn reaction(&self, channel: &Channel, reaction: &Reaction) -> Result<Option<Id>> {
        self.shared.read(|view| view.reaction(channel, reaction, &self.shared.names))
    }

    fn at_hand(&self, channel: &Channel, message: Id, reaction: Option<&Reaction>) -> Result<Option<AtHand>> {
        self.shared.view()?.at_hand(channel, message, reaction, &self.shared.names)
    }

    fn changes(&self, channel: &Channel, after: Id, limit: u32) -> Result<ChangesPage> {
        self.shared.read(|view| view.changes(channel, after, limit, &self.shared.names))
    }

    fn due(&self, shard: ShardId, now: Id, limit: u32) -> Result<Vec<Due>> {
        match shard == self.shared.shard {
            true => self.shared.read(|view| view.due(now, limit)),
            false => Ok(Vec::new()),
        }
    }

    fn sweep(&self, budget: Duration) -> Result<bool> {
        crate::sweep::sweep(&self.shared, budget)
    }

    fn erase(&self, channels: &[Channel]) -> Result<()> {
        self.flush()?;
        crate::erase::erase(&self.shared, channels)
    }

    fn keyed(&self, channel: &Channel, key_hash: u128, now: Id) -> Result<Option<Keyed>> {
        self.shared.read(|view| view.keyed(channel, key_hash, now, &self.shared.names))
    }

    fn feed(&self, shard: ShardId, span: Span, limit: u32) -> Result<FeedPage> {
        match shard == self.shared.shard {
            true => self.shared.read(|view| view.feed(shard, span, limit)),
            false => Ok(FeedPage { items: Vec::new(), examined: span.upto, more: false, starts_after: Id::MIN }),
        }
    }

    fn channels(
        &self,
        app: &AppId,
        prefix: &str,
        after: Option<&ChannelName>,
        limit: u32,
    ) -> Result<Vec<ChannelEntry>> {
        self.shared.read(|view| view.channels(app, prefix, after, limit))
    }

    fn all_channels(&self, app: &AppId, after: Option<&ChannelName>, limit: u32) -> Result<Vec<ChannelEntry>> {
        self.shared.read(|view| view.all_channels(app, after, limit))
    }

    fn record(&self, key: &RecordKey) -> Result<Option<Record>> {
        self.shared.read(|view| view.record(key))
    }

    fn records(
        &self,
        app: &AppId,
        kind: RecordKind,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<Record>> {
        self.shared.read(|view| view.records(app, kind, prefix, after, limit))
    }
}
