//! What a subscribe names: channels, wildcards and their presence streams, as topics of the service
//! (`protocols/pubnub.md` §5.4).

use crate::{
    convert::{self, PRESENCE_SUFFIX},
    error::Refusal,
    limits,
    wire::names,
};
use model::ChannelName;
use service::{Pattern, Topic};
use std::{collections::hash_map, sync::Arc};

/// The topics of a subscribe, and what of each is wanted, in the same order.
#[derive(Debug)]
pub struct Entries {
    /// For the service.
    pub topics: Vec<Topic>,
    /// For the answer.
    pub list: Vec<Entry>,
}

/// What a client subscribed to, once for a name and its presence stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The name as the client knows it.
    pub name: Arc<str>,
    /// It wants the messages.
    pub messages: bool,
    /// It wants the presence events.
    pub presence: bool,
}

impl Entries {
    /// Reads a list of names.
    pub fn parse(channels: &str) -> Result<Entries, Refusal> {
        let mut entries = Entries { topics: Vec::new(), list: Vec::new() };
        let mut places: foldhash::HashMap<Topic, usize> = foldhash::HashMap::default();
        for name in names(channels, limits::SUBSCRIBE_ENTRIES)? {
            let (name, presence) = match name.strip_suffix(PRESENCE_SUFFIX) {
                Some(of) if !of.is_empty() => (of, true),
                _ => (name, false),
            };
            let topic = topic(name)?;
            let index = match places.entry(topic) {
                hash_map::Entry::Occupied(known) => *known.get(),
                hash_map::Entry::Vacant(new) => {
                    entries.topics.push(new.key().clone());
                    entries.list.push(Entry { name: spelling(new.key(), name), messages: false, presence: false });
                    *new.insert(entries.list.len() - 1)
                }
            };
            let entry = &mut entries.list[index];
            entry.presence |= presence;
            entry.messages |= !presence;
        }
        if entries.list.is_empty() { Err(Refusal::Argument("channel")) } else { Ok(entries) }
    }
}

/// Shares the memory of a channel's name with its topic.
fn spelling(topic: &Topic, name: &str) -> Arc<str> {
    match topic {
        Topic::Channel(ChannelName::Named(text)) => text.clone(),
        _ => name.into(),
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

    #[test]
    fn a_name_and_its_presence_stream_are_one_topic() {
        let entries = Entries::parse("ch1,ch1-pnpres,room.*,room.*-pnpres,b-pnpres,ch1").unwrap();
        let found: Vec<_> = entries.list.iter().map(|entry| (&*entry.name, entry.messages, entry.presence)).collect();
        assert_eq!(found, [("ch1", true, true), ("room.*", true, true), ("b", false, true)]);
        assert!(matches!(entries.topics[0], Topic::Channel(_)));
        assert!(matches!(entries.topics[1], Topic::Pattern(_)));
    }

    #[test]
    fn wildcards_have_three_levels() {
        for good in ["*", "a.*", "a.b.*"] {
            assert!(matches!(Entries::parse(good).unwrap().topics[0], Topic::Pattern(_)), "{good}");
        }
        assert!(matches!(Entries::parse("a.b.c.*"), Err(Refusal::WildcardTooDeep)));
        assert!(matches!(Entries::parse("a*").unwrap().topics[0], Topic::Channel(_)));
    }

    #[test]
    fn nothing_is_not_a_subscription() {
        assert!(matches!(Entries::parse(","), Err(Refusal::Argument("channel"))));
    }
}
