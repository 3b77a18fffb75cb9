//! The work of erasures, in bounded steps: channel by channel the messages of the user, its reactions and its edits;
//! then its records; then the bytes. Whatever is done again after a restart finds nothing left to take. What was taken
//! is counted from the channel's own change feed, where everything that an erasure does bears its mark, so a restart
//! counts nothing twice.

use crate::{
    erasure::{Erased, ErasedIn, ErasureState, SUMMARIES, Work, channels_of, mark, records_of},
    maintenance::Keeper,
    order::{Aim, Order},
    policies::all_records,
};
use model::{
    Change, Channel, Edit, Effort, ErrorKind, Id, Order as Direction, RecordKind, Result, Seq, Span, Target, UserId,
    What, Window,
};
use std::sync::Arc;

/// Messages, reactions or changes that are looked at in one step.
const STEP: u32 = 1_000;
/// Channels whose bytes are erased together.
const SCRUBBED: usize = 100;
/// Channels without anything of the user after which the place in the walk is written down.
const WRITTEN_EVERY: u32 = 100;

/// Carries one erasure after the other on.
pub(crate) struct Eraser {
    /// There may be erasures that are not done.
    pending: bool,
    current: Option<Current>,
}

struct Current {
    work: Work,
    /// Where it is in a channel.
    at: Option<At>,
    /// Channels that were passed since the record was written.
    passed: u32,
}

struct At {
    channel: Channel,
    looking_for: LookingFor,
    after: Id,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LookingFor {
    Messages,
    Reactions,
    Edits,
}

impl Default for Eraser {
    /// After a start there may be erasures to go on with.
    fn default() -> Eraser {
        Eraser { pending: true, current: None }
    }
}

impl Eraser {
    /// There is a new one.
    pub fn look(&mut self) {
        self.pending = true;
    }

    /// Some steps; whether there is more to do now.
    pub fn step(&mut self, keeper: &Keeper) -> Result<bool> {
        for _ in 0..keeper.settings.erase_steps.max(1) {
            if self.current.is_none() {
                self.current = if self.pending { next(keeper)? } else { None };
                self.pending = self.current.is_some();
            }
            let Some(current) = &mut self.current else { return Ok(false) };
            let goes_on = match current.step(keeper) {
                Ok(goes_on) => goes_on,
                Err(error) => {
                    // The record says how far it came.
                    self.current = None;
                    return Err(error);
                }
            };
            if !goes_on {
                let waits = current.work.erasure.waits_for.is_some();
                self.current = None;
                if waits {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// The next erasure that is not done: first those that do not wait for a hold. Blocks.
fn next(keeper: &Keeper) -> Result<Option<Current>> {
    let mut waiting = None;
    for app in keeper.live.policies.apps() {
        for record in all_records(&*keeper.store, &app, RecordKind::Erasure, SUMMARIES)? {
            let work = Work::decode(&record)?;
            match work.erasure.state {
                ErasureState::Done => {}
                _ if work.erasure.waits_for.is_some() => waiting = Some(work),
                _ => return Ok(Some(Current::new(work))),
            }
        }
    }
    Ok(waiting.map(Current::new))
}

impl Current {
    fn new(work: Work) -> Current {
        Current { work, at: None, passed: 0 }
    }

    /// One step; whether there is another one now.
    fn step(&mut self, keeper: &Keeper) -> Result<bool> {
        let Some(user) = self.work.erasure.user.clone() else { return Ok(false) };
        match (self.work.erasure.state, &mut self.at) {
            (ErasureState::Removing, None) => self.next_channel(keeper, &user),
            (ErasureState::Removing, Some(at)) => match at.look(keeper, &user, &mark(&self.work.erasure.id)) {
                Ok(false) => Ok(true),
                Ok(true) => self.finish_channel(keeper, &user).map(|()| true),
                Err(error) if error.kind == ErrorKind::Conflict => {
                    self.work.erasure.waits_for = Some(error.message);
                    self.write(keeper).map(|()| false)
                }
                Err(error) => Err(error),
            },
            (ErasureState::Scrubbing, _) => self.scrub(keeper).map(|()| false),
            (ErasureState::Done, _) => Ok(false),
        }
    }

    fn next_channel(&mut self, keeper: &Keeper, user: &UserId) -> Result<bool> {
        let after = self.work.after.as_ref();
        match keeper.store.channels(&self.work.app, "", after, 1)?.pop() {
            Some(entry) => {
                self.at = Some(At { channel: entry.channel, looking_for: LookingFor::Messages, after: Id::MIN });
            }
            None => {
                self.work.erasure.erased.records += remove_records(keeper, &self.work, user)?;
                self.work.erasure.state = ErasureState::Scrubbing;
                self.work.erasure.waits_for = None;
                self.write(keeper)?;
            }
        }
        Ok(true)
    }

    /// Counts what was taken from the channel and writes it down.
    fn finish_channel(&mut self, keeper: &Keeper, user: &UserId) -> Result<()> {
        let Some(at) = self.at.take() else { return Ok(()) };
        let erased = count(keeper, &at.channel, &self.work, user)?;
        let waited = self.work.erasure.waits_for.take().is_some();
        self.work.after = Some(at.channel.name.clone());
        self.passed += 1;
        if !erased.is_nothing() {
            keeper.put_record(self.work.channel_key(&at.channel.name), Some(erased.encode()))?;
            self.work.erasure.erased.add(erased);
            self.work.erasure.channels += 1;
        }
        if !erased.is_nothing() || waited || self.passed >= WRITTEN_EVERY {
            self.write(keeper)?;
        }
        Ok(())
    }

    /// Takes the bytes off the device, and leaves the receipt.
    fn scrub(&mut self, keeper: &Keeper) -> Result<()> {
        let prefix = channels_of(&self.work.erasure.id);
        let records = all_records(&*keeper.store, &self.work.app, RecordKind::Erasure, &prefix)?;
        let mut channels = Vec::with_capacity(records.len());
        for record in &records {
            let name = ErasedIn::decode(record, prefix.len())?.channel;
            channels.push(Channel { app: self.work.app.clone(), name });
        }
        for channels in channels.chunks(SCRUBBED) {
            keeper.store.erase(channels)?;
        }
        if let Some(search) = &keeper.search {
            search.erase(keeper.live.frontier())?;
        }
        let erasure = &mut self.work.erasure;
        erasure.state = ErasureState::Done;
        erasure.finished_at = Some(keeper.clock.now_ticks());
        erasure.user = None;
        self.work.after = None;
        self.write(keeper)
    }

    fn write(&mut self, keeper: &Keeper) -> Result<()> {
        self.passed = 0;
        keeper.put_record(self.work.key(), Some(self.work.encode()))
    }
}

impl At {
    /// Looks at a piece of the channel; whether that was the last one.
    fn look(&mut self, keeper: &Keeper, user: &UserId, mark: &UserId) -> Result<bool> {
        let (more, next) = match self.looking_for {
            LookingFor::Messages => (self.messages(keeper, user, mark)?, LookingFor::Reactions),
            LookingFor::Reactions => (self.reactions(keeper, user)?, LookingFor::Edits),
            LookingFor::Edits => (self.edits(keeper, user, mark)?, LookingFor::Edits),
        };
        if more {
            return Ok(false);
        }
        let last = self.looking_for == LookingFor::Edits;
        (self.looking_for, self.after) = (next, Id::MIN);
        Ok(last)
    }

    fn messages(&mut self, keeper: &Keeper, user: &UserId, mark: &UserId) -> Result<bool> {
        let window = Window {
            span: Span { after: self.after, upto: Id::MAX },
            order: Direction::Ascending,
            limit: STEP,
            above: Seq::NONE,
            author: Some(user.clone()),
            custom_type: None,
            now: Id::MIN,
        };
        let Some(page) = keeper.store.read(&self.channel, &window, Effort::Disk)? else { return Ok(false) };
        if !page.messages.is_empty() {
            let target = Target::Ids(page.messages.iter().map(|message| message.id).collect());
            keeper.submit_one(keeper.removal(&self.channel, Aim::Delete { target, by: Some(mark.clone()) }))?;
        }
        self.after = page.covered.upto;
        Ok(page.more)
    }

    fn reactions(&mut self, keeper: &Keeper, user: &UserId) -> Result<bool> {
        let span = Span { after: self.after, upto: Id::MAX };
        let entries = keeper.store.reactions_made(&self.channel, span, Direction::Ascending, STEP)?;
        let place = keeper.live.hasher.place(&self.channel);
        let orders = entries.iter().filter(|entry| entry.reaction.user == *user).map(|entry| {
            let key = Some(keeper.live.hasher.reaction(place, &entry.reaction));
            let what = What::Unreacted { reaction: entry.id, was: entry.reaction.clone() };
            Order { key, ..Order::aimed(&self.channel, place, what, Aim::Unreact) }
        });
        keeper.submit(orders.collect()).into_iter().try_for_each(passed_over)?;
        self.after = entries.last().map_or(Id::MAX, |last| last.id);
        Ok(entries.len() == STEP as usize)
    }

    /// Messages of others that show what the user wrote get the newest content that is not the user's.
    fn edits(&mut self, keeper: &Keeper, user: &UserId, mark: &UserId) -> Result<bool> {
        let page = keeper.store.changes(&self.channel, self.after, STEP)?;
        let place = keeper.live.hasher.place(&self.channel);
        for change in &page.changes {
            let Change::Channel(change) = &**change else { continue };
            let What::Edited(edit) = &change.what else { continue };
            let versions = keeper.store.versions(&self.channel, edit.message)?;
            let shows_user = versions.last().is_some_and(|newest| newest.by.as_ref() == Some(user));
            let other = versions.into_iter().rev().find(|version| version.by.as_ref() != Some(user));
            if let Some(other) = other.filter(|_| shows_user) {
                let edit = Edit {
                    message: edit.message,
                    seq: edit.seq,
                    editor: Some(mark.clone()),
                    payload: other.payload,
                    extras: other.extras,
                };
                let what = What::Edited(Arc::new(edit));
                passed_over(keeper.submit_one(Order::aimed(&self.channel, place, what, Aim::Edit)))?;
            }
        }
        self.after = page.examined;
        Ok(page.more)
    }
}

/// What somebody else took meanwhile need not be taken.
fn passed_over<T>(outcome: Result<T>) -> Result<()> {
    match outcome {
        Err(error) if error.kind != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What an erasure took from a channel, by the channel's change feed.
fn count(keeper: &Keeper, channel: &Channel, work: &Work, user: &UserId) -> Result<Erased> {
    let mark = Some(mark(&work.erasure.id));
    let mut erased = Erased::default();
    let mut after = work.began;
    loop {
        let page = keeper.store.changes(channel, after, STEP)?;
        for change in &page.changes {
            let Change::Channel(change) = &**change else { continue };
            match &change.what {
                What::Deleted(removal) if removal.by == mark => erased.messages += removal.count(),
                What::Edited(edit) if edit.editor == mark => erased.edits += 1,
                What::Unreacted { was, .. } if was.user == *user => erased.reactions += 1,
                _ => {}
            }
        }
        if !page.more {
            return Ok(erased);
        }
        after = page.examined;
    }
}

/// Deletes what is recorded about the user; how many records that were.
fn remove_records(keeper: &Keeper, work: &Work, user: &UserId) -> Result<u64> {
    let records = all_records(&*keeper.store, &work.app, RecordKind::ReadMark, &records_of(user))?;
    for record in &records {
        keeper.put_record(record.key.clone(), None)?;
    }
    Ok(records.len() as u64)
}
