//! Queries (`protocols/pubnub.md` §1.1): any order, unknown names ignored, a `+` is a plus, an empty value is as good as
//! none, and a flag may be spelled out as a negative.

use super::path::decode;
use crate::{error::Refusal, limits};
use std::borrow::Cow;

/// The parameters of a request, values decoded.
#[derive(Clone, Debug, Default)]
pub struct Query<'a> {
    parameters: Vec<(&'a str, Cow<'a, str>)>,
}

impl<'a> Query<'a> {
    /// Takes a query as sent apart.
    pub fn parse(raw: &'a str) -> Result<Query<'a>, Refusal> {
        let mut parameters = Vec::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            if parameters.len() == limits::QUERY_PARAMETERS {
                return Err(Refusal::Argument("too many parameters"));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            parameters.push((name, decode(value)?));
        }
        Ok(Query { parameters })
    }

    /// The value of a parameter that is there and not empty; the first one if it is repeated.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.parameters.iter().find(|(n, value)| *n == name && !value.is_empty())?;
        Some(value)
    }

    /// A flag: `true` or `1`, `false` or `0`; absent or anything else is the default.
    pub fn flag(&self, name: &str, default: bool) -> bool {
        match self.get(name) {
            Some("true" | "1") => true,
            Some("false" | "0") => false,
            _ => default,
        }
    }

    /// A number that may be absent; `Argument(name)` when it is no number.
    pub fn number(&self, name: &'static str) -> Result<Option<u64>, Refusal> {
        self.get(name).map(|text| text.parse().map_err(|_| Refusal::Argument(name))).transpose()
    }

    /// A timetoken that may be absent; `Argument(name)` when it is none.
    pub fn timetoken(&self, name: &'static str) -> Result<Option<u64>, Refusal> {
        self.get(name).map(|text| super::timetoken(text).ok_or(Refusal::Argument(name))).transpose()
    }

    /// All parameters as they came, for signatures.
    pub fn parameters(&self) -> &[(&'a str, Cow<'a, str>)] {
        &self.parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_empty_ones_count_as_absent() {
        let query = Query::parse("ee=&uuid=a%20b+c&tt=17&auth=x==&&flag").unwrap();
        assert_eq!(query.get("ee"), None);
        assert_eq!(query.get("uuid"), Some("a b+c"));
        assert_eq!(query.get("auth"), Some("x=="));
        assert_eq!(query.get("flag"), None);
        assert_eq!(query.timetoken("tt").unwrap(), Some(17));
        assert_eq!(query.timetoken("start").unwrap(), None);
    }

    #[test]
    fn flags_may_be_negatives() {
        let query = Query::parse("a=true&b=1&c=false&d=0&e=maybe").unwrap();
        assert!(query.flag("a", false) && query.flag("b", false));
        assert!(!query.flag("c", true) && !query.flag("d", true));
        assert!(query.flag("e", true) && query.flag("f", true) && !query.flag("f", false));
    }

    #[test]
    fn bad_numbers_name_their_parameter() {
        let query = Query::parse("start=abc&max=-1").unwrap();
        assert!(matches!(query.timetoken("start"), Err(Refusal::Argument("start"))));
        assert!(matches!(query.number("max"), Err(Refusal::Argument("max"))));
    }

    #[test]
    fn queries_are_bounded() {
        let raw = "a=1&".repeat(limits::QUERY_PARAMETERS + 1);
        assert!(Query::parse(&raw).is_err());
        assert!(Query::parse("a=%ff").is_err());
    }
}
