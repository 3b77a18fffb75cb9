//! Faults that are put in on purpose, between the service and its store or between it and a subscriber, to see that a run
//! finds them. Each is one switch; a run without one is honest.

use model::{
    Batch, Change, ChangesPage, Due, FeedKind, FeedPage, Id, Keyed, Page, Removal, SelectionPage, Seq, Settled, Window,
};
use service::Item;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// One fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lie {
    /// A batch is acknowledged and not there.
    LosesABatch,
    /// After an outcome that nobody knew, what is there is said not to be.
    SettlesTooLow,
    /// A page lacks a message in its middle.
    DropsFromPages,
    /// A page has one twice.
    DoublesInPages,
    /// Two change places.
    SwapsInPages,
    /// Pages forget the newest n, or the beginning of the span.
    IgnoresWindows,
    /// Pages show what is due.
    ShowsWhatIsDue,
    /// A count is one too high.
    CountsOneMore,
    /// A selection lacks a message.
    DropsFromSelections,
    /// A deletion takes less than it was to.
    DeletesTooLittle,
    /// The change feed lacks a change.
    DropsFromChangeFeeds,
    /// What is due is found too late.
    ExpiresTooLittle,
    /// No key was ever used before.
    ForgetsKeys,
    /// The feed lacks a message.
    DropsFromTheFeed,
    /// What refills the recent ring lacks a change.
    DropsFromTheRing,
    /// A subscriber misses a change.
    DropsADelivery,
    /// It gets one twice.
    DoublesADelivery,
    /// Two change places.
    SwapsDeliveries,
}

/// Every one of them.
pub const ALL: [Lie; 18] = [
    Lie::LosesABatch,
    Lie::SettlesTooLow,
    Lie::DropsFromPages,
    Lie::DoublesInPages,
    Lie::SwapsInPages,
    Lie::IgnoresWindows,
    Lie::ShowsWhatIsDue,
    Lie::CountsOneMore,
    Lie::DropsFromSelections,
    Lie::DeletesTooLittle,
    Lie::DropsFromChangeFeeds,
    Lie::ExpiresTooLittle,
    Lie::ForgetsKeys,
    Lie::DropsFromTheFeed,
    Lie::DropsFromTheRing,
    Lie::DropsADelivery,
    Lie::DoublesADelivery,
    Lie::SwapsDeliveries,
];

/// Tells the truth but for one lie.
pub struct Liar {
    lie: Option<Lie>,
    batches: AtomicU32,
}

impl Liar {
    pub fn new(lie: Option<Lie>) -> Liar {
        Liar { lie, batches: AtomicU32::new(0) }
    }

    fn tells(&self, lie: Lie) -> bool {
        self.lie == Some(lie)
    }

    pub fn loses(&self, batch: &Batch) -> bool {
        let counts = self.tells(Lie::LosesABatch) && !batch.changes.is_empty();
        counts && self.batches.fetch_add(1, Ordering::Relaxed) == 7
    }

    pub fn settled(&self, mut settled: Settled) -> Settled {
        // Not at a start, where everything before would be in the way.
        if self.tells(Lie::SettlesTooLow) && self.batches.fetch_add(1, Ordering::Relaxed) > 0 {
            settled.last_batch = settled.last_batch.saturating_sub(1);
        }
        settled
    }

    pub fn window(&self, window: &Window) -> Window {
        let mut window = window.clone();
        if self.tells(Lie::IgnoresWindows) {
            window.above = Seq::NONE;
        }
        if self.tells(Lie::ShowsWhatIsDue) {
            window.now = Id::MIN;
        }
        window
    }

    pub fn page(&self, mut page: Page) -> Page {
        if page.messages.len() > 2 {
            let second = page.messages[1].clone();
            match self.lie {
                Some(Lie::DropsFromPages) => drop(page.messages.remove(1)),
                Some(Lie::DoublesInPages) => page.messages.insert(1, second),
                Some(Lie::SwapsInPages) => page.messages.swap(0, 1),
                _ => {}
            }
        }
        page
    }

    pub fn count(&self, count: u64) -> u64 {
        count + u64::from(self.tells(Lie::CountsOneMore) && count > 2)
    }

    pub fn selected(&self, mut page: SelectionPage) -> SelectionPage {
        if self.tells(Lie::DropsFromSelections) {
            page.messages.pop();
        }
        page
    }

    pub fn removal(&self, mut removal: Removal) -> Removal {
        if self.tells(Lie::DeletesTooLittle) && removal.seqs.len() > 1 {
            let kept = removal.seqs.pop().map_or(0, |range| range.count() as usize);
            removal.ids.truncate(removal.ids.len().saturating_sub(kept));
            removal.span.upto = removal.ids.last().copied().unwrap_or_default();
        }
        removal
    }

    pub fn changes(&self, mut page: ChangesPage) -> ChangesPage {
        if self.tells(Lie::DropsFromChangeFeeds) && page.changes.len() > 1 {
            page.changes.remove(0);
        }
        page
    }

    pub fn due(&self, mut due: Vec<Due>) -> Vec<Due> {
        if self.tells(Lie::ExpiresTooLittle) {
            due.pop();
        }
        due
    }

    pub fn keyed(&self, keyed: Option<Keyed>) -> Option<Keyed> {
        keyed.filter(|_| !self.tells(Lie::ForgetsKeys))
    }

    pub fn feed(&self, mut page: FeedPage) -> FeedPage {
        if self.tells(Lie::DropsFromTheFeed)
            && let Some(first) = page.items.iter().position(|item| item.kind == FeedKind::Published)
        {
            page.items.remove(first);
        }
        page
    }

    pub fn recent(&self, (after, mut changes): (Id, Vec<Arc<Change>>)) -> (Id, Vec<Arc<Change>>) {
        if self.tells(Lie::DropsFromTheRing) && changes.len() > 1 {
            changes.remove(changes.len() / 2);
        }
        (after, changes)
    }
}

/// What comes to a subscriber.
pub fn delivered(lie: Option<Lie>, items: &mut Vec<Item>) {
    if items.len() > 1 {
        let first = items[0].clone();
        match lie {
            Some(Lie::DropsADelivery) => drop(items.remove(0)),
            Some(Lie::DoublesADelivery) => items.insert(0, first),
            Some(Lie::SwapsDeliveries) => items.swap(0, 1),
            _ => {}
        }
    }
}
