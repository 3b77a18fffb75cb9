//! Erasing a person: one call removes the messages, edits, reactions and records of a user in an app, and the bytes of
//! them, and leaves a receipt. The work is a record that says how far it has come, so that a restart goes on with it.

use crate::{Caller, Channels};
use model::{ChannelName, Error, Result, UserId};

/// An erasure in progress, or its receipt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Erasure {
    /// By which it is asked for.
    pub id: String,
    /// How far it has come.
    pub state: ErasureState,
    /// Whom it erases; none in a receipt, which remembers nobody.
    pub user: Option<UserId>,
    /// When it was asked for, in ticks.
    pub started_at: u64,
    /// When the last byte was gone, in ticks.
    pub finished_at: Option<u64>,
    /// What went so far.
    pub erased: Erased,
    /// In how many channels.
    pub channels: u64,
    /// The legal hold that it waits for.
    pub waits_for: Option<String>,
}

/// How far an erasure has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErasureState {
    /// Channel by channel, messages, edits and reactions are removed.
    Removing,
    /// Nobody can read anything any more; the bytes are being taken off the disk.
    Scrubbing,
    /// Done: this is the receipt.
    Done,
}

/// What an erasure took.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Erased {
    /// Messages of the user.
    pub messages: u64,
    /// Messages of others whose content was the user's and is not any more.
    pub edits: u64,
    /// Reactions of the user.
    pub reactions: u64,
    /// Records of the user.
    pub records: u64,
}

/// What an erasure took from one channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErasedIn {
    /// Where.
    pub channel: ChannelName,
    /// What.
    pub erased: Erased,
}

impl Channels {
    /// Begins to erase a user from the caller's app, or finds the erasure that is under way. `Conflict` names a legal
    /// hold on the user. Needs [`Rights::ADMIN`](crate::Rights::ADMIN) on everything.
    pub async fn erase(&self, caller: &Caller, user: &UserId) -> Result<Erasure> {
        let _ = (caller, user);
        Err(Error::unavailable("erasures are not served yet"))
    }

    /// How far an erasure has come, or its receipt. Needs [`Rights::ADMIN`](crate::Rights::ADMIN).
    pub async fn erasure(&self, caller: &Caller, id: &str) -> Result<Erasure> {
        let _ = (caller, id);
        Err(Error::unavailable("erasures are not served yet"))
    }

    /// The erasures of the caller's app, those after `after`, oldest first. Needs
    /// [`Rights::ADMIN`](crate::Rights::ADMIN).
    pub async fn erasures(&self, caller: &Caller, after: Option<&str>, limit: u32) -> Result<Vec<Erasure>> {
        let _ = (caller, after, limit);
        Err(Error::unavailable("erasures are not served yet"))
    }

    /// The channels in which an erasure took something, those after `after`, by name. Needs
    /// [`Rights::ADMIN`](crate::Rights::ADMIN).
    pub async fn erased_in(
        &self,
        caller: &Caller,
        id: &str,
        after: Option<&ChannelName>,
        limit: u32,
    ) -> Result<Vec<ErasedIn>> {
        let _ = (caller, id, after, limit);
        Err(Error::unavailable("erasures are not served yet"))
    }
}
