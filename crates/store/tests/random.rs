//! Random operations on the store and on the oracle, side by side, with restarts and power cuts in between.

mod support;

use support::{OnMemory, listed, small_tails};
use testkit::random;

#[test]
fn random_operations_agree_with_the_oracle() {
    random::compare_with_oracle(random::seed_or(1), 40, || OnMemory::empty(listed(small_tails())));
}

#[test]
fn random_operations_agree_with_the_oracle_in_one_tail() {
    random::compare_with_oracle(random::seed_or(2), 20, || OnMemory::empty(listed(store::Settings::default())));
}
