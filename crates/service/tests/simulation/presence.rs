//! Steps about who is on a channel. What is announced follows from who sits where; an observer waits for it after each
//! step, so that events have their ids before the next one.

use crate::{
    cast::{app, room, user},
    steps::NAMED,
    world::{World, check},
    writes::in_channel,
};
use model::{Clock, PresenceEvent, TICKS_PER_SECOND, What};
use service::{Access, Arrival, Caller, Pattern, Subscription, Topic, WhoIsHere};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use testkit::judge::Verdict;

/// Who sits where, and hears what is announced.
#[derive(Default)]
pub struct Hall {
    /// By room and user: connections, and when each is gone if it is not heard of, in monotonic ticks.
    seats: BTreeMap<(u8, u8), BTreeMap<u8, Option<u64>>>,
    observer: Option<Subscription>,
}

/// Something that is to be announced.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum News {
    Joined,
    Left,
    TimedOut,
}

type Announced = BTreeSet<(u8, u8, News)>;

impl World {
    pub async fn arrive(&mut self, of: u8, n: u8, connection: u8, seconds: Option<u16>) -> Verdict {
        self.observe().await?;
        let arrival = Arrival {
            connection: format!("{connection}").into(),
            timeout: seconds.map(|seconds| Duration::from_secs(seconds.into())),
            state: None,
            data: None,
        };
        let told = self.within(self.channels.arrive(&as_user(of), &[room(n).name], arrival)).await?;
        told.map_err(|error| format!("not arrived: {error:?}"))?;
        let gone_at = seconds.map(|seconds| self.clock.monotonic_ticks() + u64::from(seconds) * TICKS_PER_SECOND);
        let is_first = !self.hall.seats.contains_key(&(n, of));
        self.hall.seats.entry((n, of)).or_default().insert(connection, gone_at);
        self.hear(is_first.then_some((n, of, News::Joined)).into_iter().collect()).await
    }

    pub async fn depart(&mut self, of: u8, n: u8, connection: u8) -> Verdict {
        self.observe().await?;
        let key = format!("{connection}").into();
        let told = self.within(self.channels.leave(&as_user(of), Some(&[room(n).name]), &key)).await?;
        told.map_err(|error| format!("not gone: {error:?}"))?;
        let left = self.hall.seats.get_mut(&(n, of)).is_some_and(|seats| {
            seats.remove(&connection);
            seats.is_empty()
        });
        if left {
            self.hall.seats.remove(&(n, of));
        }
        self.hear(left.then_some((n, of, News::Left)).into_iter().collect()).await
    }

    /// Time has passed: who was not heard of is gone.
    pub async fn time_out(&mut self) -> Verdict {
        let now = self.clock.monotonic_ticks();
        let mut gone = Announced::new();
        self.hall.seats.retain(|(n, of), seats| {
            seats.retain(|_, gone_at| gone_at.is_none_or(|gone_at| gone_at > now));
            if seats.is_empty() {
                gone.insert((*n, *of, News::TimedOut));
            }
            !seats.is_empty()
        });
        self.hear(gone).await
    }

    /// After a start nobody is there until heard of again.
    pub fn clear_the_hall(&mut self) {
        self.hall = Hall::default();
    }

    async fn observe(&mut self) -> Verdict {
        if self.hall.observer.is_none() {
            let everybody = Topic::PresencePattern(Pattern::new("*").expect("a valid pattern"));
            let told = self.within(self.channels.subscribe(&self.caller(0), vec![everybody], None)).await?;
            self.hall.observer = Some(told.map_err(|error| format!("not followed: {error:?}"))?);
        }
        Ok(())
    }

    /// Waits until all of this was announced, and nothing else; then looks who is there.
    async fn hear(&mut self, expected: Announced) -> Verdict {
        let mut heard = Announced::new();
        while heard.len() < expected.len() {
            let mut observer = self.hall.observer.take().ok_or("news before anybody came")?;
            let told = self.within(observer.next()).await.map_err(|why| format!("{why}: {expected:?}, {heard:?}"))?;
            self.hall.observer = Some(observer);
            for item in told.map_err(|error| format!("the observer: {error:?}"))?.items {
                let change = in_channel(&item.change).ok_or("a record was announced")?.clone();
                let news = news_of(&change.what)?;
                let n = (0..NAMED).find(|n| room(*n) == change.channel).ok_or("a room that nobody knows")?;
                let of = (0..3).find(|of| user(*of).id == news.1).ok_or("a user that nobody knows")?;
                check(heard.insert((n, of, news.0)), || format!("{change:?} twice"))?;
                self.truth.take_live(change);
            }
        }
        check(heard == expected, || format!("announced {heard:?}, expected {expected:?}"))?;
        self.who_is_here().await
    }

    async fn who_is_here(&self) -> Verdict {
        let channels = (0..NAMED).map(|n| room(n).name).collect();
        let asked = WhoIsHere { channels: Some(channels), after: None, limit: 10, offset: 0 };
        let told = self.within(self.channels.here(&self.caller(0), &asked)).await?;
        for (n, here) in (0..NAMED).zip(told.map_err(|error| format!("{error:?}"))?) {
            let there: BTreeSet<_> =
                self.hall.seats.keys().filter(|(at, _)| *at == n).map(|(_, of)| user(*of).id).collect();
            let told: BTreeSet<_> = here.members.iter().map(|member| member.user.id.clone()).collect();
            check(told == there && here.occupancy == there.len(), || format!("{here:?}, there are {there:?}"))?;
        }
        Ok(())
    }
}

fn news_of(what: &What) -> Result<(News, Arc<str>), String> {
    let What::Presence(presence) = what else { return Err(format!("{what:?} is no news of who is there")) };
    match &presence.event {
        PresenceEvent::Joined { user, .. } => Ok((News::Joined, user.id.clone())),
        PresenceEvent::Left { user, .. } => Ok((News::Left, user.id.clone())),
        PresenceEvent::TimedOut { user, .. } => Ok((News::TimedOut, user.id.clone())),
        other => Err(format!("nobody asked for {other:?}")),
    }
}

fn as_user(of: u8) -> Caller {
    Caller { app: app(), user: Some(user(of)), access: Arc::new(Access::admin()) }
}
