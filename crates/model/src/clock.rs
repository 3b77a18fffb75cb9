//! Time comes in through the door.

/// Where the time comes from. Tests move it by hand; nothing below the program reads the machine's clock itself.
pub trait Clock: Send + Sync + 'static {
    /// Wall time in 100 ns ticks since the Unix epoch. May jump either way at any moment.
    fn now_ticks(&self) -> u64;

    /// Time since some fixed moment in 100 ns ticks, which never goes back and, where the system offers it, goes on
    /// while the machine sleeps.
    fn monotonic_ticks(&self) -> u64;
}
