//! Records: small named values, newest version only. What changed lately lies in the tails, over the rows of the table.

use crate::{device::Space, keys, rows, settings::LISTING_MAX, tail::RecordFound, view::View};
use bytes::Bytes;
use model::{AppId, Record, RecordKey, RecordKind, Result};

impl View {
    /// See [`model::Store::record`].
    pub fn record(&self, key: &RecordKey) -> Result<Option<Record>> {
        let row_key = keys::record_row(&key.app, key.kind, &key.name);
        for part in self.parts().rev() {
            if let Some(found) = part.record(&row_key)? {
                return Ok(found.value.map(|value| Record { key: key.clone(), version: found.version, value }));
            }
        }
        let Some(value) = self.get(Space::Records, &row_key)? else { return Ok(None) };
        let (version, value) = rows::decode_record(&row_key, &value)?;
        Ok(Some(Record { key: key.clone(), version, value }))
    }

    /// See [`model::Store::records`].
    pub fn records(
        &self,
        app: &AppId,
        kind: RecordKind,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<Record>> {
        let range = keys::record_rows(app, kind, prefix, after);
        let limit = limit.min(LISTING_MAX) as usize;
        let mut stored = self.rows(Space::Records, range.clone(), false).peekable();
        let mut start = range.start;
        let mut records = Vec::new();
        while records.len() < limit {
            let changed = self.next_changed(&start, &range.end)?;
            let stored_first = match (&changed, stored.peek()) {
                (None, None) => break,
                (Some((changed, _)), Some(Ok((stored, _)))) => stored < changed,
                (changed, _) => changed.is_none(),
            };
            if stored_first {
                let Some(row) = stored.next() else { break };
                let (key, value) = row?;
                let (version, value) = rows::decode_record(&key, &value)?;
                start = after_key(&key);
                records.push(Record { key: keys::parse_record(&key)?, version, value });
            } else if let Some((key, found)) = changed {
                stored.next_if(|row| row.as_ref().is_ok_and(|(stored, _)| *stored == key));
                start = after_key(&key);
                if let Some(value) = found.value {
                    records.push(Record { key: keys::parse_record(&key)?, version: found.version, value });
                }
            }
        }
        Ok(records)
    }

    /// The first record with a key in `start..end` that a tail has, as the newest tail that has it.
    fn next_changed(&self, start: &[u8], end: &[u8]) -> Result<Option<(Bytes, RecordFound)>> {
        let mut first: Option<(Bytes, RecordFound)> = None;
        for part in self.parts().rev() {
            if let Some((key, found)) = part.next_record(start, end)?
                && first.as_ref().is_none_or(|(least, _)| key < *least)
            {
                first = Some((key, found));
            }
        }
        Ok(first)
    }
}

fn after_key(key: &[u8]) -> Bytes {
    [key, &[0]].concat().into()
}
