//! Walking through the messages of a channel, in either direction, over tails and blocks; and seeking in it by id and by
//! seq. Everything here costs what the walk visits, never what the channel holds.

use crate::{block::Block, facts::Place, keys, tail::Found, view::View};
use bytes::Bytes;
use model::{Error, Id, Position, Result, Seq};
use std::ops::{ControlFlow, Range};

/// The part of a channel that a walk may enter: ids in (`after`, `upto`], seqs above `above`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reach {
    pub after: Id,
    pub upto: Id,
    pub above: Seq,
}

impl Reach {
    fn contains(self, slot: Slot) -> bool {
        self.after < slot.id && slot.id <= self.upto && slot.seq > self.above
    }

    /// Whether its bound by seqs may leave out something that lies in the channel.
    fn is_above_some(self, place: &Place) -> bool {
        self.above > place.known.facts.swept.seq
    }
}

/// The place of a message and when it is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slot {
    pub id: Id,
    pub seq: Seq,
    pub expires_at: Option<Id>,
}

impl Slot {
    pub fn position(self) -> Position {
        Position { id: self.id, seq: self.seq }
    }
}

/// What a visitor wants of a message that it met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Meet {
    /// Go on without its content.
    Skip,
    /// Give the content to [`Visitor::take`].
    Take,
    /// Go no further.
    Stop,
}

/// Who walks.
pub(crate) trait Visitor {
    /// The next message is this one.
    fn meet(&mut self, slot: Slot) -> Result<Meet>;

    /// Its content is `bytes[content]`.
    fn take(&mut self, slot: Slot, bytes: &Bytes, content: Range<usize>) -> Result<ControlFlow<()>>;

    /// About how many messages it still wants.
    fn wanted(&self) -> usize;
}

/// How a walk ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Walked {
    /// The visitor stopped, or the reach came to its end.
    Done,
    /// The rest is not in memory.
    OnDisk,
}

type Flow = Result<ControlFlow<()>>;

const GO_ON: ControlFlow<()> = ControlFlow::Continue(());
const STOP: ControlFlow<()> = ControlFlow::Break(());
/// Steps of a search by seq: each at least halves the ids in question every second time.
const SEARCH_STEPS: usize = 160;

impl View {
    /// From the newest message of the reach back. Enters the table only if `disk`.
    pub fn walk_back(&self, place: &Place, reach: Reach, disk: bool, visitor: &mut dyn Visitor) -> Result<Walked> {
        let number = place.number;
        let mut upto = reach.upto;
        for part in self.parts().rev() {
            loop {
                let chunk = part.descending(number, upto, visitor.wanted())?;
                let Some(oldest) = chunk.last().map(|found| found.published.id) else { break };
                for found in &chunk {
                    if visit_found(found, reach, visitor)?.is_break() {
                        return Ok(Walked::Done);
                    }
                }
                upto = oldest.previous();
            }
        }
        if self.is_whole_in_tails(number, reach)? {
            return Ok(Walked::Done);
        }
        if !disk {
            return Ok(Walked::OnDisk);
        }
        for row in self.rows(keys::blocks_of(number), place.blocks_upto(upto), true) {
            let Some(block) = self.visible(row?)? else { continue };
            let end = block.position_after(upto);
            if visit_block(&block, (0..end).rev(), reach, visitor)?.is_break() {
                break;
            }
        }
        Ok(Walked::Done)
    }

    /// From the oldest message of the reach on. Enters the table only if `disk`.
    pub fn walk_on(&self, place: &Place, reach: Reach, disk: bool, visitor: &mut dyn Visitor) -> Result<Walked> {
        let number = place.number;
        if !self.is_whole_in_tails(number, reach)? {
            if !disk {
                return Ok(Walked::OnDisk);
            }
            if self.walk_on_blocks(place, reach, visitor)?.is_break() {
                return Ok(Walked::Done);
            }
        }
        let mut after = self.id_before(place, reach)?;
        for part in self.parts() {
            loop {
                let chunk = part.ascending(number, after, visitor.wanted())?;
                let Some(newest) = chunk.last().map(|found| found.published.id) else { break };
                for found in &chunk {
                    if visit_found(found, reach, visitor)?.is_break() {
                        return Ok(Walked::Done);
                    }
                }
                after = newest;
            }
        }
        Ok(Walked::Done)
    }

    fn walk_on_blocks(&self, place: &Place, reach: Reach, visitor: &mut dyn Visitor) -> Flow {
        let number = place.number;
        let mut first = self.block_at(place, reach.after)?;
        if reach.is_above_some(place) {
            let Some(above) = self.block_with(place, reach.above.next())? else { return Ok(GO_ON) };
            if first.as_ref().is_none_or(|first| first.key.first < above.key.first) {
                first = Some(above);
            }
        }
        let mut after = place.known.facts.swept.id;
        if let Some(block) = first {
            after = block.key.first;
            let mut start = block.position_after(reach.after);
            while start < block.len() && block.seq(start) <= reach.above {
                start += 1;
            }
            if visit_block(&block, start..block.len(), reach, visitor)?.is_break() {
                return Ok(STOP);
            }
        }
        for row in self.rows(keys::blocks_of(number), keys::blocks_between(number, after, reach.upto), false) {
            let Some(block) = self.visible(row?)? else { continue };
            if visit_block(&block, 0..block.len(), reach, visitor)?.is_break() {
                return Ok(STOP);
            }
        }
        Ok(GO_ON)
    }

    /// Where a walk through the tails starts: the id after which they are in reach.
    fn id_before(&self, place: &Place, reach: Reach) -> Result<Id> {
        if reach.is_above_some(place) {
            for part in self.parts() {
                if let Some(id) = part.id_of(place.number, reach.above)? {
                    return Ok(reach.after.max(id));
                }
            }
        }
        Ok(reach.after)
    }

    /// Whether no block can have something in reach: the tails have the channel from its first message in reach on.
    fn is_whole_in_tails(&self, number: u64, reach: Reach) -> Result<bool> {
        let first = self.first_in_tails(number)?;
        Ok(first.is_some_and(|(id, seq)| seq <= reach.above.next() || id.previous() <= reach.after))
    }

    /// The block that a row holds, unless a flush wrote it that is not finished.
    pub fn visible(&self, (key, value): (Bytes, Bytes)) -> Result<Option<Block>> {
        if keys::BlockKey::parse(&key)?.upto > self.checkpoint {
            return Ok(None);
        }
        let block = Block::parse(&key, &value)
            .map_err(|malformed| Error::internal(format!("block {:?}: {malformed}", keys::BlockKey::parse(&key))))?;
        Ok(Some(block))
    }

    /// The newest block of a channel whose first id is at most `id`.
    pub fn block_at(&self, place: &Place, id: Id) -> Result<Option<Block>> {
        for row in self.rows(keys::blocks_of(place.number), place.blocks_upto(id), true) {
            if let Some(block) = self.visible(row?)? {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }

    /// The oldest block of a channel whose last seq is at least `seq`: by interpolation between what is known of both
    /// ends, and by halves every second time.
    pub fn block_with(&self, place: &Place, seq: Seq) -> Result<Option<Block>> {
        let Some(newest) = self.block_at(place, Id::MAX)? else { return Ok(None) };
        if newest.last().1 < seq {
            return Ok(None);
        }
        let swept = place.known.facts.swept;
        let (mut low, mut low_seq) = (swept.id.raw(), swept.seq);
        let mut best = newest;
        for step in 0..SEARCH_STEPS {
            let (high, high_seq) = (best.key.first.raw(), best.seq(0));
            if seq >= high_seq || low >= high {
                return Ok(Some(best));
            }
            let part = match step % 2 {
                0 => seq.above(low_seq) as f64 / high_seq.above(low_seq).max(1) as f64,
                _ => 0.5,
            };
            let guess = low + ((high - low) as f64 * part.clamp(0.0, 1.0)) as u64;
            let guess = guess.clamp(low, high - 1);
            match self.block_at(place, Id::from_raw(guess))? {
                Some(block) if block.last().1 >= seq => best = block,
                found => {
                    low_seq = found.map_or(low_seq, |block| block.last().1);
                    low = guess + 1;
                }
            }
        }
        Err(Error::internal(format!("the blocks of channel {} are not in order", place.number)))
    }

    /// The id of the message with this seq, if it is in the tails or in a block.
    pub fn id_with(&self, place: &Place, seq: Seq) -> Result<Option<Id>> {
        for part in self.parts().rev() {
            if let Some(id) = part.id_of(place.number, seq)? {
                return Ok(Some(id));
            }
        }
        let Some(block) = self.block_with(place, seq)? else { return Ok(None) };
        Ok(block.id_with(seq))
    }

    /// The seq of the newest message of a channel whose id is at most `id`; that of the floor if there is none above.
    pub fn seq_at(&self, place: &Place, id: Id) -> Result<Seq> {
        let number = place.number;
        if id <= place.floor.id {
            return Ok(place.floor.seq);
        }
        for part in self.parts().rev() {
            if let Some(seq) = part.seq_at(number, id)? {
                return Ok(seq);
            }
        }
        let first = self.first_in_tails(number)?;
        if id == Id::MIN || first.is_some_and(|(_, seq)| seq <= place.floor.seq.next()) {
            return Ok(place.floor.seq);
        }
        let block = self.block_at(place, id)?;
        let seq = block.map_or(Seq::NONE, |block| block.seq(block.position_after(id).saturating_sub(1)));
        Ok(seq.max(place.floor.seq))
    }
}

impl Found {
    pub fn slot(&self) -> Slot {
        Slot { id: self.published.id, seq: self.published.seq, expires_at: self.published.expires_at }
    }
}

impl Block {
    /// The id of the message with this seq, if it is here.
    pub fn id_with(&self, seq: Seq) -> Option<Id> {
        let is_between = self.seq(0) <= seq && seq <= self.last().1;
        let index = seq.above(self.seq(0)) as usize;
        (is_between && self.seq(index) == seq).then(|| self.ids[index])
    }

    pub fn slot(&self, index: usize) -> Slot {
        Slot { id: self.ids[index], seq: self.seq(index), expires_at: self.expires_at(index) }
    }
}

fn visit_found(found: &Found, reach: Reach, visitor: &mut dyn Visitor) -> Flow {
    let published = &found.published;
    let slot = found.slot();
    if !reach.contains(slot) {
        return Ok(STOP);
    }
    match visitor.meet(slot)? {
        Meet::Skip => Ok(GO_ON),
        Meet::Stop => Ok(STOP),
        Meet::Take => visitor.take(slot, &found.body, published.content.clone()),
    }
}

fn visit_block(block: &Block, indexes: impl Iterator<Item = usize>, reach: Reach, visitor: &mut dyn Visitor) -> Flow {
    let mut contents = None;
    for index in indexes {
        let slot = block.slot(index);
        if !reach.contains(slot) {
            return Ok(STOP);
        }
        match visitor.meet(slot)? {
            Meet::Skip => continue,
            Meet::Stop => return Ok(STOP),
            Meet::Take => {}
        }
        let bytes = match &contents {
            Some(bytes) => bytes,
            None => contents.insert(block.contents()?),
        };
        if visitor.take(slot, bytes, block.content(index))?.is_break() {
            return Ok(STOP);
        }
    }
    Ok(GO_ON)
}
