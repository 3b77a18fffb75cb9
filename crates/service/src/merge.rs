//! Merges the pasts of several channels by id: a heap of lazy readers, each of which holds the few rows that it read
//! ahead and asks the store for more when they are used up. Never a page per channel.

use crate::{
    past::{Budget, as_item, read},
    subscription::Delivery,
};
use model::{Channel, Id, Message, Result, Seq, Span, Store};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
};

/// Rows that all channels together read ahead; at least one each.
const ROWS_AHEAD: usize = 256;

pub(crate) struct Merge {
    lanes: Vec<Lane>,
    /// The next id of each lane that has rows.
    heap: BinaryHeap<Reverse<(Id, usize)>>,
    /// Lanes that have not been read yet.
    unread: Vec<usize>,
    rows_ahead: u32,
    upto: Id,
}

struct Lane {
    channel: Channel,
    topic: usize,
    above: Seq,
    rows: VecDeque<Arc<Message>>,
    /// What was not read yet.
    rest: Span,
}

impl Merge {
    /// Merges channels, each with its topic, its greatest hidden seq and the position up to which it is not kept.
    pub fn new(channels: Vec<(Channel, usize, Seq, Id)>, span: Span) -> Merge {
        let rows_ahead = (ROWS_AHEAD / channels.len().max(1)).max(1) as u32;
        let lane = |(channel, topic, above, kept_after): (Channel, usize, Seq, Id)| {
            let rest = Span { after: span.after.max(kept_after), ..span };
            Lane { channel, topic, above, rows: VecDeque::new(), rest }
        };
        let lanes: Vec<Lane> = channels.into_iter().map(lane).collect();
        let unread = (0..lanes.len()).collect();
        Merge { lanes, heap: BinaryHeap::new(), unread, rows_ahead, upto: span.upto }
    }

    pub fn upto(&self) -> Id {
        self.upto
    }

    /// The next changes by growing id, as the budget allows. `position` is where the caller stands: what is at or below
    /// it was given already.
    pub fn read(&mut self, store: &dyn Store, position: Id, now: Id, budget: &mut Budget<'_>) -> Result<Delivery> {
        let mut delivery = Delivery { items: Vec::new(), cursor: position };
        while let Some(at) = self.unread.last().copied() {
            self.fill(store, at, now)?;
            self.unread.pop();
            if budget.is_over() {
                return Ok(delivery);
            }
        }
        while let Some(Reverse((id, at))) = self.heap.peek().copied() {
            if budget.is_spent() {
                return Ok(delivery);
            }
            // A row is taken only when the lane's next one is known, so that an error loses nothing.
            if self.lanes[at].rows.len() == 1 && !self.lanes[at].rest.is_empty() {
                let give_out = !delivery.items.is_empty();
                if give_out && budget.is_over() {
                    return Ok(delivery);
                }
                match self.read_ahead(store, at, now) {
                    Ok(()) => {}
                    // It comes again with the next piece.
                    Err(_) if give_out => return Ok(delivery),
                    Err(error) => return Err(error),
                }
            }
            self.heap.pop();
            let lane = &mut self.lanes[at];
            let Some(message) = lane.rows.pop_front() else { continue };
            if let Some(next) = lane.rows.front() {
                self.heap.push(Reverse((next.id, at)));
            }
            let item = as_item(&lane.channel, lane.topic, message);
            budget.spend(item.change.cost());
            delivery.items.push(item);
            delivery.cursor = id;
        }
        delivery.cursor = self.upto;
        Ok(delivery)
    }

    fn fill(&mut self, store: &dyn Store, at: usize, now: Id) -> Result<()> {
        self.read_ahead(store, at, now)?;
        if let Some(first) = self.lanes[at].rows.front() {
            self.heap.push(Reverse((first.id, at)));
        }
        Ok(())
    }

    /// Reads until the lane has a row more or its rest is empty.
    fn read_ahead(&mut self, store: &dyn Store, at: usize, now: Id) -> Result<()> {
        let lane = &mut self.lanes[at];
        let before = lane.rows.len();
        while lane.rows.len() == before && !lane.rest.is_empty() {
            let page = read(store, &lane.channel, lane.rest, self.rows_ahead, lane.above, now)?;
            lane.rest.after = if page.more { page.covered.upto } else { lane.rest.upto };
            lane.rows.extend(page.messages);
        }
        Ok(())
    }
}
