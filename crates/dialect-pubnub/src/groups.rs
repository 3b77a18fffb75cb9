//! Channel groups (`protocols/pubnub.md` §9): named lists of channels that the service keeps.

use crate::{
    auth::Need,
    call::Call,
    convert,
    error::Refusal,
    limits,
    route::GroupCall,
    wire::{json, names},
};
use model::{ChannelName, ErrorKind};
use service::Group;

/// Lists, adds to, removes from and deletes groups.
pub async fn groups(call: &Call<'_>, wish: GroupCall) -> Result<Vec<u8>, Refusal> {
    match wish {
        GroupCall::List => list(call).await,
        GroupCall::Remove(name) => {
            let caller = call.group_caller(&[Need::Manage], &name)?;
            call.channels.delete_group(&caller, &group(&name)?).await?;
            Ok(DONE.to_vec())
        }
        GroupCall::Group(name) => one(call, &name).await,
    }
}

/// The groups that the caller may manage.
async fn list(call: &Call<'_>) -> Result<Vec<u8>, Refusal> {
    let caller = call.permitted();
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = call.channels.list_groups(&caller, after.as_ref(), limits::GROUPS_PAGE).await?;
        names.extend(page.into_iter().filter(|group| call.may_group(Need::Manage, group.as_str())));
        if next.is_none() || names.len() >= limits::GROUPS_LISTED {
            return Ok(list_of_groups(&names));
        }
        after = next;
    }
}

async fn one(call: &Call<'_>, name: &str) -> Result<Vec<u8>, Refusal> {
    let group = group(name)?;
    let (add, remove) = (call.query.get("add"), call.query.get("remove"));
    if add.is_none() && remove.is_none() {
        let caller = call.group_caller(&[Need::Read, Need::Manage], name)?;
        return Ok(list_of_channels(name, &call.channels.group(&caller, &group).await?));
    }
    let caller = call.group_caller(&[Need::Manage], name)?;
    if let Some(list) = add {
        let added = call.channels.add_to_group(&caller, &group, &members(list)?).await;
        added.map_err(|error| if error.kind == ErrorKind::TooLarge { Refusal::GroupFull } else { error.into() })?;
    }
    if let Some(list) = remove {
        call.channels.remove_from_group(&caller, &group, &members(list)?).await?;
    }
    Ok(DONE.to_vec())
}

fn group(name: &str) -> Result<Group, Refusal> {
    if name.contains([',', '*']) {
        return Err(Refusal::ReservedCharacter);
    }
    Group::new(name).map_err(|_| Refusal::ReservedCharacter)
}

/// Names of channels; presence streams come along by themselves.
fn members(list: &str) -> Result<Vec<ChannelName>, Refusal> {
    let names = names(list, limits::GROUP_CHANGES)?;
    let channel = |name: &&str| convert::published_channel(name).map_err(|_| Refusal::ReservedCharacter);
    names.iter().map(channel).collect()
}

const DONE: &[u8] = b"{\"status\":200,\"message\":\"OK\",\"service\":\"channel-registry\",\"error\":false}";
const END: &[u8] = b"},\"service\":\"channel-registry\",\"error\":false}";

fn list_of_channels(group: &str, channels: &[ChannelName]) -> Vec<u8> {
    let mut out = b"{\"status\":200,\"payload\":{\"channels\":[".to_vec();
    json::joined(&mut out, channels, |out, name| json::string(out, &name.to_string()));
    out.extend_from_slice(b"],\"group\":");
    json::string(&mut out, group);
    out.extend_from_slice(END);
    out
}

fn list_of_groups(groups: &[Group]) -> Vec<u8> {
    let mut out = b"{\"status\":200,\"payload\":{\"namespace\":\"\",\"groups\":[".to_vec();
    json::joined(&mut out, groups, |out, group| json::string(out, group.as_str()));
    out.push(b']');
    out.extend_from_slice(END);
    out
}
