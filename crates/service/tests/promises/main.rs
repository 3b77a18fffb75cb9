//! What the service promises, each promise a test, over the store's oracle and a clock that tests move.

mod order;
mod rig;
