//! What an access stands on: a record, most often a grant or the note that a token was revoked. When the record
//! changes, whoever stands on it may do nothing more: calls are refused and subscriptions end.

use crate::{hash::Place, ring::Recent};
use foldhash::fast::RandomState;
use model::{Change, Id, RecordChange, RecordKey, RecordKind};
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Records that are remembered without anybody who stands on them.
const IDLE: usize = 16_384;

/// Ends with the first change of a record. Cheap to clone; two are equal if one look at the record made them.
#[derive(Clone)]
pub struct Standing(Arc<State>);

struct State {
    key: RecordKey,
    place: Place,
    /// The version that it had; [`Id::MIN`] if it was not there.
    version: OnceLock<Id>,
    /// The id of the change that ended it; 0 while it stands.
    ended_at: AtomicU64,
}

/// All records that somebody stands on, or did lately.
#[derive(Default)]
pub(crate) struct Standings {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    standings: HashMap<Place, Standing, RandomState>,
    /// At this size those that nobody holds go.
    prune_at: usize,
}

impl Standing {
    /// Which record.
    pub fn key(&self) -> &RecordKey {
        &self.0.key
    }

    /// The version that the record has for as long as this stands; [`Id::MIN`]: it is not there.
    pub fn version(&self) -> Id {
        self.0.version.get().copied().unwrap_or(Id::MIN)
    }

    /// The change that ended it.
    pub fn ended_at(&self) -> Option<Id> {
        match self.0.ended_at.load(Ordering::Acquire) {
            0 => None,
            raw => Some(Id::from_raw(raw)),
        }
    }

    pub(crate) fn place(&self) -> Place {
        self.0.place
    }

    pub(crate) fn is_looked_up(&self) -> bool {
        self.0.version.get().is_some()
    }

    /// Notes what a look at the record showed; that of an equal look at the same time is the same, or it has ended.
    pub(crate) fn looked_up(&self, version: Id) {
        let _ = self.0.version.set(version);
    }
}

impl PartialEq for Standing {
    fn eq(&self, other: &Standing) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Standing {}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The name of a grant may be a secret.
        write!(f, "{:?} record, ended at {:?}", self.0.key.kind, self.ended_at())
    }
}

impl Standings {
    /// The one of a record, to be looked up if it is new. From now on a change of the record ends it.
    pub fn of(&self, key: &RecordKey, place: Place) -> Standing {
        let mut known = self.known();
        if let Some(standing) = known.standings.get(&place) {
            return standing.clone();
        }
        if known.standings.len() >= known.prune_at.max(IDLE) {
            known.standings.retain(|_, standing| Arc::strong_count(&standing.0) > 1);
            known.prune_at = 2 * known.standings.len();
        }
        let state = State { key: key.clone(), place, version: OnceLock::new(), ended_at: AtomicU64::new(0) };
        let standing = Standing(Arc::new(state));
        known.standings.insert(place, standing.clone());
        standing
    }

    /// Ends what stood on records that changed.
    pub fn changed(&self, changes: &[Recent]) {
        for recent in changes {
            if let Change::Record(change) = &*recent.change
                && change.key.kind == RecordKind::Grant
                && let Some(standing) = self.known().leave(recent.place, version_after(recent.id, change))
            {
                standing.0.ended_at.store(recent.id.raw(), Ordering::Release);
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("no panic happens under this lock")
    }
}

impl Known {
    /// Takes out what a change to this version ends. A look may have seen the version before it was announced: what stands
    /// on it goes on.
    fn leave(&mut self, place: Place, version: Id) -> Option<Standing> {
        let standing = self.standings.get(&place)?;
        if standing.0.version.get() == Some(&version) {
            return None;
        }
        self.standings.remove(&place)
    }
}

/// What a look at the record says after a change.
fn version_after(id: Id, change: &RecordChange) -> Id {
    if change.value.is_some() { id } else { Id::MIN }
}
