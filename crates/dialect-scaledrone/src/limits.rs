//! Every bound of this dialect, in one place. What an operator may change is in [`crate::Settings`]; these are fixed.

use std::time::Duration;

/// What the vendor lets a subscriber ask for (`protocols/scaledrone.md` §1).
pub const VENDOR_HISTORY_MESSAGES: u32 = 100;
/// How long the vendor keeps a message.
pub const VENDOR_HISTORY_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// The most that a setting may allow in one subscribe or one page.
pub const HISTORY_MESSAGES: u32 = 1000;

/// Bytes of a message, by default: three times the 10 KB that clients keep to (`protocols/scaledrone.md` §8).
pub const MESSAGE_BYTES: usize = 32 << 10;
/// Bytes of an inbound frame beside its message: names, a token, client data.
pub const ENVELOPE_BYTES: usize = 32 << 10;
/// Bytes of a callback that is sent back.
pub const CALLBACK_BYTES: usize = 256;
/// Bytes of `client_data`, and of the `data` of a token: both are sent to every member of an observable room.
pub const MEMBER_DATA_BYTES: usize = 8 << 10;
/// Nesting of a message or of member data.
pub const JSON_DEPTH: usize = 100;

/// Bytes of a token.
pub const TOKEN_BYTES: usize = 24 << 10;
/// Keys in the permissions of a token.
pub const PERMISSION_KEYS: usize = 100;
/// Bytes of one such key.
pub const PERMISSION_KEY_BYTES: usize = 512;
/// Steps that matching one key may take where it needs backtracking.
pub const BACKTRACK_STEPS: usize = 10_000;
/// Bytes that one compiled key may take.
pub const COMPILED_KEY_BYTES: usize = 64 << 10;
/// Rooms whose rights a connection remembers.
pub const REMEMBERED_RIGHTS: usize = 128;

/// Rooms of one connection.
pub const ROOMS_PER_CONNECTION: usize = 256;
/// Bytes of one frame that lists the members of an observable room.
pub const MEMBER_LIST_BYTES: usize = 4 << 20;
/// Joins and leaves that wait for one connection.
pub const MEMBER_EVENTS: usize = 1024;
/// Ids of ended connections that are remembered for their tokens.
pub const DEPARTED_CLIENTS: usize = 10_000;

/// Publishes of one connection that are handed over at once.
pub const PUBLISH_BATCH: usize = 64;
/// Rooms in one REST publish.
pub const REST_ROOMS: usize = 100;

/// Connections of one Scaledrone channel, by default.
pub const CONNECTIONS: usize = 50_000;
/// How long the client id of an ended connection is good for its tokens, by default.
pub const RECONNECT_WITHIN: Duration = Duration::from_secs(60);
/// For the body of a REST publish to come in whole.
pub const BODY_WITHIN: Duration = Duration::from_secs(30);
/// Bytes of a socket's read buffer: it is there for as long as the socket, so it is small.
pub const SOCKET_READ_BUFFER: usize = 2 << 10;
/// Bytes of frames that are gathered before they are written.
pub const SOCKET_WRITE_BUFFER: usize = 16 << 10;
