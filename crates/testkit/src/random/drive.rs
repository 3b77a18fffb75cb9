//! Takes the steps of a random run through a store and the oracle, side by side.

use super::steps::{Draft, Place, Question, ROOMS, Step};
use crate::{
    BatchBuilder, Fields, MemoryStore, Outcome, app, channel, judge, judge::Verdict, memory_store::feed_item, setting,
    store_suite::StoreUnderTest, user,
};
use model::{
    AppId, ApplyError, Batch, Channel, ChannelName, Effort, FeedItem, Id, IdempotencyKey, Message, Order, Page,
    RecordKey, RecordKind, Result, Seq, Settled, Span, Store, TICKS_PER_SECOND, UserId, Window,
};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::{fmt::Debug, sync::Arc};

const TICKS_PER_DAY: u64 = 86_400 * TICKS_PER_SECOND;

/// Takes these steps through an empty store and an oracle, then restarts and compares everything there is.
///
/// # Errors
///
/// The first contradiction, with the step at which it showed.
pub fn drive<S: StoreUnderTest>(open: impl Fn() -> S, steps: &[Step]) -> Verdict {
    let mut run =
        Run { tested: open(), oracle: MemoryStore::new(), builder: BatchBuilder::new(), last: None }.settled()?;
    for (n, step) in steps.iter().enumerate() {
        run = run.step(step).map_err(|why| format!("step {n} {step:?}: {why}"))?;
    }
    run.restart().and_then(|run| run.everything()).map_err(|why| format!("after all steps: {why}"))
}

struct Run<S> {
    tested: S,
    oracle: MemoryStore,
    builder: BatchBuilder,
    last: Option<Batch>,
}

impl<S: StoreUnderTest> Run<S> {
    fn step(mut self, step: &Step) -> Result<Self, String> {
        match step {
            Step::Apply { drafts, outcome, crash_in_doubt } => return self.apply(drafts, *outcome, *crash_in_doubt),
            Step::ApplyAgain => self.apply_again()?,
            Step::WrongNumber(by) => self.apply_wrong_number(*by)?,
            Step::Pass(ticks) => self.builder.pass_ticks(*ticks),
            Step::Flush => self.tested.flush(),
            Step::Restart => return self.restart(),
            Step::Crash => return self.crash(),
            Step::Read(question) => drop(self.read(&self.window(question), question.room)?),
            Step::Walk(question) => self.walk(question)?,
            Step::Count(question) => self.count(question)?,
            Step::Heads(rooms) => self.heads(rooms)?,
            Step::Keyed { room: n, key, days_later } => self.keyed(*n, *key, *days_later)?,
            Step::Feed { room: n, from, to, limit } => self.feed(*n, *from, *to, *limit)?,
            Step::Recent { bytes } => self.recent(*bytes)?,
            Step::Channels { prefix_bytes, after, limit } => self.channels(*prefix_bytes, *after, *limit)?,
            Step::Record(name) => self.equal("record", |store| store.record(&record_key(*name)))?,
            Step::Records { prefix_bytes, after, limit } => self.records(*prefix_bytes, *after, *limit)?,
        }
        Ok(self)
    }

    fn apply(mut self, drafts: &[Draft], outcome: Outcome, crash_in_doubt: bool) -> Result<Self, String> {
        let way_back = self.builder.clone();
        self.draft(drafts)?;
        let batch = self.builder.batch();
        let made_to_fail = outcome != Outcome::Happens && self.tested.next_apply(outcome);
        let expected = if made_to_fail { outcome } else { Outcome::Happens };
        match (self.tested.store().apply(&batch), expected) {
            (Ok(()), Outcome::Happens) => self.happened(batch)?,
            (Err(ApplyError::Refused(_)), Outcome::Refused) => self.builder.go_back(way_back),
            (Err(ApplyError::Unknown(_)), Outcome::UnknownWritten | Outcome::UnknownLost) => {
                return self.in_doubt(batch, way_back, outcome, crash_in_doubt);
            }
            (answer, _) => return Err(format!("apply was to end as {expected:?} and answered {answer:?}")),
        }
        Ok(self)
    }

    /// Nothing of the batch may be seen; then `settle` decides, and the oracle follows.
    fn in_doubt(mut self, batch: Batch, way_back: BatchBuilder, outcome: Outcome, crash: bool) -> Result<Self, String> {
        self.heads(&Vec::from_iter(0..ROOMS))?;
        if self.tested.store().apply(&batch).is_ok() {
            return Err("a batch in doubt was applied again before it was settled".into());
        }
        if crash {
            self.tested = self.tested.crash();
        }
        let settled = self.settle_tested()?;
        let there = settled.last_batch == batch.number;
        if !there && outcome == Outcome::UnknownWritten {
            return Err(format!("a batch that is there was settled as lost: {settled:?}"));
        }
        if there {
            self.happened(batch)?;
        } else {
            self.builder.go_back(way_back);
        }
        if crash {
            self.builder.take_over(settled);
        }
        self.settled()
    }

    fn happened(&mut self, batch: Batch) -> Verdict {
        self.oracle.apply(&batch).map_err(|error| format!("the oracle does not take the batch: {error}"))?;
        self.last = Some(batch);
        Ok(())
    }

    fn apply_again(&mut self) -> Verdict {
        let Some(batch) = &self.last else { return Ok(()) };
        self.tested.store().apply(batch).map_err(|error| format!("the last batch again: {error}"))
    }

    fn apply_wrong_number(&mut self, by: i64) -> Verdict {
        let mut builder = self.builder.clone();
        builder.publish(&room(0), "under a wrong number");
        let mut batch = builder.batch();
        batch.number = batch.number.saturating_add_signed(by);
        match self.tested.store().apply(&batch) {
            Err(ApplyError::Refused(_)) => Ok(()),
            other => Err(format!("batch {} answered {other:?}", batch.number)),
        }
    }

    fn restart(mut self) -> Result<Self, String> {
        self.tested = self.tested.restart();
        self.taken_over()
    }

    fn crash(mut self) -> Result<Self, String> {
        self.tested = self.tested.crash();
        self.taken_over()
    }

    fn taken_over(mut self) -> Result<Self, String> {
        let settled = self.settle_tested()?;
        self.builder.take_over(settled);
        self.settled()
    }

    /// Settles both and compares what they found.
    fn settled(self) -> Result<Self, String> {
        let got = self.settle_tested()?;
        let expected = self.oracle.settle(self.builder.shard(), self.builder.epoch()).map_err(|e| e.to_string())?;
        if (Settled { reserved: expected.reserved, ..got }) != expected || got.reserved < expected.reserved {
            return Err(format!("settled at {got:?}, expected {expected:?}"));
        }
        Ok(self)
    }

    fn settle_tested(&self) -> Result<Settled, String> {
        self.tested
            .store()
            .settle(self.builder.shard(), self.builder.epoch())
            .map_err(|error| format!("settle: {error:?}"))
    }

    fn draft(&mut self, drafts: &[Draft]) -> Verdict {
        let mut keys_used = Vec::new();
        for draft in drafts {
            match draft {
                Draft::Set { name, size } => {
                    let value = size.map(|size| vec![*name; usize::from(size)]);
                    self.builder.set(&record_key(*name), value.as_deref());
                }
                Draft::Publish { room: n, copies, size, author, custom_type, due_in, key } => {
                    let mut fields = Fields {
                        author: author.map(author_of),
                        custom_type: custom_type.map(type_of),
                        expires_at: due_in.map(|ticks| Id::new(self.builder.next_id().ticks() + ticks, 0)),
                        ..Fields::default()
                    };
                    if let Some(key) = *key
                        && !keys_used.contains(&(*n, key))
                        && !self.is_remembered(*n, key)?
                    {
                        keys_used.push((*n, key));
                        fields.key = Some(IdempotencyKey { key_hash: key.into(), payload_hash: (*size).into() });
                    }
                    for copy in 0..*copies {
                        let text = text(*size, self.builder.next_id().raw() + u64::from(copy));
                        self.builder.publish_with(&room(*n), &text, fields.clone());
                        fields.key = None;
                    }
                }
            }
        }
        Ok(())
    }

    /// What a sequencer looks up before it orders a keyed publish.
    fn is_remembered(&self, n: u8, key: u8) -> Result<bool, String> {
        let found = self.oracle.keyed(&room(n), key.into(), self.builder.next_id());
        found.map(|keyed| keyed.is_some()).map_err(|error| error.to_string())
    }

    fn window(&self, question: &Question) -> Window {
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

    fn read(&self, window: &Window, n: u8) -> Result<Page, String> {
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

    fn walk(&self, question: &Question) -> Verdict {
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

    fn count(&self, question: &Question) -> Verdict {
        let Window { span, above, now, .. } = self.window(question);
        self.equal("count", |store| store.count(&room(question.room), span, above, now))
    }

    fn heads(&self, rooms: &[u8]) -> Verdict {
        let rooms: Vec<Channel> = rooms.iter().map(|&n| room(n)).collect();
        self.equal("heads", |store| store.heads(&rooms))
    }

    fn keyed(&self, n: u8, key: u8, days_later: u64) -> Verdict {
        let now = Id::new(self.builder.next_id().ticks() + days_later * TICKS_PER_DAY, 0);
        self.equal("keyed", |store| store.keyed(&room(n), key.into(), now))
    }

    fn feed(&self, n: u8, from: Place, to: Place, limit: u32) -> Verdict {
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

    fn recent(&self, bytes: usize) -> Verdict {
        let all = self.oracle.stored_changes(self.builder.shard());
        for store in [&self.oracle, self.tested.store()] {
            let recent = store.recent(self.builder.shard(), bytes).map_err(|error| format!("{error:?}"))?;
            judge::recent(&recent, bytes, &all)?;
        }
        Ok(())
    }

    fn channels(&self, prefix_bytes: usize, after: Option<u8>, limit: u32) -> Verdict {
        let name = room(1).name;
        let prefix = name.as_named().and_then(|name| name.get(..prefix_bytes)).unwrap_or_default();
        let after = after.map(|n| room(n).name).filter(|name| name.as_named().is_some());
        self.equal("channels", |store| store.channels(&app(), prefix, after.as_ref(), limit))
    }

    fn records(&self, prefix_bytes: usize, after: Option<u8>, limit: u32) -> Verdict {
        let prefix = record_key(1).name;
        let prefix = prefix.get(..prefix_bytes).unwrap_or_default();
        let after = after.map(|name| record_key(name).name);
        self.equal("records", |store| store.records(&app(), RecordKind::Setting, prefix, after.as_deref(), limit))
    }

    /// Everything that there is, once.
    fn everything(&self) -> Verdict {
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
    fn equal<T: PartialEq + Debug>(&self, what: &str, ask: impl Fn(&dyn Store) -> Result<T>) -> Verdict {
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

/// The channels of a run: names of one beginning, and one of each other sort.
fn room(n: u8) -> Channel {
    match n {
        6 => Channel { app: app(), name: ChannelName::Member(1, 2) },
        7 => Channel { app: app(), name: ChannelName::direct("ann", "bob") },
        3 => channel("röom/🎉"),
        2 => channel("room/"),
        5 => Channel { app: AppId::new("demo2").expect("the name is valid"), ..channel("room/5") },
        n => channel(&format!("room/{n}")),
    }
}

/// The last two differ only in what was proved.
fn author_of(n: u8) -> UserId {
    UserId { verified: n < 2, ..user(&format!("user {}", n.min(1))) }
}

fn type_of(n: u8) -> Arc<str> {
    format!("type {n}").into()
}

fn record_key(n: u8) -> RecordKey {
    let kind = if n < 9 { RecordKind::Setting } else { RecordKind::Grant };
    RecordKey { kind, ..setting(&[b'r', 0, n / 4, n]) }
}

/// A text of so many bytes that differs from others and does not compress to nothing.
fn text(size: u32, salt: u64) -> String {
    let mut bytes = vec![0; size as usize];
    SmallRng::seed_from_u64(salt).fill_bytes(&mut bytes);
    bytes.into_iter().map(|byte| char::from(b' ' + byte % 64)).collect()
}
