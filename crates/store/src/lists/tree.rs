//! Reading a list's tree: ranks, places and ranges, each a descent. What was read stays for as long as the reader does.

use super::{
    ListKey,
    node::{Body, Child, Entry, Root, State, is_due},
};
use crate::{device::Space, view::View, wire::Malformed};
use model::{Id, Result};
use std::{cell::RefCell, collections::HashMap, sync::Arc};

/// A list in the table, as of the view's checkpoint.
pub(crate) struct Tree<'a> {
    view: &'a View,
    list: ListKey,
    root: Arc<Body>,
    nodes: RefCell<HashMap<(u8, Id, u64), Arc<Body>>>,
}

impl View {
    /// A list as the table has it at the checkpoint.
    pub fn list_state(&self, list: &ListKey) -> Result<Option<State>> {
        let key = list.root();
        let root = self.get(Space::Lists, &key)?.map(|value| Root::decode(&key, &value)).transpose()?;
        Ok(root.and_then(|root| root.at(self.checkpoint)))
    }

    /// A node of a list.
    pub fn list_node(&self, list: &ListKey, level: u8, child: &Child) -> Result<Body> {
        let key = list.node(level, child.first, child.revision);
        let value = self.get(Space::Lists, &key)?.ok_or(Malformed("list: a node is missing"))?;
        let body = Body::decode(&key, &value)?;
        match body.level() == level && body.count() == child.count {
            true => Ok(body),
            false => Err(Malformed("list: a node is not what the one above says").into()),
        }
    }
}

impl<'a> Tree<'a> {
    pub fn open(view: &'a View, list: ListKey) -> Result<Tree<'a>> {
        let body = view.list_state(&list)?.map_or(Body::EMPTY, |state| state.body);
        Ok(Tree { view, list, root: Arc::new(body), nodes: RefCell::default() })
    }

    /// How many messages it has.
    pub fn count(&self) -> u64 {
        self.root.count()
    }

    /// How many of them have ids up to and with this one.
    pub fn count_upto(&self, id: Id) -> Result<u64> {
        let (mut body, mut before) = (self.root.clone(), 0);
        loop {
            let next = match &*body {
                Body::Leaf(entries) => return Ok(before + entries.partition_point(|entry| entry.id <= id) as u64),
                Body::Inner { level, children } => {
                    let at = children.partition_point(|child| child.first <= id);
                    let Some(at) = at.checked_sub(1) else { return Ok(before) };
                    before += children[..at].iter().map(|child| child.count).sum::<u64>();
                    self.node(level - 1, &children[at])?
                }
            };
            body = next;
        }
    }

    /// The messages from the one with so many before it on, as far as they are in one leaf; none at the end.
    pub fn from(&self, rank: u64) -> Result<Vec<Entry>> {
        let (mut body, mut left) = (self.root.clone(), rank);
        loop {
            let next = match &*body {
                Body::Leaf(entries) => {
                    return Ok(entries.get(usize::try_from(left).unwrap_or(usize::MAX)..).unwrap_or_default().to_vec());
                }
                Body::Inner { level, children } => {
                    let mut found = None;
                    for child in children {
                        if left < child.count {
                            found = Some(child);
                            break;
                        }
                        left -= child.count;
                    }
                    let Some(child) = found else { return Ok(Vec::new()) };
                    self.node(level - 1, child)?
                }
            };
            body = next;
        }
    }

    /// Whether it has a message.
    pub fn has(&self, id: Id) -> Result<bool> {
        Ok(self.count_upto(id)? > self.count_upto(id.previous())? || id == Id::MIN && self.count_upto(id)? > 0)
    }

    /// Visits the messages with ids in (`after`, `upto`] of those that are due at a moment, or all.
    pub fn each(
        &self,
        (after, upto): (Id, Id),
        due_at: Option<Id>,
        visit: &mut dyn FnMut(&Entry) -> Result<()>,
    ) -> Result<()> {
        self.each_below(&self.root, (after, upto), due_at, visit)
    }

    fn each_below(
        &self,
        body: &Body,
        (after, upto): (Id, Id),
        due_at: Option<Id>,
        visit: &mut dyn FnMut(&Entry) -> Result<()>,
    ) -> Result<()> {
        match body {
            Body::Leaf(entries) => {
                let start = entries.partition_point(|entry| entry.id <= after);
                for entry in entries[start..].iter().take_while(|entry| entry.id <= upto) {
                    if due_at.is_none_or(|now| entry.is_due(now)) {
                        visit(entry)?;
                    }
                }
            }
            Body::Inner { level, children } => {
                let start = children.partition_point(|child| child.first <= after).saturating_sub(1);
                for child in children[start..].iter().take_while(|child| child.first <= upto) {
                    if due_at.is_none_or(|now| is_due(child.due, now)) {
                        // Not kept: a visit of everything passes each node once.
                        let node = self.known(level - 1, child);
                        let node =
                            node.map_or_else(|| self.view.list_node(&self.list, level - 1, child).map(Arc::new), Ok)?;
                        self.each_below(&node, (after, upto), due_at, visit)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn known(&self, level: u8, child: &Child) -> Option<Arc<Body>> {
        self.nodes.borrow().get(&(level, child.first, child.revision)).cloned()
    }

    fn node(&self, level: u8, child: &Child) -> Result<Arc<Body>> {
        if let Some(known) = self.known(level, child) {
            return Ok(known);
        }
        let node = Arc::new(self.view.list_node(&self.list, level, child)?);
        self.nodes.borrow_mut().insert((level, child.first, child.revision), node.clone());
        Ok(node)
    }
}
