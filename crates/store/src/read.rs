//! Pages: a walk that fills a page until its limit, its bytes or its budget of work is used up, and then says exactly
//! what it looked through.

use crate::{
    channels::{NameCache, Named},
    content::Content,
    settings::{EXAMINED_MAX, TAIL_CHUNK},
    view::View,
    walk::{Meet, Reach, Slot, Visitor, Walked},
};
use bytes::Bytes;
use model::{Channel, Effort, Head, Id, Message, Order, Page, Position, RemovedCount, Result, Span, Window, limits};
use std::{
    ops::{ControlFlow, Range},
    sync::Arc,
};

impl View {
    /// See [`model::Store::read`].
    pub fn page(&self, channel: &Channel, window: &Window, effort: Effort, names: &NameCache) -> Result<Option<Page>> {
        let disk = effort == Effort::Disk;
        let number = match self.number_of(channel, names, effort)? {
            Named::Number(number) => number,
            Named::Nothing => return Ok(Some(PageBuilder::new(window, Head::default()).finish())),
            Named::OnDisk => return Ok(None),
        };
        if !disk && self.last_in_tails(number)?.is_none() {
            return Ok(None);
        }
        let head = self.head(channel, number)?;
        let mut builder = PageBuilder::new(window, head);
        let reach = Reach { after: window.span.after, upto: window.span.upto, above: window.above };
        if reach.after >= reach.upto || reach.above >= head.last.seq || reach.after >= head.last.id {
            return Ok(Some(builder.finish()));
        }
        let walked = match window.order {
            Order::Descending => self.walk_back(number, reach, disk, &mut builder)?,
            Order::Ascending => self.walk_on(number, reach, disk, &mut builder)?,
        };
        Ok((walked == Walked::Done).then(|| builder.finish()))
    }
}

/// A page while it is filled.
struct PageBuilder<'a> {
    window: &'a Window,
    head: Head,
    limit: usize,
    /// In the order of the walk.
    messages: Vec<Arc<Message>>,
    bytes: usize,
    examined: usize,
    /// The last message that was looked at.
    last: Option<Slot>,
    /// A budget is used up: one message more in reach, and the page says `more`.
    full: bool,
    more: bool,
    removed: RemovedCount,
}

impl<'a> PageBuilder<'a> {
    fn new(window: &'a Window, head: Head) -> PageBuilder<'a> {
        let limit = window.limit.min(limits::PAGE_MESSAGES) as usize;
        PageBuilder {
            window,
            head,
            limit,
            messages: Vec::with_capacity(limit.min(TAIL_CHUNK)),
            bytes: 0,
            examined: 0,
            last: None,
            full: limit == 0,
            more: false,
            removed: RemovedCount::default(),
        }
    }

    fn is_filtered(&self) -> bool {
        self.window.author.is_some() || self.window.custom_type.is_some()
    }

    /// Whether it is known without looking further that the reach goes on, or that it ends here.
    fn what_follows(&self, slot: Slot) -> Option<bool> {
        let Window { span, above, order, .. } = self.window;
        match order {
            Order::Descending if slot.seq <= above.next() => Some(false),
            Order::Descending if span.after == Id::MIN => Some(true),
            Order::Ascending if slot.seq >= self.head.last.seq => Some(false),
            Order::Ascending if span.upto >= self.head.last.id => Some(true),
            _ => None,
        }
    }

    fn fits(&self, content: &Content<'_>) -> bool {
        self.window.author.as_ref().is_none_or(|author| content.is_by(author))
            && self.window.custom_type.as_ref().is_none_or(|wanted| content.is_of_type(wanted))
    }

    fn finish(mut self) -> Page {
        let Window { span, order, .. } = *self.window;
        let last = self.last.map(|slot| slot.id);
        let covered = match (self.more, order) {
            (false, _) => span,
            (true, Order::Ascending) => Span { after: span.after, upto: last.unwrap_or(span.after) },
            (true, Order::Descending) => Span { after: last.map_or(span.upto, Id::previous), upto: span.upto },
        };
        if order == Order::Descending {
            self.messages.reverse();
        }
        Page {
            next_expiry: self.messages.iter().filter_map(|message| message.expires_at).min(),
            messages: self.messages,
            covered,
            more: self.more,
            removed: self.removed,
            floor: Position::default(),
            head: self.head.last,
        }
    }
}

impl Visitor for PageBuilder<'_> {
    fn meet(&mut self, slot: Slot) -> Meet {
        if self.full {
            self.more = true;
            return Meet::Stop;
        }
        self.examined += 1;
        self.last = Some(slot);
        self.full = self.examined >= EXAMINED_MAX;
        if slot.expires_at.is_some_and(|due| due <= self.window.now) {
            self.removed.expired += 1;
            return Meet::Skip;
        }
        Meet::Take
    }

    fn take(&mut self, slot: Slot, bytes: &Bytes, range: Range<usize>) -> Result<ControlFlow<()>> {
        let content = Content::parse(&bytes[range.clone()])?;
        if !self.fits(&content) {
            return Ok(ControlFlow::Continue(()));
        }
        // A few matches must not keep all that they were found in.
        let bytes = match self.is_filtered() {
            true => Bytes::copy_from_slice(&bytes[range]),
            false => bytes.slice(range),
        };
        let message = content.message(slot.id, slot.seq, slot.expires_at, &bytes);
        self.bytes += message.payload.bytes.len();
        self.messages.push(Arc::new(message));
        self.full |= self.messages.len() >= self.limit || self.bytes >= limits::PAGE_BYTES;
        if self.full
            && let Some(more) = self.what_follows(slot)
        {
            self.more = more;
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    }

    fn wanted(&self) -> usize {
        match self.is_filtered() {
            true => TAIL_CHUNK,
            false => (self.limit - self.messages.len() + 1).clamp(1, TAIL_CHUNK),
        }
    }
}
