//! Applying the lines of an export to a store. A channel is new there, or an import goes on with it: it has what the file has,
//! up to some message; or the file's history ends below the channel's first message (`beneath.rs`). A message and all that
//! belongs to it become durable together, so where the channel ends says how far an earlier import came. The lines were
//! checked.

use super::{
    batches::{Batches, Bounds, Size},
    changes::{blank, gone},
    limits::REFUSALS_TOLD,
    line::Line,
    lines::Lines,
};
use anyhow::Context;
use bytes::Bytes;
use model::{
    AppId, Change, Channel, ChannelChange, ChannelName, ChannelNumber, Head, Id, Message, Position, RecordChange,
    RecordKey, Result, Store, What,
};
use std::{
    io::{Read, Seek},
    sync::Arc,
};
use store::KeptStore;

/// What an import came to.
#[derive(Default, Debug)]
pub(super) struct Imported {
    /// Channels that are new in the store.
    pub channels: u64,
    /// Channels that got history below what was there.
    pub beneath: u64,
    pub messages: u64,
    pub gone: u64,
    pub edits: u64,
    pub reactions: u64,
    pub records: u64,
    /// Records of which the store has a newer value.
    pub replaced: u64,
    /// Messages, there or gone, that the store had already.
    pub skipped: u64,
    /// Messages, there or gone, that lie below the floor of their channel: nothing comes back there.
    pub below_floors: u64,
    /// Channels and records that were left as they are, the first of them by name and reason.
    pub refused: u64,
    pub refusals: Vec<String>,
}

/// An import at work.
pub(super) struct Import<'a> {
    pub(super) batches: Batches<'a>,
    app: AppId,
    last_number: u64,
    pub(super) target: Option<Target>,
    pub done: Imported,
}

/// The channel that lines belong to.
pub(super) struct Target {
    pub channel: Channel,
    number: ChannelNumber,
    /// What the store had of it before.
    pub there: Head,
    /// The first message of it that lies above the floor, there or gone.
    pub first: Option<Position>,
    pub floor: Position,
    pub stage: Stage,
    /// What is added to the seqs of the file.
    pub shift: i64,
    /// The last message of the file so far, with the seq that it has in the store.
    last: Option<Position>,
    /// The size of the message that is passed over, with what belongs to it.
    passed: Size,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing was stored in it.
    New,
    /// Something was. Nothing of the file so far lies above its floor.
    Looking,
    /// The store has this part of it.
    Passing,
    /// It goes on above what was there.
    GoingOn,
    /// It comes in below what was there, a part at a time.
    Beneath,
    Refused,
}

impl<'a> Import<'a> {
    /// Into this app of a store that nobody else uses; `last_number` is the greatest number of a channel there.
    pub fn new(store: &'a KeptStore, app: AppId, last_number: ChannelNumber, bounds: Bounds) -> Import<'a> {
        let (batches, done) = (Batches::new(store, bounds), Imported::default());
        Import { batches, app, last_number: last_number.0, target: None, done }
    }

    /// Applies all lines, makes them durable and moves them into the tables. `progress` is told bytes.
    pub fn run<R: Read + Seek>(
        mut self,
        lines: &mut Lines<R>,
        progress: &mut dyn FnMut(u64),
    ) -> anyhow::Result<Imported> {
        // What was published before shares no flush with what is imported.
        self.batches.store.flush().context("moving what is in the log into the tables")?;
        loop {
            let at = lines.at();
            let Some(line) = lines.parsed()? else { break };
            if self.lies_beneath(&line) {
                lines.go_to(at)?;
                self.beneath(lines)?;
            } else {
                self.line(line).with_context(|| format!("line {}", lines.number()))?;
            }
            progress(lines.at().offset - at.offset);
        }
        self.end_channel()?;
        self.batches.apply_all()?;
        self.batches.store.flush().context("moving what was imported into the tables")?;
        Ok(self.done)
    }

    /// Applies a line, now or with later ones.
    pub(super) fn line(&mut self, line: Line) -> anyhow::Result<()> {
        let line = self.numbered(line)?;
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

    fn record(&mut self, key: RecordKey, version: Id, value: Bytes) -> anyhow::Result<()> {
        self.batches.begin_unit()?;
        match self.batches.store.record(&key)? {
            Some(there) if there.value == value => {}
            Some(there) if there.version > version => self.done.replaced += 1,
            Some(_) => {
                let name = String::from_utf8_lossy(&key.name);
                self.refuse(format!("record {:?} {name}: an older value is there, and stays", key.kind));
            }
            None => {
                self.done.records += 1;
                self.batches.push(Change::Record(RecordChange { id: version, key, value: Some(value) }))?;
            }
        }
        Ok(())
    }

    fn begin_channel(&mut self, name: ChannelName, floor: Position) -> anyhow::Result<()> {
        let channel = Channel { app: self.app.clone(), name };
        let there = self.batches.store.heads(std::slice::from_ref(&channel))?[0];
        let is_empty = there.last == Position::default() && there.floor == Position::default();
        let stage = if is_empty { Stage::New } else { Stage::Looking };
        let first = if is_empty { None } else { self.batches.store.first_position(&channel)? };
        let is_new = there.number == ChannelNumber::NONE;
        let number = if is_new { ChannelNumber(self.last_number + 1) } else { there.number };
        let (shift, last, passed) = (0, None, Size::default());
        self.target = Some(Target { channel, number, there, first, floor, stage, shift, last, passed });
        Ok(())
    }

    /// Whether this line begins a history that lies below a channel of which nothing was removed from below.
    fn lies_beneath(&self, line: &Line) -> bool {
        let Some(target) = self.target.as_ref().filter(|target| target.stage == Stage::Looking) else { return false };
        target.there.floor.id == Id::MIN
            && target.last.is_none()
            && line.positions().first().is_some_and(|begins| target.first.is_none_or(|first| begins.id < first.id))
    }

    /// The line with the seqs that its messages have in the store.
    fn numbered(&mut self, mut line: Line) -> anyhow::Result<Line> {
        self.look(&line)?;
        let shift = self.target.as_ref().map_or(0, |target| target.shift);
        if shift != 0 {
            line.shift(shift);
        }
        Ok(line)
    }

    /// Learns by the first message above the floor how the store numbers what the file has.
    fn look(&mut self, line: &Line) -> anyhow::Result<()> {
        let Some(target) = self.target.as_mut().filter(|target| target.stage == Stage::Looking) else { return Ok(()) };
        let floor = target.there.floor.id;
        let positions = line.positions();
        let (below, above) = positions.split_at(positions.partition_point(|position| position.id <= floor));
        let Some(first) = above.first() else { return Ok(()) };
        target.stage = Stage::Passing;
        let (last, before) = (target.there.last, below.last().copied().or(target.last));
        match (self.batches.store.position_of(&target.channel, first.id)?, before) {
            (Some(there), _) => target.shift = there.seq.0 - first.seq.0,
            // The file goes on above a channel that lies below its floor.
            (None, Some(before)) if before.id == last.id => {
                (target.shift, target.last) = (last.seq.0 - before.seq.0, Some(last));
            }
            (None, _) => self.refuse_channel(),
        }
        Ok(())
    }

    /// A channel of which only the floor is left keeps it; one of which the store has more than the file is compared.
    fn end_channel(&mut self) -> anyhow::Result<()> {
        let Some(target) = &self.target else { return Ok(()) };
        match target.stage {
            Stage::New if target.last.is_none() && target.floor != Position::default() => {
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
        self.batches.begin_unit()?;
        let first = self.begin_new(floor)?;
        let message = Arc::new(blank(floor));
        self.push_to_channel(floor.id, What::Published { message, key: None, first })?;
        self.push_to_channel(floor.id, What::Floored(floor))
    }

    fn message(&mut self, message: Arc<Message>) -> anyhow::Result<()> {
        let position = message.position();
        let Some(first) = self.place(position)? else {
            if let Some(target) = &mut self.target {
                let what = What::Published { message, key: None, first: false };
                // With a floor that may have come before it.
                let floored = Size::of_what(&target.channel, What::Floored(position));
                target.passed = floored + Size::of_what(&target.channel, what);
            }
            return Ok(());
        };
        self.done.messages += 1;
        self.push_to_channel(position.id, What::Published { message, key: None, first })
    }

    /// Messages that are gone get their places back, and are removed with the same batch.
    fn gone(&mut self, messages: &[(Position, bool)]) -> anyhow::Result<()> {
        let (mut placed, mut begins) = (Vec::new(), false);
        for (at, (position, expired)) in messages.iter().enumerate() {
            let first = match at {
                0 => self.place(*position)?,
                _ => self.place_in_unit(*position)?,
            };
            if let Some(first) = first {
                begins |= first;
                placed.push((*position, *expired));
            }
        }
        self.done.gone += placed.len() as u64;
        for (id, what) in gone(&placed, begins) {
            self.push_to_channel(id, what)?;
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
            Stage::Refused | Stage::Looking => return Ok(false),
            Stage::Passing => {
                target.passed = target.passed + Size::of_what(&target.channel, what.clone());
                // All that fitted one batch came with its message. The rest of it may be missing.
                let was_split = target.passed.exceeds(self.batches.bounds.unit);
                let is_last = target.last == Some(target.there.last);
                if !was_split || !is_last || is_there(self.batches.store, &target.channel)? {
                    return Ok(false);
                }
            }
            Stage::New | Stage::GoingOn | Stage::Beneath => {}
        }
        self.push_to_channel(id, what)?;
        Ok(true)
    }

    /// Whether the next message of the channel is to be applied: then whether it is the first stored change.
    fn place(&mut self, position: Position) -> anyhow::Result<Option<bool>> {
        // Of what comes in beneath, a part belongs together.
        if self.target.as_ref().is_none_or(|target| target.stage != Stage::Beneath) {
            self.batches.begin_unit()?;
        }
        self.place_in_unit(position)
    }

    fn place_in_unit(&mut self, position: Position) -> anyhow::Result<Option<bool>> {
        let Some(target) = &mut self.target else { return Ok(None) };
        let before = target.last.replace(position);
        match target.stage {
            Stage::Refused => Ok(None),
            Stage::GoingOn | Stage::Beneath => Ok(Some(false)),
            Stage::New => self.begin_new(position).map(Some),
            Stage::Looking => {
                self.done.below_floors += 1;
                Ok(None)
            }
            Stage::Passing if position.seq < target.there.last.seq || position == target.there.last => {
                self.done.skipped += 1;
                Ok(None)
            }
            Stage::Passing if before == Some(target.there.last) => {
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
        let is_new = target.there.number == ChannelNumber::NONE;
        if is_new {
            self.last_number = target.number.0;
            self.done.channels += 1;
        }
        let below = below_first(first, target.floor);
        if below == Position::default() {
            return Ok(is_new);
        }
        self.push_to_channel(below.id, What::Floored(below))?;
        Ok(false)
    }

    /// Whether the store has the file's last message, or lost it to a floor.
    fn has_last(&self) -> anyhow::Result<bool> {
        let Some((target, last)) = self.target.as_ref().and_then(|target| Some((target, target.last?))) else {
            return Ok(true);
        };
        if last == target.there.last || last.id <= target.there.floor.id {
            return Ok(true);
        }
        Ok(self.batches.store.position_of(&target.channel, last.id)? == Some(last))
    }

    pub(super) fn refuse_channel(&mut self) {
        let Some(target) = &mut self.target else { return };
        target.stage = Stage::Refused;
        let text = format!(
            "channel {}: it has messages of its own, up to seq {}, and what the file has does not end below them: export \
             less of it, with --to, or import it into another app, with --app",
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

    pub(super) fn push_to_channel(&mut self, id: Id, what: What) -> anyhow::Result<()> {
        let Some(Target { channel, number, .. }) = &self.target else { return Ok(()) };
        let change = ChannelChange { id, channel: channel.clone(), number: *number, what };
        self.batches.push(Change::Channel(change))
    }
}

/// What lies below the first message of a file. What the file leaves out was not removed, and may come in later.
pub(super) fn below_first(first: Position, floor: Position) -> Position {
    let below = first.seq.previous();
    if floor.seq == below { floor } else { Position { id: Id::MIN, seq: below } }
}
