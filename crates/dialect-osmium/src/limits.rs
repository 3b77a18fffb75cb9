//! Every bound of this dialect, in one place.

use std::time::Duration;

/// The largest frame that is taken (`protocols/osmium.md` §1); a larger one closes the connection with 1009.
pub const FRAME_BYTES: usize = 4 << 20;
/// What is still read of a frame that is too large: a client whose bytes are left unread sees a broken connection
/// instead of the close that says why.
pub const READ_BYTES: usize = 2 * FRAME_BYTES;
/// Bytes of an encoded page, so that it stays under the 1 MiB that clients take (§5.5).
pub const PAGE_BYTES: usize = 900 << 10;
/// Bytes of the text of one message that is shown: one of another dialect may be longer, and is cut.
pub const SHOWN_TEXT_BYTES: usize = 512 << 10;
/// Messages of a page, at most (§5.2).
pub const PAGE_MESSAGES: u32 = 100;
/// Messages of a page, if the call does not say (§5.2).
pub const DEFAULT_PAGE_MESSAGES: u32 = 50;

/// UTF-16 units in the text of a message (§6).
pub const TEXT_UNITS: usize = 4_000;
/// Entities of one message.
pub const ENTITIES: usize = 500;
/// Media of one message.
pub const MEDIA: usize = 10;
/// Bytes of an address, a title or a name inside a message.
pub const SHORT_TEXT_BYTES: usize = 2_048;
/// Messages named in one call that deletes or forwards.
pub const NAMED_MESSAGES: usize = 100;
/// Bytes of a reaction's emoji.
pub const EMOJI_BYTES: usize = 64;
/// Pinned messages of a chat.
pub const PINS: usize = 500;
/// Messages that are looked through for unread mentions, the newest first.
pub const MENTION_SCAN: u32 = 1_000;
/// Users shown with a reaction (§5.6).
pub const REACTION_PREVIEWS: usize = 5;

/// Updates that wait for one connection; one more and it is cut off as too slow.
pub const QUEUED_UPDATES: usize = 256;
/// Bytes of what waits for one connection, before the update that crosses the bound.
pub const QUEUED_BYTES: usize = 4 << 20;
/// Connections of one realm.
pub const CONNECTIONS: usize = 50_000;
/// Chats of one realm that are channels with a name in the clear.
pub const ALIASES: usize = 900;
/// Read marks of one realm that are kept in memory.
pub const KEPT_MARKS: usize = 100_000;
/// Chats of one realm whose pins are kept in memory.
pub const KEPT_PINS: usize = 10_000;

/// From the upgrade, or a refused token, to a good token.
pub const AUTHORIZE_WITHIN: Duration = Duration::from_secs(30);
/// How long a refused client may go on (§3).
pub const REFUSED_FOR: Duration = Duration::from_secs(10);
/// Tokens and passwords that one connection may show in vain.
pub const REFUSALS: u32 = 5;
/// Between two pings; who sent nothing for two of them is gone.
pub const PING_EVERY: Duration = Duration::from_secs(45);
/// For writing what is due to a client: who takes longer is cut off.
pub const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// For a client to answer a close before its connection is cut.
pub const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// Between two attempts to follow a realm's chats again.
pub const FOLLOW_AGAIN: Duration = Duration::from_secs(1);
/// Bytes of a socket's read buffer: it is there for as long as the socket, so it is small.
pub const SOCKET_READ_BUFFER: usize = 2 << 10;
/// Bytes of frames that are gathered before they are written.
pub const SOCKET_WRITE_BUFFER: usize = 16 << 10;

/// Passwords that are checked at once, over all realms: each takes 19 MiB and some milliseconds.
pub const PASSWORD_CHECKS: usize = 4;
/// Bytes of the body of a call of the directory's HTTP API.
pub const BODY_BYTES: usize = 64 << 10;
/// How long such a body may take.
pub const BODY_WITHIN: Duration = Duration::from_secs(30);
/// Entries in one answer of the directory's HTTP API.
pub const LISTED: usize = 1_000;
/// Records of the directory that are read at once.
pub const RECORDS: u32 = 1_000;
/// Users of a directory, configured ones not counted.
pub const USERS: usize = 1_000_000;
/// Bytes of a name, a nickname, an email or a password.
pub const NAME_BYTES: usize = 256;
/// Channels of a community.
pub const CHANNELS: usize = 200;
/// Roles of a community.
pub const ROLES: usize = 100;
/// Members of a group.
pub const GROUP_MEMBERS: usize = 500;
