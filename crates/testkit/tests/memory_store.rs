//! The oracle passes its own suite, which shows the suite to be passable.

use model::Store;
use testkit::{MemoryStore, Outcome, random, store_suite::StoreUnderTest};

struct Oracle(MemoryStore);

impl StoreUnderTest for Oracle {
    fn store(&self) -> &dyn Store {
        &self.0
    }

    fn restart(self) -> Oracle {
        Oracle(self.0.restart())
    }

    fn next_apply(&self, outcome: Outcome) -> bool {
        self.0.faults().next_applies([outcome]);
        true
    }
}

testkit::store_suite!(|| Oracle(MemoryStore::new()));

#[test]
fn random_operations_agree_with_the_oracle() {
    random::compare_with_oracle(random::seed_or(1), 50, || Oracle(MemoryStore::new()));
}
