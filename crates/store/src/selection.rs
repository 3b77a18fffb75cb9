//! Selections: which messages they have, and the messages themselves.

use crate::{
    block::Block,
    channels::NameCache,
    content::Content,
    edits::NewestEdits,
    facts::Place,
    scan::{Hit, Scanned},
    view::View,
};
use bytes::Bytes;
use model::{
    AppId, Channel, ChannelName, Error, Id, Message, Order, Result, Selected, Selection, SelectionPage,
    SelectionWindow, Span, limits,
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
        let Scanned { mut hits, names } = self.scan(app, selection, window.span, window.now, names)?;
        let total = hits.len() as u64;
        if window.order == Order::Descending {
            hits.reverse();
        }
        let offset = usize::try_from(window.offset).unwrap_or(usize::MAX);
        let limit = window.limit.min(limits::PAGE_MESSAGES) as usize;
        let chosen = hits.into_iter().skip(offset).take(limit);
        let mut messages = self.fetch(app, chosen, window.order, &names)?;
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
        Ok(self.scan(app, selection, span, now, names)?.hits.len() as u64)
    }

    /// These messages, which are there and come in this order; up to the one that crosses the bound of bytes.
    fn fetch(
        &self,
        app: &AppId,
        chosen: impl Iterator<Item = Hit>,
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
                    let name = names.get(&number).ok_or_else(|| nowhere(id, number))?.clone();
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
