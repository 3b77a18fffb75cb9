//! Paths (`protocols/pubnub.md` §1.1): split on `/` first, decoded afterwards; a `+` is a plus.

use crate::error::Refusal;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;

/// The segments of a request's path, as sent.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    raw: &'a str,
}

impl<'a> Path<'a> {
    /// A path as sent, still percent-encoded, beginning with `/`.
    pub fn new(raw: &'a str) -> Path<'a> {
        Path { raw: raw.strip_prefix('/').unwrap_or(raw) }
    }

    /// Takes the next segment, not decoded; `None` at the end.
    pub fn next_raw(&mut self) -> Option<&'a str> {
        if self.raw.is_empty() {
            return None;
        }
        let (segment, rest) = self.raw.split_once('/').unwrap_or((self.raw, ""));
        self.raw = rest;
        Some(segment)
    }

    /// Takes the next segment, decoded.
    pub fn next(&mut self) -> Result<Option<Cow<'a, str>>, Refusal> {
        self.next_raw().map(decode).transpose()
    }

    /// Everything that is left, decoded as one: a message in a path may hold a `/` that was not encoded (§4.1).
    pub fn rest(self) -> Result<Option<Cow<'a, str>>, Refusal> {
        if self.raw.is_empty() { Ok(None) } else { decode(self.raw).map(Some) }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }
}

/// Percent-decodes one part of a path or a value of a query.
pub fn decode(raw: &str) -> Result<Cow<'_, str>, Refusal> {
    percent_decode_str(raw).decode_utf8().map_err(|_| Refusal::Argument("not UTF-8"))
}

/// The names in a list: decoded first, then split on `,`, so a comma is never part of a name. A lone `,` is an empty
/// list; empty entries name nothing and are passed over; a name that is given twice counts once.
pub fn names(list: &str, most: usize) -> Result<Vec<&str>, Refusal> {
    let mut seen = foldhash::HashSet::default();
    let mut names = Vec::new();
    for name in list.split(',').filter(|name| !name.is_empty()) {
        if !seen.insert(name) {
            continue;
        }
        if names.len() == most {
            return Err(Refusal::TooManyNames(most));
        }
        names.push(name);
    }
    Ok(names)
}

/// What stays as it is in a key of `channels` (§7.1).
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Writes a channel's name as the vendor spells the keys of `channels`.
pub fn encode_key(name: &str, out: &mut Vec<u8>) {
    for part in utf8_percent_encode(name, &UNRESERVED) {
        out.extend_from_slice(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(raw: &str) -> Vec<String> {
        let mut path = Path::new(raw);
        let mut found = Vec::new();
        while let Some(segment) = path.next().unwrap() {
            found.push(segment.into_owned());
        }
        found
    }

    #[test]
    fn segments_are_split_before_they_are_decoded() {
        assert_eq!(segments("/a/b%2Fc/d"), ["a", "b/c", "d"]);
        assert_eq!(segments("/a+b/%2B/%20"), ["a+b", "+", " "]);
        assert_eq!(segments("/a//b"), ["a", "", "b"]);
        assert_eq!(segments("/%zz/%"), ["%zz", "%"]);
        assert!(Path::new("/%ff").next().is_err());
    }

    #[test]
    fn what_is_left_is_one_value() {
        let mut path = Path::new("/publish/%7B%22a%22:1%7D/x");
        path.next().unwrap();
        assert_eq!(path.rest().unwrap().unwrap(), "{\"a\":1}/x");
    }

    #[test]
    fn lists_are_split_after_they_are_decoded() {
        let list = decode("room.%2A%2Ca%20b,c").unwrap();
        assert_eq!(names(&list, 9).unwrap(), ["room.*", "a b", "c"]);
        assert!(names(",", 9).unwrap().is_empty());
        assert_eq!(names("a,b,a,b", 2).unwrap(), ["a", "b"]);
        assert!(names("a,b,c", 2).is_err());
    }

    #[test]
    fn keys_are_encoded_like_the_vendor_does() {
        let key = |name| {
            let mut out = Vec::new();
            encode_key(name, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(key("channel|encoded::1"), "channel%7Cencoded%3A%3A1");
        assert_eq!(key("a b!~*'()-_."), "a%20b%21~%2A%27%28%29-_.");
    }
}
