//! All scenarios by name; and those that are measured on the real program, a data set each.

use crate::{
    Setting,
    baselines::{self, BareServer},
    happens,
    program::{self, Program, figure},
    table::{Goal, Table},
};
use anyhow::{Context, Result, ensure};
use std::{
    future::Future,
    path::Path,
    pin::Pin,
    time::{Duration, Instant},
};

/// Data is settled when its size has not changed for this long.
const SETTLED_AFTER: Duration = Duration::from_secs(5);
const SETTLE_PATIENCE: Duration = Duration::from_secs(300);
const ASK_EVERY: Duration = Duration::from_millis(500);

type Scenario = for<'a> fn(&'a Setting, &'a mut Table) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// All of them, by name.
pub const ALL: [(&str, Scenario); 8] = [
    ("acknowledge", |setting, table| Box::pin(acknowledge(setting, table))),
    ("newest", |setting, table| Box::pin(newest(setting, table))),
    ("deep", |setting, table| Box::pin(deep(setting, table))),
    ("memory", |setting, table| Box::pin(memory(setting, table))),
    ("removed", |setting, table| Box::pin(happens::removed(setting, table))),
    ("retention", |setting, table| Box::pin(happens::retention(setting, table))),
    ("altered", |setting, table| Box::pin(happens::altered(setting, table))),
    ("patterns", |setting, table| Box::pin(happens::many_patterns(setting, table))),
];

/// One publisher, one message at a time, against the disk itself.
async fn acknowledge(setting: &Setting, table: &mut Table) -> Result<()> {
    let program = fresh(setting, "acknowledge").await?;
    let bare = baselines::overwrite_and_sync(&setting.folder)?.as_secs_f64() * 1e6;
    let report = program.bench("publish --connections 1 --channels 1 --payload 256")?;
    let ours = figure(&report, "publish", "p50_us")?;
    let details = format!("p50 {ours:.0} µs against {bare:.0} µs");
    table.add("one publisher over HTTP against overwrite and sync", Goal::AtMost(2.0), ours / bare, "×", details);
    program.kill()
}

/// The newest page of 100, with 1 % publishes, against the same bytes from memory.
async fn newest(setting: &Setting, table: &mut Table) -> Result<()> {
    let program = fresh(setting, "newest").await?;
    program.bench("fill --total 200000 --channels 1000 --even --batch 100 --payload 256")?;
    let mixed = program.bench("mixed --channels 1000 --payload 256 --limit 100 --publish-percent 1")?;
    let page = program.body("/v1/apps/demo/channels/bench-0/messages?limit=100").await?;
    let page_bytes = page.len();
    program.kill()?;
    let bare = BareServer::start(page.into()).await?;
    let report = program::bench(&setting.program, bare.address, "newest --channels 1000 --limit 100")?;
    let bare_rate = figure(&report, "newest", "requests_per_second")?;
    let rate = figure(&mixed, "newest", "requests_per_second")? + figure(&mixed, "publish", "requests_per_second")?;
    let (p50, p99) = (figure(&mixed, "newest", "p50_us")?, figure(&mixed, "newest", "p99_us")?);
    let details =
        format!("{rate:.0}/s against {bare_rate:.0}/s, pages of {page_bytes} bytes, p50 {p50:.0} µs, p99 {p99:.0} µs");
    table.add(
        "newest page of 100, 1 % publishes, against hyper alone",
        Goal::AtLeast(0.5),
        rate / bare_rate,
        "×",
        details,
    );
    Ok(())
}

/// Pages at random depth, bytes on disk, and a start after a kill: on the largest data set.
async fn deep(setting: &Setting, table: &mut Table) -> Result<()> {
    let data = setting.folder.join("deep");
    let messages = setting.messages;
    let program = fresh(setting, "deep").await?;
    let filled = program.bench(&format!("fill --total {messages} --channels 1000 --batch 100"))?;
    let fill_rate = figure(&filled, "publish", "messages_per_second")?;
    table.add("filling over HTTP, 100 messages a request", Goal::None, fill_rate, "messages/s", String::new());

    let newest = program.bench("newest --channels 1000 --limit 100")?;
    let deep = program.bench("deep --channels 1000 --limit 100")?;
    let rate = |report, operation| figure(report, operation, "requests_per_second");
    let (newest_rate, deep_rate) = (rate(&newest, "newest")?, rate(&deep, "deep")?);
    let (newest_bytes, deep_bytes) =
        (figure(&newest, "newest", "answer_bytes")?, figure(&deep, "deep", "answer_bytes")?);
    let details = format!("{deep_rate:.0}/s ({deep_bytes:.0} B) against {newest_rate:.0}/s ({newest_bytes:.0} B)");
    let what = format!("page at random depth of {messages} messages against newest page");
    table.add(what, Goal::AtLeast(0.4), deep_rate / newest_rate, "×", details);
    let p99 = figure(&deep, "deep", "p99_us")? / 1_000.0;
    table.add("page at random depth, 16 connections, p99", Goal::AtMost(5.0), p99, "ms", String::new());
    table.add("resident memory after that", Goal::None, program.resident_mib()?, "MiB", String::new());

    program.kill()?;
    let program = Program::start(&setting.program, &data).await?;
    let took = program.start_took.as_secs_f64();
    table.add(format!("start after a kill with {messages} messages"), Goal::AtMost(2.0), took, "s", String::new());
    let (history, ready) = settled(&data).await?;
    let payload_bytes = figure(&filled, "publish", "payload_bytes")?;
    let details = format!("{} MiB of history; preallocated log: {} MiB", history >> 20, ready >> 20);
    // A data set that never filled the tail is all in the log, and says nothing about blocks.
    let goal = if history >> 20 == 0 { Goal::None } else { Goal::AtMost(0.6) };
    table.add("disk bytes for each byte of payload, chat", goal, history as f64 / payload_bytes, "×", details);
    program.kill()
}

/// Resident memory with many channels of ten messages each, all just written.
async fn memory(setting: &Setting, table: &mut Table) -> Result<()> {
    for (share, most_mib) in [(100, 150.0), (10, 300.0)] {
        let channels = (setting.messages / share).max(1);
        let program = fresh(setting, &format!("memory-{share}")).await?;
        let total = channels * 10;
        program.bench(&format!("fill --total {total} --channels {channels} --even --batch 10"))?;
        let what = format!("resident memory, {channels} channels × 10 messages");
        table.add(what, Goal::AtMost(most_mib), program.resident_mib()?, "MiB", String::new());
        program.kill()?;
    }
    Ok(())
}

/// Starts the program on a new folder and waits until its files are laid out: a log is filled with zeros only once.
async fn fresh(setting: &Setting, name: &str) -> Result<Program> {
    let data = setting.folder.join(name);
    let program = Program::start(&setting.program, &data).await?;
    settled(&data).await?;
    Ok(program)
}

/// Waits until flushes and compactions have come to rest; bytes of history, and of what lies ready beside it.
async fn settled(data: &Path) -> Result<(u64, u64)> {
    let started = Instant::now();
    let (mut last, mut since) = (program::disk_bytes(data)?, Instant::now());
    while since.elapsed() < SETTLED_AFTER {
        ensure!(started.elapsed() < SETTLE_PATIENCE, "the data folder does not come to rest");
        tokio::time::sleep(ASK_EVERY).await;
        let now = program::disk_bytes(data).context("measuring the data folder")?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    Ok(last)
}
