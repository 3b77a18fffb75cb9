//! The machine's clocks: the one door through which time comes in.

use model::Clock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const NANOSECONDS_PER_TICK: u128 = 100;

/// The clocks of this machine.
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Begins to count monotonic time now.
    pub fn new() -> SystemClock {
        SystemClock { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the door through which the wall clock comes in")]
    fn now_ticks(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos() / NANOSECONDS_PER_TICK).unwrap_or(u64::MAX)
    }

    fn monotonic_ticks(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos() / NANOSECONDS_PER_TICK).unwrap_or(u64::MAX)
    }
}
