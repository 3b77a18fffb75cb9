//! Every bound of the edge, in one place.

use std::time::Duration;

/// Requests that one HTTP/2 connection may have open at a time.
pub(crate) const STREAMS_PER_CONNECTION: u32 = 128;
/// Sockets that the system may hold ready before they are accepted.
pub(crate) const BACKLOG: u32 = 1024;
/// Bytes of one request's head.
pub(crate) const HEAD_BYTES: usize = 64 << 10;
/// How long to wait after the system refused to accept (no file descriptors left) before trying again.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Bytes of a body that is too large which are read and thrown away, so that its sender reads the answer.
pub(crate) const DISCARDED_BYTES: usize = 32 << 20;
/// How long that may take.
pub(crate) const DISCARD_TIME: Duration = Duration::from_secs(5);
/// What a client that was refused for overload is told to wait, in seconds.
pub(crate) const RETRY_AFTER_SECONDS: &str = "1";
/// Characters of a request id that a client may choose.
pub(crate) const REQUEST_ID_BYTES: usize = 64;

/// The unit in which bodies are counted against their common bound.
pub(crate) const BODY_UNIT: usize = 1 << 10;

/// What an operator may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Sockets open at a time; one more is answered 503 and closed.
    pub connections: usize,
    /// Requests being answered at a time, streams that have begun not counted; one more is answered 503 at once.
    pub requests: usize,
    /// How long a socket may take to send the head of a request, its first or its next one.
    pub head_timeout: Duration,
    /// How long a request's body may take from its first to its last byte.
    pub body_timeout: Duration,
    /// How long a client may take no byte of an answer before its socket is closed.
    pub write_timeout: Duration,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Bytes of the bodies of all requests that are being answered; one that would cross it is answered 503 at once.
    pub bodies_bytes: usize,
    /// How long open requests get to end after a stop was asked for.
    pub stop_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            connections: 10_000,
            requests: 1_024,
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            body_bytes: 4 << 20,
            bodies_bytes: 256 << 20,
            stop_timeout: Duration::from_secs(5),
        }
    }
}
