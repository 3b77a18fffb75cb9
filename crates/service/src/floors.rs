//! Makes retention durable: walks the channels of the apps that forget, a bounded number a round, and moves their floors
//! to where reads end already. What a legal hold covers stays: the floor goes no further than to the message before it.

use crate::{holds::first_held, maintenance::Keeper, order::Aim, policies::AppPolicies, retention::Retention};
use model::{AppId, ChannelEntry, ChannelName, Id, Position, Result, Span, Store, TICKS_PER_SECOND};

/// So often a walk begins: reads do not wait for it.
const WALK_EVERY: u64 = 10 * TICKS_PER_SECOND;

/// How far the walk has come.
#[derive(Default)]
pub(crate) struct Floors {
    /// The apps that are left, the next one last, and the channel after which to go on in it.
    apps: Vec<AppId>,
    after: Option<ChannelName>,
    /// The monotonic time at which the walk began.
    began: Option<u64>,
}

impl Floors {
    /// Looks at the next channels; whether there are more. Without trusted time, floors by age stay where they are.
    pub fn step(&mut self, keeper: &Keeper, trusted: Option<u64>, at_once: bool) -> Result<bool> {
        if self.apps.is_empty() {
            let now = keeper.clock.monotonic_ticks();
            if !at_once && self.began.is_some_and(|began| now.saturating_sub(began) < WALK_EVERY) {
                return Ok(false);
            }
            self.began = Some(now);
            self.apps = keeper.live.policies.apps();
            self.apps.reverse();
            self.after = None;
        }
        let mut left = keeper.settings.floor_channels.max(1);
        while left > 0
            && let Some(app) = self.apps.last().cloned()
        {
            let policies = keeper.live.policies.of(&app);
            let listed = match policies.forgets() {
                true => keeper.store.channels(&app, "", self.after.as_ref(), left)?,
                false => Vec::new(),
            };
            let complete = listed.len() < left as usize;
            left -= listed.len() as u32;
            self.after = listed.last().map(|entry| entry.channel.name.clone());
            move_floors(keeper, &policies, listed, trusted)?;
            if complete {
                self.apps.pop();
                self.after = None;
            }
        }
        Ok(!self.apps.is_empty())
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
