//! A run by itself, and a failing one made smaller: as few of its steps as still fail.

use crate::{
    lies::Lie,
    steps::{Setup, Step},
    world::World,
};
use std::{
    thread,
    time::{Duration, Instant},
};
use testkit::judge::Verdict;

const STACK_BYTES: usize = 16 << 20;
/// How long a failing run is made smaller at most.
const SHRINK_AT_MOST: Duration = Duration::from_secs(60);

/// Takes steps through a new world, on a thread of its own: a panic is a failure like others, and unoptimised steps take
/// much of a stack.
pub fn run(setup: Setup, lie: Option<Lie>, steps: &[Step]) -> Verdict {
    let live = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(World::new(setup, lie).run(steps))
    };
    thread::scope(|scope| {
        let life = thread::Builder::new().name("run".into()).stack_size(STACK_BYTES).spawn_scoped(scope, live);
        life.expect("a thread starts").join().unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(format!("panicked: {}", text.unwrap_or_default()))
        })
    })
}

/// Leaves out halves of the steps, then quarters, and so on down to single ones, as long as what is left fails.
pub fn shrink(steps: Vec<Step>, why: String, fails: impl Fn(&[Step]) -> Verdict) -> (Vec<Step>, String) {
    let begun = Instant::now();
    let (mut left, mut why) = (steps, why);
    let mut size = left.len().div_ceil(2);
    while size > 0 {
        let (mut at, mut smaller) = (0, false);
        while at < left.len() && begun.elapsed() < SHRINK_AT_MOST {
            let end = (at + size).min(left.len());
            let mut rest = left[..at].to_vec();
            rest.extend_from_slice(&left[end..]);
            match fails(&rest) {
                Err(still) => {
                    (left, why, smaller) = (rest, still, true);
                }
                Ok(()) => at = end,
            }
        }
        // Single steps are tried again as long as one of them goes.
        size = if size > 1 { size / 2 } else { usize::from(smaller) };
        if begun.elapsed() >= SHRINK_AT_MOST {
            break;
        }
    }
    (left, why)
}
