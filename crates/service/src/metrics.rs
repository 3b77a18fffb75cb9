//! What is counted. Names and units are told where they are registered.

use crate::ring::Recent;
use model::TICKS_PER_SECOND;
use prometheus_client::{
    metrics::{
        counter::Counter,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// The service's metrics. Clones share their numbers.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub stored: Counter,
    pub live_only: Counter,
    pub batch_changes: Histogram,
    pub apply_seconds: Histogram,
    pub waiting: Gauge,
    pub looked_up: Counter,
    pub refused_requests: Counter,
    pub refused_batches: Counter,
    pub unknown_outcomes: Counter,
    pub ring_bytes: Gauge,
    pub page_hits: Counter,
    pub page_misses: Counter,
    pub page_bytes: Gauge,
    pub reads: Counter,
    pub refused_reads: Counter,
    pub subscriptions: Gauge,
    pub overflowed: Counter,
    pub cut_off: Counter,
}

impl Metrics {
    pub fn new() -> Metrics {
        Metrics {
            stored: Counter::default(),
            live_only: Counter::default(),
            batch_changes: Histogram::new(exponential_buckets(1.0, 2.0, 15)),
            apply_seconds: Histogram::new(exponential_buckets(0.000_05, 2.0, 18)),
            waiting: Gauge::default(),
            looked_up: Counter::default(),
            refused_requests: Counter::default(),
            refused_batches: Counter::default(),
            unknown_outcomes: Counter::default(),
            ring_bytes: Gauge::default(),
            page_hits: Counter::default(),
            page_misses: Counter::default(),
            page_bytes: Gauge::default(),
            reads: Counter::default(),
            refused_reads: Counter::default(),
            subscriptions: Gauge::default(),
            overflowed: Counter::default(),
            cut_off: Counter::default(),
        }
    }

    /// The store answered a batch of so many changes after so many ticks.
    pub fn applied(&self, changes: usize, ticks: u64) {
        self.batch_changes.observe(changes as f64);
        self.apply_seconds.observe(ticks as f64 / TICKS_PER_SECOND as f64);
    }

    /// These changes happened, and the ring has so many bytes.
    pub fn released(&self, changes: &[Recent], ring_bytes: usize) {
        self.ring_bytes.set(ring_bytes as i64);
        let stored = changes.iter().filter(|recent| recent.change.is_stored()).count();
        self.stored.inc_by(stored as u64);
        self.live_only.inc_by((changes.len() - stored) as u64);
    }

    pub fn register(&self, registry: &mut Registry) {
        registry.register("changes_stored", "Changes stored", self.stored.clone());
        registry.register("changes_live_only", "Signals and unstored messages", self.live_only.clone());
        registry.register("batch_changes", "Stored changes in a batch", self.batch_changes.clone());
        let apply = ("apply", "Time that the store took for a batch");
        registry.register_with_unit(apply.0, apply.1, Unit::Seconds, self.apply_seconds.clone());
        registry.register("publish_waiting", "Requests that the sequencer found waiting", self.waiting.clone());
        registry.register("looked_up", "Requests that had to be looked up", self.looked_up.clone());
        registry.register("publish_refused", "Requests refused because too many waited", self.refused_requests.clone());
        registry.register("batches_refused", "Batches that the store refused", self.refused_batches.clone());
        registry.register("outcomes_unknown", "Batches whose outcome had to be settled", self.unknown_outcomes.clone());
        registry.register_with_unit("ring", "Recent ring", Unit::Bytes, self.ring_bytes.clone());
        registry.register("page_hits", "Reads served from a hot page", self.page_hits.clone());
        registry.register("page_misses", "Reads that asked the store", self.page_misses.clone());
        registry.register_with_unit("pages", "Hot pages", Unit::Bytes, self.page_bytes.clone());
        registry.register("reads", "Reads of the store that may wait for a disk", self.reads.clone());
        registry.register("reads_refused", "Reads refused because too many waited", self.refused_reads.clone());
        registry.register("subscriptions", "Subscriptions that exist", self.subscriptions.clone());
        registry.register("subscribers_overflowed", "Mailboxes that were full", self.overflowed.clone());
        registry.register("subscribers_cut_off", "Subscribers cut off as too slow", self.cut_off.clone());
    }
}
