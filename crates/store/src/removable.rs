//! What a removal would take, resolved: exactly the messages that are there and not due, as ranges of seqs.

use crate::{
    block::Block,
    channels::NameCache,
    facts::Place,
    removed::{by_container, seq_in},
    view::View,
};
use model::{Channel, Error, ErrorKind, Id, Removal, Result, Seq, SeqRange, Span, Target, limits};
use roaring::RoaringBitmap;

impl View {
    /// See [`model::Store::removable`].
    pub fn removable(&self, channel: &Channel, target: &Target, now: Id, names: &NameCache) -> Result<Removal> {
        let Some(place) = self.place(channel, names)? else { return Ok(nothing()) };
        let ranges = match target {
            Target::Span(span) => self.there_in(&place, *span, now)?,
            Target::Ids(ids) => self.there_of(&place, ids, now)?,
        };
        if ranges.len() > limits::REMOVAL_RANGES {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("the removal needs {} ranges, the limit is {}", ranges.len(), limits::REMOVAL_RANGES),
            ));
        }
        self.removal_of(&place, ranges)
    }

    /// Ranges of seqs of a span that are there and not due.
    fn there_in(&self, place: &Place, span: Span, now: Id) -> Result<Vec<SeqRange>> {
        let (after, upto) = self.seqs_of(place, span, Seq::NONE)?;
        let mut ranges: Vec<SeqRange> = Vec::new();
        if after >= upto {
            return Ok(ranges);
        }
        let mut removed = self.removed(place)?;
        let due = self.due_seqs(place, after, upto, now)?;
        for (index, lows) in by_container(SeqRange { first: after.next(), last: upto }) {
            let mut there = RoaringBitmap::new();
            there.insert_range(lows);
            there -= removed.container(index)?.all();
            if let Some(due) = due.get(&index) {
                there -= due;
            }
            let mut runs = there.iter();
            while let Some(run) = runs.next_range() {
                let (first, end) = (seq_in(index, *run.start()), seq_in(index, *run.end()));
                match ranges.last_mut() {
                    Some(range) if range.last.next() == first => range.last = end,
                    _ => ranges.push(SeqRange { first, last: end }),
                }
            }
            if ranges.len() > limits::REMOVAL_RANGES {
                break;
            }
        }
        Ok(ranges)
    }

    fn there_of(&self, place: &Place, ids: &[Id], now: Id) -> Result<Vec<SeqRange>> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let mut removed = self.removed(place)?;
        let mut seqs = Vec::new();
        for id in ids {
            let Some(slot) = self.slot_at(place, id)? else { continue };
            let is_due = slot.expires_at.is_some_and(|due| due <= now);
            if slot.seq <= place.floor.seq || is_due || removed.has(slot.seq)? {
                continue;
            }
            seqs.push(slot.seq);
        }
        Ok(SeqRange::runs(seqs))
    }

    fn removal_of(&self, place: &Place, seqs: Vec<SeqRange>) -> Result<Removal> {
        let (Some(first), Some(last)) = (seqs.first(), seqs.last()) else { return Ok(nothing()) };
        let mut block: Option<Block> = None;
        let mut id_of = |seq: Seq| -> Result<Id> {
            if let Some(id) = block.as_ref().and_then(|block| block.id_with(seq)) {
                return Ok(id);
            }
            for part in self.parts().rev() {
                if let Some(id) = part.id_of(place.number, seq)? {
                    return Ok(id);
                }
            }
            block = self.block_with(place, seq)?;
            let found = block.as_ref().and_then(|block| block.id_with(seq));
            found.ok_or_else(|| Error::internal(format!("seq {seq} of channel {} is nowhere", place.number)))
        };
        let span = Span { after: id_of(first.first)?.previous(), upto: id_of(last.last)? };
        let count: u64 = seqs.iter().map(|range| range.count()).sum();
        let mut ids = Vec::new();
        if count <= limits::REMOVAL_IDS as u64 {
            for seq in seqs.iter().flat_map(|range| range.first.0..=range.last.0) {
                ids.push(id_of(Seq(seq))?);
            }
        }
        Ok(Removal { seqs, span, ids, by: None })
    }
}

fn nothing() -> Removal {
    Removal { seqs: Vec::new(), span: Span { after: Id::MIN, upto: Id::MIN }, ids: Vec::new(), by: None }
}
