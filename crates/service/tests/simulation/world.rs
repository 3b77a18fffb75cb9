//! A run: a service on its ground, what is true, and everybody who follows. One step after the other, each to its end.

use crate::{
    cast::{self, room},
    door::{Door, Heard},
    followers::Follower,
    ground::Ground,
    lies::Lie,
    presence::Hall,
    steps::{Setup, Step},
    truth::{Truth, rooms},
};
use model::{Change, Channel, ChannelChange, Clock, ErrorKind, Id, Result as Told, TICKS_PER_MS};
use service::{Caller, Channels, Parts, Settings};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use testkit::{ManualClock, Outcome, Wrapped, judge::Verdict};

/// Longer than anything takes that comes at all.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct World {
    pub setup: Setup,
    pub lie: Option<Lie>,
    ground: Option<Ground>,
    door: Arc<Wrapped<Door>>,
    heard: Arc<Mutex<Heard>>,
    pub clock: Arc<ManualClock>,
    pub channels: Channels,
    pub truth: Truth,
    pub followers: BTreeMap<u8, Follower>,
    pub hall: Hall,
    /// How many texts were made.
    said: u64,
    /// What the caller sees who sees what came since it joined.
    pub since: Id,
    frontier: Id,
    /// What was live only up to here may be lost, and what happened to messages is told by change feeds.
    pub ring_begins: Id,
}

/// What a step brought: changes of channels, in order.
pub type Delta = Vec<ChannelChange>;

impl World {
    pub fn new(setup: Setup, lie: Option<Lie>) -> World {
        let (ground, clock) = (Ground::new(setup), Arc::new(ManualClock::default()));
        let heard = Arc::<Mutex<Heard>>::default();
        let door = ground.door(&heard, lie, setup.cold);
        let channels = start(&door, &clock, setup);
        World {
            setup,
            lie,
            ground: Some(ground),
            door,
            heard,
            clock,
            channels,
            truth: Truth::new(),
            followers: BTreeMap::new(),
            hall: Hall::default(),
            said: 0,
            since: Id::MIN,
            frontier: Id::MIN,
            ring_begins: Id::MIN,
        }
    }

    /// Takes all steps, then compares everything there is, before and after a restart.
    pub async fn run(mut self, steps: &[Step]) -> Verdict {
        for (n, step) in steps.iter().enumerate() {
            self.step(step).await.map_err(|why| format!("step {n} {step:?}: {why}"))?;
        }
        self.without_faults();
        let end = |why| format!("at the end: {why}");
        self.read_all().await.map_err(end)?;
        self.restart(false).await.map_err(end)?;
        self.read_all().await.map_err(|why| format!("after a last restart: {why}"))?;
        self.ground().verify()
    }

    async fn step(&mut self, step: &Step) -> Verdict {
        self.heard().struck = None;
        match step {
            Step::Publish { by, room, said } => self.publish(*by, *room, said).await?,
            Step::PublishAll { rooms } => self.publish_all(rooms).await?,
            Step::Burst { rooms, meanwhile } => self.burst(rooms, *meanwhile).await?,
            Step::Signal { room } => self.signal(*room).await?,
            Step::Edit { by, room, thousandths } => self.edit(*by, *room, *thousandths).await?,
            Step::Delete { by, room, what } => self.delete(*by, *room, what).await?,
            Step::React { by, room, to, value, must_exist } => {
                self.react(*by, *room, *to, *value, *must_exist).await?;
            }
            Step::Unreact { by, room, thousandths } => self.unreact(*by, *room, *thousandths).await?,
            Step::Read { by, room, ask } => self.read(*by, *room, ask).await?,
            Step::ReadMany { by, limit, bytes } => self.read_many(*by, *limit, *bytes).await?,
            Step::Count { by, room, after, upto } => self.count(*by, *room, *after, *upto).await?,
            Step::Select { by, which, room, ask, offset } => self.select(*by, *which, *room, ask, *offset).await?,
            Step::Versions { by, room, thousandths } => self.versions(*by, *room, *thousandths).await?,
            Step::Reactions { by, room, ask } => self.reactions(*by, *room, ask).await?,
            Step::Changes { by, room, after, limit } => self.changes(*by, *room, *after, *limit).await?,
            Step::List { prefix, limit } => self.list(*prefix, *limit).await?,
            Step::Follow { who, by, topics, from } => self.follow(*who, *by, topics, *from).await?,
            Step::Poll { who, deliveries } => self.poll(*who, *deliveries).await?,
            Step::Leave { who } => self.leave(*who),
            Step::Join => self.since = self.channels.frontier(),
            Step::Grant { revoke } => self.grant(*revoke).await?,
            Step::Group { room, add } => self.group(*room, *add).await?,
            Step::Arrive { user, room, connection, seconds } => {
                self.arrive(*user, *room, *connection, *seconds).await?;
            }
            Step::Depart { user, room, connection } => self.depart(*user, *room, *connection).await?,
            Step::Retain { room, keep } => self.retain(*room, *keep).await?,
            Step::Hold { room, user } => self.hold(*room, *user).await?,
            Step::Release { room, user } => self.release(*room, *user).await?,
            Step::Erase { user } => self.erase(*user).await?,
            Step::Maintain => self.maintain().await?,
            Step::Pass { ms } => {
                self.clock.advance(ms * TICKS_PER_MS);
                self.time_out().await?;
            }
            Step::SetBack { seconds } => self.clock.set_back_seconds(*seconds),
            Step::SetAhead { seconds } => {
                let now = self.clock.now_ticks();
                self.clock.set(now + seconds * model::TICKS_PER_SECOND);
            }
            Step::Fails(outcome) => self.heard().next = Some(*outcome),
            Step::ReadsFail { room, reads } => self.reads_fail(*room, *reads).await?,
            Step::Restart { forget } => self.restart(*forget).await?,
            Step::Crash => self.crash(Ground::crash).await?,
            Step::CrashInDoubt { rooms, written } => self.crash_in_doubt(rooms, *written).await?,
            Step::Flush { fails_after } => self.ground().flush(*fails_after)?,
            Step::CutInFlush { seed } => self.crash(|ground| ground.cut_in_flush(*seed)).await?,
        }
        self.look_around()
    }

    /// What must hold after every step.
    fn look_around(&mut self) -> Verdict {
        let rest = self.delta()?;
        check(rest.is_empty(), || format!("nobody asked for {rest:?}"))?;
        let frontier = self.channels.frontier();
        check(frontier >= self.frontier, || format!("the frontier went from {:?} to {frontier:?}", self.frontier))?;
        let newest = self.truth.happened.last_key_value().map_or(Id::MIN, |(id, _)| *id);
        check(newest <= frontier, || format!("{newest:?} happened, above the frontier {frontier:?}"))?;
        check(self.channels.status().accepting, || "nothing is accepted any more".into())?;
        self.frontier = frontier;
        self.watch_windows();
        Ok(())
    }

    /// What went through the door since this was asked last.
    pub fn delta(&mut self) -> Result<Delta, String> {
        let batches = std::mem::take(&mut self.heard().batches);
        let mut delta = Vec::new();
        for batch in batches {
            self.truth.take(&batch)?;
            delta.extend(batch.changes.iter().filter_map(|change| match &**change {
                Change::Channel(change) => Some(change.clone()),
                Change::Record(_) => None,
            }));
        }
        Ok(delta)
    }

    /// Holds what somebody was told against what it should have been told; gives it, if it was good news. When the batch
    /// was refused, or settled as lost, the bad news must say that nothing was stored; a store may save a batch that it
    /// has in memory.
    pub fn told<T>(&self, told: Told<T>, expected: Result<(), ErrorKind>) -> Result<Option<T>, String> {
        let struck = self.heard().struck;
        match (told, expected, struck) {
            (Ok(told), Ok(()), struck) if struck != Some(Outcome::Refused) => Ok(Some(told)),
            (Err(error), Ok(()), Some(Outcome::Refused | Outcome::UnknownLost))
                if error.kind == ErrorKind::Unavailable && error.message.contains("nothing was stored") =>
            {
                Ok(None)
            }
            (Err(error), Err(kind), _) if error.kind == kind => Ok(None),
            (told, expected, struck) => {
                let told = told.map(drop);
                Err(format!("told {told:?}, expected {expected:?}, with the fault {struck:?}"))
            }
        }
    }

    async fn restart(&mut self, forget: bool) -> Verdict {
        self.poll_all().await?;
        self.crash(|ground| ground.restart(forget)).await
    }

    /// Everybody goes away, and what is left of the ground is stood upon anew.
    async fn crash(&mut self, again: impl FnOnce(Ground) -> Ground) -> Verdict {
        let late = self.delta()?;
        check(late.is_empty(), || format!("nobody asked for {late:?}"))?;
        self.fall();
        self.rise(again)
    }

    fn fall(&mut self) {
        for who in 0..crate::steps::FOLLOWERS {
            self.leave(who);
        }
        self.clear_the_hall();
        self.door.shut();
    }

    fn rise(&mut self, again: impl FnOnce(Ground) -> Ground) -> Verdict {
        self.heard().settles_fail = false;
        self.heard().next = None;
        let ground = again(self.ground.take().ok_or("the ground is gone")?);
        self.door = ground.door(&self.heard, self.lie, self.setup.cold);
        self.ground = Some(ground);
        self.ring_begins = self.truth.happened.last_key_value().map_or(Id::MIN, |(id, _)| *id);
        self.channels = start(&self.door, &self.clock, self.setup);
        Ok(())
    }

    /// A batch of these is written or not, and nobody knows until the next start.
    async fn crash_in_doubt(&mut self, names: &[u8], written: bool) -> Verdict {
        self.poll_all().await?;
        {
            let mut heard = self.heard();
            heard.next = Some(if written { Outcome::UnknownWritten } else { Outcome::UnknownLost });
            heard.settles_fail = true;
        }
        let drafts: Vec<_> = names.iter().map(|n| (room(*n), self.any_draft())).collect();
        let told = self.within(self.channels.publish_all(&self.caller(0), drafts.clone())).await?;
        for outcome in told {
            let unknown = outcome.as_ref().err().is_some_and(|error| error.message.contains("not known"));
            check(unknown, || format!("told {outcome:?} of a batch in doubt"))?;
        }
        self.fall();
        self.rise(Ground::crash)?;
        let delta = self.delta()?;
        if !written {
            return check(delta.is_empty(), || format!("a lost batch is there: {delta:?}"));
        }
        check(delta.len() == drafts.len(), || format!("{} of a batch of {}", delta.len(), drafts.len()))?;
        let both = delta.iter().zip(&drafts);
        both.into_iter().try_for_each(|(change, (channel, draft))| self.is_published(change, channel, draft))
    }

    pub fn caller(&self, by: u8) -> Caller {
        cast::caller(by, self.since)
    }

    pub fn now(&self) -> Id {
        Id::last_at(self.clock.now_ticks())
    }

    /// A text that nobody else has.
    pub fn text(&mut self) -> String {
        self.said += 1;
        format!("{} ", self.said)
    }

    /// Waits for what must come.
    pub async fn within<T>(&self, future: impl Future<Output = T>) -> Result<T, String> {
        tokio::time::timeout(PATIENCE, future).await.map_err(|_| "it does not come".to_owned())
    }

    /// Plans nothing for the next batch: what follows takes several.
    pub fn without_faults(&self) {
        let mut heard = self.heard();
        (heard.next, heard.struck) = (None, None);
    }

    pub fn struck(&self) -> bool {
        self.heard().struck.is_some()
    }

    pub fn ground(&self) -> &Ground {
        self.ground.as_ref().expect("there is ground but for moments")
    }

    pub fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().expect("no panic happens under this lock")
    }

    /// All channels in which something was ever stored.
    pub fn rooms(&self) -> Vec<Channel> {
        rooms()
    }
}

fn start(door: &Arc<Wrapped<Door>>, clock: &Arc<ManualClock>, setup: Setup) -> Channels {
    let often = Duration::from_millis(2);
    let settings = Settings {
        // Maintenance comes when a step says so; signals are owed from the ring; nobody is cut off for being slow.
        maintenance_every: Duration::from_secs(86_400),
        ring_age: Duration::from_secs(1_000_000_000),
        behind: Duration::from_secs(1_000_000_000),
        settle_wait: Duration::from_millis(1),
        look: often,
        ..Settings::default()
    };
    let settings = match setup.small {
        true => Settings { mailbox_changes: 2, delivery_changes: 3, known_entries: 8, erase_steps: 3, ..settings },
        false => settings,
    };
    let parts = Parts { store: door.clone(), fanout: None, search: None, clock: clock.clone() };
    Channels::start(parts, settings).expect("a service starts on whole ground")
}

/// A promise that holds, or the words for how it is broken.
pub fn check(holds: bool, why: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(why()) }
}
