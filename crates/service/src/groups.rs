//! Groups: named sets of channels of an app, one record each member (`group` ‖ 0 ‖ `channel`). Who follows a group
//! follows its channels, and its changes.

use crate::{Caller, Channels, Rights, channels::Shared, order::Order};
use bytes::Bytes;
use model::{AppId, Change, ChannelName, Error, ErrorKind, Id, RecordChange, RecordKey, RecordKind, Result, limits};
use std::{collections::BTreeSet, fmt, sync::Arc};

/// The name of a group of channels.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(Arc<str>);

impl Group {
    /// A name of 1 to [`limits::GROUP_NAME_BYTES`] bytes without NUL.
    pub fn new(text: &str) -> Result<Group> {
        if text.is_empty() || text.len() > limits::GROUP_NAME_BYTES || text.contains('\0') {
            return Err(Error::invalid(format!("group: 1 to {} bytes without NUL", limits::GROUP_NAME_BYTES)));
        }
        Ok(Group(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl Channels {
    /// Adds channels with names in the clear to a group; those that belong to it are passed over. Needs
    /// [`Rights::MANAGE`] on the group: who manages a group decides what those see who may read it. All or, when it
    /// would hold more than [`crate::Settings::group_channels`], none.
    pub async fn add_to_group(&self, caller: &Caller, group: &Group, channels: &[ChannelName]) -> Result<()> {
        let most = self.shared.settings.group_channels;
        let asked: BTreeSet<ChannelName> = channels.iter().cloned().collect();
        let new = move |members: BTreeSet<ChannelName>| {
            let new: Vec<ChannelName> = asked.difference(&members).cloned().collect();
            if members.len() + new.len() > most {
                return Err(Error::new(ErrorKind::TooLarge, format!("group: it holds at most {most} channels")));
            }
            Ok(new)
        };
        self.change_group(caller, group, Some(Bytes::new()), new).await
    }

    /// Takes channels out of a group; those that do not belong to it are passed over. Needs [`Rights::MANAGE`] on it.
    pub async fn remove_from_group(&self, caller: &Caller, group: &Group, channels: &[ChannelName]) -> Result<()> {
        let asked: BTreeSet<ChannelName> = channels.iter().cloned().collect();
        self.change_group(caller, group, None, move |members| Ok(members.intersection(&asked).cloned().collect())).await
    }

    /// Takes all channels out of a group, which is then not there any more. Needs [`Rights::MANAGE`] on it.
    pub async fn delete_group(&self, caller: &Caller, group: &Group) -> Result<()> {
        self.change_group(caller, group, None, |members| Ok(members.into_iter().collect())).await
    }

    /// The channels of a group by name. Needs [`Rights::READ`] or [`Rights::MANAGE`] on it.
    pub async fn group(&self, caller: &Caller, group: &Group) -> Result<Vec<ChannelName>> {
        self.demand_group(caller, group, Rights::READ).or_else(|_| self.demand_group(caller, group, Rights::MANAGE))?;
        Ok(self.shared.members_of(&caller.app, group).await?.into_iter().collect())
    }

    /// The groups of the caller's app by name, those after `after`, of `limit` the ones that the caller may read or
    /// manage; and where to go on.
    pub async fn list_groups(
        &self,
        caller: &Caller,
        after: Option<&Group>,
        limit: u32,
    ) -> Result<(Vec<Group>, Option<Group>)> {
        self.shared.admit(caller, &caller.app)?;
        self.shared.check_limit(limit)?;
        let (app, mut after) = (caller.app.clone(), after.cloned());
        let listing = self.shared.reads.run(move |store| {
            let mut groups = Vec::new();
            while groups.len() < limit as usize {
                // Above all members of the last group: their names have a 0 where this has a 1.
                let last = after.as_ref().map(|group| [group.as_str().as_bytes(), &[1]].concat());
                let next = store.records(&app, RecordKind::GroupMember, b"", last.as_deref(), 1)?;
                let Some((group, _)) = next.first().and_then(|record| parse(&record.key)) else { break };
                groups.push(group.clone());
                after = Some(group);
            }
            Ok(groups)
        });
        let listed = listing.await?;
        let next = listed.last().filter(|_| listed.len() == limit as usize).cloned();
        let access = &caller.access;
        let may_know =
            |group: &Group| access.allows_group(group, Rights::READ) || access.allows_group(group, Rights::MANAGE);
        Ok((listed.into_iter().filter(may_know).collect(), next))
    }

    fn demand_group(&self, caller: &Caller, group: &Group, rights: Rights) -> Result<()> {
        self.shared.admit(caller, &caller.app)?;
        caller.access.demand_group(group, rights)
    }

    /// Sets, or with no value deletes, what `choose` takes out of the members or adds to them. One change of groups at a
    /// time, and it goes on to its end when its caller goes away: so whoever holds the lock to read finds every change
    /// that the store shows in the ring.
    async fn change_group(
        &self,
        caller: &Caller,
        group: &Group,
        value: Option<Bytes>,
        choose: impl FnOnce(BTreeSet<ChannelName>) -> Result<Vec<ChannelName>> + Send + 'static,
    ) -> Result<()> {
        self.demand_group(caller, group, Rights::MANAGE)?;
        let (shared, app, group) = (self.shared.clone(), caller.app.clone(), group.clone());
        let change = tokio::spawn(async move {
            let _changing = shared.groups.write().await;
            let names = choose(shared.members_of(&app, &group).await?)?;
            let order = |name: &ChannelName| shared.member_order(&app, &group, name, value.clone());
            let orders = names.iter().map(order).collect::<Result<Vec<Order>>>()?;
            shared.submit(orders).await.into_iter().try_for_each(|outcome| outcome.map(drop))
        });
        change.await.map_err(Error::internal)?
    }
}

impl Shared {
    /// The channels of a group: one look, so all of one moment.
    pub(crate) async fn members_of(&self, app: &AppId, group: &Group) -> Result<BTreeSet<ChannelName>> {
        let (app, most) = (app.clone(), self.settings.group_channels as u32);
        let prefix = [group.as_str().as_bytes(), &[0]].concat();
        let records =
            self.reads.run(move |store| store.records(&app, RecordKind::GroupMember, &prefix, None, most)).await?;
        Ok(records.iter().filter_map(|record| parse(&record.key)).map(|(_, name)| name).collect())
    }

    fn member_order(&self, app: &AppId, group: &Group, name: &ChannelName, value: Option<Bytes>) -> Result<Order> {
        let key = member_key(app, group, name)?;
        let place = self.live.hasher.record(&key);
        let change = Arc::new(Change::Record(RecordChange { id: Id::MIN, key, value }));
        Ok(Order::new(change, place))
    }
}

/// The group and the channel that a record of this kind is about.
pub(crate) fn parse(key: &RecordKey) -> Option<(Group, ChannelName)> {
    let at = key.name.iter().position(|byte| *byte == 0).filter(|_| key.kind == RecordKind::GroupMember)?;
    let group = std::str::from_utf8(&key.name[..at]).ok().and_then(|text| Group::new(text).ok())?;
    let name = std::str::from_utf8(&key.name[at + 1..]).ok().and_then(|text| ChannelName::named(text).ok())?;
    Some((group, name))
}

fn member_key(app: &AppId, group: &Group, name: &ChannelName) -> Result<RecordKey> {
    let Some(text) = name.as_named() else {
        return Err(Error::invalid("group: only channels with a name in the clear belong to groups"));
    };
    let name = [group.as_str().as_bytes(), &[0], text.as_bytes()].concat();
    Ok(RecordKey { app: app.clone(), kind: RecordKind::GroupMember, name: name.into() })
}
