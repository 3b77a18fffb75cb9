//! Promises about everything beside pages: heads, counts, keys, the feed, the recent changes, channels, records.

use super::{Bench, StoreUnderTest, agreed, numbered};
use crate::{FIRST_TICK, Fields, app, channel, judge, setting};
use model::{
    AppId, Change, Channel, ChannelName, FeedItem, FeedKind, Head, Id, IdempotencyKey, Keyed, Message, RecordKey,
    RecordKind, Seq, ShardId, Span, TICKS_PER_SECOND,
};
use std::sync::Arc;

/// Heads come in the order asked, doubled when asked twice, and as nothing for a channel without messages.
pub fn heads_come_in_the_order_asked<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let (one, two, none) = (channel("one"), channel("two"), channel("none"));
    bench.publish_all(&one, numbered(0..3));
    bench.publish_all(&two, numbered(0..2));
    bench.tested.flush();
    let last = bench.publish_all(&one, numbered(3..5)).pop().expect("two were published");
    let heads = bench.store().heads(&[two.clone(), none, one.clone(), two]).expect("heads are read");
    let told: Vec<_> = heads.iter().map(|head| (head.number.0, head.last.seq.0)).collect();
    assert_eq!(told, [(2, 2), (0, 0), (1, 5), (2, 2)]);
    assert_eq!((heads[1], heads[2].last.id), (Head::default(), last.id));
    assert_eq!(bench.store().heads(&[]).expect("heads of nothing"), []);
}

/// A count of any span is the number of messages in it.
pub fn counts_are_exact_for_any_span<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let room = channel("counted");
    let mut all: Vec<Arc<Message>> = Vec::new();
    for part in 0..3 {
        all.extend(bench.publish_all(&room, numbered(part * 150..part * 150 + 150)));
        bench.publish_all(&channel("beside"), numbered(0..3));
        if part < 2 {
            bench.tested.flush();
        }
    }
    let picks = [0, 1, 7, 8, 127, 128, 129, 255, 256, 300, 301, 448, 449];
    let mut borders: Vec<Id> = picks.iter().flat_map(|&n| [all[n].id.previous(), all[n].id]).collect();
    borders.extend([Id::MIN, Id::MAX]);
    for &after in &borders {
        for &upto in &borders {
            let span = Span { after, upto };
            let count = bench.store().count(&room, span, Seq::NONE, Id::MIN).expect("counting works");
            assert_eq!(count, all.iter().filter(|m| span.contains(m.id)).count() as u64, "{span:?}");
        }
    }
    let nowhere = bench.store().count(&channel("nowhere"), Span::ALL, Seq::NONE, Id::MIN);
    assert_eq!(nowhere.expect("counting works"), 0);
}

/// A keyed publish is found on its UTC day and the day after, in its channel only, also after a restart.
pub fn keys_are_remembered_for_two_utc_days<S: StoreUnderTest>(open: impl Fn() -> S) {
    const DAY: u64 = 86_400 * TICKS_PER_SECOND;
    let mut bench = Bench::open(open);
    let (room, beside) = (channel("keyed"), channel("beside"));
    let midnight = FIRST_TICK / DAY * DAY + DAY;
    let at_noon = publish_keyed(&mut bench, &room, 6);
    bench.builder.pass_ticks(midnight - 1 - bench.builder.next_id().ticks());
    let last_of_day = publish_keyed(&mut bench, &room, 7);
    let first_of_next = publish_keyed(&mut bench, &room, 8);
    assert_eq!((last_of_day.id.ticks(), first_of_next.id.ticks()), (midnight - 1, midnight));
    for moved in [false, true] {
        if moved {
            bench.tested.flush();
            bench = bench.restart();
        }
        let keyed = |channel, key, ticks| bench.store().keyed(channel, key, Id::new(ticks, 0)).expect("keys are read");
        assert_eq!(keyed(&room, 7, midnight), Some(last_of_day));
        assert_eq!(keyed(&room, 8, midnight), Some(first_of_next));
        assert_eq!(keyed(&room, 6, midnight + DAY - 1), Some(at_noon), "35 hours later and on the day after");
        assert_eq!(keyed(&room, 7, midnight + DAY - 1), Some(last_of_day));
        assert_eq!(keyed(&room, 7, midnight + DAY), None, "two days later");
        assert_eq!(keyed(&room, 8, midnight + DAY), Some(first_of_next));
        assert_eq!(keyed(&room, 8, midnight + 2 * DAY), None, "two days later");
        assert_eq!(keyed(&room, 9, midnight), None, "another key");
        assert_eq!(keyed(&beside, 7, midnight), None, "another channel");
    }
}

/// The feed tells every stored change of a span once, in order, up to its limit, and how far it looked.
pub fn the_feed_tells_each_change_of_a_span_once<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let mut all = Vec::new();
    for n in 0..60_u32 {
        let room = channel(&format!("room {}", n % 4));
        if n % 5 == 0 {
            let id = bench.builder.set(&setting(&n.to_be_bytes()), (n % 10 == 0).then_some(b"value"));
            all.push(FeedItem { id, channel: None, kind: FeedKind::Record });
        } else {
            let id = bench.builder.publish(&room, "text").id;
            all.push(FeedItem { id, channel: Some(room), kind: FeedKind::Published });
        }
        if n % 7 == 6 {
            bench.apply();
        }
        if n == 40 {
            bench.tested.flush();
        }
    }
    bench.apply();
    let borders = [0, 1, 20, 41, 59].map(|n: usize| all[n].id);
    let borders: Vec<Id> = borders.into_iter().flat_map(|id| [id.previous(), id]).chain([Id::MIN, Id::MAX]).collect();
    for (after, upto) in borders.iter().flat_map(|&after| borders.iter().map(move |&upto| (after, upto))) {
        for limit in [0, 1, 13, 60, u32::MAX] {
            check_feed(&bench, Span { after, upto }, limit, &all);
        }
    }
    let other_shard = bench.store().feed(ShardId(1), Span::ALL, 10).expect("the feed is read");
    assert!(other_shard.items.is_empty() && !other_shard.more, "the feed of a shard without changes");
}

/// What refills the ring is a gapless end of everything that was stored, named by the id before it, within its bytes.
pub fn recent_changes_are_an_end_of_all_without_a_hole<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let mut all: Vec<Arc<Change>> = Vec::new();
    for n in 0..50 {
        bench.builder.publish(&channel(&format!("room {}", n % 3)), &"x".repeat(n * 10));
        bench.builder.set(&setting(b"counter"), Some(&[n as u8]));
        let batch = bench.builder.batch();
        bench.store().apply(&batch).expect("a valid batch is applied");
        all.extend(batch.changes);
        match n {
            20 => bench.tested.flush(),
            30 => bench = bench.restart(),
            40 => bench = bench.crash(),
            _ => {}
        }
        for bytes in [0, 1000, 5000, usize::MAX] {
            let recent = bench.store().recent(bench.builder.shard(), bytes).expect("the newest changes");
            agreed(judge::recent(&recent, bytes, &all), bytes);
        }
    }
}

/// Channels are listed in byte order of their names, by prefix, after a name, up to a limit, in their own app only,
/// and nothing but names in the clear.
pub fn channels_are_listed_in_byte_order<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let mut names = strange_names();
    let other_app = AppId::new("demo2").expect("the name is valid");
    for (n, name) in names.iter().enumerate() {
        bench.builder.publish(&channel(name), name);
        if n % 10 == 9 {
            bench.apply();
        }
        if n == 20 {
            bench.tested.flush();
        }
    }
    bench.builder.publish(&Channel { app: other_app.clone(), ..channel("a/other") }, "in another app");
    bench.builder.publish(&Channel { app: app(), name: ChannelName::Member(1, 2) }, "in a community");
    bench.builder.publish(&Channel { app: app(), name: ChannelName::direct("a", "b") }, "to a friend");
    bench.apply();
    names.sort_unstable();
    let bench = bench.crash();
    let afters: Vec<Option<String>> = [None].into_iter().chain(names.iter().cloned().map(Some)).collect();
    for prefix in ["", "a", "a/", "ä", "room", "room/1", "\u{10ffff}", "no such", "member", "direct", &names[3]] {
        for after in afters.iter().chain(&[Some("a/a".into()), Some("~".into())]) {
            for limit in [0, 1, 5, u32::MAX] {
                check_listing(&bench, &names, prefix, after.as_deref(), limit);
            }
        }
    }
    let others = bench.store().channels(&other_app, "", None, 10).expect("channels are listed");
    assert_eq!(others.len(), 1, "each app lists its own channels");
}

/// All channels of an app are listed once, those in the clear first and in byte order, from page to page.
pub fn all_channels_are_listed_once<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let named = |text: &str| ChannelName::named(text).expect("tests give valid names");
    let mut names: Vec<ChannelName> = strange_names().iter().map(|name| named(name)).collect();
    names.extend([ChannelName::Member(1, 2), ChannelName::Member(u64::MAX, 0), ChannelName::Member(0, u64::MAX)]);
    names.extend([ChannelName::direct("a", "bc"), ChannelName::direct("ab", "c"), ChannelName::direct("ä", "🎉")]);
    let other_app = AppId::new("demo2").expect("the name is valid");
    for (n, name) in names.iter().enumerate() {
        bench.builder.publish(&Channel { app: app(), name: name.clone() }, "text");
        bench.builder.publish(&Channel { app: other_app.clone(), name: name.clone() }, "in another app");
        if n % 7 == 6 {
            bench.apply();
        }
        if n == 20 || n + 3 == names.len() {
            bench.apply();
            bench.tested.flush();
        }
    }
    bench.apply();
    names.sort_unstable();
    let bench = bench.crash();
    for limit in [1, 2, 5, u32::MAX] {
        let mut listed: Vec<ChannelName> = Vec::new();
        loop {
            let page = bench.store().all_channels(&app(), listed.last(), limit).expect("channels are listed");
            for entry in &page {
                let heads = bench.store().heads(std::slice::from_ref(&entry.channel)).expect("heads are read");
                assert_eq!((&entry.channel.app, heads), (&app(), vec![entry.head]), "{:?}", entry.channel);
            }
            let complete = page.len() < limit as usize;
            listed.extend(page.into_iter().map(|entry| entry.channel.name));
            assert!(listed.len() <= names.len(), "paging comes to an end");
            if complete {
                break;
            }
        }
        let in_the_clear = |names: &[ChannelName]| {
            names.iter().filter_map(ChannelName::as_named).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(in_the_clear(&listed), in_the_clear(&names), "in byte order, {limit} at a time");
        assert!(listed[in_the_clear(&names).len()..].iter().all(|name| name.as_named().is_none()), "the others behind");
        listed.sort_unstable();
        assert_eq!(listed, names, "all of them, {limit} at a time");
    }
    assert_eq!(bench.store().all_channels(&app(), None, 0).expect("channels are listed"), []);
}

/// Any name that is valid keeps its own history, however close it is to another one.
pub fn names_of_any_letters_are_told_apart<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let mut rooms: Vec<Channel> = strange_names().iter().map(|name| channel(name)).collect();
    let member = |community, channel| Channel { app: app(), name: ChannelName::Member(community, channel) };
    let direct = |a, b| Channel { app: app(), name: ChannelName::direct(a, b) };
    rooms.extend([member(1, 2), member(2, 1), member(u64::MAX, 0), member(0, u64::MAX)]);
    rooms.extend([direct("a", "bc"), direct("ab", "c"), direct("a", "b"), direct("a", "a"), direct("ä", "🎉")]);
    rooms.push(Channel { app: AppId::new("demo2").expect("the name is valid"), ..channel("a") });
    let all: Vec<_> = rooms.iter().map(|room| bench.builder.publish(room, &room.name.to_string())).collect();
    bench.apply();
    bench.tested.flush();
    let bench = bench.restart();
    for (room, message) in rooms.iter().zip(&all) {
        let newest = super::window(Span::ALL, model::Order::Descending, 10);
        bench.page(room, &newest, std::slice::from_ref(message));
    }
}

/// A record reads as it was last set, with the id of that change as its version; a deleted one is not there.
pub fn records_read_as_they_were_last_set<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let (kept, gone, back) = (setting(b"kept"), setting(b"gone"), setting(b"back"));
    for key in [&kept, &gone, &back] {
        bench.builder.set(key, Some(b"first"));
    }
    bench.apply();
    bench.tested.flush();
    bench.builder.set(&kept, Some(b"second"));
    let version_kept = bench.builder.set(&kept, Some(b""));
    bench.builder.set(&gone, None);
    bench.builder.set(&back, None);
    bench.apply();
    let version_back = bench.builder.set(&back, Some(&[0, 255, 0]));
    bench.builder.set(&setting(b"never"), None);
    bench.apply();
    for restarted in [false, true] {
        if restarted {
            bench.tested.flush();
            bench = bench.crash();
        }
        let read = |key: &RecordKey| {
            let record = bench.store().record(key).expect("records are read")?;
            assert_eq!(record.key, *key);
            Some((record.version, record.value.to_vec()))
        };
        assert_eq!(read(&kept), Some((version_kept, vec![])));
        assert_eq!(read(&gone), None);
        assert_eq!(read(&back), Some((version_back, vec![0, 255, 0])));
        assert_eq!(read(&setting(b"never")), None);
        assert_eq!(read(&RecordKey { kind: RecordKind::Grant, ..kept.clone() }), None, "another kind");
        let other_app = AppId::new("demo2").expect("the name is valid");
        assert_eq!(read(&RecordKey { app: other_app, ..kept.clone() }), None, "another app");
    }
}

/// Records of a kind are scanned in byte order, by prefix, after a name, up to a limit.
pub fn records_are_scanned_in_byte_order<S: StoreUnderTest>(open: impl Fn() -> S) {
    let mut bench = Bench::open(open);
    let mut names: Vec<&[u8]> =
        vec![b"a", b"a\0", b"a\0b", b"a\xff", b"a\xff\xff", b"aa", b"b", b"\0", b"\xff", b"\xff\xff"];
    for (n, name) in names.iter().enumerate() {
        bench.builder.set(&setting(name), Some(name));
        bench.builder.set(&RecordKey { kind: RecordKind::Grant, ..setting(name) }, Some(b"of another kind"));
        bench.builder.set(&setting(&[name, &b"-gone"[..]].concat()), Some(b"deleted below"));
        bench.apply();
        bench.builder.set(&setting(&[name, &b"-gone"[..]].concat()), None);
        if n == 5 {
            bench.apply();
            bench.tested.flush();
        }
    }
    bench.apply();
    names.sort_unstable();
    let prefixes: [&[u8]; 7] = [b"", b"a", b"a\0", b"a\xff", b"\xff", b"\xff\xff\xff", b"no such"];
    for prefix in prefixes {
        for after in [None, Some(&b""[..]), Some(b"a"), Some(b"a\0a"), Some(b"aa"), Some(b"\xff\xff"), Some(b"zz")] {
            for limit in [0, 1, 3, u32::MAX] {
                let records = bench.store().records(&app(), RecordKind::Setting, prefix, after, limit);
                let got: Vec<_> =
                    records.expect("records are scanned").into_iter().map(|record| record.value).collect();
                let wanted = names.iter().filter(|n| n.starts_with(prefix) && after.is_none_or(|after| **n > after));
                let wanted: Vec<&[u8]> = wanted.take(limit as usize).copied().collect();
                assert_eq!(got, wanted, "prefix {prefix:?} after {after:?} limit {limit}");
            }
        }
    }
}

fn publish_keyed<S: StoreUnderTest>(bench: &mut Bench<S>, room: &Channel, key_hash: u128) -> Keyed {
    let payload_hash = key_hash as u64 * 31;
    let fields = Fields { key: Some(IdempotencyKey { key_hash, payload_hash }), ..Fields::default() };
    let message = bench.builder.publish_with(room, "keyed", fields);
    bench.apply();
    Keyed { id: message.id, seq: message.seq, payload_hash }
}

fn check_feed<S: StoreUnderTest>(bench: &Bench<S>, span: Span, limit: u32, all: &[FeedItem]) {
    let page = bench.store().feed(bench.builder.shard(), span, limit).expect("the feed is read");
    assert!(page.starts_after < all[0].id, "nothing was dropped yet: {:?}", page.starts_after);
    agreed(judge::feed(&page, span, limit, all), (span, limit));
}

fn check_listing<S: StoreUnderTest>(bench: &Bench<S>, names: &[String], prefix: &str, after: Option<&str>, limit: u32) {
    let after_name = after.map(|after| ChannelName::named(after).expect("tests give valid names"));
    let entries = bench.store().channels(&app(), prefix, after_name.as_ref(), limit).expect("channels are listed");
    let got: Vec<&str> =
        entries.iter().map(|entry| entry.channel.name.as_named().expect("a name in the clear")).collect();
    let wanted = names.iter().map(String::as_str).filter(|name| name.starts_with(prefix));
    let wanted: Vec<&str> =
        wanted.filter(|name| after.is_none_or(|after| *name > after)).take(limit as usize).collect();
    assert_eq!(got, wanted, "prefix {prefix:?} after {after:?} limit {limit}");
    for entry in &entries {
        let heads = bench.store().heads(std::slice::from_ref(&entry.channel)).expect("heads are read");
        assert_eq!(heads, [entry.head], "{:?}", entry.channel);
    }
}

/// Names that a careless key would mix up, cut short or sort wrongly.
fn strange_names() -> Vec<String> {
    let mut names: Vec<String> =
        ["a", "a/", "a/b", "a/b/c", "a\u{1}", "a b", "A", "ä", "a\u{308}", "🎉", "\u{10ffff}", "\u{7f}"]
            .map(String::from)
            .into();
    names.extend(
        ["room", "room/1", "room/10", "room/2", "member 1/2", "direct a/b", "%2F", "..", "日本", "\u{feff}x"]
            .map(String::from),
    );
    names.push("x".repeat(model::limits::CHANNEL_NAME_BYTES));
    names.push("x".repeat(model::limits::CHANNEL_NAME_BYTES - 1));
    names
}
