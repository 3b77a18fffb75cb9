//! How a batch ends: durable and made known, refused and taken back, or unknown and settled.

use crate::sequencer::{EPOCH, SHARD, Sequencer};
use model::{ApplyError, Error, Result};
use std::time::Duration;

const FIRST_RETRY: Duration = Duration::from_millis(10);
const LAST_RETRY: Duration = Duration::from_secs(1);

impl Sequencer {
    /// Commits the batch that was made. Whatever could not be stored is answered as failed, with the truth about it.
    pub(crate) fn commit(&mut self) {
        if self.making.changes.is_empty() {
            return;
        }
        // Ids of live-only changes leave no trace in the store but this: none of them passes what is reserved.
        let outcome = match self.making.batch.changes.is_empty() && self.last_tick <= self.reserved {
            true => Ok(()),
            false => self.apply(),
        };
        match outcome {
            Ok(()) => self.release(),
            Err(ApplyError::Refused(error)) => self.take_back(&error),
            Err(ApplyError::Unknown(error)) => self.settle(&error),
        }
        self.making.clear();
    }

    fn apply(&mut self) -> Result<(), ApplyError> {
        let batch = &mut self.making.batch;
        batch.number += 1;
        batch.reserved = self.reserved.max(self.last_tick + self.reserve_ahead);
        let started = self.tools.clock.monotonic_ticks();
        let outcome = self.tools.store.apply(batch);
        let took = self.tools.clock.monotonic_ticks().saturating_sub(started);
        self.tools.metrics.applied(batch.changes.len(), took);
        match outcome {
            Ok(()) => self.reserved = batch.reserved,
            Err(ApplyError::Refused(_)) => batch.number -= 1,
            Err(ApplyError::Unknown(_)) => {}
        }
        outcome
    }

    fn release(&mut self) {
        let now = self.tools.clock.monotonic_ticks();
        self.tools.live.release(&self.making.changes, &self.making.previous, self.last_id(), now);
        self.tools.metrics.released(&self.making.changes, self.tools.live.ring.size().1);
    }

    fn take_back(&mut self, cause: &Error) {
        self.tools.metrics.refused_batches.inc();
        tracing::warn!(error = ?cause, "the store refused a batch; nothing of it was stored");
        for (place, before) in self.making.undo.drain(..).rev() {
            self.known.restore(place, before);
        }
        self.removals.take_back(self.tools.live.frontier());
        self.last_number = self.making.number_before;
        self.fail_batch(&Error::new(cause.kind, format!("{cause}; nothing was stored")));
    }

    /// Nobody knows whether the batch happened: accepts nothing, trusts nothing, until the store knows.
    fn settle(&mut self, cause: &Error) {
        self.tools.metrics.unknown_outcomes.inc();
        tracing::error!(error = ?cause, batch = self.making.batch.number, "the outcome of a batch is unknown");
        self.tools.queue.set_in_doubt(true);
        self.forget_all();
        let Some(survived) = self.ask_until_settled() else {
            self.lost = true;
            self.fail_batch(&unknown());
            return;
        };
        if survived {
            self.release();
        } else {
            self.fail_batch(&Error::unavailable("the store failed; nothing was stored"));
        }
        self.tools.queue.set_in_doubt(false);
        tracing::info!(survived, batch = self.making.batch.number, "the outcome of the batch is settled");
    }

    /// Whether the batch happened; none if the service stops before the store knows.
    fn ask_until_settled(&mut self) -> Option<bool> {
        let (mut retry, mut waited) = (FIRST_RETRY, Duration::ZERO);
        loop {
            match self.tools.store.settle(SHARD, EPOCH) {
                Ok(settled) => {
                    let survived = settled.last_batch == self.making.batch.number;
                    self.making.batch.number = settled.last_batch;
                    self.last_number = settled.last_number;
                    self.reserved = self.reserved.max(settled.reserved);
                    return Some(survived);
                }
                Err(error) => tracing::warn!(?error, "settling the store failed; it is tried again"),
            }
            if self.tools.queue.wait_for_close(retry) {
                return None;
            }
            waited += retry;
            retry = (retry * 2).min(LAST_RETRY);
            if waited >= self.settle_wait {
                self.stop_waiting();
            }
        }
    }

    /// Tells everybody who waits what is known by now, rather than let them wait for ever.
    fn stop_waiting(&mut self) {
        self.fail_batch(&unknown());
        self.tools.queue.take(&mut self.waiting, false);
        for mut request in std::mem::take(&mut self.waiting) {
            self.land(&request);
            request.fail(&Error::unavailable("the store is being settled; nothing was stored"));
            self.decided.push(request);
        }
        self.tools.queue.answer(&mut self.decided);
    }

    /// Everything that was decided with this batch fails; what is left of a request that did not fit is not tried.
    fn fail_batch(&mut self, error: &Error) {
        if let Some(request) = self.partial.take() {
            self.land(&request);
            self.decided.push(request);
        }
        self.decided.iter_mut().for_each(|request| request.fail_batch(error));
    }
}

fn unknown() -> Error {
    Error::unavailable("the store failed; it is not known whether this was stored")
}
