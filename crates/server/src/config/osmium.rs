//! `[app.osmium]`: a realm and its directory. What the directory consists of has the shapes and words of its HTTP API.
//!
//! Users, communities and groups refer to each other inside the file only, so that every reference can be checked
//! without the data folder; what is put over HTTP comes on top.

use super::reader::{At, Section};
use dialect_osmium::{
    Channel, Community, ConfiguredCommunity, Group, Member, Override, Permissions, Role, check_name, limits,
};
use edge::Secret;
use model::ChannelName;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

/// What a directory gives out; the upper half stands for authors that it does not know.
const IDS: RangeInclusive<u64> = 1..=dialect_osmium::STRANGERS - 1;

/// An Osmium realm with its directory.
#[derive(Clone, Debug)]
pub struct Osmium {
    /// The line in which it begins.
    pub line: usize,
    /// Where its ids begin to count.
    pub epoch: Option<jiff::Timestamp>,
    /// Its users.
    pub users: Vec<OsmiumUser>,
    /// Its communities.
    pub communities: Vec<ConfiguredCommunity>,
    /// Its groups.
    pub groups: Vec<Group>,
}

/// A user of an Osmium directory.
#[derive(Clone, Debug)]
pub struct OsmiumUser {
    /// Its id.
    pub id: At<u64>,
    /// Its name.
    pub name: String,
    /// What it shows to come in.
    pub token: At<Secret>,
    /// Signs in with it, together with the password.
    pub email: Option<At<String>>,
    /// Signs in with it.
    pub password: Option<At<Secret>>,
    /// Whether it is a program.
    pub bot: bool,
}

pub(super) fn read(section: Section<'_>) -> Option<Osmium> {
    let epoch = section.parsed("epoch", |text| {
        text.parse::<jiff::Timestamp>().map_err(|_| format!("{text:?} is not a time like \"2025-01-01T00:00:00Z\""))
    });
    let mut known = Ids::default();
    let users = section.sections("user").into_iter().filter_map(|section| user(section, &mut known)).collect();
    let (mut ids, mut aliases) = (Ids::default(), BTreeSet::new());
    let communities = section.sections("community").into_iter();
    let communities = communities.filter_map(|section| community(section, &mut ids, &known, &mut aliases)).collect();
    if aliases.len() > limits::ALIASES {
        section.mistake(section.line, format!("app.osmium: at most {} channels with an alias", limits::ALIASES));
    }
    let mut ids = Ids::default();
    let groups = section.sections("group").into_iter().filter_map(|section| group(section, &mut ids, &known)).collect();
    let line = section.line;
    section.finish();
    Some(Osmium { line, epoch: epoch.map(|at| at.value), users, communities, groups })
}

fn user(section: Section<'_>, ids: &mut Ids) -> Option<OsmiumUser> {
    let id = ids.read(&section, "app.osmium.user.id");
    let name = section.required("name");
    let token = section.required_secret("token");
    let email = section.text("email");
    let password = section.secret("password");
    if email.is_some() != password.is_some() {
        section.mistake(section.line, "app.osmium.user: email and password go together");
    }
    let bot = section.flag("bot", false);
    section.finish();
    Some(OsmiumUser { id: id?, name: name?.value, token: token?, email, password, bot })
}

fn community(
    section: Section<'_>,
    ids: &mut Ids,
    users: &Ids,
    aliases: &mut BTreeSet<String>,
) -> Option<ConfiguredCommunity> {
    let id = ids.read(&section, "app.osmium.community.id");
    let name = name(&section);
    let owner = section.number("owner", IDS);
    if !section.given("owner") {
        section.mistake(section.line, "app.osmium.community.owner is missing");
    }
    users.check(&section, "app.osmium.community.owner", "user", owner.as_slice());
    let everyone = permissions(&section, "app.osmium.community.everyone", "everyone");
    let mut roles = Ids::default();
    let role_sections = section.sections("role").into_iter();
    let kept_roles: BTreeMap<u64, Role> = role_sections.filter_map(|section| role(section, &mut roles)).collect();
    let mut channel_ids = Ids::default();
    let channels = section.sections("channel").into_iter();
    let channels: BTreeMap<u64, Channel> =
        channels.filter_map(|section| channel(section, &mut channel_ids, &roles)).collect();
    aliases.extend(channels.values().filter_map(|channel| channel.alias.clone()));
    let mut member_ids = Ids::default();
    let members = section.sections("member").into_iter();
    let members = members.filter_map(|section| member(section, &mut member_ids, users, &roles)).collect();
    roles.bound(&section, "app.osmium.community.role", limits::ROLES);
    channel_ids.bound(&section, "app.osmium.community.channel", limits::CHANNELS);
    section.finish();
    let everyone = everyone.unwrap_or(Permissions::MEMBER);
    let (id, name, owner) = (id?.value, name?, owner?.value);
    let community = Community { id, name, owner, everyone, channels, roles: kept_roles, configured: true };
    Some(ConfiguredCommunity { community, members })
}

fn role(section: Section<'_>, ids: &mut Ids) -> Option<(u64, Role)> {
    let id = ids.read(&section, "app.osmium.community.role.id");
    let name = name(&section);
    if !section.given("permissions") {
        section.mistake(section.line, "app.osmium.community.role.permissions is missing");
    }
    let permissions = permissions(&section, "app.osmium.community.role.permissions", "permissions");
    section.finish();
    Some((id?.value, Role { name: name?, permissions: permissions? }))
}

fn channel(section: Section<'_>, ids: &mut Ids, roles: &Ids) -> Option<(u64, Channel)> {
    let id = ids.read(&section, "app.osmium.community.channel.id");
    let name = name(&section);
    let category = section.flag("category", false);
    let alias = section.parsed("alias", |alias| {
        ChannelName::named(alias).map(|_| alias.to_owned()).map_err(|error| error.message.replacen("channel: ", "", 1))
    });
    let overrides = section.named_sections("overrides").into_iter();
    let overrides = overrides.filter_map(|(role, section)| over(&role, section, roles)).collect();
    section.finish();
    Some((id?.value, Channel { name: name?, category, alias: alias.map(|at| at.value), overrides }))
}

/// What a role may do in a channel more or less.
fn over(role: &At<String>, section: Section<'_>, roles: &Ids) -> Option<(u64, Override)> {
    const PATH: &str = "app.osmium.community.channel.overrides";
    let allow = permissions(&section, &format!("{PATH}.allow"), "allow").unwrap_or_default();
    let deny = permissions(&section, &format!("{PATH}.deny"), "deny").unwrap_or_default();
    let found = role.value.parse().ok().filter(|id| *id == 0 || roles.0.contains_key(id));
    if found.is_none() {
        let text = format!("{PATH}: there is no role {} in the community, and 0 is everyone", role.value);
        section.mistake(role.line, text);
    }
    section.finish();
    Some((found?, Override { allow, deny }))
}

fn member(section: Section<'_>, ids: &mut Ids, users: &Ids, roles: &Ids) -> Option<(u64, Member)> {
    let id = ids.read(&section, "app.osmium.community.member.id");
    users.check(&section, "app.osmium.community.member.id", "user", id.as_slice());
    let held = section.numbers("roles", IDS).unwrap_or_default();
    roles.check(&section, "app.osmium.community.member.roles", "role", &held);
    let nickname = section.parsed("nickname", |text| check_name(text).map(|()| text.to_owned()));
    section.finish();
    let roles = held.into_iter().map(|role| role.value).collect();
    Some((id?.value, Member { roles, nickname: nickname.map(|at| at.value), configured: true }))
}

fn group(section: Section<'_>, ids: &mut Ids, users: &Ids) -> Option<Group> {
    let id = ids.read(&section, "app.osmium.group.id");
    let name = name(&section);
    let members = section.numbers("members", IDS);
    if !section.given("members") {
        section.mistake(section.line, "app.osmium.group.members is missing");
    }
    let members = members.unwrap_or_default();
    users.check(&section, "app.osmium.group.members", "user", &members);
    let members: BTreeSet<u64> = members.into_iter().map(|user| user.value).collect();
    if members.len() > limits::GROUP_MEMBERS {
        section.mistake(section.line, format!("app.osmium.group.members: at most {}", limits::GROUP_MEMBERS));
    }
    section.finish();
    Some(Group { id: id?.value, name: name?, members, configured: true })
}

fn name(section: &Section<'_>) -> Option<String> {
    section.required("name");
    section.parsed("name", |text| check_name(text).map(|()| text.to_owned())).map(|at| at.value)
}

/// A list of permissions by name.
fn permissions(section: &Section<'_>, path: &str, key: &str) -> Option<Permissions> {
    let mut held = Permissions::NONE;
    for name in section.texts(key)? {
        match Permissions::named(&name.value) {
            Some(permission) => held = held | permission,
            None => section.mistake(name.line, format!("{path}: {:?} is not a permission", name.value)),
        }
    }
    Some(held)
}

/// The ids of one kind that were given so far, with their lines.
#[derive(Default)]
struct Ids(BTreeMap<u64, usize>);

impl Ids {
    /// The id of a table, which no other table of its kind has.
    fn read(&mut self, section: &Section<'_>, path: &str) -> Option<At<u64>> {
        let id = section.number("id", IDS);
        if !section.given("id") {
            section.mistake(section.line, format!("{path} is missing"));
        }
        let id = id?;
        if let Some(first) = self.0.insert(id.value, id.line) {
            section.mistake(id.line, format!("{path} {} is given twice, first in line {first}", id.value));
        }
        Some(id)
    }

    /// Names every reference to what the file does not give.
    fn check(&self, section: &Section<'_>, path: &str, what: &str, named: &[At<u64>]) {
        for id in named.iter().filter(|id| !self.0.contains_key(&id.value)) {
            section.mistake(id.line, format!("{path}: the file gives no {what} {}", id.value));
        }
    }

    fn bound(&self, section: &Section<'_>, path: &str, most: usize) {
        if self.0.len() > most {
            section.mistake(section.line, format!("{path}: at most {most}"));
        }
    }
}
