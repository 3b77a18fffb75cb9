//! What the index promises, held against a store in memory.

mod finding;
mod house;
mod lasting;
mod random;
