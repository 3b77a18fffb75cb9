//! The part of a verification that looks at what happened to messages: the removed set adds up, contents are missing only
//! where a message went, each edit, reaction and due time lies where readers look for it.

use crate::{
    changes,
    device::Space,
    edits, expiring, keys, meta, reactions,
    reactions::{Fate, Fates},
    removed::{Container, Removed, Root},
    sweep::SweepRow,
    verify::{Channels, Verifier},
};
use bytes::Bytes;
use model::{Position, Result, Seq};
use std::{collections::HashMap, ops::Range, sync::Arc};

impl Verifier<'_> {
    /// Everything that lies beside messages.
    pub fn altered(&mut self, channels: &Channels) -> Result<()> {
        self.removed(channels)?;
        self.edits(channels)?;
        self.reactions(channels)?;
        self.due(channels)?;
        for week in self.view.changes_weeks.clone().iter() {
            self.each_row(Space::Changes(*week), all(), |this, key, value| {
                if let Err(malformed) = changes::decode(key, value) {
                    this.find(format!("changes of week {week}, {key:?}"), malformed);
                }
            })?;
        }
        self.each_row(Space::Meta, meta::sweep_rows(), |this, key, value| {
            if let Err(malformed) = meta::parse_sweep(key).and_then(|_| SweepRow::decode(key, value)) {
                this.find(format!("meta, {key:?}"), malformed);
            }
        })
    }

    /// A slot without content: its message must be gone.
    pub fn blank(&mut self, place: &str, number: u64, seq: Seq, floor: Position) {
        let root = match self.view.root_row(number) {
            Ok(root) => root.map(Arc::new),
            Err(error) => return self.find(place, error),
        };
        match Removed::new(self.view, number, root).has(seq) {
            Ok(false) if seq > floor.seq => self.find(place, format!("seq {seq} has no content and was not removed")),
            Ok(_) => {}
            Err(error) => self.find(place, error),
        }
    }

    fn removed(&mut self, channels: &Channels) -> Result<()> {
        let mut roots: HashMap<u64, Root> = HashMap::new();
        self.each_row(Space::Removed, all(), |this, key, value| {
            let place = format!("removed, {key:?}");
            match <[u8; 8]>::try_from(&key[..]) {
                Ok(number) => match Root::decode(key, value) {
                    Ok(root) => drop(roots.insert(u64::from_be_bytes(number), root)),
                    Err(malformed) => this.find(place, malformed),
                },
                Err(_) => {
                    let found = keys::last_two(key).and_then(|at| Ok((at, Container::decode(key, value)?)));
                    let ((number, index), (container, upto)) = match found {
                        Ok(found) => found,
                        Err(malformed) => return this.find(place, malformed),
                    };
                    let total = container.total();
                    let told = roots.get(&number).and_then(|root| root.counts.get(&index.cast_signed()));
                    let counts = (total.deleted as u32, total.expired as u32);
                    if upto <= this.view.checkpoint && told != Some(&counts) {
                        this.find(place, format!("it holds {counts:?}, its root says {told:?}"));
                    }
                }
            }
        })?;
        for (number, root) in roots {
            if root.upto <= self.view.checkpoint && !channels.get(&number).is_some_and(|known| known.facts.has_removed)
            {
                self.find(format!("removed, channel {number}"), "the channel's facts say nothing of it");
            }
        }
        Ok(())
    }

    fn edits(&mut self, channels: &Channels) -> Result<()> {
        self.each_row(Space::Edits, all(), |this, key, value| {
            let place = format!("edits, {key:?}");
            let (_, edit) = match edits::decode(key, value) {
                Ok(found) => found,
                Err(malformed) => return this.find(place, malformed),
            };
            let is_told = channel_of(key, 0).and_then(|number| channels.get(&number)).is_some_and(|known| {
                known.facts.upto > this.view.checkpoint
                    || known.facts.edited.is_some_and(|(first, last)| first <= edit.seq && edit.seq <= last)
            });
            if !is_told && !this.is_flushing() {
                this.find(place, "the channel's facts do not say that the message was edited");
            }
        })
    }

    fn reactions(&mut self, channels: &Channels) -> Result<()> {
        let view = self.view;
        self.each_row(Space::Reactions, keys::reactions_by_message(), |this, key, value| {
            let place = format!("reactions, {key:?}");
            let reaction = match reactions::decode(key, value) {
                Ok(reaction) => reaction,
                Err(malformed) => return this.find(place, malformed),
            };
            let (Some(number), Ok((_, id))) = (channel_of(key, 1), keys::last_two(key)) else {
                return this.find(place, "malformed key");
            };
            let made = keys::reaction_made(number, model::Id::from_raw(id));
            let unique = keys::reaction_unique(number, reaction.message, reactions::unique_hash(&reaction));
            let is_whole = [made, unique].iter().all(|key| matches!(view.get(Space::Reactions, key), Ok(Some(_))));
            let is_told = channels.get(&number).is_some_and(|known| known.facts.has_reactions);
            // A sweep that was cut off leaves some rows of a reaction whose message is gone.
            let is_gone = || {
                let place = view.place_of(number, view.known(number).ok()?);
                Fates::new(view, &place).of(reaction.message).ok()
            };
            if !(this.is_flushing() || is_whole && is_told || is_gone() == Some(Fate::Gone)) {
                this.find(place, "its other rows, or the channel's facts, say nothing of it");
            }
        })
    }

    fn due(&mut self, channels: &Channels) -> Result<()> {
        let view = self.view;
        self.each_row(Space::Expiring, keys::all_due(), |this, key, value| {
            let place = format!("expiring, {key:?}");
            let entry = match expiring::decode_due(key, value) {
                Ok(entry) => entry,
                Err(malformed) => return this.find(place, malformed),
            };
            let next = channels.get(&entry.number).and_then(|known| known.facts.next_due);
            let is_told = next.is_some_and(|next| {
                next <= entry.due
                    && matches!(view.get(Space::Expiring, &keys::next_due_row(next, entry.number)), Ok(Some(_)))
            });
            if !is_told && !this.is_flushing() {
                this.find(place, format!("the channel's next due time is {next:?}"));
            }
        })
    }

    /// Whether rows of a flush that was cut off may lie about.
    fn is_flushing(&self) -> bool {
        self.view.frozen.is_some()
    }
}

fn channel_of(key: &[u8], at: usize) -> Option<u64> {
    key.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes)
}

fn all() -> Range<Bytes> {
    Bytes::new()..Bytes::from_static(&[u8::MAX; 40])
}
