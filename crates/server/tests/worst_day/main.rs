//! The worst day of the whole program: power cuts, writes and syncs that fail, clocks that jump, more load than it can
//! take. What it promises for each is told in `docs/operating.md`.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod clocks;
mod cuts;
mod disk;
mod failing;
mod judge;
mod life;
mod overload;
mod pages;
mod power;
#[allow(dead_code, reason = "the tests of the program need more of its words")]
#[path = "../program/program.rs"]
mod program;
mod record;
mod shim;
