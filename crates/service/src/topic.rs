//! What a subscription is about: channels by name, and patterns over names of up to three levels.

use crate::hash::{Hasher, Place};
use model::{AppId, Channel, ChannelName, Error, Result};
use std::{collections::HashMap, fmt, sync::Arc};

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
#[derive(Debug)]
pub(crate) struct Topics {
    pub app: AppId,
    pub list: Vec<Topic>,
    places: HashMap<Place, u32>,
    patterns: bool,
}

impl Topics {
    pub fn new(hasher: &Hasher, app: &AppId, list: Vec<Topic>) -> Topics {
        let mut places = HashMap::with_capacity(list.len());
        for (index, topic) in list.iter().enumerate() {
            places.entry(place_of(hasher, app, topic)).or_insert(index as u32);
        }
        let patterns = list.iter().any(|topic| matches!(topic, Topic::Pattern(_)));
        Topics { app: app.clone(), list, places, patterns }
    }

    /// Where the hub finds each topic, with the topic's index; equal topics once.
    pub fn places(&self) -> impl Iterator<Item = (Place, u32)> + '_ {
        self.places.iter().map(|(place, index)| (*place, *index))
    }

    /// The topic that a change of this channel is for: the channel itself before patterns, longer ones before shorter.
    pub fn matching(&self, hasher: &Hasher, channel: &Channel, place: Place) -> Option<u32> {
        if let Some(index) = self.places.get(&place) {
            return Some(*index);
        }
        if !self.patterns || channel.app != self.app {
            return None;
        }
        pattern_places(hasher, channel).find_map(|place| self.places.get(&place).copied())
    }

    /// The channels, if there is no pattern among the topics.
    pub fn only_channels(&self) -> Option<Vec<Channel>> {
        if self.patterns {
            return None;
        }
        let names = self.places.values().map(|index| match &self.list[*index as usize] {
            Topic::Channel(name) => name.clone(),
            Topic::Pattern(_) => unreachable!("no pattern is among them"),
        });
        Some(names.map(|name| Channel { app: self.app.clone(), name }).collect())
    }
}

fn place_of(hasher: &Hasher, app: &AppId, topic: &Topic) -> Place {
    match topic {
        Topic::Channel(name) => hasher.channel(app, name),
        Topic::Pattern(pattern) => hasher.pattern(app, pattern.prefix()),
    }
}

/// Where subscribers whose pattern matches the channel wait, the longest pattern first: at most three places.
pub(crate) fn pattern_places<'a>(hasher: &'a Hasher, channel: &'a Channel) -> impl Iterator<Item = Place> + 'a {
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
    let prefixes = ends.into_iter().rev().flatten().map(move |end| &text.unwrap_or_default()[..end]).chain(unlisted);
    prefixes.map(|prefix| hasher.pattern(&channel.app, prefix))
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
        let topics = Topics::new(&hasher, &app, topics);
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
        let topics = Topics::new(&hasher, &app, topics.to_vec());
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
