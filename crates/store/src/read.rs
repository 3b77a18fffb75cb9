//! Pages: a walk that fills a page until its limit, its bytes or its budget of work is used up, and then says exactly
//! what it looked through.

use crate::{
    channels::{NameCache, Named},
    content::Content,
    edits::NewestEdits,
    removed::Removed,
    settings::{EXAMINED_MAX, JUMP_FROM, TAIL_CHUNK},
    view::View,
    walk::{Meet, Reach, Slot, Visitor, Walked},
};
use bytes::Bytes;
use model::{
    Channel, ChannelNumber, Effort, Error, Head, Id, Message, Order, Page, RemovedCount, Result, Seq, Span, Window,
    limits,
};
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
            Named::Nothing => return Ok(Some(PageBuilder::new(window, Head::default(), None).finish())),
            Named::OnDisk => return Ok(None),
        };
        if !disk && self.last_in_tails(number)?.is_none() {
            return Ok(None);
        }
        let known = if disk { Some(self.known(number)?) } else { self.known_in_memory(number)? };
        let Some(known) = known else { return Ok(None) };
        let place = self.place_of(number, known);
        let head = Head { number: ChannelNumber(number), last: self.last(channel, number)?, floor: place.floor };
        // What happened to messages that are in the tails is there, too: without the table nothing of it is missing.
        let removed = if disk { self.removed(&place)? } else { Removed::new(self, number, None) };
        let edits = NewestEdits::new(self, &place, window.order);
        let mut builder = PageBuilder::new(window, head, Some((removed, edits)));
        let above = window.above.max(place.floor.seq);
        let mut reach = Reach { after: window.span.after, upto: window.span.upto, above };
        if reach.after >= reach.upto || reach.above >= head.last.seq || reach.after >= head.last.id {
            return Ok(Some(builder.finish()));
        }
        loop {
            let walked = match window.order {
                Order::Descending => self.walk_back(&place, reach, disk, &mut builder)?,
                Order::Ascending => self.walk_on(&place, reach, disk, &mut builder)?,
            };
            let Some(seq) = builder.jump.take() else {
                return Ok((walked == Walked::Done).then(|| builder.finish()));
            };
            match window.order {
                Order::Ascending => reach.above = seq.previous(),
                Order::Descending => match self.id_with(&place, seq)? {
                    Some(id) => reach.upto = id,
                    None => return Err(Error::internal(format!("seq {seq} of channel {number} is nowhere"))),
                },
            }
        }
    }
}

/// A page while it is filled.
struct PageBuilder<'a> {
    window: &'a Window,
    head: Head,
    /// What became of the messages; none in a channel that has none.
    fates: Option<(Removed<'a>, NewestEdits<'a>)>,
    /// The walk shall go on at this seq: what lies between is removed, and counted.
    jump: Option<Seq>,
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
    fn new(window: &'a Window, head: Head, fates: Option<(Removed<'a>, NewestEdits<'a>)>) -> PageBuilder<'a> {
        let limit = window.limit.min(limits::PAGE_MESSAGES) as usize;
        PageBuilder {
            window,
            head,
            fates,
            jump: None,
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
            Order::Descending if slot.seq <= (*above).max(self.head.floor.seq).next() => Some(false),
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
            floor: self.head.floor,
            head: self.head.last,
        }
    }
}

impl PageBuilder<'_> {
    /// Counts a removed message, and all that lie side by side with it if they are many: the walk jumps over them.
    fn pass_removed(&mut self, slot: Slot, expired: bool) -> Result<Meet> {
        let field = if expired { &mut self.removed.expired } else { &mut self.removed.deleted };
        *field += 1;
        let Some((removed, _)) = &mut self.fates else { return Ok(Meet::Skip) };
        let Window { span, order, above, .. } = self.window;
        let above = (*above).max(self.head.floor.seq);
        // Only whole sides of the channel: a run that the span may cut is walked.
        let last = self.head.last.seq;
        let (next, run) = match order {
            Order::Descending if span.after == Id::MIN && slot.seq.above(above) > JUMP_FROM => {
                let next = removed.last_there(slot.seq.previous(), above)?;
                (next, (next, slot.seq.previous()))
            }
            Order::Ascending if span.upto >= self.head.last.id && last.above(slot.seq) > JUMP_FROM => {
                let next = removed.first_there(slot.seq.next(), last)?;
                (next, (slot.seq, next.previous()))
            }
            _ => return Ok(Meet::Skip),
        };
        if run.1.above(run.0) < JUMP_FROM {
            return Ok(Meet::Skip);
        }
        let counted = removed.count(run.0, run.1)?;
        self.removed.deleted += counted.deleted;
        self.removed.expired += counted.expired;
        let ends = match order {
            Order::Descending => next <= above,
            Order::Ascending => next > last,
        };
        self.jump = (!ends).then_some(next);
        Ok(Meet::Stop)
    }
}

impl Visitor for PageBuilder<'_> {
    fn meet(&mut self, slot: Slot) -> Result<Meet> {
        if self.full {
            self.more = true;
            return Ok(Meet::Stop);
        }
        self.examined += 1;
        self.last = Some(slot);
        self.full = self.examined >= EXAMINED_MAX;
        if let Some((removed, _)) = &mut self.fates
            && let Some(expired) = removed.of(slot.seq)?
        {
            return self.pass_removed(slot, expired);
        }
        if slot.expires_at.is_some_and(|due| due <= self.window.now) {
            self.removed.expired += 1;
            return Ok(Meet::Skip);
        }
        Ok(Meet::Take)
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
        let mut message = content.message(slot.id, slot.seq, slot.expires_at, &bytes);
        if let Some((_, edits)) = &mut self.fates {
            message = edits.merge(message)?;
        }
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
