//! How often an app may call (`protocols/agora-rtm.md` §3.5, §4, §5): so many requests in a second, a second's worth at
//! once. It keeps one number: when the requests that were let through would have come if they had been spread evenly.

use model::TICKS_PER_SECOND;
use std::sync::{Mutex, PoisonError};

/// A bound on the requests of one app to one call.
#[derive(Debug)]
pub struct Rate {
    ticks_each: u64,
    spent_until: Mutex<u64>,
}

impl Rate {
    /// This many in a second; 0 for no bound.
    pub fn new(per_second: u32) -> Rate {
        let ticks_each = TICKS_PER_SECOND.checked_div(u64::from(per_second)).unwrap_or(0);
        Rate { ticks_each, spent_until: Mutex::default() }
    }

    /// Whether a request may go on at this moment, in monotonic ticks.
    pub fn admits(&self, now: u64) -> bool {
        let mut spent_until = self.spent_until.lock().unwrap_or_else(PoisonError::into_inner);
        let until = (*spent_until).max(now) + self.ticks_each;
        let admitted = until <= now + TICKS_PER_SECOND;
        if admitted {
            *spent_until = until;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(rate: &Rate, now: u64, asked: usize) -> usize {
        (0..asked).filter(|_| rate.admits(now)).count()
    }

    #[test]
    fn a_second_holds_as_many_as_it_says_however_they_come() {
        let rate = Rate::new(100);
        assert_eq!(admitted(&rate, 7, 150), 100);
        assert_eq!(admitted(&rate, 7 + TICKS_PER_SECOND / 2, 150), 50);
        assert_eq!(admitted(&rate, 7 + TICKS_PER_SECOND, 150), 50);
        assert_eq!(admitted(&rate, 100 * TICKS_PER_SECOND, 150), 100, "what was not used does not pile up");
    }

    #[test]
    fn without_a_bound_everything_goes_on() {
        assert_eq!(admitted(&Rate::new(0), 7, 10_000), 10_000);
    }
}
