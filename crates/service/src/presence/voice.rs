//! The thread that watches the clock for connections that went silent and intervals that end, and has the sequencer
//! put what is to be announced in order. It waits for the answer before it goes on, so that events keep their order
//! and a failure is known.

use super::{Attendance, roster::Roster};
use crate::{
    hash::Hasher,
    order::{Order, Request, unnumbered},
    queue::Queue,
};
use model::{Channel, Clock, Presence, What};
use std::{
    sync::{Arc, MutexGuard},
    time::Duration,
};
use tokio::sync::oneshot;

/// Connections that are let go, and events that are handed over, in one round: the table is not held for longer.
const ROUND: usize = 1_000;

pub(crate) struct Voice {
    pub attendance: Arc<Attendance>,
    pub queue: Arc<Queue>,
    pub clock: Arc<dyn Clock>,
    pub hasher: Hasher,
    /// How often the clock is looked at while nothing happens.
    pub look: Duration,
}

impl Voice {
    /// Works until the service stops.
    pub fn run(self) {
        while let Some(events) = self.next_events() {
            self.announce(events);
        }
    }

    /// Waits until there is something to announce; none at the end.
    fn next_events(&self) -> Option<Vec<(Channel, Presence)>> {
        let mut state = self.attendance.lock();
        loop {
            if state.1 {
                return None;
            }
            let now = self.clock.monotonic_ticks();
            let roster = &mut state.0;
            let more = roster.time_out(now, ROUND);
            roster.news.end_intervals(now);
            let events = roster.news.take(ROUND);
            if !events.is_empty() {
                return Some(events);
            }
            if !more {
                state = self.wait(state, now);
            }
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, (Roster, bool)>, now: u64) -> MutexGuard<'a, (Roster, bool)> {
        let until_due = state.0.next_due().map(|due| Duration::from_nanos(due.saturating_sub(now).saturating_mul(100)));
        let most = until_due.map_or(self.look, |until_due| until_due.clamp(Duration::from_millis(1), self.look));
        self.attendance.changed.wait_timeout(state, most).expect("no panic happens under this lock").0
    }

    fn announce(&self, events: Vec<(Channel, Presence)>) {
        let order = |(channel, presence): &(Channel, Presence)| {
            let change = unnumbered(channel, What::Presence(Arc::new(presence.clone())));
            Order::new(change, self.hasher.place(channel))
        };
        let (sender, receiver) = oneshot::channel();
        let outcomes = match self.queue.push(Request::new(events.iter().map(order).collect(), sender)) {
            Ok(()) => receiver.blocking_recv().unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        let said = |at: usize| outcomes.get(at).is_some_and(|outcome| outcome.is_ok());
        if (0..events.len()).all(said) {
            return;
        }
        let now = self.clock.monotonic_ticks();
        let mut state = self.attendance.lock();
        for (_, (channel, _)) in events.iter().enumerate().filter(|(at, _)| !said(*at)) {
            let occupancy = state.0.occupancy(channel) as u64;
            state.0.news.failed(channel, occupancy, now);
        }
    }
}
