//! Measures selections on the real store, on files: pages at offsets, counts, and what the lists cost while messages come
//! in. Prints one markdown table; `docs/performance.md` shows it and tells the command.
//!
//! A quarter of the messages is by one author over 1,000 channels, one to one recipient from 10,000 users, one from one user
//! to another, and one in one channel by 10,000 users. Of each quarter 5 % are deleted and 5 % expired. They lie 60 days wide.

mod data;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use data::Data;
use hdrhistogram::Histogram;
use model::{ChannelName, Id, Order, Selection, SelectionWindow, Selector, ShardId, Span, Store};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use store::KeptStore;
use store_disk::{DiskSettings, FolderLock};

/// Measures selections and prints one markdown table.
#[derive(Parser)]
struct Arguments {
    /// Messages in all.
    #[arg(long, default_value_t = 2_000_000)]
    messages: u64,
    /// How often each question is asked.
    #[arg(long, default_value_t = 1_000)]
    rounds: u64,
    /// Where the data lies; on the disk to be measured. A folder is made in it and removed again.
    #[arg(long)]
    folder: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.messages >= 1_000, "at least 1,000 messages are needed");
    let parent = arguments.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::Builder::new().prefix("selections-").tempdir_in(&parent).context("making a folder")?;
    println!("| what | goal | measured | reached | made of |\n|---|---|---|---|---|");
    let listed = ingest(&folder.path().join("plain"), &folder.path().join("listed"), arguments.messages)?;
    ask(&*listed.store, &arguments)?;
    Ok(())
}

/// Fills a store without lists and one with them, and compares the times; the latter, with everything worked in.
fn ingest(plain: &Path, listed: &Path, messages: u64) -> Result<Opened> {
    let started = Instant::now();
    Data::new(messages).each_batch(|_| Ok(()))?;
    let making = started.elapsed();
    let plain_took = fill(&Opened::new(plain, false)?, messages)?.saturating_sub(making);
    std::fs::remove_dir_all(plain).context("removing what was measured")?;
    let opened = Opened::new(listed, true)?;
    let listed_took = fill(&opened, messages)?.saturating_sub(making);
    let rate = |took: Duration| messages as f64 / took.as_secs_f64();
    let details = format!("{:.0}/s against {:.0}/s, flushes included", rate(listed_took), rate(plain_took));
    row("ingest with lists against without", (true, 0.6), rate(listed_took) / rate(plain_took), "×", &details);
    let started = Instant::now();
    Data::removals(&*opened.store, messages)?;
    opened.store.flush()?;
    let flushed = started.elapsed();
    while opened.store.sweep(Duration::from_secs(1))? {}
    let details = format!("{} ms until it was flushed", flushed.as_millis());
    let took = started.elapsed().as_secs_f64();
    row("working in removals of a tenth", (false, f64::INFINITY), took, "s", &details);
    Ok(opened)
}

/// Applies everything, and flushes the rest.
fn fill(opened: &Opened, messages: u64) -> Result<Duration> {
    let started = Instant::now();
    Data::new(messages).each_batch(|batch| {
        Ok(opened.store.apply(&batch).map_err(|error| model::Error::internal(error.to_string()))?)
    })?;
    opened.store.flush()?;
    Ok(started.elapsed())
}

fn ask(store: &dyn Store, arguments: &Arguments) -> Result<()> {
    let deep = arguments.messages / 4 * 8 / 10;
    // A day after the last message.
    let now = Id::new(testkit::FIRST_TICK + (data::DAYS + 1) * data::DAY, 0);
    for (name, selector) in selectors() {
        let selection = Selection::new([selector])?;
        let page = |offset| {
            let window = SelectionWindow { span: Span::ALL, order: Order::Ascending, offset, limit: 100, now };
            timed(arguments.rounds, || {
                let page = store.select(&data::app(), &selection, &window)?;
                ensure!(page.messages.len() == 100, "a page of {} messages", page.messages.len());
                Ok(())
            })
        };
        let (shallow, deep_page) = (page(0)?, page(deep)?);
        let us = |histogram: &Histogram<u64>, quantile| histogram.value_at_quantile(quantile) as f64;
        let details = format!(
            "p99 {:.0} µs against {:.0} µs, p50 {:.0} µs against {:.0} µs",
            us(&deep_page, 0.99),
            us(&shallow, 0.99),
            us(&deep_page, 0.5),
            us(&shallow, 0.5)
        );
        let what = format!("{name}: page of 100 at offset {deep} against offset 0, p99");
        row(&what, (false, 3.0), us(&deep_page, 0.99) / us(&shallow, 0.99), "×", &details);
        let mut counted = 0;
        let counts = timed(arguments.rounds, || {
            counted = store.count_selected(&data::app(), &selection, data::month(), now)?;
            Ok(())
        })?;
        let details = format!("{counted} messages, p50 {:.0} µs", us(&counts, 0.5));
        row(&format!("{name}: count over a month, p99"), (false, 5.0), us(&counts, 0.99) / 1_000.0, "ms", &details);
    }
    Ok(())
}

/// Who and what has a quarter of the messages.
fn selectors() -> [(&'static str, Selector); 4] {
    let chat = |user: &str| format!("{}{user}", data::CHATS).into();
    [
        ("author", Selector::Author(data::AUTHOR.into())),
        ("recipient", Selector::Recipient(chat(data::RECIPIENT))),
        ("pair", Selector::Pair { author: chat(data::FROM), recipient: chat(data::TO) }),
        ("channel", Selector::Channel(ChannelName::Named(data::CHANNEL.into()))),
    ]
}

fn timed(rounds: u64, mut work: impl FnMut() -> Result<()>) -> Result<Histogram<u64>> {
    let mut latencies = Histogram::new_with_bounds(1, 60_000_000, 3).context("bounds of a histogram")?;
    for _ in 0..rounds {
        let started = Instant::now();
        work()?;
        latencies.saturating_record(started.elapsed().as_micros().max(1) as u64);
    }
    Ok(latencies)
}

/// A figure beside its goal: at least (true) or at most this; no goal when it is infinite.
fn row(what: &str, (at_least, bound): (bool, f64), measured: f64, unit: &str, details: &str) {
    let is_reached = if at_least { measured >= bound } else { measured <= bound };
    let (goal, reached) = match bound.is_finite() {
        true => (format!("{} {bound} {unit}", if at_least { "≥" } else { "≤" }), if is_reached { "yes" } else { "no" }),
        false => ("–".to_owned(), "–"),
    };
    println!("| {what} | {goal} | {measured:.2} {unit} | {reached} | {details} |");
}

/// The store on files.
struct Opened {
    store: Arc<KeptStore>,
    _lock: FolderLock,
}

impl Opened {
    fn new(folder: &Path, listed: bool) -> Result<Opened> {
        let (log, table, lock) = store_disk::open(folder, &DiskSettings::default()).context("opening the devices")?;
        let apps = if listed { BTreeSet::from([data::app()]) } else { BTreeSet::new() };
        let settings = store::Settings { indexed_apps: Some(apps), ..store::Settings::default() };
        let store = KeptStore::open(Box::new(log), Arc::new(table), settings).context("opening the store")?;
        store.settle(ShardId::default(), 1)?;
        Ok(Opened { store: Arc::new(store), _lock: lock })
    }
}
