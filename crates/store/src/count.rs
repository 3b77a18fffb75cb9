//! Counts: two seeks and a subtraction of seqs, less what was removed between them, less what is due and was not
//! expired yet. None of the three depends on the size of the channel or on how much was removed.

use crate::{channels::NameCache, facts::Place, view::View};
use model::{Channel, Id, Position, Result, Seq, Span};

impl View {
    /// See [`model::Store::count`].
    pub fn count(&self, channel: &Channel, span: Span, above: Seq, now: Id, names: &NameCache) -> Result<u64> {
        let Some(place) = self.place(channel, names)? else { return Ok(0) };
        let (after, upto) = self.seqs_of(&place, span, above)?;
        if upto <= after {
            return Ok(0);
        }
        let mut removed = self.removed(&place)?;
        let gone = removed.count(after, upto)?;
        let due = self.due_between(&place, &mut removed, (after, upto), now)?;
        Ok(upto.above(after).saturating_sub(gone.deleted + gone.expired + due))
    }

    /// The seqs of a span above the floor and a bound: exclusive, inclusive.
    pub fn seqs_of(&self, place: &Place, span: Span, above: Seq) -> Result<(Seq, Seq)> {
        if span.is_empty() {
            return Ok((above, above));
        }
        let upto = match self.last_in_tails(place.number)? {
            Some(last) if last.id <= span.upto => last.seq,
            _ => self.seq_at(place, span.upto)?,
        };
        Ok((self.seq_at(place, span.after)?.max(above).max(place.floor.seq), upto))
    }

    /// See [`model::Store::floor_for`].
    pub fn floor_for(&self, channel: &Channel, keep: u64, upto: Id, names: &NameCache) -> Result<Position> {
        let Some(place) = self.place(channel, names)? else { return Ok(Position::NONE) };
        let last = self.last(channel, place.number)?.seq;
        let mut removed = self.removed(&place)?;
        let there = |removed: &mut crate::removed::Removed<'_>, after: Seq| -> Result<u64> {
            let gone = removed.count(after, last)?;
            Ok(last.above(after).saturating_sub(gone.deleted + gone.expired))
        };
        // The greatest seq with at least `keep` messages above it.
        let (mut low, mut high) = (place.floor.seq.0, last.0 + 1);
        if there(&mut removed, Seq(low))? < keep {
            return Ok(Position::NONE);
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match there(&mut removed, Seq(middle))? >= keep {
                true => low = middle,
                false => high = middle,
            }
        }
        let bound = self.seq_at(&place, upto)?;
        let seq = removed.last_there(Seq(low).min(bound), place.floor.seq)?;
        if seq <= place.floor.seq {
            return Ok(Position::NONE);
        }
        let id = self.id_with(&place, seq)?;
        Ok(id.map_or(Position::NONE, |id| Position { id, seq }))
    }
}
