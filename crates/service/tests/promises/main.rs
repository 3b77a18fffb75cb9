//! What the service promises, each promise a test, over the store's oracle and a clock that tests move.

mod counting;
mod doubt;
mod load;
mod model;
mod order;
mod publishing;
mod reading;
mod restart;
mod rig;
