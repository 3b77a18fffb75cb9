//! A channel's part of a flush: which of its blocks are read back, and where the new ones end. Borders depend on seqs
//! alone (`store.md` §4), so that a message is written at most three times and a flush that is done again cuts alike.

use crate::{
    block::{self, Block, Row},
    flush::Altering,
    keys::{self, BlockKey},
    settings::{BLOCK_MESSAGES, BLOCK_RAW_BYTES, LONE_MESSAGE_BYTES, SMALL_MESSAGES},
    tail::{Found, Part},
    view::View,
    wire::Malformed,
};
use bytes::Bytes;
use model::{Id, Result, Seq};

/// Messages of a channel that a flush takes out of the tail at a time.
const CHUNK: usize = 1024;

/// The first seq that a flush of the seqs `last + 1 ..= upto` writes anew.
pub(crate) fn rewritten_from(last: i64, upto: i64) -> i64 {
    let border = |of: i64| (last.div_euclid(of) != upto.div_euclid(of)).then(|| last.div_euclid(of) * of + 1);
    border(BLOCK_MESSAGES).or_else(|| border(SMALL_MESSAGES)).unwrap_or(last + 1)
}

/// The last seq of the block that a seq belongs to when a flush goes up to `upto`, unless the block ends before by its
/// bytes.
pub(crate) fn block_end(seq: i64, upto: i64) -> i64 {
    let group_end = group_end(seq);
    if group_end <= upto {
        return group_end;
    }
    let last_small = upto.div_euclid(SMALL_MESSAGES) * SMALL_MESSAGES;
    if seq <= last_small { last_small } else { upto }
}

/// The last seq of the group of 128 that a seq belongs to.
fn group_end(seq: i64) -> i64 {
    (seq - 1).div_euclid(BLOCK_MESSAGES) * BLOCK_MESSAGES + BLOCK_MESSAGES
}

/// What a flush makes of a channel.
pub(crate) trait Output {
    /// A block to write.
    fn block(&mut self, key: BlockKey, value: Bytes) -> Result<()>;
    /// A block that the written ones replace.
    fn garbage(&mut self, key: BlockKey);
}

/// What a flush found out about a channel.
pub(crate) struct Flushed {
    /// What names the channel.
    pub name: Bytes,
    pub last: (Id, Seq),
}

/// Whether a flush reads back blocks of a channel.
pub(crate) fn reads_back(frozen: Part<'_>, number: u64) -> Result<bool> {
    let Some(ends) = frozen.ends(number)? else { return Ok(false) };
    let before = ends.first.1.0 - 1;
    Ok(rewritten_from(before, ends.last.1.0) <= before)
}

/// Writes a channel's messages of the frozen tail, merged with the blocks that the borders call back.
pub(crate) fn flush_channel(
    view: &View,
    frozen: Part<'_>,
    number: u64,
    upto: u64,
    (mut fates, keeps_gone): (Option<&mut Altering<'_>>, bool),
    output: &mut dyn Output,
) -> Result<Option<Flushed>> {
    let Some(ends) = frozen.ends(number)? else { return Ok(None) };
    let (before, last) = (ends.first.1.0 - 1, ends.last.1.0);
    let mut cutter = Cutter { number, upto, last, rows: Vec::new(), bytes: 0, output };
    let from = rewritten_from(before, last);
    if from <= before {
        for (key, rows) in read_back(view, number, from, ends.first.0)? {
            cutter.output.garbage(key);
            for row in rows {
                // Its content says which lists it is to be taken out of; a sweep leaves it out after that.
                cutter.push(if keeps_gone { row } else { without_gone(row, &mut fates)? })?;
            }
        }
    }
    let mut after = Id::MIN;
    let mut name = Bytes::new();
    loop {
        let chunk = frozen.ascending(number, after, CHUNK)?;
        let Some(newest) = chunk.last() else { break };
        after = newest.published.id;
        if name.is_empty() {
            name = newest.body.slice(newest.published.channel.clone());
        }
        for found in chunk {
            cutter.push(without_gone(row(found), &mut fates)?)?;
        }
    }
    cutter.end_block()?;
    Ok(Some(Flushed { name, last: ends.last }))
}

/// A message that is gone as of the flush leaves its slot only. That depends on the flushed batches alone, so a flush that
/// is done again cuts alike.
fn without_gone(mut row: Row, fates: &mut Option<&mut Altering<'_>>) -> Result<Row> {
    if let Some(fates) = fates
        && fates.is_gone(row.seq)?
    {
        row.content = Bytes::new();
    }
    Ok(row)
}

fn row(found: Found) -> Row {
    let published = found.published;
    let content = found.body.slice(published.content);
    Row { id: published.id, seq: published.seq, expires_at: published.expires_at, content }
}

/// The blocks of a channel from seq `from` on that begin below an id, the oldest first. None if one of them is damaged: it
/// stays as it is for `verify` to name, and what is new goes beside it.
fn read_back(view: &View, number: u64, from: i64, below: Id) -> Result<Vec<(BlockKey, Vec<Row>)>> {
    let mut blocks = Vec::new();
    for row in view.rows(keys::blocks_of(number), keys::blocks_between(number, Id::MIN, below), true) {
        let (key, value) = row?;
        if BlockKey::parse(&key)?.upto > view.checkpoint {
            continue;
        }
        match Block::parse(&key, &value).and_then(|block| Ok((block.key, block.last().1, block.rows()?))) {
            Ok((_, last, _)) if last.0 < from => break,
            Ok((key, _, rows)) => {
                let is_first = rows.first().is_some_and(|row| row.seq.0 <= from);
                blocks.push((key, rows));
                if is_first {
                    break;
                }
            }
            Err(Malformed(what)) => {
                tracing::error!(channel = number, what, "a block is damaged; it is left as it is");
                return Ok(Vec::new());
            }
        }
    }
    blocks.reverse();
    Ok(blocks)
}

/// Gathers rows and cuts them into blocks.
struct Cutter<'a> {
    number: u64,
    /// The last batch that is merged in.
    upto: u64,
    /// The last seq of the flush.
    last: i64,
    rows: Vec<Row>,
    bytes: usize,
    output: &'a mut dyn Output,
}

impl Cutter<'_> {
    fn push(&mut self, row: Row) -> Result<()> {
        let bytes = row.content.len();
        if let Some(previous) = self.rows.last() {
            let same_end = block_end(previous.seq.0, self.last) == block_end(row.seq.0, self.last);
            let is_lone = bytes > LONE_MESSAGE_BYTES || previous.content.len() > LONE_MESSAGE_BYTES;
            if !same_end || is_lone || self.bytes + bytes > BLOCK_RAW_BYTES {
                self.end_block()?;
            }
        }
        self.bytes += bytes;
        self.rows.push(row);
        Ok(())
    }

    fn end_block(&mut self) -> Result<()> {
        let Some(last) = self.rows.last() else { return Ok(()) };
        // A block inside a complete group of 128 is written for the last time.
        let cold = group_end(last.seq.0) <= self.last;
        let (key, value) = block::encode(self.number, self.upto, &self.rows, cold);
        self.rows.clear();
        self.bytes = 0;
        self.output.block(key, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn borders_are_those_of_the_rule() {
        assert_eq!(rewritten_from(0, 5), 1, "nothing was there");
        assert_eq!(rewritten_from(3, 5), 4, "no border is crossed");
        assert_eq!(rewritten_from(3, 8), 1, "a multiple of 8 is crossed");
        assert_eq!(rewritten_from(8, 9), 9, "it was crossed before");
        assert_eq!(rewritten_from(131, 140), 129, "back to the previous multiple of 8");
        assert_eq!(rewritten_from(250, 256), 129, "back to the previous multiple of 128");
        assert_eq!(block_end(1, 300), 128);
        assert_eq!(block_end(257, 300), 296);
        assert_eq!(block_end(297, 300), 300);
    }

    #[test]
    fn borders_go_on_below_the_start() {
        assert_eq!(rewritten_from(-200, -120), -255, "a multiple of 128 is crossed");
        assert_eq!(rewritten_from(-5, -3), -4, "no border is crossed");
        assert_eq!(rewritten_from(-100, 0), -127);
        assert_eq!((block_end(-200, 0), block_end(-127, 0), block_end(0, 0)), (-128, 0, 0));
        assert_eq!((block_end(-20, -10), block_end(-15, -10)), (-16, -10));
    }

    proptest! {
        /// Simulates flushes of a channel, from any seq on: each message is written at most three times, no block spans a multiple of 128,
        /// at most 22 blocks lie in a group, and what is read back begins where a block begins.
        #[test]
        fn a_message_is_written_at_most_three_times(
            start in -5000i64..5000,
            steps in prop::collection::vec(1i64..200, 1..60),
        ) {
            let mut last = start;
            let mut written = BTreeMap::new();
            let mut blocks: BTreeMap<i64, i64> = BTreeMap::new();
            for step in steps {
                let upto = last + step;
                let from = rewritten_from(last, upto);
                if from <= last {
                    prop_assert!(from <= start || blocks.contains_key(&from), "{from} is inside a block");
                    blocks.split_off(&from);
                }
                let mut seq = from.max(start + 1);
                while seq <= upto {
                    let end = block_end(seq, upto);
                    prop_assert_eq!((seq - 1).div_euclid(128), (end - 1).div_euclid(128));
                    blocks.insert(seq, end);
                    (seq..=end).for_each(|seq| *written.entry(seq).or_insert(0) += 1);
                    seq = end + 1;
                }
                last = upto;
                let mut in_group = BTreeMap::new();
                blocks.keys().for_each(|first| *in_group.entry((first - 1).div_euclid(128)).or_insert(0) += 1);
                prop_assert!(in_group.values().all(|count| *count <= 22));
            }
            prop_assert!(written.values().all(|times| *times <= 3));
            prop_assert_eq!(written.len() as i64, last - start);
        }
    }
}
