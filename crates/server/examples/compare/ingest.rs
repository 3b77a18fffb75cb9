//! Ingest inside this process: 64 publishers on `service::Channels` over the real store, against rows in fjall.

use crate::{
    Setting, baselines,
    inside::{self, Load, PUBLISHERS},
    table::{Goal, Table},
};
use anyhow::{Context, Result};
use store::StoreStatus;

/// Channels, and the share of fjall's speed that is to be reached.
const RUNS: [(u64, f64); 3] = [(1_000, 1.5), (100_000, 0.8), (1_000_000, 0.4)];

/// Adds the rows of all runs.
pub async fn measure(setting: &Setting, table: &mut Table) -> Result<()> {
    let payloads = inside::payloads();
    for (channels, ratio) in RUNS {
        eprintln!("measuring: ingest over {channels} channels");
        let messages = (setting.messages * 3 / 10).max(PUBLISHERS);
        let folder = setting.folder.join(format!("ingest-{channels}"));
        let load = Load { channels, messages, altered: None };
        let settings = service::Settings::default();
        let ours = inside::publish_all(&folder.join("scrollback"), settings, load, &payloads).await?;
        let batch = (ours.messages / ours.store.batches.max(1)).max(1);
        let order = inside::random_channels(channels, messages);
        let rows = folder.join("fjall");
        let fjall = baselines::fjall_rows(&rows, &order, &payloads, messages, batch)?;
        let rate = ours.rate();
        let over = format!("{channels} channels");
        let details = format!("{rate:.0}/s against {fjall:.0}/s in fjall, batches of {batch}");
        table.add(format!("ingest over {over} against fjall"), Goal::AtLeast(ratio), rate / fjall, "×", details);
        let ms = |quantile| ours.latencies.value_at_quantile(quantile) as f64 / 1_000.0;
        let details = format!("p50 {:.2} ms, p99 {:.2} ms", ms(0.5), ms(0.99));
        table.add(format!("acknowledgement, {over}, p99.9"), Goal::AtMost(5.0), ms(0.999), "ms", details);
        let slowest = ours.latencies.max() as f64 / 1_000.0;
        table.add(format!("acknowledgement, {over}, slowest"), Goal::AtMost(50.0), slowest, "ms", String::new());
        add_flushes(table, &over, &ours.store);
        std::fs::remove_dir_all(&folder).context("removing what was measured")?;
    }
    Ok(())
}

/// The flushes inside a run: figures without any would be those of the log alone.
fn add_flushes(table: &mut Table, over: &str, store: &StoreStatus) {
    let details = format!("the longest took {} ms; {} stalls", store.flush_micros_max / 1_000, store.stalls);
    table.add(format!("flushes, {over}"), Goal::AtLeast(5.0), store.flushes as f64, "", details);
    if store.flushed_bytes > 0 {
        let (written, flushed) = (store.written_bytes, store.flushed_bytes);
        let details = format!("{} MiB of rows for {} MiB of batches", written >> 20, flushed >> 20);
        let what = format!("write amplification above the engine, {over}");
        table.add(what, Goal::AtMost(3.0), written as f64 / flushed as f64, "×", details);
    }
}
