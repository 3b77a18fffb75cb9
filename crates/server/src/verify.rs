//! `scrollback verify`: reads a data folder through and tells what is wrong with it.

use crate::{
    cli::VerifyArguments,
    storage::{Storage, StorageOptions},
};
use anyhow::{Context, bail, ensure};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use std::{fmt::Display, path::Path, time::Duration};
use store::Progress;

/// Verifies a data folder; what is wrong is on standard output, and makes an error.
pub fn run(arguments: &VerifyArguments) -> anyhow::Result<()> {
    let data = &arguments.data;
    ensure!(data.is_dir(), "there is no data folder {}", data.display());
    let bar = progress_bar("{spinner} {binary_bytes} of tables, {elapsed}");
    let damaged = store_disk::verify_tables(data, &mut |bytes| bar.inc(bytes)).context("reading the lists of tables");
    bar.finish_and_clear();
    tell(data, &damaged?)?;
    let storage = Storage::open(data, StorageOptions::default(), None).context("opening the data folder")?;
    let store = storage.kept();
    storage.settle().context("reading the log")?;
    // What is only in the log yet becomes blocks first, so that it is read and checked like the rest.
    store.flush().context("moving the log into the tables")?;
    let bar = progress_bar("{spinner} {pos} messages, {msg}, {elapsed}");
    let mut last = Progress::default();
    let findings = store.verify(&mut |progress| {
        last = progress;
        bar.set_position(progress.messages);
        bar.set_message(HumanBytes(progress.bytes).to_string());
    });
    bar.finish_and_clear();
    tell(data, &findings.context("reading the tables")?)?;
    let (messages, rows) = (HumanCount(last.messages), HumanCount(last.rows));
    println!("{}: {messages} messages in {rows} rows, nothing is wrong", data.display());
    Ok(())
}

/// Says what is wrong; an error if anything is.
fn tell(data: &Path, findings: &[impl Display]) -> anyhow::Result<()> {
    findings.iter().for_each(|finding| println!("{finding}"));
    match findings.len() {
        0 => Ok(()),
        1 => bail!("one thing is wrong with {}", data.display()),
        count => bail!("{count} things are wrong with {}", data.display()),
    }
}

/// How much there is to read is not known before it was read, so the bar tells how much was.
fn progress_bar(template: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
