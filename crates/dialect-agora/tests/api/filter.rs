//! Every query against the plainest reading of the vendor's table (`protocols/agora-rtm.md` §3.1): a filter over all
//! messages. Any source, destination, times, offset, limit and order; the count is what the pages have together, and
//! descending is the exact reverse of ascending.

use crate::house::*;
use model::{ChannelName, Clock, Origin, TICKS_PER_MS};
use proptest::prelude::*;
use serde_json::{Value, json};
use service::{Access, Caller};
use std::sync::Arc;

/// Users and channels bear the same names.
const NAMES: [&str; 4] = ["ann", "bob", "x y", "room"];

#[derive(Clone, Debug)]
enum Step {
    /// From one name to the channel of another.
    Say(usize, usize),
    /// From one name to another.
    Tell(usize, usize),
    /// Through another dialect, to a channel.
    Publish(usize, usize),
    /// Time passes, in milliseconds.
    Wait(u64),
    /// A message that is there is deleted.
    Delete(usize),
}

/// What is known of a message that is there.
#[derive(Clone, Debug)]
struct Said {
    from: usize,
    to: usize,
    is_peer: bool,
    ms: u64,
    text: String,
}

#[derive(Clone, Debug)]
struct Question {
    from: Option<usize>,
    to: Option<usize>,
    between: bool,
    times: (u64, u64),
    offset: usize,
    limit: usize,
}

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..NAMES.len();
    prop_oneof![
        4 => (name(), name()).prop_map(|(from, to)| Step::Say(from, to)),
        4 => (name(), name()).prop_map(|(from, to)| Step::Tell(from, to)),
        2 => (name(), name()).prop_map(|(from, to)| Step::Publish(from, to)),
        2 => (0_u64..3).prop_map(Step::Wait),
        1 => (0_usize..100).prop_map(Step::Delete),
    ]
}

fn question() -> impl Strategy<Value = Question> {
    let name = || proptest::option::of(0..NAMES.len());
    let times = (0_u64..60, 0_u64..60).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let limits = prop_oneof![Just(1_usize), Just(7), Just(20), Just(100)];
    (name(), name(), any::<bool>(), times, 0_usize..30, limits)
        .prop_filter("one of both is needed", |(from, to, ..)| from.is_some() || to.is_some())
        .prop_map(|(from, to, between, times, offset, limit)| Question { from, to, between, times, offset, limit })
}

impl Question {
    fn is_between(&self) -> bool {
        self.between && self.from.is_some() && self.to.is_some()
    }

    /// The table of §3.1, read plainly.
    fn selects(&self, said: &Said, began_ms: u64) -> bool {
        let in_time = (began_ms + self.times.0..=began_ms + self.times.1).contains(&said.ms);
        let straight = self.from.is_none_or(|from| said.from == from) && self.to.is_none_or(|to| said.to == to);
        let back = self.from == Some(said.to) && self.to == Some(said.from);
        in_time && if self.is_between() { said.is_peer && (straight || back) } else { straight }
    }

    fn filter(&self, began_ms: u64) -> Value {
        let name = |at: Option<usize>| at.map(|at| NAMES[at]);
        let mut filter = match self.is_between() {
            true => json!({"between": [name(self.from), name(self.to)]}),
            false => json!({"source": name(self.from), "destination": name(self.to)}),
        };
        filter["start_time"] = time(began_ms + self.times.0).into();
        filter["end_time"] = time(began_ms + self.times.1).into();
        filter
    }

    fn parameters(&self, began_ms: u64) -> String {
        let name = |at: Option<usize>| at.map_or("", |at| NAMES[at]).replace(' ', "%20");
        let who = match self.is_between() {
            true => format!("between={}&between={}", name(self.from), name(self.to)),
            false => format!("source={}&destination={}", name(self.from), name(self.to)),
        };
        format!("{who}&start_time={}&end_time={}", time(began_ms + self.times.0), time(began_ms + self.times.1))
    }
}

/// A time as callers write it.
fn time(ms: u64) -> String {
    let moment = jiff::Timestamp::from_millisecond(ms as i64).expect("a time of today");
    moment.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

async fn play(house: &House, steps: &[Step]) -> Vec<Said> {
    let mut all: Vec<Said> = Vec::new();
    let mut ids: Vec<(model::Id, ChannelName)> = Vec::new();
    for (n, step) in steps.iter().enumerate() {
        let text = format!("m{n}");
        let named = |at: usize| ChannelName::named(NAMES[at]).expect("a name");
        let (from, to, is_peer, id) = match *step {
            Step::Say(from, to) => {
                let sent = house.say(&NAMES[from].replace(' ', "%20"), NAMES[to], &text).await;
                (from, to, false, sent["id"].as_str().expect("an id").parse().expect("a number"))
            }
            Step::Tell(from, to) => {
                let sent = house.tell(&NAMES[from].replace(' ', "%20"), NAMES[to], &text).await;
                (from, to, true, sent["id"].as_str().expect("an id").parse().expect("a number"))
            }
            Step::Publish(from, to) => {
                let payload = model::Payload { form: model::PayloadForm::Text, bytes: text.clone().into() };
                let published = house.publish(&named(to), Some((Origin::Pubnub, NAMES[from])), payload).await;
                (from, to, false, published.id.raw())
            }
            Step::Wait(ms) => {
                house.later(ms);
                continue;
            }
            Step::Delete(nth) => {
                if !all.is_empty() {
                    let nth = nth % all.len();
                    let (id, name) = ids.remove(nth);
                    all.remove(nth);
                    let admin = Caller { app: app(), user: None, access: Arc::new(Access::admin()) };
                    let channel = model::Channel { app: app(), name };
                    house.channels.delete(&admin, &channel, model::Target::Ids(vec![id])).await.expect("it is deleted");
                }
                continue;
            }
        };
        let id = model::Id::from_raw(id);
        let place = match is_peer {
            true => ChannelName::direct(&format!("agora/{}", NAMES[from]), &format!("agora/{}", NAMES[to])),
            false => named(to),
        };
        all.push(Said { from, to, is_peer, ms: id.unix_ms(), text });
        ids.push((id, place));
    }
    all
}

async fn check(steps: Vec<Step>, questions: Vec<Question>) {
    let house = House::new().await;
    let began_ms = house.clock.now_ticks() / TICKS_PER_MS;
    let all = play(&house, &steps).await;
    for question in questions {
        let fits = all.iter().filter(|said| question.selects(said, began_ms));
        let expected: Vec<&Said> = fits.collect();
        assert_eq!(house.count(&question.parameters(began_ms)).await, expected.len() as u64, "{question:?}");
        for order in ["asc", "desc"] {
            let mut ordered = expected.clone();
            if order == "desc" {
                ordered.reverse();
            }
            let filter = question.filter(began_ms);
            let Question { offset, limit, .. } = question;
            let body = json!({"filter": filter, "offset": offset, "limit": limit, "order": order});
            let page = house.page(&body).await;
            let rows: Vec<&Said> = ordered.iter().skip(offset).take(limit).copied().collect();
            assert_eq!(
                payloads(&page),
                rows.iter().map(|said| &*said.text).collect::<Vec<_>>(),
                "{question:?} {order}"
            );
            for (message, said) in page["messages"].as_array().expect("messages").iter().zip(&rows) {
                assert_eq!((&message["src"], &message["dst"]), (&json!(NAMES[said.from]), &json!(NAMES[said.to])));
                let kind = if said.is_peer { "peer_message" } else { "group_message" };
                assert_eq!((&message["message_type"], &message["ms"]), (&json!(kind), &json!(said.ms)));
            }
            let is_last = offset + limit >= ordered.len();
            assert_eq!(page["cursor"].is_null(), is_last, "{question:?} {order}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pages_and_counts_are_what_a_plain_filter_says(
        steps in proptest::collection::vec(step(), 0..80),
        questions in proptest::collection::vec(question(), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(check(steps, questions));
    }
}
