//! What a subscribe names: channels, wildcards, channel groups and their presence streams, as topics of the service
//! (`protocols/pubnub.md` §5.4).

use crate::{
    convert::{self, PRESENCE_SUFFIX},
    error::Refusal,
    groups::Groups,
    limits,
    wire::names,
};
use model::ChannelName;
use service::{Pattern, Topic};
use std::{collections::hash_map, sync::Arc};

/// The names that a subscribe asked for, as sent.
#[derive(Clone, Debug)]
pub struct Wanted {
    channels: Vec<Box<str>>,
    groups: Vec<Box<str>>,
}

/// The topics of a subscribe, and what of each is wanted, in the same order.
#[derive(Debug, Default)]
pub struct Entries {
    /// For the service.
    pub topics: Vec<Topic>,
    /// For the answer.
    pub list: Vec<Entry>,
    places: foldhash::HashMap<Topic, usize>,
}

/// What a client subscribed to, once for a name and its presence stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The name as the client knows it: of a channel, a wildcard or a group.
    pub name: Arc<str>,
    /// It wants the messages.
    pub messages: bool,
    /// It wants the presence events.
    pub presence: bool,
}

impl Wanted {
    /// Reads the two lists of a subscribe.
    pub fn parse(channels: &str, groups: &str) -> Result<Wanted, Refusal> {
        let list = |text| -> Result<Vec<Box<str>>, Refusal> {
            Ok(names(text, limits::SUBSCRIBE_ENTRIES)?.into_iter().map(Box::from).collect())
        };
        let wanted = Wanted { channels: list(channels)?, groups: list(groups)? };
        if wanted.channels.is_empty() && wanted.groups.is_empty() {
            return Err(Refusal::Argument("channel"));
        }
        Ok(wanted)
    }

    /// The channels and wildcards, presence streams under their own names.
    pub fn channels(&self) -> Vec<&str> {
        self.channels.iter().map(|name| &**name).collect()
    }

    /// The groups, presence streams under their own names.
    pub fn groups(&self) -> Vec<&str> {
        self.groups.iter().map(|name| &**name).collect()
    }

    /// Whether any group is among them.
    pub fn has_groups(&self) -> bool {
        !self.groups.is_empty()
    }

    /// The topics, with the groups as they are now. What is subscribed by itself and through a group counts as
    /// subscribed by itself.
    pub fn entries(&self, groups: Option<&Groups>) -> Result<Entries, Refusal> {
        let mut entries = Entries::default();
        for name in &self.channels {
            let (name, presence) = split(name);
            entries.add(topic(name)?, name, presence);
        }
        let Some(groups) = groups else { return Ok(entries) };
        for group in &self.groups {
            let (group, presence) = split(group);
            let name: Arc<str> = group.into();
            for channel in groups.channels(group) {
                entries.add(topic(&channel)?, &name, presence);
            }
        }
        if entries.list.len() > limits::SUBSCRIBE_ENTRIES {
            return Err(Refusal::TooManyNames(limits::SUBSCRIBE_ENTRIES));
        }
        Ok(entries)
    }
}

impl Entries {
    fn add(&mut self, topic: Topic, name: &str, presence: bool) {
        let index = match self.places.entry(topic) {
            hash_map::Entry::Occupied(known) => *known.get(),
            hash_map::Entry::Vacant(new) => {
                self.topics.push(new.key().clone());
                self.list.push(Entry { name: spelling(new.key(), name), messages: false, presence: false });
                *new.insert(self.list.len() - 1)
            }
        };
        let entry = &mut self.list[index];
        entry.presence |= presence;
        entry.messages |= !presence;
    }
}

/// A name, and whether it asks for the presence stream.
fn split(name: &str) -> (&str, bool) {
    match name.strip_suffix(PRESENCE_SUFFIX) {
        Some(of) if !of.is_empty() => (of, true),
        _ => (name, false),
    }
}

/// Shares the memory of a channel's name with its topic.
fn spelling(topic: &Topic, name: &str) -> Arc<str> {
    match topic {
        Topic::Channel(ChannelName::Named(text)) if **text == *name => text.clone(),
        Topic::Channel(_)
        | Topic::Pattern(_)
        | Topic::Group(_)
        | Topic::Presence(_)
        | Topic::PresencePattern(_)
        | Topic::PresenceGroup(_) => name.into(),
    }
}

/// A name that ends like a wildcard is one, if it has no more than three levels.
fn topic(name: &str) -> Result<Topic, Refusal> {
    if name == "*" || name.ends_with(".*") {
        return Pattern::new(name).map(Topic::Pattern).map_err(|_| Refusal::WildcardTooDeep);
    }
    convert::channel(name).map(Topic::Channel)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(channels: &str) -> Result<Entries, Refusal> {
        Wanted::parse(channels, "")?.entries(None)
    }

    #[test]
    fn a_name_and_its_presence_stream_are_one_topic() {
        let entries = entries("ch1,ch1-pnpres,room.*,room.*-pnpres,b-pnpres,ch1").unwrap();
        let found: Vec<_> = entries.list.iter().map(|entry| (&*entry.name, entry.messages, entry.presence)).collect();
        assert_eq!(found, [("ch1", true, true), ("room.*", true, true), ("b", false, true)]);
        assert!(matches!(entries.topics[0], Topic::Channel(_)));
        assert!(matches!(entries.topics[1], Topic::Pattern(_)));
    }

    #[test]
    fn wildcards_have_three_levels() {
        for good in ["*", "a.*", "a.b.*"] {
            assert!(matches!(entries(good).unwrap().topics[0], Topic::Pattern(_)), "{good}");
        }
        assert!(matches!(entries("a.b.c.*"), Err(Refusal::WildcardTooDeep)));
        assert!(matches!(entries("a*").unwrap().topics[0], Topic::Channel(_)));
    }

    #[test]
    fn nothing_is_not_a_subscription() {
        assert!(matches!(Wanted::parse(",", ""), Err(Refusal::Argument("channel"))));
        assert!(Wanted::parse(",", "g1").is_ok());
    }
}
