//! The contract of `Store`, held against the store on memory devices: once with everything in the tail, once with tails
//! so small that nearly everything is in blocks.

mod support;

mod in_the_tail {
    use super::support::{OnMemory, listed};

    testkit::store_suite!(|| OnMemory::empty(listed(store::Settings::default())));
}

mod in_blocks {
    use super::support::{OnMemory, listed, small_tails};

    testkit::store_suite!(|| OnMemory::empty(listed(small_tails())));
}

/// What selections promise they also keep in an app without lists.
mod without_lists {
    use super::support::{OnMemory, small_tails};

    testkit::store_suite!(|| OnMemory::empty(small_tails());
        a_selection_is_what_its_selectors_say,
        selections_stay_exact_whatever_happens,
        long_selections_are_ranked_exactly,
        selections_begin_above_their_cuts,
    );
}
