//! History that ends right below the first message of a channel comes in from its end: in parts, the newest first, each
//! durable as a whole with the floor below it. So the channel has no gap at any moment, and where it begins says how far an
//! earlier import came.

use super::{
    batches::{Bounds, Size},
    changes::changes_of,
    import::{Import, Stage, Target, below_first},
    line::Line,
    lines::{At, Lines},
};
use anyhow::Context;
use model::{Channel, Id, Order, Position, Reaction, Seq, Span, Store, What};
use std::io::{Read, Seek};
use store::KeptStore;

/// How a channel of a file comes in below what is there.
struct Plan {
    /// The oldest first.
    parts: Vec<Part>,
    /// Where the last part ends.
    parts_end: At,
    /// If what is there begins with a message: where it is in the file, with all that belongs to it.
    first: Option<(At, At)>,
    /// Where the channel ends.
    end: At,
    /// What the seqs of the file are less than those in the store.
    shift: i64,
    /// Messages that are there.
    skipped: u64,
}

struct Part {
    at: At,
    /// What lies below its first message, by the seqs of the file.
    floor: Position,
}

impl Import<'_> {
    /// Brings the rest of a channel, from the first line of it that has a position.
    pub(super) fn beneath<R: Read + Seek>(&mut self, lines: &mut Lines<R>) -> anyhow::Result<()> {
        let Some(target) = &self.target else { return Ok(()) };
        let mut planner = Planner::new(self.batches.store, self.batches.bounds, target);
        let end = planner.read(lines)?;
        let Some(plan) = planner.plan(end)? else {
            self.refuse_channel();
            return lines.go_to(end);
        };
        self.done.beneath += u64::from(!plan.parts.is_empty());
        self.done.skipped += plan.skipped;
        self.apply_plan(&plan, lines)?;
        self.target = None;
        lines.go_to(plan.end)
    }

    fn apply_plan<R: Read + Seek>(&mut self, plan: &Plan, lines: &mut Lines<R>) -> anyhow::Result<()> {
        let Some(target) = &mut self.target else { return Ok(()) };
        target.shift = plan.shift;
        if let (Some((from, to)), Some(first)) = (plan.first, target.first) {
            // If it was split, the last of what belongs to it may be missing.
            target.there.last = first;
            target.stage = Stage::Passing;
            self.between(lines, from, to)?;
        }
        let ends = plan.parts.iter().skip(1).map(|part| part.at);
        let parts: Vec<(&Part, At)> = plan.parts.iter().zip(ends.chain([plan.parts_end])).collect();
        for (index, (part, end)) in parts.into_iter().enumerate().rev() {
            self.part(part, end, plan.shift, lines)?;
            if index > 0 {
                // What comes next lies below: not in one flush with this.
                self.batches.apply_all()?;
                self.batches.store.flush().context("moving what was imported into the tables")?;
            }
        }
        Ok(())
    }

    fn part<R: Read + Seek>(&mut self, part: &Part, end: At, shift: i64, lines: &mut Lines<R>) -> anyhow::Result<()> {
        self.batches.begin_unit()?;
        if let Some(target) = &mut self.target {
            target.stage = Stage::Beneath;
        }
        let floor = Position { id: part.floor.id, seq: Seq(part.floor.seq.0 + shift) };
        self.push_to_channel(floor.id, What::Floored(floor))?;
        self.between(lines, part.at, end)
    }

    fn between<R: Read + Seek>(&mut self, lines: &mut Lines<R>, from: At, to: At) -> anyhow::Result<()> {
        lines.go_to(from)?;
        while lines.at() < to {
            let Some(line) = lines.parsed()? else { break };
            self.line(line).with_context(|| format!("line {}", lines.number()))?;
        }
        Ok(())
    }
}

/// Reads a channel of a file, and sees how it fits below what is there.
struct Planner<'a> {
    store: &'a KeptStore,
    bounds: Bounds,
    channel: &'a Channel,
    /// The first message that is there.
    first: Option<Position>,
    /// Where the history of the file begins.
    floor: Position,
    parts: Vec<Part>,
    /// The size of the last part but its last unit.
    part: Size,
    unit: Option<Unit>,
    /// The last position so far.
    last: Option<Position>,
    met: Option<Met>,
    skipped: u64,
    /// A reaction has the id of another one.
    clashes: bool,
}

/// Where what is there begins in the file.
struct Met {
    at: At,
    /// How the file numbers it.
    position: Position,
    is_gone: bool,
    /// Where the next message begins, or the next that are gone.
    next: Option<At>,
}

/// A message with all that belongs to it, or some that are gone.
struct Unit {
    at: At,
    floor: Position,
    size: Size,
}

impl<'a> Planner<'a> {
    fn new(store: &'a KeptStore, bounds: Bounds, target: &'a Target) -> Planner<'a> {
        Planner {
            store,
            bounds,
            channel: &target.channel,
            first: target.first,
            floor: target.floor,
            parts: Vec::new(),
            part: Size::default(),
            unit: None,
            last: None,
            met: None,
            skipped: 0,
            clashes: false,
        }
    }

    /// Reads up to the end of the channel; where that is.
    fn read<R: Read + Seek>(&mut self, lines: &mut Lines<R>) -> anyhow::Result<At> {
        let end = loop {
            let at = lines.at();
            let Some(line) = lines.parsed()? else { break at };
            let positions = line.positions();
            match &line {
                Line::Message { .. } => self.begin_unit(at, &positions, false),
                Line::Gone { .. } => self.begin_unit(at, &positions, true),
                Line::Reaction { id, reaction, .. } => self.clashes |= self.is_taken(*id, reaction)?,
                Line::Edit { .. } => {}
                Line::Header(_) | Line::Record { .. } | Line::Channel { .. } | Line::End { .. } => break at,
            }
            self.add(&line);
        };
        self.end_unit();
        Ok(end)
    }

    fn begin_unit(&mut self, at: At, positions: &[Position], is_gone: bool) {
        self.end_unit();
        let (Some(first), Some(last)) = (positions.first(), positions.last()) else { return };
        let below = match self.last {
            // More is to come below it.
            Some(last) => Position { id: Id::MIN, ..last },
            None => below_first(*first, self.floor),
        };
        self.last = Some(*last);
        match (self.first.filter(|there| there.id <= first.id), &mut self.met) {
            (None, _) => self.unit = Some(Unit { at, floor: below, size: Size::default() }),
            (Some(there), None) if there.id == first.id => {
                self.met = Some(Met { at, position: *first, is_gone, next: None });
                // A message is counted when it is looked at again.
                self.skipped += if is_gone { positions.len() as u64 } else { 0 };
            }
            (Some(_), Some(met)) => {
                met.next.get_or_insert(at);
                self.skipped += positions.len() as u64;
            }
            // It is another history.
            (Some(_), None) => {}
        }
    }

    fn add(&mut self, line: &Line) {
        if let Some(unit) = &mut self.unit {
            let sizes = changes_of(line).into_iter().map(|what| Size::of_what(self.channel, what));
            unit.size = sizes.fold(unit.size, |sum, size| sum + size);
        }
    }

    /// The unit goes on with the last part, or begins one.
    fn end_unit(&mut self) {
        let Some(Unit { at, floor, size }) = self.unit.take() else { return };
        let together = self.part + size;
        if self.parts.is_empty() || together.exceeds(self.bounds.batch) {
            self.parts.push(Part { at, floor });
            // With the floor that comes before it.
            self.part = size + Size::of_what(self.channel, What::Floored(floor));
        } else {
            self.part = together;
        }
    }

    /// Whether another reaction of the channel has this id.
    fn is_taken(&self, id: Id, reaction: &Reaction) -> anyhow::Result<bool> {
        if self.unit.is_none() || self.first.is_none_or(|first| id < first.id) {
            return Ok(false);
        }
        let there =
            self.store.reactions_made(self.channel, Span { after: id.previous(), upto: id }, Order::Ascending, 1)?;
        Ok(there.iter().any(|there| *there.reaction != *reaction))
    }

    /// How it comes in; `None` if it does not fit.
    fn plan(self, end: At) -> anyhow::Result<Option<Plan>> {
        let Some(last) = self.last.filter(|_| !self.clashes) else { return Ok(None) };
        let shift = match (self.first, &self.met) {
            (None, _) => Seq::START.0 - last.seq.0,
            (Some(first), None) if last.id < first.id => first.seq.previous().0 - last.seq.0,
            (Some(first), Some(met)) => first.seq.0 - met.position.seq.0,
            (Some(_), None) => return Ok(None),
        };
        let in_store = Position { seq: Seq(last.seq.0 + shift), ..last };
        if self.met.is_some() && self.store.position_of(self.channel, last.id)? != Some(in_store) {
            return Ok(None);
        }
        let parts_end = self.met.as_ref().map_or(end, |met| met.at);
        let message = self.met.filter(|met| !met.is_gone);
        let first = message.map(|met| (met.at, met.next.unwrap_or(end)));
        Ok(Some(Plan { parts: self.parts, parts_end, first, end, shift, skipped: self.skipped }))
    }
}
