//! Random operations, the same ones on a store under test and on the oracle, with restarts, crashes and failures in
//! between; every answer is compared. A run is a function of its seed, and a failure shrinks to the fewest steps.
//!
//! ```no_run
//! # use testkit::{MemoryStore, random, store_suite::StoreUnderTest};
//! # struct MyStore(MemoryStore);
//! # impl MyStore { fn open_empty() -> MyStore { MyStore(MemoryStore::new()) } }
//! # impl StoreUnderTest for MyStore {
//! #     fn store(&self) -> &dyn model::Store { &self.0 }
//! #     fn restart(self) -> MyStore { self }
//! # }
//! // In a test of the store: 200 runs of up to 60 steps each, from seed 1 or from the environment.
//! random::compare_with_oracle(random::seed_or(1), 200, || MyStore::open_empty());
//! ```
//!
//! `SCROLLBACK_TEST_SEED=12345 cargo test …` takes other runs. A failed run names its seed and the steps that are left
//! after shrinking; [`drive`] takes them as they are, to keep them as a named test.

mod ask;
mod drafts;
mod drive;
mod names;
mod steps;
mod write;

pub use drafts::{Draft, ReactionDraft};
pub use drive::drive;
pub use steps::{Place, Question, Selected, Step, steps};

use crate::store_suite::StoreUnderTest;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

/// How often a failing run is made smaller before it is told, and for how long at most.
const SHRINK_RUNS: u32 = 2_000;
const SHRINK_MS: u32 = 60_000;

/// Drives `cases` runs that follow from `seed` through stores that `open` makes empty.
///
/// # Panics
///
/// When a store contradicts the oracle: with the seed, the fewest steps found, and the first contradiction.
pub fn compare_with_oracle<S: StoreUnderTest>(seed: u64, cases: u32, open: impl Fn() -> S) {
    let result = runner(seed, cases).run(&steps(), |steps| drive(&open, &steps).map_err(TestCaseError::fail));
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, steps)) => panic!("seed {seed}: {why}\nafter these steps: {steps:#?}"),
        Err(TestError::Abort(why)) => panic!("seed {seed}: no runs could be made: {why}"),
    }
}

/// The seed in `SCROLLBACK_TEST_SEED`, or this one.
///
/// # Panics
///
/// When the variable is set to something that is no number.
pub fn seed_or(default: u64) -> u64 {
    std::env::var("SCROLLBACK_TEST_SEED")
        .map_or(default, |text| text.parse().expect("SCROLLBACK_TEST_SEED is a number from 0 to 2^64 - 1"))
}

/// A runner whose runs follow from the seed alone.
fn runner(seed: u64, cases: u32) -> TestRunner {
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: SHRINK_RUNS,
        max_shrink_time: SHRINK_MS,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::strategy::{Strategy, ValueTree};

    #[test]
    fn a_seed_replays_a_run() {
        let run = |seed| format!("{:?}", steps().new_tree(&mut runner(seed, 1)).expect("steps are made").current());
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }
}
