//! The fuzz targets of `fuzz/`, each for a bounded time. What a target finds is written to `fuzz/artifacts/{target}`; what it
//! learnt on the way to `fuzz/corpus/{target}`, beside the seeds that the repository keeps.
//!
//! The layout is that of `cargo fuzz`, whose commands work too; this needs nothing but the pinned toolchain and a C++
//! compiler, because the flags that make a program count what it reaches are the same without it.

use crate::cargo;
use anyhow::{Context, Result, bail, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What LLVM adds to the code, as libFuzzer wants it.
const FLAGS: [&str; 8] = [
    "--cfg=fuzzing",
    "-Ccodegen-units=1",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-sanitizer-coverage-stack-depth",
];

/// One input may take so long, in seconds.
const INPUT_SECONDS: u32 = 10;

/// Runs these targets, all if none is named, for so many seconds each. An error if one of them found something.
pub fn run(root: &Path, seconds: u32, wanted: &[String]) -> Result<()> {
    let folder = root.join("fuzz");
    let known = targets(&folder)?;
    if let Some(unknown) = wanted.iter().find(|target| !known.contains(target)) {
        bail!("there is no target {unknown}; there are {}", known.join(", "));
    }
    let host = host()?;
    let mut build = cargo(&folder, &["build", "--release", "--bins", "--target", &host]);
    // Build scripts are not for counting: they are built without the flags because a target is named.
    let built = build.env("RUSTFLAGS", FLAGS.join(" ")).status().context("starting cargo")?;
    ensure!(built.success(), "the fuzz targets do not build");
    let programs = folder.join("target").join(host).join("release");
    let mut found = Vec::new();
    for target in known.iter().filter(|target| wanted.is_empty() || wanted.contains(target)) {
        println!("== {target}, {seconds} s");
        if !fuzz(&folder, &programs.join(target), target, seconds)? {
            found.push(target.as_str());
        }
    }
    ensure!(found.is_empty(), "found by {}: see fuzz/artifacts, and make of it a seed and a test", found.join(", "));
    Ok(())
}

/// Whether nothing was found.
fn fuzz(folder: &Path, program: &Path, target: &str, seconds: u32) -> Result<bool> {
    let inside = |name: &str| -> Result<PathBuf> {
        let path = folder.join(name).join(target);
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(path)
    };
    let (corpus, artifacts) = (inside("corpus")?, inside("artifacts")?);
    let status = Command::new(program)
        .arg(corpus)
        .arg(folder.join("seeds").join(target))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={INPUT_SECONDS}"))
        .arg("-print_final_stats=1")
        .current_dir(folder)
        .status()
        .with_context(|| format!("starting {}", program.display()))?;
    Ok(status.success())
}

fn targets(folder: &Path) -> Result<Vec<String>> {
    let path = folder.join("fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&path).with_context(|| format!("listing {}", path.display()))? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// What this machine is, in the compiler's words.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("starting rustc")?;
    let text = String::from_utf8(output.stdout).context("reading what rustc says")?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say what this machine is")?.to_owned())
}
