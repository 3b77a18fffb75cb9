//! Fills a data folder as a server leaves it: everything in lists, what was removed taken out of them.

use crate::data::{self, Data};
use anyhow::{Context, Result};
use model::{ShardId, Store};
use std::{
    collections::BTreeSet,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use store::KeptStore;
use store_disk::DiskSettings;

pub fn fill(folder: &Path, messages: u64) -> Result<()> {
    let started = Instant::now();
    let (log, table, _lock) = store_disk::open(folder, &DiskSettings::default()).context("opening the devices")?;
    let settings = store::Settings { indexed_apps: Some(BTreeSet::from([data::app()])), ..store::Settings::default() };
    let store = KeptStore::open(Box::new(log), Arc::new(table), settings).context("opening the store")?;
    let settled = store.settle(ShardId::default(), 1)?;
    anyhow::ensure!(settled.last_batch == 0, "{} is not empty", folder.display());
    Data::new(messages)
        .each_batch(|batch| Ok(store.apply(&batch).map_err(|error| model::Error::internal(error.to_string()))?))?;
    Data::removals(&store, messages)?;
    store.flush()?;
    while store.sweep(Duration::from_secs(1))? {}
    println!("{messages} messages after {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}
