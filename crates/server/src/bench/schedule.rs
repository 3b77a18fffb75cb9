//! When requests start: as soon as the last one is answered (closed loop), or at a fixed rate whatever the server does
//! (open loop).
//!
//! In an open loop a request that finds no free connection waits, and that wait is part of its latency: it counts from
//! the moment at which it should have started. A generator that measured from the moment of sending would leave out
//! just those requests that a slow server delayed.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// The plan of one run, shared by its connections.
pub struct Schedule {
    begin: Instant,
    warm_up: Duration,
    /// Warm-up included; `None` = until the work is done.
    length: Option<Duration>,
    interval: Option<Duration>,
    drawn: AtomicU64,
}

/// Where a request stands in the plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Slot {
    /// Its time is still to come.
    Ahead(Instant),
    /// It should have started here, or starts now.
    Due(Instant),
    /// The run is over.
    Over,
}

impl Schedule {
    /// Begins now. `rate` is requests a second over all connections.
    pub fn new(warm_up: Duration, duration: Option<Duration>, rate: Option<f64>) -> Schedule {
        Schedule {
            begin: Instant::now(),
            warm_up,
            length: duration.map(|duration| warm_up + duration),
            interval: rate.map(|rate| Duration::from_secs_f64(1.0 / rate)),
            drawn: AtomicU64::new(0),
        }
    }

    /// Waits until the next request may start, and says from when its latency counts; `None` when the run is over.
    ///
    /// A connection that was free in time starts when its timer wakes it, up to a millisecond late: that is this
    /// program's delay and not the server's, so it does not count.
    pub async fn next(&self) -> Option<Instant> {
        match self.slot(self.drawn.fetch_add(1, Ordering::Relaxed), Instant::now()) {
            Slot::Due(start) => Some(start),
            Slot::Ahead(start) => {
                tokio::time::sleep_until(start.into()).await;
                Some(Instant::now())
            }
            Slot::Over => {
                self.drawn.fetch_sub(1, Ordering::Relaxed);
                None
            }
        }
    }

    /// Whether a request that started here is measured, or still warms up.
    pub fn measures(&self, start: Instant) -> bool {
        start >= self.measured_from()
    }

    /// When measuring begins.
    pub fn measured_from(&self) -> Instant {
        self.begin + self.warm_up
    }

    /// How far the run has come at `now`, of how much, if that is known.
    pub fn progress(&self, now: Instant) -> (Duration, Option<Duration>) {
        (now - self.begin, self.length)
    }

    /// How many requests an open loop should have started and did not, because no connection was free to the end.
    pub fn unsent(&self) -> u64 {
        let (Some(interval), Some(length)) = (self.interval, self.length) else { return 0 };
        let due = (length.as_nanos() / interval.as_nanos().max(1)) as u64;
        due.saturating_sub(self.drawn.load(Ordering::Relaxed))
    }

    fn slot(&self, number: u64, now: Instant) -> Slot {
        let end = self.length.map(|length| self.begin + length);
        if end.is_some_and(|end| now >= end) {
            return Slot::Over;
        }
        let Some(interval) = self.interval else { return Slot::Due(now) };
        let start = self.begin + Duration::from_secs_f64(interval.as_secs_f64() * number as f64);
        match end {
            Some(end) if start >= end => Slot::Over,
            _ if start > now => Slot::Ahead(start),
            _ => Slot::Due(start),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_closed_loop_starts_at_once_until_the_end() {
        let schedule = Schedule::new(SECOND, Some(SECOND), None);
        let now = schedule.begin + SECOND / 2;
        assert_eq!(schedule.slot(99, now), Slot::Due(now));
        assert!(!schedule.measures(now));
        assert!(schedule.measures(schedule.begin + SECOND));
        assert_eq!(schedule.slot(99, schedule.begin + 2 * SECOND), Slot::Over);
    }

    #[test]
    fn an_open_loop_counts_the_wait_for_a_free_connection() {
        let schedule = Schedule::new(Duration::ZERO, Some(SECOND), Some(10.0));
        let intended = schedule.begin + SECOND / 5;
        assert_eq!(schedule.slot(2, schedule.begin), Slot::Ahead(intended));
        assert_eq!(schedule.slot(2, schedule.begin + SECOND / 2), Slot::Due(intended), "0.3 s late, and they count");
        assert_eq!(schedule.slot(10, schedule.begin), Slot::Over, "ten requests in a second at ten a second");
    }

    #[test]
    fn requests_that_never_started_are_told() {
        let schedule = Schedule::new(Duration::ZERO, Some(SECOND), Some(10.0));
        schedule.drawn.store(4, Ordering::Relaxed);
        assert_eq!(schedule.unsent(), 6);
        assert_eq!(Schedule::new(Duration::ZERO, Some(SECOND), None).unsent(), 0);
    }
}
