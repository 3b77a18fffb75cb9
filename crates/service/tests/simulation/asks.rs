//! Steps that read: each answer is held against the truth, cut to what the caller may see.

use crate::{
    cast::{app, room, user},
    steps::Ask,
    truth::{Sight, sight_of},
    world::{World, check},
};
use model::{
    Author, Channel, Clock, ErrorKind, Id, Order, Page, Selection, SelectionWindow, Selector, Seq, Span, Store, Window,
};
use service::{Access, Budget, History, Many, Query, Reach, Rights, SelectionQuery};
use std::{collections::BTreeSet, fmt::Debug, sync::Arc, time::Duration};
use testkit::{
    judge::{self, Verdict},
    random::Place,
};

impl World {
    pub async fn read(&mut self, by: u8, n: u8, ask: &Ask) -> Verdict {
        let channel = room(n);
        let query = self.query(&channel, ask);
        let told = self.within(self.channels.history(&self.caller(by), &channel, &query)).await?;
        match self.told(told, self.may_read(by, &channel))? {
            Some(history) => self.is_history(by, &channel, &query, &history),
            None => Ok(()),
        }
    }

    /// Reads fail, and whoever reads is told so; or the page lies in memory.
    pub async fn reads_fail(&mut self, n: u8, reads: u8) -> Verdict {
        if !self.ground().fail_reads(reads) {
            return Ok(());
        }
        let (channel, query) = (room(n), Query::newest(7));
        let told = self.within(self.channels.history(&self.caller(0), &channel, &query)).await?;
        self.ground().fail_reads(0);
        match told {
            Ok(history) => self.is_history(0, &channel, &query, &history),
            Err(error) => check(error.kind == ErrorKind::Unavailable, || format!("a read failed with {error:?}")),
        }
    }

    pub async fn read_many(&mut self, by: u8, limit: u32, bytes: usize) -> Verdict {
        let asked: Vec<_> = self.rooms().into_iter().map(|channel| (channel, Query::newest(limit))).collect();
        let budget = Budget { bytes, time: Duration::from_secs(3_600) };
        let told = self.within(self.channels.read_many(&self.caller(by), asked.clone(), budget)).await?;
        let answers = told.map_err(|error| format!("{error:?}"))?;
        check(answers.len() == asked.len(), || format!("{} answers", answers.len()))?;
        let mut spent = 0;
        for (answer, (channel, query)) in answers.into_iter().zip(&asked) {
            match answer {
                Many::Answered(told) => {
                    if let Some(history) = self.told(told, self.may_read(by, channel))? {
                        self.is_history(by, channel, query, &history)?;
                        // The first page that has anything comes, whatever its size.
                        let fits = spent == 0 || history.bytes() == 0 || spent + history.bytes() <= bytes;
                        check(fits, || format!("{spent} and {} bytes of {bytes}", history.bytes()))?;
                        spent += history.bytes();
                    }
                }
                Many::Postponed(again) => {
                    check(again == (channel.clone(), query.clone()), || format!("another question: {again:?}"))?;
                    check(spent > 0, || "postponed, though nothing was answered".into())?;
                }
            }
        }
        Ok(())
    }

    pub async fn count(&mut self, by: u8, n: u8, after: Place, upto: Place) -> Verdict {
        let channel = room(n);
        let all = self.truth.oracle.stored_messages(&channel);
        let span = Span { after: after.resolve(&all), upto: upto.resolve(&all) };
        let told = self.within(self.channels.count(&self.caller(by), &channel, span)).await?;
        match self.told(told, self.may_read(by, &channel))? {
            Some(count) => same("count", &count, &self.counted(by, &channel, span)?),
            None => Ok(()),
        }
    }

    /// Messages by who wrote them and to whom.
    pub async fn select(&mut self, by: u8, which: u8, n: u8, ask: &Ask, offset: u64) -> Verdict {
        let (caller, channel, name) = (self.caller(by), room(n), |n: u8| user(n).id);
        let pair = |author, recipient| Selector::Pair { author: name(author), recipient: name(recipient) };
        let selectors = match which {
            0 => vec![Selector::Author(name(0))],
            1 => vec![Selector::Author(name(1)), Selector::Author(name(2)), Selector::Sender(name(1))],
            2 => vec![pair(0, 1), pair(1, 0)],
            3 => vec![Selector::Recipient(name(1))],
            4 => vec![Selector::Sender(name(0))],
            5 => vec![Selector::AuthorIn { author: name(0), channel: channel.name.clone() }],
            _ => vec![Selector::Channel(channel.name.clone())],
        };
        let selection = Selection::new(selectors).map_err(|error| error.to_string())?;
        let all = self.truth.oracle.stored_messages(&channel);
        let span = Span { after: ask.after.resolve(&all), upto: ask.upto.map_or(Id::MAX, |upto| upto.resolve(&all)) };
        let order = if ask.newest { Order::Descending } else { Order::Ascending };
        let expected = self.may_select(&caller.access, &selection);
        let query = SelectionQuery { span, order, offset, limit: ask.limit };
        let page = self.within(self.channels.select(&caller, &selection, query)).await?;
        let count = self.within(self.channels.count_selected(&caller, &selection, span)).await?;
        let (page, count) = (self.told(page, expected)?, self.told(count, expected)?);
        let (Some(page), Some(count)) = (page, count) else { return Ok(()) };
        let cut = selection.above(|selector| Ok(self.selected_above(by, selector))).map_err(|e| e.to_string())?;
        let window = SelectionWindow { span, order, offset, limit: ask.limit, now: self.now() };
        let oracle = &self.truth.oracle;
        same("selected", &page, &oracle.select(&app(), &cut, &window).map_err(|error| error.to_string())?)?;
        let counted = oracle.count_selected(&app(), &cut, span, self.now());
        same("count of selected", &count, &counted.map_err(|error| error.to_string())?)
    }

    fn may_select(&self, access: &Access, selection: &Selection) -> Result<(), ErrorKind> {
        let everywhere = access.allows(&room(5).name, Rights::HISTORY) && access.allows(&room(6).name, Rights::HISTORY);
        let may = |selector: &Selector| match selector {
            Selector::AuthorIn { channel, .. } | Selector::Channel(channel) => access.allows(channel, Rights::HISTORY),
            Selector::Author(_) => access.allows_prefix("", Rights::HISTORY) && access.window.newest.is_none(),
            Selector::Sender(_) | Selector::Recipient(_) | Selector::Pair { .. } => {
                everywhere && access.window.newest.is_none()
            }
        };
        if selection.parts().iter().all(|(selector, _)| may(selector)) { Ok(()) } else { Err(ErrorKind::Forbidden) }
    }

    /// The position above which a selector selects: where it names a channel, by what is visible of it.
    fn selected_above(&self, by: u8, selector: &Selector) -> Id {
        let now = self.clock.now_ticks();
        let callers = sight_of(&self.caller(by), now);
        let (Selector::AuthorIn { channel: name, .. } | Selector::Channel(name)) = selector else {
            return callers.after.max(self.truth.kept_anywhere(now));
        };
        let channel = Channel { app: app(), name: name.clone() };
        let sight = self.sight(by, &channel);
        let state = self.truth.state(&channel);
        let above = sight.above(state.head().last.seq);
        if above == Seq::NONE {
            return sight.after;
        }
        let first = state.there().find(|message| message.seq > above && !message.is_expired(self.now()));
        first.map_or(state.head().last.id, |first| first.id.previous()).max(sight.after)
    }

    pub async fn versions(&mut self, by: u8, n: u8, thousandths: u16) -> Verdict {
        let channel = room(n);
        let Some(message) = self.truth.message(&channel, thousandths) else { return Ok(()) };
        let seen = if self.is_seen(by, &channel, &message) { Ok(()) } else { Err(ErrorKind::NotFound) };
        let expected = self.may_read(by, &channel).and(seen);
        let told = self.within(self.channels.versions(&self.caller(by), &channel, message.id)).await?;
        let Some(versions) = self.told(told, expected)? else { return Ok(()) };
        let expected = self.truth.oracle.versions(&channel, message.id).map_err(|error| error.to_string())?;
        same("versions", &versions, &expected)
    }

    pub async fn reactions(&mut self, by: u8, n: u8, ask: &Ask) -> Verdict {
        let (caller, channel) = (self.caller(by), room(n));
        let all = self.truth.oracle.stored_messages(&channel);
        let span = Span { after: ask.after.resolve(&all), upto: ask.upto.map_or(Id::MAX, |upto| upto.resolve(&all)) };
        let order = if ask.newest { Order::Descending } else { Order::Ascending };
        let told = self.within(self.channels.reactions(&caller, &channel, span, None, ask.limit)).await?;
        let made = self.within(self.channels.reactions_made(&caller, &channel, span, order, ask.limit)).await?;
        let expected = self.may_read(by, &channel);
        let (told, made) = (self.told(told, expected)?, self.told(made, expected)?);
        let (Some(told), Some(made)) = (told, made) else { return Ok(()) };
        let hidden = self.truth.hidden_upto(&channel, self.sight(by, &channel));
        let (oracle, limit) = (&self.truth.oracle, ask.limit as usize);
        let seen = Span { after: span.after.max(hidden), ..span };
        let mut expected = oracle.reactions(&channel, seen, None, u32::MAX).map_err(|error| error.to_string())?;
        same("whether there are more reactions", &told.more, &(expected.len() > limit))?;
        expected.truncate(limit);
        same("reactions", &told.entries, &expected)?;
        let mut expected =
            oracle.reactions_made(&channel, span, order, ask.limit).map_err(|error| error.to_string())?;
        expected.retain(|entry| entry.reaction.message > hidden);
        same("reactions made", &made.entries, &expected)
    }

    pub async fn changes(&mut self, by: u8, n: u8, after: Place, limit: u32) -> Verdict {
        let channel = room(n);
        let after = after.resolve(&self.truth.oracle.stored_messages(&channel));
        let told = self.within(self.channels.changes(&self.caller(by), &channel, after, limit)).await?;
        let Some(page) = self.told(told, self.may_read(by, &channel))? else { return Ok(()) };
        let (state, newest) = (self.truth.state(&channel), self.truth.oracle.newest());
        let sight = self.sight(by, &channel);
        if sight.is_all() {
            return judge::changes(&page, after, limit, &state, newest);
        }
        let hidden = self.truth.hidden_upto(&channel, sight);
        let all: BTreeSet<Id> = state.told(after).map(|change| change.id()).collect();
        for change in &page.changes {
            check(all.contains(&change.id()), || format!("{change:?} did not happen"))?;
            check(shows_nothing_below(change, hidden), || format!("{change:?} shows what is hidden up to {hidden:?}"))?;
        }
        Ok(())
    }

    pub async fn list(&mut self, prefix: usize, limit: u32) -> Verdict {
        let prefix = ["", "a.", "b"][prefix % 3];
        let told = self.within(self.channels.list_channels(&self.caller(0), prefix, None, limit)).await?;
        let Some(listed) = self.told(told, Ok(()))? else { return Ok(()) };
        let expected = self.truth.oracle.channels(&app(), prefix, None, limit).map_err(|error| error.to_string())?;
        same("channels", &listed, &expected)
    }

    /// Everything that there is, in pages from both ends, as one may read it who may read everything; and what everybody is
    /// owed who follows.
    pub async fn read_all(&mut self) -> Verdict {
        for n in 0..crate::steps::ROOMS {
            for order in [Order::Ascending, Order::Descending] {
                self.walk(n, order).await?;
            }
            for by in 0..crate::steps::CALLERS {
                self.count(by, n, Place::Start, Place::End).await?;
                let ask = Ask {
                    after: Place::Start,
                    upto: Some(Place::End),
                    newest: true,
                    limit: 9,
                    author: None,
                    custom_type: None,
                };
                self.read(by, n, &ask).await?;
                self.changes(by, n, Place::Start, 200).await?;
            }
        }
        self.list(0, 100).await?;
        self.poll_all().await
    }

    async fn walk(&mut self, n: u8, order: Order) -> Verdict {
        let channel = room(n);
        let (mut span, mut visited) = (Span::ALL, 0);
        for _ in 0..10_000 {
            let query = Query::of(Reach::Span { span, order }, 7);
            let told = self.within(self.channels.history(&self.caller(0), &channel, &query)).await?;
            let history = told.map_err(|error| format!("{error:?}"))?;
            self.is_history(0, &channel, &query, &history)?;
            visited += history.page.messages.len() as u64;
            if !history.page.more {
                return same("all pages together", &visited, &self.counted(0, &channel, Span::ALL)?);
            }
            match order {
                Order::Ascending => span.after = history.page.covered.upto,
                Order::Descending => span.upto = history.page.covered.after,
            }
        }
        Err("paging does not come to an end".into())
    }

    fn query(&self, channel: &Channel, ask: &Ask) -> Query {
        let all = self.truth.oracle.stored_messages(channel);
        let order = if ask.newest { Order::Descending } else { Order::Ascending };
        let reach = match ask.upto {
            Some(upto) => {
                Reach::Span { span: Span { after: ask.after.resolve(&all), upto: upto.resolve(&all) }, order }
            }
            None => Reach::Around(ask.after.resolve(&all)),
        };
        let author = ask.author.map(|n| Author::person(&user(n)));
        let custom_type: Option<Arc<str>> = ask.custom_type.map(|n| format!("type {n}").into());
        Query { author, custom_type, ..Query::of(reach, ask.limit) }
    }

    fn may_read(&self, by: u8, channel: &Channel) -> Result<(), ErrorKind> {
        let allowed = self.caller(by).access.allows(&channel.name, Rights::HISTORY);
        if allowed { Ok(()) } else { Err(ErrorKind::Forbidden) }
    }

    /// What a caller may see of a channel, and what the channel keeps.
    pub fn sight(&self, by: u8, channel: &Channel) -> Sight {
        let now = self.clock.now_ticks();
        sight_of(&self.caller(by), now).and(self.truth.kept(&channel.name, now))
    }

    fn counted(&self, by: u8, channel: &Channel, span: Span) -> Result<u64, String> {
        let sight = self.sight(by, channel);
        let above = sight.above(self.truth.head(channel).last.seq);
        let count = self.truth.oracle.count(channel, sight.cut(span), above, self.now());
        count.map_err(|error| error.to_string())
    }

    /// Whether a page is an answer to a query of a caller.
    fn is_history(&self, by: u8, channel: &Channel, query: &Query, history: &History) -> Verdict {
        let (state, now) = (self.truth.state(channel), self.now());
        let sight = self.sight(by, channel);
        let callers = sight_of(&self.caller(by), now.ticks());
        let page = &history.page;
        let above = sight.above(state.head().last.seq);
        let hidden = page
            .messages
            .iter()
            .find(|message| message.id <= sight.after || message.seq <= above || message.is_expired(now));
        check(hidden.is_none(), || format!("a page shows {hidden:?} to one who sees {sight:?} above {above:?}"))?;
        self.are_borders(page, callers, &state)?;
        let limit = callers.newest.map_or(query.limit, |newest| query.limit.min(newest as u32));
        let (span, order) = match query.reach {
            Reach::Span { span, order } => (span, order),
            Reach::Around(id) => {
                let below = page.messages.iter().filter(|message| message.id < id).count();
                check(below <= limit as usize / 2, || format!("{below} messages below of {limit}"))?;
                (Span::ALL, Order::Ascending)
            }
        };
        let mut span = sight.cut(span);
        let by_age = self.truth.retention(&channel.name).age.is_some();
        if !page.more && page.covered.after < span.after && by_age {
            // A page that is remembered reaches as far back as it did when it was read, where there is nothing to show.
            span.after = page.covered.after;
        }
        // What the store says is judged as it was said; the borders, which are the caller's, were looked at above.
        let next_expiry = page.messages.iter().filter_map(|message| message.expires_at).min();
        let head = state.head();
        let judged = Page { floor: head.floor, head: head.last, next_expiry, ..page.clone() };
        let around = matches!(query.reach, Reach::Around(_));
        let (span, more) = if around { (page.covered, false) } else { (span, page.more) };
        let window = Window {
            span,
            order,
            limit,
            above,
            author: query.author.clone(),
            custom_type: query.custom_type.clone(),
            now,
        };
        let verdict = judge::page_of(&Page { more, ..judged }, &window, &state);
        verdict.map_err(|why| format!("{why}; {query:?} by {by}, {page:?}"))
    }

    fn are_borders(&self, page: &Page, callers: Sight, state: &testkit::ChannelState) -> Verdict {
        let head = state.head();
        let is_last = page.head == head.last;
        let is_hidden = !callers.is_all() && head.last.id <= callers.after && page.head == page.floor;
        check(is_last || is_hidden, || format!("the head is {:?}, told {:?}", head.last, page.head))?;
        let deep = page.floor.id >= head.floor.id && page.floor.seq >= head.floor.seq;
        let below_all =
            page.messages.first().is_none_or(|first| page.floor.id < first.id && page.floor.seq < first.seq);
        check(deep && below_all, || format!("the floor is {:?}, told {:?}", head.floor, page.floor))
    }
}

/// Whether a change is about nothing at or below a position.
pub fn shows_nothing_below(change: &model::Change, hidden: Id) -> bool {
    use model::What;
    let Some(change) = crate::writes::in_channel(change) else { return true };
    match &change.what {
        What::Published { message, .. } => message.id > hidden,
        What::Edited(edit) => edit.message > hidden,
        What::Unedited(unedit) => unedit.message > hidden,
        What::Deleted(removal) | What::Expired(removal) => removal.ids.iter().all(|id| *id > hidden),
        What::Floored(floor) => floor.id > hidden,
        What::Reacted(reaction) | What::Unreacted { was: reaction, .. } => reaction.message > hidden,
        What::Unstored(_) | What::Signal(_) | What::Presence(_) => true,
    }
}

/// Two that are to be the same.
pub fn same<T: PartialEq + Debug>(what: &str, got: &T, expected: &T) -> Verdict {
    check(got == expected, || format!("{what}: got {got:?}, expected {expected:?}"))
}
