//! The change feed of a channel: edits, removals, floors and reactions in one order. Tails have it by themselves; the table
//! has a space for each week, which is dropped whole. The text of an edit lies in `edits` only, so that it can go.

use crate::{
    alteration::{self, Alteration, EDITED},
    channels::NameCache,
    codec::Altered,
    device::Space,
    edits::{self, Unedited},
    facts::Place,
    keys,
    removed::Removed,
    rows,
    settings::LISTING_MAX,
    view::View,
    wire::{Parsed, Reader, put_seq, put_varint},
};
use bytes::Bytes;
use model::{Change, ChangesPage, Channel, ChannelChange, ChannelNumber, Id, Result, Seq, What, limits};
use std::sync::Arc;

/// The row of a change: its tag, then its fields as in the log; of an edit only message and seq.
pub(crate) fn encode(key: &[u8], body: &Bytes, altered: &Altered) -> Result<Bytes> {
    let mut out = vec![altered.what.tag()];
    match &altered.what {
        Alteration::Edited { message, seq, .. } => {
            put_varint(&mut out, message.raw());
            put_seq(&mut out, *seq);
        }
        other => {
            alteration::put(&other.what(body)?, &mut out);
        }
    }
    Ok(rows::seal(key, &out))
}

/// What a row says.
pub(crate) enum Told {
    Edited { message: Id, seq: Seq },
    Other(Alteration),
}

pub(crate) fn decode(key: &[u8], value: &Bytes) -> Parsed<Told> {
    let fields = rows::open(key, value)?;
    let mut reader = Reader::new(&fields);
    let told = match reader.u8()? {
        EDITED => Told::Edited { message: Id::from_raw(reader.varint()?), seq: reader.seq()? },
        tag => Told::Other(Alteration::parse(tag, &mut reader)?),
    };
    reader.end()?;
    Ok(told)
}

/// A page while it is filled: one change more than the limit tells that there is more.
struct Pages<'a> {
    view: &'a View,
    place: &'a Place,
    channel: &'a Channel,
    removed: Removed<'a>,
    unedited: Unedited<'a>,
    limit: usize,
    bytes: usize,
    changes: Vec<Arc<Change>>,
}

impl Pages<'_> {
    fn is_full(&self) -> bool {
        self.changes.len() > self.limit || self.bytes >= limits::PAGE_BYTES && !self.changes.is_empty()
    }

    fn push(&mut self, id: Id, what: What) {
        let number = ChannelNumber(self.place.number);
        let change = Change::Channel(ChannelChange { id, channel: self.channel.clone(), number, what });
        if self.changes.len() < self.limit {
            self.bytes += change.cost();
        }
        self.changes.push(Arc::new(change));
    }

    fn is_gone(&mut self, seq: Seq) -> Result<bool> {
        Ok(seq <= self.place.floor.seq || self.removed.has(seq)?)
    }

    fn of_table(&mut self, after: Id) -> Result<()> {
        // What the tails have may be in the table already, by a flush that was cut off.
        let upto = self.view.parts().next().map_or(Id::MIN, |part| part.after());
        let (first, last) = (keys::week_of(after), keys::week_of(upto));
        for week in self.view.changes_weeks.iter().filter(|week| first <= **week && **week <= last) {
            for row in
                self.view.rows(Space::Changes(*week), keys::changes_between(self.place.number, after, upto), false)
            {
                if self.is_full() {
                    return Ok(());
                }
                let (key, value) = row?;
                let id = Id::from_raw(keys::last_two(&key)?.1);
                match decode(&key, &value)? {
                    Told::Edited { message, seq } => {
                        let row = keys::edit_row(self.place.number, message, id);
                        if !self.unedited.has(id)
                            && !self.is_gone(seq)?
                            && let Some(value) = self.view.get(Space::Edits, &row)?
                        {
                            self.push(id, What::Edited(Arc::new(edits::decode(&row, &value)?.1)));
                        }
                    }
                    Told::Other(alteration) => self.push(id, alteration.what(&Bytes::new())?),
                }
            }
        }
        Ok(())
    }

    fn of_tails(&mut self, after: Id) -> Result<()> {
        for part in self.view.parts() {
            let mut after = after;
            while !self.is_full() {
                let wanted = self.limit - self.changes.len().min(self.limit) + 1;
                let found = part.with_altered(self.place.number, |shown| {
                    shown.changes_after(after).take(wanted.min(256)).collect::<Vec<_>>()
                });
                let found = found.unwrap_or_default();
                let Some((last, _)) = found.last() else { break };
                after = *last;
                for (id, at) in found {
                    let (body, altered) = part.altered_at(at)?;
                    if let Alteration::Edited { seq, .. } = altered.what
                        && (self.unedited.has(id) || self.is_gone(seq)?)
                    {
                        continue;
                    }
                    self.push(id, altered.what.what(&body)?);
                    if self.is_full() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
}

impl View {
    /// See [`model::Store::changes`].
    pub fn changes(&self, channel: &Channel, after: Id, limit: u32, names: &NameCache) -> Result<ChangesPage> {
        let newest = after.max(self.last_id());
        let Some(place) = self.place(channel, names)? else {
            let starts_after = self.changes_start_after;
            return Ok(ChangesPage { changes: Vec::new(), examined: newest, more: false, starts_after });
        };
        let starts_after = self.changes_start_after.max(place.known.facts.changes_after);
        let limit = limit.min(LISTING_MAX) as usize;
        let removed = self.removed(&place)?;
        let (unedited, changes, bytes) = (self.unedited(place.number), Vec::new(), 0);
        let mut pages = Pages { view: self, place: &place, channel, removed, unedited, limit, bytes, changes };
        let from = after.max(starts_after);
        pages.of_table(from)?;
        pages.of_tails(from)?;
        let over_bytes = pages.bytes >= limits::PAGE_BYTES;
        let Pages { mut changes, .. } = pages;
        let more = changes.len() > limit || over_bytes;
        changes.truncate(limit);
        let last = changes.last().map_or(after, |last| last.id());
        Ok(ChangesPage { changes, examined: if more { last } else { newest }, more, starts_after })
    }

    /// The newest id that was stored.
    fn last_id(&self) -> Id {
        self.parts().next_back().map_or(Id::MIN, |part| part.last_id())
    }
}
