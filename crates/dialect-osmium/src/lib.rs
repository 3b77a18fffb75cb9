//! The Osmium dialect. So far its frames (`protocols/osmium.md` §1, §2); the calls follow.

pub mod frame;
pub mod wire;
