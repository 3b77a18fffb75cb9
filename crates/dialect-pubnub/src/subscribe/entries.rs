//! What a subscribe names: channels, wildcards, channel groups and their presence streams, as topics of the service
//! (`protocols/pubnub.md` §5.4).

use crate::{
    convert::{self, PRESENCE_SUFFIX},
    error::Refusal,
    limits,
    wire::names,
};
use model::ChannelName;
use service::{Group, Pattern, Topic};
use std::sync::Arc;

/// The topics of a subscribe, and the names by which the client knows them, in the same order. What is subscribed by
/// itself comes before groups: of several topics that a message matches, the service names the first of its kind.
#[derive(Debug, Default)]
pub struct Entries {
    /// For the service.
    pub topics: Vec<Topic>,
    /// For the answer: a channel, a wildcard, a group, or a presence stream of one.
    pub names: Vec<Arc<str>>,
    /// The channels that the client is present on.
    pub attended: Vec<ChannelName>,
    /// The groups whose channels it is present on.
    pub attended_groups: Vec<Group>,
}

impl Entries {
    /// Reads the two lists of a subscribe.
    pub fn parse(channels: &str, groups: &str) -> Result<Entries, Refusal> {
        let mut entries = Entries::default();
        for name in names(channels, limits::SUBSCRIBE_ENTRIES)? {
            entries.add_channel(name)?;
        }
        for name in names(groups, limits::SUBSCRIBE_ENTRIES)? {
            entries.add_group(name)?;
        }
        if entries.topics.is_empty() { Err(Refusal::Argument("channel")) } else { Ok(entries) }
    }

    fn add_channel(&mut self, name: &str) -> Result<(), Refusal> {
        let (of, presence) = split(name);
        let topic = if of == "*" || of.ends_with(".*") {
            let pattern = Pattern::new(of).map_err(|_| Refusal::WildcardTooDeep)?;
            if presence { Topic::PresencePattern(pattern) } else { Topic::Pattern(pattern) }
        } else {
            let channel = convert::channel(of)?;
            if presence {
                Topic::Presence(channel)
            } else {
                self.attended.push(channel.clone());
                Topic::Channel(channel)
            }
        };
        self.names.push(spelling(&topic, name));
        self.topics.push(topic);
        Ok(())
    }

    fn add_group(&mut self, name: &str) -> Result<(), Refusal> {
        let (of, presence) = split(name);
        let group = Group::new(of).map_err(|_| Refusal::Argument("channel-group"))?;
        self.names.push(name.into());
        self.topics.push(if presence {
            Topic::PresenceGroup(group)
        } else {
            self.attended_groups.push(group.clone());
            Topic::Group(group)
        });
        Ok(())
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
        Topic::Channel(ChannelName::Named(text)) => text.clone(),
        _ => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_topics() {
        let entries = Entries::parse("ch1,ch1-pnpres,room.*,room.*-pnpres,ch1", "g1,g1-pnpres").unwrap();
        let names: Vec<&str> = entries.names.iter().map(|name| &**name).collect();
        assert_eq!(names, ["ch1", "ch1-pnpres", "room.*", "room.*-pnpres", "g1", "g1-pnpres"]);
        assert!(matches!(
            entries.topics[..],
            [
                Topic::Channel(_),
                Topic::Presence(_),
                Topic::Pattern(_),
                Topic::PresencePattern(_),
                Topic::Group(_),
                Topic::PresenceGroup(_)
            ]
        ));
        assert_eq!(entries.attended, [ChannelName::named("ch1").unwrap()]);
        assert_eq!(entries.attended_groups, [Group::new("g1").unwrap()]);
    }

    #[test]
    fn wildcards_have_three_levels() {
        for good in ["*", "a.*", "a.b.*"] {
            assert!(matches!(Entries::parse(good, "").unwrap().topics[0], Topic::Pattern(_)), "{good}");
        }
        assert!(matches!(Entries::parse("a.b.c.*", ""), Err(Refusal::WildcardTooDeep)));
        assert!(matches!(Entries::parse("a*", "").unwrap().topics[0], Topic::Channel(_)));
    }

    #[test]
    fn nothing_is_not_a_subscription() {
        assert!(matches!(Entries::parse(",", ""), Err(Refusal::Argument("channel"))));
        assert!(Entries::parse(",", "g1").is_ok());
    }
}
