//! What the edge counts. All of it is registered once, with the program's registry.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use std::time::Duration;

/// Counters of sockets and requests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) connections: Gauge,
    pub(crate) requests: Gauge,
    answers: [Counter; 5],
    seconds: Histogram,
    pub(crate) refused_connections: Counter,
    pub(crate) refused_requests: Counter,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Class {
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct What {
    what: &'static str,
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
const SECONDS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

impl Metrics {
    /// Registers everything under names that begin with `http_`.
    pub fn register(registry: &mut Registry) -> Metrics {
        let answers = Family::<Class, Counter>::default();
        let refused = Family::<What, Counter>::default();
        let metrics = Metrics {
            connections: Gauge::default(),
            requests: Gauge::default(),
            answers: CLASSES.map(|status| answers.get_or_create_owned(&Class { status })),
            seconds: Histogram::new(SECONDS),
            refused_connections: refused.get_or_create_owned(&What { what: "connection" }),
            refused_requests: refused.get_or_create_owned(&What { what: "request" }),
        };
        registry.register("http_connections", "Open sockets", metrics.connections.clone());
        registry.register("http_requests_in_flight", "Requests being answered", metrics.requests.clone());
        registry.register("http_answers", "Answers by class of status", answers);
        registry.register("http_refused", "Refused at once because a bound was reached", refused);
        registry.register("http_answer_seconds", "From head of request to head of answer", metrics.seconds.clone());
        metrics
    }

    pub(crate) fn answered(&self, status: http::StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len());
        self.answers[class - 1].inc();
        self.seconds.observe(took.as_secs_f64());
    }
}
