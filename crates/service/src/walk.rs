//! A walk through something of every app, a bounded piece a round: how maintenance comes to everything now and then.

use crate::maintenance::Keeper;
use model::{AppId, Result, TICKS_PER_SECOND};
use std::time::Duration;

/// How far a walk has come.
pub(crate) struct Walk<Cursor> {
    /// So often a walk begins.
    every: u64,
    /// The apps that are left, the next one last, and what was the last in it.
    apps: Vec<AppId>,
    after: Option<Cursor>,
    /// The monotonic time at which the walk began.
    began: Option<u64>,
}

impl<Cursor> Walk<Cursor> {
    pub fn new(every: Duration) -> Walk<Cursor> {
        Walk { every: every.as_secs() * TICKS_PER_SECOND, apps: Vec::new(), after: None, began: None }
    }

    /// Goes on by at most `most` entries, or begins if it is time or `at_once` says so; whether there are more. `look`
    /// looks at entries of an app behind one, at most so many, and says which they were: fewer are the end of the app.
    pub fn step(
        &mut self,
        keeper: &Keeper,
        at_once: bool,
        most: u32,
        mut look: impl FnMut(&AppId, Option<&Cursor>, u32) -> Result<Vec<Cursor>>,
    ) -> Result<bool> {
        if self.apps.is_empty() && !self.begin(keeper, at_once) {
            return Ok(false);
        }
        let mut left = most.max(1);
        while left > 0
            && let Some(app) = self.apps.last()
        {
            let mut seen = look(app, self.after.as_ref(), left)?;
            let complete = seen.len() < left as usize;
            left -= seen.len() as u32;
            self.after = seen.pop();
            if complete {
                self.apps.pop();
                self.after = None;
            }
        }
        Ok(!self.apps.is_empty())
    }

    fn begin(&mut self, keeper: &Keeper, at_once: bool) -> bool {
        let now = keeper.clock.monotonic_ticks();
        if !at_once && self.began.is_some_and(|began| now.saturating_sub(began) < self.every) {
            return false;
        }
        self.began = Some(now);
        self.apps = keeper.live.policies.apps();
        self.apps.reverse();
        true
    }
}
