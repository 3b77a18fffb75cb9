//! The rules of the house that no compiler and no lint holds: which crate may know which, how a file opens, what must
//! not be left behind, how decision pages are numbered, and that every dependency has a reason there.
//!
//! What clippy can hold (`unwrap`, clocks, panics) is left to it; that every crate takes part in the
//! workspace's lints is checked here.

mod dependencies;
mod pages;
mod sources;

use crate::steps::Outcome;
use anyhow::{Context, Result};
use std::{fs, path::Path, process::Command};

/// A file of the repository: its path from the root, and its text.
struct SourceFile {
    path: String,
    text: String,
}

/// Checks the whole repository.
pub fn check(root: &Path) -> Result<Outcome> {
    let files = match repository_files(root)? {
        Ok(files) => files,
        Err(reason) => return Ok(Outcome::NotRun { reason }),
    };
    let crates = dependencies::crates_of(root)?;
    let mut faults = dependencies::faults(&crates);
    faults.extend(pages::unexplained(&crates, &files));
    faults.extend(pages::faults(files.iter().map(|file| file.path.as_str())));
    faults.extend(files.iter().flat_map(sources::faults));
    if !faults.is_empty() {
        return Ok(Outcome::Failed { faults });
    }
    Ok(Outcome::Passed { remarks: files.iter().filter_map(sources::remark).collect() })
}

/// Every text file that git knows or would take up; the inner error says why git could not tell.
fn repository_files(root: &Path) -> Result<Result<Vec<SourceFile>, String>> {
    let listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = match Command::new("git").current_dir(root).args(listing).output() {
        Ok(output) => output,
        Err(error) => return Ok(Err(format!("git does not start: {error}"))),
    };
    if !output.status.success() {
        return Ok(Err(format!("git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    let names = String::from_utf8(output.stdout).context("file names are not UTF-8")?;
    let mut files = Vec::new();
    for path in names.split_terminator('\0') {
        let absolute = root.join(path);
        if !absolute.is_file() {
            continue; // Deleted, and the deletion not committed yet.
        }
        let bytes = fs::read(&absolute).with_context(|| format!("reading {path}"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(SourceFile { path: path.to_owned(), text });
        }
    }
    Ok(Ok(files))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same as the step: so a plain `cargo test --workspace` holds the rules too.
    #[test]
    fn the_repository_is_tidy() {
        match check(&crate::workspace_root()).expect("the check runs") {
            Outcome::Passed { .. } => {}
            Outcome::Failed { faults } => panic!("{}", faults.join("\n")),
            Outcome::NotRun { reason } => eprintln!("NOT RUN: tidy: {reason}"),
        }
    }
}
