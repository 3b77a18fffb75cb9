//! Channels by name: their numbers, their heads, their listing. A channel costs memory while it has something in the
//! tail; otherwise it is one row, found by one get.

use crate::{
    device::Space,
    keys,
    rows::ChannelRow,
    settings::{LISTING_MAX, NAMES_CACHED},
    view::View,
};
use bytes::Bytes;
use foldhash::fast::RandomState;
use model::{AppId, Channel, ChannelEntry, ChannelName, ChannelNumber, Effort, Head, Id, Position, Result, Seq};
use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    sync::{PoisonError, RwLock},
};

/// The numbers of channels that were asked for lately. A number never changes, so what is in here is never wrong.
#[derive(Default)]
pub(crate) struct NameCache {
    generations: RwLock<Generations>,
}

/// Names move to the young generation when they are used; a full one grows old, and the old one is forgotten.
#[derive(Default)]
struct Generations {
    young: HashMap<Channel, u64, RandomState>,
    old: HashMap<Channel, u64, RandomState>,
}

impl NameCache {
    fn get(&self, channel: &Channel) -> Option<u64> {
        let old = {
            let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(number) = generations.young.get(channel) {
                return Some(*number);
            }
            *generations.old.get(channel)?
        };
        self.put(channel, old);
        Some(old)
    }

    fn put(&self, channel: &Channel, number: u64) {
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        if generations.young.len() >= NAMES_CACHED {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(channel.clone(), number);
    }
}

/// What is known of a channel's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Named {
    /// The channel has this number.
    Number(u64),
    /// The channel has nothing stored.
    Nothing,
    /// The table would have to be asked.
    OnDisk,
}

impl View {
    /// The number of a channel.
    pub fn number_of(&self, channel: &Channel, names: &NameCache, effort: Effort) -> Result<Named> {
        if let Some(number) = names.get(channel) {
            return Ok(Named::Number(number));
        }
        let key = keys::channel_row(channel);
        let name = keys::name_of_channel_row(&key)?;
        for part in self.parts().rev() {
            if let Some(number) = part.number_of(name)? {
                names.put(channel, number);
                return Ok(Named::Number(number));
            }
        }
        if effort == Effort::Memory {
            return Ok(Named::OnDisk);
        }
        match self.channel_row(&key)? {
            Some(row) => {
                names.put(channel, row.number);
                Ok(Named::Number(row.number))
            }
            None => Ok(Named::Nothing),
        }
    }

    /// The newest position of a channel, if something of it is in the tails.
    pub fn last_in_tails(&self, number: u64) -> Result<Option<Position>> {
        for part in self.parts().rev() {
            if let Some(ends) = part.ends(number)? {
                return Ok(Some(Position { id: ends.last.0, seq: ends.last.1 }));
            }
        }
        Ok(None)
    }

    /// The oldest message of a channel that is in the tails.
    pub fn first_in_tails(&self, number: u64) -> Result<Option<(Id, Seq)>> {
        for part in self.parts() {
            if let Some(ends) = part.ends(number)? {
                return Ok(Some(ends.first));
            }
        }
        Ok(None)
    }

    /// The head of a channel with this number.
    pub fn head(&self, channel: &Channel, number: u64) -> Result<Head> {
        let floor = self.place_of(number, self.known(number)?).floor;
        Ok(Head { number: ChannelNumber(number), last: self.last(channel, number)?, floor })
    }

    /// The newest position that a channel with this number ever stored.
    pub fn last(&self, channel: &Channel, number: u64) -> Result<Position> {
        match self.last_in_tails(number)? {
            Some(last) => Ok(last),
            None => Ok(self.channel_row(&keys::channel_row(channel))?.map(|row| row.last).unwrap_or_default()),
        }
    }

    /// The head of a channel; the default one if nothing is stored.
    pub fn head_of(&self, channel: &Channel, names: &NameCache) -> Result<Head> {
        match self.number_of(channel, names, Effort::Disk)? {
            Named::Number(number) => self.head(channel, number),
            Named::Nothing | Named::OnDisk => Ok(Head::default()),
        }
    }

    /// The row of a channel, by its key.
    pub fn channel_row(&self, key: &[u8]) -> Result<Option<ChannelRow>> {
        let row = self.get(Space::Channels, key)?;
        Ok(row.map(|value| ChannelRow::decode(key, &value)).transpose()?)
    }

    /// See [`model::Store::channels`].
    pub fn channels(
        &self,
        app: &AppId,
        prefix: &str,
        after: Option<&ChannelName>,
        limit: u32,
    ) -> Result<Vec<ChannelEntry>> {
        self.channels_in(keys::named_channel_rows(app, prefix, after), limit)
    }

    /// See [`model::Store::all_channels`].
    pub fn all_channels(&self, app: &AppId, after: Option<&ChannelName>, limit: u32) -> Result<Vec<ChannelEntry>> {
        self.channels_in(keys::channel_rows_after(app, after), limit)
    }

    /// The first channels whose rows lie, or will lie, in a range of keys.
    fn channels_in(&self, range: Range<Bytes>, limit: u32) -> Result<Vec<ChannelEntry>> {
        let limit = limit.min(LISTING_MAX) as usize;
        let mut fresh: BTreeMap<Bytes, u64> = BTreeMap::new();
        for part in self.parts() {
            let new = part.new_channels()?.into_iter().map(|(name, number)| (keys::channel_row_of(&name), number));
            fresh.extend(new.filter(|(key, _)| range.contains(key)));
        }
        let mut fresh = fresh.into_iter().peekable();
        let mut stored = self.rows(Space::Channels, range, false).peekable();
        let mut entries = Vec::new();
        while entries.len() < limit {
            let stored_first = match (fresh.peek(), stored.peek()) {
                (None, None) => break,
                // A row that is there already, by a flush that was cut off, is the same channel.
                (Some((fresh, _)), Some(Ok((stored, _)))) => stored <= fresh,
                (fresh, _) => fresh.is_none(),
            };
            let (key, number, last) = if stored_first {
                let Some(row) = stored.next() else { break };
                let (key, value) = row?;
                let row = ChannelRow::decode(&key, &value)?;
                fresh.next_if(|(same, _)| *same == key);
                (key, row.number, row.last)
            } else {
                let Some((key, number)) = fresh.next() else { break };
                (key, number, Position::default())
            };
            let last = self.last_in_tails(number)?.unwrap_or(last);
            let channel = keys::parse_channel(keys::name_of_channel_row(&key)?)?;
            let floor = self.place_of(number, self.known(number)?).floor;
            entries.push(ChannelEntry { channel, head: Head { number: ChannelNumber(number), last, floor } });
        }
        Ok(entries)
    }
}
