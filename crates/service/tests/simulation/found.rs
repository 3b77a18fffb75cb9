//! What runs have found, by name: the steps that were left of each. What was mended has a test of its own crate, too.

use crate::{
    shrink::run,
    steps::{
        From, Gone, Setup,
        Step::{self, Delete, Erase, Flush, Follow, Hold, Maintain, Publish, PublishAll, Release, Restart, SetAhead},
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
        Erase { user: 1 },
        PublishAll { rooms: vec![0; 6] },
        Flush { fails_after: None },
    ];
    replay(ON_DEVICES, &steps);
}

/// The author of the second message, and of the second one after the erasure was asked for, is the one who is erased.
#[test]
fn a_follower_of_one_whose_erasure_waited_for_a_hold() {
    let steps = [
        Follow { who: 0, by: 0, topics: vec![8], from: From::Beginning },
        PublishAll { rooms: vec![0, 5, 5] },
        Hold { room: Some(5), user: 0 },
        Erase { user: 1 },
        PublishAll { rooms: vec![0; 3] },
        Release { room: Some(5), user: 0 },
        Maintain,
    ];
    replay(ON_THE_ORACLE, &steps);
}
