//! Every bound of this crate, in one place.

use std::time::Duration;

/// How the log uses its folder.
#[derive(Clone, Debug)]
pub struct FileLogSettings {
    /// Bytes in a segment; a multiple of 512. The greatest record must fit.
    pub segment_bytes: u64,
    /// How many segments may hold records that are still needed; when all are full, appends are refused.
    pub segments: usize,
    /// How many more files are kept ready, so that a rewrite finds a fresh place beside a full log.
    pub reserve: usize,
    /// How long an append that needs a new segment waits for the background to zero one.
    pub segment_patience: Duration,
    /// Go on although the log is damaged at this batch, without it and everything after it. The error that reports
    /// the damage tells the number, so that a setting left behind does not accept another loss.
    pub accept_loss: Option<u64>,
}

impl Default for FileLogSettings {
    fn default() -> FileLogSettings {
        FileLogSettings {
            segment_bytes: 64 << 20,
            segments: 8,
            reserve: 2,
            segment_patience: Duration::from_secs(5),
            accept_loss: None,
        }
    }
}

/// How the engine uses memory, threads and files.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Bytes of data blocks kept in memory.
    pub cache_bytes: u64,
    /// Threads that compact.
    pub worker_threads: usize,
    /// Table files kept open.
    pub open_files: usize,
}

impl Default for EngineSettings {
    fn default() -> EngineSettings {
        EngineSettings { cache_bytes: 32 << 20, worker_threads: 1, open_files: 256 }
    }
}

/// Bytes that are kept back for the flushes of a full disk: what the tails hold, four times, and 64 MiB (`store.md` §4).
pub(crate) const BALLAST_BYTES: u64 = 256 << 20;
/// The part of them that only the small writes may use which end a flush or a start.
pub(crate) const BALLAST_LAST_BYTES: u64 = 4 << 20;
/// Bytes of them that are written and synced at once, so that appends and flushes do not wait behind all of it.
pub(crate) const BALLAST_PIECE_BYTES: u64 = 4 << 20;
/// The pause before merging that gave up is tried again: the first one, and the longest.
pub(crate) const MERGE_PAUSE: Duration = Duration::from_secs(1);
pub(crate) const MERGE_PAUSE_MOST: Duration = Duration::from_secs(64);
/// Bytes in the body of a record: a full batch, the message that crossed the bound, and room for what surrounds them.
pub(crate) const RECORD_BODY_BYTES: usize = model::limits::BATCH_BYTES + (4 << 20);
/// The greatest segment.
pub(crate) const SEGMENT_BYTES_MOST: u64 = 1 << 30;
/// Segments that `super` can list.
pub(crate) const LISTED_SEGMENTS: usize = 64;
/// The greatest piece in which a freed segment is overwritten with zeros (`store.md` §1).
pub(crate) const ZERO_PIECE_BYTES: usize = 256 << 10;
/// How often a file that grows is synced while it is filled, so that appends do not wait behind all of it.
pub(crate) const CREATE_SYNC_BYTES: u64 = 4 << 20;
/// Bytes read at once while replaying.
pub(crate) const READ_PIECE_BYTES: usize = 1 << 20;
/// How long the background waits after an error before it tries again.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Files of a point, and how often a list of tables is read again that merging replaces while its files are linked.
pub(crate) const POINT_FILES: usize = 1_000_000;
pub(crate) const LINK_ATTEMPTS: usize = 100;
/// Bytes of a backup that are copied at once, and after which the copy is synced.
pub(crate) const COPY_PIECE_BYTES: usize = 256 << 10;
pub(crate) const COPY_SYNC_BYTES: u64 = 4 << 20;
