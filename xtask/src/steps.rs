//! Runs steps one after the other, says what each does, and keeps what a run must end with: the runners' own summary
//! lines, the checks that could not run, and whether anything failed. A failing step does not hide the later ones.

use anyhow::{Context, Result, bail};
use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Instant,
};

/// How a check of our own ended.
pub enum Outcome {
    /// Nothing to say but remarks, which fail nothing.
    Passed { remarks: Vec<String> },
    /// What is wrong, a line each.
    Failed { faults: Vec<String> },
    /// Why it says nothing about the workspace. In CI this is a failure: silence must not look like success.
    NotRun { reason: String },
}

/// The steps of one run.
pub struct Steps {
    in_ci: bool,
    failed: Vec<String>,
    not_run: Vec<String>,
    summaries: Vec<String>,
}

impl Steps {
    pub fn new(in_ci: bool) -> Steps {
        Steps { in_ci, failed: Vec::new(), not_run: Vec::new(), summaries: Vec::new() }
    }

    /// Runs a check of our own.
    pub fn check(&mut self, name: &str, check: impl FnOnce() -> Result<Outcome>) -> Result<()> {
        let started = announce(name);
        match check()? {
            Outcome::Passed { remarks } => {
                remarks.iter().for_each(|remark| println!("remark: {remark}"));
                done(name, started);
            }
            Outcome::Failed { faults } => {
                faults.iter().for_each(|fault| println!("fault: {fault}"));
                self.fail(name, format!("{} faults", faults.len()));
            }
            Outcome::NotRun { reason } => {
                println!("NOT RUN: {name}: {reason}");
                self.not_run.push(format!("{name}: {reason}"));
            }
        }
        Ok(())
    }

    /// Runs a program that tells its result by its exit status.
    pub fn command(&mut self, name: &str, mut command: Command) -> Result<()> {
        let started = announce(name);
        let status = command.status().with_context(|| format!("starting {command:?}"))?;
        self.judge(name, status.success(), started);
        Ok(())
    }

    /// Runs a test runner: shows what it prints as it comes, but keeps its summary lines for the end of the run.
    pub fn tests(&mut self, name: &str, mut command: Command) -> Result<()> {
        let started = announce(name);
        let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("starting {command:?}"))?;
        let output = child.stdout.take().expect("stdout is piped");
        let mut summaries_here = 0;
        for line in BufReader::new(output).lines() {
            let line = line.with_context(|| format!("reading what {name} prints"))?;
            if is_summary(&line) {
                summaries_here += 1;
                self.summaries.push(line);
            } else {
                println!("{line}");
            }
        }
        let success = child.wait().with_context(|| format!("waiting for {name}"))?.success();
        self.judge(name, success && summaries_here > 0, started);
        Ok(())
    }

    /// Prints the summary lines; an error if a step failed, or in CI if one could not run.
    pub fn finish(self) -> Result<()> {
        println!();
        self.not_run.iter().for_each(|reason| println!("NOT RUN: {reason}"));
        self.failed.iter().for_each(|reason| println!("FAILED: {reason}"));
        self.summaries.iter().for_each(|line| println!("{line}"));
        if !self.failed.is_empty() {
            bail!("{} of the steps failed", self.failed.len());
        }
        if self.in_ci && !self.not_run.is_empty() {
            bail!("{} of the checks could not run, which is a failure in CI", self.not_run.len());
        }
        Ok(())
    }

    fn judge(&mut self, name: &str, success: bool, started: Instant) {
        if success {
            done(name, started);
        } else {
            self.fail(name, "see above".into());
        }
    }

    fn fail(&mut self, name: &str, reason: String) {
        println!("== {name}: FAILED");
        self.failed.push(format!("{name}: {reason}"));
    }
}

/// Whether a runner's line is its summary, as libtest, Node's TAP reporter or pytest spells it.
fn is_summary(line: &str) -> bool {
    let libtest = line.starts_with("test result: ");
    let node = ["# tests ", "# pass ", "# fail ", "# skipped "].iter().any(|start| line.starts_with(start));
    let pytest = line.ends_with('s')
        && [" passed in ", " failed, ", " failed in ", " passed, "].iter().any(|part| line.contains(part));
    libtest || node || pytest
}

fn announce(name: &str) -> Instant {
    println!("== {name}");
    Instant::now()
}

fn done(name: &str, started: Instant) {
    println!("== {name}: ok after {:.1} s", started.elapsed().as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failing_step_fails_the_run_and_the_later_steps_still_run() {
        let mut steps = Steps::new(false);
        steps.command("first", shell("exit 3")).expect("sh starts");
        steps.tests("second", shell("echo test result: ok. 2 passed")).expect("sh starts");
        assert_eq!(steps.summaries, ["test result: ok. 2 passed"]);
        assert!(steps.finish().is_err());
    }

    #[test]
    fn a_runner_that_says_nothing_has_not_passed() {
        let mut steps = Steps::new(false);
        steps.tests("empty", shell("true")).expect("sh starts");
        assert!(steps.finish().is_err());
    }

    #[test]
    fn the_last_lines_of_every_runner_are_summaries() {
        for line in [
            "test result: ok. 3 passed; 0 failed",
            "# pass 12",
            "# fail 0",
            "7 passed in 2.31s",
            "1 failed, 6 passed in 2.31s",
        ] {
            assert!(is_summary(line), "{line}");
        }
        for line in ["running 3 tests", "ok 1 - history", "# Subtest: history", "..."] {
            assert!(!is_summary(line), "{line}");
        }
    }

    #[test]
    fn a_check_that_could_not_run_fails_only_in_ci() {
        for in_ci in [false, true] {
            let mut steps = Steps::new(in_ci);
            steps.check("absent", || Ok(Outcome::NotRun { reason: "no tool".into() })).expect("a check");
            assert_eq!(steps.finish().is_err(), in_ci);
        }
    }

    #[test]
    fn faults_fail_and_remarks_do_not() {
        let mut remarks = Steps::new(true);
        remarks.check("a", || Ok(Outcome::Passed { remarks: vec!["long".into()] })).expect("a check");
        assert!(remarks.finish().is_ok());
        let mut faults = Steps::new(false);
        faults.check("a", || Ok(Outcome::Failed { faults: vec!["wrong".into()] })).expect("a check");
        assert!(faults.finish().is_err());
    }
}
