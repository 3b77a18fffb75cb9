//! Walks the matches of a query and keeps the candidates next to the end that was asked for.

use crate::{
    document::{CHANNEL, Fields, ID, name_in},
    query::{parse, query},
};
use model::{Candidate, ChannelName, Error, ErrorKind, Id, Order, Place, Result, Sought};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet},
};
use tantivy::{
    DocSet, Searcher, SegmentReader, TERMINATED,
    columnar::BytesColumn,
    query::{EnableScoring, Query, Weight},
};

/// The candidates, those next to the asked end first, and whether there are more.
pub(crate) fn find(
    searcher: &Searcher,
    fields: &Fields,
    sought: &Sought<'_>,
    most_passed: u64,
) -> Result<(Vec<Candidate>, bool)> {
    let query = query(fields, &parse(sought.words)?, sought);
    let weight = query.weight(EnableScoring::disabled_from_searcher(searcher)).map_err(Error::internal)?;
    let mut nearest = Nearest { order: sought.order, limit: sought.limit, kept: BinaryHeap::new(), more: false };
    let mut channels = Channels::new(sought.place);
    let mut left = most_passed;
    for segment in searcher.segment_readers() {
        walk(segment, &*weight, sought, &mut channels, &mut nearest, &mut left)?;
    }
    let mut kept = nearest.kept.into_vec();
    kept.sort_unstable_by_key(|Reverse((key, _))| Reverse(*key));
    // A message is twice in the index only while it is being replaced.
    kept.dedup_by_key(|Reverse((key, _))| *key);
    let candidate = |Reverse((key, channel)): Reverse<(u64, usize)>| Candidate {
        channel: channels.names[channel].clone(),
        id: id_of(key, sought.order),
    };
    Ok((kept.into_iter().map(candidate).collect(), nearest.more))
}

fn walk(
    segment: &SegmentReader,
    weight: &dyn Weight,
    sought: &Sought<'_>,
    channels: &mut Channels<'_>,
    nearest: &mut Nearest,
    left: &mut u64,
) -> Result<()> {
    let columns = segment.fast_fields();
    let ids = columns.u64(ID).map_err(Error::internal)?.first_or_default_col(0);
    let Some(names) = columns.bytes(CHANNEL).map_err(Error::internal)? else { return Ok(()) };
    let mut known = HashMap::new();
    let mut matches = weight.scorer(segment, 1.0).map_err(Error::internal)?;
    let mut document = matches.doc();
    while document != TERMINATED {
        *left = left.checked_sub(1).ok_or_else(too_many)?;
        let id = Id::from_raw(ids.get_val(document));
        if segment.alive_bitset().is_none_or(|alive| alive.is_alive(document))
            && sought.span.contains(id)
            && let Some(ordinal) = names.term_ords(document).next()
        {
            let channel = match known.get(&ordinal) {
                Some(channel) => *channel,
                None => *known.entry(ordinal).or_insert(channels.of(&names, ordinal)?),
            };
            if let Some(channel) = channel {
                nearest.offer(id, channel);
            }
        }
        document = matches.advance();
    }
    Ok(())
}

/// The channels that may be shown, by what was found out about them.
struct Channels<'a> {
    place: Place<'a>,
    wanted: HashSet<&'a ChannelName>,
    names: Vec<ChannelName>,
}

impl<'a> Channels<'a> {
    fn new(place: Place<'a>) -> Channels<'a> {
        let wanted = match place {
            Place::Channels(names) => names.iter().collect(),
            Place::Admitted(_) => HashSet::new(),
        };
        Channels { place, wanted, names: Vec::new() }
    }

    /// The place in `names` of a segment's channel, if it may be shown.
    fn of(&mut self, column: &BytesColumn, ordinal: u64) -> Result<Option<usize>> {
        let mut bytes = Vec::new();
        column.ord_to_bytes(ordinal, &mut bytes).map_err(Error::internal)?;
        let Some(name) = name_in(&bytes) else { return Ok(None) };
        let shown = match self.place {
            Place::Channels(_) => self.wanted.contains(&name),
            Place::Admitted(admits) => admits(&name),
        };
        if !shown {
            return Ok(None);
        }
        self.names.push(name);
        Ok(Some(self.names.len() - 1))
    }
}

/// The candidates nearest to an end: those with the greatest keys.
struct Nearest {
    order: Order,
    limit: usize,
    kept: BinaryHeap<Reverse<(u64, usize)>>,
    more: bool,
}

impl Nearest {
    fn offer(&mut self, id: Id, channel: usize) {
        let key = id_of(id.raw(), self.order).raw();
        if self.kept.len() < self.limit {
            self.kept.push(Reverse((key, channel)));
            return;
        }
        self.more = true;
        if self.kept.peek().is_some_and(|Reverse((least, _))| *least < key) {
            self.kept.pop();
            self.kept.push(Reverse((key, channel)));
        }
    }
}

/// From ids to keys and back: keys grow towards the end that is asked for.
fn id_of(key: u64, order: Order) -> Id {
    match order {
        Order::Descending => Id::from_raw(key),
        Order::Ascending => Id::from_raw(!key),
    }
}

fn too_many() -> Error {
    let text = "q: far too many messages have these words; name a channel, a time, or more words";
    Error::new(ErrorKind::TooLarge, text)
}
