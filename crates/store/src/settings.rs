//! Every bound of the store, in one place: settings with defaults, and constants that the disk format relies on.

use model::AppId;
use std::{collections::BTreeSet, time::Duration};

/// What an operator, or a test, may change. Times are real time: they bound waits, they decide nothing.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Resident bytes at which the active tail is frozen and flushed (`store.md` §4). Active and frozen together stay
    /// within twice this and one batch.
    pub tail_bytes: usize,
    /// Bytes of log at which the active tail is frozen: twice this must fit the files that a log keeps ready beside those
    /// in use, so that a start on a full device can write the log anew.
    pub tail_log_bytes: u64,
    /// Changes at which the active tail is frozen.
    pub tail_changes: usize,
    /// How long `apply` waits for a flush when both tails are full, before it refuses.
    pub stall_wait: Duration,
    /// Bytes of rows that a flush gathers before it writes them.
    pub piece_bytes: usize,
    /// Unmerged runs of the table above which a flush waits for the engine's maintenance.
    pub runs_max: usize,
    /// The longest such wait; then the flush goes on all the same.
    pub runs_wait: Duration,
    /// Days of the feed that are kept, beside the newest.
    pub feed_days: usize,
    /// Bytes of feed that are always kept; above them the feed may take a twentieth of the blocks.
    pub feed_bytes_min: u64,
    /// Apps whose messages are listed by author and recipient; none leaves it as it is. Selections of other apps look at
    /// every message. An app that comes in later is caught up on by maintenance; until that is done its selections do so,
    /// too. The lists of one that is left out are discarded.
    pub indexed_apps: Option<BTreeSet<AppId>>,
    /// Weeks of the channels' change feeds that are kept, the newest among them: five are 28 days at least.
    pub changes_weeks: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            tail_bytes: 48 << 20,
            tail_log_bytes: 64 << 20,
            tail_changes: 500_000,
            stall_wait: Duration::from_secs(5),
            piece_bytes: 8 << 20,
            runs_max: 24,
            runs_wait: Duration::from_secs(10),
            feed_days: 7,
            feed_bytes_min: 64 << 20,
            indexed_apps: None,
            changes_weeks: 5,
        }
    }
}

/// How long a read waits for the next view when the table took its snapshot back.
pub(crate) const SNAPSHOT_WAIT: Duration = Duration::from_secs(2);
/// How often a table that is to come to rest is flushed again because the next flush was begun and cut short.
pub(crate) const REST_ATTEMPTS: u32 = 5;
/// How often the flush looks after the table when there is nothing to flush.
pub(crate) const TABLE_POLL: Duration = Duration::from_secs(1);
/// Channels of which a snapshot's facts are kept in memory.
pub(crate) const FACTS_CACHED: usize = 65_536;
/// Edits of one message that a page passes over one by one before it seeks.
pub(crate) const EDITS_PASSED: usize = 32;
/// The longest that one sweep keeps a flush waiting.
pub(crate) const SWEEP_AT_MOST: Duration = Duration::from_secs(1);
/// How often an erasure looks whether what it waits for has happened, and how long it waits at most.
pub(crate) const ERASE_POLL: Duration = Duration::from_millis(5);
pub(crate) const ERASE_WAIT: Duration = Duration::from_secs(60);
/// Settled entries of the index of due times that one flush takes from a channel.
pub(crate) const DUE_SETTLED: usize = 50_000;
/// The longest that one exact scan of a selection may take; a view is held no longer.
pub(crate) const SCAN_AT_MOST: Duration = Duration::from_secs(10);
/// Messages removed by one tail that readers of lists look up; with more, they look at every message of their list.
pub(crate) const GONE_MAX: u64 = 16_384;
/// Seqs that a walk passes over before it seeks.
pub(crate) const PICK_GAP: u64 = 1024;
/// Messages that maintenance takes out of lists, or puts in, at a time.
pub(crate) const LISTED_AT_ONCE: usize = 8_192;
/// A page jumps over removed messages when at least so many lie side by side.
pub(crate) const JUMP_FROM: u64 = 256;
/// The feed may take one part in this many of the bytes written as blocks.
pub(crate) const FEED_SHARE: u64 = 20;
/// Messages in a full block; no block spans a multiple of it.
pub(crate) const BLOCK_MESSAGES: i64 = 128;
/// The smaller border: blocks of fewer messages are merged when a flush crosses a multiple of it.
pub(crate) const SMALL_MESSAGES: i64 = 8;
/// Raw bytes of contents after which a block ends.
pub(crate) const BLOCK_RAW_BYTES: usize = 128 << 10;
/// A message with more bytes than this has a block to itself.
pub(crate) const LONE_MESSAGE_BYTES: usize = 64 << 10;
/// The most bytes that the content of one message can have: payload, extras, names and what frames them.
pub(crate) const CONTENT_BYTES_MAX: usize =
    model::limits::PAYLOAD_BYTES + model::limits::EXTRAS_BYTES + 2 * model::limits::USER_ID_BYTES + 256;
/// The most bytes that the key of a channel or a record can have.
pub(crate) const NAME_BYTES_MAX: usize = 2048;
/// Messages that a filtered page looks at before it says `more`.
pub(crate) const EXAMINED_MAX: usize = 20_000;
/// Entries of a channel that a read copies out of a tail at a time.
pub(crate) const TAIL_CHUNK: usize = 256;
/// Items in one row of the feed.
pub(crate) const FEED_ROW_ITEMS: usize = 256;
/// Items in one page of the feed, whatever was asked.
pub(crate) const FEED_PAGE_ITEMS: u32 = 100_000;
/// Entries in one page of a listing, whatever was asked.
pub(crate) const LISTING_MAX: u32 = 10_000;
/// Channel names in each of the two generations of the name cache.
pub(crate) const NAMES_CACHED: usize = 65_536;
