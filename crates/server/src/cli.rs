//! The command line.

use crate::bench::BenchArguments;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use std::{net::SocketAddr, path::PathBuf};

const EXAMPLES: &str = "\
Examples:
  scrollback
      serves the demo app on 127.0.0.1:7117, data in ./scrollback-data
  curl -d '{\"payload\":{\"text\":\"hello\"}}' -H 'Authorization: Bearer demo-admin' \\
      http://127.0.0.1:7117/v1/apps/demo/channels/lobby/messages
      publishes; the same address without -d reads the newest page
  scrollback check --config scrollback.toml
      tells every mistake of a configuration, or what it would serve
  scrollback --config scrollback.toml
      serves it; config.example.toml explains every setting
  scrollback verify --data scrollback-data
      reads a data folder through and tells what is wrong with it
  scrollback backup --to /backups/chat
      copies what changed since the last point, while the program runs or not
  scrollback restore --from /backups/chat --to new-data
      makes a data folder of the newest point; backup --list tells which there are
  scrollback export --app demo --out demo.ndjson
      writes the history of an app as lines of JSON, while the program runs or not
  scrollback import demo.ndjson --data new-data
      makes it the history of another store, with its ids and times

Exit codes: 0 done; 1 refused or failed, the reason is on standard error; 2 the command line is wrong.";

/// Keeps the messages of realtime apps and serves their history.
#[derive(Parser)]
#[command(name = "scrollback", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; to serve, if not said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to serve, when no command is said.
    #[command(flatten)]
    pub serve: ServeArguments,
}

/// What the program can do.
#[derive(Subcommand)]
pub enum Command {
    /// Serve the configured apps (the default).
    Serve(ServeArguments),
    /// Tell every mistake of a configuration, or what it would serve; secrets are not shown.
    Check(ConfigArguments),
    /// Read a data folder through and tell what is wrong with it; the program that uses it must be stopped.
    Verify(VerifyArguments),
    /// Copy what a data folder holds, as of one moment, into a folder of backups; the program may run.
    Backup(BackupArguments),
    /// Make a new data folder of a backup.
    Restore(RestoreArguments),
    /// Write the history of an app as lines of JSON; the program may run.
    Export(ExportArguments),
    /// Take in what `export` wrote, with its ids and times; the program that uses the data folder must be stopped.
    Import(ImportArguments),
    /// Put load on a running server and measure it.
    Bench(BenchArguments),
}

/// Where the configuration comes from.
#[derive(Args, Clone, Debug)]
pub struct ConfigArguments {
    /// The configuration; without one, the built-in demo.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data folder, instead of the configured one.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The address to listen on, instead of the configured one; port 0 chooses a free one.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
}

/// How to serve.
#[derive(Args, Clone, Debug)]
pub struct ServeArguments {
    #[command(flatten)]
    pub source: ConfigArguments,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Which log lines: error, warn, info, debug, trace, or a filter like "info,service=debug".
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// Start although the log is damaged at batch N, without it and all that came after it. The refusal to start names N.
    #[arg(long, value_name = "N")]
    pub accept_loss: Option<u64>,
    /// Bytes in a segment of the log: for tests, which want small ones.
    #[arg(long, value_name = "SIZE", hide = true, value_parser = crate::config::units::size)]
    pub log_segment: Option<usize>,
    /// Bytes of the tail in memory at which it is flushed: for tests, which want small ones.
    #[arg(long, value_name = "SIZE", hide = true, value_parser = crate::config::units::size)]
    pub tail: Option<usize>,
    /// Bytes kept back for a full disk: for tests, which want few.
    #[arg(long, value_name = "SIZE", hide = true, value_parser = crate::config::units::size)]
    pub ballast: Option<usize>,
}

/// What to verify.
#[derive(Args, Clone, Debug)]
pub struct VerifyArguments {
    /// The data folder.
    #[arg(long, value_name = "DIR", default_value = "scrollback-data")]
    pub data: PathBuf,
}

const BACKUP_HELP: &str = "\
Each run adds a *point*: everything that was acknowledged up to one moment, and nothing in part. Its name is the last id
that it has. Files that an earlier point has are not copied again. A run that is cut short adds no point and harms none;
the next one goes on from there. The search index is not in it: it is made again at the first start.

Examples:
  scrollback backup --data scrollback-data --to /backups/chat --keep 14
      adds a point, keeps the newest 14
  scrollback backup --list /backups/chat
  scrollback backup --check /backups/chat
      reads all that is there against its checksums";

/// What to back up, and where to.
#[derive(Args, Clone, Debug)]
#[command(after_help = BACKUP_HELP, group(ArgGroup::new("what").required(true)))]
pub struct BackupArguments {
    /// The data folder.
    #[arg(long, value_name = "DIR", default_value = "scrollback-data")]
    pub data: PathBuf,
    /// Add a point to the backups in this folder, best on another disk. A new or empty one begins them.
    #[arg(long, value_name = "FOLDER", group = "what")]
    pub to: Option<PathBuf>,
    /// After that, keep so many of the newest points and let older ones go.
    #[arg(long, value_name = "N", requires = "to")]
    pub keep: Option<usize>,
    /// Tell the points in this folder, the oldest first: id, time, size.
    #[arg(long, value_name = "FOLDER", group = "what")]
    pub list: Option<PathBuf>,
    /// Read the backups in this folder through, and tell what is damaged.
    #[arg(long, value_name = "FOLDER", group = "what")]
    pub check: Option<PathBuf>,
}

const RESTORE_HELP: &str = "\
Every file is checked while it is copied; a damaged one is named and ends the restoration. Cut short, the same command goes
on. Clients that were ahead of the point are not told anything again: what was acknowledged after it is not there.";

/// What to restore.
#[derive(Args, Clone, Debug)]
#[command(after_help = RESTORE_HELP)]
pub struct RestoreArguments {
    /// The folder of backups.
    #[arg(long, value_name = "FOLDER")]
    pub from: PathBuf,
    /// The data folder to make: a new or an empty one.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Which point, as `backup --list` tells them; the newest, if not said.
    #[arg(long, value_name = "ID")]
    pub point: Option<u64>,
}

const EXPORT_HELP: &str = "\
One line is one thing: a message, an edit, a reaction, messages that are gone; docs/export-format.md tells each field. Beside a
running program it is one moment of it, however long it takes.

Examples:
  scrollback export --app demo --out demo.ndjson
  scrollback export --app demo --out demo.ndjson --resume
      goes on where it was cut short
  scrollback export --app demo --channel lobby --from 2026-01-01T00:00:00Z | jq 'select(.line == \"message\") | .payload'";

/// What to export, and where to.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXPORT_HELP)]
pub struct ExportArguments {
    /// The data folder.
    #[arg(long, value_name = "DIR", default_value = "scrollback-data")]
    pub data: PathBuf,
    /// The app.
    #[arg(long, value_name = "APP")]
    pub app: String,
    /// Only this channel, by its name in the clear; may be given several times.
    #[arg(long = "channel", value_name = "NAME")]
    pub channels: Vec<String>,
    /// Only messages from this time on (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub from: Option<jiff::Timestamp>,
    /// Only messages from before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub to: Option<jiff::Timestamp>,
    /// The file to write, which must not be there; standard output, if not said or -.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Go on with a file that was cut short.
    #[arg(long, requires = "out")]
    pub resume: bool,
}

const IMPORT_HELP: &str = "\
All lines are looked at first; if one is bad, it is named and nothing is changed. The program that uses the folder must be stopped.
A new channel gets its history with its ids, times and seqs. A channel that is there gets what ends below its first message,
and what is there keeps its seqs: so a server can begin live, and get the history of the old one later. What overlaps with a
channel stays out, and the channel is named: export less of it, with --to, or take it in as another app. An import that was cut
short is simply done again. The search index is made again at the next start.

Examples:
  scrollback import demo.ndjson --check
  scrollback import demo.ndjson --data new-data
  scrollback import demo.ndjson --data scrollback-data --app archive";

/// What to import, and where to.
#[derive(Args, Clone, Debug)]
#[command(after_help = IMPORT_HELP)]
pub struct ImportArguments {
    /// What `export` wrote.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The data folder; made if it is not there.
    #[arg(long, value_name = "DIR", default_value = "scrollback-data")]
    pub data: PathBuf,
    /// Import as this app, instead of the one that was exported.
    #[arg(long, value_name = "APP")]
    pub app: Option<String>,
    /// Only look at the file.
    #[arg(long)]
    pub check: bool,
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
