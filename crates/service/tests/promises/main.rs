//! What the service promises, each promise a test, over the store's oracle and a clock that tests move.

mod access;
mod altering;
mod counting;
mod doubt;
mod editing;
mod erasing;
mod groups;
mod keeping;
mod load;
mod many;
mod model;
mod order;
mod presence;
mod publishing;
mod reading;
mod removing;
mod restart;
mod rig;
mod searching;
