//! Selections: which messages they have, and the messages themselves.

use crate::{
    block::Block,
    channels::NameCache,
    content::Content,
    edits::NewestEdits,
    facts::Place,
    lists::{
        ListKey,
        ranked::{Ranks, merged},
    },
    scan::{Hit, Scanned},
    view::View,
};
use bytes::Bytes;
use model::{
    AppId, Channel, ChannelName, Error, Id, Message, Order, Result, Selected, Selection, SelectionPage,
    SelectionWindow, Selector, Span, limits,
};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

impl View {
    /// See [`model::Store::select`].
    pub fn select(
        &self,
        app: &AppId,
        selection: &Selection,
        window: &SelectionWindow,
        names: &NameCache,
    ) -> Result<SelectionPage> {
        let limit = u64::from(window.limit.min(limits::PAGE_MESSAGES));
        let mut found = self.find(app, selection, window.span, window.now, names)?;
        let total = found.total();
        // As ranks from the oldest on.
        let (first, end) = match window.order {
            Order::Ascending => (window.offset.min(total), window.offset.saturating_add(limit).min(total)),
            Order::Descending => {
                let end = total.saturating_sub(window.offset);
                (end.saturating_sub(limit), end)
            }
        };
        let mut hits = found.hits(first, (end - first) as usize)?;
        if window.order == Order::Descending {
            hits.reverse();
        }
        let mut messages = self.fetch(app, hits, window.order, &found.names)?;
        if window.order == Order::Descending {
            messages.reverse();
        }
        Ok(SelectionPage::of(window, messages, total))
    }

    /// See [`model::Store::count_selected`].
    pub fn count_selected(
        &self,
        app: &AppId,
        selection: &Selection,
        span: Span,
        now: Id,
        names: &NameCache,
    ) -> Result<u64> {
        Ok(self.find(app, selection, span, now, names)?.total())
    }

    /// By ranks where the indices can answer, else by looking at every message.
    fn find<'a>(
        &'a self,
        app: &AppId,
        selection: &Selection,
        span: Span,
        now: Id,
        names: &'a NameCache,
    ) -> Result<Found<'a>> {
        let by_seqs = |(selector, _): &(Selector, Id)| matches!(selector, Selector::Channel(_));
        if !self.lists.is_complete(app) && !selection.parts().iter().all(by_seqs) {
            let Scanned { hits, names } = self.scan(app, selection, span, now, names)?;
            return Ok(Found { source: Source::Scan(hits), names });
        }
        let mut found = Found { source: Source::Scan(Vec::new()), names: HashMap::new() };
        let mut sources: Vec<Box<dyn Ranks + 'a>> = Vec::new();
        for (selector, after) in selection.parts() {
            let span = Span { after: span.after.max(*after), upto: span.upto };
            if span.is_empty() {
                continue;
            }
            let key = app.as_str();
            let list = match selector {
                Selector::Author(author) => ListKey::author(key, author),
                Selector::Sender(author) => ListKey::sender(key, author),
                Selector::Recipient(recipient) => ListKey::recipient(key, recipient),
                Selector::Pair { author, recipient } => ListKey::pair(key, author, recipient),
                Selector::AuthorIn { channel: ChannelName::Direct(..), .. } => continue,
                Selector::AuthorIn { channel: name, .. } | Selector::Channel(name) => {
                    let channel = Channel { app: app.clone(), name: name.clone() };
                    let Some(place) = self.place(&channel, names)? else { continue };
                    found.names.insert(place.number, name.clone());
                    let Selector::AuthorIn { author, .. } = selector else {
                        sources.push(Box::new(self.channel_ranks(channel, place, span, now, names)?));
                        continue;
                    };
                    ListKey::within(key, author, place.number)
                }
            };
            sources.push(Box::new(self.list_ranks(app, list, span, now)?));
        }
        found.source = Source::Ranks(sources);
        Ok(found)
    }

    /// These messages, which are there and come in this order; up to the one that crosses the bound of bytes.
    fn fetch(
        &self,
        app: &AppId,
        chosen: Vec<Hit>,
        order: Order,
        names: &HashMap<u64, ChannelName>,
    ) -> Result<Vec<Selected>> {
        let mut channels: HashMap<u64, Fetcher<'_>> = HashMap::new();
        let mut messages = Vec::new();
        let mut bytes = 0;
        for (id, number) in chosen {
            let fetcher = match channels.entry(number) {
                Entry::Occupied(there) => there.into_mut(),
                Entry::Vacant(vacant) => {
                    let name = match names.get(&number) {
                        Some(name) => name.clone(),
                        None => self.listed_name(number)?.ok_or_else(|| nowhere(id, number))?,
                    };
                    vacant.insert(Fetcher::new(self, Channel { app: app.clone(), name }, number, order)?)
                }
            };
            let message = fetcher.message(id)?;
            bytes += message.payload.bytes.len();
            messages.push(Selected { channel: fetcher.channel.clone(), message: Arc::new(message) });
            if bytes >= limits::PAGE_BYTES {
                break;
            }
        }
        Ok(messages)
    }
}

/// What a selection has in a span.
struct Found<'a> {
    source: Source<'a>,
    /// Channels whose names are known.
    names: HashMap<u64, ChannelName>,
}

enum Source<'a> {
    Ranks(Vec<Box<dyn Ranks + 'a>>),
    Scan(Vec<Hit>),
}

impl Found<'_> {
    fn total(&self) -> u64 {
        match &self.source {
            Source::Ranks(sources) => sources.iter().map(|source| source.total()).sum(),
            Source::Scan(hits) => hits.len() as u64,
        }
    }

    /// Those from the one with `rank` before it on.
    fn hits(&mut self, rank: u64, most: usize) -> Result<Vec<Hit>> {
        match &mut self.source {
            Source::Ranks(sources) => merged(sources, rank, most),
            Source::Scan(hits) => Ok(hits.iter().skip(rank as usize).take(most).copied().collect()),
        }
    }
}

/// Messages of one channel, asked for in one order: neighbours share the block that they lie in.
struct Fetcher<'a> {
    view: &'a View,
    channel: Channel,
    place: Place,
    edits: NewestEdits<'a>,
    /// The block that was read last, and its contents.
    block: Option<(Block, Bytes)>,
}

impl<'a> Fetcher<'a> {
    fn new(view: &'a View, channel: Channel, number: u64, order: Order) -> Result<Fetcher<'a>> {
        let place = view.place_of(number, view.known(number)?);
        let edits = NewestEdits::new(view, &place, order);
        Ok(Fetcher { view, channel, place, edits, block: None })
    }

    fn message(&mut self, id: Id) -> Result<Message> {
        let message = match self.in_tails(id)? {
            Some(message) => Some(message),
            None => self.in_blocks(id)?,
        };
        self.edits.merge(message.ok_or_else(|| nowhere(id, self.place.number))?)
    }

    fn in_tails(&self, id: Id) -> Result<Option<Message>> {
        for part in self.view.parts().rev() {
            if let Some(found) = part.descending(self.place.number, id, 1)?.first() {
                let is_it = found.published.id == id;
                return Ok(is_it.then(|| crate::codec::message(&found.body, &found.published)).transpose()?);
            }
        }
        Ok(None)
    }

    fn in_blocks(&mut self, id: Id) -> Result<Option<Message>> {
        let has_it = |(block, _): &(Block, Bytes)| block.ids.binary_search(&id).is_ok();
        if !self.block.as_ref().is_some_and(has_it) {
            let Some(block) = self.view.block_at(&self.place, id)? else { return Ok(None) };
            let contents = block.contents()?;
            self.block = Some((block, contents));
        }
        let Some((block, contents)) = &self.block else { return Ok(None) };
        let Ok(index) = block.ids.binary_search(&id) else { return Ok(None) };
        let bytes = contents.slice(block.content(index));
        if bytes.is_empty() {
            return Ok(None);
        }
        let slot = block.slot(index);
        Ok(Some(Content::parse(&bytes)?.message(slot.id, slot.seq, slot.expires_at, &bytes)))
    }
}

fn nowhere(id: Id, number: u64) -> Error {
    Error::internal(format!("message {id} of channel {number} was selected and is nowhere"))
}
