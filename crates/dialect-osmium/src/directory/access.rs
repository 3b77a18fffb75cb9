//! Who may do what: permission bits, and what roles and channels make of them (`protocols/osmium.md` §4).

use super::{Chat, Community, Directory};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{fmt, ops::BitOr};

/// A set of permissions, as the bits of the wire. In JSON a list of names.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(pub u64);

impl Permissions {
    /// Nothing.
    pub const NONE: Permissions = Permissions(0);
    /// Passes every check.
    pub const ADMINISTRATOR: Permissions = Permissions(1);
    /// To see a channel and read its history.
    pub const VIEW_CHANNEL: Permissions = Permissions(2);
    /// To send.
    pub const SEND_MESSAGES: Permissions = Permissions(4);
    /// To send media.
    pub const SEND_MEDIA: Permissions = Permissions(32);
    /// To delete what others sent.
    pub const DELETE_MESSAGES: Permissions = Permissions(64);
    /// To pin.
    pub const PIN_MESSAGES: Permissions = Permissions(128);
    /// To react.
    pub const ADD_REACTIONS: Permissions = Permissions(4096);
    /// Every permission.
    pub const ALL: Permissions = Permissions(u64::MAX);
    /// What members may do in a community that does not say.
    pub const MEMBER: Permissions = Permissions(2 | 4 | 32 | 4096);

    const NAMES: [(Permissions, &str); 7] = [
        (Permissions::ADMINISTRATOR, "ADMINISTRATOR"),
        (Permissions::VIEW_CHANNEL, "VIEW_CHANNEL"),
        (Permissions::SEND_MESSAGES, "SEND_MESSAGES"),
        (Permissions::SEND_MEDIA, "SEND_MEDIA"),
        (Permissions::DELETE_MESSAGES, "DELETE_MESSAGES"),
        (Permissions::PIN_MESSAGES, "PIN_MESSAGES"),
        (Permissions::ADD_REACTIONS, "ADD_REACTIONS"),
    ];

    /// Whether all of `other` are among these.
    pub fn contains(self, other: Permissions) -> bool {
        self.0 & other.0 == other.0
    }

    /// The permission with this name.
    pub fn named(name: &str) -> Option<Permissions> {
        Permissions::NAMES.iter().find(|(_, known)| *known == name).map(|(permission, _)| *permission)
    }

    fn with(self, over: super::Override) -> Permissions {
        Permissions(self.0 & !over.deny.0 | over.allow.0)
    }
}

impl BitOr for Permissions {
    type Output = Permissions;

    fn bitor(self, other: Permissions) -> Permissions {
        Permissions(self.0 | other.0)
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let held = Permissions::NAMES.iter().filter(|(permission, _)| self.contains(*permission));
        serializer.collect_seq(held.map(|(_, name)| name))
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Permissions, D::Error> {
        let mut permissions = Permissions::NONE;
        for name in Vec::<String>::deserialize(deserializer)? {
            let found = Permissions::named(&name);
            let permission = found.ok_or_else(|| D::Error::custom(format_args!("{name:?} is not a permission")))?;
            permissions = permissions | permission;
        }
        Ok(permissions)
    }
}

impl Directory {
    /// What a user may do in a chat: nothing if it is not its own, or not there.
    pub fn permissions(&self, user: u64, chat: Chat) -> Permissions {
        match chat {
            Chat::Direct(low, high) if user == low || user == high => Permissions::ALL,
            Chat::Direct(..) => Permissions::NONE,
            Chat::Group(id) => match self.group(id).is_some_and(|group| group.members.contains(&user)) {
                true => Permissions::ALL,
                false => Permissions::NONE,
            },
            Chat::Channel { community, channel } => match self.community(community) {
                Some(found) => self.in_community(user, found, channel),
                None => Permissions::NONE,
            },
        }
    }

    /// Whether a user may do this in a chat. Who may not see it may do nothing.
    pub fn may(&self, user: u64, chat: Chat, needed: Permissions) -> bool {
        self.permissions(user, chat).contains(needed | Permissions::VIEW_CHANNEL)
    }

    /// Whether a user belongs to a community: what is there may be known to it.
    pub fn belongs(&self, user: u64, community: &Community) -> bool {
        community.owner == user || self.member(community.id, user).is_some()
    }

    /// The owner passes every check; so do administrators. Else: what everyone may, the roles' on top, then what the
    /// channel says of everyone, then what it says of the roles together: an allowed one wins over a denied one.
    fn in_community(&self, user: u64, community: &Community, channel: u64) -> Permissions {
        let Some(channel) = community.channels.get(&channel) else { return Permissions::NONE };
        if community.owner == user {
            return Permissions::ALL;
        }
        let Some(member) = self.member(community.id, user) else { return Permissions::NONE };
        let held = member.roles.iter().filter(|id| community.roles.contains_key(id));
        let roles = held.clone().map(|id| community.roles[id].permissions);
        let base = roles.fold(community.everyone, BitOr::bitor);
        if base.contains(Permissions::ADMINISTRATOR) {
            return Permissions::ALL;
        }
        let everyone = channel.overrides.get(&0).copied().unwrap_or_default();
        let over = held.filter_map(|id| channel.overrides.get(id)).fold(super::Override::default(), |sum, over| {
            super::Override { allow: sum.allow | over.allow, deny: sum.deny | over.deny }
        });
        base.with(everyone).with(over)
    }
}
