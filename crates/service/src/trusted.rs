//! Trusted time: the time by which things are removed for good. It never runs faster than the monotonic clock since the
//! last value that was written down, so a clock that jumps ahead removes nothing (DESIGN §3).

/// What the clocks say, and whether things are removed by time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockStatus {
    /// The wall clock, in ticks.
    pub wall_ticks: u64,
    /// What is removed for good is removed by this time, in ticks.
    pub trusted_ticks: u64,
    /// The wall clock has jumped: for how many ticks it has been steady since. After a day, or when an operator
    /// confirms it, it is believed. While it is ahead, nothing is removed by time.
    pub doubted_for: Option<u64>,
}
