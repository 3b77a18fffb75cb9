//! Wakes subscriptions when their time is over: one thread for all, by the clock of the service. What a subscription
//! may still hand out does not depend on how soon it wakes; that is decided by ids.

use crate::mailbox::Mailbox;
use model::{Clock, Id};
use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};

pub(crate) struct Deadlines {
    state: Mutex<State>,
    changed: Condvar,
    clock: Arc<dyn Clock>,
    /// How often the clock is looked at, which may jump.
    look: Duration,
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<Ticket, Arc<Mailbox>>,
    tickets: u64,
    closed: bool,
}

/// A place among those who wait.
pub(crate) type Ticket = (Id, u64);

impl Deadlines {
    pub fn new(clock: Arc<dyn Clock>, look: Duration) -> Deadlines {
        Deadlines { state: Mutex::default(), changed: Condvar::new(), clock, look }
    }

    /// Wakes the mailbox at this position. The ticket has to be given back.
    pub fn add(&self, at: Id, mailbox: &Arc<Mailbox>) -> Ticket {
        let mut state = self.state();
        state.tickets += 1;
        let ticket = (at, state.tickets);
        state.waiting.insert(ticket, mailbox.clone());
        if state.waiting.first_key_value().is_some_and(|(first, _)| *first == ticket) {
            self.changed.notify_one();
        }
        ticket
    }

    pub fn remove(&self, ticket: Ticket) {
        self.state().waiting.remove(&ticket);
    }

    pub fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }

    /// Works until it is closed.
    pub fn run(&self) {
        let mut state = self.state();
        while !state.closed {
            let now = Id::last_at(self.clock.now_ticks());
            while let Some(first) = state.waiting.first_entry().filter(|first| first.key().0 <= now) {
                first.remove().wake();
            }
            let next = state.waiting.first_key_value().map(|((at, _), _)| *at);
            state = self.wait(state, next);
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, next: Option<Id>) -> MutexGuard<'a, State> {
        let Some(next) = next else {
            return self.changed.wait(state).expect("no panic happens under this lock");
        };
        let ticks = next.ticks().saturating_sub(self.clock.now_ticks());
        let until_next = Duration::from_nanos(ticks.saturating_mul(100));
        let most = until_next.clamp(Duration::from_millis(1), self.look.max(Duration::from_millis(1)));
        self.changed.wait_timeout(state, most).expect("no panic happens under this lock").0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic happens under this lock")
    }
}
