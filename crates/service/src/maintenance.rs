//! What the service does by itself, beside the sequencer: expires what is due, moves floors, carries erasures on, has
//! the store give back bytes. A bounded piece of each, round after round.

use crate::{Caller, Channels, trusted::ClockStatus};
use model::{Error, Result};

impl Channels {
    /// What the clocks say, and whether things are removed by time. Needs [`Rights::ADMIN`](crate::Rights::ADMIN).
    pub fn clock_status(&self, caller: &Caller) -> Result<ClockStatus> {
        let _ = caller;
        Err(Error::unavailable("the clock is not watched yet"))
    }

    /// An operator says that the wall clock is right: it is believed at once. Needs
    /// [`Rights::ADMIN`](crate::Rights::ADMIN).
    pub async fn confirm_clock(&self, caller: &Caller) -> Result<ClockStatus> {
        let _ = caller;
        Err(Error::unavailable("the clock is not watched yet"))
    }

    /// Does a round of maintenance now, and returns when it is done: whether there is more to do.
    pub async fn maintain(&self) -> Result<bool> {
        Err(Error::unavailable("there is no maintenance yet"))
    }
}
