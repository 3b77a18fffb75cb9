//! Where the power is cut, and the work of judging what each cut leaves.

use crate::{
    disk::{Disk, Fate, Remains},
    record::Entry,
    shim::quick_folder,
};
use rand::{RngExt, SeedableRng, rngs::SmallRng, seq::IndexedRandom};
use std::{
    collections::HashMap,
    hash::Hash,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

/// Folders that wait to be judged.
const WAITING: usize = 2;
const JUDGES: usize = 2;
/// Calls that a failure shows.
const CALLS_SHOWN: usize = 24;

/// A power cut before a call, by its number.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub before: usize,
    pub fate: Fate,
}

/// Cuts in the order of the record.
#[derive(Clone)]
pub struct Plan {
    pub cuts: Vec<Cut>,
}

/// What is wrong after a cut.
#[derive(Debug)]
#[expect(dead_code, reason = "it is printed")]
pub struct Failure {
    pub cut: Cut,
    /// The calls before the cut, the last one first.
    pub after: Vec<String>,
    pub reason: String,
    /// The folder as the cut left it, and as the judge changed it; it stays.
    pub folder: PathBuf,
}

impl Plan {
    /// Between any two calls, with nothing kept and torn; now and then with all kept, as SIGKILL leaves it.
    pub fn all(calls: usize, seed: u64) -> Plan {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut cuts = Vec::new();
        for before in 0..=calls {
            let fates = [Fate::Dropped, Fate::Torn { seed: random.random() }, Fate::Kept];
            let count = if before % 8 == 0 { 3 } else { 2 };
            cuts.extend(fates[..count].iter().map(|fate| Cut { before, fate: *fate }));
        }
        Plan { cuts }
    }

    /// Behind each kind of work so many, each time once with nothing kept and once torn.
    pub fn sample<W: Copy + Eq + Hash>(works: &[W], each: usize, seed: u64) -> Plan {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut kinds: Vec<(W, Vec<usize>)> = Vec::new();
        for (number, work) in works.iter().enumerate() {
            match kinds.iter_mut().find(|(kind, _)| kind == work) {
                Some((_, numbers)) => numbers.push(number),
                None => kinds.push((*work, vec![number])),
            }
        }
        let mut cuts = Vec::new();
        for (_, numbers) in kinds {
            for number in numbers.sample(&mut random, each).copied().collect::<Vec<usize>>() {
                let fates = [Fate::Dropped, Fate::Torn { seed: random.random() }];
                cuts.extend(fates.map(|fate| Cut { before: number + 1, fate }));
            }
        }
        cuts.sort_by_key(|cut| cut.before);
        Plan { cuts }
    }

    /// The same cuts in a record from which entries were taken.
    pub fn of_entries(&self, whole: &[Entry], part: &[Entry]) -> Plan {
        let places: HashMap<u64, usize> = part.iter().enumerate().map(|(number, entry)| (entry.at, number)).collect();
        let number = |before: usize| {
            let kept = whole[before..].iter().find_map(|entry| places.get(&entry.at));
            kept.copied().unwrap_or(part.len())
        };
        Plan { cuts: self.cuts.iter().map(|cut| Cut { before: number(cut.before), ..*cut }).collect() }
    }
}

/// The last calls, the very last one first.
fn calls_before(start: &Disk, entries: &[Entry]) -> Vec<String> {
    let mut disk = start.clone();
    let mut call = |entry: &Entry| {
        let before = disk.path_of(&entry.call);
        disk.take(&entry.call);
        let after = disk.path_of(&entry.call);
        let path = if after.as_os_str().is_empty() { before } else { after };
        format!("{}: {}", path.display(), entry.call.in_short())
    };
    let calls: Vec<String> = entries.iter().map(&mut call).collect();
    calls.into_iter().rev().take(CALLS_SHOWN).collect()
}

/// Lays what each cut leaves and judges its data folder, until so many failures are found. The judge is told the place of
/// the cut in the record.
pub fn judge_cuts(
    start: &Disk,
    entries: &[Entry],
    plan: &Plan,
    most: usize,
    judge: impl Fn(&Path, u64) -> Result<(), String> + Sync,
) -> Vec<Failure> {
    let failures = Mutex::new(Vec::new());
    let enough = AtomicBool::new(false);
    let (sender, receiver) = mpsc::sync_channel::<(Cut, Remains)>(WAITING);
    let receiver = Mutex::new(receiver);
    let judge_next = || {
        let Ok((cut, remains)) = receiver.lock().expect("not poisoned").recv() else { return false };
        let folder = quick_folder();
        remains.lay(folder.path()).expect("there is room");
        let at = entries.get(cut.before).map_or(u64::MAX, |entry| entry.at);
        if let Err(reason) = judge(&folder.path().join("data"), at) {
            let after = calls_before(start, &entries[..cut.before]);
            let mut failures = failures.lock().expect("not poisoned");
            let failure = Failure { cut, after, reason, folder: folder.keep() };
            // A run of all cuts takes long: it is told at once.
            println!("{failure:#?}");
            failures.push(failure);
            enough.store(failures.len() >= most, Ordering::SeqCst);
        }
        true
    };
    thread::scope(|scope| {
        (0..JUDGES).for_each(|_| _ = scope.spawn(|| while judge_next() {}));
        let (mut disk, mut taken) = (start.clone(), 0);
        for cut in plan.cuts.iter().take_while(|_| !enough.load(Ordering::SeqCst)) {
            entries[taken..cut.before].iter().for_each(|entry| disk.take(&entry.call));
            taken = cut.before;
            sender.send((*cut, disk.after_cut(cut.fate))).expect("the judges are at work");
        }
        drop(sender);
    });
    failures.into_inner().expect("not poisoned")
}
