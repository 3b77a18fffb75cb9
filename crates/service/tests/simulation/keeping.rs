//! Steps about what is kept and what goes: policies, holds, erasures, and maintenance, whose every change must follow from
//! the truth before it.

use crate::{
    cast::{room, user},
    steps::Keep,
    truth::{Sight, rooms},
    world::{Delta, World, check},
};
use model::{Author, Channel, ChannelChange, ErrorKind, Id, Message, Position, Seq, Span, Store, UserId, What};
use service::{ErasureState, Hold, HoldScope, Retention};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use testkit::judge::Verdict;

/// Rounds after which maintenance has done what there is to do.
const ROUNDS: usize = 1_000;

impl World {
    pub async fn retain(&mut self, n: Option<u8>, keep: Option<Keep>) -> Verdict {
        self.without_faults();
        let name = n.map(|n| room(n).name);
        let retention = keep.map(|keep| match keep {
            Keep::Messages(messages) => Retention { messages: Some(messages.into()), age: None },
            Keep::Seconds(seconds) => Retention { age: Some(Duration::from_secs(seconds.into())), messages: None },
        });
        let told = self.within(self.channels.set_retention(&self.caller(0), name.as_ref(), retention)).await?;
        self.told(told, Ok(()))?;
        match (name, retention) {
            (None, retention) => self.truth.app_keeps = retention,
            (Some(name), Some(retention)) => drop(self.truth.rooms_keep.insert(name, retention)),
            (Some(name), None) => drop(self.truth.rooms_keep.remove(&name)),
        }
        for follower in self.followers.values_mut() {
            follower.policies_changed();
        }
        Ok(())
    }

    pub async fn hold(&mut self, n: Option<u8>, of: u8) -> Verdict {
        self.without_faults();
        let hold = hold_of(n, of);
        let (name, scope) = (hold.name.clone(), hold.scope.clone());
        let there = self.truth.holds.contains_key(&name);
        let expected = if there { Err(ErrorKind::Conflict) } else { Ok(()) };
        let told = self.within(self.channels.hold(&self.caller(0), hold)).await?;
        if self.told(told, expected)?.is_some() {
            self.truth.holds.insert(name, scope);
        }
        Ok(())
    }

    pub async fn release(&mut self, n: Option<u8>, of: u8) -> Verdict {
        self.without_faults();
        let name = hold_of(n, of).name;
        let expected = if self.truth.holds.contains_key(&name) { Ok(()) } else { Err(ErrorKind::NotFound) };
        let told = self.within(self.channels.release(&self.caller(0), &name)).await?;
        if self.told(told, expected)?.is_some() {
            self.truth.holds.remove(&name);
        }
        Ok(())
    }

    /// Erases a person to the end, unless a hold is in the way.
    pub async fn erase(&mut self, of: u8) -> Verdict {
        self.without_faults();
        let (user, admin) = (user(of), self.caller(0));
        // What is due goes before, so that the rest is the erasure's.
        self.maintain().await?;
        let holds_user = |scope: &HoldScope| matches!(scope, HoldScope::Author(held) if *held == user);
        let is_held = self.truth.holds.values().any(holds_user);
        let expected = if is_held { Err(ErrorKind::Conflict) } else { Ok(()) };
        let told = self.within(self.channels.erase(&admin, &user)).await?;
        let Some(erasure) = self.told(told, expected)? else { return Ok(()) };
        let before = Traces::of(self, &user);
        self.rounds().await?;
        let told = self.within(self.channels.erasure(&admin, &erasure.id)).await?;
        let receipt = told.map_err(|error| format!("no receipt: {error:?}"))?;
        let delta = self.delta()?;
        self.truth.erased = true;
        self.truth.oracle.erase(&rooms()).map_err(|error| error.to_string())?;
        before.check_taken(&delta, &user)?;
        if receipt.state != ErasureState::Done {
            return check(!self.truth.holds.is_empty(), || format!("an erasure does not end: {receipt:?}"));
        }
        check(receipt.user.is_none(), || "a receipt remembers somebody".into())?;
        let left = Traces::of(self, &user);
        check(left == Traces::default(), || format!("an erasure left {left:?}"))
    }

    /// Rounds to the end, and what they changed: what is due by trusted time, and floors.
    pub async fn maintain(&mut self) -> Verdict {
        let status = self.channels.clock_status(&self.caller(0)).map_err(|error| format!("{error:?}"))?;
        let trusted = status.removal_ticks;
        let due = trusted.map_or_else(BTreeMap::new, |ticks| self.due(Id::new(ticks, 0)));
        let rounds = self.rounds().await;
        if self.struck() {
            // It stopped where a batch failed, and goes on with the next round.
            let delta = self.delta()?;
            let own = |change: &ChannelChange| {
                matches!(change.what, What::Expired(_) | What::Floored(_) | What::Deleted(_) | What::Unedited(_))
                    || matches!(change.what, What::Unreacted { .. })
            };
            return check(delta.iter().all(own), || format!("maintenance made {delta:?}"));
        }
        rounds?;
        let delta = self.delta()?;
        if self.truth.erased {
            // One that waited for a hold may have come to its end.
            self.truth.oracle.erase(&rooms()).map_err(|error| error.to_string())?;
        }
        let mut expired: BTreeMap<Channel, BTreeSet<Id>> = BTreeMap::new();
        for change in &delta {
            if let What::Expired(removal) = &change.what {
                expired.entry(change.channel.clone()).or_default().extend(removal.ids.iter().copied());
            }
        }
        check(expired == due, || format!("expired {expired:?}, due were {due:?} at {trusted:?}"))?;
        let late = |change: &&ChannelChange| matches!(&change.what, What::Floored(_));
        for change in delta.iter().filter(late) {
            let What::Floored(floor) = &change.what else { continue };
            let retention = self.truth.retention(&change.channel.name);
            check(retention != Retention::default(), || format!("{change:?} where everything is kept"))?;
            check(self.is_gone_for_readers(&change.channel, floor, trusted), || format!("{change:?} takes too much"))?;
        }
        for channel in rooms() {
            self.is_floored(&channel, trusted)?;
        }
        Ok(())
    }

    async fn rounds(&self) -> Verdict {
        for _ in 0..ROUNDS {
            match self.within(self.channels.maintain()).await? {
                Ok(false) => return Ok(()),
                Ok(true) => {}
                Err(error) => return Err(format!("a round of maintenance: {error:?}")),
            }
        }
        Err("maintenance does not come to an end".into())
    }

    /// What is due and not held, by channel.
    fn due(&self, at: Id) -> BTreeMap<Channel, BTreeSet<Id>> {
        let mut due: BTreeMap<Channel, BTreeSet<Id>> = BTreeMap::new();
        for channel in rooms() {
            let state = self.truth.state(&channel);
            let of_it =
                state.there().filter(|message| message.is_expired(at) && !self.truth.is_held(&channel, message));
            let ids: BTreeSet<Id> = of_it.map(|message| message.id).collect();
            if !ids.is_empty() {
                due.insert(channel, ids);
            }
        }
        due
    }

    /// Whether no reader sees anything at or below a floor any more, also by trusted time.
    fn is_gone_for_readers(&self, channel: &Channel, floor: &Position, trusted: Option<u64>) -> bool {
        let sight = self.kept_at(channel, trusted);
        let above = sight.above(self.truth.head(channel).last.seq);
        floor.id <= sight.after || floor.seq <= above
    }

    fn kept_at(&self, channel: &Channel, trusted: Option<u64>) -> Sight {
        let kept = self.truth.kept(&channel.name, trusted.unwrap_or_default());
        Sight { after: trusted.map_or(Id::MIN, |_| kept.after), ..kept }
    }

    /// Whether a floor is where the policy wants it: nothing that is there lies below what is kept, but what is held and
    /// what lies above that.
    fn is_floored(&self, channel: &Channel, trusted: Option<u64>) -> Verdict {
        let (state, sight) = (self.truth.state(channel), self.kept_at(channel, trusted));
        let above = sight.above(state.head().last.seq);
        let there: Vec<&Arc<Message>> = state.there().collect();
        let first_kept = there.iter().find(|message| message.seq > above).map(|first| first.id);
        let by_count = |message: &Message| {
            above > Seq::NONE && first_kept.is_none_or(|first| message.id < first) && message.seq <= above
        };
        let not_kept = |message: &Message| message.id <= sight.after || by_count(message);
        let left = there.iter().take_while(|message| !self.truth.is_held(channel, message));
        let left: Vec<Id> = left.filter(|message| not_kept(message)).map(|message| message.id).collect();
        check(left.is_empty(), || format!("{left:?} of {channel:?} should be gone by now: {sight:?} {above:?}"))
    }
}

fn hold_of(n: Option<u8>, of: u8) -> Hold {
    match n {
        Some(n) => {
            Hold { name: format!("room {n}"), scope: HoldScope::Channel(room(n).name), reason: "a court".into() }
        }
        None => Hold { name: format!("user {of}"), scope: HoldScope::Author(user(of)), reason: "a court".into() },
    }
}

/// What tells of a person: its messages, its edits of other messages, its reactions.
#[derive(Default, PartialEq, Debug)]
struct Traces {
    messages: BTreeSet<Id>,
    edits: BTreeSet<Id>,
    reactions: BTreeSet<Id>,
}

impl Traces {
    fn of(world: &World, user: &UserId) -> Traces {
        let person = Author::person(user);
        let mut traces = Traces::default();
        for channel in rooms() {
            let state = world.truth.state(&channel);
            for message in state.there() {
                if message.author.as_ref().is_some_and(|author| person.is(author)) {
                    traces.messages.insert(message.id);
                    continue;
                }
                let versions = world.truth.oracle.versions(&channel, message.id).unwrap_or_default();
                let by = versions.iter().skip(1).filter(|version| version.by.as_ref().is_some_and(|by| person.is(by)));
                traces.edits.extend(by.map(|version| version.at));
            }
            let made = world.truth.oracle.reactions_made(&channel, Span::ALL, model::Order::Ascending, u32::MAX);
            let own = made.unwrap_or_default().into_iter().filter(|entry| person.is(&entry.reaction.user));
            traces.reactions.extend(own.map(|entry| entry.id));
        }
        traces
    }

    /// Whether an erasure took nothing but these.
    fn check_taken(&self, delta: &Delta, user: &UserId) -> Verdict {
        for change in delta {
            let own = match &change.what {
                What::Deleted(removal) => removal.ids.iter().all(|id| self.messages.contains(id)),
                What::Unedited(unedit) => unedit.edits.iter().all(|id| self.edits.contains(id)),
                What::Unreacted { reaction, was } => self.reactions.contains(reaction) && was.user.id == user.id,
                _ => false,
            };
            check(own, || format!("an erasure of {user:?} made {change:?}"))?;
        }
        Ok(())
    }
}
