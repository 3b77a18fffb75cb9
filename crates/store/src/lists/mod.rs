//! The indices by author and recipient: for each author, author in a channel, and sender, recipient and pair of direct
//! chats, a *list* of its messages by growing id, in a tree that counts, so that a rank, an offset and a count are descents.
//!
//! A list holds what its messages were when the checkpoint was moved (`tree`), less what maintenance has taken out since
//! (`upkeep`); what is newer is in the tails (`fresh`). What was removed and is not taken out yet, and what is due, is left
//! out when reading (`ranked`). Only apps of [`crate::Settings::indexed_apps`] have lists (`indexed`).

pub(crate) mod flush;
pub(crate) mod fresh;
pub(crate) mod grow;
pub(crate) mod indexed;
pub(crate) mod node;
pub(crate) mod ranked;
pub(crate) mod tree;
pub(crate) mod unlisted;
pub(crate) mod upkeep;
pub(crate) mod verify;

use crate::{
    content::Content,
    device::{Space, Table},
    keys,
    meta::Meta,
    rows,
    settings::Settings,
    view::View,
    wire::{Malformed, Parsed},
};
use bytes::Bytes;
use indexed::Indexed;
use model::{AppId, Channel, ChannelName, Id, Result};
use std::{borrow::Borrow, ops::Range};

/// Lists by kind, each followed by `app ‖ 0`. By author in all channels with names in the clear.
const AUTHOR: u8 = b'a';
/// By author in one channel.
const WITHIN: u8 = b'c';
/// In direct chats: from one to another, by recipient, by author.
const PAIR: u8 = b'p';
const RECIPIENT: u8 = b'r';
const SENDER: u8 = b's';
/// Not a list: the names of channels by number.
const NAMES: u8 = b'n';

const KINDS: [u8; 5] = [AUTHOR, WITHIN, PAIR, RECIPIENT, SENDER];

/// Rows of a list, behind its key.
const NODE: u8 = b'n';
const ROOT: u8 = b'r';

/// The key of a list: what the keys of all its rows begin with, and no row of another list does.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct ListKey(Box<[u8]>);

impl Borrow<[u8]> for ListKey {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for ListKey {
    fn from(key: &[u8]) -> ListKey {
        ListKey(key.into())
    }
}

impl ListKey {
    pub fn author(app: &str, author: &str) -> ListKey {
        ListOf::Author(author).key(app)
    }

    pub fn sender(app: &str, author: &str) -> ListKey {
        ListOf::Sender(author).key(app)
    }

    pub fn recipient(app: &str, recipient: &str) -> ListKey {
        ListOf::Recipient(recipient).key(app)
    }

    pub fn pair(app: &str, author: &str, recipient: &str) -> ListKey {
        ListOf::Pair(author, recipient).key(app)
    }

    pub fn within(app: &str, author: &str, channel: u64) -> ListKey {
        ListOf::Within(author, channel).key(app)
    }

    pub fn root(&self) -> Bytes {
        [&self.0, &[ROOT][..]].concat().into()
    }

    pub fn node(&self, level: u8, first: Id, revision: u64) -> Bytes {
        let tag = [NODE, level];
        [&self.0, &tag[..], &first.raw().to_be_bytes(), &revision.to_be_bytes()].concat().into()
    }

    /// All rows of the list.
    pub fn rows(&self) -> Range<Bytes> {
        Bytes::copy_from_slice(&self.0)..keys::end_of_prefix(&self.0)
    }

    /// The list that a row belongs to, and whether the row is its root.
    pub fn parse_row(key: &[u8]) -> Parsed<(ListKey, bool)> {
        let malformed = Malformed("key of a list's row");
        let names = match key.first() {
            Some(&(AUTHOR | RECIPIENT | SENDER | WITHIN)) => 2,
            Some(&PAIR) => 3,
            _ => return Err(malformed),
        };
        let mut ends = key.iter().enumerate().filter(|(_, byte)| **byte == 0).map(|(at, _)| at + 1);
        let end = ends.nth(names - 1).ok_or(malformed)? + if key[0] == WITHIN { 8 } else { 0 };
        let (list, row) = key.split_at_checked(end).ok_or(malformed)?;
        match row {
            [ROOT] => Ok((ListKey(list.into()), true)),
            [NODE, rest @ ..] if rest.len() == 17 => Ok((ListKey(list.into()), false)),
            _ => Err(malformed),
        }
    }

    /// The app that it is of.
    pub fn app(&self) -> &[u8] {
        let names = &self.0[1..];
        &names[..names.iter().position(|byte| *byte == 0).unwrap_or(names.len())]
    }
}

/// What a list of an app is of.
#[derive(Clone, Copy)]
enum ListOf<'a> {
    Author(&'a str),
    Within(&'a str, u64),
    Sender(&'a str),
    Recipient(&'a str),
    Pair(&'a str, &'a str),
}

impl ListOf<'_> {
    fn key(self, app: &str) -> ListKey {
        let mut key = Vec::new();
        self.put(app, &mut key);
        ListKey(key.into())
    }

    /// Appends the key. No name holds a NUL.
    fn put(self, app: &str, out: &mut Vec<u8>) {
        let mut put = |kind: u8, names: &[&str]| {
            out.reserve(2 + app.len() + names.iter().map(|name| name.len() + 1).sum::<usize>() + 8);
            out.push(kind);
            for name in [&app].into_iter().chain(names) {
                out.extend_from_slice(name.as_bytes());
                out.push(0);
            }
        };
        match self {
            ListOf::Author(author) => put(AUTHOR, &[author]),
            ListOf::Sender(author) => put(SENDER, &[author]),
            ListOf::Recipient(recipient) => put(RECIPIENT, &[recipient]),
            ListOf::Pair(author, recipient) => put(PAIR, &[author, recipient]),
            ListOf::Within(author, channel) => {
                put(WITHIN, &[author]);
                out.extend_from_slice(&channel.to_be_bytes());
            }
        }
    }
}

/// Which apps have lists when the store is opened.
pub(crate) fn open(table: &dyn Table, meta: &Meta, settings: &Settings) -> Result<Indexed> {
    let snapshot = table.snapshot()?;
    let mut lists = Indexed::load(&*snapshot)?;
    let is_between_flushes = meta.flushing <= meta.checkpoint.batch;
    if let Some(wanted) = &settings.indexed_apps
        && is_between_flushes
        && !lists.is_in_line(wanted)
    {
        lists.bring_in_line(table, &*snapshot, wanted, meta.checkpoint.last_id)?;
    }
    Ok(lists)
}

/// The lists of an app, of each kind.
fn rows_of_app(app: &AppId) -> [Range<Bytes>; KINDS.len()] {
    KINDS.map(|kind| {
        let stem = [&[kind], app.as_str().as_bytes(), &[0]].concat();
        let end = keys::end_of_prefix(&stem);
        stem.into()..end
    })
}

/// Key of the name of a channel.
pub(crate) fn name_row(number: u64) -> Bytes {
    [&[NAMES][..], &number.to_be_bytes()].concat().into()
}

/// The row that names a channel.
pub(crate) fn encode_name(channel: &Channel, number: u64) -> (Bytes, Bytes) {
    let key = name_row(number);
    let mut name = Vec::new();
    keys::put_channel(&mut name, channel);
    let value = rows::seal(&key, &name);
    (key, value)
}

impl View {
    /// The name of a channel that has messages in lists.
    pub fn listed_name(&self, number: u64) -> Result<Option<ChannelName>> {
        for part in self.parts() {
            if let Some(name) = part.name_of(number)? {
                return Ok(Some(keys::parse_channel(&name)?.name));
            }
        }
        let key = name_row(number);
        let Some(value) = self.get(Space::Lists, &key)? else { return Ok(None) };
        Ok(Some(keys::parse_channel(&rows::open(&key, &value)?)?.name))
    }
}

/// A channel as the lists see it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub app: AppId,
    pub number: u64,
    kind: Kind,
}

/// What sort of name it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Clear,
    Member,
    Direct,
}

impl Listed {
    pub fn new(channel: &Channel, number: u64) -> Listed {
        let kind = match channel.name {
            ChannelName::Named(_) => Kind::Clear,
            ChannelName::Member(..) => Kind::Member,
            ChannelName::Direct(..) => Kind::Direct,
        };
        Listed { app: channel.app.clone(), number, kind }
    }

    /// The lists that a message of the channel belongs to.
    pub fn lists_of(&self, content: &Content<'_>) -> impl Iterator<Item = ListKey> {
        self.all_of(content).map(|list| list.key(self.app.as_str()))
    }

    /// The same, each written to `key`, whatever is there.
    pub fn each_list_of(&self, content: &Content<'_>, key: &mut Vec<u8>, mut visit: impl FnMut(&[u8])) {
        for list in self.all_of(content) {
            key.clear();
            list.put(self.app.as_str(), key);
            visit(key);
        }
    }

    fn all_of<'c>(&self, content: &Content<'c>) -> impl Iterator<Item = ListOf<'c>> + use<'c> {
        let (author, recipient) = (content.author(), content.recipient());
        let within = author.map(|author| ListOf::Within(author, self.number));
        let lists = match self.kind {
            Kind::Clear => [author.map(ListOf::Author), within, None],
            Kind::Member => [within, None, None],
            Kind::Direct => {
                let pair = author.zip(recipient).map(|(author, recipient)| ListOf::Pair(author, recipient));
                [author.map(ListOf::Sender), recipient.map(ListOf::Recipient), pair]
            }
        };
        lists.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_of_one_list() {
        let lists = [
            ListKey::author("demo", "ann"),
            ListKey::author("demo", "an"),
            ListKey::author("dem", "ann"),
            ListKey::recipient("demo", "ann"),
            ListKey::sender("demo", "ann"),
            ListKey::pair("demo", "ann", "bob"),
            ListKey::pair("demo", "ann", "bobn"),
            ListKey::within("demo", "ann", 0),
            ListKey::within("demo", "ann", 1 << 8),
            ListKey::within("demo", "ann", 0x6e00),
        ];
        for (one, list) in lists.iter().enumerate() {
            assert_eq!(ListKey::parse_row(&list.root()), Ok((list.clone(), true)));
            assert_eq!(ListKey::parse_row(&list.node(1, Id::from_raw(7), 3)), Ok((list.clone(), false)));
            assert_eq!(list.app(), if one == 2 { &b"dem"[..] } else { b"demo" });
            for (other, another) in lists.iter().enumerate() {
                assert_eq!(list.rows().contains(&another.root()), one == other);
                assert_eq!(list.rows().contains(&another.node(0, Id::MIN, 1)), one == other);
            }
        }
    }
}
