//! Random publishes, deletions and queries, through the whole dialect, against the tables of `protocols/pubnub.md` §6.1 and
//! §7.5, read anew: what the tables say of a plain list is what the dialect must answer.

use crate::dialect::Dialect;
use proptest::{prelude::*, sample::Index};
use serde_json::Value;

/// A bound of a call: before everything, at a message that was published, beside one, or behind everything.
#[derive(Clone, Debug)]
enum Bound {
    Zero,
    At(Index),
    Before(Index),
    After(Index),
    Far,
}

#[derive(Clone, Debug)]
enum Step {
    Publish,
    Delete {
        start: Option<Bound>,
        end: Option<Bound>,
    },
    /// In the shape of v2, or of v3.
    History {
        start: Option<Bound>,
        end: Option<Bound>,
        reverse: bool,
        count: usize,
        v3: bool,
    },
    Count {
        after: Bound,
    },
}

fn bound() -> impl Strategy<Value = Bound> {
    prop_oneof![
        1 => Just(Bound::Zero),
        6 => any::<Index>().prop_map(Bound::At),
        2 => any::<Index>().prop_map(Bound::Before),
        2 => any::<Index>().prop_map(Bound::After),
        1 => Just(Bound::Far),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let some = || proptest::option::weighted(0.7, bound());
    prop_oneof![
        4 => Just(Step::Publish),
        1 => (some(), some()).prop_map(|(start, end)| Step::Delete { start, end }),
        4 => (some(), some(), any::<bool>(), 1usize..9, any::<bool>())
            .prop_map(|(start, end, reverse, count, v3)| Step::History { start, end, reverse, count, v3 }),
        1 => bound().prop_map(|after| Step::Count { after }),
    ]
}

/// What there is: the timetokens of all messages ever published, and those that are left with their payloads.
#[derive(Default)]
struct Table {
    tokens: Vec<u64>,
    left: Vec<(u64, u64)>,
}

impl Table {
    fn token(&self, bound: &Bound) -> u64 {
        let of = |index: &Index| if self.tokens.is_empty() { 1_000 } else { *index.get(&self.tokens) };
        match bound {
            Bound::Zero => 0,
            Bound::At(index) => of(index),
            Bound::Before(index) => of(index) - 1,
            Bound::After(index) => of(index) + 1,
            Bound::Far => 99_999_999_999_999_999,
        }
    }

    /// §6.1, row by row.
    fn history(&self, start: Option<u64>, end: Option<u64>, reverse: bool, count: usize) -> Vec<(u64, u64)> {
        let (oldest_first, fits): (bool, Box<dyn Fn(u64) -> bool>) = match (start, end) {
            (None, None) => (reverse, Box::new(|_| true)),
            (Some(s), None) if reverse => (true, Box::new(move |t| t > s)),
            (Some(s), None) => (false, Box::new(move |t| t < s)),
            (None, Some(e)) if reverse => (true, Box::new(move |t| t <= e)),
            (None, Some(e)) => (false, Box::new(move |t| t >= e)),
            (Some(s), Some(e)) if s > e => (false, Box::new(move |t| e <= t && t < s)),
            (Some(s), Some(e)) if s < e => (true, Box::new(move |t| s < t && t <= e)),
            (Some(_), Some(_)) => (true, Box::new(|_| false)),
        };
        let found: Vec<_> = self.left.iter().copied().filter(|(t, _)| fits(*t)).collect();
        let skipped = if oldest_first { 0 } else { found.len().saturating_sub(count) };
        found.into_iter().skip(skipped).take(count).collect()
    }

    /// §7.5, row by row.
    fn delete(&mut self, start: Option<u64>, end: Option<u64>) {
        self.left.retain(|(t, _)| !match (start, end) {
            (None, None) => true,
            (Some(s), None) => *t < s,
            (None, Some(e)) => *t >= e,
            (Some(s), Some(e)) if s < e => s < *t && *t <= e,
            (Some(s), Some(e)) => e <= *t && *t < s,
        });
    }
}

fn bounds(start: Option<u64>, end: Option<u64>) -> String {
    let one = |name: &str, token: Option<u64>| token.map_or(String::new(), |token| format!("&{name}={token}"));
    one("start", start) + &one("end", end)
}

fn token(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).or(value.as_u64()).expect("a timetoken")
}

async fn run(steps: Vec<Step>) {
    let dialect = Dialect::start();
    let mut table = Table::default();
    for (payload, step) in (1u64..).zip(steps) {
        match step {
            Step::Publish => {
                let sent = dialect.get(&format!("/publish/pub-c-demo/sub-c-demo/0/c/0/{payload}")).await;
                table.tokens.push(token(&sent[2]));
                table.left.push((token(&sent[2]), payload));
                dialect.clock.advance(10);
            }
            Step::Delete { start, end } => {
                let (start, end) = (start.map(|bound| table.token(&bound)), end.map(|bound| table.token(&bound)));
                let path = format!("/v3/history/sub-key/sub-c-demo/channel/c?uuid=u{}", bounds(start, end));
                let (status, answer) = dialect.ask("DELETE", &path, "").await;
                assert_eq!(status, 200, "{answer}");
                table.delete(start, end);
            }
            Step::History { start, end, reverse, count, v3 } => {
                let (start, end) = (start.map(|bound| table.token(&bound)), end.map(|bound| table.token(&bound)));
                let tail = format!("reverse={reverse}{}", bounds(start, end));
                let found = if v3 { fetch(&dialect, count, &tail).await } else { list(&dialect, count, &tail).await };
                assert_eq!(found, table.history(start, end, reverse, count), "v3: {v3}, count {count}, {tail}");
            }
            Step::Count { after } => {
                let after = table.token(&after);
                let path = format!("/v3/history/sub-key/sub-c-demo/message-counts/c?timetoken={after}");
                let expected = table.left.iter().filter(|(t, _)| *t > after).count();
                assert_eq!(dialect.get(&path).await["channels"]["c"], expected, "after {after}");
            }
        }
    }
}

async fn list(dialect: &Dialect, count: usize, tail: &str) -> Vec<(u64, u64)> {
    let path = format!("/v2/history/sub-key/sub-c-demo/channel/c?count={count}&include_token=true&{tail}");
    let answer = dialect.get(&path).await;
    let item = |item: &Value| (token(&item["timetoken"]), item["message"].as_u64().expect("a number"));
    let found: Vec<_> = answer[0].as_array().expect("messages").iter().map(item).collect();
    let ends = (found.first().map_or(0, |(t, _)| *t), found.last().map_or(0, |(t, _)| *t));
    assert_eq!((token(&answer[1]), token(&answer[2])), ends, "{tail}");
    found
}

async fn fetch(dialect: &Dialect, count: usize, tail: &str) -> Vec<(u64, u64)> {
    let answer = dialect.get(&format!("/v3/history/sub-key/sub-c-demo/channel/c?max={count}&{tail}")).await;
    let Some(messages) = answer["channels"]["c"].as_array() else { return Vec::new() };
    messages.iter().map(|item| (token(&item["timetoken"]), item["message"].as_u64().expect("a number"))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn history_and_deletion_are_what_the_tables_say(steps in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(run(steps));
    }

    /// This server's own parameters: forwards, page by page, by an author, until nothing more is said to be there.
    #[test]
    fn a_cursor_comes_to_every_message_of_an_author_once(
        authors in proptest::collection::vec(0u8..3, 1..40), limit in 1usize..6, forwards: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let dialect = Dialect::start();
            let mut expected = Vec::new();
            for (payload, author) in (0u64..).zip(authors) {
                dialect.get(&format!("/publish/pub-c-demo/sub-c-demo/0/c/0/{payload}?uuid=user-{author}")).await;
                if author == 1 {
                    expected.push(payload);
                }
            }
            let (name, mut cursor) = if forwards { ("after", 0) } else { ("start", 99_999_999_999_999_999) };
            let mut found = Vec::new();
            loop {
                let tail = format!("author=user-1&limit={limit}&{name}={cursor}");
                let answer = dialect.get(&format!("/v3/history/sub-key/sub-c-demo/channel/c?{tail}")).await;
                let empty = Vec::new();
                let messages = answer["channels"]["c"].as_array().unwrap_or(&empty);
                assert!(messages.len() <= limit);
                let page: Vec<u64> = messages.iter().map(|item| item["message"].as_u64().expect("a number")).collect();
                if forwards { found.extend(page) } else { found.splice(0..0, page); }
                let Some(more) = answer["more"]["c"].get(name) else { break };
                cursor = token(more);
            }
            assert_eq!(found, expected);
        });
    }
}
