//! What a run stands on: the store's oracle, or the real store on memory devices, and what can befall each.

use crate::{door::Door, lies::Lie, steps::Setup};
use model::Store;
use std::sync::{Arc, Mutex};
use testkit::{MemoryStore, OnMemory, Outcome, TableFault, Wrapped, store_suite::StoreUnderTest};

/// The store of a run, which outlives the service on it.
pub enum Ground {
    Oracle(Arc<MemoryStore>),
    Kept(Box<OnMemory>),
}

impl Ground {
    pub fn new(setup: Setup) -> Ground {
        if !setup.kept {
            return Ground::Oracle(Arc::new(MemoryStore::new()));
        }
        let tail_bytes = if setup.small { 8 << 10 } else { 8 << 20 };
        Ground::Kept(Box::new(OnMemory::listing(crate::cast::app(), tail_bytes)))
    }

    /// A door to it, for one life of the service.
    pub fn door(&self, heard: &Arc<Mutex<crate::door::Heard>>, lie: Option<Lie>, cold: bool) -> Arc<Wrapped<Door>> {
        let (store, log): (Arc<dyn Store>, _) = match self {
            Ground::Oracle(store) => {
                store.faults().empty_memory(cold);
                (store.clone(), None)
            }
            Ground::Kept(kept) => (kept.store.clone(), Some(kept.log.clone())),
        };
        let memory = match self {
            Ground::Oracle(store) => Some(store.clone()),
            Ground::Kept(_) => None,
        };
        let plan = move |outcome| match (&memory, &log) {
            (Some(memory), _) => memory.faults().next_applies([outcome]),
            (None, Some(log)) => plan_append(log, outcome),
            (None, None) => {}
        };
        Arc::new(Wrapped(Door::new(store, Box::new(plan), heard.clone(), lie)))
    }

    /// What a new process finds after one that stopped in good order.
    pub fn restart(self, forget: bool) -> Ground {
        match self {
            Ground::Oracle(store) => {
                let again = store.restart();
                if forget {
                    again.faults().forget_recent(again.newest());
                }
                Ground::Oracle(Arc::new(again))
            }
            Ground::Kept(kept) => {
                if forget {
                    kept.flush();
                }
                Ground::Kept(Box::new(kept.restart()))
            }
        }
    }

    /// What a new process finds after one that died.
    pub fn crash(self) -> Ground {
        match self {
            Ground::Oracle(store) => Ground::Oracle(Arc::new(store.restart())),
            Ground::Kept(kept) => Ground::Kept(Box::new(kept.crash())),
        }
    }

    /// Moves the tail into the tables; a write on the way fails first, if it is to.
    pub fn flush(&self, fails_after: Option<u8>) -> Result<(), String> {
        let Ground::Kept(kept) = self else { return Ok(()) };
        if let Some(spaces) = fails_after
            && kept.has_tail()
        {
            kept.table.plan(TableFault::WriteFailsAfter(usize::from(spaces)));
            // It fails, unless the store flushed by itself just now.
            let _ = kept.store.flush();
            kept.table.plan_nothing();
        }
        let mut last = kept.store.flush();
        for _ in 0..3 {
            if last.is_ok() {
                break;
            }
            last = kept.store.flush();
        }
        last.map_err(|error| format!("a flush that was tried again and again: {error:?}"))
    }

    /// The power goes in the middle of a flush.
    pub fn cut_in_flush(self, seed: u64) -> Ground {
        let Ground::Kept(kept) = self else { return self.crash() };
        if kept.has_tail() {
            kept.table.plan(TableFault::PowerCut { seed });
            // It fails, unless the store flushed by itself just now.
            let _ = kept.store.flush();
            kept.table.plan_nothing();
        }
        Ground::Kept(Box::new(kept.crash()))
    }

    /// So many reads fail, of the store that can do that.
    pub fn fail_reads(&self, reads: u8) -> bool {
        let Ground::Oracle(store) = self else { return false };
        store.faults().fail_reads(reads.into());
        true
    }

    /// Looks at all of it; what is wrong, in words.
    pub fn verify(&self) -> Result<(), String> {
        let Ground::Kept(kept) = self else { return Ok(()) };
        let findings = kept.store.verify(&mut |_| {}).map_err(|error| format!("verify: {error:?}"))?;
        if findings.is_empty() { Ok(()) } else { Err(format!("verify found {findings:?}")) }
    }
}

fn plan_append(log: &testkit::LogDisk, outcome: Outcome) {
    use testkit::LogFault;
    match outcome {
        Outcome::Happens => {}
        Outcome::Refused => log.plan(LogFault::Refuse),
        Outcome::UnknownWritten => log.plan(LogFault::UnknownKept),
        Outcome::UnknownLost => log.plan(LogFault::UnknownLost),
    }
}
