//! Asks a store under test and the oracle the same, and judges the answers.

use super::{
    drive::Run,
    names::{author_of, record_key, room, type_of},
    steps::{Place, Question, ROOMS},
};
use crate::{app, judge, judge::Verdict, memory_store::feed_item, store_suite::StoreUnderTest};
use model::{
    Channel, Effort, FeedItem, Id, Message, Order, Page, RecordKind, Result, Seq, Span, Store, TICKS_PER_SECOND, Window,
};
use std::fmt::Debug;

const TICKS_PER_DAY: u64 = 86_400 * TICKS_PER_SECOND;

impl<S: StoreUnderTest> Run<S> {
    pub(super) fn window(&self, question: &Question) -> Window {
        let all = self.oracle.stored_messages(&room(question.room));
        let head = all.last().map_or(Seq::NONE, |last| last.seq);
        Window {
            span: Span { after: question.after.resolve(&all), upto: question.upto.resolve(&all) },
            order: question.order,
            limit: question.limit,
            above: question.above.map_or(Seq::NONE, |newest| Seq(head.0.saturating_sub(newest))),
            author: question.author.map(author_of),
            custom_type: question.custom_type.map(type_of),
            now: question.now.resolve(&all),
        }
    }

    pub(super) fn read(&self, window: &Window, n: u8) -> Result<Page, String> {
        let all = self.oracle.stored_messages(&room(n));
        for store in [&self.oracle, self.tested.store()] {
            let page = store.read(&room(n), window, Effort::Memory).map_err(|error| format!("{error:?}"))?;
            if let Some(page) = page {
                judge::page(&page, window, &all).map_err(|why| format!("from memory: {why}; {window:?}"))?;
            }
        }
        let page = self.tested.store().read(&room(n), window, Effort::Disk).map_err(|error| format!("{error:?}"))?;
        let page = page.ok_or("no page, though the disk may be read")?;
        judge::page(&page, window, &all).map_err(|why| format!("{why}; {window:?}"))?;
        Ok(page)
    }

    pub(super) fn walk(&self, question: &Question) -> Verdict {
        let mut window = Window { limit: question.limit.max(5), ..self.window(question) };
        let all = self.oracle.stored_messages(&room(question.room));
        let whole = Window { limit: u32::MAX, ..window.clone() };
        let expected: Vec<Id> = all.iter().filter(|message| fits(message, &whole)).map(|message| message.id).collect();
        let mut visited = Vec::new();
        for _ in 0..=2 * all.len() {
            let page = self.read(&window, question.room)?;
            visited.extend(page.messages.iter().map(|message| message.id));
            match window.order {
                Order::Ascending => window.span.after = page.covered.upto,
                Order::Descending => window.span.upto = page.covered.after,
            }
            if !page.more {
                visited.sort_unstable();
                return same("all pages together", &visited, &expected);
            }
        }
        Err("paging does not come to an end".into())
    }

    pub(super) fn count(&self, question: &Question) -> Verdict {
        let Window { span, above, now, .. } = self.window(question);
        self.equal("count", |store| store.count(&room(question.room), span, above, now))
    }

    pub(super) fn heads(&self, rooms: &[u8]) -> Verdict {
        let rooms: Vec<Channel> = rooms.iter().map(|&n| room(n)).collect();
        self.equal("heads", |store| store.heads(&rooms))
    }

    pub(super) fn keyed(&self, n: u8, key: u8, days_later: u64) -> Verdict {
        let now = Id::new(self.builder.next_id().ticks() + days_later * TICKS_PER_DAY, 0);
        self.equal("keyed", |store| store.keyed(&room(n), key.into(), now))
    }

    pub(super) fn feed(&self, n: u8, from: Place, to: Place, limit: u32) -> Verdict {
        let all = self.oracle.stored_messages(&room(n));
        let span = Span { after: from.resolve(&all), upto: to.resolve(&all) };
        let told: Vec<FeedItem> =
            self.oracle.stored_changes(self.builder.shard()).iter().map(|change| feed_item(change)).collect();
        for store in [&self.oracle, self.tested.store()] {
            let page = store.feed(self.builder.shard(), span, limit).map_err(|error| format!("{error:?}"))?;
            judge::feed(&page, span, limit, &told).map_err(|why| format!("{why}; {span:?}"))?;
        }
        Ok(())
    }

    pub(super) fn recent(&self, bytes: usize) -> Verdict {
        let all = self.oracle.stored_changes(self.builder.shard());
        for store in [&self.oracle, self.tested.store()] {
            let recent = store.recent(self.builder.shard(), bytes).map_err(|error| format!("{error:?}"))?;
            judge::recent(&recent, bytes, &all)?;
        }
        Ok(())
    }

    pub(super) fn channels(&self, prefix_bytes: usize, after: Option<u8>, limit: u32) -> Verdict {
        let name = room(1).name;
        let prefix = name.as_named().and_then(|name| name.get(..prefix_bytes)).unwrap_or_default();
        let after = after.map(|n| room(n).name).filter(|name| name.as_named().is_some());
        self.equal("channels", |store| store.channels(&app(), prefix, after.as_ref(), limit))
    }

    pub(super) fn records(&self, prefix_bytes: usize, after: Option<u8>, limit: u32) -> Verdict {
        let prefix = record_key(1).name;
        let prefix = prefix.get(..prefix_bytes).unwrap_or_default();
        let after = after.map(|name| record_key(name).name);
        self.equal("records", |store| store.records(&app(), RecordKind::Setting, prefix, after.as_deref(), limit))
    }

    /// Everything that there is, once.
    pub(super) fn everything(&self) -> Verdict {
        for room in 0..ROOMS {
            let question = Question {
                room,
                after: Place::Start,
                upto: Place::End,
                order: if room % 2 == 0 { Order::Ascending } else { Order::Descending },
                limit: 100,
                above: None,
                author: None,
                custom_type: None,
                now: Place::Start,
            };
            self.walk(&question)?;
            self.count(&question)?;
        }
        self.heads(&Vec::from_iter(0..ROOMS))?;
        self.feed(0, Place::Start, Place::End, u32::MAX)?;
        self.recent(usize::MAX)?;
        self.channels(0, None, u32::MAX)?;
        self.records(0, None, u32::MAX)
    }

    /// Asks both the same and compares the answers.
    pub(super) fn equal<T: PartialEq + Debug>(&self, what: &str, ask: impl Fn(&dyn Store) -> Result<T>) -> Verdict {
        let got = ask(self.tested.store()).map_err(|error| format!("{what}: {error:?}"))?;
        let expected = ask(&self.oracle).map_err(|error| format!("the oracle: {error:?}"))?;
        same(what, &got, &expected)
    }
}

fn same<T: PartialEq + Debug>(what: &str, got: &T, expected: &T) -> Verdict {
    if got == expected { Ok(()) } else { Err(format!("{what}: got {got:?}, expected {expected:?}")) }
}

fn fits(message: &Message, window: &Window) -> bool {
    window.span.contains(message.id)
        && message.seq > window.above
        && !message.is_expired(window.now)
        && (window.author.is_none() || window.author == message.author)
        && (window.custom_type.is_none() || window.custom_type == message.custom_type)
}
