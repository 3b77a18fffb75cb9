//! Applying the lines of an export to a store. A channel is new there, or an import goes on with it: it has what the file has,
//! up to some message. A message and all that belongs to it become durable together, so where the channel ends says how far
//! an earlier import came. The lines were checked.

use super::{
    limits::{BATCH_BYTES, BATCH_CHANGES, REFUSALS_TOLD, UNIT_BYTES, UNIT_CHANGES},
    line::Line,
};
use anyhow::Context;
use bytes::Bytes;
use model::{
    AppId, Change, Channel, ChannelChange, ChannelName, ChannelNumber, Effort, Head, Id, Kind, Message, Order, Payload,
    PayloadForm, Position, RecordChange, RecordKey, Removal, Result, Seq, SeqRange, Span, Store, What, Window,
};
use std::sync::Arc;
use store::KeptStore;

/// What an import came to.
#[derive(Default, Debug)]
pub(super) struct Imported {
    pub channels: u64,
    pub messages: u64,
    pub gone: u64,
    pub edits: u64,
    pub reactions: u64,
    pub records: u64,
    /// Messages, there or gone, that the store had already.
    pub skipped: u64,
    /// Channels and records that were left as they are, the first of them by name and reason.
    pub refused: u64,
    pub refusals: Vec<String>,
}

/// An import at work.
pub(super) struct Import<'a> {
    store: &'a KeptStore,
    app: AppId,
    last_number: u64,
    target: Option<Target>,
    pending: Pending,
    pub done: Imported,
}

/// The channel that lines belong to.
struct Target {
    channel: Channel,
    number: ChannelNumber,
    /// What the store had of it before.
    there: Head,
    floor: Position,
    stage: Stage,
    /// The last message of the file so far.
    last: Position,
    /// The size of the message that is passed over, with what belongs to it.
    passed: (usize, usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing was stored in it.
    New,
    /// The store has this part of it.
    Passing,
    /// It goes on above what was there.
    GoingOn,
    Refused,
}

/// Changes on their way to the store.
#[derive(Default)]
struct Pending {
    changes: Vec<Arc<Change>>,
    cost: usize,
    /// Where the last message begins, with what belongs to it; and the cost of all before.
    unit: (usize, usize),
}

impl<'a> Import<'a> {
    /// Into this app of a store; `last_number` is the greatest number of a channel there.
    pub fn new(store: &'a KeptStore, app: AppId, last_number: ChannelNumber) -> Import<'a> {
        let (target, pending, done) = (None, Pending::default(), Imported::default());
        Import { store, app, last_number: last_number.0, target, pending, done }
    }

    /// Applies a line, now or with later ones.
    pub fn line(&mut self, line: Line) -> anyhow::Result<()> {
        match line {
            Line::Header(_) => {}
            Line::Record { kind, name, version, value } => {
                let key = RecordKey { app: self.app.clone(), kind, name: name.into() };
                self.record(key, version, value.into())?;
            }
            Line::Channel { channel, floor, .. } => {
                self.end_channel()?;
                self.begin_channel(channel, floor)?;
            }
            Line::Message { message, .. } => self.message(message)?,
            Line::Gone { messages, .. } => self.gone(&messages)?,
            Line::Edit { id, edit, .. } => {
                let is_there = |store: &KeptStore, channel: &Channel| -> Result<bool> {
                    Ok(store.versions(channel, edit.message)?.iter().any(|version| version.at == id))
                };
                if self.alter(id, What::Edited(edit.clone()), is_there)? {
                    self.done.edits += 1;
                }
            }
            Line::Reaction { id, reaction, .. } => {
                let is_there = |store: &KeptStore, channel: &Channel| -> Result<bool> {
                    Ok(store.reaction(channel, &reaction)?.is_some())
                };
                if self.alter(id, What::Reacted(reaction.clone()), is_there)? {
                    self.done.reactions += 1;
                }
            }
            Line::End { .. } => self.end_channel()?,
        }
        Ok(())
    }

    /// Makes the rest durable and moves all of it into the tables.
    pub fn finish(mut self) -> anyhow::Result<Imported> {
        self.end_channel()?;
        self.apply(self.pending.changes.len())?;
        self.store.flush().context("moving what was imported into the tables")?;
        Ok(self.done)
    }

    fn record(&mut self, key: RecordKey, version: Id, value: Bytes) -> anyhow::Result<()> {
        self.begin_unit()?;
        match self.store.record(&key)? {
            Some(there) if there.value == value => {}
            Some(_) => {
                let name = String::from_utf8_lossy(&key.name);
                self.refuse(format!("record {:?} {name}: another value is there, and stays", key.kind));
            }
            None => {
                self.done.records += 1;
                self.push(Change::Record(RecordChange { id: version, key, value: Some(value) }))?;
            }
        }
        Ok(())
    }

    fn begin_channel(&mut self, name: ChannelName, floor: Position) -> anyhow::Result<()> {
        let channel = Channel { app: self.app.clone(), name };
        let there = self.store.heads(std::slice::from_ref(&channel))?[0];
        let is_new = there.number == ChannelNumber::NONE;
        let stage = if is_new { Stage::New } else { Stage::Passing };
        let number = if is_new { ChannelNumber(self.last_number + 1) } else { there.number };
        let (last, passed) = (Position::default(), (0, 0));
        self.target = Some(Target { channel, number, there, floor, stage, last, passed });
        Ok(())
    }

    /// A channel of which only the floor is left keeps it; one of which the store has more than the file is compared.
    fn end_channel(&mut self) -> anyhow::Result<()> {
        let Some(target) = &self.target else { return Ok(()) };
        match target.stage {
            Stage::New if target.last.seq == Seq::NONE && target.floor.seq > Seq::NONE => {
                self.only_floor(target.floor)?;
            }
            Stage::Passing if !self.has_last()? => self.refuse_channel(),
            _ => {}
        }
        self.target = None;
        Ok(())
    }

    /// A channel of which nothing is left goes on above where it was.
    fn only_floor(&mut self, floor: Position) -> anyhow::Result<()> {
        self.begin_unit()?;
        let first = self.begin_new(floor)?;
        let message = Arc::new(blank(floor));
        self.push_to_channel(floor.id, What::Published { message, key: None, first })?;
        self.push_to_channel(floor.id, What::Floored(floor))
    }

    fn message(&mut self, message: Arc<Message>) -> anyhow::Result<()> {
        let position = Position { id: message.id, seq: message.seq };
        let cost = message.cost();
        let Some(first) = self.place(position)? else {
            if let Some(target) = &mut self.target {
                target.passed = (cost, 1);
            }
            return Ok(());
        };
        self.done.messages += 1;
        self.push_to_channel(position.id, What::Published { message, key: None, first })
    }

    /// Messages that are gone get their places back, and are removed with the same batch.
    fn gone(&mut self, messages: &[(Position, bool)]) -> anyhow::Result<()> {
        let mut placed = Vec::new();
        for (at, (position, expired)) in messages.iter().enumerate() {
            let first = match at {
                0 => self.place(*position)?,
                _ => self.place_in_unit(*position)?,
            };
            let Some(first) = first else { continue };
            self.done.gone += 1;
            placed.push((*position, *expired));
            let message = Arc::new(blank(*position));
            self.push_to_channel(position.id, What::Published { message, key: None, first })?;
        }
        for expired in [false, true] {
            let of_kind: Vec<Position> = placed.iter().filter(|(_, is)| *is == expired).map(|(at, _)| *at).collect();
            let Some(last) = of_kind.last() else { continue };
            let removal = Arc::new(removal(&of_kind));
            let what = if expired { What::Expired(removal) } else { What::Deleted(removal) };
            self.push_to_channel(last.id, what)?;
        }
        Ok(())
    }

    /// An edit or a reaction of the last message; whether it is new here.
    fn alter(
        &mut self,
        id: Id,
        what: What,
        is_there: impl Fn(&KeptStore, &Channel) -> Result<bool>,
    ) -> anyhow::Result<bool> {
        let Some(target) = &mut self.target else { return Ok(false) };
        match target.stage {
            Stage::Refused => return Ok(false),
            Stage::Passing => {
                let change = channel_change(target, id, what.clone());
                target.passed = (target.passed.0 + change.cost(), target.passed.1 + 1);
                // All that fitted one batch came with its message. The rest of it may be missing.
                let was_split = is_too_much(target.passed) && target.last == target.there.last;
                if !was_split || is_there(self.store, &target.channel)? {
                    return Ok(false);
                }
            }
            Stage::New | Stage::GoingOn => {}
        }
        self.push_to_channel(id, what)?;
        Ok(true)
    }

    /// Whether the next message of the channel is to be applied: then whether it is the first stored change.
    fn place(&mut self, position: Position) -> anyhow::Result<Option<bool>> {
        self.begin_unit()?;
        self.place_in_unit(position)
    }

    fn place_in_unit(&mut self, position: Position) -> anyhow::Result<Option<bool>> {
        let Some(target) = &mut self.target else { return Ok(None) };
        let before = std::mem::replace(&mut target.last, position);
        match target.stage {
            Stage::Refused => Ok(None),
            Stage::GoingOn => Ok(Some(false)),
            Stage::New => self.begin_new(position).map(Some),
            Stage::Passing if position.seq < target.there.last.seq => {
                self.done.skipped += 1;
                Ok(None)
            }
            Stage::Passing if position == target.there.last => {
                self.done.skipped += 1;
                Ok(None)
            }
            Stage::Passing if before == target.there.last && before.seq != Seq::NONE => {
                target.stage = Stage::GoingOn;
                Ok(Some(false))
            }
            Stage::Passing => {
                self.refuse_channel();
                Ok(None)
            }
        }
    }

    /// The first change of a channel gives it its number: a floor if its history does not begin at 1.
    fn begin_new(&mut self, first: Position) -> anyhow::Result<bool> {
        let Some(target) = &mut self.target else { return Ok(false) };
        target.stage = Stage::GoingOn;
        self.last_number = target.number.0;
        self.done.channels += 1;
        if first.seq == Seq(1) {
            return Ok(true);
        }
        let below = Seq(first.seq.0 - 1);
        let id = if target.floor.seq == below { target.floor.id } else { first.id.previous() };
        self.push_to_channel(id, What::Floored(Position { id, seq: below }))?;
        Ok(false)
    }

    /// Whether the store has the file's last message, or lost it to a floor.
    fn has_last(&self) -> anyhow::Result<bool> {
        let Some(target) = &self.target else { return Ok(true) };
        let last = if target.last.seq == Seq::NONE { target.floor } else { target.last };
        if last == target.there.last || last.seq <= target.there.floor.seq {
            return Ok(true);
        }
        let span = Span { after: last.id.previous(), upto: last.id };
        let (order, limit, above) = (Order::Ascending, 1, Seq::NONE);
        let window = Window { span, order, limit, above, author: None, custom_type: None, now: Id::MIN };
        let page = self.store.read(&target.channel, &window, Effort::Disk)?;
        let is_message = page.is_some_and(|page| page.messages.iter().any(|message| message.seq == last.seq));
        Ok(is_message || self.store.gone(&target.channel, span, 1)?.iter().any(|(at, _)| *at == last))
    }

    fn refuse_channel(&mut self) {
        let Some(target) = &mut self.target else { return };
        target.stage = Stage::Refused;
        let text = format!(
            "channel {}: it has messages of its own, up to seq {}: import it into another app, with --app",
            target.channel.name, target.there.last.seq
        );
        self.refuse(text);
    }

    fn refuse(&mut self, text: String) {
        self.done.refused += 1;
        if self.done.refusals.len() < REFUSALS_TOLD {
            self.done.refusals.push(text);
        }
    }

    fn push_to_channel(&mut self, id: Id, what: What) -> anyhow::Result<()> {
        let Some(target) = &self.target else { return Ok(()) };
        let change = channel_change(target, id, what);
        self.push(change)
    }

    fn push(&mut self, change: Change) -> anyhow::Result<()> {
        let (unit, before) = self.pending.unit;
        let size = (self.pending.cost + change.cost(), self.pending.changes.len() + 1);
        self.pending.cost = size.0;
        self.pending.changes.push(Arc::new(change));
        if is_too_much(size) && unit > 0 {
            self.apply(unit)?;
            self.pending.cost = size.0 - before;
        }
        if is_too_much((self.pending.cost, self.pending.changes.len())) {
            self.apply(self.pending.changes.len())?;
        }
        Ok(())
    }

    /// A message begins: what came before may be made durable without it.
    fn begin_unit(&mut self) -> anyhow::Result<()> {
        if self.pending.cost >= BATCH_BYTES || self.pending.changes.len() >= BATCH_CHANGES {
            self.apply(self.pending.changes.len())?;
        }
        self.pending.unit = (self.pending.changes.len(), self.pending.cost);
        Ok(())
    }

    fn apply(&mut self, count: usize) -> anyhow::Result<()> {
        let rest = self.pending.changes.split_off(count);
        let changes = std::mem::replace(&mut self.pending.changes, rest);
        self.pending.unit = (0, 0);
        self.pending.cost = 0;
        if changes.is_empty() {
            return Ok(());
        }
        self.store.import(&changes).map_err(|error| anyhow::anyhow!("{error}; the same import again goes on from here"))
    }
}

/// Whether a message with what belongs to it is split here: the same whatever came before.
fn is_too_much((cost, changes): (usize, usize)) -> bool {
    cost > UNIT_BYTES || changes > UNIT_CHANGES
}

fn channel_change(target: &Target, id: Id, what: What) -> Change {
    Change::Channel(ChannelChange { id, channel: target.channel.clone(), number: target.number, what })
}

/// The place of a message that is gone.
fn blank(position: Position) -> Message {
    Message {
        id: position.id,
        seq: position.seq,
        author: None,
        recipient: None,
        payload: Payload { form: PayloadForm::Text, bytes: Bytes::new() },
        kind: Kind::Message,
        custom_type: None,
        extras: None,
        edited_at: None,
        expires_at: None,
    }
}

fn removal(positions: &[Position]) -> Removal {
    let mut seqs: Vec<SeqRange> = Vec::new();
    for Position { seq, .. } in positions {
        match seqs.last_mut() {
            Some(range) if range.last.next() == *seq => range.last = *seq,
            _ => seqs.push(SeqRange { first: *seq, last: *seq }),
        }
    }
    let ends = positions.first().zip(positions.last());
    let span = ends.map_or(Span { after: Id::MIN, upto: Id::MIN }, |(first, last)| Span {
        after: first.id.previous(),
        upto: last.id,
    });
    Removal { seqs, span, ids: positions.iter().map(|position| position.id).collect(), by: None }
}
