//! Every bound of the index, in one place.

use model::AppId;
use std::{collections::BTreeSet, time::Duration};

/// What an operator says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The apps whose messages are indexed. With others than before, the index is made again.
    pub apps: BTreeSet<AppId>,
    /// How often the feed is looked at when nobody searches.
    pub look_every: Duration,
    /// How long a search waits for what was acknowledged before it and is not indexed yet.
    pub wait_for_fresh: Duration,
    /// Changes that are taken in between two commits.
    pub commit_changes: usize,
    /// Documents that one search may pass over.
    pub passed_documents: u64,
    /// The pause after something failed.
    pub retry_every: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            apps: BTreeSet::new(),
            look_every: Duration::from_millis(500),
            wait_for_fresh: Duration::from_secs(1),
            commit_changes: 50_000,
            passed_documents: 20_000_000,
            retry_every: Duration::from_secs(5),
        }
    }
}

/// Bytes that the writer may use before it writes a segment.
pub(crate) const WRITER_BYTES: usize = 32 << 20;
/// Segments up to this many documents are merged.
pub(crate) const MERGED_DOCUMENTS: usize = 5_000_000;
/// A level of segments of which more than this part is deleted is merged.
pub(crate) const DELETED_PART: f32 = 0.3;
/// Items of the feed that are read at once.
pub(crate) const FEED_ITEMS: u32 = 10_000;
/// Changes of a channel, messages of it, or channels, that are read at once.
pub(crate) const READ_AT_ONCE: u32 = 1_000;
/// Attempts at merging away what is to be erased: other merges may come in between.
pub(crate) const ERASE_ATTEMPTS: usize = 100;

/// Bytes of what somebody looks for.
pub(crate) const SOUGHT_BYTES: usize = 1_024;
/// Words and runs in what somebody looks for.
pub(crate) const SOUGHT_PARTS: usize = 16;
/// Letters that the last word needs to stand for every word that begins so.
pub(crate) const PREFIX_LETTERS: usize = 2;
/// Bytes of a folded word that count; what is longer is cut.
pub(crate) const WORD_BYTES: usize = 64;
/// Different words of one message that are indexed.
pub(crate) const MESSAGE_WORDS: usize = 10_000;
/// Bytes of a message's text that are looked through.
pub(crate) const MESSAGE_BYTES: usize = 256 << 10;
/// Bytes of a snippet before its first found word, and in all; about, as characters and words are not cut.
pub(crate) const SNIPPET_BEFORE: usize = 60;
pub(crate) const SNIPPET_BYTES: usize = 240;
