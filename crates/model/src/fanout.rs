//! How a change reaches the other nodes. Live is a hint, history is the truth: a fan-out may lose, double and
//! reorder notices; whoever sees a hole reads the store.

use crate::{Change, Channel, Id};
use std::sync::Arc;

/// A change on its way to subscribers.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What happened.
    pub change: Arc<Change>,
    /// The id of the stored change before it on the same channel ([`Id::MIN`] if none): a receiver that has not seen
    /// that one reads the store.
    pub previous: Id,
    /// Everything at or below this id was visible when the notice was sent, and nothing will ever appear there.
    pub frontier: Id,
}

/// Carries notices between nodes. Calls come in commit order from one thread; none may block.
pub trait Fanout: Send + Sync + 'static {
    /// Sends the notices of one committed batch, in commit order. May lose them; must not wait for receivers.
    fn announce(&self, notices: &[Notice]);

    /// From now on notices of this channel are wanted here: once more with every call.
    fn listen(&self, channel: &Channel);

    /// One of those who wanted them does not any more; the last one ends it.
    fn unlisten(&self, channel: &Channel);
}
