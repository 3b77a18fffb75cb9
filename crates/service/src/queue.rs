//! What waits for the sequencer: bounded by count and bytes, from acceptance to answer. What does not fit is refused
//! at once; nobody waits for room.

use crate::order::Request;
use model::{Error, ErrorKind, Result};
use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard},
    time::Duration,
};

/// Where callers leave requests and the sequencer takes all of them at once.
pub(crate) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    most_requests: usize,
    most_bytes: usize,
}

#[derive(Default)]
struct State {
    waiting: Vec<Request>,
    /// Accepted and not answered, whether here, being looked up or being committed.
    requests: usize,
    bytes: usize,
    closed: bool,
    /// Nobody takes anything any more.
    abandoned: bool,
    /// An outcome is unknown: nothing new is accepted until it is settled.
    in_doubt: bool,
}

impl Queue {
    pub fn new(most_requests: usize, most_bytes: usize) -> Queue {
        Queue { state: Mutex::default(), arrived: Condvar::new(), most_requests, most_bytes }
    }

    /// Accepts a request or says at once why not.
    pub fn push(&self, request: Request) -> Result<()> {
        let mut state = self.state();
        if state.closed {
            return Err(Error::unavailable("the server is stopping; nothing was stored"));
        }
        if state.in_doubt {
            return Err(Error::unavailable("the store is being settled; nothing was stored"));
        }
        let fits = state.bytes + request.bytes <= self.most_bytes || state.requests == 0;
        if state.requests >= self.most_requests || !fits {
            return Err(Error::new(ErrorKind::TooMany, "too much waits to be stored; nothing was stored"));
        }
        state.requests += 1;
        state.bytes += request.bytes;
        self.add(state, [request]);
        Ok(())
    }

    /// Brings back what was looked up; it was accepted before.
    pub fn give_back(&self, requests: Vec<Request>) {
        self.add(self.state(), requests);
    }

    fn add(&self, mut state: MutexGuard<'_, State>, requests: impl IntoIterator<Item = Request>) {
        if state.abandoned {
            return;
        }
        let sleeping = state.waiting.is_empty();
        state.waiting.extend(requests);
        drop(state);
        if sleeping {
            self.arrived.notify_one();
        }
    }

    /// Moves everything that waits to the end of `into`. With `wait`, not before there is something. False: the queue
    /// is closed and everything that was accepted is answered.
    pub fn take(&self, into: &mut VecDeque<Request>, wait: bool) -> bool {
        let mut state = self.state();
        while wait && state.waiting.is_empty() {
            if state.closed && state.requests == 0 {
                return false;
            }
            state = self.arrived.wait(state).expect("no panic happens under this lock");
        }
        into.extend(state.waiting.drain(..));
        true
    }

    /// Answers requests, and makes room for others. Whoever went away is not told.
    pub fn answer(&self, requests: &mut Vec<Request>) {
        let bytes: usize = requests.iter().map(|request| request.bytes).sum();
        {
            let mut state = self.state();
            state.requests -= requests.len();
            state.bytes -= bytes;
        }
        for request in requests.drain(..) {
            let _ = request.answer.send(request.outcomes);
        }
    }

    /// Refuses new work from now on, for as long as an outcome is unknown.
    pub fn set_in_doubt(&self, in_doubt: bool) {
        self.state().in_doubt = in_doubt;
    }

    /// Refuses new work for good; what was accepted is finished.
    pub fn close(&self) {
        self.state().closed = true;
        self.arrived.notify_one();
    }

    /// The sequencer has gone: whoever still waits learns it by the end of its channel.
    pub fn abandon(&self) {
        let mut state = self.state();
        state.closed = true;
        state.abandoned = true;
        state.waiting.clear();
    }

    /// Waits, at most this long, for the queue to be closed. Whether it is.
    pub fn wait_for_close(&self, most: Duration) -> bool {
        let waited = self.arrived.wait_timeout_while(self.state(), most, |state| !state.closed);
        waited.expect("no panic happens under this lock").0.closed
    }

    pub fn is_accepting(&self) -> bool {
        let state = self.state();
        !state.closed && !state.in_doubt
    }

    /// Requests and bytes that were accepted and not answered.
    pub fn depth(&self) -> (usize, usize) {
        let state = self.state();
        (state.requests, state.bytes)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic happens under this lock")
    }
}
