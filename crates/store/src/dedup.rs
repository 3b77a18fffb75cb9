//! What was published under which idempotency key: in the tail, then in a space for each UTC day, which is dropped whole.

use crate::{
    channels::{NameCache, Named},
    device::Space,
    keys, rows,
    view::View,
};
use model::{Channel, Effort, Id, Keyed, Result};

impl View {
    /// See [`model::Store::keyed`].
    pub fn keyed(&self, channel: &Channel, key_hash: u128, now: Id, names: &NameCache) -> Result<Option<Keyed>> {
        let Named::Number(number) = self.number_of(channel, names, Effort::Disk)? else { return Ok(None) };
        let today = keys::day_of(now);
        for day in [Some(today), today.checked_sub(1)].into_iter().flatten() {
            let found = self.keyed_on(day, number, key_hash)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn keyed_on(&self, day: u32, number: u64, key_hash: u128) -> Result<Option<Keyed>> {
        for part in self.parts().rev() {
            if let Some(published) = part.keyed(day, number, key_hash)?
                && let Some(key) = published.key
            {
                return Ok(Some(Keyed { id: published.id, seq: published.seq, payload_hash: key.payload_hash }));
            }
        }
        let key = keys::dedup_row(number, key_hash);
        let row = self.get(Space::Dedup(day), &key)?;
        Ok(row.map(|value| rows::decode_keyed(&key, &value)).transpose()?)
    }
}
