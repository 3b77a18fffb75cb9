//! Asks a store under test and the oracle the same, and judges the answers.

use super::{
    drafts::ReactionDraft,
    drive::Run,
    names::{self, author_of, filter_of, record_key, room, type_of, value_of},
    steps::{Place, Question, ROOMS, Selected},
    write::ids_at,
};
use crate::{
    agree::{Pair, reaction_places},
    app, judge,
    judge::Verdict,
    memory_store::feed_item,
    store_suite::StoreUnderTest,
};
use model::{
    Channel, FeedItem, Id, Order, Reaction, RecordKind, Result, Selection, SelectionWindow, Selector, Seq, Span, Store,
    TICKS_PER_SECOND, Target, Window,
};
use std::{fmt::Debug, time::Duration};

const TICKS_PER_DAY: u64 = 86_400 * TICKS_PER_SECOND;
const A_MOMENT: Duration = Duration::from_millis(5);

impl<S: StoreUnderTest> Run<S> {
    pub(super) fn window(&self, question: &Question) -> Window {
        let all = self.oracle.stored_messages(&room(question.room));
        let head = all.last().map_or(Seq::START, |last| last.seq);
        Window {
            span: Span { after: question.after.resolve(&all), upto: question.upto.resolve(&all) },
            order: question.order,
            limit: question.limit,
            above: question.above.map_or(Seq::NONE, |newest| head.minus(newest)),
            author: question.author.map(filter_of),
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

    /// Part of a selection, and its count.
    pub(super) fn select(&self, question: &Question, selected: Selected, offset: u64) -> Verdict {
        let Window { span, order, limit, now, .. } = self.window(question);
        let channel = room(question.room);
        let user = |n: u8| author_of(n).id;
        let pair = |from: u8, to: u8| Selector::Pair { author: user(from), recipient: user(to) };
        let selectors = match selected {
            Selected::Author(n) => vec![Selector::Author(user(n)), Selector::Sender(user(n))],
            Selected::Sender(n) => vec![Selector::Sender(user(n))],
            Selected::Recipient(n) => vec![Selector::Recipient(user(n))],
            Selected::Pair(from, to) => vec![pair(from, to)],
            Selected::Conversation(one, other) => vec![pair(one, other), pair(other, one)],
            Selected::AuthorIn(n) => vec![Selector::AuthorIn { author: user(n), channel: channel.name.clone() }],
            Selected::ChannelAnd(n) => {
                let beside = n.filter(|_| channel.name.as_named().is_some()).map(|n| Selector::Recipient(user(n)));
                [Selector::Channel(channel.name.clone())].into_iter().chain(beside).collect()
            }
        };
        let selection = Selection::new(selectors).map_err(|error| format!("{error:?}"))?;
        let window = SelectionWindow { span, order, offset, limit, now };
        self.equal("count_selected", |store| store.count_selected(&channel.app, &selection, span, now))?;
        self.equal("select", |store| store.select(&channel.app, &selection, &window))
    }

    pub(super) fn removable(&self, question: &Question, nth: &[u16]) -> Verdict {
        let (room, Window { span, now, .. }) = (room(question.room), self.window(question));
        let ids = ids_at(&self.oracle.stored_messages(&room), nth);
        for target in [Target::Span(span), Target::Ids(ids)] {
            self.equal("removable", |store| store.removable(&room, &target, now))?;
        }
        Ok(())
    }

    pub(super) fn floor_for(&self, n: u8, keep: u64, upto: Place) -> Verdict {
        let upto = self.place(n, upto);
        self.equal("floor_for", |store| store.floor_for(&room(n), keep, upto))
    }

    pub(super) fn versions(&self, n: u8, of: Place) -> Verdict {
        let message = self.place(n, of);
        self.equal("versions", |store| store.versions(&room(n), message))?;
        self.pair().at_hand(&room(n), message, None)
    }

    pub(super) fn reactions(&self, question: &Question) -> Verdict {
        let (room, Window { span, order, limit, .. }) = (room(question.room), self.window(question));
        for after in reaction_places(&self.oracle, &room, span)? {
            self.equal("reactions", |store| store.reactions(&room, span, after, limit))?;
        }
        self.equal("reactions_made", |store| store.reactions_made(&room, span, order, limit))
    }

    pub(super) fn reaction(&self, draft: &ReactionDraft) -> Verdict {
        let reaction = self.reaction_of(draft);
        self.equal("reaction", |store| store.reaction(&room(draft.room), &reaction))?;
        self.pair().at_hand(&room(draft.room), reaction.message, Some(&reaction))
    }

    pub(super) fn changes(&self, n: u8, after: Place, limit: u32) -> Verdict {
        self.pair().changes(&room(n), self.place(n, after), limit, &self.oracle.state(&room(n)))
    }

    pub(super) fn follow_changes(&self, n: u8, limit: u32) -> Verdict {
        self.pair().follow_changes(&room(n), limit, &self.oracle.state(&room(n)))
    }

    pub(super) fn due(&self, n: u8, now: Place, limit: u32) -> Verdict {
        self.pair().due(self.builder.shard(), self.place(n, now), limit)
    }

    pub(super) fn sweep(&self) -> Verdict {
        self.tested.store().sweep(A_MOMENT).map(drop).map_err(|error| format!("sweep: {error:?}"))
    }

    pub(super) fn erase(&self, rooms: &[u8]) -> Verdict {
        let rooms: Vec<Channel> = rooms.iter().map(|&n| room(n)).collect();
        for store in [self.tested.store(), &self.oracle] {
            store.erase(&rooms).map_err(|error| format!("erase: {error:?}"))?;
        }
        Ok(())
    }

    fn place(&self, n: u8, place: Place) -> Id {
        place.resolve(&self.oracle.stored_messages(&room(n)))
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

    pub(super) fn all_channels(&self, after: Option<u8>, limit: u32) -> Verdict {
        let after = after.map(|n| room(n).name);
        self.equal("all_channels", |store| store.all_channels(&app(), after.as_ref(), limit))
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
            for now in [Place::Start, Place::End] {
                let question = Question { now, ..question.clone() };
                self.walk(&question)?;
                self.count(&question)?;
                self.removable(&question, &[])?;
                self.selections(&question)?;
                self.due(room, now, u32::MAX)?;
            }
            for (order, limit) in [(Order::Ascending, u32::MAX), (Order::Descending, 2)] {
                self.reactions(&Question { order, limit, ..question.clone() })?;
            }
            self.reactions_of_all_sorts(&names::room(room))?;
            self.follow_changes(room, 5)?;
            for message in self.oracle.stored_messages(&names::room(room)) {
                self.equal("versions", |store| store.versions(&names::room(room), message.id))?;
            }
        }
        self.heads(&Vec::from_iter(0..ROOMS))?;
        self.feed(0, Place::Start, Place::End, u32::MAX)?;
        self.recent(usize::MAX)?;
        self.channels(0, None, u32::MAX)?;
        self.all_channels(None, u32::MAX)?;
        self.records(0, None, u32::MAX)
    }

    fn selections(&self, question: &Question) -> Verdict {
        let of_users = (0..2).flat_map(|user| {
            [
                Selected::Author(user),
                Selected::Sender(user),
                Selected::Recipient(user),
                Selected::Pair(user, 1 - user),
                Selected::AuthorIn(user),
            ]
        });
        let all = of_users.chain([Selected::Conversation(0, 1), Selected::ChannelAnd(None)]);
        all.into_iter().try_for_each(|selected| self.select(question, selected, 1))
    }

    /// Each reaction that was made, and those beside it that differ in one thing.
    fn reactions_of_all_sorts(&self, room: &Channel) -> Verdict {
        let made = self.oracle.state(room);
        for (_, was) in made.all_made() {
            for (user, value) in (0..3).flat_map(|user| (0..2).map(move |value| (user, value))) {
                let value = value_of(value);
                let other = Reaction { user: author_of(user), value, ..Reaction::clone(was) };
                self.equal("reaction", |store| store.reaction(room, &other))?;
                self.pair().at_hand(room, other.message, Some(&other))?;
            }
        }
        Ok(())
    }

    /// Asks both the same and compares the answers.
    pub(super) fn equal<T: PartialEq + Debug>(&self, what: &str, ask: impl Fn(&dyn Store) -> Result<T>) -> Verdict {
        self.pair().equal(what, ask)
    }

    fn pair(&self) -> Pair<'_> {
        Pair { tested: self.tested.store(), oracle: &self.oracle }
    }
}
