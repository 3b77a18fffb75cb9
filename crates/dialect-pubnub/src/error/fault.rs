//! What exactly is wrong, where a refusal says more than its kind.

use std::borrow::Cow;

/// What of a call is not permitted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Denied {
    /// Channels, as named in the call.
    pub channels: Vec<String>,
    /// Channel groups, without their colon.
    pub groups: Vec<String>,
}

/// What is wrong with a signature or a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proof {
    /// Too far from the server's time, or no time.
    Timestamp,
    /// Does not match the request.
    Signature,
    /// No signature where one is needed.
    Missing,
    /// Not a token of this server and keyset.
    InvalidToken,
    /// Its time is over.
    ExpiredToken,
    /// It was revoked.
    RevokedToken,
    /// Granted to another user.
    OtherUser,
}

/// What is wrong with a grant or a revocation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GrantFault {
    /// `grant` or `revoke`.
    pub source: &'static str,
    /// In short.
    pub message: &'static str,
    /// In long.
    pub detail: Cow<'static, str>,
    /// The field.
    pub location: &'static str,
    /// `body` or `path`.
    pub location_type: &'static str,
}

/// What is wrong with a message action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ActionFault {
    /// This user already did exactly this.
    AlreadyAdded,
    /// A field of the body is missing or no string.
    Field(&'static str),
    /// The body is not JSON.
    Body,
    /// Somebody else's.
    WrongUser,
    /// There is none.
    NotFound,
}

impl Proof {
    /// In the vendor's words.
    pub fn message(self) -> &'static str {
        match self {
            Proof::Timestamp => "Invalid Timestamp",
            Proof::Signature => "Invalid Signature",
            Proof::Missing => "Forbidden",
            Proof::InvalidToken => "Invalid token",
            Proof::ExpiredToken => "Token is expired",
            Proof::RevokedToken => "Token is revoked",
            Proof::OtherUser => "Token is not authorized for this user",
        }
    }
}

impl ActionFault {
    /// In the vendor's words.
    pub fn message(self) -> &'static str {
        match self {
            ActionFault::AlreadyAdded => "Action Already Added",
            ActionFault::Field(_) | ActionFault::Body => "Request payload contained invalid input.",
            ActionFault::WrongUser => "Not deleting message action: wrong uuid specified",
            ActionFault::NotFound => "No matching message actions to delete",
        }
    }
}
