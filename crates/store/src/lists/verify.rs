//! The part of a verification that looks at lists: every tree counts right, every message of a listed app that is there is
//! in exactly its lists, and what a list has beside is on its way out.

use super::{
    ListKey, Listed, NAMES,
    node::{Body, Child, Entry, Root},
    unlisted::{self, Unlisted},
};
use crate::{
    block::Block,
    content::Content,
    device::Space,
    keys,
    rows::{self, ChannelRow},
    verify::Verifier,
    view::View,
};
use bytes::Bytes;
use model::{Id, Result};
use std::collections::{BTreeMap, HashMap};

/// The messages of a list in sum: how many, and their ids mixed.
type Sum = (u64, u64);

impl Verifier<'_> {
    /// Everything about lists.
    pub fn lists(&mut self) -> Result<()> {
        let mut unlisted: HashMap<u64, Unlisted> = HashMap::new();
        for row in unlisted::all(&*self.view.snapshot) {
            match row {
                Ok((number, row)) => drop(unlisted.insert(number, row)),
                Err(error) => self.find("meta, what is to be taken out of lists", error),
            }
        }
        let mut found: BTreeMap<ListKey, Sum> = BTreeMap::new();
        let all = Bytes::new()..Bytes::from_static(&[u8::MAX]);
        self.each_row(Space::Lists, all, |this, key, value| this.list_row(key, value, &unlisted, &mut found))?;
        for (list, expected) in self.expected()? {
            let sum = found.remove(&list).unwrap_or_default();
            if sum != expected {
                self.find(
                    place(&list),
                    format!("it has {} messages that are there, {} belong to it", sum.0, expected.0),
                );
            }
        }
        for (list, (count, _)) in found {
            if count > 0 && self.is_complete(&list) {
                self.find(place(&list), format!("it has {count} messages that do not belong to it"));
            }
        }
        Ok(())
    }

    fn is_complete(&self, list: &ListKey) -> bool {
        let app = std::str::from_utf8(list.app()).ok().and_then(|app| model::AppId::new(app).ok());
        app.is_some_and(|app| self.view.lists.is_complete(&app))
    }

    fn list_row(
        &mut self,
        key: &Bytes,
        value: &Bytes,
        unlisted: &HashMap<u64, Unlisted>,
        found: &mut BTreeMap<ListKey, Sum>,
    ) {
        if key.first() == Some(&NAMES) {
            if let Err(malformed) = rows::open(key, value).and_then(|name| keys::parse_channel(&name)) {
                self.find(format!("lists, {key:?}"), malformed);
            }
            return;
        }
        let list = match ListKey::parse_row(key) {
            Ok((list, true)) => list,
            // Nodes are read from their roots; one that no root names was left by a cut.
            Ok((_, false)) => return,
            Err(malformed) => return self.find(format!("lists, {key:?}"), malformed),
        };
        if !self.is_complete(&list) {
            return;
        }
        let root = match Root::decode(key, value) {
            Ok(root) => root,
            Err(malformed) => return self.find(place(&list), malformed),
        };
        let Some(state) = root.at(self.view.checkpoint) else { return };
        let mut sum = Sum::default();
        let mut last = None;
        let view = self.view;
        let walked = each(view, &list, &state.body, &mut |entry| {
            let is_there = is_there(view, entry)?;
            let is_pending = unlisted.get(&entry.number).is_some_and(|row| row.has(entry.seq));
            if is_there {
                sum = add(sum, entry.id);
            } else if !is_pending && !is_removed_in_tails(view, entry) {
                self.find(place(&list), format!("message {} of channel {} is gone", entry.id, entry.number));
            }
            if last.is_some_and(|last| last >= entry.id) {
                self.find(place(&list), format!("message {} does not follow the one before", entry.id));
            }
            last = Some(entry.id);
            Ok(())
        });
        if let Err(error) = walked {
            self.find(place(&list), error);
        }
        found.insert(list, sum);
    }

    /// What the lists of complete apps should have, by the messages in the table that are there.
    fn expected(&mut self) -> Result<BTreeMap<ListKey, Sum>> {
        let mut expected: BTreeMap<ListKey, Sum> = BTreeMap::new();
        let view = self.view;
        for app in view.lists.apps.keys().filter(|app| view.lists.is_complete(app)) {
            for row in view.rows(Space::Channels, keys::channel_rows_of(app), false) {
                let (key, value) = row?;
                let channel = keys::name_of_channel_row(&key).and_then(keys::parse_channel);
                // What does not parse was told already.
                let (Ok(channel), Ok(row)) = (channel, ChannelRow::decode(&key, &value)) else { continue };
                let listed = Listed::new(&channel, row.number);
                for row in view.rows(
                    keys::blocks_of(listed.number),
                    keys::blocks_between(listed.number, Id::MIN, Id::MAX),
                    false,
                ) {
                    let Ok(Some(block)) = view.visible(row?) else { continue };
                    expect(view, &listed, &block, &mut expected)?;
                }
            }
        }
        Ok(expected)
    }
}

fn expect(view: &View, listed: &Listed, block: &Block, expected: &mut BTreeMap<ListKey, Sum>) -> Result<()> {
    let Ok(contents) = block.contents() else { return Ok(()) };
    for index in 0..block.len() {
        let slot = block.slot(index);
        let entry = Entry { id: slot.id, number: listed.number, seq: slot.seq, due: Entry::NEVER };
        if block.content(index).is_empty() || !is_there(view, &entry)? {
            continue;
        }
        let Ok(content) = Content::parse(&contents[block.content(index)]) else { continue };
        for list in listed.lists_of(&content) {
            let sum = expected.entry(list).or_default();
            *sum = add(*sum, slot.id);
        }
    }
    Ok(())
}

fn each(view: &View, list: &ListKey, body: &Body, visit: &mut dyn FnMut(&Entry) -> Result<()>) -> Result<()> {
    match body {
        Body::Leaf(entries) => entries.iter().try_for_each(visit),
        Body::Inner { level, children } => {
            for child in children {
                let node = view.list_node(list, level - 1, child)?;
                if node.child(child.revision) != (Child { first: node.child(0).first, ..*child })
                    || node.child(0).first < child.first
                {
                    return Err(model::Error::internal(format!(
                        "the node from {} on is not what is said of it",
                        child.first
                    )));
                }
                each(view, list, &node, visit)?;
            }
            Ok(())
        }
    }
}

fn is_there(view: &View, entry: &Entry) -> Result<bool> {
    let place = view.place_of(entry.number, view.known(entry.number)?);
    Ok(entry.seq > place.floor.seq && !view.removed(&place)?.has(entry.seq)?)
}

fn is_removed_in_tails(view: &View, entry: &Entry) -> bool {
    view.parts().any(|part| {
        let floored = part.floor(entry.number).is_some_and(|floor| floor.seq >= entry.seq);
        let ranges = part.with_removed(entry.number, |tail, batches| tail.ranges(batches)).unwrap_or_default();
        floored || ranges.iter().any(|range| range.contains(entry.seq))
    })
}

fn add((count, mixed): Sum, id: Id) -> Sum {
    (count + 1, mixed ^ id.raw().wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn place(list: &ListKey) -> String {
    format!("list {}", String::from_utf8_lossy(&list.0).replace('\0', "/"))
}
