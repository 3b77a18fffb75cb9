//! What the service asks of a store. The doc comments are the contract; one suite in `testkit` holds every
//! implementation to it, and `testkit::MemoryStore` is its plainest reading.
//!
//! All calls block: the service makes them from threads that may. Reads see whole batches or nothing of them.

use crate::{
    AppId, Batch, Change, ChangesPage, Channel, ChannelEntry, ChannelName, ChannelNumber, Due, Error, FeedPage, Head,
    Id, Order, Page, Position, Reaction, ReactionAt, ReactionEntry, Record, RecordKey, RecordKind, Removal, Result,
    Selection, SelectionPage, SelectionWindow, Seq, Span, Target, UserId, Version, Window,
};
use std::{fmt, sync::Arc, time::Duration};

/// A set of lanes with one log, one sequencer and one owner. One machine has one shard, number 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct ShardId(pub u16);

/// Keeps history.
///
/// **Order.** For one shard, `apply` and `settle` are called by one thread, one at a time; all other calls come from
/// any thread at any time. A read that starts after an `apply` returned sees that batch.
///
/// **There.** A message is *there* from its [`crate::What::Published`] until it is among the seqs of a removal or at or
/// below the floor. One that is due stays there until its [`crate::What::Expired`] is applied; calls that take a `now`
/// hide it earlier. A message that is not there is told by nothing but [`Page::removed`], [`Store::feed`],
/// [`Store::recent`] and [`Store::keyed`]; seqs and heads never go back.
///
/// **Stands.** A reaction *stands* until it is taken back, its message is removed, or the floor is at or above its
/// message's id. One to an id that names no message stands like others; one to a message that is gone never does.
pub trait Store: Send + Sync + 'static {
    /// Makes one batch happen: durable (it survives a power cut) and visible when this returns `Ok`. `batch.number`
    /// is the last one plus one; the last batch again, with the same content, is a no-op, also after a restart. Any other
    /// number, and the last one with other content, is refused.
    ///
    /// After [`ApplyError::Refused`] nothing was written and the number is free. After [`ApplyError::Unknown`] the batch
    /// may or may not have happened, no read shows it, and every further `apply` fails until [`Store::settle`] decided.
    fn apply(&self, batch: &Batch) -> Result<(), ApplyError>;

    /// Whether what makes the store larger should be applied now: an error, to be told to callers, while the device is
    /// full. What removes, ends or records something is applied all the same. Cheap; it does not block.
    fn room(&self) -> Result<()>;

    /// Decides what is there: after an unknown outcome, at start, and for a new owner. What is there becomes durable
    /// before this returns, and stays decided; a batch in doubt may be found, be finished now, or be given up. Errors leave everything as it was; the caller tries again later.
    fn settle(&self, shard: ShardId, epoch: u64) -> Result<Settled>;

    /// The newest stored changes that are still in memory, oldest first, at most about `bytes` of them, without a hole
    /// between the first and the last: what refills the recent ring after a start. Everything stored after the returned
    /// id is among the changes.
    fn recent(&self, shard: ShardId, bytes: usize) -> Result<(Id, Vec<Arc<Change>>)>;

    /// The heads of some channels, in the order asked; [`Head::default`] for one that has nothing stored.
    fn heads(&self, channels: &[Channel]) -> Result<Vec<Head>>;

    /// One page of a channel (see [`Page`] for what it promises); its messages have their newest content. With [`Effort::Memory`], `None` if the answer is not
    /// all in memory. An unknown channel is an empty page. Costs are those of the page, never of the channel or of the
    /// depth; a window with `author` or `custom_type` examines a bounded number of messages and then says `more`.
    fn read(&self, channel: &Channel, window: &Window, effort: Effort) -> Result<Option<Page>>;

    /// How many messages of a span, of those with a seq greater than `above`, are there and not due at position `now`:
    /// exact, at any size.
    fn count(&self, channel: &Channel, span: Span, above: Seq, now: Id) -> Result<u64>;

    /// Part of a selection over all channels of an app, direct chats among them: the messages that are there and not due at
    /// the window's `now`, in the order of their ids. A page ends early, after the message that crosses
    /// [`crate::limits::PAGE_BYTES`]. What it costs depends on the page, neither on the offset nor on what others wrote,
    /// once the app's messages are indexed and removals are worked in; until then it may cost a look at every message, and
    /// is [`crate::ErrorKind::Unavailable`] when that takes too long.
    fn select(&self, app: &AppId, selection: &Selection, window: &SelectionWindow) -> Result<SelectionPage>;

    /// How many messages of a span a selection has that are there and not due at position `now`: exact, always what the
    /// pages of [`Store::select`] have together. The same holds for its costs.
    fn count_selected(&self, app: &AppId, selection: &Selection, span: Span, now: Id) -> Result<u64>;

    /// What a removal of `target` would take: the messages that are there and not due at position `now`, in the form in
    /// which the sequencer logs them, by nobody. [`crate::ErrorKind::TooLarge`] when it would need more than
    /// [`crate::limits::REMOVAL_RANGES`] ranges.
    fn removable(&self, channel: &Channel, target: &Target, now: Id) -> Result<Removal>;

    /// The position of the newest message that is there, has at least `keep` messages above it that are there, and whose
    /// id is at most `upto`: where a floor would go for retention by count or by age. [`Position::NONE`] if nowhere.
    fn floor_for(&self, channel: &Channel, keep: u64, upto: Id) -> Result<Position>;

    /// Every content that a message has had, oldest first: the published one and each edit that was not taken back; empty if
    /// it is not there.
    fn versions(&self, channel: &Channel, message: Id) -> Result<Vec<Version>>;

    /// Reactions to the messages of a span that are there, by message id, then by the reaction's id; the first `limit`
    /// of those behind `after`. Those to ids that name no message are left out.
    fn reactions(
        &self,
        channel: &Channel,
        messages: Span,
        after: Option<ReactionAt>,
        limit: u32,
    ) -> Result<Vec<ReactionEntry>>;

    /// Whether it is known without blocking that no reaction stands in this channel: may be called on a reactor thread.
    /// "No" may as well mean that nobody knows.
    fn lacks_reactions(&self, channel: &Channel) -> Result<bool> {
        let _ = channel;
        Ok(false)
    }

    /// What stands at a message that is there, if all of it is in memory, as it is of recent messages: never blocks, may be
    /// called on a reactor thread. With `reaction`, also what there is to know before that one is made or taken back. `None`
    /// may as well mean that nobody knows.
    fn at_hand(&self, channel: &Channel, message: Id, reaction: Option<&Reaction>) -> Result<Option<AtHand>> {
        let _ = (channel, message, reaction);
        Ok(None)
    }

    /// Reactions that stand and whose own ids lie in `span`, at most `limit` from the end that `order` names, by growing
    /// id whatever the order: also those to ids that name no message.
    fn reactions_made(&self, channel: &Channel, span: Span, order: Order, limit: u32) -> Result<Vec<ReactionEntry>>;

    /// The id of the reaction of this user to this message with this kind and value, if it stands.
    fn reaction(&self, channel: &Channel, reaction: &Reaction) -> Result<Option<Id>>;

    /// Edits, removals, floors, reactions and their being taken back, of a channel after a position, as they were stored,
    /// oldest first, at most `limit`. Edits that were taken back, and those of messages that are not there, are left out;
    /// all else stays, whatever became of its message.
    fn changes(&self, channel: &Channel, after: Id, limit: u32) -> Result<ChangesPage>;

    /// Messages that are there and due at `now`, those due earliest, at most `limit` in all; one entry for each channel,
    /// in any order.
    fn due(&self, shard: ShardId, now: Id, limit: u32) -> Result<Vec<Due>>;

    /// Gives back bytes of what was removed, for at most about `budget` of work: drops what lies below floors, rewrites
    /// what lost much. Says whether there is more to do. It changes no answer, but that [`Store::recent`] may reach back
    /// less far.
    fn sweep(&self, budget: Duration) -> Result<bool>;

    /// Makes sure that no byte is left on the device of the messages of these channels that were removed, of their edits
    /// and reactions that were taken back, and of records that were replaced or deleted: rewrites blocks whatever they
    /// lost, drops the change feeds of the channels, compacts, and overwrites the log that held it all. Returns when it is
    /// so; doing it again, or for a channel of which nothing was removed, does no harm. It changes no answer, but that
    /// [`Store::recent`] and the channels' change feeds may reach back less far.
    fn erase(&self, channels: &[Channel]) -> Result<()>;

    /// What was published in this channel under this idempotency key on the UTC day of `now` or the day before, whatever
    /// became of it.
    fn keyed(&self, channel: &Channel, key_hash: u128, now: Id) -> Result<Option<Keyed>>;

    /// What was stored in `span` over all channels of the shard, oldest first, at most `limit` items.
    fn feed(&self, shard: ShardId, span: Span, limit: u32) -> Result<FeedPage>;

    /// Channels of an app with a name in the clear that begins with `prefix`, in byte order of their names, those after
    /// `after`, at most `limit`.
    fn channels(&self, app: &AppId, prefix: &str, after: Option<&ChannelName>, limit: u32)
    -> Result<Vec<ChannelEntry>>;

    /// All channels of an app, whatever their names are: those in the clear in byte order, then all others in an order that
    /// does not change; those after `after`, at most `limit`.
    fn all_channels(&self, app: &AppId, after: Option<&ChannelName>, limit: u32) -> Result<Vec<ChannelEntry>>;

    /// One record.
    fn record(&self, key: &RecordKey) -> Result<Option<Record>>;

    /// Records of a kind whose names begin with `prefix`, in byte order, those after `after`, at most `limit`.
    fn records(
        &self,
        app: &AppId,
        kind: RecordKind,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<Record>>;
}

/// How far a read may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effort {
    /// Only what is in memory: never blocks, may be called on a reactor thread.
    Memory,
    /// Whatever it takes.
    Disk,
}

/// What [`Store::settle`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Settled {
    /// The newest batch that happened; 0 in an empty store.
    pub last_batch: u64,
    /// The greatest id of a stored change.
    pub last_id: Id,
    /// Ticks up to this one may have been given out, stored or not: ids go on above it.
    pub reserved: u64,
    /// The greatest channel number given out.
    pub last_number: ChannelNumber,
}

/// What is remembered of a keyed publish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keyed {
    /// The id that the first publish got.
    pub id: Id,
    /// Its seq.
    pub seq: Seq,
    /// What was published: see [`crate::IdempotencyKey::payload_hash`].
    pub payload_hash: u64,
}

/// What [`Store::at_hand`] knows of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AtHand {
    /// The number of its channel.
    pub number: ChannelNumber,
    /// The newest position of its channel.
    pub last: Position,
    /// The message's seq.
    pub seq: Seq,
    /// Who wrote it.
    pub author: Option<UserId>,
    /// When it is due.
    pub expires_at: Option<Id>,
    /// The id of the same reaction, if one was asked about and stands.
    pub reaction: Option<Id>,
    /// How many reactions the message has, if one was asked about.
    pub reactions: u64,
}

/// Why a batch was not applied.
#[derive(Debug)]
pub enum ApplyError {
    /// Provably nothing was written; the number may be used again.
    Refused(Error),
    /// It may be there or not: only [`Store::settle`] can tell.
    Unknown(Error),
}

impl ApplyError {
    /// The cause.
    pub fn error(&self) -> &Error {
        match self {
            ApplyError::Refused(error) | ApplyError::Unknown(error) => error,
        }
    }
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApplyError::Refused(error) => write!(f, "refused: {error}"),
            ApplyError::Unknown(error) => write!(f, "outcome unknown: {error}"),
        }
    }
}
