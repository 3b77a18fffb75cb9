//! Asks a store under test and the oracle the same, and judges the answers.

use super::{
    drive::Run,
    names::{author_of, record_key, room, type_of},
    steps::{Place, Question, ROOMS},
};
use crate::{agree::Pair, app, judge, judge::Verdict, memory_store::feed_item, store_suite::StoreUnderTest};
use model::{Channel, FeedItem, Id, Order, RecordKind, Result, Seq, Span, Store, TICKS_PER_SECOND, Window};
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

    pub(super) fn read(&self, question: &Question) -> Verdict {
        let room = room(question.room);
        self.pair().page(&room, &self.window(question), &self.oracle.state(&room)).map(drop)
    }

    pub(super) fn walk(&self, question: &Question) -> Verdict {
        let window = Window { limit: question.limit.max(5), ..self.window(question) };
        let room = room(question.room);
        self.pair().walk(&room, &window, &self.oracle.state(&room))
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
        self.pair().equal(what, ask)
    }

    fn pair(&self) -> Pair<'_> {
        Pair { tested: self.tested.store(), oracle: &self.oracle }
    }
}
