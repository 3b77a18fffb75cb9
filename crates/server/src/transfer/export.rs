//! A store's history, line by line: records, then channel after channel, each message with its edits and reactions behind
//! it, in the order of ids. The store is at rest, or nobody else's: what is read belongs together.

use super::{
    json::RECORD_KINDS,
    limits::{AT_ONCE, GONE_PER_LINE},
    line::{Header, Line},
    resume::Start,
};
use anyhow::Context;
use model::{
    Channel, ChannelName, Edit, Effort, Error, Id, Message, Order, Page, Position, ReactionAt, ReactionEntry, Result,
    Seq, Span, Store, Version, Window, limits,
};
use std::{collections::VecDeque, io::Write, sync::Arc};
use store::KeptStore;

/// Writes what the header covers, from `start` on; `messages` are there already. `progress` is told messages. The number
/// of all messages.
pub(super) fn export(
    store: &KeptStore,
    header: &Header,
    start: Start,
    now: Id,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> anyhow::Result<u64> {
    let mut export = Export { store, header, now, out, progress, lines: Vec::new(), messages: 0 };
    let begun = match start {
        Start::Beginning => {
            export.write(&Line::Header(header.clone()))?;
            if header.is_whole() {
                export.records()?;
            }
            None
        }
        Start::Channel { channel, after, messages } => {
            export.messages = messages;
            export.channel(&channel, after)?;
            Some(channel)
        }
    };
    export.channels_after(begun)?;
    let messages = export.messages;
    export.write(&Line::End { messages })?;
    export.write_out()?;
    Ok(messages)
}

struct Export<'a> {
    store: &'a KeptStore,
    header: &'a Header,
    /// What is due at this moment counts as expired.
    now: Id,
    out: &'a mut dyn Write,
    progress: &'a mut dyn FnMut(u64),
    lines: Vec<u8>,
    messages: u64,
}

const WRITE_BYTES: usize = 256 << 10;
/// Channels that are listed at a time.
const CHANNELS_AT_ONCE: u32 = 1_000;

impl Export<'_> {
    fn write(&mut self, line: &Line) -> anyhow::Result<()> {
        line.write(&mut self.lines);
        if self.lines.len() >= WRITE_BYTES { self.write_out() } else { Ok(()) }
    }

    fn write_out(&mut self) -> anyhow::Result<()> {
        self.out.write_all(&self.lines).context("writing the export")?;
        self.lines.clear();
        Ok(())
    }

    fn records(&mut self) -> anyhow::Result<()> {
        for (kind, _) in RECORD_KINDS {
            let mut after: Option<Arc<[u8]>> = None;
            loop {
                let found = self.store.records(&self.header.app, kind, b"", after.as_deref(), AT_ONCE)?;
                let Some(last) = found.last() else { break };
                after = Some(last.key.name.clone());
                for record in found {
                    let (name, value) = (record.key.name.to_vec(), record.value.to_vec());
                    self.write(&Line::Record { kind, name, version: record.version, value })?;
                }
            }
        }
        Ok(())
    }

    fn channels_after(&mut self, begun: Option<ChannelName>) -> anyhow::Result<()> {
        if !self.header.channels.is_empty() {
            let chosen = self.header.channels.iter();
            let done =
                begun.and_then(|begun| chosen.clone().position(|channel| *channel == begun)).map_or(0, |at| at + 1);
            return chosen.skip(done).try_for_each(|channel| self.channel(channel, None));
        }
        let mut after = begun;
        loop {
            let found = self.store.all_channels(&self.header.app, after.as_ref(), CHANNELS_AT_ONCE)?;
            let Some(last) = found.last() else { return Ok(()) };
            after = Some(last.channel.name.clone());
            found.iter().try_for_each(|entry| self.channel(&entry.channel.name, None))?;
        }
    }

    /// A channel from its beginning, or what follows an id of it.
    fn channel(&mut self, name: &ChannelName, after: Option<Id>) -> anyhow::Result<()> {
        let channel = Channel { app: self.header.app.clone(), name: name.clone() };
        let head = self.store.heads(std::slice::from_ref(&channel))?[0];
        if head.last == Position::default() {
            return Ok(());
        }
        if after.is_none() {
            self.write(&Line::Channel { channel: name.clone(), floor: head.floor, head: head.last })?;
        }
        let mut span = Span { after: after.unwrap_or(self.header.after), upto: self.header.upto };
        loop {
            let page = self.page(&channel, span)?;
            self.write_page(&channel, &page)?;
            (self.progress)(page.messages.len() as u64);
            if !page.more {
                return Ok(());
            }
            span.after = page.covered.upto;
        }
    }

    fn page(&self, channel: &Channel, span: Span) -> Result<Page> {
        let (author, custom_type, above) = (None, None, Seq::NONE);
        // Nothing is hidden as due: what is, counts as expired below.
        let (order, limit, now) = (Order::Ascending, limits::PAGE_MESSAGES, Id::MIN);
        let window = Window { span, order, limit, above, author, custom_type, now };
        let page = self.store.read(channel, &window, Effort::Disk)?;
        page.ok_or_else(|| Error::internal("a page is nowhere"))
    }

    fn write_page(&mut self, channel: &Channel, page: &Page) -> anyhow::Result<()> {
        let has_gone = page.removed.deleted + page.removed.expired > 0;
        let mut gone = GoneAhead::new(self.store, channel, page.covered, has_gone);
        let mut reactions = ReactionsAhead::new(self.store, channel, page.covered)?;
        let mut run: Vec<(Position, bool)> = Vec::new();
        for message in &page.messages {
            while let Some(next) = gone.next_before(message.id)? {
                self.add_gone(channel, next, &mut run)?;
            }
            if message.is_expired(self.now) {
                self.add_gone(channel, (message.position(), true), &mut run)?;
                continue;
            }
            self.end_run(channel, &mut run)?;
            self.message(channel, message)?;
            while let Some(ReactionEntry { id, reaction }) = reactions.next_of(message.id)? {
                self.write(&Line::Reaction { channel: channel.name.clone(), id, reaction })?;
            }
        }
        while let Some(next) = gone.next_before(Id::MAX)? {
            self.add_gone(channel, next, &mut run)?;
        }
        self.end_run(channel, &mut run)
    }

    fn add_gone(
        &mut self,
        channel: &Channel,
        gone: (Position, bool),
        run: &mut Vec<(Position, bool)>,
    ) -> anyhow::Result<()> {
        run.push(gone);
        if run.len() < GONE_PER_LINE { Ok(()) } else { self.end_run(channel, run) }
    }

    fn end_run(&mut self, channel: &Channel, run: &mut Vec<(Position, bool)>) -> anyhow::Result<()> {
        match run.is_empty() {
            true => Ok(()),
            false => self.write(&Line::Gone { channel: channel.name.clone(), messages: std::mem::take(run) }),
        }
    }

    fn message(&mut self, channel: &Channel, message: &Arc<Message>) -> anyhow::Result<()> {
        self.messages += 1;
        let name = &channel.name;
        if message.edited_at.is_none() {
            return self.write(&Line::Message { channel: name.clone(), message: message.clone() });
        }
        let mut versions = self.store.versions(channel, message.id)?.into_iter();
        let first = versions.next().ok_or_else(|| Error::internal("an edited message has no versions"))?;
        let Version { payload, extras, .. } = first;
        let published = Message { payload, extras, edited_at: None, ..Message::clone(message) };
        self.write(&Line::Message { channel: name.clone(), message: Arc::new(published) })?;
        for Version { at: id, by: editor, payload, extras } in versions {
            let edit = Edit { message: message.id, seq: message.seq, editor, payload, extras };
            self.write(&Line::Edit { channel: name.clone(), id, edit: Arc::new(edit) })?;
        }
        Ok(())
    }
}

/// The removed messages of a span, some ahead of the reader.
struct GoneAhead<'a> {
    store: &'a KeptStore,
    channel: &'a Channel,
    span: Span,
    ahead: VecDeque<(Position, bool)>,
    ended: bool,
}

impl<'a> GoneAhead<'a> {
    fn new(store: &'a KeptStore, channel: &'a Channel, span: Span, has_any: bool) -> GoneAhead<'a> {
        GoneAhead { store, channel, span, ahead: VecDeque::new(), ended: !has_any }
    }

    fn next_before(&mut self, id: Id) -> Result<Option<(Position, bool)>> {
        if self.ahead.is_empty() && !self.ended {
            self.ahead = self.store.gone(self.channel, self.span, AT_ONCE as usize)?.into();
            self.ended = self.ahead.len() < AT_ONCE as usize;
            self.span.after = self.ahead.back().map_or(self.span.upto, |(last, _)| last.id);
        }
        Ok(self.ahead.pop_front_if(|(position, _)| position.id < id))
    }
}

/// The reactions to the messages of a span, some ahead of the reader.
struct ReactionsAhead<'a> {
    store: &'a KeptStore,
    channel: &'a Channel,
    span: Span,
    after: Option<ReactionAt>,
    ahead: VecDeque<ReactionEntry>,
    ended: bool,
}

impl<'a> ReactionsAhead<'a> {
    fn new(store: &'a KeptStore, channel: &'a Channel, span: Span) -> Result<ReactionsAhead<'a>> {
        let ended = store.lacks_reactions(channel)?;
        Ok(ReactionsAhead { store, channel, span, after: None, ahead: VecDeque::new(), ended })
    }

    fn next_of(&mut self, message: Id) -> Result<Option<ReactionEntry>> {
        loop {
            if self.ahead.is_empty() && !self.ended {
                self.ahead = self.store.reactions(self.channel, self.span, self.after, AT_ONCE)?.into();
                self.ended = self.ahead.len() < AT_ONCE as usize;
                let at = |entry: &ReactionEntry| ReactionAt { message: entry.reaction.message, reaction: entry.id };
                self.after = self.ahead.back().map(at);
            }
            let Some(next) = self.ahead.pop_front_if(|next| next.reaction.message <= message) else { return Ok(None) };
            // Those of a message that is due are passed over with it.
            if next.reaction.message == message {
                return Ok(Some(next));
            }
        }
    }
}
