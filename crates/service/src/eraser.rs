//! The work of erasures, in bounded steps: channel by channel the messages of the person, what it wrote into messages of
//! others, and its reactions; then its records; then the bytes, and the change feeds that tell of it. Whatever is done
//! again after a restart finds nothing left to take. What was taken is counted from the channel's own change feed, where
//! everything that an erasure does bears its mark, so a restart counts nothing twice.

use crate::{
    erasure::{Erased, ErasedIn, Erasure, ErasureState, SUMMARIES, Taken, Work, channels_of, mark, records_of},
    maintenance::Keeper,
    order::{Aim, Order},
    policies::all_records,
};
use model::{
    AppId, Author, Change, Channel, ChannelEntry, Effort, ErrorKind, Id, Message, Order as Direction, RecordKind,
    Result, Seq, Span, Unedit, UserId, Version, What, Window, limits,
};
use std::{collections::BTreeMap, sync::Arc};

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
    /// The last one that a legal hold stopped since all of them were tried: those behind it are next.
    stopped: Option<Turn>,
}

/// The order in which erasures are tried: by age, then by app.
type Turn = (String, AppId);

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
    /// What the person did after this is new, and stays.
    upto: Id,
    /// Something on the disk tells of the person, whether or not there was anything to take.
    touched: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LookingFor {
    /// Messages of the person, and what it wrote into those of others.
    Messages,
    Reactions,
    /// What the change feed tells of things that are gone already.
    Traces,
}

impl Default for Eraser {
    /// After a start there may be erasures to go on with.
    fn default() -> Eraser {
        Eraser { pending: true, current: None, stopped: None }
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
            if self.current.is_none() && self.pending {
                self.current = next(keeper, self.stopped.as_ref())?;
            }
            let Some(current) = &mut self.current else {
                // Those that are stopped are tried again in the next round.
                self.pending = self.stopped.take().is_some();
                return Ok(false);
            };
            let goes_on = match current.step(keeper) {
                Ok(goes_on) => goes_on,
                Err(error) => {
                    // The record says how far it came.
                    self.current = None;
                    return Err(error);
                }
            };
            if !goes_on {
                if current.work.erasure.waits_for.is_some() {
                    self.stopped = Some(current.turn());
                }
                self.current = None;
            }
        }
        Ok(true)
    }
}

/// The next erasure that is not done: first those that no hold stopped, then those that one did, each in its turn. Blocks.
fn next(keeper: &Keeper, stopped: Option<&Turn>) -> Result<Option<Current>> {
    let mut waiting: BTreeMap<Turn, Current> = BTreeMap::new();
    for app in keeper.live.policies.apps() {
        for record in all_records(&*keeper.store, &app, RecordKind::Erasure, SUMMARIES)? {
            let current = Current::new(Work::decode(&record)?);
            match current.work.erasure.state {
                ErasureState::Done => {}
                _ if current.work.erasure.waits_for.is_some() => drop(waiting.insert(current.turn(), current)),
                _ => return Ok(Some(current)),
            }
        }
    }
    let mut turns = waiting.into_iter().filter(|(turn, _)| stopped.is_none_or(|stopped| turn > stopped));
    Ok(turns.next().map(|(_, current)| current))
}

impl Current {
    fn new(work: Work) -> Current {
        Current { work, at: None, passed: 0 }
    }

    fn turn(&self) -> Turn {
        (self.work.erasure.id.clone(), self.work.app.clone())
    }

    /// One step; whether there is another one now.
    fn step(&mut self, keeper: &Keeper) -> Result<bool> {
        let Erasure { state: ErasureState::Removing, user: Some(user), .. } = &self.work.erasure else {
            return self.scrub(keeper).map(|()| false);
        };
        let person = Person::new(user);
        let Some(at) = &mut self.at else { return self.next_channel(keeper, &person) };
        match at.look(keeper, &person, &mark(&self.work.erasure.id)) {
            Ok(false) => Ok(true),
            Ok(true) => self.finish_channel(keeper, &person).map(|()| true),
            Err(error) if error.kind == ErrorKind::Conflict => {
                self.wait(keeper, &person, error.message).map(|()| false)
            }
            Err(error) => Err(error),
        }
    }

    fn next_channel(&mut self, keeper: &Keeper, person: &Person) -> Result<bool> {
        let after = self.work.after.as_ref();
        match keeper.store.all_channels(&self.work.app, after, 1)?.pop() {
            Some(ChannelEntry { channel, .. }) => {
                let (looking_for, upto) = (LookingFor::Messages, self.work.began);
                self.at = Some(At { channel, looking_for, after: Id::MIN, upto, touched: false });
            }
            None => {
                keeper.live.ring.forget(&self.work.app, &person.author, self.work.began);
                self.work.erasure.erased.records += remove_records(keeper, &self.work, person)?;
                self.work.erasure.state = ErasureState::Scrubbing;
                self.work.erasure.waits_for = None;
                // From here on the record names nobody, and what named somebody is scrubbed with the rest.
                self.work.erasure.user = None;
                self.work.after = None;
                self.write(keeper)?;
            }
        }
        Ok(true)
    }

    /// Notes by which legal hold it is stopped, and what it took from the channel so far: another erasure may drop the
    /// channel's change feed meanwhile.
    fn wait(&mut self, keeper: &Keeper, person: &Person, hold: String) -> Result<()> {
        let Some(at) = self.at.take() else { return Ok(()) };
        let taken = self.taken(keeper, &at.channel, person)?;
        if !taken.erased.is_nothing() {
            keeper.put_record(self.work.channel_key(&at.channel.name), Some(taken.encode()))?;
        }
        if self.work.erasure.waits_for.as_ref() == Some(&hold) {
            return Ok(());
        }
        self.work.erasure.waits_for = Some(hold);
        self.write(keeper)
    }

    /// Counts what was taken from the channel and writes it down.
    fn finish_channel(&mut self, keeper: &Keeper, person: &Person) -> Result<()> {
        let Some(at) = self.at.take() else { return Ok(()) };
        let taken = self.taken(keeper, &at.channel, person)?;
        let erased = taken.erased;
        let is_touched = at.touched || !erased.is_nothing();
        let waited = self.work.erasure.waits_for.take().is_some();
        self.work.after = Some(at.channel.name.clone());
        self.passed += 1;
        if is_touched {
            keeper.put_record(self.work.channel_key(&at.channel.name), Some(taken.encode()))?;
            self.work.erasure.erased.add(erased);
            self.work.erasure.channels += 1;
        }
        if is_touched || waited || self.passed >= WRITTEN_EVERY {
            self.write(keeper)?;
        }
        Ok(())
    }

    /// What was taken from a channel: what was written down when it was stopped there, and what the channel's change feed
    /// tells since.
    fn taken(&self, keeper: &Keeper, channel: &Channel, person: &Person) -> Result<Taken> {
        let record = keeper.store.record(&self.work.channel_key(&channel.name))?;
        let mut taken = match record {
            Some(record) => Taken::decode(&record.value)?,
            None => Taken { erased: Erased::default(), counted: self.work.began },
        };
        taken.count(keeper, channel, &mark(&self.work.erasure.id), person)?;
        Ok(taken)
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
        let (first, rest) = channels.split_at(channels.len().min(SCRUBBED));
        keeper.store.erase(first)?;
        for channels in rest.chunks(SCRUBBED) {
            keeper.store.erase(channels)?;
        }
        if let Some(search) = &keeper.search {
            search.erase(keeper.live.frontier())?;
        }
        let erasure = &mut self.work.erasure;
        erasure.state = ErasureState::Done;
        erasure.finished_at = Some(keeper.clock.now_ticks());
        self.write(keeper)
    }

    fn write(&mut self, keeper: &Keeper) -> Result<()> {
        self.passed = 0;
        keeper.put_record(self.work.key(), Some(self.work.encode()))
    }
}

/// Whom an erasure is about.
struct Person {
    user: UserId,
    author: Author,
}

impl Person {
    fn new(user: &UserId) -> Person {
        Person { user: user.clone(), author: Author::person(user) }
    }

    fn is(&self, user: Option<&UserId>) -> bool {
        user.is_some_and(|user| self.author.is(user))
    }
}

impl At {
    /// Looks at a piece of the channel; whether that was the last one.
    fn look(&mut self, keeper: &Keeper, person: &Person, mark: &UserId) -> Result<bool> {
        let (more, next) = match self.looking_for {
            LookingFor::Messages => (self.messages(keeper, person, mark)?, Some(LookingFor::Reactions)),
            LookingFor::Reactions => (self.reactions(keeper, person)?, Some(LookingFor::Traces)),
            LookingFor::Traces => (self.traces(keeper, person)?, None),
        };
        if more {
            return Ok(false);
        }
        self.after = Id::MIN;
        self.looking_for = next.unwrap_or(self.looking_for);
        Ok(next.is_none())
    }

    fn messages(&mut self, keeper: &Keeper, person: &Person, mark: &UserId) -> Result<bool> {
        let window = Window {
            span: Span { after: self.after, upto: self.upto },
            order: Direction::Ascending,
            limit: STEP,
            above: Seq::NONE,
            author: None,
            custom_type: None,
            now: Id::MIN,
        };
        let Some(page) = keeper.store.read(&self.channel, &window, Effort::Disk)? else { return Ok(false) };
        let (own, others): (Vec<_>, Vec<_>) =
            page.messages.into_iter().partition(|message| person.is(message.author.as_ref()));
        if !own.is_empty() {
            let ids = own.iter().map(|message| message.id).collect();
            keeper.submit_one(keeper.removal(&self.channel, Aim::EraseMessages { ids, by: mark.clone() }))?;
        }
        for message in others.iter().filter(|message| message.edited_at.is_some()) {
            self.edits(keeper, person, mark, message)?;
        }
        self.after = page.covered.upto;
        Ok(page.more)
    }

    /// Takes back what the person wrote into a message of somebody else.
    fn edits(&self, keeper: &Keeper, person: &Person, mark: &UserId, message: &Message) -> Result<()> {
        let versions = keeper.store.versions(&self.channel, message.id)?;
        let own = |version: &&Version| person.is(version.by.as_ref()) && version.at <= self.upto;
        let edits = versions.iter().skip(1).filter(own);
        let edits: Vec<Id> = edits.map(|version| version.at).collect();
        let place = keeper.live.hasher.place(&self.channel);
        let orders = edits.chunks(limits::UNEDITED).map(|edits| {
            let (edits, by) = (edits.to_vec(), Some(mark.clone()));
            let unedit = Unedit { message: message.id, seq: message.seq, edits, by };
            Order::aimed(&self.channel, place, What::Unedited(Arc::new(unedit)), Aim::Unedit)
        });
        keeper.submit(orders.collect()).into_iter().try_for_each(passed_over)
    }

    fn reactions(&mut self, keeper: &Keeper, person: &Person) -> Result<bool> {
        let span = Span { after: self.after, upto: self.upto };
        let entries = keeper.store.reactions_made(&self.channel, span, Direction::Ascending, STEP)?;
        let place = keeper.live.hasher.place(&self.channel);
        let own = entries.iter().filter(|entry| person.author.is(&entry.reaction.user));
        let orders: Vec<Order> = own
            .map(|entry| {
                let key = Some(keeper.live.hasher.reaction(place, &entry.reaction));
                let what = What::Unreacted { reaction: entry.id, was: entry.reaction.clone() };
                Order { key, ..Order::aimed(&self.channel, place, what, Aim::EraseReaction) }
            })
            .collect();
        keeper.submit(orders).into_iter().try_for_each(passed_over)?;
        self.after = entries.last().map_or(Id::MAX, |last| last.id);
        Ok(entries.len() == STEP as usize)
    }

    /// Whether the change feed tells of the person: then it goes, too.
    fn traces(&mut self, keeper: &Keeper, person: &Person) -> Result<bool> {
        let page = keeper.store.changes(&self.channel, self.after, STEP)?;
        self.touched |= page.changes.iter().any(|change| match &**change {
            Change::Channel(change) => person.is(actor(&change.what)),
            Change::Record(_) => false,
        });
        self.after = page.examined;
        Ok(page.more && !self.touched)
    }
}

/// Who did what a change feed tells.
fn actor(what: &What) -> Option<&UserId> {
    match what {
        What::Edited(edit) => edit.editor.as_ref(),
        What::Unedited(unedit) => unedit.by.as_ref(),
        What::Deleted(removal) | What::Expired(removal) => removal.by.as_ref(),
        What::Reacted(reaction) | What::Unreacted { was: reaction, .. } => Some(&reaction.user),
        What::Published { .. } | What::Floored(_) | What::Unstored(_) | What::Signal(_) | What::Presence(_) => None,
    }
}

/// What somebody else took meanwhile need not be taken.
fn passed_over<T>(outcome: Result<T>) -> Result<()> {
    match outcome {
        Err(error) if error.kind != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Taken {
    /// Adds what the channel's change feed tells since it was counted last.
    fn count(&mut self, keeper: &Keeper, channel: &Channel, mark: &UserId, person: &Person) -> Result<()> {
        loop {
            let page = keeper.store.changes(channel, self.counted, STEP)?;
            for change in &page.changes {
                let Change::Channel(change) = &**change else { continue };
                let erased = &mut self.erased;
                match &change.what {
                    What::Deleted(removal) if removal.by.as_ref() == Some(mark) => erased.messages += removal.count(),
                    What::Unedited(unedit) if unedit.by.as_ref() == Some(mark) => {
                        erased.edits += unedit.edits.len() as u64;
                    }
                    What::Unreacted { was, .. } if person.author.is(&was.user) => erased.reactions += 1,
                    _ => {}
                }
            }
            self.counted = page.examined;
            if !page.more {
                return Ok(());
            }
        }
    }
}

/// Deletes what is recorded about the person; how many records that were.
fn remove_records(keeper: &Keeper, work: &Work, person: &Person) -> Result<u64> {
    let mut removed = 0;
    for verified in [false, true] {
        let prefix = records_of(&UserId { verified, ..person.user.clone() });
        for record in all_records(&*keeper.store, &work.app, RecordKind::ReadMark, &prefix)? {
            keeper.put_record(record.key, None)?;
            removed += 1;
        }
    }
    Ok(removed)
}
