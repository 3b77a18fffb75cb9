//! The directory's things in JSON. Ids go out as texts, because many readers of JSON lose digits of large numbers; they
//! come in either way.

use crate::{
    directory::{Community, Directory, Group, Override, Permissions, User},
    error::{Answer, Refusal},
    limits,
};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// An id, as a number or a text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Id(pub u64);

/// What `PUT users/{id}` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutUser {
    pub name: String,
    pub username: Option<String>,
    #[serde(default)]
    pub bot: bool,
    pub email: Option<String>,
    /// As it was if not given.
    pub password: Option<String>,
}

/// What `PUT communities/{id}` takes. Channels, roles and members stay.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutCommunity {
    pub name: String,
    pub owner: Id,
    /// What every member may do; to see, to send and to react if not given.
    pub everyone: Option<Permissions>,
}

/// What `PUT communities/{id}/channels/{id}` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutChannel {
    pub name: String,
    #[serde(default)]
    pub category: bool,
    pub alias: Option<String>,
    /// By role; 0 is everyone.
    #[serde(default)]
    pub overrides: BTreeMap<u64, Override>,
}

/// What `PUT communities/{id}/roles/{id}` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutRole {
    pub name: String,
    pub permissions: Permissions,
}

/// What `PUT communities/{id}/members/{user}` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutMember {
    #[serde(default)]
    pub roles: BTreeSet<Id>,
    pub nickname: Option<String>,
}

/// What `PUT groups/{id}` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutGroup {
    pub name: String,
    pub members: BTreeSet<Id>,
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let id = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        id.map(Id).ok_or_else(|| D::Error::custom("an id is a number or a text of digits"))
    }
}

/// A user, without what must not be shown.
pub fn user(user: &User) -> Value {
    json!({
        "id": user.id.to_string(),
        "name": user.name,
        "username": user.username,
        "bot": user.bot,
        "email": user.email,
        "configured": user.configured,
    })
}

/// A page of users, by id.
pub fn users(directory: &Directory, query: Option<&str>) -> Answer<Value> {
    let after = match query.map(|query| query.strip_prefix("after=").unwrap_or("?")) {
        None => 0,
        Some(after) => after.parse().map_err(|_| Refusal::invalid("after: the id of a user is needed"))?,
    };
    let users: Vec<Value> = directory.users_after(after).take(limits::LISTED).map(user).collect();
    Ok(json!({ "users": users }))
}

/// A community with its channels, roles and the first of its members.
pub fn community(community: &Community, directory: &Directory) -> Value {
    let channels = community.channels.iter().map(|(id, channel)| {
        json!({
            "id": id.to_string(),
            "name": channel.name,
            "category": channel.category,
            "alias": channel.alias,
            "overrides": channel.overrides,
        })
    });
    let roles = community
        .roles
        .iter()
        .map(|(id, role)| json!({"id": id.to_string(), "name": role.name, "permissions": role.permissions}));
    let members = directory.members(community.id).take(limits::LISTED).map(|(id, member)| {
        let roles: Vec<String> = member.roles.iter().map(u64::to_string).collect();
        json!({
            "id": id.to_string(),
            "roles": roles,
            "nickname": member.nickname,
            "configured": member.configured,
        })
    });
    json!({
        "id": community.id.to_string(),
        "name": community.name,
        "owner": community.owner.to_string(),
        "everyone": community.everyone,
        "channels": channels.collect::<Vec<_>>(),
        "roles": roles.collect::<Vec<_>>(),
        "members": members.collect::<Vec<_>>(),
        "configured": community.configured,
    })
}

/// A group.
pub fn group(group: &Group) -> Value {
    let members: Vec<String> = group.members.iter().map(u64::to_string).collect();
    json!({
        "id": group.id.to_string(),
        "name": group.name,
        "members": members,
        "configured": group.configured,
    })
}
