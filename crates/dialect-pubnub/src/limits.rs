//! Every bound of this dialect that protects the server, in one place. What an operator may change is in
//! [`crate::Settings`]; these are fixed.

/// Bytes of path and query together, before percent-decoding (`protocols/pubnub.md` §4.3, the 414 answer). The
/// vendor's clients keep their request lines below 32,752 bytes; lists of 500 long names need more.
pub const REQUEST_LINE_BYTES: usize = 60 << 10;
/// Parameters of one query.
pub const QUERY_PARAMETERS: usize = 128;
/// Bytes of a message published in the path or by POST to `/publish` (§4.4).
pub const PUBLISH_BYTES: usize = 32 << 10;
/// Bytes of a message published to `/v2/publish` (§4.1).
pub const LARGE_PUBLISH_BYTES: usize = 2 << 20;
/// Bytes of a signal (§4.4).
pub const SIGNAL_BYTES: usize = 64;
/// Bytes of any other request body: grants, actions.
pub const BODY_BYTES: usize = 256 << 10;
/// Bytes of the publisher's `meta`.
pub const META_BYTES: usize = 32 << 10;
/// Bytes of the publisher's `ortt`.
pub const ORIGINATION_BYTES: usize = 128;
/// Channels and channel groups of one subscribe.
pub const SUBSCRIBE_ENTRIES: usize = 2_000;
/// Channels of one history fetch (§7.1).
pub const FETCH_CHANNELS: usize = 500;
/// Channels of one count (§7.4 has 100; more cost nothing here).
pub const COUNT_CHANNELS: usize = 500;
/// Characters of a JSONP callback (§1.4).
pub const CALLBACK_BYTES: usize = 64;

/// Bytes of a filter expression (§5.5).
pub const FILTER_BYTES: usize = 4 << 10;
/// How deep a filter expression may nest.
pub const FILTER_DEPTH: usize = 32;

/// Characters of an access token as sent (§11.3): it has to fit into a query.
pub const TOKEN_BYTES: usize = 32 << 10;
/// Bytes of one name pattern in a grant.
pub const PATTERN_BYTES: usize = 512;
/// Bytes that one compiled name pattern may take (`regex::RegexBuilder::size_limit`).
pub const PATTERN_COMPILED_BYTES: usize = 64 << 10;
/// How deep the `meta` of a grant may nest.
pub const GRANT_META_DEPTH: usize = 8;
/// How far the `timestamp` of a signed request may be from the server's clock, in seconds (§11.1).
pub const SIGNATURE_SECONDS: u64 = 60;
/// The longest life of a granted token in minutes (§11.2).
pub const TOKEN_MINUTES: u64 = 43_200;
/// Tokens whose permissions are kept ready; when there are more, all are forgotten.
pub const TOKENS_REMEMBERED: usize = 4_096;
/// Revoked tokens of one keyset that have not ended yet.
pub const REVOCATIONS: usize = 100_000;
/// Older grants of one keyset (§11.5).
pub const GRANTS: usize = 100_000;
/// Names of one kind in one older grant.
pub const GRANT_NAMES: usize = 200;
/// Bytes of a name in an older grant.
pub const GRANT_NAME_BYTES: usize = 512;
/// Bytes of an auth key of an older grant.
pub const AUTH_BYTES: usize = 256;

/// Channels added to or removed from a channel group by one call (§9).
pub const GROUP_CHANGES: usize = 500;
/// Groups that one look at the service names.
pub const GROUPS_PAGE: u32 = 1_000;
/// Groups in one answer.
pub const GROUPS_LISTED: usize = 10_000;

/// Actions in one listing (§8).
pub const ACTIONS_LISTED: u32 = 100;
/// Actions that one look at the service names.
pub const ACTIONS_PAGE: u32 = 1_000;
/// Actions in one fetch with actions, before the message that crosses the bound (§7.2); no message has more.
pub const ACTIONS_FETCHED: u32 = model::limits::REACTIONS_PER_MESSAGE as u32;
/// Pages read for one channel of a fetch that is filtered by author or type: each looks at 20,000 messages at most.
pub const FILTERED_PAGES: usize = 10;

/// Seconds after which a client that says nothing is gone, if it does not say how many (§5.1).
pub const HEARTBEAT_SECONDS: u64 = 300;
/// The longest and the shortest that it may say.
pub const HEARTBEAT_SECONDS_MOST: u64 = 3_600;
/// See [`HEARTBEAT_SECONDS_MOST`].
pub const HEARTBEAT_SECONDS_LEAST: u64 = 3;
/// Channels of one call about presence, those of its groups included.
pub const PRESENCE_CHANNELS: usize = 1_000;
/// Users listed for a channel if the caller does not say how many, and at most (§10).
pub const PRESENCE_LISTED: usize = 1_000;
