//! What the requests of a run are: which channel, which page, which payload. Each connection has its own source of
//! them, seeded by the run's seed and the connection's number.

use super::{client::Target, payload::Payloads, zipf::Zipf};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// What a request does: told apart in the report.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Operation {
    Publish,
    Newest,
    Deep,
}

impl Operation {
    pub fn name(self) -> &'static str {
        match self {
            Operation::Publish => "publish",
            Operation::Newest => "newest",
            Operation::Deep => "deep",
        }
    }
}

/// What a run is made of. Shared by its connections.
pub enum Mix {
    Publish(Publishing),
    Read(Reading),
    /// Reads, and this share of publishes (0 to 1).
    Both(Reading, Publishing, f64),
    /// This many messages, evenly or by Zipf, then no more.
    Fill(Publishing, Filling),
}

/// How messages are published.
pub struct Publishing {
    pub channels: Arc<Zipf>,
    pub payloads: Payloads,
    /// Messages in a request, all to one channel.
    pub batch: u64,
}

/// How pages are read.
pub struct Reading {
    pub channels: Arc<Zipf>,
    pub limit: u32,
    /// Raw ids, one of which at random is the page's upper bound; `None` = the newest page.
    pub before: Option<RangeInclusive<u64>>,
}

/// How much is filled in, and where.
pub struct Filling {
    /// All messages of the run.
    pub messages: u64,
    /// `Some(n)`: request k goes to channel k modulo n; `None`: as [`Publishing::channels`] draws.
    pub even_over: Option<u64>,
    /// Messages given out so far.
    pub drawn: AtomicU64,
}

/// One request.
pub struct Step {
    pub operation: Operation,
    pub request: Request<Full<Bytes>>,
    /// Messages that it publishes.
    pub messages: u64,
    /// Bytes of payload that it publishes.
    pub payload_bytes: u64,
    /// A refusal ends the run: what is filled in must be there.
    pub must_succeed: bool,
}

/// The requests of one connection.
pub struct Work {
    target: Target,
    mix: Arc<Mix>,
    random: StdRng,
}

impl Work {
    pub fn new(target: Target, mix: Arc<Mix>, seed: u64, connection: usize) -> Work {
        // A large odd step: neighbouring seeds do not share connections.
        let random = StdRng::seed_from_u64(seed.wrapping_add((connection as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        Work { target, mix, random }
    }

    /// The next request, or `None` when everything is done.
    pub fn next(&mut self) -> Option<Step> {
        let mix = self.mix.clone();
        match &*mix {
            Mix::Publish(publishing) => Some(self.publish_to_any(publishing)),
            Mix::Read(reading) => Some(self.read(reading)),
            Mix::Both(reading, publishing, share) => Some(match self.random.random::<f64>() < *share {
                true => self.publish_to_any(publishing),
                false => self.read(reading),
            }),
            Mix::Fill(publishing, filling) => {
                let first = filling.drawn.fetch_add(publishing.batch, Ordering::Relaxed);
                let messages = filling.messages.saturating_sub(first).min(publishing.batch);
                let channel = match filling.even_over {
                    Some(channels) => first / publishing.batch % channels,
                    None => publishing.channels.draw(&mut self.random) as u64,
                };
                (messages > 0).then(|| Step { must_succeed: true, ..self.publish(publishing, channel, messages) })
            }
        }
    }

    fn publish_to_any(&mut self, publishing: &Publishing) -> Step {
        let channel = publishing.channels.draw(&mut self.random) as u64;
        self.publish(publishing, channel, publishing.batch)
    }

    fn publish(&mut self, publishing: &Publishing, channel: u64, messages: u64) -> Step {
        let mut json = String::new();
        let mut payload_bytes = 0;
        for number in 0..messages {
            json.push_str(if number == 0 { "{\"payload\":" } else { ",{\"payload\":" });
            let start = json.len();
            publishing.payloads.write(&mut self.random, &mut json);
            payload_bytes += (json.len() - start) as u64;
            json.push('}');
        }
        if publishing.batch > 1 {
            json = format!("[{json}]");
        }
        let request = self.target.post(&format!("{}/messages", channel_name(channel)), json);
        Step { operation: Operation::Publish, request, messages, payload_bytes, must_succeed: false }
    }

    fn read(&mut self, reading: &Reading) -> Step {
        let channel = channel_name(reading.channels.draw(&mut self.random) as u64);
        let limit = reading.limit;
        let (operation, rest) = match reading.before.clone() {
            None => (Operation::Newest, format!("{channel}/messages?limit={limit}")),
            Some(range) => {
                let before = self.random.random_range(range);
                (Operation::Deep, format!("{channel}/messages?limit={limit}&before={before}"))
            }
        };
        Step { operation, request: self.target.get(&rest), messages: 0, payload_bytes: 0, must_succeed: false }
    }
}

/// The name of the channel with this number.
pub fn channel_name(number: u64) -> String {
    format!("bench-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::payload::PayloadKind;

    fn publishing(batch: u64) -> Publishing {
        let payloads = Payloads::new(PayloadKind::Fixed(10));
        Publishing { channels: Arc::new(Zipf::new(5, 1.0)), payloads, batch }
    }

    fn work(mix: Mix) -> Work {
        let target = Target::new("http://127.0.0.1:1", "demo", "key").expect("a target");
        Work::new(target, Arc::new(mix), 1, 0)
    }

    #[test]
    fn filling_stops_at_its_number_of_messages() {
        let filling = Filling { messages: 25, even_over: Some(2), drawn: AtomicU64::new(0) };
        let mut work = work(Mix::Fill(publishing(10), filling));
        let steps: Vec<Step> = std::iter::from_fn(|| work.next()).collect();
        assert_eq!(steps.iter().map(|step| step.messages).collect::<Vec<_>>(), [10, 10, 5]);
        let paths: Vec<&str> = steps.iter().map(|step| step.request.uri().path()).collect();
        let (even, odd) = ("/v1/apps/demo/channels/bench-0/messages", "/v1/apps/demo/channels/bench-1/messages");
        assert_eq!(paths, [even, odd, even]);
        assert_eq!(steps[0].payload_bytes, 100);
    }

    #[test]
    fn a_mix_has_its_share_of_publishes() {
        let reading = Reading { channels: Arc::new(Zipf::new(5, 1.0)), limit: 100, before: None };
        let mut work = work(Mix::Both(reading, publishing(1), 0.25));
        let publishes = (0..4_000).filter(|_| work.next().is_some_and(|step| step.messages > 0)).count();
        assert!((800..1_200).contains(&publishes), "{publishes}");
    }

    #[test]
    fn a_deep_page_lies_inside_its_range() {
        let reading = Reading { channels: Arc::new(Zipf::new(1, 1.0)), limit: 7, before: Some(40..=41) };
        let step = work(Mix::Read(reading)).next().expect("reads do not end");
        let query = step.request.uri().query().expect("a query").to_owned();
        assert!(["limit=7&before=40", "limit=7&before=41"].contains(&query.as_str()), "{query}");
    }
}
