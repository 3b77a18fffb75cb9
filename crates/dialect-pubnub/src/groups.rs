//! Channel groups (`protocols/pubnub.md` §9): named lists of channels that the server keeps. Each membership is a record of
//! its own, so groups survive a restart; in memory for every subscribe.

use crate::{
    auth::Need,
    call::{Call, forbid},
    convert,
    error::Refusal,
    limits,
    route::GroupCall,
    wire::{json, names},
};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use model::{AppId, RecordKey, RecordKind};
use service::Channels;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// The groups of one keyset.
pub struct Groups {
    app: AppId,
    members: Mutex<BTreeMap<String, BTreeSet<String>>>,
    /// Held by whoever changes records, so that memory and records tell the same.
    changing: tokio::sync::Mutex<()>,
    changes: watch::Sender<()>,
}

/// Between the group and the channel in the name of a record: no name holds it.
const SEPARATOR: char = '\0';
/// What a membership's record holds.
const MEMBER: Bytes = Bytes::from_static(b"1");
const PAGE: u32 = 1_000;
/// Records that one call changes at the same time: they share a batch of the store.
const AT_ONCE: usize = 64;

impl Groups {
    /// Reads what is stored.
    pub async fn load(channels: &Channels, app: &AppId) -> model::Result<Groups> {
        let mut members = BTreeMap::<String, BTreeSet<String>>::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = channels.records(app, RecordKind::GroupMember, b"", after.as_deref(), PAGE).await?;
            for record in &page {
                let name = std::str::from_utf8(&record.key.name).ok();
                if let Some((group, channel)) = name.and_then(|name| name.split_once(SEPARATOR)) {
                    members.entry(group.to_owned()).or_default().insert(channel.to_owned());
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE as usize => after = Some(last.key.name.to_vec()),
                _ => break,
            }
        }
        let (members, changing) = (Mutex::new(members), tokio::sync::Mutex::default());
        Ok(Groups { app: app.clone(), members, changing, changes: watch::Sender::default() })
    }

    /// The channels of a group, in order; none if there is no such group.
    pub fn channels(&self, group: &str) -> Vec<String> {
        self.members().get(group).into_iter().flatten().cloned().collect()
    }

    /// Becomes ready whenever a group changed.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn names(&self) -> Vec<String> {
        self.members().keys().cloned().collect()
    }

    async fn add(&self, channels: &Channels, group: &str, added: &[&str]) -> Result<(), Refusal> {
        let _turn = self.changing.lock().await;
        let known: BTreeSet<String> = self.channels(group).into_iter().collect();
        let new: Vec<&str> = added.iter().copied().filter(|name| !known.contains(*name)).collect();
        let all: usize = self.members().values().map(BTreeSet::len).sum();
        if known.len() + new.len() > limits::GROUP_CHANNELS || all + new.len() > limits::GROUP_MEMBERS {
            return Err(Refusal::GroupFull);
        }
        self.put(channels, group, &new, Some(MEMBER)).await?;
        self.members().entry(group.to_owned()).or_default().extend(new.into_iter().map(str::to_owned));
        self.changes.send_replace(());
        Ok(())
    }

    async fn remove(&self, channels: &Channels, group: &str, removed: &[&str]) -> Result<(), Refusal> {
        let _turn = self.changing.lock().await;
        let known: BTreeSet<String> = self.channels(group).into_iter().collect();
        let gone: Vec<&str> = removed.iter().copied().filter(|name| known.contains(*name)).collect();
        self.put(channels, group, &gone, None).await?;
        let mut members = self.members();
        if let Some(left) = members.get_mut(group) {
            gone.into_iter().for_each(|name| {
                left.remove(name);
            });
            if left.is_empty() {
                members.remove(group);
            }
        }
        drop(members);
        self.changes.send_replace(());
        Ok(())
    }

    async fn put(&self, channels: &Channels, group: &str, names: &[&str], value: Option<Bytes>) -> Result<(), Refusal> {
        let key = |name: &&str| RecordKey {
            app: self.app.clone(),
            kind: RecordKind::GroupMember,
            name: format!("{group}{SEPARATOR}{name}").into_bytes().into(),
        };
        let puts: Vec<_> = names.iter().map(|name| channels.put_record(key(name), value.clone(), None)).collect();
        stream::iter(puts).buffer_unordered(AT_ONCE).try_for_each(|_| async { Ok(()) }).await?;
        Ok(())
    }

    fn members(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<String>>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lists, adds to, removes from and deletes groups.
pub async fn groups(call: &Call<'_>, wish: GroupCall) -> Result<Vec<u8>, Refusal> {
    let groups = call.groups().await?;
    match wish {
        GroupCall::List => {
            let mut names = groups.names();
            names.retain(|name| call.may_group(Need::Manage, name));
            Ok(list_of_groups(&names))
        }
        GroupCall::Remove(group) => {
            demand(call, &[Need::Manage], &group)?;
            let members = groups.channels(&group);
            let members: Vec<&str> = members.iter().map(String::as_str).collect();
            groups.remove(call.channels, &group, &members).await?;
            Ok(DONE.to_vec())
        }
        GroupCall::Group(group) => one(call, groups, &group).await,
    }
}

async fn one(call: &Call<'_>, groups: &Groups, group: &str) -> Result<Vec<u8>, Refusal> {
    if group.len() > limits::GROUP_NAME_BYTES || group.contains([',', '*', SEPARATOR]) {
        return Err(Refusal::ReservedCharacter);
    }
    let (add, remove) = (call.query.get("add"), call.query.get("remove"));
    if add.is_none() && remove.is_none() {
        demand(call, &[Need::Read, Need::Manage], group)?;
        return Ok(list_of_channels(group, &groups.channels(group)));
    }
    demand(call, &[Need::Manage], group)?;
    if let Some(list) = add {
        groups.add(call.channels, group, &members(list)?).await?;
    }
    if let Some(list) = remove {
        groups.remove(call.channels, group, &members(list)?).await?;
    }
    Ok(DONE.to_vec())
}

/// Names of channels and wildcards; presence streams come along by themselves.
fn members(list: &str) -> Result<Vec<&str>, Refusal> {
    let members = names(list, limits::GROUP_CHANGES)?;
    match members.iter().all(|name| convert::channel(name).is_ok()) {
        true => Ok(members),
        false => Err(Refusal::ReservedCharacter),
    }
}

/// Any of these rights on the group will do.
fn demand(call: &Call, needs: &[Need], group: &str) -> Result<(), Refusal> {
    let may = needs.iter().any(|need| call.may_group(*need, group));
    forbid(Vec::new(), if may { Vec::new() } else { vec![group.to_owned()] })
}

const DONE: &[u8] = b"{\"status\":200,\"message\":\"OK\",\"service\":\"channel-registry\",\"error\":false}";
const END: &[u8] = b"},\"service\":\"channel-registry\",\"error\":false}";

fn list_of_channels(group: &str, channels: &[String]) -> Vec<u8> {
    let mut out = b"{\"status\":200,\"payload\":{\"channels\":[".to_vec();
    json::joined(&mut out, channels, |out, name| json::string(out, name));
    out.extend_from_slice(b"],\"group\":");
    json::string(&mut out, group);
    out.extend_from_slice(END);
    out
}

fn list_of_groups(groups: &[String]) -> Vec<u8> {
    let mut out = b"{\"status\":200,\"payload\":{\"namespace\":\"\",\"groups\":[".to_vec();
    json::joined(&mut out, groups, |out, name| json::string(out, name));
    out.push(b']');
    out.extend_from_slice(END);
    out
}
