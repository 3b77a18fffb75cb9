//! Messages of a channel by their seqs, there or not: what maintenance and indices look at to learn what a message was.

use crate::{
    content::Content,
    settings::{PICK_GAP, TAIL_CHUNK},
    view::View,
    walk::{Meet, Reach, Slot, Visitor},
};
use bytes::Bytes;
use model::{Id, Result, Seq, SeqRange};
use std::ops::{ControlFlow, Range};

impl View {
    /// Visits the messages of these ranges (growing, apart) that still have their content, the oldest first, at most
    /// `most` of them. Up to which seq it looked: all there are when fewer than `most` were visited.
    pub fn pick(
        &self,
        number: u64,
        ranges: &[SeqRange],
        most: usize,
        visit: &mut dyn FnMut(Slot, &Content<'_>) -> Result<()>,
    ) -> Result<Seq> {
        let place = self.place_of(number, self.known(number)?);
        let mut picker = Picker { ranges, left: most, upto: Seq::NONE, goes_on: true, visit };
        while let Some(range) = picker.ranges.first().filter(|_| picker.goes_on && picker.left > 0) {
            let from = range.first.max(picker.upto.next());
            picker.goes_on = false;
            let reach = Reach { after: Id::MIN, upto: Id::MAX, above: from.previous() };
            self.walk_on(&place, reach, true, &mut picker)?;
        }
        match picker.left {
            0 => Ok(picker.upto),
            _ => Ok(ranges.last().map_or(Seq::NONE, |range| range.last)),
        }
    }
}

struct Picker<'a> {
    /// Those that are left.
    ranges: &'a [SeqRange],
    left: usize,
    upto: Seq,
    /// The walk stopped because what comes next is far away.
    goes_on: bool,
    visit: &'a mut dyn FnMut(Slot, &Content<'_>) -> Result<()>,
}

impl Visitor for Picker<'_> {
    fn meet(&mut self, slot: Slot) -> Result<Meet> {
        while self.ranges.first().is_some_and(|range| range.last < slot.seq) {
            self.ranges = &self.ranges[1..];
        }
        let Some(range) = self.ranges.first().filter(|_| self.left > 0) else { return Ok(Meet::Stop) };
        self.upto = slot.seq;
        if slot.seq >= range.first {
            return Ok(Meet::Take);
        }
        self.goes_on = range.first.above(slot.seq) > PICK_GAP;
        Ok(if self.goes_on { Meet::Stop } else { Meet::Skip })
    }

    fn take(&mut self, slot: Slot, bytes: &Bytes, content: Range<usize>) -> Result<ControlFlow<()>> {
        if !content.is_empty() {
            (self.visit)(slot, &Content::parse(&bytes[content])?)?;
            self.left -= 1;
        }
        Ok(if self.left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    }

    fn wanted(&self) -> usize {
        TAIL_CHUNK
    }
}
