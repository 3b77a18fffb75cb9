//! Counts: two seeks and a subtraction of seqs, less what is due and not shown any more.

use crate::{
    channels::{NameCache, Named},
    device::Space,
    keys,
    rows::ExpiringRow,
    view::View,
};
use model::{Channel, Effort, Id, Result, Seq, Span};

impl View {
    /// See [`model::Store::count`].
    pub fn count(&self, channel: &Channel, span: Span, above: Seq, now: Id, names: &NameCache) -> Result<u64> {
        let Named::Number(number) = self.number_of(channel, names, Effort::Disk)? else { return Ok(0) };
        if span.is_empty() {
            return Ok(0);
        }
        let upto = match self.last_in_tails(number)? {
            Some(last) if last.id <= span.upto => last.seq,
            _ => self.seq_at(number, span.upto)?,
        };
        let after = self.seq_at(number, span.after)?.max(above);
        if upto <= after {
            return Ok(0);
        }
        Ok(upto.0 - after.0 - self.expired(number, after, upto, now)?)
    }

    /// How many messages with seqs in (`after`, `upto`] are due at `now`.
    fn expired(&self, number: u64, after: Seq, upto: Seq, now: Id) -> Result<u64> {
        let mut expired = 0;
        for part in self.parts() {
            let due = part.expiring(number)?.into_iter().filter(|published| {
                published.seq > after && published.seq <= upto && published.expires_at.is_some_and(|due| due <= now)
            });
            expired += due.count() as u64;
        }
        let key = keys::expiring_row(number);
        let Some(row) = self.get(Space::Channels, &key)? else { return Ok(expired) };
        let row = ExpiringRow::decode(&key, &row)?;
        let (after, upto) = (after.max(Seq(row.first.0.saturating_sub(1))), upto.min(row.last));
        if after < upto {
            expired += self.expired_in_blocks(number, after, upto, now)?;
        }
        Ok(expired)
    }

    /// Looks at the heads of the blocks between two seqs; no content is unpacked.
    fn expired_in_blocks(&self, number: u64, after: Seq, upto: Seq, now: Id) -> Result<u64> {
        let Some(first) = self.block_with(number, after.next())? else { return Ok(0) };
        let range = keys::blocks_between(number, first.key.first.previous(), Id::MAX);
        let mut expired = 0;
        for row in self.rows(keys::blocks_of(number), range, false) {
            let Some(block) = self.visible(row?)? else { continue };
            if block.seq(0) > upto {
                break;
            }
            let due = block.expiries.iter().filter(|(index, due)| {
                let seq = block.seq(*index);
                seq > after && seq <= upto && *due <= now
            });
            expired += due.count() as u64;
        }
        Ok(expired)
    }
}
