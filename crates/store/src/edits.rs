//! Edits: new contents that lie beside their messages and are merged when read. The newest wins, the others stay as
//! versions. Channels and pages without edits pay a comparison of seqs; a page with edits pays one range.

use crate::{
    alteration::{self, Alteration},
    channels::NameCache,
    content::Content,
    device::Space,
    facts::Place,
    keys, rows,
    settings::EDITS_PASSED,
    view::View,
    walk::Slot,
    wire::{Malformed, Parsed, Reader, put_seq},
};
use bytes::Bytes;
use model::{Channel, Edit, Id, Message, Order, Result, Seq, Version};
use std::iter::Peekable;

/// The row of an edit: `seq ‖ content`.
pub(crate) fn encode(key: &[u8], seq: Seq, content: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(content.len() + 10);
    put_seq(&mut out, seq);
    out.extend_from_slice(content);
    rows::seal(key, &out)
}

/// The edit of a row: its own id, and what it says.
pub(crate) fn decode(key: &[u8], value: &Bytes) -> Parsed<(Id, Edit)> {
    let (message, id) = keys::last_two(key)?;
    let fields = rows::open(key, value)?;
    let mut reader = Reader::new(&fields);
    let seq = reader.seq()?;
    let content = fields.slice(reader.rest());
    Ok((Id::from_raw(id), alteration::edit(Id::from_raw(message), seq, &content)?))
}

/// The newest edits of messages that are asked for in one order: a merge with one range of the table, and a look into
/// the tails for each message.
pub(crate) struct NewestEdits<'a> {
    view: &'a View,
    number: u64,
    /// Between which seqs the table has edits.
    edited: Option<(Seq, Seq)>,
    is_altered: bool,
    unedited: Unedited<'a>,
    order: Order,
    rows: Option<Peekable<crate::device::Rows<'a>>>,
}

impl<'a> NewestEdits<'a> {
    pub fn new(view: &'a View, place: &Place, order: Order) -> NewestEdits<'a> {
        let is_altered = view.parts().any(|part| part.with_altered(place.number, |_| ()).is_some());
        let (number, edited) = (place.number, place.known.facts.edited);
        NewestEdits { view, number, edited, is_altered, unedited: view.unedited(number), order, rows: None }
    }

    /// The message as its newest edit made it.
    pub fn merge(&mut self, message: Message) -> Result<Message> {
        let Some((id, edit)) = self.newest(message.id, message.seq)? else { return Ok(message) };
        Ok(Message { payload: edit.payload, extras: edit.extras, edited_at: Some(id), ..message })
    }

    fn newest(&mut self, message: Id, seq: Seq) -> Result<Option<(Id, Edit)>> {
        if self.is_altered {
            for part in self.view.parts().rev() {
                let mut edits = part.edits_of(self.number, message).into_iter().rev();
                if let Some((id, place)) = edits.find(|(id, _)| !self.unedited.has(*id)) {
                    let (body, altered) = part.altered_at(place)?;
                    return Ok(Some((id, edit_of(&body, &altered.what)?)));
                }
            }
        }
        match self.edited {
            Some((first, last)) if first <= seq && seq <= last => self.newest_in_table(message),
            _ => Ok(None),
        }
    }

    fn newest_in_table(&mut self, message: Id) -> Result<Option<(Id, Edit)>> {
        let mut passed = 0;
        let mut found = None;
        loop {
            let range = self.range(message);
            let (view, is_reverse) = (self.view, self.order == Order::Descending);
            let rows = self.rows.get_or_insert_with(|| view.rows(Space::Edits, range, is_reverse).peekable());
            let Some(row) = rows.peek() else { break };
            let key = match row {
                Ok((key, _)) => key,
                Err(_) => return rows.next().transpose().map(|_| None),
            };
            let (of, edit) = keys::last_two(key)?;
            let (of, edit) = (Id::from_raw(of), Id::from_raw(edit));
            let is_before = match self.order {
                Order::Ascending => of < message,
                Order::Descending => of > message,
            };
            if !is_before && of != message {
                break;
            }
            let row = rows.next().transpose()?;
            if of == message && !self.unedited.has(edit) {
                found = row;
                if self.order == Order::Descending {
                    break;
                }
            }
            passed += 1;
            if passed >= EDITS_PASSED {
                self.rows = None;
                found = self.seek_newest(message)?;
                break;
            }
        }
        found.map(|(key, value)| Ok(decode(&key, &value)?)).transpose()
    }

    fn seek_newest(&self, message: Id) -> Result<Option<(Bytes, Bytes)>> {
        for row in self.view.rows(Space::Edits, keys::edits_between(self.number, message.previous(), message), true) {
            let (key, value) = row?;
            if !self.unedited.has(Id::from_raw(keys::last_two(&key)?.1)) {
                return Ok(Some((key, value)));
            }
        }
        Ok(None)
    }

    /// Where the merge goes on with a message.
    fn range(&self, message: Id) -> std::ops::Range<Bytes> {
        match self.order {
            Order::Ascending => keys::edits_between(self.number, message.previous(), Id::MAX),
            Order::Descending => keys::edits_between(self.number, Id::MIN, message),
        }
    }
}

/// The edits of a channel that the tails take back, whose rows may still be there.
pub(crate) struct Unedited<'a> {
    view: &'a View,
    number: u64,
    is_empty: bool,
}

impl Unedited<'_> {
    pub fn has(&self, edit: Id) -> bool {
        let takes = |part: crate::tail::Part<'_>| part.with_altered(self.number, |shown| shown.is_unedited(edit));
        !self.is_empty && self.view.parts().any(|part| takes(part).unwrap_or(false))
    }
}

fn edit_of(body: &Bytes, what: &Alteration) -> Parsed<Edit> {
    match what {
        Alteration::Edited { message, seq, content } => alteration::edit(*message, *seq, &body.slice(content.clone())),
        _ => Err(Malformed("change: of another kind than an edit")),
    }
}

impl View {
    /// What the tails take back of a channel's edits.
    pub fn unedited(&self, number: u64) -> Unedited<'_> {
        let some = self.parts().any(|part| part.with_altered(number, |shown| shown.has_unedited()).unwrap_or(false));
        Unedited { view: self, number, is_empty: !some }
    }

    /// See [`model::Store::versions`].
    pub fn versions(&self, channel: &Channel, message: Id, names: &NameCache) -> Result<Vec<Version>> {
        let Some(place) = self.place(channel, names)? else { return Ok(Vec::new()) };
        let Some(first) = self.message_there(&place, message)? else { return Ok(Vec::new()) };
        let mut versions =
            vec![Version { at: first.id, by: first.author, payload: first.payload, extras: first.extras }];
        let unedited = self.unedited(place.number);
        let mut add = |id: Id, edit: Edit| {
            if !unedited.has(id) && versions.last().is_some_and(|last: &Version| last.at < id) {
                versions.push(Version { at: id, by: edit.editor, payload: edit.payload, extras: edit.extras });
            }
        };
        if place.known.facts.edited.is_some() {
            let range = keys::edits_between(place.number, message.previous(), message);
            for row in self.rows(Space::Edits, range, false) {
                let (key, value) = row?;
                let (id, edit) = decode(&key, &value)?;
                add(id, edit);
            }
        }
        for part in self.parts() {
            for (id, at) in part.edits_of(place.number, message) {
                let (body, altered) = part.altered_at(at)?;
                add(id, edit_of(&body, &altered.what)?);
            }
        }
        Ok(versions)
    }

    /// A message that is there, with its first content.
    fn message_there(&self, place: &Place, id: Id) -> Result<Option<Message>> {
        let Some((slot, bytes)) = self.content_at(place, id)? else { return Ok(None) };
        if slot.seq <= place.floor.seq || self.removed(place)?.has(slot.seq)? {
            return Ok(None);
        }
        Ok(Some(Content::parse(&bytes)?.message(id, slot.seq, slot.expires_at, &bytes)))
    }

    /// Where a message lies that was ever stored and was not swept.
    pub fn slot_at(&self, place: &Place, id: Id) -> Result<Option<Slot>> {
        for part in self.parts().rev() {
            let found = part.descending(place.number, id, 1)?;
            if let Some(found) = found.first() {
                return Ok(Some(found.slot()).filter(|slot| slot.id == id));
            }
        }
        let Some(block) = self.block_at(place, id)? else { return Ok(None) };
        Ok(block.ids.binary_search(&id).ok().map(|index| block.slot(index)))
    }

    pub fn content_at(&self, place: &Place, id: Id) -> Result<Option<(Slot, Bytes)>> {
        for part in self.parts().rev() {
            let found = part.descending(place.number, id, 1)?;
            if let Some(found) = found.first() {
                let slot = found.slot();
                return Ok((slot.id == id).then(|| (slot, found.body.slice(found.published.content.clone()))));
            }
        }
        let Some(block) = self.block_at(place, id)? else { return Ok(None) };
        let Ok(index) = block.ids.binary_search(&id) else { return Ok(None) };
        match block.content(index) {
            // Its content was swept: it was removed.
            range if range.is_empty() => Ok(None),
            range => Ok(Some((block.slot(index), block.contents()?.slice(range)))),
        }
    }
}
