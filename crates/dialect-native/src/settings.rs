//! Every bound of the native API, in one place.

use std::time::Duration;

/// Brackets inside one another in a payload or in `meta`.
pub(crate) const JSON_DEPTH: usize = 128;
/// Messages in the answer to a search, if the request does not say, and at most.
pub(crate) const FOUND_MESSAGES: u64 = 20;
pub(crate) const FOUND_MESSAGES_MOST: u64 = 100;
/// Messages in a page, if the request does not say.
pub(crate) const DEFAULT_LIMIT: u64 = 100;
/// Channels in one answer of the list.
pub(crate) const LISTED_CHANNELS: u64 = 1_000;
/// Characters of a cursor, a position or a limit in a query that are shown back in an error.
pub(crate) const SHOWN_CHARACTERS: usize = 40;

/// Entries in one answer of the other lists: groups, grants, erasures, users of a channel.
pub(crate) const LISTED: u64 = 1_000;
/// Ids in one request that deletes messages.
pub(crate) const DELETED_IDS: usize = 10_000;
/// Rights, and patterns of channels, in one grant.
pub(crate) const GRANT_CHANNELS: usize = 100;
/// Grants whose rights are kept in memory.
pub(crate) const CACHED_GRANTS: usize = 10_000;
/// How long a client is taken to be on a channel that does not say its own timeout.
pub(crate) const PRESENCE_TIMEOUT: Duration = Duration::from_secs(60);
/// The connection of a user that names none.
pub(crate) const CONNECTION: &str = "default";

/// What an operator may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bounds of a request's body.
    pub body: edge::body::Bounds,
    /// Messages in one request that publishes an array.
    pub publish_messages: usize,
    /// Messages in one page.
    pub page_messages: u32,
    /// Channels and patterns in one stream.
    pub stream_channels: usize,
    /// Channels in one request that reads or counts many.
    pub many_channels: usize,
    /// Bytes of messages in one answer that reads many.
    pub many_bytes: usize,
    /// Time after which a request that reads or counts many begins nothing more.
    pub many_time: Duration,
    /// How often a stream without news sends a comment, so that nobody between takes it for dead.
    pub heartbeat: Duration,
    /// How long a reader is told to wait before it opens a broken stream again.
    pub retry: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        let edge = edge::Settings::default();
        Settings {
            body: edge::body::Bounds { bytes: edge.body_bytes, time: edge.body_timeout },
            publish_messages: 1_000,
            page_messages: 1_000,
            stream_channels: 1_000,
            many_channels: 1_000,
            many_bytes: 4 << 20,
            many_time: Duration::from_secs(5),
            heartbeat: Duration::from_secs(15),
            retry: Duration::from_secs(2),
        }
    }
}
