//! Where messages lie, whatever became of them: the places of those that went stay in the blocks, whoever took them.

use crate::{
    channels::NameCache,
    removed::Removed,
    view::View,
    walk::{Meet, Reach, Slot, Visitor},
};
use bytes::Bytes;
use model::{Channel, Id, Position, Result, Span};
use std::ops::{ControlFlow, Range};

impl View {
    /// See [`crate::KeptStore::gone`].
    pub fn gone(
        &self,
        channel: &Channel,
        span: Span,
        limit: usize,
        names: &NameCache,
    ) -> Result<Vec<(Position, bool)>> {
        let Some(place) = self.place(channel, names)? else { return Ok(Vec::new()) };
        let reach = Reach { after: span.after.max(place.floor.id), upto: span.upto, above: place.floor.seq };
        let mut visitor = Gone { removed: self.removed(&place)?, found: Vec::new(), limit };
        self.walk_on(&place, reach, true, &mut visitor)?;
        Ok(visitor.found)
    }

    /// See [`crate::KeptStore::position_of`].
    pub fn position_of(&self, channel: &Channel, id: Id, names: &NameCache) -> Result<Option<Position>> {
        let Some(place) = self.place(channel, names)? else { return Ok(None) };
        let slot = self.slot_at(&place, id)?.filter(|slot| slot.seq > place.floor.seq);
        Ok(slot.map(|slot| slot.position()))
    }

    /// See [`crate::KeptStore::first_position`].
    pub fn first_position(&self, channel: &Channel, names: &NameCache) -> Result<Option<Position>> {
        let Some(place) = self.place(channel, names)? else { return Ok(None) };
        let reach = Reach { after: Id::MIN, upto: Id::MAX, above: place.floor.seq };
        let mut visitor = First(None);
        self.walk_on(&place, reach, true, &mut visitor)?;
        Ok(visitor.0)
    }
}

struct First(Option<Position>);

impl Visitor for First {
    fn meet(&mut self, slot: Slot) -> Result<Meet> {
        self.0 = Some(slot.position());
        Ok(Meet::Stop)
    }

    fn take(&mut self, _slot: Slot, _bytes: &Bytes, _content: Range<usize>) -> Result<ControlFlow<()>> {
        Ok(ControlFlow::Break(()))
    }

    fn wanted(&self) -> usize {
        1
    }
}

struct Gone<'a> {
    removed: Removed<'a>,
    found: Vec<(Position, bool)>,
    limit: usize,
}

impl Visitor for Gone<'_> {
    fn meet(&mut self, slot: Slot) -> Result<Meet> {
        if self.found.len() >= self.limit {
            return Ok(Meet::Stop);
        }
        if let Some(expired) = self.removed.of(slot.seq)? {
            self.found.push((slot.position(), expired));
        }
        Ok(Meet::Skip)
    }

    fn take(&mut self, _slot: Slot, _bytes: &Bytes, _content: Range<usize>) -> Result<ControlFlow<()>> {
        Ok(ControlFlow::Continue(()))
    }

    fn wanted(&self) -> usize {
        self.limit.saturating_sub(self.found.len()).clamp(1, crate::settings::TAIL_CHUNK)
    }
}
