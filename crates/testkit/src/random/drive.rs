//! Takes the steps of a random run through a store and the oracle, side by side.

use super::{
    drafts::Draft,
    names::{record_key, room},
    steps::{ROOMS, Step},
};
use crate::{BatchBuilder, MemoryStore, Outcome, judge::Verdict, store_suite::StoreUnderTest};
use model::{ApplyError, Batch, Settled, Store};

/// Takes these steps through an empty store and an oracle, then restarts and compares everything there is.
///
/// # Errors
///
/// The first contradiction, with the step at which it showed.
pub fn drive<S: StoreUnderTest>(open: impl Fn() -> S, steps: &[Step]) -> Verdict {
    let mut run =
        Run { tested: open(), oracle: MemoryStore::new(), builder: BatchBuilder::new(), last: None }.settled()?;
    for (n, step) in steps.iter().enumerate() {
        run = run.step(step).map_err(|why| format!("step {n} {step:?}: {why}"))?;
    }
    run.restart().and_then(|run| run.everything()).map_err(|why| format!("after all steps: {why}"))
}

/// A run: both stores, and what a sequencer would know.
pub(super) struct Run<S> {
    pub tested: S,
    pub oracle: MemoryStore,
    pub builder: BatchBuilder,
    last: Option<Batch>,
}

impl<S: StoreUnderTest> Run<S> {
    fn step(mut self, step: &Step) -> Result<Self, String> {
        match step {
            Step::Apply { drafts, outcome, crash_in_doubt } => return self.apply(drafts, *outcome, *crash_in_doubt),
            Step::ApplyAgain => self.apply_again()?,
            Step::WrongNumber(by) => self.apply_wrong_number(*by)?,
            Step::Pass(ticks) => self.builder.pass_ticks(*ticks),
            Step::Flush => self.tested.flush(),
            Step::Restart => return self.restart(),
            Step::Crash => return self.crash(),
            Step::Read(question) => self.read(question)?,
            Step::Walk(question) => self.walk(question)?,
            Step::Count(question) => self.count(question)?,
            Step::Select { question, selected, offset } => self.select(question, *selected, *offset)?,
            Step::Heads(rooms) => self.heads(rooms)?,
            Step::Removable { question, nth } => self.removable(question, nth)?,
            Step::FloorFor { room, keep, upto } => self.floor_for(*room, *keep, *upto)?,
            Step::Versions { room, of } => self.versions(*room, *of)?,
            Step::Reactions(question) => self.reactions(question)?,
            Step::Reaction(draft) => self.reaction(draft)?,
            Step::Changes { room, after, limit } => self.changes(*room, *after, *limit)?,
            Step::FollowChanges { room, limit } => self.follow_changes(*room, *limit)?,
            Step::Due { room, now, limit } => self.due(*room, *now, *limit)?,
            Step::Sweep => self.sweep()?,
            Step::Erase(rooms) => self.erase(rooms)?,
            Step::Keyed { room: n, key, days_later } => self.keyed(*n, *key, *days_later)?,
            Step::Feed { room: n, from, to, limit } => self.feed(*n, *from, *to, *limit)?,
            Step::Recent { bytes } => self.recent(*bytes)?,
            Step::Channels { prefix_bytes, after, limit } => self.channels(*prefix_bytes, *after, *limit)?,
            Step::AllChannels { after, limit } => self.all_channels(*after, *limit)?,
            Step::Record(name) => self.equal("record", |store| store.record(&record_key(*name)))?,
            Step::Records { prefix_bytes, after, limit } => self.records(*prefix_bytes, *after, *limit)?,
        }
        Ok(self)
    }

    fn apply(mut self, drafts: &[Draft], outcome: Outcome, crash_in_doubt: bool) -> Result<Self, String> {
        let way_back = self.builder.clone();
        drafts.iter().try_for_each(|draft| self.draft(draft))?;
        let batch = self.builder.batch();
        let made_to_fail = outcome != Outcome::Happens && self.tested.next_apply(outcome);
        let expected = if made_to_fail { outcome } else { Outcome::Happens };
        match (self.tested.store().apply(&batch), expected) {
            (Ok(()), Outcome::Happens) => self.happened(batch)?,
            (Err(ApplyError::Refused(_)), Outcome::Refused) => self.builder.go_back(way_back),
            (Err(ApplyError::Unknown(_)), Outcome::UnknownWritten | Outcome::UnknownLost) => {
                return self.in_doubt(batch, way_back, outcome, crash_in_doubt);
            }
            (answer, _) => return Err(format!("apply was to end as {expected:?} and answered {answer:?}")),
        }
        Ok(self)
    }

    /// Nothing of the batch may be seen; then `settle` decides, and the oracle follows.
    fn in_doubt(mut self, batch: Batch, way_back: BatchBuilder, outcome: Outcome, crash: bool) -> Result<Self, String> {
        self.heads(&Vec::from_iter(0..ROOMS))?;
        if self.tested.store().apply(&batch).is_ok() {
            return Err("a batch in doubt was applied again before it was settled".into());
        }
        if crash {
            self.tested = self.tested.crash();
        }
        let settled = self.settle_tested()?;
        let there = settled.last_batch == batch.number;
        if !there && outcome == Outcome::UnknownWritten {
            return Err(format!("a batch that is there was settled as lost: {settled:?}"));
        }
        if there {
            self.happened(batch)?;
        } else {
            self.builder.go_back(way_back);
        }
        if crash {
            self.builder.take_over(settled);
        }
        self.settled()
    }

    fn happened(&mut self, batch: Batch) -> Verdict {
        self.oracle.apply(&batch).map_err(|error| format!("the oracle does not take the batch: {error}"))?;
        self.last = Some(batch);
        Ok(())
    }

    fn apply_again(&mut self) -> Verdict {
        let Some(batch) = &self.last else { return Ok(()) };
        self.tested.store().apply(batch).map_err(|error| format!("the last batch again: {error}"))
    }

    fn apply_wrong_number(&mut self, by: i64) -> Verdict {
        let mut builder = self.builder.clone();
        builder.publish(&room(0), "under a wrong number");
        let mut batch = builder.batch();
        batch.number = batch.number.saturating_add_signed(by);
        match self.tested.store().apply(&batch) {
            Err(ApplyError::Refused(_)) => Ok(()),
            other => Err(format!("batch {} answered {other:?}", batch.number)),
        }
    }

    fn restart(mut self) -> Result<Self, String> {
        self.tested = self.tested.restart();
        self.taken_over()
    }

    fn crash(mut self) -> Result<Self, String> {
        self.tested = self.tested.crash();
        self.taken_over()
    }

    fn taken_over(mut self) -> Result<Self, String> {
        let settled = self.settle_tested()?;
        self.builder.take_over(settled);
        self.settled()
    }

    /// Settles both and compares what they found.
    fn settled(self) -> Result<Self, String> {
        let got = self.settle_tested()?;
        let expected = self.oracle.settle(self.builder.shard(), self.builder.epoch()).map_err(|e| e.to_string())?;
        if (Settled { reserved: expected.reserved, ..got }) != expected || got.reserved < expected.reserved {
            return Err(format!("settled at {got:?}, expected {expected:?}"));
        }
        Ok(self)
    }

    fn settle_tested(&self) -> Result<Settled, String> {
        self.tested
            .store()
            .settle(self.builder.shard(), self.builder.epoch())
            .map_err(|error| format!("settle: {error:?}"))
    }
}
