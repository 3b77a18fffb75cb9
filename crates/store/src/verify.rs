//! Reads everything and says what is wrong. Nothing here repairs, and nothing is taken on trust: each row is checked
//! against its checksum, its key, its neighbours, and the rows that speak of the same thing.

use crate::{
    block::Block,
    content::Content,
    device::{BLOCK_SPACES, Space},
    facts::Facts,
    keys::{self, BlockKey},
    rows::{self, ChannelRow},
    view::View,
};
use bytes::Bytes;
use model::{Id, Position, Result, Seq, ShardId};
use std::{collections::HashMap, fmt, ops::Range};

/// Something that is not as it should be, for a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Where: a space and what lies there.
    pub place: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// How far a verification has come.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Progress {
    /// Rows read.
    pub rows: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Messages found.
    pub messages: u64,
}

const PROGRESS_EVERY: u64 = 1024;
/// More findings than this say nothing new.
const FINDINGS_MAX: usize = 1000;

pub(crate) fn verify(view: &View, shard: ShardId, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Finding>> {
    let mut verifier = Verifier { view, shard, progress, done: Progress::default(), findings: Vec::new() };
    let mut channels = verifier.channels()?;
    for part in 0..BLOCK_SPACES {
        verifier.blocks(part, &mut channels)?;
    }
    verifier.heads(&channels)?;
    verifier.altered(&channels)?;
    verifier.lists()?;
    verifier.feed()?;
    verifier.records()?;
    (verifier.progress)(verifier.done);
    Ok(verifier.findings)
}

pub(crate) struct Verifier<'a> {
    pub view: &'a View,
    shard: ShardId,
    progress: &'a mut dyn FnMut(Progress),
    done: Progress,
    findings: Vec<Finding>,
}

/// What is known of a channel by its number.
#[derive(Clone, Copy, Default)]
pub(crate) struct Known {
    /// What its row says.
    row: Option<Position>,
    /// Whether the row was written by a flush that is not finished.
    is_ahead: bool,
    /// The newest message that was found in its blocks.
    last: Position,
    pub facts: Facts,
    floor: Position,
    has_blocks: bool,
}

pub(crate) type Channels = HashMap<u64, Known>;

impl Verifier<'_> {
    pub fn find(&mut self, place: impl fmt::Display, what: impl fmt::Display) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { place: place.to_string(), what: what.to_string() });
        }
    }

    /// Visits the rows of a range; the visitor gets the verifier back to tell what it found.
    pub fn each_row(
        &mut self,
        space: Space,
        range: Range<Bytes>,
        mut visit: impl FnMut(&mut Self, &Bytes, &Bytes),
    ) -> Result<()> {
        let view = self.view;
        for row in view.rows(space, range, false) {
            let (key, value) = row?;
            self.done.rows += 1;
            self.done.bytes += value.len() as u64;
            if self.done.rows.is_multiple_of(PROGRESS_EVERY) {
                (self.progress)(self.done);
            }
            visit(self, &key, &value);
        }
        Ok(())
    }

    fn channels(&mut self) -> Result<Channels> {
        let mut channels = Channels::new();
        self.each_row(Space::Channels, keys::all_channel_rows(), |this, key, value| {
            let name = match keys::name_of_channel_row(key).and_then(keys::parse_channel) {
                Ok(channel) => format!("channels, {} of {}", channel.name, channel.app),
                Err(malformed) => return this.find(format!("channels, {key:?}"), malformed),
            };
            match ChannelRow::decode(key, value) {
                Err(malformed) => this.find(name, malformed),
                Ok(row) => {
                    // A row by a flush that was cut off is ahead of the blocks; the tails know the rest.
                    let is_ahead = row.upto > this.view.checkpoint;
                    let known = Known { row: Some(row.last), is_ahead, ..Known::default() };
                    if channels.insert(row.number, known).is_some() {
                        this.find(name, format!("its number {} belongs to another channel, too", row.number));
                    }
                }
            }
        })?;
        for (number, known) in &mut channels {
            let key = keys::facts_row(*number);
            let Some(value) = self.view.get(Space::Channels, &key)? else { continue };
            match Facts::decode(&key, &value) {
                Ok(facts) => known.facts = facts,
                Err(malformed) => self.find(format!("channels, facts of channel {number}"), malformed),
            }
        }
        for (number, known) in &mut channels {
            known.floor = self.view.place_of(*number, self.view.known(*number)?).floor;
        }
        Ok(channels)
    }

    fn blocks(&mut self, part: u8, channels: &mut Channels) -> Result<()> {
        let all = Bytes::new()..Bytes::from_static(&[u8::MAX; BlockKey::BYTES + 1]);
        self.each_row(Space::Blocks(part), all, |this, key, value| {
            let key = match BlockKey::parse(key) {
                Ok(key) => key,
                Err(malformed) => return this.find(format!("blocks {part}, {key:?}"), malformed),
            };
            if key.upto > this.view.checkpoint {
                return;
            }
            let place = format!("block {} of channel {}", key.first, key.channel);
            if key.space() != Space::Blocks(part) {
                this.find(&place, format!("it lies in part {part}"));
            }
            match Block::parse(&key.encode(), value) {
                Ok(block) => this.block(&place, &block, channels),
                Err(malformed) => this.find(place, malformed),
            }
        })
    }

    fn block(&mut self, place: &str, block: &Block, channels: &mut Channels) {
        let known = channels.entry(block.key.channel).or_default();
        let before = known.last;
        let is_first = !std::mem::replace(&mut known.has_blocks, true);
        let floor = known.floor;
        known.last = Position { id: block.last().0, seq: block.last().1 };
        self.done.messages += block.len() as u64;
        if block.ids[0] <= before.id {
            self.find(place, format!("its first id does not follow {}", before.id));
        }
        // Below a floor a sweep may have taken any blocks.
        let is_swept = block.seq(0) <= floor.seq.next() && (is_first || block.seq(0) > before.seq);
        let follows = is_swept || (!is_first && block.seq(0) == before.seq.next());
        if !follows || block.last().1.above(block.seq(0)) + 1 != block.len() as u64 {
            self.find(place, format!("its seqs do not go on after {}", before.seq));
        }
        match block.contents() {
            Err(malformed) => self.find(place, malformed),
            Ok(contents) => {
                for index in 0..block.len() {
                    if block.content(index).is_empty() {
                        self.blank(place, block.key.channel, block.seq(index), floor);
                    } else if let Err(malformed) = Content::parse(&contents[block.content(index)]) {
                        self.find(format!("{place}, seq {}", block.seq(index)), malformed);
                    }
                }
            }
        }
    }

    /// Rows of channels, blocks and tails agree on where each channel ends.
    fn heads(&mut self, channels: &Channels) -> Result<()> {
        for (number, known) in channels {
            let place = format!("channel {number}");
            match known.row {
                None => self.find(&place, "it has blocks and no row"),
                Some(row)
                    if row != known.last
                        && !(known.is_ahead && row.seq > known.last.seq)
                        && row.seq > known.floor.seq =>
                {
                    self.find(&place, format!("its row ends at {row:?}, its blocks at {:?}", known.last));
                }
                Some(_) => {}
            }
        }
        let view = self.view;
        let mut lasts: HashMap<u64, (Id, Seq)> = HashMap::new();
        for part in view.parts() {
            for number in part.numbers() {
                let Some(ends) = part.ends(number)? else { continue };
                let known = channels.get(&number).copied().unwrap_or_default();
                let stored = match known.last.seq < known.floor.seq && ends.first.1 <= known.floor.seq.next() {
                    true => (Id::MIN, ends.first.1.previous()),
                    false => (known.last.id, known.last.seq),
                };
                let (id, seq) = lasts.insert(number, ends.last).unwrap_or(stored);
                if ends.first.0 <= id || ends.first.1 != seq.next() {
                    self.find(format!("channel {number}"), format!("its tail does not go on after seq {seq}"));
                }
            }
        }
        Ok(())
    }

    fn feed(&mut self) -> Result<()> {
        let mut last = self.view.feed_starts_after;
        for day in self.view.feed_days.clone().iter() {
            let (_, rows) = keys::feed_rows(self.shard, Id::MIN);
            self.each_row(Space::Feed(*day), rows, |this, key, value| {
                let place = format!("feed of day {day}, {key:?}");
                let items = match rows::decode_feed(key, value) {
                    Ok(items) => items,
                    Err(malformed) => return this.find(place, malformed),
                };
                let Some(first) = items.first() else { return this.find(place, "an empty row") };
                if keys::feed_row(this.shard, first.id) != key || items.iter().any(|i| keys::day_of(i.id) != *day) {
                    this.find(&place, "it does not belong under its key");
                }
                let grow = items.windows(2).all(|pair| pair[0].id < pair[1].id);
                if first.id <= last || !grow {
                    this.find(&place, format!("its ids do not grow from {last}"));
                }
                last = items.last().map_or(last, |item| item.id);
            })?;
        }
        Ok(())
    }

    fn records(&mut self) -> Result<()> {
        let all = Bytes::new()..Bytes::from_static(&[u8::MAX]);
        self.each_row(Space::Records, all, |this, key, value| {
            let found = keys::parse_record(key).and_then(|_| rows::decode_record(key, value));
            if let Err(malformed) = found {
                this.find(format!("records, {key:?}"), malformed);
            }
        })
    }
}
