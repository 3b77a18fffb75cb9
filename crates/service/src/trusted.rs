//! Trusted time: the time by which things are removed for good. It never runs faster than the monotonic clock since the
//! last value that was written down, so a clock that jumps ahead removes nothing (DESIGN §3).
//!
//! From a moment at which the wall clock was believed, monotonic time draws a line. A wall clock that stays near the
//! line is believed; one that leaves it is doubted until it comes back, has run steadily for a day, or an operator
//! confirms it. A clock that is behind the line removes less; one that is ahead of it removes nothing.

use crate::{
    codec::{Reader, Writer},
    policies::node,
};
use bytes::Bytes;
use model::{Clock, RecordKey, RecordKind, Result, Store, TICKS_PER_SECOND};
use std::sync::{Mutex, MutexGuard};

/// So far from the line the wall clock is still believed: time services make small steps.
const NEAR: u64 = 60 * TICKS_PER_SECOND;
/// So long a clock has to be steady before it is believed again.
const STEADY: u64 = 86_400 * TICKS_PER_SECOND;
/// So often what is trusted is written down.
const WRITTEN_EVERY: u64 = 600 * TICKS_PER_SECOND;

/// What the clocks say, and whether things are removed by time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockStatus {
    /// The wall clock, in ticks.
    pub wall_ticks: u64,
    /// The greatest time that the wall clock could show if it had not jumped, in ticks.
    pub trusted_ticks: u64,
    /// What is removed for good is removed by this time, in ticks; nothing is while the wall clock is ahead and in doubt.
    pub removal_ticks: Option<u64>,
    /// The wall clock has jumped: for how many ticks it has been steady since. After a day, or when an operator confirms
    /// it, it is believed.
    pub doubted_for: Option<u64>,
}

/// Watches the clocks.
pub(crate) struct Watch(Mutex<State>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct State {
    line: Line,
    doubt: Option<Doubt>,
    /// The monotonic time at which this was written down last.
    written: Option<u64>,
}

/// Monotonic time since a moment at which the wall clock was believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Line {
    wall: u64,
    monotonic: u64,
}

/// Both clocks when a doubt began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Doubt {
    wall: u64,
    monotonic: u64,
}

impl Watch {
    /// Goes on with what was written down; the first time ever, believes the clock. Blocks.
    pub fn load(store: &dyn Store, clock: &dyn Clock) -> Result<Watch> {
        let (wall, monotonic) = (clock.now_ticks(), clock.monotonic_ticks());
        let state = match store.record(&clock_key())? {
            Some(record) => State::decode(&record.value, monotonic)?,
            None => State { line: Line { wall, monotonic }, doubt: None, written: None },
        };
        Ok(Watch(Mutex::new(state)))
    }

    /// What the clocks say now.
    pub fn look(&self, clock: &dyn Clock) -> ClockStatus {
        let (wall, monotonic) = (clock.now_ticks(), clock.monotonic_ticks());
        let mut state = self.state();
        state.observe(wall, monotonic);
        state.status(wall, monotonic)
    }

    /// Believes the wall clock from now on.
    pub fn confirm(&self, clock: &dyn Clock) -> ClockStatus {
        let (wall, monotonic) = (clock.now_ticks(), clock.monotonic_ticks());
        let mut state = self.state();
        *state = State { line: Line { wall, monotonic }, doubt: None, written: None };
        state.status(wall, monotonic)
    }

    /// What has to be written down now, if anything has: then say [`Watch::written`].
    pub fn to_write(&self, clock: &dyn Clock) -> Option<Bytes> {
        let monotonic = clock.monotonic_ticks();
        let state = self.state();
        let due = state.written.is_none_or(|written| monotonic.saturating_sub(written) >= WRITTEN_EVERY);
        due.then(|| state.encode())
    }

    /// It was written down.
    pub fn written(&self, clock: &dyn Clock) {
        self.state().written = Some(clock.monotonic_ticks());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic happens under this lock")
    }
}

impl State {
    fn observe(&mut self, wall: u64, monotonic: u64) {
        let line = self.line.at(monotonic);
        if wall.abs_diff(line) <= NEAR {
            // Never above the line, so that no number of small steps adds up to more than time that passed.
            self.line = Line { wall: wall.min(line), monotonic };
            self.doubt = None;
            return;
        }
        let steady = self.doubt.is_some_and(|doubt| doubt.expects(monotonic).abs_diff(wall) <= NEAR);
        match self.doubt {
            Some(doubt) if steady && monotonic.saturating_sub(doubt.monotonic) >= STEADY => {
                self.line = Line { wall, monotonic };
                self.doubt = None;
            }
            Some(_) if steady => {}
            _ => self.doubt = Some(Doubt { wall, monotonic }),
        }
    }

    fn status(&self, wall: u64, monotonic: u64) -> ClockStatus {
        let trusted = self.line.at(monotonic);
        let ahead = self.doubt.is_some() && wall > trusted;
        ClockStatus {
            wall_ticks: wall,
            trusted_ticks: trusted,
            removal_ticks: (!ahead).then_some(wall.min(trusted)),
            doubted_for: self.doubt.map(|doubt| monotonic.saturating_sub(doubt.monotonic)),
        }
    }

    fn encode(&self) -> Bytes {
        let doubt = self.doubt;
        let writer = Writer::new().number(self.line.wall).number(self.line.monotonic);
        writer.maybe(doubt.map(|doubt| doubt.wall)).maybe(doubt.map(|doubt| doubt.monotonic)).finish()
    }

    /// What was written down, as it is at `now` of a monotonic clock that may have begun anew: since then at least as
    /// much time has passed as that clock shows, and no more is believed.
    fn decode(value: &[u8], now: u64) -> Result<State> {
        let mut reader = Reader::new(value)?;
        let (wall, monotonic) = (reader.number()?, reader.number()?);
        let begun_anew = now < monotonic;
        let line = Line { wall, monotonic: if begun_anew { 0 } else { monotonic } };
        let doubt = match (reader.maybe()?, reader.maybe()?) {
            (Some(wall), Some(monotonic)) if now >= monotonic => Some(Doubt { wall, monotonic }),
            _ => None,
        };
        Ok(State { line, doubt, written: Some(now) })
    }
}

impl Line {
    fn at(self, monotonic: u64) -> u64 {
        self.wall.saturating_add(monotonic.saturating_sub(self.monotonic))
    }
}

impl Doubt {
    /// What a steady clock shows.
    fn expects(self, monotonic: u64) -> u64 {
        self.wall.saturating_add(monotonic.saturating_sub(self.monotonic))
    }
}

/// Where the node writes down what it trusts.
pub(crate) fn clock_key() -> RecordKey {
    RecordKey { app: node(), kind: RecordKind::Setting, name: b"clock"[..].into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600 * TICKS_PER_SECOND;
    const YEAR: u64 = 365 * 24 * HOUR;
    const START: u64 = 50 * YEAR;

    fn state() -> State {
        State { line: Line { wall: START, monotonic: 0 }, doubt: None, written: None }
    }

    fn look(state: &mut State, wall: u64, monotonic: u64) -> Option<u64> {
        state.observe(wall, monotonic);
        state.status(wall, monotonic).removal_ticks
    }

    #[test]
    fn time_that_passes_is_trusted() {
        let mut state = state();
        for hours in 1..100 {
            assert_eq!(look(&mut state, START + hours * HOUR, hours * HOUR), Some(START + hours * HOUR));
        }
    }

    #[test]
    fn a_year_ahead_removes_nothing_until_it_was_steady_for_a_day() {
        let mut state = state();
        assert_eq!(look(&mut state, START + YEAR, HOUR), None);
        assert_eq!(look(&mut state, START + 2 * HOUR, 2 * HOUR), Some(START + 2 * HOUR), "it came back");
        assert_eq!(look(&mut state, START + YEAR, 3 * HOUR), None);
        assert_eq!(look(&mut state, START + YEAR + 23 * HOUR, 26 * HOUR), None);
        assert_eq!(look(&mut state, START + 2 * YEAR, 27 * HOUR), None, "it jumped again");
        assert_eq!(look(&mut state, START + 2 * YEAR + 24 * HOUR, 51 * HOUR), Some(START + 2 * YEAR + 24 * HOUR));
    }

    #[test]
    fn an_hour_back_removes_less_and_forgets_nothing_of_the_line() {
        let mut state = state();
        assert_eq!(look(&mut state, START, HOUR), Some(START));
        assert_eq!(look(&mut state, START + 2 * HOUR, 2 * HOUR), Some(START + 2 * HOUR));
    }

    #[test]
    fn small_steps_do_not_add_up() {
        let mut state = state();
        let (mut wall, mut monotonic) = (START, 0);
        for _ in 0..1_000 {
            wall += NEAR / 2;
            monotonic += TICKS_PER_SECOND;
            state.observe(wall, monotonic);
        }
        assert!(state.status(wall, monotonic).trusted_ticks <= START + monotonic);
    }

    #[test]
    fn what_was_written_down_never_runs_faster_after_a_start() {
        let mut state = state();
        state.observe(START + 10 * HOUR, 10 * HOUR);
        let value = state.encode();
        let same_boot = State::decode(&value, 12 * HOUR).expect("it is read").line.at(12 * HOUR);
        assert_eq!(same_boot, START + 12 * HOUR);
        let rebooted = State::decode(&value, 2 * HOUR).expect("it is read").line.at(2 * HOUR);
        assert_eq!(rebooted, START + 12 * HOUR, "at least two hours have passed");
    }
}
