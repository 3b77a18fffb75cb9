//! The exact scan: which messages a selection has, found by looking at every message of the channels that it can have
//! some in. What answers while no index can.

use crate::{
    channels::{NameCache, Named},
    content::Content,
    keys,
    removed::Removed,
    rows::ChannelRow,
    settings::{SCAN_AT_MOST, TAIL_CHUNK},
    view::View,
    walk::{Meet, Reach, Slot, Visitor},
};
use bytes::Bytes;
use model::{AppId, Channel, ChannelName, Effort, Error, Id, Result, Selection, Selector, Span};
use std::{
    collections::HashMap,
    ops::{ControlFlow, Range},
    time::Instant,
};

/// A message that a selection has: its id, and the number of its channel.
pub(crate) type Hit = (Id, u64);

/// What a scan found.
pub(crate) struct Scanned {
    /// By growing id.
    pub hits: Vec<Hit>,
    /// The channels that were looked at.
    pub names: HashMap<u64, ChannelName>,
}

impl View {
    /// The messages of a span that a selection has at `now`, by growing id.
    pub fn scan(&self, app: &AppId, selection: &Selection, span: Span, now: Id, names: &NameCache) -> Result<Scanned> {
        let until = Instant::now() + SCAN_AT_MOST;
        let mut hits = Vec::new();
        let names = self.channels_of(app, selection, names)?;
        for (&number, name) in &names {
            let parts: Vec<_> = selection.parts().iter().filter(|(selector, _)| can_be_in(selector, name)).collect();
            if parts.is_empty() {
                continue;
            }
            let place = self.place_of(number, self.known(number)?);
            let after = parts.iter().map(|(_, after)| *after).min().unwrap_or_default().max(span.after);
            let reach = Reach { after, upto: span.upto, above: place.floor.seq };
            if reach.after >= reach.upto {
                continue;
            }
            let mut scanner = Scanner { number, parts, removed: self.removed(&place)?, now, until, hits: &mut hits };
            self.walk_on(&place, reach, true, &mut scanner)?;
        }
        hits.sort_unstable();
        Ok(Scanned { hits, names })
    }

    /// The channels in which a selection may have messages.
    fn channels_of(&self, app: &AppId, selection: &Selection, names: &NameCache) -> Result<HashMap<u64, ChannelName>> {
        let mut found = HashMap::new();
        let mut everywhere = false;
        for (selector, _) in selection.parts() {
            match selector {
                Selector::AuthorIn { channel, .. } | Selector::Channel(channel) => {
                    let channel = Channel { app: app.clone(), name: channel.clone() };
                    if let Named::Number(number) = self.number_of(&channel, names, Effort::Disk)? {
                        found.insert(number, channel.name);
                    }
                }
                Selector::Author(_) | Selector::Sender(_) | Selector::Recipient(_) | Selector::Pair { .. } => {
                    everywhere = true;
                }
            }
        }
        if everywhere {
            self.all_channels_of(app, &mut found)?;
        }
        Ok(found)
    }

    fn all_channels_of(&self, app: &AppId, found: &mut HashMap<u64, ChannelName>) -> Result<()> {
        let range = keys::channel_rows_of(app);
        for row in self.rows(crate::device::Space::Channels, range.clone(), false) {
            let (key, value) = row?;
            let channel = keys::parse_channel(keys::name_of_channel_row(&key)?)?;
            found.insert(ChannelRow::decode(&key, &value)?.number, channel.name);
        }
        for part in self.parts() {
            for (name, number) in part.new_channels()? {
                if range.contains(&keys::channel_row_of(&name)) {
                    found.insert(number, keys::parse_channel(&name)?.name);
                }
            }
        }
        Ok(())
    }
}

/// Whether a selector can have messages in a channel.
fn can_be_in(selector: &Selector, name: &ChannelName) -> bool {
    let is_direct = matches!(name, ChannelName::Direct(..));
    match selector {
        Selector::Author(_) => name.as_named().is_some(),
        Selector::Sender(_) | Selector::Recipient(_) | Selector::Pair { .. } => is_direct,
        Selector::AuthorIn { channel, .. } => !is_direct && channel == name,
        Selector::Channel(channel) => channel == name,
    }
}

/// Whether a selector has a message with this content, of a channel that it can have messages in.
fn selects(selector: &Selector, content: &Content<'_>) -> bool {
    match selector {
        Selector::Author(author) | Selector::Sender(author) | Selector::AuthorIn { author, .. } => {
            content.author() == Some(author)
        }
        Selector::Recipient(recipient) => content.recipient() == Some(recipient),
        Selector::Pair { author, recipient } => {
            content.author() == Some(author) && content.recipient() == Some(recipient)
        }
        Selector::Channel(_) => true,
    }
}

/// Looks at the messages of one channel.
struct Scanner<'a> {
    number: u64,
    parts: Vec<&'a (Selector, Id)>,
    removed: Removed<'a>,
    now: Id,
    until: Instant,
    hits: &'a mut Vec<Hit>,
}

impl Visitor for Scanner<'_> {
    fn meet(&mut self, slot: Slot) -> Result<Meet> {
        if slot.seq.0.rem_euclid(LOOK_EVERY) == 0 && Instant::now() >= self.until {
            return Err(Error::unavailable("the index of this app is not ready, and without it this reads too much"));
        }
        match self.removed.has(slot.seq)? || slot.expires_at.is_some_and(|due| due <= self.now) {
            true => Ok(Meet::Skip),
            false => Ok(Meet::Take),
        }
    }

    fn take(&mut self, slot: Slot, bytes: &Bytes, content: Range<usize>) -> Result<ControlFlow<()>> {
        let content = Content::parse(&bytes[content])?;
        let mut parts = self.parts.iter();
        if parts.any(|(selector, after)| slot.id > *after && selects(selector, &content)) {
            self.hits.push((slot.id, self.number));
        }
        Ok(ControlFlow::Continue(()))
    }

    fn wanted(&self) -> usize {
        TAIL_CHUNK
    }
}

/// Messages between two looks at the clock.
const LOOK_EVERY: i64 = 1024;
