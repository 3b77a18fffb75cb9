//! The program `scrollback`: reads the configuration, puts the parts together, starts and stops them. It decides
//! nothing about messages; that is the work of `service`.

mod access;
mod backup;
mod bench;
mod cli;
mod clock;
mod config;
mod control;
mod describe;
#[doc(hidden)]
pub mod fuzzing;
mod logging;
mod numbers;
mod progress;
mod searching;
mod serve;
mod storage;
mod transfer;
mod verify;

use clap::Parser;
use cli::{Cli, Command, ConfigArguments};
use config::{Checked, Overrides};
use std::process::ExitCode;

/// Does what the command line says; what it says on standard output and error is for people.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Check(arguments) => check(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Backup(arguments) => backup::run(&arguments),
        Command::Restore(arguments) => backup::restore(&arguments),
        Command::Export(arguments) => transfer::export(&arguments),
        Command::Import(arguments) => transfer::import(&arguments),
        Command::Bench(arguments) => bench(arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scrollback: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the configuration; all its mistakes make one error.
fn configured(source: &ConfigArguments) -> anyhow::Result<Checked> {
    let overrides = Overrides { listen: source.listen, data: source.data.clone() };
    config::load(source.config.as_deref(), &overrides)?.map_err(|mistakes| {
        let file =
            source.config.as_ref().map_or("the built-in configuration".into(), |path| path.display().to_string());
        let lines: Vec<String> = mistakes.iter().map(|mistake| format!("  {mistake}")).collect();
        let count = mistakes.len();
        let s = if count == 1 { "" } else { "s" };
        anyhow::anyhow!(
            "{file} has {count} mistake{s}:\n{}\nconfig.example.toml explains every setting",
            lines.join("\n")
        )
    })
}

fn check(source: &ConfigArguments) -> anyhow::Result<()> {
    let checked = configured(source)?;
    print!("{}", describe::overview(&checked.config));
    for warning in checked.warnings {
        println!("\nwarning: {warning}");
    }
    Ok(())
}

fn bench(arguments: bench::BenchArguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(bench::run(arguments))
}
