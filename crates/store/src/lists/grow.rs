//! Writing a list's tree: messages come in and go, and every node on the way to them is written anew under the list's next
//! revision. The old nodes stay until nobody can ask for them.

use super::{
    ListKey,
    node::{Body, Child, Entry, NODE_ITEMS, Root, State},
};
use crate::view::View;
use bytes::Bytes;
use model::{Id, Result};

/// What happens to a list's message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// It comes in, unless it is there.
    In(Entry),
    /// It goes, if it is there.
    Out(Id),
}

impl Step {
    pub fn id(&self) -> Id {
        match self {
            Step::In(entry) => entry.id,
            Step::Out(id) => *id,
        }
    }
}

/// A list that was written anew. To be written in this order: nodes, root, and what is replaced goes last.
pub(crate) struct Grown {
    /// The rows of new nodes.
    pub nodes: Vec<(Bytes, Bytes)>,
    /// The root's row.
    pub root: (Bytes, Bytes),
    pub is_empty: bool,
    /// Keys of nodes that the list before had and this one has not.
    pub replaced: Vec<Bytes>,
}

/// Takes steps, by growing id and one for each message, with a list as of the view's checkpoint. A list that is written
/// up to a later batch than the checkpoint keeps how it was.
pub(crate) fn grow(view: &View, list: &ListKey, steps: &[Step], upto: u64) -> Result<Grown> {
    let before = view.list_state(list)?;
    let revision = before.as_ref().map_or(0, |state| state.revision) + 1;
    let nothing = Body::EMPTY;
    let body = before.as_ref().map_or(&nothing, |state| &state.body);
    let mut grower = Grower { view, list, revision, nodes: Vec::new(), replaced: Vec::new() };
    let body = grower.root(body, steps)?;
    let Grower { nodes, replaced, .. } = grower;
    let is_empty = body.is_empty();
    let previous = before.filter(|before| before.upto <= view.checkpoint && upto > view.checkpoint);
    let root = Root { current: State { upto, revision, body }, previous };
    let key = list.root();
    let value = root.encode(&key);
    Ok(Grown { nodes, root: (key, value), is_empty, replaced })
}

struct Grower<'a> {
    view: &'a View,
    list: &'a ListKey,
    revision: u64,
    nodes: Vec<(Bytes, Bytes)>,
    replaced: Vec<Bytes>,
}

impl Grower<'_> {
    fn root(&mut self, body: &Body, steps: &[Step]) -> Result<Body> {
        let mut pieces = self.update(body, steps)?;
        while pieces.len() > 1 {
            let level = pieces[0].level() + 1;
            let children = pieces.into_iter().map(|piece| self.write(piece)).collect();
            pieces = split(children, true).into_iter().map(|children| Body::Inner { level, children }).collect();
        }
        Ok(pieces.pop().unwrap_or(Body::EMPTY))
    }

    /// What a node becomes: none, one, or several side by side.
    fn update(&mut self, body: &Body, steps: &[Step]) -> Result<Vec<Body>> {
        let (level, children) = match body {
            Body::Leaf(entries) => {
                let at_end = entries.last().is_none_or(|last| steps.last().is_some_and(|step| last.id < step.id()));
                return Ok(split(merge(entries, steps), at_end).into_iter().map(Body::Leaf).collect());
            }
            Body::Inner { level, children } => (*level, children),
        };
        let mut grown = Vec::with_capacity(children.len() + 1);
        let mut left = steps;
        for (index, child) in children.iter().enumerate() {
            let own = children.get(index + 1).map_or(left.len(), |next| left.partition_point(|s| s.id() < next.first));
            let (own, rest) = left.split_at(own);
            left = rest;
            if own.is_empty() {
                grown.push(*child);
                continue;
            }
            self.replaced.push(self.list.node(level - 1, child.first, child.revision));
            let below = self.view.list_node(self.list, level - 1, child)?;
            for piece in self.update(&below, own)? {
                grown.push(self.write(piece));
            }
        }
        let at_end = children.last().is_some_and(|last| steps.last().is_some_and(|step| last.first <= step.id()));
        Ok(split(grown, at_end).into_iter().map(|children| Body::Inner { level, children }).collect())
    }

    fn write(&mut self, body: Body) -> Child {
        let child = body.child(self.revision);
        let key = self.list.node(body.level(), child.first, child.revision);
        let value = body.encode(&key);
        self.nodes.push((key, value));
        child
    }
}

fn merge(entries: &[Entry], steps: &[Step]) -> Vec<Entry> {
    let mut merged = Vec::with_capacity(entries.len() + steps.len());
    let mut entries = entries.iter().copied().peekable();
    for step in steps {
        while let Some(entry) = entries.next_if(|entry| entry.id < step.id()) {
            merged.push(entry);
        }
        let there = entries.next_if(|entry| entry.id == step.id());
        match (step, there) {
            (Step::In(_), Some(there)) => merged.push(there),
            (Step::In(entry), None) => merged.push(*entry),
            (Step::Out(_), _) => {}
        }
    }
    merged.extend(entries);
    merged
}

/// Pieces of at most [`NODE_ITEMS`]: full ones where a list grows at its end, else of one size, with room in each.
fn split<T: Clone>(items: Vec<T>, at_end: bool) -> Vec<Vec<T>> {
    let pieces = items.len().div_ceil(NODE_ITEMS);
    if pieces <= 1 {
        return if items.is_empty() { Vec::new() } else { vec![items] };
    }
    let size = if at_end { NODE_ITEMS } else { items.len().div_ceil(pieces) };
    items.chunks(size).map(<[T]>::to_vec).collect()
}
