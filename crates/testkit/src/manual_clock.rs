//! A clock that tests move by hand, both ways.

use model::{Clock, TICKS_PER_SECOND};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// A [`Clock`] that stands still until a test moves it. Wall time and monotonic time move together with
/// [`ManualClock::advance`]; [`ManualClock::set`] makes the wall jump, as an operator or a time service would.
#[derive(Debug)]
pub struct ManualClock {
    wall_ticks: AtomicU64,
    monotonic_ticks: AtomicU64,
}

impl ManualClock {
    /// A clock whose wall shows `wall_ticks` and whose monotonic time begins at 0.
    pub fn new(wall_ticks: u64) -> ManualClock {
        ManualClock { wall_ticks: AtomicU64::new(wall_ticks), monotonic_ticks: AtomicU64::new(0) }
    }

    /// Time passes: both times grow by `ticks` (100 ns).
    pub fn advance(&self, ticks: u64) {
        self.wall_ticks.fetch_add(ticks, SeqCst);
        self.monotonic_ticks.fetch_add(ticks, SeqCst);
    }

    /// Time passes, in seconds.
    pub fn advance_seconds(&self, seconds: u64) {
        self.advance(seconds * TICKS_PER_SECOND);
    }

    /// The wall jumps to `wall_ticks`, forwards or backwards; monotonic time does not notice.
    pub fn set(&self, wall_ticks: u64) {
        self.wall_ticks.store(wall_ticks, SeqCst);
    }

    /// The wall jumps back by `seconds`; monotonic time does not notice.
    pub fn set_back_seconds(&self, seconds: u64) {
        self.wall_ticks.fetch_sub(seconds * TICKS_PER_SECOND, SeqCst);
    }
}

impl Default for ManualClock {
    /// Shows a moment in November 2025.
    fn default() -> ManualClock {
        ManualClock::new(1_763_692_666 * TICKS_PER_SECOND)
    }
}

impl Clock for ManualClock {
    fn now_ticks(&self) -> u64 {
        self.wall_ticks.load(SeqCst)
    }

    fn monotonic_ticks(&self) -> u64 {
        self.monotonic_ticks.load(SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_jumps_and_monotonic_time_does_not() {
        let clock = ManualClock::new(50 * TICKS_PER_SECOND);
        clock.advance_seconds(5);
        clock.set_back_seconds(20);
        assert_eq!(clock.now_ticks(), 35 * TICKS_PER_SECOND);
        clock.set(7);
        assert_eq!((clock.now_ticks(), clock.monotonic_ticks()), (7, 5 * TICKS_PER_SECOND));
    }
}
