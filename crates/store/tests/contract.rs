//! The contract of `Store`, held against the store on memory devices: once with everything in the tail, once with tails
//! so small that nearly everything is in blocks.

mod support;

mod in_the_tail {
    testkit::store_suite!(|| super::support::OnMemory::empty(store::Settings::default()));
}

mod in_blocks {
    testkit::store_suite!(|| super::support::OnMemory::empty(super::support::small_tails()));
}
