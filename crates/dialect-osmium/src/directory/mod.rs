//! Who and what there is in a realm: users, communities with channels and roles, groups. The words and the look-ups;
//! who may what is in `access`, how it is kept in `records`, how it is changed in `admin`.

pub mod access;
pub mod admin;
pub mod chat;
pub mod password;
pub mod records;
pub mod tokens;

pub use access::Permissions;
pub use chat::Chat;

use crate::{limits, wire};
use model::ChannelName;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The community number under which groups have their channels; no community has it.
pub const GROUPS: u64 = 0;
/// Ids from here on stand for authors that no directory knows, so a directory gives out none of them.
pub const STRANGERS: u64 = 1 << 63;

/// A directory at one moment.
#[derive(Clone, Default, Debug)]
pub struct Directory {
    users: BTreeMap<u64, User>,
    usernames: HashMap<String, u64>,
    emails: HashMap<String, u64>,
    communities: BTreeMap<u64, Community>,
    members: BTreeMap<(u64, u64), Member>,
    groups: BTreeMap<u64, Group>,
    aliases: HashMap<ChannelName, BTreeSet<(u64, u64)>>,
}

/// A user. What is kept of a password and the generation of its tokens is never shown.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct User {
    /// 1 to 2^63 - 1.
    pub id: u64,
    /// What is shown.
    pub name: String,
    /// What `@name` in a text means; unique, in lower case.
    pub username: Option<String>,
    /// Whether it is a program.
    #[serde(default)]
    pub bot: bool,
    /// Signs in with it; unique, in lower case.
    pub email: Option<String>,
    /// Signs in with it.
    pub password: Option<password::Hashed>,
    /// Tokens of older generations do not count any more.
    #[serde(default)]
    pub generation: u64,
    /// Given by the configuration, which alone changes it.
    #[serde(skip)]
    pub configured: bool,
}

/// A community: channels, and roles that say who may do what in them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Community {
    /// From 1.
    pub id: u64,
    /// What is shown.
    pub name: String,
    /// May do everything.
    pub owner: u64,
    /// What every member may do.
    pub everyone: Permissions,
    /// Its channels.
    pub channels: BTreeMap<u64, Channel>,
    /// Its roles.
    pub roles: BTreeMap<u64, Role>,
    /// Given by the configuration, which alone changes it.
    #[serde(skip)]
    pub configured: bool,
}

/// A channel of a community.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Channel {
    /// What is shown.
    pub name: String,
    /// A heading over channels: nothing can be sent to it.
    #[serde(default)]
    pub category: bool,
    /// Its messages are those of this channel with a name in the clear, which other dialects reach too.
    pub alias: Option<String>,
    /// What roles may do here more or less; role 0 is everyone.
    #[serde(default)]
    pub overrides: BTreeMap<u64, Override>,
}

/// What a role may do in a channel more or less than elsewhere.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize, Deserialize)]
pub struct Override {
    /// More.
    #[serde(default)]
    pub allow: Permissions,
    /// Less; what is allowed as well is allowed.
    #[serde(default)]
    pub deny: Permissions,
}

/// A role of a community.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Role {
    /// What is shown.
    pub name: String,
    /// What its holders may do.
    pub permissions: Permissions,
}

/// A user's place in a community.
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
pub struct Member {
    /// Roles held.
    #[serde(default)]
    pub roles: BTreeSet<u64>,
    /// Shown instead of the name.
    pub nickname: Option<String>,
    /// Given by the configuration, which alone changes it.
    #[serde(skip)]
    pub configured: bool,
}

/// Some users with a chat of their own.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Group {
    /// From 1.
    pub id: u64,
    /// What is shown.
    pub name: String,
    /// Who is in it.
    pub members: BTreeSet<u64>,
    /// Given by the configuration, which alone changes it.
    #[serde(skip)]
    pub configured: bool,
}

/// One thing of a directory, as it is kept and replaced.
#[derive(Clone, PartialEq, Debug)]
pub enum Entry {
    /// A user.
    User(User),
    /// A community with its channels and roles.
    Community(Community),
    /// A user's place in a community.
    Member(u64, u64, Member),
    /// A group.
    Group(Group),
}

/// Which thing of a directory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Key {
    /// A user.
    User(u64),
    /// A community.
    Community(u64),
    /// A user (second) of a community (first).
    Member(u64, u64),
    /// A group.
    Group(u64),
}

impl Entry {
    /// Which thing it is.
    pub fn key(&self) -> Key {
        match self {
            Entry::User(user) => Key::User(user.id),
            Entry::Community(community) => Key::Community(community.id),
            Entry::Member(community, user, _) => Key::Member(*community, *user),
            Entry::Group(group) => Key::Group(group.id),
        }
    }
}

impl Directory {
    /// A user.
    pub fn user(&self, id: u64) -> Option<&User> {
        self.users.get(&id)
    }

    /// The user whom `@name` means.
    pub fn user_named(&self, username: &str) -> Option<&User> {
        self.users.get(self.usernames.get(&username.to_lowercase())?)
    }

    /// The user who signs in with this email.
    pub fn user_with_email(&self, email: &str) -> Option<&User> {
        self.users.get(self.emails.get(&email.to_lowercase())?)
    }

    /// Users by id, those after one.
    pub fn users_after(&self, after: u64) -> impl Iterator<Item = &User> {
        self.users.range(after.saturating_add(1)..).map(|(_, user)| user)
    }

    /// How many users there are.
    pub fn user_count(&self) -> usize {
        self.users.len()
    }

    /// A community.
    pub fn community(&self, id: u64) -> Option<&Community> {
        self.communities.get(&id)
    }

    /// All communities.
    pub fn communities(&self) -> impl Iterator<Item = &Community> {
        self.communities.values()
    }

    /// A channel of a community.
    pub fn channel(&self, community: u64, channel: u64) -> Option<&Channel> {
        self.communities.get(&community)?.channels.get(&channel)
    }

    /// A user's place in a community.
    pub fn member(&self, community: u64, user: u64) -> Option<&Member> {
        self.members.get(&(community, user))
    }

    /// Who is in a community.
    pub fn members(&self, community: u64) -> impl Iterator<Item = (u64, &Member)> {
        self.members.range((community, 0)..=(community, u64::MAX)).map(|((_, user), member)| (*user, member))
    }

    /// The communities and groups that a user is in.
    pub fn places_of(&self, user: u64) -> Vec<Key> {
        let communities = self.communities.keys().filter(|id| self.members.contains_key(&(**id, user)));
        let groups = self.groups.values().filter(|group| group.members.contains(&user));
        communities.map(|id| Key::Member(*id, user)).chain(groups.map(|group| Key::Group(group.id))).collect()
    }

    /// A group.
    pub fn group(&self, id: u64) -> Option<&Group> {
        self.groups.get(&id)
    }

    /// The channels with a name in the clear that hold messages of communities.
    pub fn aliases(&self) -> impl Iterator<Item = &ChannelName> {
        self.aliases.keys()
    }

    /// The chats whose messages are in a channel.
    pub fn chats_in(&self, name: &ChannelName) -> Vec<Chat> {
        match name {
            ChannelName::Named(_) => {
                let places = self.aliases.get(name).into_iter().flatten();
                places.map(|(community, channel)| Chat::Channel { community: *community, channel: *channel }).collect()
            }
            ChannelName::Member(GROUPS, group) => vec![Chat::Group(*group)],
            ChannelName::Member(community, channel) => {
                vec![Chat::Channel { community: *community, channel: *channel }]
            }
            ChannelName::Direct(low, high) => Chat::of_direct(low, high).into_iter().collect(),
        }
    }

    /// As clients see a user; one that is gone keeps its id under a placeholder name (§5.6).
    pub fn shown_user(&self, id: u64) -> wire::User {
        match self.users.get(&id) {
            Some(user) => wire::User {
                id,
                name: user.name.clone(),
                username: user.username.clone(),
                bot: user.bot,
                ..Default::default()
            },
            None => wire::User { id, name: "Deleted user".to_owned(), ..Default::default() },
        }
    }

    /// Puts an entry in the place of what was there under its key.
    pub fn put(&mut self, entry: Entry) {
        self.remove(entry.key());
        match entry {
            Entry::User(user) => {
                if let Some(username) = &user.username {
                    self.usernames.insert(username.clone(), user.id);
                }
                if let Some(email) = &user.email {
                    self.emails.insert(email.clone(), user.id);
                }
                self.users.insert(user.id, user);
            }
            Entry::Community(community) => {
                for (channel, name) in aliases_of(&community) {
                    self.aliases.entry(name).or_default().insert((community.id, channel));
                }
                self.communities.insert(community.id, community);
            }
            Entry::Member(community, user, member) => {
                self.members.insert((community, user), member);
            }
            Entry::Group(group) => {
                self.groups.insert(group.id, group);
            }
        }
    }

    /// Takes out what is under a key. Memberships are entries of their own and stay.
    pub fn remove(&mut self, key: Key) {
        match key {
            Key::User(id) => {
                if let Some(user) = self.users.remove(&id) {
                    user.username.map(|username| self.usernames.remove(&username));
                    user.email.map(|email| self.emails.remove(&email));
                }
            }
            Key::Community(id) => {
                let Some(community) = self.communities.remove(&id) else { return };
                for (channel, name) in aliases_of(&community) {
                    if let Some(places) = self.aliases.get_mut(&name) {
                        places.remove(&(id, channel));
                        if places.is_empty() {
                            self.aliases.remove(&name);
                        }
                    }
                }
            }
            Key::Member(community, user) => {
                self.members.remove(&(community, user));
            }
            Key::Group(id) => {
                self.groups.remove(&id);
            }
        }
    }
}

/// Whether a text can be the name of something in a directory.
pub fn check_name(name: &str) -> Result<(), String> {
    match name.trim().is_empty() || name.len() > limits::NAME_BYTES || name.contains('\0') {
        true => Err(format!("1 to {} bytes", limits::NAME_BYTES)),
        false => Ok(()),
    }
}

fn aliases_of(community: &Community) -> impl Iterator<Item = (u64, ChannelName)> {
    let aliased = community.channels.iter().filter_map(|(id, channel)| Some((*id, channel.alias.as_ref()?)));
    // What is no name was refused when the channel was put; a record from elsewhere is passed over.
    aliased.filter_map(|(id, alias)| Some((id, ChannelName::named(alias).ok()?)))
}
