//! The two small devices that a store stands on: a [`Log`] and a [`Table`]. On one machine they are files and an
//! embedded engine (`store-disk`), in tests they are memory that fails on purpose (`testkit`), in a cluster they are
//! a database. `testkit` has a contract suite for each; these doc comments are the contract.

use bytes::Bytes;
use model::Result;
use std::{ops::Range, sync::Arc};

/// One record of the log: a batch, encoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogRecord {
    /// The batch's number; consecutive in the log.
    pub batch: u64,
    /// The owner's epoch.
    pub epoch: u64,
    /// The tick that no id passes before a later record is durable (`store.md` §3).
    pub reserved: u64,
    /// How many changes the body holds.
    pub changes: u32,
    /// The changes, as `codec` encodes them. At most `model::limits::BATCH_BYTES` plus one message.
    pub body: Bytes,
}

/// An append-only sequence of records that survives power cuts. One thread uses it.
pub trait Log: Send + 'static {
    /// Appends one record: durable (synced) when this returns `Ok`. `record.batch` is the last one plus one.
    ///
    /// After [`AppendError::Unknown`] the log takes nothing more until [`Log::rewrite`] succeeded.
    fn append(&mut self, record: &LogRecord) -> Result<(), AppendError>;

    /// Reads every record with a number greater than `after`, in order, checked. Damage (anything but a torn end) is an
    /// error that names the file and the place. Called once, before anything is appended; [`Log::rewrite`] follows.
    fn replay(&mut self, after: u64, visit: &mut dyn FnMut(LogRecord) -> Result<()>) -> Result<()>;

    /// Replaces the log by exactly these records (consecutive; may be none, then the next append decides the number) in a
    /// fresh place, durable when it returns. What a failed sync left behind is never believed again. On an error the old
    /// log is still the valid one for a later start, and `rewrite` may be tried again.
    fn rewrite(&mut self, records: &mut dyn Iterator<Item = LogRecord>) -> Result<()>;

    /// Records up to this number are not needed any more. Space comes back in the background.
    fn free(&mut self, upto: u64);

    /// Whether every byte of records that were given back, by `free` or by `rewrite`, is overwritten.
    fn is_scrubbed(&self) -> bool;

    /// Bytes that the records which are still needed take, with padding.
    fn live_bytes(&self) -> u64;
}

/// Why a record was not appended.
#[derive(Debug)]
pub enum AppendError {
    /// Not one byte reached the system: the number is free.
    Refused(model::Error),
    /// It may be there or not.
    Unknown(model::Error),
}

/// Sorted keys and values in named spaces.
pub trait Table: Send + Sync + 'static {
    /// Writes rows, possibly in several spaces. After an error [`Table::recover`] comes before the next write. When it returns, all rows survive a power cut without any journal that
    /// could fail to open. After a crash inside it some of the rows may be there and others not: writing them again is
    /// harmless. Within one space either all rows of the call appear to a snapshot, or none. One thread writes at a time.
    fn write(&self, rows: &mut dyn Iterator<Item = SpaceRows>) -> Result<()>;

    /// A consistent view of everything that `write` calls which returned have written.
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>>;

    /// The spaces that exist.
    fn spaces(&self) -> Result<Vec<Space>>;

    /// Deletes a space whole; its bytes leave the device once no snapshot needs them.
    fn drop_space(&self, space: Space) -> Result<()>;

    /// Whether the device has no room: what was applied can still be written, nothing new should be.
    fn is_full(&self) -> bool;

    /// Keeps room back for the last writes to a full device, or does a piece of that; whether there is more to do at once.
    /// Called when nothing waits to be written.
    fn keep_room(&self) -> Result<bool>;

    /// Whether the table must be recovered, or should be: after an error every write fails until it was.
    fn needs_recovery(&self) -> bool;

    /// Makes the table take writes again. It takes the snapshots back: reads of them fail from then on. An error when it
    /// cannot be done yet. The thread that writes calls it.
    fn recover(&self) -> Result<()>;

    /// Writes a space anew without what was deleted or replaced and no open snapshot needs. Called again with no snapshot
    /// open from before the end of the first call, it leaves nothing of that on the device. The thread that writes calls
    /// it; it blocks until it is done.
    fn compact(&self, space: Space) -> Result<()>;

    /// Bytes on the device, and how far maintenance lags behind: for metrics and back-pressure.
    fn status(&self) -> TableStatus;
}

/// The rows of one space, by strictly growing key.
pub struct SpaceRows {
    /// Which space; made when it is not there.
    pub space: Space,
    /// Key and value; `None` deletes the key.
    pub rows: Vec<(Bytes, Option<Bytes>)>,
}

/// A consistent view of a table. Blocks; cheap to make; hold it for at most 10 s (`store.md` §2).
pub trait Snapshot: Send + Sync {
    /// The value of a key.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>>;

    /// Whether the table has taken it back: then every read of it fails.
    fn is_gone(&self) -> bool;

    /// The rows whose keys lie in `keys` (half open), by growing key, or by falling key when `reverse`. Lazy.
    fn range<'a>(&'a self, space: Space, keys: Range<Bytes>, reverse: bool) -> Rows<'a>;
}

/// Rows as a snapshot yields them.
pub type Rows<'a> = Box<dyn Iterator<Item = Result<(Bytes, Bytes)>> + 'a>;

/// What a table says about itself.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct TableStatus {
    /// Bytes on the device.
    pub bytes: u64,
    /// The greatest number of unmerged runs in any space: when it grows, writers should wait.
    pub runs_max: usize,
    /// Whether maintenance merges them.
    pub merges: bool,
}

/// A space of the table: one keyspace of the engine. All of them are listed here and told in
/// `docs/storage-format.md`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Space {
    /// Format version, checkpoint, counters.
    Meta,
    /// Channel names to numbers and heads; numbers to names.
    Channels,
    /// Messages in blocks, by channel number modulo [`BLOCK_SPACES`].
    Blocks(u8),
    /// Idempotency keys of one UTC day (days since the Unix epoch).
    Dedup(u32),
    /// Changes in short, of one UTC day.
    Feed(u32),
    /// Small named values.
    Records,
    /// New contents of messages.
    Edits,
    /// Which seqs of a channel went.
    Removed,
    /// Reactions to messages.
    Reactions,
    /// Messages by the time at which they are due to expire.
    Expiring,
    /// Messages by author and recipient.
    Lists,
    /// What happened to messages, by channel, of seven UTC days (weeks of days since the Unix epoch).
    Changes(u32),
}

/// How many spaces the blocks are spread over, so that a compaction touches a part.
pub const BLOCK_SPACES: u8 = 32;

impl Space {
    /// The name on the device.
    pub fn name(self) -> String {
        match self {
            Space::Meta => "meta".into(),
            Space::Channels => "channels".into(),
            Space::Blocks(part) => format!("blocks-{part:02}"),
            Space::Dedup(day) => format!("dedup-{day}"),
            Space::Feed(day) => format!("feed-{day}"),
            Space::Records => "records".into(),
            Space::Edits => "edits".into(),
            Space::Removed => "removed".into(),
            Space::Reactions => "reactions".into(),
            Space::Expiring => "expiring".into(),
            Space::Lists => "lists".into(),
            Space::Changes(week) => format!("changes-{week}"),
        }
    }

    /// The space with this name, if it is one of ours.
    pub fn from_name(name: &str) -> Option<Space> {
        let space = match name.split_once('-') {
            None => match name {
                "meta" => Space::Meta,
                "channels" => Space::Channels,
                "records" => Space::Records,
                "edits" => Space::Edits,
                "removed" => Space::Removed,
                "reactions" => Space::Reactions,
                "expiring" => Space::Expiring,
                "lists" => Space::Lists,
                _ => return None,
            },
            Some(("blocks", part)) => Space::Blocks(part.parse().ok().filter(|part| *part < BLOCK_SPACES)?),
            Some(("dedup", day)) => Space::Dedup(day.parse().ok()?),
            Some(("feed", day)) => Space::Feed(day.parse().ok()?),
            Some(("changes", week)) => Space::Changes(week.parse().ok()?),
            Some(_) => return None,
        };
        (space.name() == name).then_some(space)
    }
}
