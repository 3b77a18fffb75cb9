//! Promises about pages of a channel.

use super::{Bench, StoreUnderTest, numbered, window};
use crate::{Fields, channel, user};
use model::{
    Author, Channel, Effort, Id, Message, Order, Origin, Page, Position, RemovedCount, Seq, Span, Window, limits,
};
use std::sync::Arc;

const ORDERS: [Order; 2] = [Order::Ascending, Order::Descending];

/// A channel without a stored message reads as an empty page that covers everything.
pub fn an_unknown_channel_is_an_empty_page<S: StoreUnderTest>(open: impl Fn() -> S) {
    let bench = Bench::open(open);
    let page = bench.store().read(&channel("nowhere"), &window(Span::ALL, Order::Descending, 10), Effort::Disk);
    let empty = Page {
        messages: Vec::new(),
        covered: Span::ALL,
        more: false,
        removed: RemovedCount::default(),
        floor: Position::default(),
        head: Position::default(),
        next_expiry: None,
    };
    assert_eq!(page.expect("reads work"), Some(empty));
}

/// Every shape of span, in both orders, with limits of nothing, one, some, all and more.
pub fn a_page_is_what_its_span_and_limit_say<S: StoreUnderTest>(open: impl Fn() -> S) {
    let (bench, room, all) = mixed_room(open);
    let mut borders = vec![Id::MIN, Id::from_raw(1), Id::MAX];
    for message in [&all[0], &all[1], &all[9], &all[20], &all[39]] {
        let raw = message.id.raw();
        borders.extend([raw - 1, raw, raw + 1].map(Id::from_raw));
    }
    for &after in &borders {
        for &upto in &borders {
            for order in ORDERS {
                for limit in [0, 1, 7, 40, u32::MAX] {
                    bench.page(&room, &window(Span { after, upto }, order, limit), &all);
                }
            }
        }
    }
}

/// Going on where `covered` ended meets each message exactly once, with every step, also when all were moved to where
/// old messages are kept and new ones came on top.
pub fn paging_by_covered_visits_each_message_once<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let room = channel("long");
    let mut all = Vec::new();
    for part in 0..5 {
        all.extend(bench.publish_all(&room, numbered(part * 70..part * 70 + 70)));
        bench.publish_all(&channel("beside"), numbered(0..3));
        if part % 2 == 1 {
            bench.tested.flush();
        }
    }
    for step in [1, 2, 7, 64, 128, 349, 350, 351] {
        let visited = bench.walk(&room, &window(Span::ALL, Order::Ascending, step), &all);
        assert!(visited == all, "upwards in steps of {step}");
        let mut visited = bench.walk(&room, &window(Span::ALL, Order::Descending, step), &all);
        visited.reverse();
        assert!(visited == all, "downwards in steps of {step}");
    }
}

/// Only messages of the author, of the type, of both; paging through a rare author visits all of them.
pub fn pages_filter_by_author_and_type<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let room = channel("filtered");
    let mut all = Vec::new();
    for n in 0..600 {
        let author = (n % 3 != 0).then(|| user(if n % 100 == 1 { "rare" } else { "ann" }));
        let custom_type = (n % 2 == 0).then(|| "note".into());
        let fields = Fields { author, custom_type, ..Fields::default() };
        all.push(bench.builder.publish_with(&room, &format!("text {n}"), fields));
        if n % 200 == 199 {
            bench.apply();
            bench.tested.flush();
        }
    }
    let unverified = model::UserId { verified: false, ..user("ann") };
    let of_pubnub = model::UserId { origin: Origin::Pubnub, ..unverified.clone() };
    for author in [&unverified, &of_pubnub, &of_pubnub] {
        let fields = Fields { author: Some(author.clone()), ..Fields::default() };
        all.push(bench.builder.publish_with(&room, "another ann", fields));
    }
    bench.apply();
    let anybody = Author { id: "ann".into(), origin: None, verified: None };
    let authors = [
        None,
        Some(Author::exactly(&user("rare"))),
        Some(Author::exactly(&user("ann"))),
        Some(Author::exactly(&user("nobody"))),
        Some(Author::exactly(&unverified)),
        Some(Author::person(&unverified)),
        Some(Author { origin: Some(Origin::Pubnub), ..anybody.clone() }),
        Some(anybody),
    ];
    for (author, custom_type, order) in combinations(&authors, &[None, Some("note".into()), Some("other".into())]) {
        for step in [1, 10, 1000] {
            let window =
                Window { author: author.clone(), custom_type: custom_type.clone(), ..window(Span::ALL, order, step) };
            let visited = bench.walk(&room, &window, &all).len();
            let wanted = |m: &&Arc<Message>| {
                author.as_ref().is_none_or(|author| m.author.as_ref().is_some_and(|user| author.is(user)))
                    && (custom_type.is_none() || custom_type == m.custom_type)
            };
            assert_eq!(visited, all.iter().filter(wanted).count(), "{window:?}");
        }
    }
}

/// `above` hides what has no greater seq, in pages, in what they say about the rest, and in counts.
pub fn a_seq_bound_cuts_like_a_span<S: StoreUnderTest>(open: impl Fn() -> S) {
    let (bench, room, all) = mixed_room(open);
    for above in [i64::MIN, -7, 0, 1, 17, 38, 39, 40, 41, i64::MAX].map(Seq) {
        for order in ORDERS {
            for step in [0, 1, 5, 50] {
                let window = Window { above, ..window(Span::ALL, order, step) };
                bench.page(&room, &window, &all);
                if step > 0 {
                    assert_eq!(bench.walk(&room, &window, &all).len(), Seq(40).above(above.max(Seq::START)) as usize);
                }
            }
        }
        let span = Span { after: all[9].id, upto: all[29].id };
        let count = bench.store().count(&room, span, above, Id::MIN).expect("counting works");
        assert_eq!(count, all.iter().filter(|m| span.contains(m.id) && m.seq > above).count() as u64, "{above:?}");
    }
}

/// A message with an end is there before it and hidden from it on; pages and counts agree and say how many are gone.
pub fn what_is_due_is_hidden_and_told<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let room = channel("fading");
    let start = bench.builder.next_id();
    let due = |n: u64| Id::new(start.ticks() + 1000 * (n * 7 % 20 + 1), 0);
    let mut all = Vec::new();
    for n in 0..40 {
        let fields = Fields { expires_at: (n % 4 != 0).then(|| due(n)), ..Fields::default() };
        all.push(bench.builder.publish_with(&room, &format!("text {n}"), fields));
    }
    bench.apply();
    for flushed in [false, true] {
        if flushed {
            bench.tested.flush();
        }
        for now in (0..20).map(due).flat_map(|due| [due.previous(), due]).chain([Id::MIN, Id::MAX]) {
            for order in ORDERS {
                for step in [1, 4, 100] {
                    let window = Window { now, ..window(Span::ALL, order, step) };
                    let visible = all.iter().filter(|m| m.expires_at.is_none_or(|due| due > now)).count();
                    assert_eq!(bench.walk(&room, &window, &all).len(), visible, "{window:?}");
                    let count = bench.store().count(&room, Span::ALL, Seq::NONE, now).expect("counting works");
                    assert_eq!(count, visible as u64, "count at {now:?}");
                }
            }
        }
    }
}

/// A page ends after the message that crosses the bound of bytes, says so, and the next one goes on there.
pub fn a_page_stops_at_its_bound_of_bytes<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let room = channel("heavy");
    let mut all = Vec::new();
    for n in 0..10_u8 {
        let text = char::from(b'a' + n).to_string().repeat(limits::PAGE_BYTES / 6);
        all.push(bench.builder.publish(&room, &text));
        if n % 2 == 1 {
            bench.apply();
        }
    }
    for order in ORDERS {
        let page = bench.page(&room, &window(Span::ALL, order, 100), &all);
        assert!(page.more && page.messages.len() == 7, "{} messages, more: {}", page.messages.len(), page.more);
        assert_eq!(bench.walk(&room, &window(Span::ALL, order, 100), &all).len(), 10);
    }
}

/// The largest payloads come back as they went in, from where new messages are kept and from where old ones are.
pub fn large_payloads_come_back_byte_for_byte<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let room = channel("large");
    let text: String = (0..limits::PAYLOAD_BYTES as u64).map(|n| char::from(b' ' + (n * n % 89) as u8)).collect();
    let mut all = bench.publish_all(&room, [text.clone(), "small".into()]);
    all.extend(bench.publish_all(&room, [text]));
    bench.page(&room, &window(Span::ALL, Order::Ascending, 10), &all);
    bench.tested.flush();
    let bench = bench.restart();
    bench.page(&room, &window(Span::ALL, Order::Descending, 10), &all);
}

/// 40 messages, half of them where old ones are kept, with ids that leave room between them.
fn mixed_room<S: StoreUnderTest>(open: impl Fn() -> S) -> (Bench<S>, Channel, Vec<Arc<Message>>) {
    let mut bench = Bench::open(open);
    let room = channel("mixed");
    let mut all = Vec::new();
    for part in 0..4 {
        for text in numbered(part * 10..part * 10 + 10) {
            bench.builder.pass_ticks(3);
            all.push(bench.builder.publish(&room, &text));
            bench.builder.publish(&channel("beside"), "noise");
        }
        bench.apply();
        if part == 1 {
            bench.tested.flush();
        }
    }
    (bench, room, all)
}

type Filter = (Option<Author>, Option<Arc<str>>, Order);

fn combinations(authors: &[Option<Author>], types: &[Option<Arc<str>>]) -> Vec<Filter> {
    let mut combinations = Vec::new();
    for author in authors {
        for custom_type in types {
            combinations.extend(ORDERS.map(|order| (author.clone(), custom_type.clone(), order)));
        }
    }
    combinations
}
