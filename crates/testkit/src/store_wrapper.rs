//! A store around another one, for tests that count, hold back or falsify what goes through. What a wrapper does not
//! implement itself goes through as it is.

use model::{
    AppId, ApplyError, AtHand, Batch, Change, ChangesPage, Channel, ChannelEntry, ChannelName, Due, Effort, FeedPage,
    Head, Id, Keyed, Order, Page, Position, Reaction, ReactionAt, ReactionEntry, Record, RecordKey, RecordKind,
    Removal, Result, Selection, SelectionPage, SelectionWindow, Seq, Settled, ShardId, Span, Store, Target, Version,
    Window,
};
use std::{ops::Deref, sync::Arc, time::Duration};

/// Makes the trait and the store of the calls that fail with an [`Error`](model::Error), so that each is told once.
macro_rules! store_wrapper {
    ($(fn $call:ident(&self $(, $argument:ident: $type:ty)*) -> $answer:ty;)*) => {
        /// Answers as [`inner`](StoreWrapper::inner) does, but for the calls that it implements itself. [`Wrapped`] makes a
        /// [`Store`] of it.
        pub trait StoreWrapper: Send + Sync + 'static {
            /// The store within, unless nothing may go through: then every call that is not implemented fails with this
            /// error, [`StoreWrapper::apply`] as [`ApplyError::Refused`].
            fn inner(&self) -> Result<&dyn Store>;

            /// See [`Store::apply`].
            fn apply(&self, batch: &Batch) -> Result<(), ApplyError> {
                self.inner().map_err(ApplyError::Refused)?.apply(batch)
            }

            $(
                #[doc = concat!("See [`Store::", stringify!($call), "`].")]
                fn $call(&self $(, $argument: $type)*) -> $answer {
                    self.inner()?.$call($($argument),*)
                }
            )*
        }

        impl<W: StoreWrapper> Store for Wrapped<W> {
            fn apply(&self, batch: &Batch) -> Result<(), ApplyError> {
                self.0.apply(batch)
            }

            $(
                fn $call(&self $(, $argument: $type)*) -> $answer {
                    self.0.$call($($argument),*)
                }
            )*
        }
    };
}

store_wrapper! {
    fn room(&self) -> Result<()>;
    fn settle(&self, shard: ShardId, epoch: u64) -> Result<Settled>;
    fn recent(&self, shard: ShardId, bytes: usize) -> Result<(Id, Vec<Arc<Change>>)>;
    fn heads(&self, channels: &[Channel]) -> Result<Vec<Head>>;
    fn read(&self, channel: &Channel, window: &Window, effort: Effort) -> Result<Option<Page>>;
    fn count(&self, channel: &Channel, span: Span, above: Seq, now: Id) -> Result<u64>;
    fn select(&self, app: &AppId, selection: &Selection, window: &SelectionWindow) -> Result<SelectionPage>;
    fn count_selected(&self, app: &AppId, selection: &Selection, span: Span, now: Id) -> Result<u64>;
    fn removable(&self, channel: &Channel, target: &Target, now: Id) -> Result<Removal>;
    fn floor_for(&self, channel: &Channel, keep: u64, upto: Id) -> Result<Position>;
    fn versions(&self, channel: &Channel, message: Id) -> Result<Vec<Version>>;
    fn reactions(
        &self, channel: &Channel, messages: Span, after: Option<ReactionAt>, limit: u32
    ) -> Result<Vec<ReactionEntry>>;
    fn lacks_reactions(&self, channel: &Channel) -> Result<bool>;
    fn at_hand(&self, channel: &Channel, message: Id, reaction: Option<&Reaction>) -> Result<Option<AtHand>>;
    fn reactions_made(&self, channel: &Channel, span: Span, order: Order, limit: u32) -> Result<Vec<ReactionEntry>>;
    fn reaction(&self, channel: &Channel, reaction: &Reaction) -> Result<Option<Id>>;
    fn changes(&self, channel: &Channel, after: Id, limit: u32) -> Result<ChangesPage>;
    fn due(&self, shard: ShardId, now: Id, limit: u32) -> Result<Vec<Due>>;
    fn sweep(&self, budget: Duration) -> Result<bool>;
    fn erase(&self, channels: &[Channel]) -> Result<()>;
    fn keyed(&self, channel: &Channel, key_hash: u128, now: Id) -> Result<Option<Keyed>>;
    fn feed(&self, shard: ShardId, span: Span, limit: u32) -> Result<FeedPage>;
    fn channels(
        &self, app: &AppId, prefix: &str, after: Option<&ChannelName>, limit: u32
    ) -> Result<Vec<ChannelEntry>>;
    fn all_channels(&self, app: &AppId, after: Option<&ChannelName>, limit: u32) -> Result<Vec<ChannelEntry>>;
    fn record(&self, key: &RecordKey) -> Result<Option<Record>>;
    fn records(
        &self, app: &AppId, kind: RecordKind, prefix: &[u8], after: Option<&[u8]>, limit: u32
    ) -> Result<Vec<Record>>;
}

/// A [`StoreWrapper`] as a store.
pub struct Wrapped<W>(pub W);

impl<W> Deref for Wrapped<W> {
    type Target = W;

    fn deref(&self) -> &W {
        &self.0
    }
}
