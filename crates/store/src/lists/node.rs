//! The rows of a list's tree. Leaves hold messages by growing id; inner nodes hold, for each node below, from which id on
//! it is, how many messages it has, and when the first of them is due. The root is a row of its own that names the
//! nodes below by their revisions, so a node that something names is never written again.
//!
//! ```text
//! root  = upto ‖ revision ‖ body ‖ had (0 | 1 | 2) ‖ [upto ‖ revision ‖ (body | count)], the last: as it was before batch
//!         `upto`; 2: it had the first `count` items of the body, which is a leaf
//! node  = body
//! body  = level ‖ count ‖ items
//! item of level 0     = id less the one before ‖ number of the channel · 2 + has due ‖ seq ‖ [due]
//! item of other levels = first id less the one before ‖ revision ‖ messages ‖ earliest due plus one (0 for never)
//! ```
//!
//! Numbers are LEB128; `rows::seal` frames each row.

use crate::{
    rows::{open, seal},
    wire::{Malformed, Parsed, Reader, put_seq, put_varint},
};
use bytes::Bytes;
use model::{Id, Seq};

/// Messages in a leaf, nodes below an inner node.
pub(crate) const NODE_ITEMS: usize = 256;
const LEVELS_MAX: u8 = 16;

/// What a root says of the list before.
const HAD_NOTHING: u8 = 0;
const HAD_BODY: u8 = 1;
/// A leaf that only grew at its end, as nearly all do.
const HAD_PREFIX: u8 = 2;

/// A message in a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub id: Id,
    pub number: u64,
    pub seq: Seq,
    /// When it is due to expire; [`Entry::NEVER`].
    pub due: Id,
}

impl Entry {
    pub const NEVER: Id = Id::MAX;

    pub fn is_due(&self, now: Id) -> bool {
        is_due(self.due, now)
    }
}

pub(crate) fn is_due(due: Id, now: Id) -> bool {
    due != Entry::NEVER && due <= now
}

/// A node below another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Child {
    /// No message in it has a lower id.
    pub first: Id,
    pub revision: u64,
    pub count: u64,
    /// The earliest due time in it.
    pub due: Id,
}

/// What a node holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Body {
    Leaf(Vec<Entry>),
    Inner { level: u8, children: Vec<Child> },
}

impl Body {
    pub const EMPTY: Body = Body::Leaf(Vec::new());

    pub fn level(&self) -> u8 {
        match self {
            Body::Leaf(_) => 0,
            Body::Inner { level, .. } => *level,
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Body::Leaf(entries) => entries.is_empty(),
            Body::Inner { children, .. } => children.is_empty(),
        }
    }

    /// How many messages are in it and below.
    pub fn count(&self) -> u64 {
        match self {
            Body::Leaf(entries) => entries.len() as u64,
            Body::Inner { children, .. } => children.iter().map(|child| child.count).sum(),
        }
    }

    /// How many messages it has, if it is a leaf and another one goes on from there.
    fn as_prefix_of(&self, longer: &Body) -> Option<usize> {
        match (self, longer) {
            (Body::Leaf(entries), Body::Leaf(longer)) if longer.starts_with(entries) => Some(entries.len()),
            _ => None,
        }
    }

    /// A leaf of its first messages, if it is one and has so many.
    fn prefix(&self, count: usize) -> Option<Body> {
        match self {
            Body::Leaf(entries) => entries.get(..count).map(|entries| Body::Leaf(entries.to_vec())),
            Body::Inner { .. } => None,
        }
    }

    /// What a node above says of it.
    pub fn child(&self, revision: u64) -> Child {
        let (first, due) = match self {
            Body::Leaf(entries) => (entries.first().map(|entry| entry.id), entries.iter().map(|entry| entry.due).min()),
            Body::Inner { children, .. } => {
                (children.first().map(|child| child.first), children.iter().map(|child| child.due).min())
            }
        };
        let (first, due) = (first.unwrap_or_default(), due.unwrap_or(Entry::NEVER));
        Child { first, revision, count: self.count(), due }
    }

    pub fn encode(&self, key: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(self.bytes());
        self.put(&mut out);
        seal(key, &out)
    }

    /// About how many bytes it is encoded to.
    fn bytes(&self) -> usize {
        const ITEM: usize = 16;
        match self {
            Body::Leaf(entries) => ITEM * (1 + entries.len()),
            Body::Inner { children, .. } => ITEM * (1 + children.len()),
        }
    }

    pub fn decode(key: &[u8], value: &Bytes) -> Parsed<Body> {
        let fields = open(key, value)?;
        let mut reader = Reader::new(&fields);
        let body = Body::read(&mut reader)?;
        reader.end()?;
        Ok(body)
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.push(self.level());
        let mut last = 0;
        match self {
            Body::Leaf(entries) => {
                put_varint(out, entries.len() as u64);
                for Entry { id, number, seq, due } in entries {
                    put_varint(out, id.raw() - last);
                    last = id.raw();
                    put_varint(out, number << 1 | u64::from(*due != Entry::NEVER));
                    put_seq(out, *seq);
                    if *due != Entry::NEVER {
                        put_varint(out, due.raw());
                    }
                }
            }
            Body::Inner { children, .. } => {
                put_varint(out, children.len() as u64);
                for Child { first, revision, count, due } in children {
                    put_varint(out, first.raw() - last);
                    last = first.raw();
                    put_varint(out, *revision);
                    put_varint(out, *count);
                    put_varint(out, due.raw().wrapping_add(1));
                }
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Parsed<Body> {
        let level = reader.u8()?;
        let count = reader.count(NODE_ITEMS, "items of a list's node")?;
        let mut last = 0u64;
        let mut id = |reader: &mut Reader<'_>, is_first: bool| {
            let step = reader.varint()?;
            last = last.checked_add(step).filter(|_| is_first || step > 0).ok_or(Malformed("ids of a list's node"))?;
            Ok(Id::from_raw(last))
        };
        if level == 0 {
            let mut entries = Vec::with_capacity(count);
            for index in 0..count {
                let id = id(reader, index == 0)?;
                let number = reader.varint()?;
                let seq = reader.seq()?;
                let due = if number & 1 == 1 { Id::from_raw(reader.varint()?) } else { Entry::NEVER };
                entries.push(Entry { id, number: number >> 1, seq, due });
            }
            return Ok(Body::Leaf(entries));
        }
        if level > LEVELS_MAX {
            return Err(Malformed("level of a list's node"));
        }
        let mut children = Vec::with_capacity(count);
        let mut total = 0u64;
        for index in 0..count {
            let first = id(reader, index == 0)?;
            let (revision, count, due) = (reader.varint()?, reader.varint()?, reader.varint()?);
            total = total.checked_add(count).ok_or(Malformed("counts of a list's node"))?;
            children.push(Child { first, revision, count, due: Id::from_raw(due.wrapping_sub(1)) });
        }
        Ok(Body::Inner { level, children })
    }
}

/// A list at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct State {
    /// The last batch whose messages are in it.
    pub upto: u64,
    /// Grows whenever the list is written; the nodes below carry that by which they were written.
    pub revision: u64,
    pub body: Body,
}

/// The root's row: the list, and how it was before the flush up to batch `upto`, which may not be finished.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Root {
    pub current: State,
    pub previous: Option<State>,
}

impl Root {
    /// The list as of a checkpoint; none if it was empty then.
    pub fn at(self, checkpoint: u64) -> Option<State> {
        if self.current.upto <= checkpoint { Some(self.current) } else { self.previous }
    }

    pub fn encode(&self, key: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(self.current.body.bytes() + 32);
        self.current.put(&mut out);
        match &self.previous {
            None => out.push(HAD_NOTHING),
            Some(previous) => match previous.body.as_prefix_of(&self.current.body) {
                None => {
                    out.push(HAD_BODY);
                    previous.put(&mut out);
                }
                Some(count) => {
                    out.push(HAD_PREFIX);
                    put_varint(&mut out, previous.upto);
                    put_varint(&mut out, previous.revision);
                    put_varint(&mut out, count as u64);
                }
            },
        }
        seal(key, &out)
    }

    pub fn decode(key: &[u8], value: &Bytes) -> Parsed<Root> {
        let fields = open(key, value)?;
        let mut reader = Reader::new(&fields);
        let current = State::read(&mut reader)?;
        let previous = match reader.u8()? {
            HAD_NOTHING => None,
            HAD_BODY => Some(State::read(&mut reader)?),
            HAD_PREFIX => {
                let (upto, revision) = (reader.varint()?, reader.varint()?);
                let count = reader.count(NODE_ITEMS, "items of a list's root before")?;
                let body = current.body.prefix(count).ok_or(Malformed("items of a list's root before"))?;
                Some(State { upto, revision, body })
            }
            _ => return Err(Malformed("root of a list")),
        };
        reader.end()?;
        Ok(Root { current, previous })
    }
}

impl State {
    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.upto);
        put_varint(out, self.revision);
        self.body.put(out);
    }

    fn read(reader: &mut Reader<'_>) -> Parsed<State> {
        Ok(State { upto: reader.varint()?, revision: reader.varint()?, body: Body::read(reader)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf() -> Body {
        let entry = |n: u64| Entry {
            id: Id::from_raw(n * 1000),
            number: n % 3,
            seq: Seq(n.cast_signed() - 4),
            due: if n.is_multiple_of(2) { Id::from_raw(n * 2000) } else { Entry::NEVER },
        };
        Body::Leaf((0..9).map(entry).collect())
    }

    #[test]
    fn rows_come_back() {
        let inner =
            Body::Inner { level: 1, children: vec![leaf().child(3), Child { first: Id::MAX, ..leaf().child(4) }] };
        for body in [Body::EMPTY, leaf(), inner.clone()] {
            assert_eq!(Body::decode(b"key", &body.encode(b"key")), Ok(body.clone()));
            for previous in [None, Some(State { upto: 5, revision: 1, body: leaf() })] {
                let root = Root { current: State { upto: 7, revision: 2, body: body.clone() }, previous };
                assert_eq!(Root::decode(b"key", &root.encode(b"key")), Ok(root.clone()));
                assert_eq!(root.clone().at(7), Some(root.current.clone()));
                assert_eq!(root.clone().at(6), root.previous);
            }
        }
    }

    #[test]
    fn a_leaf_that_grew_at_its_end_says_only_from_where_on() {
        let Body::Leaf(entries) = leaf() else { panic!("it is a leaf") };
        let root = |body: Body| {
            let previous = Some(State { upto: 5, revision: 1, body });
            Root { current: State { upto: 7, revision: 2, body: leaf() }, previous }
        };
        let alone = Root { previous: None, ..root(Body::EMPTY) }.encode(b"key").len();
        for count in [0, 1, 8, 9] {
            let root = root(Body::Leaf(entries[..count].to_vec()));
            let value = root.encode(b"key");
            assert_eq!(value.len(), alone + 3);
            assert_eq!(Root::decode(b"key", &value), Ok(root));
        }
        let other = root(Body::Leaf(entries[1..].to_vec()));
        assert!(other.encode(b"key").len() > alone + 3 + 8, "it says each");
        assert_eq!(Root::decode(b"key", &other.encode(b"key")), Ok(other));
        let mut fields = open(b"key", &root(leaf()).encode(b"key")).expect("it is whole").to_vec();
        *fields.last_mut().expect("a count") += 1;
        let lies = Err(Malformed("items of a list's root before"));
        assert_eq!(Root::decode(b"key", &seal(b"key", &fields)), lies, "more than there are");
    }

    #[test]
    fn damage_is_noticed() {
        let value = leaf().encode(b"key");
        assert!(Body::decode(b"other", &value).is_err(), "under another key");
        for at in 0..value.len() {
            let mut flipped = value.to_vec();
            flipped[at] ^= 1;
            assert!(Body::decode(b"key", &flipped.into()).is_err(), "byte {at}");
            assert!(Body::decode(b"key", &value.slice(..at)).is_err(), "cut at {at}");
        }
    }
}
