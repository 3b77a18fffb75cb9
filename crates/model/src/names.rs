//! Names, checked once at the edge and then carried as types: an unchecked string cannot reach a store.
//! All of them are cheap to clone and bounded (`limits`).

use crate::{Error, Result, limits};
use std::{fmt, sync::Arc};

/// A tenant: what PubNub calls a keyset, Scaledrone a channel, Agora a project, Osmium a realm.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(Arc<str>);

impl AppId {
    /// 1 to [`limits::APP_ID_BYTES`] characters of `a-z A-Z 0-9 - _`.
    pub fn new(text: &str) -> Result<AppId> {
        let fits = (1..=limits::APP_ID_BYTES).contains(&text.len());
        if !fits || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(Error::invalid(format!("app: 1 to {} characters of a-z A-Z 0-9 - _", limits::APP_ID_BYTES)));
        }
        Ok(AppId(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a channel inside an app.
///
/// Every string that a caller sends becomes [`ChannelName::Named`] and nothing else; the other two are made only
/// from a directory and from peer messages, so no string can reach a direct chat or a community.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChannelName {
    /// A name in the clear: what the dialects' strings yield.
    Named(Arc<str>),
    /// A channel of a community in a directory: (community, channel).
    Member(u64, u64),
    /// The chat of two users of a directory, or of one user with itself; the smaller name first.
    Direct(Arc<str>, Arc<str>),
}

impl ChannelName {
    /// A name in the clear: 1 to [`limits::CHANNEL_NAME_BYTES`] bytes of UTF-8 without NUL.
    pub fn named(text: &str) -> Result<ChannelName> {
        if text.is_empty() {
            return Err(Error::invalid("channel: the name is empty"));
        }
        if text.len() > limits::CHANNEL_NAME_BYTES {
            return Err(Error::invalid(format!(
                "channel: the name has {} bytes, the limit is {}",
                text.len(),
                limits::CHANNEL_NAME_BYTES
            )));
        }
        if text.contains('\0') {
            return Err(Error::invalid("channel: the name holds a NUL character"));
        }
        Ok(ChannelName::Named(text.into()))
    }

    /// The chat between two users, the same whichever is named first.
    pub fn direct(a: &str, b: &str) -> ChannelName {
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        ChannelName::Direct(low.into(), high.into())
    }

    /// The text of a name in the clear.
    pub fn as_named(&self) -> Option<&str> {
        match self {
            ChannelName::Named(text) => Some(text),
            ChannelName::Member(..) | ChannelName::Direct(..) => None,
        }
    }
}

/// A channel of an app: the full address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Channel {
    /// The tenant.
    pub app: AppId,
    /// The channel inside it.
    pub name: ChannelName,
}

/// The number of a channel inside its shard, given out by the sequencer at the channel's first stored change and
/// logged with it; never used twice. 0 means "none yet": a channel that only had live changes has no number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct ChannelNumber(pub u64);

impl ChannelNumber {
    /// Not numbered yet.
    pub const NONE: ChannelNumber = ChannelNumber(0);
}

/// Which door said who the user is. Two doors never mean the same person by the same id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Origin {
    /// A key of the native API.
    Native = 1,
    /// PubNub's `uuid`.
    Pubnub = 2,
    /// Scaledrone's client id.
    Scaledrone = 3,
    /// Agora's user id.
    Agora = 4,
    /// A user of the Osmium directory.
    Osmium = 5,
}

impl Origin {
    /// Every origin.
    pub const ALL: [Origin; 5] = [Origin::Native, Origin::Pubnub, Origin::Scaledrone, Origin::Agora, Origin::Osmium];

    /// The origin with this stored number.
    pub fn from_number(number: u8) -> Option<Origin> {
        Some(match number {
            1 => Origin::Native,
            2 => Origin::Pubnub,
            3 => Origin::Scaledrone,
            4 => Origin::Agora,
            5 => Origin::Osmium,
            _ => return None,
        })
    }
}

/// Who wrote or did something.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId {
    /// Who said so.
    pub origin: Origin,
    /// The user's id in that origin's spelling.
    pub id: Arc<str>,
    /// Whether a token or a signature proved it. A self-asserted user never becomes a directory's user.
    pub verified: bool,
}

impl UserId {
    /// A user id of 1 to [`limits::USER_ID_BYTES`] bytes without NUL.
    pub fn new(origin: Origin, id: &str, verified: bool) -> Result<UserId> {
        if id.is_empty() || id.len() > limits::USER_ID_BYTES || id.contains('\0') {
            return Err(Error::invalid(format!("user id: 1 to {} bytes without NUL", limits::USER_ID_BYTES)));
        }
        Ok(UserId { origin, id: id.into(), verified })
    }
}

/// Whose messages are meant: all users of an id, or some of them.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Author {
    /// The user's id.
    pub id: Arc<str>,
    /// Only who came through this door; none for any.
    pub origin: Option<Origin>,
    /// Only who was proved, or only who was not; none for either.
    pub verified: Option<bool>,
}

impl Author {
    /// This very user.
    pub fn exactly(user: &UserId) -> Author {
        Author { id: user.id.clone(), origin: Some(user.origin), verified: Some(user.verified) }
    }

    /// This user, whether or not it was proved who it is: the person behind an id of one door.
    pub fn person(user: &UserId) -> Author {
        Author { verified: None, ..Author::exactly(user) }
    }

    /// Whether a user is meant.
    pub fn is(&self, user: &UserId) -> bool {
        self.id == user.id
            && self.origin.is_none_or(|origin| origin == user.origin)
            && self.verified.is_none_or(|verified| verified == user.verified)
    }
}

/// What sort of record: the first part of a record's key. Stored as a number; numbers are never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum RecordKind {
    /// A setting of the app that was changed at runtime.
    Setting = 1,
    /// A grant of rights.
    Grant = 2,
    /// A member of a group of channels, one record each.
    GroupMember = 3,
    /// An entry of the directory.
    Directory = 4,
    /// How far a user has read a channel.
    ReadMark = 5,
    /// A legal hold.
    Hold = 6,
    /// An erasure in progress, or its receipt.
    Erasure = 7,
    /// A note that something which is good once was used.
    Spent = 8,
}

impl RecordKind {
    /// The kind with this stored number.
    pub fn from_number(number: u8) -> Option<RecordKind> {
        Some(match number {
            1 => RecordKind::Setting,
            2 => RecordKind::Grant,
            3 => RecordKind::GroupMember,
            4 => RecordKind::Directory,
            5 => RecordKind::ReadMark,
            6 => RecordKind::Hold,
            7 => RecordKind::Erasure,
            8 => RecordKind::Spent,
            _ => return None,
        })
    }
}

/// The address of a small named value of an app.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RecordKey {
    /// The tenant.
    pub app: AppId,
    /// What sort of record.
    pub kind: RecordKind,
    /// The name within the kind: 1 to [`limits::RECORD_NAME_BYTES`] bytes; scans go by its prefix.
    pub name: Arc<[u8]>,
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{:?}{}", self.origin, self.id, if self.verified { "" } else { "?" })
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChannelName::Named(text) => f.write_str(text),
            ChannelName::Member(community, channel) => write!(f, "member {community}/{channel}"),
            ChannelName::Direct(a, b) => write!(f, "direct {a}/{b}"),
        }
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_clean() {
        assert!(ChannelName::named("").is_err());
        assert!(ChannelName::named("a\0b").is_err());
        assert!(ChannelName::named(&"x".repeat(limits::CHANNEL_NAME_BYTES + 1)).is_err());
        assert!(ChannelName::named("room/ä 🎉").is_ok());
        assert!(AppId::new("demo").is_ok());
        assert!(AppId::new("de/mo").is_err());
        assert!(AppId::new("").is_err());
        assert!(UserId::new(Origin::Native, "", true).is_err());
    }

    #[test]
    fn a_direct_chat_has_one_name() {
        assert_eq!(ChannelName::direct("bob", "ann"), ChannelName::direct("ann", "bob"));
    }
}
