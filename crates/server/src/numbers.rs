//! Counters and gauges that are read where they are when somebody asks for the metrics.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

/// A name, what it is for people, and how much it is now.
pub type Number = (&'static str, &'static str, u64);

/// Numbers of one part of the program.
pub struct Numbers {
    pub counters: Vec<Number>,
    pub gauges: Vec<Number>,
}

/// Shows what `read` says whenever somebody asks.
pub fn register(registry: &mut Registry, read: impl Fn() -> Numbers + Send + Sync + 'static) {
    registry.register_collector(Box::new(Reading(Box::new(read))));
}

struct Reading(Box<dyn Fn() -> Numbers + Send + Sync>);

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reading")
    }
}

impl Collector for Reading {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let Numbers { counters, gauges } = (self.0)();
        for (name, help, value) in counters {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(metric)?;
        }
        for (name, help, value) in gauges {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(metric)?;
        }
        Ok(())
    }
}
