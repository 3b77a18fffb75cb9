//! Erasure: no byte of the removed messages of some channels stays on the device, nor of edits and reactions that were taken
//! back, nor of records that were replaced. Blocks are written anew, the rows of edits and reactions and the channels'
//! change feeds go, the touched spaces are compacted once no older view needs them, and the log that held it all is
//! written to a fresh place and overwritten.

use crate::{
    channels::Named,
    device::Space,
    kept_store::Shared,
    keys,
    lists::upkeep,
    settings::{ERASE_POLL, ERASE_WAIT},
    sweep::{self, Sweeper},
};
use model::{Channel, Effort, Error, Result};
use std::{collections::BTreeSet, time::Instant};

/// See [`model::Store::erase`]; everything that was applied before is in the table.
pub(crate) fn erase(shared: &Shared, channels: &[Channel]) -> Result<()> {
    let spaces = rewrite(shared, channels)?;
    // The second time for what only snapshots before the first one's end could need.
    for _ in 0..2 {
        wait_for(shared, "older views are still being read", || !shared.views.has_older_snapshots())?;
        let _writer = shared.table_writer();
        for space in &spaces {
            shared.table.compact(*space)?;
        }
        let snapshot = shared.table.snapshot()?;
        shared.views.update(|view| view.snapshot = snapshot);
    }
    shared.committer().renew_log(&shared.views)?;
    wait_for(shared, "the log is still being overwritten", || shared.committer().is_log_scrubbed())
}

/// Rewrites what the channels have; the spaces that hold the old bytes.
fn rewrite(shared: &Shared, channels: &[Channel]) -> Result<BTreeSet<Space>> {
    let _writer = shared.table_writer();
    let view = shared.view()?;
    if !sweep::is_between_flushes(shared, &view) {
        return Err(sweep::flush_first());
    }
    let mut spaces = BTreeSet::from([Space::Records]);
    let mut numbers = BTreeSet::new();
    for channel in channels {
        if let Named::Number(number) = view.number_of(channel, &shared.names, Effort::Disk)? {
            numbers.insert(number);
        }
    }
    upkeep::take_all_out(shared, &numbers)?;
    let view = shared.view()?;
    if !view.lists.apps.is_empty() {
        spaces.insert(Space::Lists);
    }
    let mut sweeper = Sweeper::new(shared, &view, None);
    for number in numbers {
        sweeper.channel(number, sweep::everything(&view, number)?, true)?;
        spaces.extend([keys::blocks_of(number), Space::Edits, Space::Reactions]);
    }
    spaces.extend(sweeper.thinned());
    sweeper.finish()?;
    Ok(spaces)
}

fn wait_for(shared: &Shared, why: &str, done: impl Fn() -> bool) -> Result<()> {
    let until = Instant::now() + ERASE_WAIT;
    while !done() {
        if Instant::now() >= until || shared.views.wait_until(Some(ERASE_POLL), |state, _| state.stopping) {
            return Err(Error::unavailable(format!("not everything is erased yet: {why}")));
        }
    }
    Ok(())
}
