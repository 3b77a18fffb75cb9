//! What a subscription is about: channels by name, by patterns over names of up to three levels and by groups; what is
//! said there, or who is there.

use crate::{
    Access, Group, groups,
    hash::{Hasher, Place},
};
use model::{AppId, Channel, ChannelChange, ChannelName, Error, ErrorKind, RecordChange, RecordKind, Result, What};
use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::Arc,
};

/// The most dots in a pattern's prefix: `a.b.*` has two (`protocols/pubnub.md` §5.4).
const PREFIX_DOTS: usize = 2;
/// The prefix of [`Pattern::unlisted`]: no name in the clear holds NUL.
const UNLISTED: &str = "\0";

/// Something to subscribe to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Topic {
    /// One channel.
    Channel(ChannelName),
    /// All channels that match: with names in the clear, but for [`Pattern::unlisted`].
    Pattern(Pattern),
    /// The channels of a group, as they come and go.
    Group(Group),
    /// Who is on a channel.
    Presence(ChannelName),
    /// Who is on each channel with a name in the clear that matches.
    PresencePattern(Pattern),
    /// Who is on each channel of a group.
    PresenceGroup(Group),
}

/// `*`, `a.*` or `a.b.*`: names that begin with what stands before the star, at any depth. A deeper pattern does not
/// exist, so that to match a name costs no more than three look-ups.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    prefix: Arc<str>,
}

impl Pattern {
    /// Reads `*`, `a.*` or `a.b.*`.
    pub fn new(text: &str) -> Result<Pattern> {
        let Some(prefix) = text.strip_suffix('*') else {
            return Err(Error::invalid("pattern: it must end with *"));
        };
        if prefix.contains('*') {
            return Err(Error::invalid("pattern: only one * is allowed, at the end"));
        }
        if !prefix.is_empty() && (!prefix.ends_with('.') || prefix.starts_with('.') || prefix.contains("..")) {
            return Err(Error::invalid("pattern: * must stand alone or after a dot, with a name before each dot"));
        }
        if prefix.matches('.').count() > PREFIX_DOTS {
            return Err(Error::invalid("pattern: at most three levels, as in a.b.*"));
        }
        if !prefix.is_empty() {
            ChannelName::named(prefix)?;
        }
        Ok(Pattern { prefix: prefix.into() })
    }

    /// All channels without a name in the clear: direct chats and those of a directory. No text yields it. It can be
    /// followed from a position inside the recent ring or the feed, not from further back.
    pub fn unlisted() -> Pattern {
        Pattern { prefix: UNLISTED.into() }
    }

    /// Whether it is the pattern of channels without a name in the clear.
    pub fn is_unlisted(&self) -> bool {
        &*self.prefix == UNLISTED
    }

    /// What stands before the star.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether a channel's name matches.
    pub fn matches(&self, name: &ChannelName) -> bool {
        match name.as_named() {
            Some(text) => text.starts_with(&*self.prefix),
            None => self.is_unlisted(),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}*", self.prefix)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}*", self.prefix)
    }
}

/// The topics of one subscription, ready to match.
#[derive(Clone, Debug)]
pub(crate) struct Topics {
    pub app: AppId,
    pub access: Arc<Access>,
    pub list: Vec<Topic>,
    /// What the groups among them hold.
    members: HashMap<Group, BTreeSet<ChannelName>>,
    spots: HashMap<Place, Spot>,
    patterns: bool,
}

/// A place where a subscription waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Spot {
    /// The index of the topic.
    pub topic: u32,
    pub waits_for: WaitsFor,
}

/// What comes to a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum WaitsFor {
    /// Changes of this channel, or of who is on it.
    Channel(ChannelName),
    /// Changes of channels that match a pattern, or of who is on them.
    Pattern,
    /// A change of a record: of a group, or of what the access stands on.
    Record,
}

impl Topics {
    /// The groups among them hold nothing yet.
    pub fn new(hasher: &Hasher, app: &AppId, access: Arc<Access>, list: Vec<Topic>) -> Topics {
        let groups = list.iter().filter_map(|topic| match topic {
            Topic::Group(group) | Topic::PresenceGroup(group) => Some((group.clone(), BTreeSet::new())),
            Topic::Channel(_) | Topic::Pattern(_) | Topic::Presence(_) | Topic::PresencePattern(_) => None,
        });
        let members = groups.collect();
        let patterns = list.iter().any(|topic| matches!(topic, Topic::Pattern(_) | Topic::PresencePattern(_)));
        let mut topics = Topics { app: app.clone(), access, list, members, spots: HashMap::new(), patterns };
        topics.settle(hasher);
        topics
    }

    /// The same with these members of its groups. `TooLarge` when they are more than `most` together.
    pub fn with_members(
        &self,
        hasher: &Hasher,
        members: HashMap<Group, BTreeSet<ChannelName>>,
        most: usize,
    ) -> Result<Topics> {
        if members.values().map(BTreeSet::len).sum::<usize>() > most {
            return Err(Error::new(ErrorKind::TooLarge, format!("groups: they hold more than {most} channels")));
        }
        let mut topics = Topics { members, ..self.clone() };
        topics.settle(hasher);
        Ok(topics)
    }

    /// What the groups among them hold.
    pub fn members(&self) -> &HashMap<Group, BTreeSet<ChannelName>> {
        &self.members
    }

    /// Of a change of a group among them: the group, the channel, and whether it was added.
    pub fn group_change(&self, change: &RecordChange) -> Option<(Group, ChannelName, bool)> {
        if self.members.is_empty() || change.key.kind != RecordKind::GroupMember || change.key.app != self.app {
            return None;
        }
        let (group, name) = groups::parse(&change.key)?;
        self.members.contains_key(&group).then_some((group, name, change.value.is_some()))
    }

    /// Where the hub finds them; equal topics once.
    pub fn spots(&self) -> &HashMap<Place, Spot> {
        &self.spots
    }

    /// The topic that a message of this channel is for: the channel itself before its groups, then patterns, longer ones
    /// before shorter.
    pub fn matching(&self, hasher: &Hasher, channel: &Channel, place: Place) -> Option<u32> {
        self.find(place, || pattern_places(hasher, channel), channel)
    }

    /// The topic that a change is for, in the same order.
    pub fn matching_change(&self, hasher: &Hasher, change: &ChannelChange, place: Place) -> Option<u32> {
        let channel = &change.channel;
        match change.what {
            What::Presence(_) => {
                self.find(hasher.presence(place), || presence_pattern_places(hasher, channel), channel)
            }
            _ => self.matching(hasher, channel, place),
        }
    }

    /// The channels, if there is no pattern among the topics; of those who are there nothing is stored.
    pub fn only_channels(&self) -> Option<Vec<Channel>> {
        let mut names = BTreeSet::new();
        for topic in &self.list {
            match topic {
                Topic::Channel(name) => {
                    names.insert(name);
                }
                Topic::Group(group) => names.extend(self.reached(group)),
                Topic::Pattern(_) => return None,
                Topic::Presence(_) | Topic::PresencePattern(_) | Topic::PresenceGroup(_) => {}
            }
        }
        Some(names.into_iter().map(|name| Channel { app: self.app.clone(), name: name.clone() }).collect())
    }

    /// The channels of a group that the caller's dialect lets it see.
    pub fn reached(&self, group: &Group) -> impl Iterator<Item = &ChannelName> {
        self.members.get(group).into_iter().flatten().filter(|name| self.access.reaches(name))
    }

    fn find<I: Iterator<Item = Place>>(
        &self,
        place: Place,
        patterns: impl FnOnce() -> I,
        channel: &Channel,
    ) -> Option<u32> {
        let topic = |place: &Place| self.spots.get(place).map(|spot| spot.topic);
        if let Some(topic) = topic(&place) {
            return Some(topic);
        }
        if !self.patterns || channel.app != self.app {
            return None;
        }
        patterns().find_map(|place| topic(&place))
    }

    /// Finds all places anew: those that were named before those that groups hold.
    fn settle(&mut self, hasher: &Hasher) {
        let mut spots: HashMap<Place, Spot> = HashMap::new();
        let mut add = |place, topic, waits_for| {
            spots.entry(place).or_insert(Spot { topic, waits_for });
        };
        let channel = |name: &ChannelName| hasher.channel(&self.app, name);
        for (at, topic) in (0..).zip(&self.list) {
            match topic {
                Topic::Channel(name) => add(channel(name), at, WaitsFor::Channel(name.clone())),
                Topic::Presence(name) => add(hasher.presence(channel(name)), at, WaitsFor::Channel(name.clone())),
                Topic::Pattern(pattern) => add(hasher.pattern(&self.app, pattern.prefix()), at, WaitsFor::Pattern),
                Topic::PresencePattern(pattern) => {
                    add(hasher.presence_pattern(&self.app, pattern.prefix()), at, WaitsFor::Pattern);
                }
                Topic::Group(group) | Topic::PresenceGroup(group) => {
                    add(hasher.group(&self.app, group.as_str()), at, WaitsFor::Record);
                }
            }
        }
        for (at, topic) in (0..).zip(&self.list) {
            let (Topic::Group(group) | Topic::PresenceGroup(group)) = topic else { continue };
            for name in self.reached(group) {
                let place = match topic {
                    Topic::PresenceGroup(_) => hasher.presence(channel(name)),
                    _ => channel(name),
                };
                add(place, at, WaitsFor::Channel(name.clone()));
            }
        }
        if let Some(standing) = &self.access.stands_on {
            add(standing.place(), u32::MAX, WaitsFor::Record);
        }
        self.spots = spots;
    }
}

/// Where subscribers whose pattern matches the channel wait, the longest pattern first: at most three places.
pub(crate) fn pattern_places<'a>(hasher: &'a Hasher, channel: &'a Channel) -> impl Iterator<Item = Place> + 'a {
    prefixes(channel).map(|prefix| hasher.pattern(&channel.app, prefix))
}

/// The same for those who follow who is on the channels.
pub(crate) fn presence_pattern_places<'a>(
    hasher: &'a Hasher,
    channel: &'a Channel,
) -> impl Iterator<Item = Place> + 'a {
    prefixes(channel).map(|prefix| hasher.presence_pattern(&channel.app, prefix))
}

/// What stands before the star in the patterns that match a channel, the longest first.
fn prefixes(channel: &Channel) -> impl Iterator<Item = &str> {
    let text = channel.name.as_named();
    let mut ends = [None; PREFIX_DOTS + 1];
    if let Some(text) = text {
        let dots = text.bytes().enumerate().filter(|(_, byte)| *byte == b'.').take(PREFIX_DOTS);
        ends[0] = Some(0);
        for (slot, (at, _)) in ends[1..].iter_mut().zip(dots) {
            *slot = Some(at + 1);
        }
    }
    let unlisted = text.is_none().then_some(UNLISTED);
    ends.into_iter().rev().flatten().map(move |end| &text.unwrap_or_default()[..end]).chain(unlisted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_up_to_three_levels() {
        for good in ["*", "a.*", "a.b.*", "ä b.*"] {
            assert_eq!(Pattern::new(good).expect("a pattern").to_string(), good);
        }
        for bad in ["", "a", "a*", "a.b.c.*", "*.*", "a.*.b", ".*", "..*", "a..*", "a.\0.*"] {
            assert!(Pattern::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn channels_without_a_name_in_the_clear_have_a_pattern_of_their_own() {
        let hasher = Hasher::random();
        let app = AppId::new("demo").expect("an app");
        let topics = vec![Topic::Pattern(Pattern::new("*").expect("a pattern")), Topic::Pattern(Pattern::unlisted())];
        let topics = Topics::new(&hasher, &app, Arc::new(Access::admin()), topics);
        let found = |name: ChannelName| {
            let channel = Channel { app: app.clone(), name };
            topics.matching(&hasher, &channel, hasher.place(&channel))
        };
        assert_eq!(found(ChannelName::named("a").expect("a name")), Some(0));
        assert_eq!(found(ChannelName::Member(1, 2)), Some(1));
        assert_eq!(found(ChannelName::direct("a", "b")), Some(1));
    }

    #[test]
    fn a_channel_is_found_under_each_of_its_levels() {
        let hasher = Hasher::random();
        let app = AppId::new("demo").expect("an app");
        let topics = ["*", "a.*", "a.b.*"].map(|text| Topic::Pattern(Pattern::new(text).expect("a pattern")));
        let topics = Topics::new(&hasher, &app, Arc::new(Access::admin()), topics.to_vec());
        let check = |name: &str, expected: Option<u32>| {
            let channel = Channel { app: app.clone(), name: ChannelName::named(name).expect("a name") };
            let place = hasher.channel(&app, &channel.name);
            assert_eq!(topics.matching(&hasher, &channel, place), expected, "{name}");
        };
        check("x", Some(0));
        check("a", Some(0));
        check("a.x", Some(1));
        check("a.x.y.z", Some(1));
        check("a.b.x", Some(2));
        check("a.b.x.y.z", Some(2));
        check("a.b", Some(1));
    }
}
