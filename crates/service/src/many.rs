//! Many channels in one call: each its own question and its own answer or error, within one budget of bytes and time.
//! A few are read at once, in the order asked; what did not fit is handed back to be asked again.

use crate::{Caller, Channels, History, Query};
use model::{Channel, Clock, Error, ErrorKind, Result, Span};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio_util::task::AbortOnDropHandle;

/// How much one call may bring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// Bytes of messages, before the page that crosses the bound is left out; the first page that has anything
    /// comes always.
    pub bytes: usize,
    /// Time after which nothing more is begun.
    pub time: Duration,
}

/// What became of one question among many.
#[derive(Debug)]
pub enum Many<Q, A> {
    /// Its answer, or its own error.
    Answered(Result<A>),
    /// The budget was spent: ask this again.
    Postponed(Q),
}

impl Channels {
    /// Pages of several channels, each as [`Channels::history`] would answer, in the order asked. Fails as a whole when
    /// there are more than [`crate::Settings::many_channels`].
    pub async fn read_many(
        &self,
        caller: &Caller,
        asked: Vec<(Channel, Query)>,
        budget: Budget,
    ) -> Result<Vec<Many<(Channel, Query), Arc<History>>>> {
        let read = |channels: Channels, caller: Caller, (channel, query): (Channel, Query)| async move {
            channels.history(&caller, &channel, &query).await
        };
        self.many(caller, asked, budget, read, |history| history.bytes()).await
    }

    /// Counts of several channels, each as [`Channels::count`] would answer, in the order asked. Fails as
    /// [`Channels::read_many`] does.
    pub async fn count_many(
        &self,
        caller: &Caller,
        asked: Vec<(Channel, Span)>,
        time: Duration,
    ) -> Result<Vec<Many<(Channel, Span), u64>>> {
        let count = |channels: Channels, caller: Caller, (channel, span): (Channel, Span)| async move {
            channels.count(&caller, &channel, span).await
        };
        self.many(caller, asked, Budget { bytes: usize::MAX, time }, count, |_| 0).await
    }

    async fn many<Q, A, F>(
        &self,
        caller: &Caller,
        asked: Vec<Q>,
        budget: Budget,
        ask: impl Fn(Channels, Caller, Q) -> F,
        bytes: impl Fn(&A) -> usize,
    ) -> Result<Vec<Many<Q, A>>>
    where
        Q: Clone,
        A: Send + 'static,
        F: Future<Output = Result<A>> + Send + 'static,
    {
        let settings = &self.shared.settings;
        if asked.len() > settings.many_channels {
            let most = settings.many_channels;
            return Err(Error::new(ErrorKind::TooLarge, format!("channels: at most {most} in one call")));
        }
        let clock = &*self.shared.clock;
        let until = clock.monotonic_ticks().saturating_add(ticks(budget.time));
        let (mut waiting, mut running) = (asked.into_iter(), VecDeque::new());
        let (mut answers, mut left, mut spent) = (Vec::with_capacity(waiting.len()), budget.bytes, false);
        let mut is_first = true;
        loop {
            while !spent && running.len() < settings.many_at_once.max(1) && !is_over(clock, until) {
                let Some(question) = waiting.next() else { break };
                let task = tokio::spawn(ask(self.clone(), caller.clone(), question.clone()));
                running.push_back((question, AbortOnDropHandle::new(task)));
            }
            let Some((question, task)) = running.pop_front() else { break };
            if spent {
                answers.push(Many::Postponed(question));
                continue;
            }
            let answer = task.await.map_err(Error::internal)?;
            let size = answer.as_ref().map_or(0, &bytes);
            spent = size > left && !is_first;
            is_first &= size == 0;
            left = left.saturating_sub(size);
            answers.push(if spent { Many::Postponed(question) } else { Many::Answered(answer) });
        }
        answers.extend(waiting.map(Many::Postponed));
        Ok(answers)
    }
}

fn is_over(clock: &dyn Clock, until: u64) -> bool {
    clock.monotonic_ticks() >= until
}

fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos() / 100).unwrap_or(u64::MAX)
}
