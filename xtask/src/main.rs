//! Everything that a person or CI runs on the workspace, in one place: `cargo xtask test | ci | tidy | interop |
//! soak | cuts | simulate | fuzz | bench`.
//!
//! What a step checks stands in its own module; the order of the steps, and what makes a run fail, stands here.

mod fuzz;
mod interop;
mod steps;
mod tidy;

use anyhow::{Context, Result, bail};
use cargo_metadata::MetadataCommand;
use clap::{Parser, Subcommand};
use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};
use steps::Steps;

/// Runs the checks and measurements of the workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Every test: tidiness, the tests of all crates, and the vendors' own clients.
    Test,
    /// What CI runs: format, lints and documentation with warnings as errors, and every test.
    Ci,
    /// Only the rules that no compiler or lint can hold.
    Tidy,
    /// Only the vendors' own clients, against the program (needs Node and Python).
    Interop,
    /// Only the subscriber loop across a `kill -9`, for longer than among the tests.
    Soak {
        /// How long it publishes.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Only the power cuts of the real program, between any two calls that it makes instead of a sample.
    Cuts,
    /// Only the simulation of the service, with more seeds than among the tests, or with one that failed.
    Simulate {
        /// How many seeds.
        #[arg(long, default_value_t = 1_000)]
        seeds: u64,
        /// The first of them.
        #[arg(long, default_value_t = 1)]
        from: u64,
        /// This one alone; if it fails, it is made smaller.
        #[arg(long, conflicts_with_all = ["seeds", "from"])]
        seed: Option<u64>,
    },
    /// The fuzz targets of `fuzz/`, each for a bounded time (needs a C++ compiler).
    Fuzz {
        /// How long each of them runs.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// Which of them; all if none is named.
        targets: Vec<String>,
    },
    /// The measurements of docs/performance.md, on release builds, in one run.
    Bench {
        /// Handed on, for example `--messages 100000`; see `cargo xtask bench -- --help`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    let root = workspace_root();
    let mut steps = Steps::new(std::env::var_os("CI").is_some_and(|value| value == "true"));
    match task {
        Task::Test => test(&mut steps, &root)?,
        Task::Ci => {
            steps.command("format", cargo(&root, &["fmt", "--all", "--check"]))?;
            let clippy = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
            steps.command("lints", cargo(&root, &clippy))?;
            let mut documentation = cargo(&root, &["doc", "--locked", "--no-deps", "--workspace", "--quiet"]);
            documentation.env("RUSTDOCFLAGS", "-D warnings");
            steps.command("documentation", documentation)?;
            test(&mut steps, &root)?;
        }
        Task::Tidy => tidy_step(&mut steps, &root)?,
        Task::Interop => interop::run(&mut steps, &root)?,
        Task::Soak { seconds } => soak(&mut steps, &root, seconds)?,
        Task::Cuts => cuts(&mut steps, &root)?,
        Task::Simulate { seeds, from, seed } => {
            let (seeds, from) = seed.map_or((seeds, from), |seed| (1, seed));
            simulate(&mut steps, &root, seeds, from)?;
        }
        Task::Fuzz { seconds, targets } => return fuzz::run(&root, seconds, &targets),
        Task::Bench { arguments } => return bench(&root, &arguments),
    }
    steps.finish()
}

fn test(steps: &mut Steps, root: &Path) -> Result<()> {
    tidy_step(steps, root)?;
    steps.tests("tests", cargo(root, &["test", "--locked", "--workspace", "--no-fail-fast"]))?;
    interop::run(steps, root)
}

fn tidy_step(steps: &mut Steps, root: &Path) -> Result<()> {
    steps.check("tidy", || tidy::check(root))
}

/// How long the soak publishes, for the test that it is.
const SOAK_VARIABLE: &str = "SCROLLBACK_SOAK_SECONDS";

fn soak(steps: &mut Steps, root: &Path, seconds: u32) -> Result<()> {
    let test = "pubnub::every_acknowledged_message_is_heard_once_and_in_order";
    let mut command =
        cargo(root, &["test", "--locked", "-p", "server", "--test", "program", test, "--", "--nocapture"]);
    command.env(SOAK_VARIABLE, seconds.to_string());
    steps.tests("soak", command)
}

fn cuts(steps: &mut Steps, root: &Path) -> Result<()> {
    let mut command = cargo(root, &["test", "--locked", "-p", "server", "--test", "worst_day", "power::"]);
    command.env("SCROLLBACK_CUTS", "all");
    steps.tests("power cuts", command)
}

/// Which seeds the simulation takes, for the test that it is.
const SEEDS_VARIABLE: &str = "SCROLLBACK_SIMULATION_SEEDS";
const FROM_VARIABLE: &str = "SCROLLBACK_SIMULATION_FROM";

fn simulate(steps: &mut Steps, root: &Path, seeds: u64, from: u64) -> Result<()> {
    let test = "runs_of_many_seeds_tell_everybody_the_truth";
    let mut command =
        cargo(root, &["test", "--locked", "-p", "service", "--test", "simulation", test, "--", "--nocapture"]);
    command.env(SEEDS_VARIABLE, seeds.to_string()).env(FROM_VARIABLE, from.to_string());
    steps.tests("simulation", command)
}

fn bench(root: &Path, arguments: &[String]) -> Result<()> {
    let build = cargo(root, &["build", "--locked", "--release", "-p", "server", "--bins", "--examples"]).status();
    if !build.context("starting cargo")?.success() {
        bail!("the release build failed");
    }
    let metadata = MetadataCommand::new().current_dir(root).no_deps().exec().context("asking cargo for its folders")?;
    let release = metadata.target_directory.join("release");
    let measured = Command::new(release.join("examples/compare"))
        .arg("--program")
        .arg(release.join("scrollback"))
        .args(arguments)
        .status()
        .context("starting the measurements")?;
    if !measured.success() {
        bail!("the measurements failed");
    }
    Ok(())
}

fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).args(arguments);
    command
}

fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}
