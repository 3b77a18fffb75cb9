//! What runs have found, by name: the steps that were left of each. What was mended has a test of its own crate, too.

use crate::{
    shrink::run,
    steps::{
        Gone, Setup,
        Step::{self, Delete, Erase, Flush, Publish, PublishAll, Restart, SetAhead},
    },
};

const ON_THE_ORACLE: Setup = Setup { kept: false, small: false, cold: false };
const ON_DEVICES: Setup = Setup { kept: true, small: false, cold: false };

fn replay(setup: Setup, steps: &[Step]) {
    if let Err(why) = run(setup, None, steps) {
        panic!("{why}");
    }
}

#[test]
fn an_erasure_by_a_clock_that_runs_ahead() {
    let short = crate::steps::Said { author: Some(0), ttl: Some(4), ..crate::steps::Said::default() };
    let steps = [Publish { by: 0, room: 0, said: short }, SetAhead { seconds: 31_536_000 }, Erase { user: 0 }];
    replay(ON_THE_ORACLE, &steps);
}

#[test]
fn a_flush_behind_a_floor_and_an_erasure() {
    let steps = [
        PublishAll { rooms: vec![0; 9] },
        Restart { forget: true },
        Delete { by: 0, room: 0, what: Gone::All },
        PublishAll { rooms: vec![0; 3] },
        Erase { user: 2 },
        PublishAll { rooms: vec![0; 6] },
        Flush { fails_after: None },
    ];
    replay(ON_DEVICES, &steps);
}
