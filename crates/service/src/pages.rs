//! Hot pages: the newest pages of active channels, in memory, ready to render, within one bound of bytes; and equal
//! reads in flight, which are one read. The key holds the bounds after access was applied, so nobody shares another's
//! rights. Every change of a channel starts a new generation: all its pages go, and a read that began before cannot
//! leave its answer behind. So one always reads one's own writes. A page is over when the first of its messages is due.

use crate::{History, Query, Retention, access::Visible, hash::Place, metrics::Metrics};
use foldhash::fast::FixedState;
use model::{Id, Result, TICKS_PER_SECOND};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::OnceCell;

const SHARDS: usize = 16;
/// Readers look at the clock a little before they look here: only more than this is a clock that was set back.
const SET_BACK: u64 = TICKS_PER_SECOND;

pub(crate) struct Pages {
    shards: Vec<Mutex<Shard>>,
    most_bytes: usize,
    metrics: Metrics,
}

/// What makes two reads of a channel equal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PageKey {
    pub query: Query,
    pub visible: Visible,
    /// What the channel keeps. What grows too old bounds the life of a page, not its key.
    pub retention: Retention,
}

#[derive(Default)]
struct Shard {
    channels: HashMap<Place, ChannelPages, FixedState>,
    /// Channels in the order in which they make room, by generation: one that is gone is passed over.
    queue: VecDeque<(Place, u64)>,
    bytes: usize,
    generations: u64,
}

struct ChannelPages {
    generation: u64,
    pages: Vec<(PageKey, Arc<Slot>)>,
    bytes: usize,
    /// Read since it was last considered for making room.
    used: bool,
}

type Slot = OnceCell<Result<Arc<History>>>;

/// A read that others may be waiting for. When it ends, given up or not, what is not to be kept goes.
struct Reading<'a> {
    pages: &'a Pages,
    place: Place,
    generation: u64,
    slot: Arc<Slot>,
    /// The bytes of the page, if it is to be kept.
    kept: Option<usize>,
}

impl Pages {
    pub fn new(most_bytes: usize, metrics: Metrics) -> Pages {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Pages { shards, most_bytes: most_bytes / SHARDS, metrics }
    }

    /// The page under this key: the one in memory, or the answer of the equal read in flight, or `read`'s, which is
    /// kept if `keep` says so.
    pub async fn get(
        &self,
        place: Place,
        key: PageKey,
        now: Id,
        keep: bool,
        read: impl Future<Output = Result<History>>,
    ) -> Result<Arc<History>> {
        let (slot, generation) = self.slot(place, key, now);
        if slot.initialized() {
            self.metrics.page_hits.inc();
        }
        let outcome = slot.get_or_init(|| async {
            self.metrics.page_misses.inc();
            let mut reading = Reading { pages: self, place, generation, slot: slot.clone(), kept: None };
            let outcome = read.await.map(Arc::new);
            reading.kept = outcome.as_ref().ok().filter(|_| keep).map(|history| cost(history));
            outcome
        });
        match outcome.await {
            Ok(history) => Ok(history.clone()),
            Err(error) => Err(error.again()),
        }
    }

    /// A change of the channel happened: nothing that was read before is the answer any more.
    pub fn start_generation(&self, place: Place) {
        let mut shard = self.shard(place);
        if let Some(old) = shard.channels.remove(&place) {
            shard.bytes -= old.bytes;
            self.metrics.page_bytes.dec_by(old.bytes as i64);
        }
    }

    pub fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().expect("no panic happens under this lock").bytes).sum()
    }

    fn slot(&self, place: Place, key: PageKey, now: Id) -> (Arc<Slot>, u64) {
        let mut shard = self.shard(place);
        let pages = shard.pages_of(place);
        pages.used = true;
        let generation = pages.generation;
        let Some(at) = pages.pages.iter().position(|(other, _)| *other == key) else {
            let slot = Arc::<Slot>::default();
            pages.pages.push((key, slot.clone()));
            return (slot, generation);
        };
        let slot = &mut pages.pages[at].1;
        if let Some(Ok(history)) = slot.get()
            && is_over(history, now)
        {
            let freed = cost(history);
            *slot = Arc::default();
            let slot = slot.clone();
            pages.bytes -= freed;
            shard.bytes -= freed;
            self.metrics.page_bytes.dec_by(freed as i64);
            return (slot, generation);
        }
        (slot.clone(), generation)
    }

    fn shard(&self, place: Place) -> MutexGuard<'_, Shard> {
        self.shards[(place >> 64) as usize % SHARDS].lock().expect("no panic happens under this lock")
    }
}

impl Shard {
    fn pages_of(&mut self, place: Place) -> &mut ChannelPages {
        self.channels.entry(place).or_insert_with(|| {
            self.generations += 1;
            self.queue.push_back((place, self.generations));
            ChannelPages { generation: self.generations, pages: Vec::new(), bytes: 0, used: false }
        })
    }

    /// Ends a read: its page is kept with these bytes, or goes.
    fn finish(&mut self, place: Place, generation: u64, slot: &Arc<Slot>, kept: Option<usize>) {
        let Some(pages) = self.channels.get_mut(&place).filter(|pages| pages.generation == generation) else { return };
        let Some(at) = pages.pages.iter().position(|(_, other)| Arc::ptr_eq(other, slot)) else { return };
        match kept {
            Some(bytes) => {
                pages.bytes += bytes;
                self.bytes += bytes;
            }
            None => {
                pages.pages.swap_remove(at);
                if pages.pages.is_empty() {
                    self.channels.remove(&place);
                }
            }
        }
    }

    /// Lets go of channels that nobody read for a while, until the rest fits.
    fn make_room(&mut self, most_bytes: usize) {
        while self.bytes > most_bytes
            && let Some((place, generation)) = self.queue.pop_front()
        {
            let Some(pages) = self.channels.get_mut(&place).filter(|pages| pages.generation == generation) else {
                continue;
            };
            if pages.used {
                pages.used = false;
                self.queue.push_back((place, generation));
            } else {
                self.bytes -= pages.bytes;
                self.channels.remove(&place);
            }
        }
        if self.queue.len() > 2 * self.channels.len() + 64 {
            let channels = &self.channels;
            self.queue
                .retain(|(place, generation)| channels.get(place).is_some_and(|pages| pages.generation == *generation));
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut shard = self.pages.shard(self.place);
        let before = shard.bytes as i64;
        shard.finish(self.place, self.generation, &self.slot, self.kept);
        shard.make_room(self.pages.most_bytes);
        self.pages.metrics.page_bytes.inc_by(shard.bytes as i64 - before);
    }
}

/// Whether a page shows what is due now, or hides what was due only by a clock that was set back since.
fn is_over(history: &History, now: Id) -> bool {
    let due = history.page.next_expiry.is_some_and(|due| due <= now);
    due || now.ticks().saturating_add(SET_BACK) < history.read_at.ticks()
}

/// About what a page takes, with the bytes that a dialect keeps with it, which are about as many again.
fn cost(history: &History) -> usize {
    let messages: usize = history.page.messages.iter().map(|message| message.cost()).sum();
    size_of::<History>() + 2 * messages
}
