//! What each call of the directory's HTTP API changes.

use super::shapes::{self, PutChannel, PutCommunity, PutGroup, PutMember, PutRole, PutUser};
use crate::{
    directory::{
        self, Channel, Community, Directory, Entry, Group, Key, Member, Permissions, Role, User, password::Hashed,
    },
    error::{Answer, Refusal},
    limits,
    realm::{Realm, Step},
};
use model::ChannelName;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

impl Realm {
    /// Answers with the user and the token that it comes in with.
    pub(super) async fn put_user(&self, id: u64, put: PutUser) -> Answer<Value> {
        check_name("name", &put.name)?;
        let username = put.username.map(|name| username(&name)).transpose()?;
        let email = put.email.map(|email| email_address(&email)).transpose()?;
        let password = match put.password {
            Some(password) => Some(hashed(password).await?),
            None => None,
        };
        let put = (put.name, username, put.bot, email, password);
        self.change(|directory| {
            let (name, username, bot, email, password) = put;
            let before = changeable(directory, id)?;
            if before.is_none() && directory.user_count() >= limits::USERS {
                return Err(Refusal::invalid(format!("users: at most {}", limits::USERS)));
            }
            let other = |found: Option<&User>| found.is_some_and(|user| user.id != id);
            if username.as_ref().is_some_and(|name| other(directory.user_named(name))) {
                return Err(conflict("username: another user has it"));
            }
            if email.as_ref().is_some_and(|email| other(directory.user_with_email(email))) {
                return Err(conflict("email: another user has it"));
            }
            let password = password.or_else(|| before?.password.clone());
            // A user that is deleted and comes back must not find its old tokens in force.
            let generation = before.map_or_else(|| rand::random::<u64>() >> 1, |user| user.generation);
            let user = User { id, name, username, bot, email, password, generation, configured: false };
            Ok(vec![Step::Put(Entry::User(user))])
        })
        .await?;
        self.user_with_token(id)
    }

    pub(super) async fn renew_token(&self, id: u64) -> Answer<Value> {
        self.change(|directory| {
            let mut user = changeable(directory, id)?.ok_or(Refusal::not_found("user"))?.clone();
            user.generation += 1;
            Ok(vec![Step::Put(Entry::User(user))])
        })
        .await?;
        self.user_with_token(id)
    }

    fn user_with_token(&self, id: u64) -> Answer<Value> {
        let directory = self.directory();
        let user = directory.user(id).ok_or(Refusal::not_found("user"))?;
        let mut value = shapes::user(user);
        value["token"] = json!(self.token_of(user));
        Ok(value)
    }

    /// With its places in communities and groups.
    pub(super) async fn delete_user(&self, id: u64) -> Answer<Value> {
        self.change(|directory| {
            changeable(directory, id)?.ok_or(Refusal::not_found("user"))?;
            if directory.communities().any(|community| community.owner == id) {
                return Err(conflict("the user owns a community; give it another owner first"));
            }
            let places = directory.places_of(id).into_iter().filter_map(|place| match place {
                Key::Group(group) => {
                    let mut group = directory.group(group)?.clone();
                    group.members.remove(&id);
                    Some(Step::Put(Entry::Group(group)))
                }
                other => Some(Step::Remove(other)),
            });
            Ok(places.chain([Step::Remove(Key::User(id))]).collect())
        })
        .await?;
        Ok(json!({}))
    }

    pub(super) async fn put_community(&self, id: u64, put: PutCommunity) -> Answer<Value> {
        check_name("name", &put.name)?;
        self.change(|directory| {
            let owner = put.owner.0;
            directory.user(owner).ok_or(Refusal::invalid("owner: there is no such user"))?;
            let before = changeable_community(directory, id)?;
            let (channels, roles) = before
                .map_or_else(|| (BTreeMap::new(), BTreeMap::new()), |old| (old.channels.clone(), old.roles.clone()));
            let everyone = put.everyone.or(before.map(|old| old.everyone)).unwrap_or(Permissions::MEMBER);
            let community = Community { id, name: put.name, owner, everyone, channels, roles, configured: false };
            let mut steps = vec![Step::Put(Entry::Community(community))];
            if directory.member(id, owner).is_none() {
                steps.push(Step::Put(Entry::Member(id, owner, Member::default())));
            }
            Ok(steps)
        })
        .await?;
        self.show_community(id)
    }

    /// Its members first: what is left if that breaks off can be deleted again.
    pub(super) async fn delete_community(&self, id: u64) -> Answer<Value> {
        self.change(|directory| {
            changeable_community(directory, id)?.ok_or(Refusal::not_found("community"))?;
            let members = directory.members(id).map(|(user, _)| Step::Remove(Key::Member(id, user)));
            Ok(members.chain([Step::Remove(Key::Community(id))]).collect())
        })
        .await?;
        Ok(json!({}))
    }

    pub(super) async fn put_channel(&self, id: u64, channel: u64, put: PutChannel) -> Answer<Value> {
        check_name("name", &put.name)?;
        if let Some(alias) = &put.alias {
            ChannelName::named(alias)
                .map_err(|error| Refusal::invalid(error.message.replacen("channel", "alias", 1)))?;
        }
        self.change_community(id, |directory, community| {
            let is_new = !community.channels.contains_key(&channel);
            if is_new && community.channels.len() >= limits::CHANNELS {
                return Err(Refusal::invalid(format!("channels: at most {}", limits::CHANNELS)));
            }
            if put.alias.is_some() && directory.aliases().count() >= limits::ALIASES {
                return Err(Refusal::invalid(format!("alias: at most {} in one app", limits::ALIASES)));
            }
            if put.overrides.keys().any(|role| *role != 0 && !community.roles.contains_key(role)) {
                return Err(Refusal::invalid("overrides: one is for a role that is not there"));
            }
            let PutChannel { name, category, alias, overrides } = put;
            community.channels.insert(channel, Channel { name, category, alias, overrides });
            Ok(())
        })
        .await
    }

    pub(super) async fn delete_channel(&self, id: u64, channel: u64) -> Answer<Value> {
        self.change_community(id, |_, community| {
            community.channels.remove(&channel).map(drop).ok_or(Refusal::not_found("channel"))
        })
        .await
    }

    pub(super) async fn put_role(&self, id: u64, role: u64, put: PutRole) -> Answer<Value> {
        check_name("name", &put.name)?;
        self.change_community(id, |_, community| {
            if !community.roles.contains_key(&role) && community.roles.len() >= limits::ROLES {
                return Err(Refusal::invalid(format!("roles: at most {}", limits::ROLES)));
            }
            community.roles.insert(role, Role { name: put.name, permissions: put.permissions });
            Ok(())
        })
        .await
    }

    /// Members that hold it hold it no longer.
    pub(super) async fn delete_role(&self, id: u64, role: u64) -> Answer<Value> {
        self.change(|directory| {
            let mut community = changeable_community(directory, id)?.ok_or(Refusal::not_found("community"))?.clone();
            community.roles.remove(&role).ok_or(Refusal::not_found("role"))?;
            for channel in community.channels.values_mut() {
                channel.overrides.remove(&role);
            }
            let holders = directory.members(id).filter(|(_, member)| member.roles.contains(&role));
            let without = holders.map(|(user, member)| {
                let mut member = member.clone();
                member.roles.remove(&role);
                Step::Put(Entry::Member(id, user, member))
            });
            Ok(without.chain([Step::Put(Entry::Community(community))]).collect())
        })
        .await?;
        self.show_community(id)
    }

    pub(super) async fn put_member(&self, community: u64, user: u64, put: PutMember) -> Answer<Value> {
        put.nickname.as_ref().map_or(Ok(()), |name| check_name("nickname", name))?;
        self.change(|directory| {
            let found = directory.community(community).ok_or(Refusal::not_found("community"))?;
            directory.user(user).ok_or(Refusal::not_found("user"))?;
            check_changeable("member", directory.member(community, user).is_some_and(|member| member.configured))?;
            let roles: BTreeSet<u64> = put.roles.iter().map(|role| role.0).collect();
            if roles.iter().any(|role| !found.roles.contains_key(role)) {
                return Err(Refusal::invalid("roles: one is not there"));
            }
            let member = Member { roles, nickname: put.nickname, configured: false };
            Ok(vec![Step::Put(Entry::Member(community, user, member))])
        })
        .await?;
        self.show_community(community)
    }

    pub(super) async fn put_group(&self, id: u64, put: PutGroup) -> Answer<Value> {
        check_name("name", &put.name)?;
        self.change(|directory| {
            let members: BTreeSet<u64> = put.members.iter().map(|user| user.0).collect();
            changeable_group(directory, id)?;
            check_group(directory, &members)?;
            Ok(vec![Step::Put(Entry::Group(Group { id, name: put.name, members, configured: false }))])
        })
        .await?;
        self.show_group(id)
    }

    pub(super) async fn set_group_member(&self, id: u64, user: u64, is_member: bool) -> Answer<Value> {
        self.change(|directory| {
            let mut group = changeable_group(directory, id)?.ok_or(Refusal::not_found("group"))?.clone();
            if is_member {
                group.members.insert(user)
            } else {
                group.members.remove(&user)
            };
            check_group(directory, &group.members)?;
            Ok(vec![Step::Put(Entry::Group(group))])
        })
        .await?;
        self.show_group(id)
    }

    /// Takes out what nothing else hangs on.
    pub(super) async fn delete_thing(&self, key: Key) -> Answer<Value> {
        self.change(|directory| {
            let found = match key {
                Key::Member(community, user) => {
                    if directory.community(community).is_some_and(|found| found.owner == user) {
                        return Err(conflict("the user owns the community; give it another owner first"));
                    }
                    let member = directory.member(community, user);
                    check_changeable("member", member.is_some_and(|member| member.configured))?;
                    member.is_some()
                }
                Key::Group(id) => changeable_group(directory, id)?.is_some(),
                Key::User(_) | Key::Community(_) => false,
            };
            if found { Ok(vec![Step::Remove(key)]) } else { Err(Refusal::not_found("entry")) }
        })
        .await?;
        Ok(json!({}))
    }

    async fn change_community(
        &self,
        id: u64,
        edit: impl FnOnce(&Directory, &mut Community) -> Answer<()>,
    ) -> Answer<Value> {
        self.change(|directory| {
            let mut community = changeable_community(directory, id)?.ok_or(Refusal::not_found("community"))?.clone();
            edit(directory, &mut community)?;
            Ok(vec![Step::Put(Entry::Community(community))])
        })
        .await?;
        self.show_community(id)
    }

    fn show_community(&self, id: u64) -> Answer<Value> {
        let directory = self.directory();
        let found = directory.community(id).ok_or(Refusal::not_found("community"))?;
        Ok(shapes::community(found, &directory))
    }

    fn show_group(&self, id: u64) -> Answer<Value> {
        self.directory().group(id).map(shapes::group).ok_or(Refusal::not_found("group"))
    }
}

/// A user as it is, unless the configuration gives it, which then alone changes it.
fn changeable(directory: &Directory, id: u64) -> Answer<Option<&User>> {
    let found = directory.user(id);
    check_changeable("user", found.is_some_and(|user| user.configured)).map(|()| found)
}

/// A community as it is, under the same rule. Members whom the configuration does not name come and go all the same.
fn changeable_community(directory: &Directory, id: u64) -> Answer<Option<&Community>> {
    let found = directory.community(id);
    check_changeable("community", found.is_some_and(|community| community.configured)).map(|()| found)
}

/// A group as it is, under the same rule.
fn changeable_group(directory: &Directory, id: u64) -> Answer<Option<&Group>> {
    let found = directory.group(id);
    check_changeable("group", found.is_some_and(|group| group.configured)).map(|()| found)
}

fn check_changeable(what: &str, configured: bool) -> Answer<()> {
    match configured {
        true => Err(conflict(&format!("the {what} is given by the configuration"))),
        false => Ok(()),
    }
}

fn check_group(directory: &Directory, members: &BTreeSet<u64>) -> Answer<()> {
    if members.len() > limits::GROUP_MEMBERS {
        return Err(Refusal::invalid(format!("members: at most {}", limits::GROUP_MEMBERS)));
    }
    match members.iter().all(|user| directory.user(*user).is_some()) {
        true => Ok(()),
        false => Err(Refusal::invalid("members: one is not a user")),
    }
}

fn check_name(field: &str, name: &str) -> Answer<()> {
    directory::check_name(name).map_err(|error| Refusal::invalid(format!("{field}: {error}")))
}

/// Lower case, and of characters after which a mention in a text ends.
fn username(text: &str) -> Answer<String> {
    let name = text.to_lowercase();
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.');
    match (1..=64).contains(&name.len()) && name.bytes().all(fits) {
        true => Ok(name),
        false => Err(Refusal::invalid("username: 1 to 64 characters of a-z 0-9 _ - .")),
    }
}

fn email_address(text: &str) -> Answer<String> {
    check_name("email", text)?;
    if text.contains('@') { Ok(text.to_lowercase()) } else { Err(Refusal::invalid("email: there is no @ in it")) }
}

async fn hashed(password: String) -> Answer<Hashed> {
    if password.is_empty() || password.len() > limits::NAME_BYTES {
        return Err(Refusal::invalid(format!("password: 1 to {} bytes", limits::NAME_BYTES)));
    }
    let hashed = tokio::task::spawn_blocking(move || Hashed::new(&password)).await.map_err(model::Error::internal)?;
    Ok(hashed?)
}

fn conflict(text: &str) -> Refusal {
    Refusal { code: 409, text: text.to_owned() }
}
