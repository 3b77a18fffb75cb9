//! The work of Scrollback: puts changes in order, stores them, tells subscribers, serves history, and decides who may
//! do what. [`Channels`] is all that a dialect sees.
//!
//! It knows no store, no transport and no vendor: below it are `model::Store` and `model::Fanout`, above it dialects
//! that parse and render.

mod access;
mod alter;
mod changes;
mod channels;
mod codec;
mod commit;
mod deadlines;
mod decide;
mod edits;
mod eraser;
mod erasure;
mod floors;
mod grants;
mod groups;
mod hash;
mod history;
mod holds;
mod hub;
mod known;
mod live;
mod lookup;
mod mailbox;
mod maintenance;
mod many;
mod merge;
mod metrics;
mod order;
mod pages;
mod past;
mod policies;
mod policy;
mod presence;
mod publish;
mod queue;
mod reactions;
mod reads;
mod removal;
mod removals;
mod resolve;
mod retention;
mod ring;
mod scope;
mod selections;
mod sequencer;
mod settings;
mod standing;
mod subscription;
mod topic;
mod trusted;

pub use access::{Access, AccessWindow, Caller, Rights, Rule};
pub use channels::{Channels, Parts, Status};
pub use edits::Revision;
pub use erasure::{Erased, ErasedIn, Erasure, ErasureState, records_of};
pub use grants::Grant;
pub use groups::Group;
pub use history::{History, Query, Reach};
pub use holds::{Hold, HoldScope};
pub use many::{Budget, Many};
pub use policy::Policy;
pub use presence::{Arrival, Here, Member, WhoIsHere};
pub use publish::{Draft, Published};
pub use reactions::{Reactions, Unreact};
pub use removal::Deleted;
pub use retention::{DryRun, Retention, RetentionRule, WouldRemove};
pub use scope::{Expression, Scope};
pub use selections::SelectionQuery;
pub use settings::Settings;
pub use standing::Standing;
pub use subscription::{Delivery, Item, Subscription};
pub use topic::{Pattern, Topic};
pub use trusted::ClockStatus;
