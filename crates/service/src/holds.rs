//! Legal holds: what lies under one is not removed, by nobody and by no policy, until it is released.

use crate::{Caller, Channels};
use model::{ChannelName, Error, Id, Result, UserId};

/// A legal hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hold {
    /// Its name in the app.
    pub name: String,
    /// What it holds.
    pub scope: HoldScope,
    /// Why: for the people who read it.
    pub reason: String,
}

/// What a hold holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HoldScope {
    /// Every message of a channel.
    Channel(ChannelName),
    /// Every message of an author, whether its name was proved or not.
    Author(UserId),
}

impl Channels {
    /// Places a hold. `Conflict` if there is one of this name. Needs [`Rights::ADMIN`](crate::Rights::ADMIN).
    pub async fn hold(&self, caller: &Caller, hold: Hold) -> Result<Id> {
        let _ = (caller, hold);
        Err(Error::unavailable("holds are not served yet"))
    }

    /// Releases a hold. `NotFound` if there is none of this name. Needs [`Rights::ADMIN`](crate::Rights::ADMIN).
    pub async fn release(&self, caller: &Caller, name: &str) -> Result<Id> {
        let _ = (caller, name);
        Err(Error::unavailable("holds are not served yet"))
    }

    /// The holds of the caller's app, by name. Needs [`Rights::ADMIN`](crate::Rights::ADMIN).
    pub async fn holds(&self, caller: &Caller) -> Result<Vec<Hold>> {
        let _ = caller;
        Err(Error::unavailable("holds are not served yet"))
    }
}
