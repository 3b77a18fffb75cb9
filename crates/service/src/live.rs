//! What happens to a batch that was committed: policies change, hot pages of its channels go, what stood on its records
//! ends, the ring takes it in, the frontier moves, subscribers and other nodes get it. In this order: whoever learns of a
//! change finds it wherever it looks.

use crate::{
    hash::Hasher,
    hub::Hub,
    pages::Pages,
    policies::Policies,
    ring::{Recent, Ring},
    standing::Standings,
};
use model::{Fanout, Id, Notice};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

pub(crate) struct Live {
    pub hasher: Hasher,
    pub pages: Pages,
    pub ring: Ring,
    pub hub: Hub,
    pub standings: Standings,
    pub fanout: Option<Arc<dyn Fanout>>,
    pub policies: Arc<Policies>,
    frontier: AtomicU64,
}

impl Live {
    pub fn new(
        hasher: Hasher,
        pages: Pages,
        ring: Ring,
        hub: Hub,
        fanout: Option<Arc<dyn Fanout>>,
        policies: Arc<Policies>,
        at: Id,
    ) -> Live {
        let standings = Standings::default();
        Live { hasher, pages, ring, hub, standings, fanout, policies, frontier: AtomicU64::new(at.raw()) }
    }

    /// Makes changes known, by growing id; everything up to `upto` is then. `previous` holds, if there is a fan-out,
    /// the id of the stored change before each one on its channel. `now` is monotonic time.
    pub fn release(&self, changes: &[Recent], previous: &[Id], upto: Id, now: u64) {
        for recent in changes.iter().filter(|recent| recent.change.is_stored()) {
            self.policies.take_in(&recent.change);
            self.pages.start_generation(recent.place);
        }
        self.standings.changed(changes);
        self.ring.push(changes, now);
        self.frontier.store(upto.raw(), Ordering::Release);
        self.hub.hand_out(&self.hasher, changes, upto);
        if let Some(fanout) = &self.fanout {
            let notices: Vec<Notice> = changes
                .iter()
                .zip(previous)
                .map(|(recent, previous)| Notice { change: recent.change.clone(), previous: *previous, frontier: upto })
                .collect();
            fanout.announce(&notices);
        }
    }

    /// Everything at or below it is visible, and nothing will ever appear there.
    pub fn frontier(&self) -> Id {
        Id::from_raw(self.frontier.load(Ordering::Acquire))
    }
}
