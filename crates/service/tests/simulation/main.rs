//! The whole service on a store in memory, driven by a seed: callers with all sorts of rights and windows publish, change,
//! delete, read, count, select and follow; policies, holds and erasures take things away; batches fail, tables fail, power
//! goes, clocks jump, programs start again. Everything that anybody is told or given is held against the plain truth
//! (`truth.rs`): what went through the door to the store, folded into the store's oracle.
//!
//! **What a seed decides**: the steps, one after the other, each to its end; the setup; the clock, which only steps move;
//! which batch fails and how; so also every id, seq and answer. **What it does not**: in which order those come who publish
//! at the same time (`Step::Burst`, whose outcome is judged as a set), when the store under test flushes by itself, and
//! which of a service's threads is first where no answer depends on it. A seed that fails nearly always fails again.
//!
//! `cargo xtask simulate --seeds N --from S` takes more of them; `cargo xtask simulate --seed S` one, which is made
//! smaller if it fails, and told as steps, to be kept as a named test (`found.rs`).

mod asks;
mod cast;
mod door;
mod followers;
mod found;
mod ground;
mod keeping;
mod lies;
mod presence;
mod shrink;
mod steps;
mod truth;
mod world;
mod writes;

use lies::Lie;
use shrink::{run, shrink};
use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

/// Seeds of every test run.
const SEEDS: u64 = 300;
/// Among so many seeds each lie must be found out.
const SEEDS_FOR_A_LIE: u64 = 150;
/// How often a part of a failing run may succeed before it counts as one that does.
const ATTEMPTS: u32 = 5;
/// The variables by which `cargo xtask simulate` asks for others.
const SEEDS_VARIABLE: &str = "SCROLLBACK_SIMULATION_SEEDS";
const FROM_VARIABLE: &str = "SCROLLBACK_SIMULATION_FROM";

#[test]
fn runs_of_many_seeds_tell_everybody_the_truth() {
    let (seeds, from) = (number(SEEDS_VARIABLE).unwrap_or(SEEDS), number(FROM_VARIABLE).unwrap_or(1));
    let begun = Instant::now();
    let every = (seeds / 20).max(50);
    let failed = first_failure(from..from + seeds, |done| {
        if done % every == 0 {
            println!("{done} of {seeds} seeds after {:.0} s", begun.elapsed().as_secs_f64());
        }
    });
    if let Some((seed, why)) = failed {
        println!("seed {seed} fails: {why}\nmaking it smaller …");
        tell(seed, why);
    }
    println!("{seeds} seeds from {from} on ran clean in {:.0} s", begun.elapsed().as_secs_f64());
}

#[test]
fn every_fault_put_in_on_purpose_is_found_out() {
    let unnoticed: Vec<Lie> = lies::ALL.into_iter().filter(|lie| !is_found_out(*lie)).collect();
    assert!(unnoticed.is_empty(), "nobody noticed {unnoticed:?} in {SEEDS_FOR_A_LIE} seeds");
}

#[test]
fn a_seed_replays_a_run() {
    let words = |seed| format!("{:?}", steps::of_seed(seed));
    assert_eq!(words(7), words(7));
    assert_ne!(words(7), words(8));
}

#[test]
fn a_failing_run_is_made_smaller() {
    let lie = Some(Lie::CountsOneMore);
    let failing = (1..SEEDS_FOR_A_LIE).find_map(|seed| {
        let (setup, steps) = steps::of_seed(seed);
        run(setup, lie, &steps).err().map(|why| (setup, steps, why))
    });
    let (setup, steps, why) = failing.expect("a lie that is told all the time");
    let before = steps.len();
    let (left, _) = shrink(steps, why, |steps| run(setup, lie, steps));
    assert!(left.len() < before && left.len() < 6, "{left:?}");
}

/// The first seed that fails, on all cores.
fn first_failure(seeds: std::ops::Range<u64>, progress: impl Fn(u64) + Sync) -> Option<(u64, String)> {
    let (next, done, stop) = (AtomicU64::new(seeds.start), AtomicU64::new(0), AtomicBool::new(false));
    let failed = Mutex::new(None);
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let (setup, steps) = steps::of_seed(seed);
            if let Err(why) = run(setup, None, &steps) {
                stop.store(true, Ordering::Relaxed);
                failed.lock().expect("no panic happens under this lock").get_or_insert((seed, why));
            }
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, |cores| cores.get()) {
            scope.spawn(work);
        }
    });
    failed.into_inner().expect("no panic happens under this lock")
}

fn is_found_out(lie: Lie) -> bool {
    (1..=SEEDS_FOR_A_LIE).any(|seed| {
        let (setup, steps) = steps::of_seed(seed);
        run(setup, Some(lie), &steps).is_err()
    })
}

/// Makes a failing run smaller and fails with it.
fn tell(seed: u64, why: String) -> ! {
    let (setup, steps) = steps::of_seed(seed);
    let all = steps.len();
    // Who comes first in a burst is not the seed's to say.
    let (left, why) = shrink(steps, why, |steps| (0..ATTEMPTS).try_for_each(|_| run(setup, None, steps)));
    let count = left.len();
    panic!(
        "seed {seed}: {why}\nagain: cargo xtask simulate --seed {seed}\n{count} of {all} steps are left, on {setup:?}:\n{left:#?}"
    )
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number of seeds"))
}
