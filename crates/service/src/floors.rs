//! Makes retention durable: walks the channels of the apps that forget, a bounded number a round, and moves their floors
//! to where reads end already. What a legal hold covers stays: the floor goes no further than to the message before it.

use crate::{
    holds::first_held, maintenance::Keeper, order::Aim, policies::AppPolicies, retention::Retention, walk::Walk,
};
use model::{ChannelEntry, ChannelName, Id, Position, Result, Span, Store};
use std::time::Duration;

/// So often a walk begins: reads do not wait for it.
const WALK_EVERY: Duration = Duration::from_secs(10);

/// How far the walk has come.
pub(crate) struct Floors(Walk<ChannelName>);

impl Default for Floors {
    fn default() -> Floors {
        Floors(Walk::new(WALK_EVERY))
    }
}

impl Floors {
    /// Looks at the next channels; whether there are more. Without trusted time, floors by age stay where they are.
    pub fn step(&mut self, keeper: &Keeper, trusted: Option<u64>, at_once: bool) -> Result<bool> {
        self.0.step(keeper, at_once, keeper.settings.floor_channels, |app, after, limit| {
            let policies = keeper.live.policies.of(app);
            if !policies.forgets() {
                return Ok(Vec::new());
            }
            let listed = keeper.store.all_channels(app, after, limit)?;
            let names = listed.iter().map(|entry| entry.channel.name.clone()).collect();
            move_floors(keeper, &policies, listed, trusted)?;
            Ok(names)
        })
    }
}

fn move_floors(
    keeper: &Keeper,
    policies: &AppPolicies,
    entries: Vec<ChannelEntry>,
    trusted: Option<u64>,
) -> Result<()> {
    let mut orders = Vec::new();
    for entry in entries {
        let retention = policies.retention(&entry.channel.name);
        let retention = Retention { age: retention.age.filter(|_| trusted.is_some()), ..retention };
        let floor = floor(&*keeper.store, policies, &entry, retention, trusted.unwrap_or_default())?;
        if floor.seq > entry.head.floor.seq {
            orders.push(keeper.removal(&entry.channel, Aim::Floor(floor)));
        }
    }
    keeper.submit(orders).into_iter().try_for_each(|outcome| outcome.map(drop))
}

/// Where a channel's floor goes, short of what is held.
fn floor(
    store: &dyn Store,
    policies: &AppPolicies,
    entry: &ChannelEntry,
    retention: Retention,
    trusted: u64,
) -> Result<Position> {
    let (channel, head) = (&entry.channel, entry.head);
    let floor = retention.floor(store, channel, head, trusted)?;
    if floor.seq <= head.floor.seq || policies.holds.is_empty() {
        return Ok(floor);
    }
    match first_held(store, policies, channel, Span { after: head.floor.id, upto: floor.id })? {
        Some((_, held)) => store.floor_for(channel, 0, Id::previous(held)),
        None => Ok(floor),
    }
}
