//! The members of a JSON object in a request: each known, well formed and given once. What [`crate::params`] is for the
//! query. Values are taken as raw text, so that an error can name its field.

use crate::{error::Problem, params::shown, wire};
use serde::{
    Deserialize,
    de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{collections::BTreeMap, fmt};

/// The members of one object. Take what is known, then [`Fields::finish`].
#[derive(Debug)]
pub(crate) struct Fields<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Fields<'a> {
    /// The object that a whole body is.
    pub fn of_body(body: &'a [u8]) -> Result<Fields<'a>, Problem> {
        Fields::parse("body", text(body)?)
    }

    /// The object that this text is; `field` is where it stands.
    pub fn parse(field: &str, json: &'a str) -> Result<Fields<'a>, Problem> {
        let members: Members<'a> =
            serde_json::from_str(json).map_err(|error| Problem::invalid(field, error.to_string()))?;
        let mut fields = BTreeMap::new();
        for (name, value) in members.0 {
            if fields.insert(name.clone(), value).is_some() {
                return Err(Problem::invalid(&name, "duplicate field: given more than once"));
            }
        }
        Ok(Fields(fields))
    }

    /// The raw text of a member, if it is given and not null.
    pub fn raw(&mut self, name: &str) -> Option<&'a RawValue> {
        self.0.remove(name).filter(|value| value.get() != "null")
    }

    /// Whether a member is given, be it null.
    pub fn holds(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A member that may be left out; null is the same.
    pub fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Problem> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        serde_json::from_str(raw.get()).map(Some).map_err(|error| Problem::invalid(name, wire::reason(&error)))
    }

    /// A member that must be there.
    pub fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Problem> {
        self.take(name)?.ok_or_else(|| missing(name))
    }

    /// The payload of a message, which may be null.
    pub fn required_payload(&mut self) -> Result<&'a RawValue, Problem> {
        self.0.remove("payload").ok_or_else(|| missing("payload"))
    }

    /// A list of at most so many values, of which no more are kept in memory; `TooLarge` if it has more.
    pub fn list(&mut self, name: &str, most: usize) -> Result<Option<Vec<&'a RawValue>>, Problem> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let mut deserializer = serde_json::Deserializer::from_str(raw.get());
        let list = deserializer.deserialize_seq(Bounded { most });
        match list.map_err(|error| Problem::invalid(name, wire::reason(&error)))? {
            Some(list) => Ok(Some(list)),
            None => Err(Problem::too_large(name, format!("more than {most} in one request; nothing was done"))),
        }
    }

    /// The members that are left as the text of parameters: strings as they are, numbers and flags as they are written.
    pub fn into_parameters(self) -> Result<Vec<(String, String)>, Problem> {
        let parameters = self.0.into_iter().map(|(name, raw)| {
            let text = match raw.get().as_bytes().first() {
                Some(b'"') => {
                    serde_json::from_str(raw.get()).map_err(|error| Problem::invalid(&name, wire::reason(&error)))?
                }
                Some(b'{' | b'[') => return Err(Problem::invalid(&name, "a text or a number is needed")),
                _ => raw.get().to_owned(),
            };
            Ok((name, text))
        });
        parameters.collect()
    }

    /// Members that nobody knows are mistakes: a misspelt one must not be ignored.
    pub fn finish(self) -> Result<(), Problem> {
        match self.0.first_key_value() {
            None => Ok(()),
            Some((name, _)) if is_plain(name) => Err(Problem::invalid(name, "unknown field")),
            Some((name, _)) => Err(Problem::invalid("body", format!("{} is an unknown field", shown(name)))),
        }
    }
}

/// A body as text.
pub(crate) fn text(body: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(body)
        .map_err(|error| Problem::invalid("body", format!("not UTF-8 from byte {} on", error.valid_up_to())))
}

fn missing(name: &str) -> Problem {
    Problem::invalid(name, "missing field")
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// Name and value of every member, doubled ones too.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'a>, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Collect).map(Members)
    }
}

/// Collects a list, or nothing of one that is too long.
struct Bounded {
    most: usize,
}

impl<'de> Visitor<'de> for Bounded {
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        let mut count = 0_usize;
        while let Some(value) = list.next_element()? {
            count += 1;
            if count <= self.most {
                values.push(value);
            }
        }
        Ok((count <= self.most).then_some(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_known_and_given_once() {
        let mut fields = Fields::parse("body", r#"{"a":1,"b":"x","c":null}"#).expect("an object");
        assert_eq!(fields.take::<u64>("a").expect("a number"), Some(1));
        assert_eq!(fields.take::<String>("c").expect("null is not given"), None);
        assert!(fields.finish().is_err(), "b was not taken");
        assert!(Fields::parse("body", r#"{"a":1,"a":1}"#).is_err(), "given twice");
        assert!(Fields::parse("body", "[1]").is_err());
        let mut fields = Fields::parse("body", r#"{"a":"x"}"#).expect("an object");
        assert_eq!(fields.take::<u64>("a").expect_err("not a number").status.as_u16(), 400);
    }

    #[test]
    fn a_list_that_is_too_long_is_not_kept() {
        let list = |json: &str| {
            let mut fields = Fields::parse("body", json).expect("an object");
            fields.list("ids", 2).map(|list| list.map(|list| list.len())).map_err(|problem| problem.status.as_u16())
        };
        assert_eq!(list(r#"{"ids":["1","2"]}"#), Ok(Some(2)));
        assert_eq!(list(r#"{"ids":["1","2","3"]}"#), Err(413));
        assert_eq!(list(r#"{"ids":"1"}"#), Err(400));
        assert_eq!(list("{}"), Ok(None));
    }
}
