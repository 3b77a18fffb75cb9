//! What a flush writes of channels: their blocks, what happened to their messages, and their rows.

use super::{Altering, Flusher, Pieces};
use crate::{
    device::Space,
    facts::Facts,
    keys, lists,
    merge::{self, Flushed},
    rows::ChannelRow,
    settings::FACTS_CACHED,
    tail::Part,
    view::View,
};
use model::{Error, Position, Result};

impl Flusher {
    pub(super) fn write_channels(&mut self, view: &View, part: Part<'_>, pieces: &mut Pieces<'_>) -> Result<()> {
        self.facts.clear();
        let mut numbers = part.numbers();
        numbers.extend(part.altered_numbers());
        // In the order of their keys, so that a piece touches few spaces.
        numbers.sort_unstable_by_key(|number| (keys::blocks_of(*number), *number));
        numbers.dedup();
        for (at, number) in numbers.into_iter().enumerate() {
            if at % 1024 == 0 && self.is_stopping() {
                return Err(Error::unavailable("the store is closing"));
            }
            self.write_one(view, part, number, pieces)?;
            pieces.write_if_full()?;
        }
        Ok(())
    }

    fn write_one(&mut self, view: &View, part: Part<'_>, number: u64, pieces: &mut Pieces<'_>) -> Result<()> {
        let is_new = part.ends(number)?.is_some_and(|ends| ends.is_new);
        let is_altered = part.with_altered(number, |_| ()).is_some();
        let imported = part.imported_upto(number)?;
        let alters = is_altered || part.can_expire(number) || imported.is_some();
        // A channel that ever lost something drops it from what is rewritten; one that did not has nothing to be read.
        let mut altering = match alters || (merge::reads_back(part, number)? && view.has_facts(number)?) {
            true => Some(Altering::begin(view, part, number, (pieces.upto, imported))?),
            false => None,
        };
        let fates = (altering.as_mut(), lists::flush::keeps_removed(view, part, number)?);
        if let Some(flushed) = merge::flush_channel(view, part, number, pieces.upto, fates, pieces)? {
            write_channel(view, number, &flushed, imported.is_some(), pieces)?;
        }
        match altering.filter(|_| alters) {
            Some(altering) => self.facts.push((number, altering.write(pieces)?)),
            None if is_new && self.facts.len() < FACTS_CACHED => self.facts.push((number, Facts::default())),
            None => {}
        }
        Ok(())
    }
}

fn write_channel(
    view: &View,
    number: u64,
    flushed: &Flushed,
    is_imported: bool,
    pieces: &mut Pieces<'_>,
) -> Result<()> {
    let key = keys::channel_row_of(&flushed.name);
    let (id, seq) = flushed.last;
    let mut last = Position { id, seq };
    // What an import brings may lie below what is there.
    if is_imported
        && let Some(row) = view.channel_row(&key)?
        && row.last.id > id
    {
        last = row.last;
    }
    let row = ChannelRow { number, last, upto: pieces.upto };
    let value = row.encode(&key);
    pieces.put(Space::Channels, key, Some(value));
    Ok(())
}
