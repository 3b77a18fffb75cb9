//! One write or one sync of the real program fails, and from then on all works again: nothing is acknowledged before
//! it is settled what is there, nothing that was acknowledged is missing, nothing is there twice, and publishers were
//! told the truth. Then SIGKILL, or a power cut that drops what was not synced.

use crate::{
    cuts::{Cut, Plan, judge_cuts},
    disk::{Disk, Fate},
    judge::Told,
    life::{Known, SIZES, assert_as_told, live},
    record::{self, Call, Content, Entry},
    shim::{Fault, Shim},
};
use std::{collections::HashMap, path::PathBuf};

/// Acknowledgements before the fault, and in each round until it has struck and was overcome.
const BEFORE: usize = 40;
const ROUND: usize = 100;
const ROUNDS: u64 = 20;
/// Cuts behind the fault.
const CUTS: usize = 6;

/// A program that met a fault, as far as it came.
struct Met {
    shim: Shim,
    known: Known,
    /// Before the program started.
    empty: Disk,
    entries: Vec<Entry>,
    told: HashMap<u64, u64>,
}

/// Publishes, lets one call fail, publishes on, and ends by SIGKILL.
async fn meet(fault: Fault, path: &str, skip: u64) -> Met {
    let (shim, known) = (Shim::recording(), Known::default());
    let empty = Disk::of_folder(shim.folder(), skip);
    let program = shim.start(&SIZES);
    live(&shim, &program, &known, 0, BEFORE).await;
    shim.fail(fault, path, skip);
    let mut rounds = 1..=ROUNDS;
    while shim.struck() == 0 {
        let round = rounds.next().unwrap_or_else(|| panic!("{fault:?} of {path}: {skip} others were not made"));
        live(&shim, &program, &known, round, ROUND).await;
    }
    live(&shim, &program, &known, ROUNDS + 1, ROUND).await;
    assert_as_told(&program, &known, "when it works again").await;
    program.kill();
    let entries = record::read(&shim.record());
    let told = known.told(&entries);
    Met { shim, known, empty, entries, told }
}

impl Met {
    fn judge_after_cuts(&self, name: &str) {
        let failed = self.entries.iter().position(|entry| matches!(entry.call, Call::FailedSync { .. }));
        let first = failed.map_or(self.entries.len() / 2, |failed| failed + 1);
        let step = ((self.entries.len() - first) / CUTS).max(1);
        let places = (first..self.entries.len()).step_by(step).chain([first + 1, self.entries.len()]);
        let mut cuts: Vec<Cut> = places
            .flat_map(|before| [Fate::Dropped, Fate::Torn { seed: before as u64 }].map(|fate| Cut { before, fate }))
            .collect();
        cuts.sort_by_key(|cut| cut.before);
        let judge = |data: &std::path::Path, at| Told { known: &self.known, told: &self.told, at }.judge(data);
        let failures = judge_cuts(&self.empty, &self.entries, &Plan { cuts }, 1, judge);
        assert!(failures.is_empty(), "{name}: {failures:#?}");
    }

    async fn judge_after_kill(&self, name: &str) {
        let program = self.shim.start(&SIZES);
        assert_as_told(&program, &self.known, &format!("{name}, after SIGKILL")).await;
        program.kill();
        let told = Told { known: &self.known, told: &self.told, at: u64::MAX };
        assert_eq!(told.judge(&self.shim.data()), Ok(()), "{name}");
    }

    /// After the failed sync the log was written anew: another file was synced, and `super` named it. The file whose sync
    /// failed is never synced again. Says whether it was the log's: it may have been a file that was being zeroed. (That
    /// nobody was told of what it held is what the cuts show: answers to what was durable before are still on their way.)
    fn is_written_anew(&self, name: &str) -> bool {
        let is_failed = |entry: &Entry| matches!(entry.call, Call::FailedSync { .. });
        let failed = self.entries.iter().position(is_failed).expect("a sync failed");
        let Call::FailedSync { inode: broken } = self.entries[failed].call else { unreachable!() };
        let written = self.entries[..failed].iter().rev().find_map(|entry| match &entry.call {
            Call::Write { inode, content, .. } if *inode == broken => Some(content),
            _ => None,
        });
        if matches!(written, Some(Content::Zeros(_))) {
            return false;
        }
        let place = self.entries[failed].at;
        let (mut disk, mut synced, mut is_another) = (self.empty.clone(), Vec::<PathBuf>::new(), false);
        for entry in &self.entries {
            disk.take(&entry.call);
            match entry.call {
                // The number of a file that is gone may be given to a new one.
                Call::Create { inode, .. } => is_another |= inode == broken && entry.at > place,
                Call::Sync { inode } if entry.at > place => {
                    assert!(inode != broken || is_another, "{name}: it is synced again");
                    synced.push(disk.path_of(&entry.call));
                }
                _ => {}
            }
        }
        for file in ["data/log/segment", "data/log/super-a", "data/log/super-b"] {
            let is_it = |path: &PathBuf| path.to_string_lossy().starts_with(file);
            assert!(synced.iter().any(is_it), "{name}: no sync of {file} after it");
        }
        true
    }
}

async fn overcome(fault: Fault, path: &str, skip: u64) -> Met {
    let name = format!("{fault:?} of {path}, the {skip} before it made");
    let met = meet(fault, path, skip).await;
    met.judge_after_cuts(&name);
    met.judge_after_kill(&name).await;
    met
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_of_the_log_that_fails_once_loses_nothing_and_is_told() {
    let mut settled = 0;
    for skip in [0, 9, 70] {
        let met = overcome(Fault::Sync, "log/segment", skip).await;
        settled += u64::from(met.is_written_anew(&format!("sync {skip} of the log")));
    }
    assert!(settled > 0, "no sync of the log was struck");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_of_the_log_that_fails_once_loses_nothing_and_is_told() {
    for skip in [0, 33] {
        overcome(Fault::Write, "log/segment", skip).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_super_that_fails_once_loses_nothing_and_is_told() {
    for (fault, skip) in [(Fault::Sync, 0), (Fault::Sync, 1), (Fault::Write, 0), (Fault::Write, 3)] {
        overcome(fault, "log/super", skip).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_or_a_sync_of_the_tables_that_fails_once_loses_nothing() {
    for (fault, skip) in [(Fault::Sync, 0), (Fault::Sync, 31), (Fault::Write, 2), (Fault::Write, 101)] {
        overcome(fault, "tables", skip).await;
    }
}
