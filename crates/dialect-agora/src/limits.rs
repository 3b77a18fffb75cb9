//! Every bound of this dialect that protects the server, in one place. What an operator may change is in
//! [`crate::Settings`]; these are fixed.

use std::time::Duration;

/// Bytes of a request's body: the largest payload with every character escaped, and its fields.
pub const BODY_BYTES: usize = 256 << 10;
/// For the body of a request to come in whole.
pub const BODY_WITHIN: Duration = Duration::from_secs(30);

/// Characters of a user id and of a channel's name where a message is sent (`protocols/agora-rtm.md` §4).
pub const NAME_CHARACTERS: usize = 64;
/// Bytes of a payload, as UTF-8 (§4.1).
pub const PAYLOAD_BYTES: usize = 32 << 10;

/// Messages in one page (§3.1), and of one answer of the 2.x history.
pub const PAGE_MESSAGES: u32 = 100;
/// Messages that a page of the 2.x history reads beyond its own, to see where the next one begins: so many may share a
/// microsecond, which has ten ticks.
pub const PAGE_OVERHANG: u32 = 10;
/// Messages in one page, if the caller does not say how many.
pub const DEFAULT_PAGE_MESSAGES: u32 = 20;

/// Characters of a handle: a query with the two longest names, each byte of which may take six characters in it, sealed.
pub const HANDLE_BYTES: usize = 12 << 10;
/// The shortest life of an unread handle that an operator may set (§3.2).
pub const HANDLE_LIFE_LEAST: Duration = Duration::from_secs(600);
/// The longest.
pub const HANDLE_LIFE_MOST: Duration = Duration::from_secs(86_400);
/// Notes of used handles that are cleared away in one go.
pub const CLEARED_NOTES: u32 = 1_000;
/// The pause between two rounds of clearing them away.
pub const CLEARING_EVERY: Duration = Duration::from_secs(60);

/// Events of one kind in one answer (§5).
pub const EVENTS_ANSWERED: usize = 1_000;
/// Events of one kind that are kept for an app; more push out the oldest.
pub const EVENTS_KEPT: usize = 2_000;
/// The pause before events are collected again after that failed.
pub const COLLECT_AGAIN: Duration = Duration::from_secs(1);

/// Requests in a second for each of the history calls, for an app, by default (§3.5).
pub const HISTORY_RATE: u32 = 100;
/// The same for both sending calls together (§4).
pub const SEND_RATE: u32 = 500;
/// The same for each kind of events (§5).
pub const EVENTS_RATE: u32 = 10;
