//! The words of Scrollback: ids, names, messages, changes, windows, errors, and the traits by which the
//! work (`service`) knows what lies below it: [`Store`], [`Search`], [`Fanout`] and [`Clock`].
//!
//! Nothing here reads a clock, touches the network or a file, or knows a vendor; nothing here is
//! serialisable on purpose: wire shapes live in the dialects, disk shapes in `store`.

mod change;
mod clock;
mod error;
mod fanout;
mod id;
pub mod limits;
mod message;
mod names;
mod page;
mod search;
mod selection;
mod store;

pub use change::{
    Batch, Change, ChannelChange, Edit, IdempotencyKey, Presence, PresenceEvent, Reaction, RecordChange, Removal,
    SeqRange, Unedit, What,
};
pub use clock::Clock;
pub use error::{Error, ErrorKind, Result};
pub use fanout::{Fanout, Notice};
pub use id::{Id, MAX_TICKS, Position, Seq, TICKS_PER_MS, TICKS_PER_SECOND};
pub use message::{Kind, Message, Payload, PayloadForm};
pub use names::{AppId, Author, Channel, ChannelName, ChannelNumber, Origin, RecordKey, RecordKind, UserId};
pub use page::{
    ChangesPage, ChannelEntry, Due, FeedItem, FeedKind, FeedPage, Head, Order, Page, ReactionAt, ReactionEntry, Record,
    RemovedCount, Span, Target, Version, Window,
};
pub use search::{Candidate, Candidates, Place, Search, SnippetPiece, Sought};
pub use selection::{Selected, Selection, SelectionPage, SelectionWindow, Selector};
pub use store::{ApplyError, AtHand, Effort, Keyed, Settled, ShardId, Store};
