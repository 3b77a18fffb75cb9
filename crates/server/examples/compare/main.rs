//! Measures Scrollback against the plainest things that could do the same work, on the same disk, in one run, and
//! prints one markdown table: what docs/performance.md shows. `cargo xtask bench` builds and starts it.
//!
//! What a client sees is measured by `scrollback bench` on the real program; what the parts inside cost, in this process.

mod baselines;
mod happens;
mod ingest;
mod inside;
mod patterns;
mod program;
mod scenarios;
mod table;

use anyhow::{Context, Result};
use clap::Parser;
use std::path::PathBuf;
use table::Table;

/// The program's own, for both sides of the comparison.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the program against bare loops and prints one markdown table.
#[derive(Parser)]
struct Arguments {
    /// The release build of `scrollback`.
    #[arg(long)]
    program: PathBuf,
    /// Where the data of the measurements lies; on the disk to be measured. A folder is made in it and removed again.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Messages in the largest data set; the others shrink with it.
    #[arg(long, default_value_t = 10_000_000)]
    messages: u64,
    /// Only the groups with one of these names: ingest, acknowledge, newest, deep, memory, removed, retention, altered,
    /// patterns.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

/// Where and how much.
struct Setting {
    program: PathBuf,
    folder: PathBuf,
    messages: u64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let parent = match &arguments.folder {
        Some(folder) => folder.clone(),
        None => arguments.program.parent().context("--program: a path of a file")?.to_owned(),
    };
    let folder = tempfile::Builder::new().prefix("compare-").tempdir_in(&parent).context("making a folder for data")?;
    let setting =
        Setting { program: arguments.program, folder: folder.path().to_owned(), messages: arguments.messages };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the reactor")?;
    let wanted = |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == name);
    let mut table = Table::default();
    if wanted("ingest") {
        runtime.block_on(ingest::measure(&setting, &mut table))?;
    }
    for (name, scenario) in scenarios::ALL {
        if wanted(name) {
            eprintln!("measuring: {name}");
            runtime.block_on(scenario(&setting, &mut table)).with_context(|| format!("measuring {name}"))?;
        }
    }
    print!("{table}");
    Ok(())
}
