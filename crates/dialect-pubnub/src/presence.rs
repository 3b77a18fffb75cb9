//! Presence (`protocols/pubnub.md` §10): who is on which channels, with what state.
//!
//! To the vendor a user is one connection, whatever clients it runs: a heartbeat or a subscribe of any of them keeps it
//! there, and the first leave takes it away.

use crate::{
    auth::Need,
    call::Call,
    convert,
    error::Refusal,
    limits,
    route::PresenceCall,
    subscribe::entries::Entries,
    wire::{json, names},
};
use bytes::Bytes;
use model::{ChannelName, Origin, UserId};
use serde_json::value::RawValue;
use service::{Arrival, Caller, Channels, Group, Here, WhoIsHere};
use std::{collections::BTreeMap, future::pending, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};

/// All calls of §10.
pub async fn presence(call: &Call<'_>, wish: PresenceCall) -> Result<Vec<u8>, Refusal> {
    match wish {
        PresenceCall::Heartbeat { channels } => heartbeat(call, &channels).await,
        PresenceCall::Leave { channels } => leave(call, &channels).await,
        PresenceCall::HereNow { channels } => here_now(call, &channels).await,
        PresenceCall::HereNowEverywhere => here_everywhere(call).await,
        PresenceCall::WhereNow { user } => where_now(call, &user).await,
        PresenceCall::SetState { channels, user } => set_state(call, &channels, &user).await,
        PresenceCall::GetState { channels, user } => get_state(call, &channels, &user).await,
    }
}

/// A user who is present for as long as its poll is held.
pub struct Attendance {
    channels: Channels,
    caller: Caller,
    names: Vec<ChannelName>,
    timeout: Duration,
    next: Instant,
}

/// A subscribe says that its user is there. Without a user, or without a channel, nobody comes.
pub async fn attend(call: &Call<'_>, caller: &Caller, entries: &Entries) -> Result<Option<Attendance>, Refusal> {
    if caller.user.is_none() {
        return Ok(None);
    }
    let names = attended(call, caller, entries).await?;
    let timeout = timeout(call)?;
    if names.is_empty() {
        return Ok(None);
    }
    arrive(call, caller, &names, timeout).await?;
    let next = Instant::now() + timeout / 2;
    // A poll that ends before the user would be missed needs nothing more.
    let lasts = timeout / 2 < call.settings.hold;
    let stays = || Attendance { channels: call.channels.clone(), caller: caller.clone(), names, timeout, next };
    Ok(lasts.then(stays))
}

/// Keeps the user of a held poll there; ends only when it may not be there any more.
pub async fn stay(attendance: &mut Option<Attendance>) {
    let Some(attendance) = attendance else { return pending().await };
    loop {
        sleep_until(attendance.next).await;
        let arrival = arrival(attendance.timeout, None);
        if attendance.channels.arrive(&attendance.caller, &attendance.names, arrival).await.is_err() {
            return;
        }
        attendance.next = Instant::now() + attendance.timeout / 2;
    }
}

/// One connection a user, whatever clients it runs.
fn connection() -> Arc<str> {
    "pubnub".into()
}

fn arrival(timeout: Duration, state: Option<Bytes>) -> Arrival {
    Arrival { connection: connection(), timeout: Some(timeout), state, data: None }
}

fn timeout(call: &Call) -> Result<Duration, Refusal> {
    let seconds = call.query.number("heartbeat")?.unwrap_or(limits::HEARTBEAT_SECONDS);
    let bounded = seconds.clamp(limits::HEARTBEAT_SECONDS_LEAST, limits::HEARTBEAT_SECONDS_MOST);
    Ok(Duration::from_secs(bounded))
}

/// The user comes, with the states that the call gives it on some of the channels.
async fn arrive(call: &Call<'_>, caller: &Caller, names: &[ChannelName], timeout: Duration) -> Result<(), Refusal> {
    let states = states(call.query.get("state"))?;
    let state_of = |name: &ChannelName| name.as_named().and_then(|text| states.get(text)).cloned();
    let (with, without): (Vec<_>, Vec<_>) = names.iter().cloned().partition(|name| state_of(name).is_some());
    if !without.is_empty() {
        call.channels.arrive(caller, &without, arrival(timeout, None)).await?;
    }
    for name in with {
        let state = state_of(&name);
        call.channels.arrive(caller, std::slice::from_ref(&name), arrival(timeout, state)).await?;
    }
    Ok(())
}

/// `state` of heartbeat and subscribe: an object from channels to states.
fn states(text: Option<&str>) -> Result<BTreeMap<String, Bytes>, Refusal> {
    let Some(text) = text else { return Ok(BTreeMap::new()) };
    let states: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(|_| Refusal::Argument("state"))?;
    Ok(states.into_iter().map(|(name, state)| (name, Bytes::copy_from_slice(state.get().as_bytes()))).collect())
}

/// The channels of a call: those it names and those of its groups; wildcards and presence streams are nowhere to be.
async fn attended(call: &Call<'_>, caller: &Caller, entries: &Entries) -> Result<Vec<ChannelName>, Refusal> {
    let mut names = entries.attended.clone();
    for group in &entries.attended_groups {
        names.extend(call.channels.group(caller, group).await?);
    }
    names.sort();
    names.dedup();
    names.truncate(limits::PRESENCE_CHANNELS);
    Ok(names)
}

fn entries(call: &Call, channels: &str) -> Result<Option<Entries>, Refusal> {
    let groups = call.query.get("channel-group").unwrap_or_default();
    let nothing = channels.split(',').chain(groups.split(',')).all(str::is_empty);
    if nothing { Ok(None) } else { Entries::parse(channels, groups).map(Some) }
}

async fn heartbeat(call: &Call<'_>, channels: &str) -> Result<Vec<u8>, Refusal> {
    let entries = entries(call, channels)?.ok_or(Refusal::Argument("channel"))?;
    let caller = call.subscriber(&entries)?;
    if caller.user.is_none() {
        return Err(Refusal::Argument("uuid"));
    }
    let names = attended(call, &caller, &entries).await?;
    if !names.is_empty() {
        arrive(call, &caller, &names, timeout(call)?).await?;
    }
    Ok(b"{\"status\":200,\"message\":\"OK\",\"service\":\"Presence\"}".to_vec())
}

async fn leave(call: &Call<'_>, channels: &str) -> Result<Vec<u8>, Refusal> {
    let caller = call.permitted();
    if let Some(entries) = entries(call, channels)?.filter(|_| caller.user.is_some()) {
        let names = attended(call, &caller, &entries).await?;
        call.channels.leave(&caller, Some(&names), &connection()).await?;
    }
    Ok(b"{\"status\":200,\"message\":\"OK\",\"action\":\"leave\",\"service\":\"Presence\"}".to_vec())
}

/// How much of each channel an answer tells.
struct Detail {
    users: bool,
    states: bool,
    limit: usize,
    offset: usize,
}

impl Detail {
    fn of(call: &Call) -> Result<Detail, Refusal> {
        let number = |name, default: usize| -> Result<usize, Refusal> {
            Ok(call.query.number(name)?.map_or(default, |number| usize::try_from(number).unwrap_or(default)))
        };
        let most = limits::PRESENCE_LISTED;
        let users = !call.query.flag("disable_uuids", false);
        Ok(Detail {
            users,
            states: call.query.flag("state", false),
            limit: if users { number("limit", most)?.min(most) } else { 0 },
            offset: number("offset", 0)?,
        })
    }
}

async fn here_now(call: &Call<'_>, channels: &str) -> Result<Vec<u8>, Refusal> {
    let list = names(channels, limits::PRESENCE_CHANNELS)?;
    let mut asked: Vec<ChannelName> = list.iter().map(|name| convert::channel(name)).collect::<Result<_, _>>()?;
    let caller = call.caller(Need::Read, &asked.iter().collect::<Vec<_>>())?;
    let groups = names(call.query.get("channel-group").unwrap_or_default(), limits::PRESENCE_CHANNELS)?;
    for name in &groups {
        let caller = call.group_caller(&[Need::Read], name)?;
        let group = Group::new(name).map_err(|_| Refusal::Argument("channel-group"))?;
        asked.extend(call.channels.group(&caller, &group).await?);
    }
    let detail = Detail::of(call)?;
    let who = WhoIsHere { channels: Some(asked), after: None, limit: detail.limit, offset: detail.offset };
    let here = call.channels.here(&caller, &who).await?;
    match (&here[..], groups.is_empty()) {
        ([here], true) => Ok(one_channel(here, &detail)),
        (several, _) => Ok(many_channels(several, &detail)),
    }
}

async fn here_everywhere(call: &Call<'_>) -> Result<Vec<u8>, Refusal> {
    let detail = Detail::of(call)?;
    let caller = call.permitted();
    let who = WhoIsHere { channels: None, after: None, limit: detail.limit, offset: detail.offset };
    let mut here = call.channels.here(&caller, &who).await?;
    here.retain(|here| call.may(Need::Read, &here.channel.to_string()));
    Ok(many_channels(&here, &detail))
}

fn one_channel(here: &Here, detail: &Detail) -> Vec<u8> {
    let mut out = b"{\"status\":200,\"message\":\"OK\",".to_vec();
    write_here(&mut out, here, detail);
    out.extend_from_slice(b",\"service\":\"Presence\"}");
    out
}

/// Without a top-level `occupancy`, by which one client takes the answer for that of one channel.
fn many_channels(here: &[Here], detail: &Detail) -> Vec<u8> {
    let occupied = || here.iter().filter(|here| here.occupancy > 0);
    let mut out = b"{\"status\":200,\"message\":\"OK\",\"payload\":{\"channels\":{".to_vec();
    json::joined(&mut out, occupied(), |out, here| {
        json::string(out, &here.channel.to_string());
        out.extend_from_slice(b":{");
        write_here(out, here, detail);
        out.push(b'}');
    });
    out.extend_from_slice(b"},\"total_channels\":");
    json::number(&mut out, occupied().count() as u64);
    out.extend_from_slice(b",\"total_occupancy\":");
    json::number(&mut out, occupied().map(|here| here.occupancy as u64).sum());
    out.extend_from_slice(b"},\"service\":\"Presence\"}");
    out
}

fn write_here(out: &mut Vec<u8>, here: &Here, detail: &Detail) {
    out.extend_from_slice(b"\"occupancy\":");
    json::number(out, here.occupancy as u64);
    if !detail.users {
        return;
    }
    out.extend_from_slice(b",\"uuids\":[");
    json::joined(out, &here.members, |out, member| {
        if !detail.states {
            return json::string(out, &member.user.id);
        }
        out.extend_from_slice(b"{\"uuid\":");
        json::string(out, &member.user.id);
        if let Some(state) = &member.state {
            out.extend_from_slice(b",\"state\":");
            out.extend_from_slice(state);
        }
        out.push(b'}');
    });
    out.push(b']');
}

/// The two users that a name may mean: one whose token or signature proved it, and one who only says so.
fn meant(name: &str) -> Result<[UserId; 2], Refusal> {
    let user = |verified| UserId::new(Origin::Pubnub, name, verified).map_err(|_| Refusal::Argument("uuid"));
    Ok([user(false)?, user(true)?])
}

async fn where_now(call: &Call<'_>, user: &str) -> Result<Vec<u8>, Refusal> {
    let caller = call.permitted();
    let mut places = Vec::new();
    for user in meant(user)? {
        places.extend(call.channels.where_is(&caller, &user).await?);
    }
    places.sort();
    places.dedup();
    let mut out = b"{\"status\":200,\"message\":\"OK\",\"payload\":{\"channels\":[".to_vec();
    json::joined(&mut out, &places, |out, name| json::string(out, &name.to_string()));
    out.extend_from_slice(b"]},\"service\":\"Presence\"}");
    Ok(out)
}

/// A state is an object; it has an effect where the user is.
async fn set_state(call: &Call<'_>, channels: &str, user: &str) -> Result<Vec<u8>, Refusal> {
    let text = call.query.get("state").ok_or(Refusal::Argument("state"))?;
    let state: &RawValue = serde_json::from_str(text).map_err(|_| Refusal::Argument("state"))?;
    if !state.get().starts_with('{') {
        return Err(Refusal::Argument("state"));
    }
    let Some(entries) = entries(call, channels)? else { return Err(Refusal::Argument("channel")) };
    let caller = call.subscriber(&entries)?;
    let names = attended(call, &caller, &entries).await?;
    let bytes = Bytes::copy_from_slice(state.get().as_bytes());
    for user in meant(user)? {
        let caller = Caller { user: Some(user), ..caller.clone() };
        call.channels.set_state(&caller, &names, Some(bytes.clone())).await?;
    }
    let mut out = b"{\"status\":200,\"message\":\"OK\",\"payload\":".to_vec();
    out.extend_from_slice(&bytes);
    out.extend_from_slice(b",\"service\":\"Presence\"}");
    Ok(out)
}

async fn get_state(call: &Call<'_>, channels: &str, user: &str) -> Result<Vec<u8>, Refusal> {
    let Some(entries) = entries(call, channels)? else { return Err(Refusal::Argument("channel")) };
    let caller = call.subscriber(&entries)?;
    let names = attended(call, &caller, &entries).await?;
    let mut states: Vec<Bytes> = vec![Bytes::from_static(b"{}"); names.len()];
    for user in meant(user)? {
        for (place, member) in states.iter_mut().zip(call.channels.state(&caller, &names, &user).await?) {
            if let Some(state) = member.and_then(|member| member.state) {
                *place = state;
            }
        }
    }
    let mut out = b"{\"status\":200,\"message\":\"OK\",\"payload\":".to_vec();
    let single = entries.attended_groups.is_empty() && names.len() == 1;
    match (&names[..], &states[..]) {
        ([name], [state]) if single => {
            out.extend_from_slice(state);
            out.extend_from_slice(b",\"channel\":");
            json::string(&mut out, &name.to_string());
        }
        _ => {
            out.extend_from_slice(b"{\"channels\":{");
            json::joined(&mut out, names.iter().zip(&states), |out, (name, state)| {
                json::string(out, &name.to_string());
                out.push(b':');
                out.extend_from_slice(state);
            });
            out.extend_from_slice(b"}}");
        }
    }
    out.extend_from_slice(b",\"uuid\":");
    json::string(&mut out, user);
    out.extend_from_slice(b",\"service\":\"Presence\"}");
    Ok(out)
}
