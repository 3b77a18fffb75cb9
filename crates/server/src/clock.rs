//! The machine's clocks: the one door through which time comes in.

use model::Clock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const NANOSECONDS_PER_TICK: u128 = 100;

/// Tells for how many seconds the machine has been running, sleep included.
const UPTIME: &str = "/proc/uptime";

/// The clocks of this machine.
pub struct SystemClock {
    started: Instant,
    /// For how long the machine had been running then.
    uptime: Duration,
}

impl SystemClock {
    /// Counts monotonic time from the start of the machine, so that a program that is started again goes on with it;
    /// where the system does not tell, from now on.
    pub fn new() -> SystemClock {
        SystemClock { started: Instant::now(), uptime: uptime().unwrap_or_default() }
    }
}

fn uptime() -> Option<Duration> {
    let text = std::fs::read_to_string(UPTIME).ok()?;
    let seconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the door through which the wall clock comes in")]
    fn now_ticks(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos() / NANOSECONDS_PER_TICK).unwrap_or(u64::MAX)
    }

    fn monotonic_ticks(&self) -> u64 {
        let running = self.uptime + self.started.elapsed();
        u64::try_from(running.as_nanos() / NANOSECONDS_PER_TICK).unwrap_or(u64::MAX)
    }
}
