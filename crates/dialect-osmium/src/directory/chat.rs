//! Chats: what a client means by a `ChatRef`, where its messages are kept, and how each side sees it
//! (`protocols/osmium.md` §4).

use super::{Directory, GROUPS, Permissions};
use crate::{
    error::{Answer, Refusal},
    wire::{self, ChatRef, chat_ref::Ref},
};
use model::ChannelName;

/// How the names of a direct chat begin. No user id of another dialect holds a slash at this place and is taken for one
/// of the directory's.
const DIRECT_PREFIX: &str = "osmium/";

/// A chat of a realm.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Chat {
    /// Of two users, the smaller id first; of one with itself, its saved messages.
    Direct(u64, u64),
    /// A channel of a community.
    Channel {
        /// The community.
        community: u64,
        /// The channel.
        channel: u64,
    },
    /// A group.
    Group(u64),
}

impl Chat {
    /// The chat of two users.
    pub fn direct(a: u64, b: u64) -> Chat {
        Chat::Direct(a.min(b), a.max(b))
    }

    /// The direct chat that is kept under these two names.
    pub fn of_direct(a: &str, b: &str) -> Option<Chat> {
        let id = |name: &str| name.strip_prefix(DIRECT_PREFIX)?.parse::<u64>().ok();
        Some(Chat::direct(id(a)?, id(b)?))
    }

    /// As this user refers to it: a direct chat by the other side.
    pub fn seen_by(self, user: u64) -> ChatRef {
        let r#ref = match self {
            Chat::Direct(low, high) if low == high => Ref::Self_(wire::SelfRef {}),
            Chat::Direct(low, high) => Ref::User(wire::UserRef { user_id: if low == user { high } else { low } }),
            Chat::Channel { community, channel } => {
                Ref::Channel(wire::ChannelRef { community_id: community, channel_id: channel })
            }
            Chat::Group(group_id) => Ref::Group(wire::GroupRef { group_id }),
        };
        ChatRef { r#ref: Some(r#ref) }
    }

    /// Its name in the names of records.
    pub fn key(self) -> String {
        match self {
            Chat::Direct(low, high) => format!("direct/{low}/{high}"),
            Chat::Channel { community, channel } => format!("channel/{community}/{channel}"),
            Chat::Group(group) => format!("group/{group}"),
        }
    }

    /// The community whose channel it is.
    pub fn community(self) -> Option<u64> {
        match self {
            Chat::Channel { community, .. } => Some(community),
            Chat::Direct(..) | Chat::Group(_) => None,
        }
    }
}

impl Directory {
    /// The chat that a user means, if it may see it. What it may not know of is not found (§8).
    pub fn chat(&self, user: u64, chat_ref: Option<&ChatRef>) -> Answer<Chat> {
        let Some(r#ref) = chat_ref.and_then(|chat_ref| chat_ref.r#ref.as_ref()) else {
            return Err(Refusal::invalid("chat_ref: it names no chat"));
        };
        match r#ref {
            Ref::Self_(_) => Ok(Chat::direct(user, user)),
            Ref::User(other) if self.user(other.user_id).is_some() => Ok(Chat::direct(user, other.user_id)),
            Ref::User(_) => Err(Refusal::not_found("user")),
            Ref::Group(group) => {
                let chat = Chat::Group(group.group_id);
                if self.may(user, chat, Permissions::NONE) { Ok(chat) } else { Err(Refusal::not_found("group")) }
            }
            Ref::Channel(place) => self.channel_chat(user, place.community_id, place.channel_id),
        }
    }

    fn channel_chat(&self, user: u64, community: u64, channel: u64) -> Answer<Chat> {
        let found = self.community(community).filter(|found| self.belongs(user, found));
        let entry = found.and_then(|found| found.channels.get(&channel)).ok_or(Refusal::not_found("channel"))?;
        let chat = Chat::Channel { community, channel };
        if !self.may(user, chat, Permissions::NONE) {
            return Err(Refusal::forbidden("the channel may not be seen"));
        }
        if entry.category {
            return Err(Refusal::invalid("chat_ref: a category holds no messages"));
        }
        Ok(chat)
    }

    /// Where the messages of a chat are kept.
    pub fn channel_name(&self, chat: Chat) -> ChannelName {
        match chat {
            Chat::Direct(low, high) => {
                ChannelName::direct(&format!("{DIRECT_PREFIX}{low}"), &format!("{DIRECT_PREFIX}{high}"))
            }
            Chat::Group(group) => ChannelName::Member(GROUPS, group),
            Chat::Channel { community, channel } => {
                let alias = self.channel(community, channel).and_then(|found| found.alias.as_ref());
                let named = alias.and_then(|alias| ChannelName::named(alias).ok());
                named.unwrap_or(ChannelName::Member(community, channel))
            }
        }
    }
}
