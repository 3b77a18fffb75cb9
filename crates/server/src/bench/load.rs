//! Runs a piece of work over many connections by a schedule, and tallies what came of it.

use super::{
    client::{Connection, Target},
    report::{Report, Tally},
    schedule::Schedule,
    work::{Mix, Work},
};
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// How often the progress bar moves.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// How hard, how long, and from which seed.
pub struct Plan {
    pub connections: usize,
    pub warm_up: Duration,
    /// `None` = until the work is done.
    pub duration: Option<Duration>,
    /// Requests a second over all connections; `None` = as fast as answers come.
    pub rate: Option<f64>,
    pub seed: u64,
}

/// Runs it to the end. A connection that fails, or an answer that says the request was wrong, ends the run.
pub async fn run(name: &str, target: &Target, mix: Mix, plan: &Plan) -> Result<Report> {
    let mut connections = Vec::new();
    for _ in 0..plan.connections {
        connections.push(Connection::open(target).await?);
    }
    let mix = Arc::new(mix);
    let answered = Arc::new(AtomicU64::new(0));
    let schedule = Arc::new(Schedule::new(plan.warm_up, plan.duration, plan.rate));
    let mut workers = JoinSet::new();
    for (number, connection) in connections.into_iter().enumerate() {
        let work = Work::new(target.clone(), mix.clone(), plan.seed, number);
        workers.spawn(drive(connection, work, schedule.clone(), answered.clone()));
    }
    let tally = gather(name, workers, &schedule, &answered).await?;
    let seconds = (tally.last_answer.unwrap_or(schedule.measured_from()) - schedule.measured_from()).as_secs_f64();
    Ok(Report::new(name, plan.connections, plan.rate, seconds, schedule.unsent(), tally))
}

/// One connection: a request, its answer, the next request.
async fn drive(
    mut connection: Connection,
    mut work: Work,
    schedule: Arc<Schedule>,
    answered: Arc<AtomicU64>,
) -> Result<Tally> {
    let mut tally = Tally::default();
    while let Some(start) = schedule.next().await {
        let Some(step) = work.next() else { break };
        let (operation, messages, payload_bytes) = (step.operation, step.messages, step.payload_bytes);
        let answer = connection.send(step.request).await?;
        let end = Instant::now();
        answered.fetch_add(1, Ordering::Relaxed);
        let refused = answer.refused(messages)?;
        if refused > 0 && step.must_succeed {
            bail!("a {} was refused: {answer}", operation.name());
        }
        if !schedule.measures(start) {
            continue;
        }
        let tallied = tally.of(operation);
        match refused {
            0 => tallied.record(end - start, messages, payload_bytes, answer.body.len()),
            _ => tallied.refused += 1,
        }
        tally.last_answer = Some(end);
    }
    Ok(tally)
}

/// Waits for all connections, showing how far the run is.
async fn gather(
    name: &str,
    mut workers: JoinSet<Result<Tally>>,
    schedule: &Schedule,
    answered: &AtomicU64,
) -> Result<Tally> {
    let bar = progress_bar(name)?;
    let mut ticks = tokio::time::interval(PROGRESS_EVERY);
    let mut tally = Tally::default();
    loop {
        tokio::select! {
            worker = workers.join_next() => match worker {
                Some(worker) => tally.add(worker.context("a connection's task ended early")??),
                None => break,
            },
            _ = ticks.tick() => {
                let (elapsed, length) = schedule.progress(Instant::now());
                bar.set_length(length.unwrap_or(elapsed).as_millis() as u64);
                bar.set_position(elapsed.as_millis() as u64);
                bar.set_message(format!("{} requests", answered.load(Ordering::Relaxed)));
            }
        }
    }
    bar.finish_and_clear();
    Ok(tally)
}

/// On stderr, and only if that is a terminal.
fn progress_bar(name: &str) -> Result<ProgressBar> {
    let bar = ProgressBar::new(1);
    bar.set_style(ProgressStyle::with_template("{prefix} [{elapsed}] {wide_bar} {msg}").context("progress bar")?);
    bar.set_prefix(name.to_owned());
    Ok(bar)
}
