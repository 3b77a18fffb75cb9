//! Changes on their way to the store: so many at once that a sync pays, and what belongs together in one batch.

use anyhow::anyhow;
use model::{Change, Channel, ChannelChange, ChannelNumber, Id, What};
use std::{ops::Add, sync::Arc};
use store::KeptStore;

/// How much changes are.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Size {
    pub bytes: usize,
    pub changes: usize,
}

/// What a batch may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// From this on it is made durable, before the next unit comes in.
    pub batch: Size,
    /// Above this even one unit is split. What the log takes is more.
    pub unit: Size,
}

/// The changes that are not durable yet.
pub(super) struct Batches<'a> {
    pub store: &'a KeptStore,
    pub bounds: Bounds,
    changes: Vec<Arc<Change>>,
    size: Size,
    /// The size of all before the last unit.
    before: Size,
}

impl Size {
    pub fn of(change: &Change) -> Size {
        Size { bytes: change.cost(), changes: 1 }
    }

    /// Of what a change of a channel does.
    pub fn of_what(channel: &Channel, what: What) -> Size {
        let (id, channel, number) = (Id::MIN, channel.clone(), ChannelNumber::NONE);
        Size::of(&Change::Channel(ChannelChange { id, channel, number, what }))
    }

    pub fn exceeds(self, bound: Size) -> bool {
        self.bytes > bound.bytes || self.changes > bound.changes
    }
}

impl Add for Size {
    type Output = Size;

    fn add(self, other: Size) -> Size {
        Size { bytes: self.bytes + other.bytes, changes: self.changes + other.changes }
    }
}

impl<'a> Batches<'a> {
    pub fn new(store: &'a KeptStore, bounds: Bounds) -> Batches<'a> {
        Batches { store, bounds, changes: Vec::new(), size: Size::default(), before: Size::default() }
    }

    /// What comes now, up to the next call, belongs together; what came before may be made durable without it.
    pub fn begin_unit(&mut self) -> anyhow::Result<()> {
        let Size { bytes, changes } = self.bounds.batch;
        if self.size.bytes >= bytes || self.size.changes >= changes {
            self.apply_all()?;
        }
        self.before = self.size;
        Ok(())
    }

    pub fn push(&mut self, change: Change) -> anyhow::Result<()> {
        self.size = self.size + Size::of(&change);
        self.changes.push(Arc::new(change));
        if self.size.exceeds(self.bounds.unit) && self.before.changes > 0 {
            let Size { bytes, changes } = self.before;
            let unit = Size { bytes: self.size.bytes - bytes, changes: self.size.changes - changes };
            self.apply(changes)?;
            self.size = unit;
        }
        if self.size.exceeds(self.bounds.unit) {
            self.apply_all()?;
        }
        Ok(())
    }

    /// Makes everything durable.
    pub fn apply_all(&mut self) -> anyhow::Result<()> {
        self.apply(self.changes.len())
    }

    fn apply(&mut self, count: usize) -> anyhow::Result<()> {
        let rest = self.changes.split_off(count);
        let changes = std::mem::replace(&mut self.changes, rest);
        (self.size, self.before) = (Size::default(), Size::default());
        if changes.is_empty() {
            return Ok(());
        }
        self.store.import(&changes).map_err(|error| anyhow!("{error}; the same import again goes on from here"))
    }
}
