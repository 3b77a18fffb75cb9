//! Looks up, beside the sequencer, what it does not remember: heads of channels, idempotency keys, versions of records,
//! and what removals come to. A thread takes what waits together, so that many misses cost few calls of the store.

use crate::{
    live::Live,
    order::{Order, Request},
    queue::Queue,
    resolve::resolve,
};
use model::{Change, Channel, Clock, Head, Id, Result, Store, What};
use std::{
    collections::HashMap,
    sync::{Arc, mpsc::Receiver},
};

pub(crate) struct LookUps {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub live: Arc<Live>,
    pub queue: Arc<Queue>,
    pub waiting: Receiver<Vec<Request>>,
}

impl LookUps {
    /// Answers until the sequencer has gone.
    pub fn run(self) {
        while let Ok(mut requests) = self.waiting.recv() {
            requests.extend(self.waiting.try_iter().flatten());
            match self.heads(&mut requests) {
                Ok(()) => requests.iter_mut().for_each(|request| self.rest(request)),
                Err(error) => requests.iter_mut().for_each(|request| request.fail(&error)),
            }
            self.queue.give_back(requests);
        }
    }

    fn heads(&self, requests: &mut [Request]) -> Result<()> {
        let mut channels: Vec<Channel> = Vec::new();
        let mut places: HashMap<_, usize> = HashMap::new();
        for order in requests.iter_mut().flat_map(Request::undecided) {
            if let Some(channel) = channel_to_number(&order.change) {
                places.entry(order.place).or_insert_with(|| {
                    channels.push(channel.clone());
                    channels.len() - 1
                });
            }
        }
        let heads: Vec<Head> = if channels.is_empty() { Vec::new() } else { self.store.heads(&channels)? };
        for order in requests.iter_mut().flat_map(Request::undecided) {
            order.found.head = places.get(&order.place).and_then(|at| heads.get(*at)).copied();
        }
        Ok(())
    }

    fn rest(&self, request: &mut Request) {
        // Keys are remembered by the day of an id, and ids may run ahead of the clock.
        let wall = self.clock.now_ticks();
        let now = Id::last_at(wall.max(self.live.frontier().ticks()));
        let as_of = request.looked_up.map_or(Id::MIN, |look_up| look_up.as_of);
        for order in request.undecided() {
            let looked_up = match order.aim {
                None => self.key_and_version(order, now),
                Some(_) => resolve(&*self.store, &self.live.policies, order, as_of, Id::last_at(wall)),
            };
            if let Err(error) = looked_up {
                request.fail(&error);
                return;
            }
        }
    }

    fn key_and_version(&self, order: &mut Order, now: Id) -> Result<()> {
        match &*order.change {
            Change::Channel(change) => {
                if let What::Published { key: Some(key), .. } = &change.what {
                    order.found.keyed = Some(self.store.keyed(&change.channel, key.key_hash, now)?);
                }
            }
            Change::Record(change) => {
                let version = self.store.record(&change.key)?.map_or(Id::MIN, |record| record.version);
                order.found.version = Some(version);
            }
        }
        Ok(())
    }
}

/// The channel whose head must be known before this change gets its number and seq.
fn channel_to_number(change: &Change) -> Option<&Channel> {
    match change {
        Change::Channel(change) if change.what.is_stored() => Some(&change.channel),
        Change::Channel(_) | Change::Record(_) => None,
    }
}
