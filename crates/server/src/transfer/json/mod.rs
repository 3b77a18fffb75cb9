//! How lines look as JSON: the shape of every kind of line. `fields` has what lines consist of, `parse` reads them, `write`
//! writes them. Ids are strings, because many readers keep numbers as floating point; payloads are JSON in JSON where that
//! keeps every byte of them.

mod fields;
mod parse;
mod write;

pub(super) use parse::parse;
pub(super) use write::write;

use fields::{Digits, EntryKind, Name, Text, User};
use model::RecordKind;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

const FORMAT: &str = "scrollback export";
const FORMAT_VERSION: u32 = 1;

/// The kinds of records, in the order in which they are exported.
pub(super) const RECORD_KINDS: [(RecordKind, &str); 8] = [
    (RecordKind::Setting, "setting"),
    (RecordKind::Grant, "grant"),
    (RecordKind::GroupMember, "group_member"),
    (RecordKind::Directory, "directory"),
    (RecordKind::ReadMark, "read_mark"),
    (RecordKind::Hold, "hold"),
    (RecordKind::Erasure, "erasure"),
    (RecordKind::Spent, "spent"),
];

#[derive(Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "lowercase", deny_unknown_fields)]
enum Shape<'a> {
    Header {
        format: Cow<'a, str>,
        version: u32,
        app: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        channels: Vec<Name<'a>>,
        after: Digits,
        upto: Digits,
    },
    Record {
        record: Cow<'a, str>,
        name: Text<'a>,
        version: Digits,
        value: Text<'a>,
    },
    Channel {
        channel: Name<'a>,
        floor: (i64, Digits),
        head: (i64, Digits),
    },
    Gone {
        channel: Name<'a>,
        messages: Vec<(i64, Digits, Fate)>,
    },
    Reaction {
        channel: Name<'a>,
        message: Digits,
        id: Digits,
        user: User<'a>,
        kind: Cow<'a, str>,
        value: Cow<'a, str>,
    },
    End {
        messages: u64,
    },
}

/// A message or an edit: apart from the others, because JSON in JSON cannot be read through a tag.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said<'a> {
    line: SaidKind,
    #[serde(borrow)]
    channel: Name<'a>,
    seq: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<Digits>,
    id: Digits,
    /// For people and other programs: the id tells it.
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    author: Option<User<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    recipient: Option<User<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<EntryKind>,
    #[serde(borrow, rename = "type", default, skip_serializing_if = "Option::is_none")]
    custom_type: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    payload_json: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    extras: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<Digits>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SaidKind {
    Message,
    Edit,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Fate {
    Deleted,
    Expired,
}
