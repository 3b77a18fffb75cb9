//! What came of a run: throughput and latencies by operation, for people and, as JSON, for programs.

use super::work::Operation;
use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

/// Latencies are kept from a microsecond to two minutes with three digits; what is longer counts as two minutes.
const LATENCY_US_MAX: u64 = 120_000_000;
const LATENCY_DIGITS: u8 = 3;

/// A histogram of latencies in microseconds.
pub fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, LATENCY_DIGITS).expect("the bounds are in order")
}

/// Adds one latency.
pub fn record_latency(histogram: &mut Histogram<u64>, latency: Duration) {
    histogram.saturating_record(latency.as_micros() as u64);
}

/// What one connection, or all of them, counted.
#[derive(Default)]
pub struct Tally {
    operations: BTreeMap<Operation, Tallied>,
    /// When the last measured answer came.
    pub last_answer: Option<Instant>,
}

/// What was counted of one operation.
pub struct Tallied {
    latencies: Histogram<u64>,
    messages: u64,
    payload_bytes: u64,
    answer_bytes: u64,
    /// Requests that the server put off (429, 503): neither in the rates nor in the latencies.
    pub refused: u64,
}

impl Tally {
    /// The counts of this operation.
    pub fn of(&mut self, operation: Operation) -> &mut Tallied {
        self.operations.entry(operation).or_insert_with(Tallied::new)
    }

    /// Adds what another connection counted.
    pub fn add(&mut self, other: Tally) {
        for (operation, counts) in other.operations {
            let sum = self.of(operation);
            sum.latencies.add(&counts.latencies).expect("all histograms have the same bounds");
            sum.messages += counts.messages;
            sum.payload_bytes += counts.payload_bytes;
            sum.answer_bytes += counts.answer_bytes;
            sum.refused += counts.refused;
        }
        self.last_answer = self.last_answer.max(other.last_answer);
    }
}

impl Tallied {
    fn new() -> Tallied {
        Tallied { latencies: latencies(), messages: 0, payload_bytes: 0, answer_bytes: 0, refused: 0 }
    }

    /// Counts a request that was served.
    pub fn record(&mut self, latency: Duration, messages: u64, payload_bytes: u64, answer_bytes: usize) {
        record_latency(&mut self.latencies, latency);
        self.messages += messages;
        self.payload_bytes += payload_bytes;
        self.answer_bytes += answer_bytes as u64;
    }
}

/// The report of one run.
#[derive(Serialize)]
pub struct Report {
    pub name: String,
    pub connections: usize,
    /// Requests a second that were asked for; absent in a closed loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// The measured time, warm-up left out.
    pub seconds: f64,
    /// Requests that were due and never sent, because no connection was free to the end.
    pub unsent: u64,
    pub operations: Vec<OperationReport>,
}

/// The figures of one operation.
#[derive(Serialize)]
pub struct OperationReport {
    pub operation: String,
    pub requests: u64,
    pub requests_per_second: f64,
    pub messages: u64,
    pub messages_per_second: f64,
    pub payload_bytes: u64,
    /// On average.
    pub answer_bytes: f64,
    pub refused: u64,
    #[serde(flatten)]
    pub latency: LatencyReport,
}

/// Percentiles in microseconds.
#[derive(Serialize)]
pub struct LatencyReport {
    pub p50_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    pub max_us: u64,
}

impl Report {
    pub fn new(name: &str, connections: usize, rate: Option<f64>, seconds: f64, unsent: u64, tally: Tally) -> Report {
        let operations =
            tally.operations.iter().map(|(operation, counts)| OperationReport::new(*operation, counts, seconds));
        Report { name: name.to_owned(), connections, rate, seconds, unsent, operations: operations.collect() }
    }
}

/// Prints a report to stdout: as one line of JSON, or for people.
pub fn print(report: &(impl Serialize + fmt::Display), json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

impl OperationReport {
    fn new(operation: Operation, counts: &Tallied, seconds: f64) -> OperationReport {
        let requests = counts.latencies.len();
        // A run that measured nothing has no rate rather than an endless one.
        let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        OperationReport {
            operation: operation.name().to_owned(),
            requests,
            requests_per_second: per_second(requests),
            messages: counts.messages,
            messages_per_second: per_second(counts.messages),
            payload_bytes: counts.payload_bytes,
            answer_bytes: counts.answer_bytes as f64 / requests.max(1) as f64,
            refused: counts.refused,
            latency: LatencyReport::new(&counts.latencies),
        }
    }
}

impl LatencyReport {
    pub fn new(histogram: &Histogram<u64>) -> LatencyReport {
        LatencyReport {
            p50_us: histogram.value_at_quantile(0.5),
            p99_us: histogram.value_at_quantile(0.99),
            p999_us: histogram.value_at_quantile(0.999),
            max_us: histogram.max(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let loop_kind = match self.rate {
            Some(rate) => format!("open loop at {rate} requests/s"),
            None => "closed loop".to_owned(),
        };
        writeln!(f, "{}: {:.1} s, {} connections, {loop_kind}", self.name, self.seconds, self.connections)?;
        for operation in &self.operations {
            write!(f, "  {:<8} {:>9.0} requests/s", operation.operation, operation.requests_per_second)?;
            if operation.messages > 0 {
                write!(f, "  {:>9.0} messages/s", operation.messages_per_second)?;
            }
            writeln!(f, "  {}", operation.latency)?;
            if operation.refused > 0 {
                writeln!(f, "           {} requests were refused (429 or 503)", operation.refused)?;
            }
        }
        if self.unsent > 0 {
            writeln!(f, "  {} requests were due and never sent: the server is slower than the rate", self.unsent)?;
        }
        Ok(())
    }
}

impl fmt::Display for LatencyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |us: u64| us as f64 / 1_000.0;
        write!(
            f,
            "p50 {:.3}  p99 {:.3}  p99.9 {:.3}  max {:.3} ms",
            ms(self.p50_us),
            ms(self.p99_us),
            ms(self.p999_us),
            ms(self.max_us)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_added_up() {
        let mut sum = Tally::default();
        for (latency_ms, messages) in [(1, 10), (3, 20)] {
            let mut tally = Tally::default();
            tally.of(Operation::Publish).record(Duration::from_millis(latency_ms), messages, 7, 50);
            sum.add(tally);
        }
        sum.of(Operation::Publish).refused += 1;
        let report = Report::new("publish", 2, None, 2.0, 0, sum);
        let publish = &report.operations[0];
        assert_eq!((publish.requests, publish.messages, publish.payload_bytes, publish.refused), (2, 30, 14, 1));
        assert_eq!((publish.requests_per_second, publish.messages_per_second), (1.0, 15.0));
        assert_eq!(publish.latency.p50_us, 1_000);
        assert!((2_990..=3_010).contains(&publish.latency.max_us), "{}", publish.latency.max_us);
    }

    #[test]
    fn json_has_every_figure_on_one_line() {
        let mut tally = Tally::default();
        tally.of(Operation::Newest).record(Duration::from_micros(250), 0, 0, 9);
        let json = serde_json::to_value(Report::new("newest", 1, Some(5.0), 1.0, 2, tally)).expect("JSON");
        assert_eq!(json["unsent"], 2);
        assert_eq!(json["operations"][0]["operation"], "newest");
        assert_eq!(json["operations"][0]["p999_us"], 250);
    }
}
