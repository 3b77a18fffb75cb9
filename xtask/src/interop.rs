//! The vendors' own clients against the real program: every folder of `interop/` is one suite, with exact versions of
//! the clients. `js-*`: `npm ci`, then Node's test runner. `python-*`: a virtual environment of its own under `target/`,
//! then pytest. The suites start the program at `SCROLLBACK_BIN` themselves.

use crate::{
    cargo,
    steps::{Outcome, Steps},
};
use anyhow::{Context, Result, bail};
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The program that the suites start, for those who write suites in other languages too.
const PROGRAM_VARIABLE: &str = "SCROLLBACK_BIN";

/// Builds the program and runs every suite.
pub fn run(steps: &mut Steps, root: &Path) -> Result<()> {
    steps.command("program", cargo(root, &["build", "--locked", "-p", "server", "--bin", "scrollback"]))?;
    let target = target_folder(root)?;
    let program = target.join("debug").join(format!("scrollback{}", std::env::consts::EXE_SUFFIX));
    for folder in suites(&root.join("interop"))? {
        let name = format!("interop {}", name_of(&folder));
        let prepared = match Language::of(&folder) {
            Some(Language::JavaScript) => prepare_javascript(&folder),
            Some(Language::Python) => prepare_python(&folder, &target),
            None => Err(anyhow::anyhow!("neither package.json nor requirements.txt in {}", folder.display())),
        };
        match prepared {
            Ok(mut runner) => steps.tests(&name, {
                runner.env(PROGRAM_VARIABLE, &program).current_dir(&folder);
                runner
            })?,
            Err(error) => steps.check(&name, || Ok(Outcome::NotRun { reason: format!("{error:#}") }))?,
        }
    }
    Ok(())
}

enum Language {
    JavaScript,
    Python,
}

impl Language {
    fn of(folder: &Path) -> Option<Language> {
        if folder.join("package.json").is_file() {
            return Some(Language::JavaScript);
        }
        folder.join("requirements.txt").is_file().then_some(Language::Python)
    }
}

fn suites(interop: &Path) -> Result<Vec<PathBuf>> {
    let mut suites = Vec::new();
    for entry in fs::read_dir(interop).with_context(|| format!("reading {}", interop.display()))? {
        let path = entry?.path();
        // Python leaves this beside what the suites share.
        if path.is_dir() && !path.ends_with("__pycache__") {
            suites.push(path);
        }
    }
    suites.sort();
    Ok(suites)
}

fn prepare_javascript(folder: &Path) -> Result<Command> {
    let mut install = Command::new("npm");
    install.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(folder);
    quietly(install)?;
    let mut runner = Command::new("node");
    // Clients that a failed test left open would try to reconnect for minutes.
    runner.args(["--test", "--test-force-exit", "--test-reporter=tap"]);
    Ok(runner)
}

fn prepare_python(folder: &Path, target: &Path) -> Result<Command> {
    let environment = target.join("interop").join(name_of(folder));
    let python = environment.join("bin").join("python");
    if !python.is_file() {
        let mut create = Command::new("python3");
        create.args(["-m", "venv"]).arg(&environment);
        quietly(create)?;
    }
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    install.arg(folder.join("requirements.txt"));
    // What a suite wants of pip besides, on top of the machine's own settings.
    let settings = folder.join("pip.conf");
    if settings.is_file() {
        install.env("PIP_CONFIG_FILE", settings);
    }
    quietly(install)?;
    let mut runner = Command::new(&python);
    runner.args(["-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"]);
    // A server's folder is near a gigabyte: only that of a failed test is worth keeping.
    runner.args(["-o", "tmp_path_retention_policy=failed"]);
    Ok(runner)
}

/// Runs a preparation whose output matters to nobody unless it fails.
fn quietly(mut command: Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn target_folder(root: &Path) -> Result<PathBuf> {
    let metadata = cargo_metadata::MetadataCommand::new().current_dir(root).no_deps().exec();
    Ok(metadata.context("asking cargo for the target folder")?.target_directory.into_std_path_buf())
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or(OsStr::new("?")).to_string_lossy().into_owned()
}
