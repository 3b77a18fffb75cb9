//! Who is on a channel. Connections come, are heard of and go; a user joins with the first and leaves with the last.
//! All of it is in memory at the owner of the channel: after a restart nobody is there until heard of again.
//!
//! The table is `roster.rs`, what of it is announced `news.rs`. One thread (`voice.rs`) watches the clock and hands
//! events to the sequencer, in the order in which they happened to the table.

mod news;
mod roster;
mod voice;

pub use roster::Member;
pub(crate) use voice::Voice;

use crate::{Caller, Channels, Rights, Settings, channels::Shared};
use bytes::Bytes;
use model::{AppId, Channel, ChannelName, Clock, Error, ErrorKind, Result, UserId, limits};
use roster::{Exit, Roster, SeatKey, Sign};
use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};

/// A connection that comes to channels, or goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// The dialect's key of the connection: a subscription, a long-poller, a socket. It is the user's own: the same key
    /// of another user is another connection.
    pub connection: Arc<str>,
    /// After how long without a sign of life it is gone; none for a connection whose end the dialect sees itself.
    pub timeout: Option<Duration>,
    /// The user's state on these channels, as JSON text; none leaves it as it is.
    pub state: Option<Bytes>,
    /// What the dialect keeps with it, opaque to all others. Of a user with several connections the first one's counts.
    pub data: Option<Bytes>,
}

/// Who is on a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Here {
    /// Where.
    pub channel: ChannelName,
    /// How many users are there.
    pub occupancy: usize,
    /// Users in the order of their ids, as far as asked for.
    pub members: Vec<Member>,
}

/// Which channels, and how much of each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WhoIsHere {
    /// These; none for all that somebody is on, in the order of their names.
    pub channels: Option<Vec<ChannelName>>,
    /// With all channels: only those after this one.
    pub after: Option<ChannelName>,
    /// Users of each channel at most. All channels together list at most [`Settings::presence_listed`]; the rest of them
    /// come with their occupancy alone.
    pub limit: usize,
    /// Users of each channel to pass over.
    pub offset: usize,
}

/// What all callers share.
pub(crate) struct Attendance {
    roster: Mutex<(Roster, bool)>,
    changed: Condvar,
    clock: Arc<dyn Clock>,
}

impl Channels {
    /// A connection of the caller's user comes to these channels, or is heard of again; with a state it sets that too.
    /// Needs [`Rights::READ`] on all of them; if anything is refused, nothing happened. Announced as `Joined` when the
    /// user was not there.
    pub async fn arrive(&self, caller: &Caller, channels: &[ChannelName], arrival: Arrival) -> Result<()> {
        let shared = &self.shared;
        shared.admit_all(caller, channels, Rights::READ)?;
        check_count(&shared.settings, channels)?;
        check_bytes("state", arrival.state.as_ref(), limits::PRESENCE_STATE_BYTES)?;
        check_bytes("data", arrival.data.as_ref(), limits::PRESENCE_DATA_BYTES)?;
        check_state(arrival.state.as_ref())?;
        let key = seat_key(caller, &arrival.connection)?;
        let timeout = arrival.timeout.map(|timeout| check_timeout(&shared.settings, timeout)).transpose()?;
        let sign = Sign { key, timeout, state: arrival.state, data: arrival.data };
        shared.attendance.change(|roster, now| roster.arrive(&caller.app, channels, &sign, now))
    }

    /// Hears of a connection on these channels, and says on which of them it is not: it has to arrive there again.
    pub async fn heartbeat(
        &self,
        caller: &Caller,
        channels: &[ChannelName],
        connection: &Arc<str>,
    ) -> Result<Vec<ChannelName>> {
        self.shared.admit_all(caller, channels, Rights::READ)?;
        check_count(&self.shared.settings, channels)?;
        let key = seat_key(caller, connection)?;
        Ok(self.shared.attendance.change(|roster, now| {
            let missing = channels.iter().filter(|name| !roster.heartbeat(&full(&caller.app, name), &key, now));
            missing.cloned().collect()
        }))
    }

    /// A connection goes: from these channels, or from all that its user is on. Needs no right. Announced as `Left` when
    /// it was the user's last one.
    pub async fn leave(&self, caller: &Caller, channels: Option<&[ChannelName]>, connection: &Arc<str>) -> Result<()> {
        let key = seat_key(caller, connection)?;
        check_count(&self.shared.settings, channels.unwrap_or_default())?;
        self.shared.attendance.change(|roster, now| {
            let all = if channels.is_none() { roster.where_is(&caller.app, &key.0) } else { Vec::new() };
            for name in channels.unwrap_or(&all) {
                roster.leave(&full(&caller.app, name), &key, Exit::Left, now);
            }
        });
        Ok(())
    }

    /// Sets the state of the caller's user on channels, none to clear it; says on which of them the user is not, where it
    /// has no effect. Needs [`Rights::READ`]. Announced as `StateChanged`.
    pub async fn set_state(
        &self,
        caller: &Caller,
        channels: &[ChannelName],
        state: Option<Bytes>,
    ) -> Result<Vec<ChannelName>> {
        self.shared.admit_all(caller, channels, Rights::READ)?;
        check_count(&self.shared.settings, channels)?;
        check_bytes("state", state.as_ref(), limits::PRESENCE_STATE_BYTES)?;
        check_state(state.as_ref())?;
        let user = user_of(caller)?;
        self.shared.attendance.change(|roster, now| {
            roster.check_bytes(state.as_ref().map_or(0, Bytes::len).saturating_mul(channels.len()))?;
            let absent =
                channels.iter().filter(|name| !roster.set_state(&full(&caller.app, name), user, state.clone(), now));
            Ok(absent.cloned().collect())
        })
    }

    /// A user as it is on each of these channels; none where it is not. Needs [`Rights::PRESENCE`].
    pub async fn state(&self, caller: &Caller, channels: &[ChannelName], user: &UserId) -> Result<Vec<Option<Member>>> {
        self.shared.admit_all(caller, channels, Rights::PRESENCE)?;
        check_count(&self.shared.settings, channels)?;
        let (roster, _) = &*self.shared.attendance.lock();
        Ok(channels.iter().map(|name| roster.member(&full(&caller.app, name), user)).collect())
    }

    /// Who is on channels. Needs [`Rights::PRESENCE`] on those that are named; of all channels those come that the caller
    /// has it on, at most [`Settings::presence_channels`] at once: go on after the last one.
    pub async fn here(&self, caller: &Caller, asked: &WhoIsHere) -> Result<Vec<Here>> {
        let settings = &self.shared.settings;
        if let Some(channels) = &asked.channels {
            self.shared.admit_all(caller, channels, Rights::PRESENCE)?;
            check_count(settings, channels)?;
        } else {
            self.shared.admit(caller, &caller.app)?;
        }
        let names = match &asked.channels {
            Some(names) => names.clone(),
            None => self.shared.occupied(caller, asked.after.clone()).await,
        };
        let (roster, _) = &*self.shared.attendance.lock();
        let mut left = settings.presence_listed;
        let here = names.into_iter().map(|name| {
            let channel = full(&caller.app, &name);
            let members = roster.members(&channel, asked.offset, asked.limit.min(left));
            left -= members.len();
            Here { channel: name, occupancy: roster.occupancy(&channel), members }
        });
        Ok(here.collect())
    }

    /// How many users are on a channel. Needs [`Rights::PRESENCE`].
    pub async fn occupancy(&self, caller: &Caller, channel: &ChannelName) -> Result<usize> {
        self.shared.admit_all(caller, std::slice::from_ref(channel), Rights::PRESENCE)?;
        Ok(self.shared.attendance.lock().0.occupancy(&full(&caller.app, channel)))
    }

    /// The channels that a user is on, of those that the caller has [`Rights::PRESENCE`] on.
    pub async fn where_is(&self, caller: &Caller, user: &UserId) -> Result<Vec<ChannelName>> {
        self.shared.admit(caller, &caller.app)?;
        let places = self.shared.attendance.lock().0.where_is(&caller.app, user);
        Ok(places.into_iter().filter(|name| caller.access.allows(name, Rights::PRESENCE)).collect())
    }
}

impl Shared {
    /// The next channels that somebody is on and that the caller may know of. Rights are asked outside of the lock.
    async fn occupied(&self, caller: &Caller, mut after: Option<ChannelName>) -> Vec<ChannelName> {
        let most = self.settings.presence_channels;
        let mut seen = Vec::new();
        loop {
            let next: Vec<ChannelName> = {
                let (roster, _) = &*self.attendance.lock();
                roster.occupied(&caller.app, after.as_ref()).take(most).cloned().collect()
            };
            after = next.last().cloned();
            let was_all = next.len() < most;
            seen.extend(next.into_iter().filter(|name| caller.access.allows(name, Rights::PRESENCE)));
            if was_all || seen.len() >= most {
                seen.truncate(most);
                return seen;
            }
            tokio::task::yield_now().await;
        }
    }

    fn admit_all(&self, caller: &Caller, channels: &[ChannelName], rights: Rights) -> Result<()> {
        self.admit(caller, &caller.app)?;
        channels.iter().try_for_each(|name| caller.access.demand(name, rights))
    }
}

impl Attendance {
    pub fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Attendance {
        Attendance { roster: Mutex::new((Roster::new(settings), false)), changed: Condvar::new(), clock }
    }

    /// Ends the thread that announces.
    pub fn close(&self) {
        self.lock().1 = true;
        self.changed.notify_all();
    }

    /// Connections, each counted once for every channel that it is on, and about how many bytes they take.
    pub fn size(&self) -> (usize, usize) {
        let (roster, _) = &*self.lock();
        (roster.seats(), roster.bytes())
    }

    fn change<T>(&self, work: impl FnOnce(&mut Roster, u64) -> T) -> T {
        let now = self.clock.monotonic_ticks();
        let mut state = self.lock();
        let waited = state.0.news.is_waiting();
        let outcome = work(&mut state.0, now);
        if !waited && state.0.news.is_waiting() {
            self.changed.notify_all();
        }
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, (Roster, bool)> {
        self.roster.lock().expect("no panic happens under this lock")
    }
}

fn full(app: &AppId, name: &ChannelName) -> Channel {
    Channel { app: app.clone(), name: name.clone() }
}

fn user_of(caller: &Caller) -> Result<&UserId> {
    caller.user.as_ref().ok_or_else(|| Error::invalid("presence: who it is must be said"))
}

fn seat_key(caller: &Caller, connection: &Arc<str>) -> Result<SeatKey> {
    if connection.is_empty() || connection.len() > limits::CONNECTION_KEY_BYTES {
        return Err(Error::invalid(format!("connection: its key has 1 to {} bytes", limits::CONNECTION_KEY_BYTES)));
    }
    Ok((user_of(caller)?.clone(), connection.clone()))
}

fn check_count(settings: &Settings, channels: &[ChannelName]) -> Result<()> {
    let most = settings.presence_channels;
    if channels.len() <= most { Ok(()) } else { Err(Error::invalid(format!("channels: at most {most}"))) }
}

fn check_bytes(what: &str, bytes: Option<&Bytes>, most: usize) -> Result<()> {
    let size = bytes.map_or(0, Bytes::len);
    if size <= most {
        return Ok(());
    }
    Err(Error::new(ErrorKind::TooLarge, format!("{what}: it has {size} bytes, the limit is {most}")))
}

fn check_state(state: Option<&Bytes>) -> Result<()> {
    match state.is_none_or(|state| std::str::from_utf8(state).is_ok()) {
        true => Ok(()),
        false => Err(Error::invalid("state: it is not UTF-8")),
    }
}

/// The timeout in ticks.
fn check_timeout(settings: &Settings, timeout: Duration) -> Result<u64> {
    if timeout.is_zero() || timeout > settings.presence_timeout {
        let most = settings.presence_timeout.as_secs();
        return Err(Error::invalid(format!("timeout: more than 0 and at most {most} s")));
    }
    Ok((timeout.as_nanos() / 100) as u64)
}
