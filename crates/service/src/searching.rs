//! Searching by words. An index says where to look; each message is then read from the store as history reads it, so an
//! answer never shows what history would not.

use crate::{
    Caller, Channels, Rights, Settings,
    history::{self, Seen},
    live::Live,
};
use model::{
    AppId, Author, Candidate, Channel, ChannelName, Effort, Error, ErrorKind, Id, Message, Order, Place, Result,
    Search, SnippetPiece, Sought, Span, Store, Window,
};
use std::sync::Arc;

/// What is looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SearchQuery {
    /// Every one of these words; the last one also as a beginning.
    pub words: String,
    /// In these channels; without it, in all with a name in the clear that the caller may read.
    pub channels: Option<Vec<ChannelName>>,
    /// When.
    pub span: Span,
    /// From which end of the span.
    pub order: Order,
    /// How many messages at most.
    pub limit: u32,
    /// Only messages of this author.
    pub author: Option<Author>,
    /// Only messages of this custom type.
    pub custom_type: Option<Arc<str>>,
}

/// A message that has the words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hit {
    /// Where.
    pub channel: ChannelName,
    /// The message, with its newest content.
    pub message: Arc<Message>,
    /// The part of its text that shows the words.
    pub snippet: Vec<SnippetPiece>,
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hits {
    /// In the order that was asked for.
    pub list: Vec<Hit>,
    /// What was looked through: every message of it that fits is in the list.
    pub covered: Span,
    /// There may be more beyond `covered`, on the side that the order moves to.
    pub more: bool,
    /// Everything that was stored up to here was looked through; what is newer is found later.
    pub indexed: Id,
}

/// One search, on a thread that may block.
struct Job {
    search: Arc<dyn Search>,
    live: Arc<Live>,
    caller: Caller,
    query: SearchQuery,
    now: Id,
    /// What was acknowledged before.
    fresh: Id,
    candidates: usize,
}

impl Channels {
    /// Whether messages of an app can be searched.
    pub fn searches(&self, app: &AppId) -> bool {
        self.shared.search.as_ref().is_some_and(|search| search.covers(app))
    }

    /// Messages with all of the words. Needs [`Rights::HISTORY`] on every channel that is named; of others, those are
    /// looked through on which the caller has it. `NotFound` when the app is not indexed, `Unavailable` while its index is
    /// being made.
    pub async fn search(&self, caller: &Caller, query: SearchQuery) -> Result<Hits> {
        let shared = &self.shared;
        shared.admit(caller, &caller.app)?;
        query.check(&shared.settings)?;
        for name in query.channels.iter().flatten() {
            caller.access.demand(name, Rights::HISTORY)?;
        }
        let search = shared.search.clone().filter(|search| search.covers(&caller.app));
        let job = Job {
            search: search.ok_or_else(not_searched)?,
            live: shared.live.clone(),
            caller: caller.clone(),
            query,
            now: shared.now(),
            fresh: shared.live.frontier(),
            candidates: shared.settings.search_candidates,
        };
        shared.searches.run(move |store| job.run(store)).await
    }
}

impl SearchQuery {
    fn check(&self, settings: &Settings) -> Result<()> {
        let (messages, channels) = (settings.search_messages, settings.search_channels);
        if !(1..=messages).contains(&self.limit) {
            return Err(Error::invalid(format!("limit: from 1 to {messages}")));
        }
        if self.channels.as_ref().is_some_and(|named| named.len() > channels) {
            return Err(Error::new(ErrorKind::TooLarge, format!("channel: at most {channels} in one search")));
        }
        Ok(())
    }
}

impl Job {
    fn run(&self, store: &dyn Store) -> Result<Hits> {
        let limit = self.query.limit as usize;
        let span = self.caller.access.visible(self.now.ticks()).cut(self.query.span);
        let (mut rest, mut list, mut left) = (span, Vec::new(), self.candidates);
        loop {
            // Some more than are missing: a few may be hidden or not be there any more.
            let found = self.find(rest, left.min(limit - list.len() + limit / 8 + 8))?;
            let mut examined = 0;
            for candidate in &found.list {
                if list.len() == limit {
                    break;
                }
                list.extend(self.hit(store, candidate)?);
                rest = beyond(rest, candidate.id, self.query.order);
                examined += 1;
            }
            let more = found.more || examined < found.list.len();
            left -= examined;
            if more && list.len() < limit && left > 0 {
                continue;
            }
            let indexed = found.indexed;
            return Ok(Hits { covered: self.covered(span, rest, more, indexed, &list), list, more, indexed });
        }
    }

    fn find(&self, span: Span, limit: usize) -> Result<model::Candidates> {
        let may_be_read = |name: &ChannelName| self.may_be_read(name);
        let sought = Sought {
            app: &self.caller.app,
            words: &self.query.words,
            place: match &self.query.channels {
                Some(names) => Place::Channels(names),
                None => Place::Admitted(&may_be_read),
            },
            span,
            order: self.query.order,
            limit,
            author: self.query.author.as_ref(),
            custom_type: self.query.custom_type.as_deref(),
        };
        self.search.find(&sought, self.fresh)
    }

    /// Whether the channel is one in which is looked.
    fn may_be_read(&self, name: &ChannelName) -> bool {
        match &self.query.channels {
            Some(names) => names.contains(name),
            None => name.as_named().is_some() && self.caller.access.allows(name, Rights::HISTORY),
        }
    }

    /// The candidate as the caller may see it, if it may, and if it has the words.
    fn hit(&self, store: &dyn Store, candidate: &Candidate) -> Result<Option<Hit>> {
        if !self.may_be_read(&candidate.channel) {
            return Ok(None);
        }
        let channel = Channel { app: self.caller.app.clone(), name: candidate.channel.clone() };
        let visible = Seen::of(&self.live.policies, &self.caller, &channel, self.now).visible();
        let window = Window {
            span: visible.cut(Span { after: candidate.id.previous(), upto: candidate.id }),
            order: Order::Ascending,
            limit: 1,
            above: history::above(store, &channel, visible)?,
            author: self.query.author.clone(),
            custom_type: self.query.custom_type.clone(),
            now: self.now,
        };
        let Some(page) = store.read(&channel, &window, Effort::Disk)? else { return Ok(None) };
        let Some(message) = page.messages.into_iter().next() else { return Ok(None) };
        let snippet = self.search.show(&self.query.words, &message)?;
        Ok(snippet.map(|snippet| Hit { channel: channel.name, message, snippet }))
    }

    /// What was looked through when `rest` of a span was left.
    fn covered(&self, span: Span, rest: Span, more: bool, indexed: Id, list: &[Hit]) -> Span {
        // The index may have gone on since it told how far it is.
        let newest = list.iter().map(|hit| hit.message.id).fold(indexed, Id::max);
        let covered = match (more, self.query.order) {
            (false, _) => span,
            (true, Order::Ascending) => Span { after: span.after, upto: rest.after },
            (true, Order::Descending) => Span { after: rest.upto, upto: span.upto },
        };
        Span { after: covered.after, upto: covered.upto.min(newest).max(covered.after) }
    }
}

/// What is left of a span when it was looked through up to an id.
fn beyond(span: Span, id: Id, order: Order) -> Span {
    match order {
        Order::Ascending => Span { after: span.after.max(id), upto: span.upto },
        Order::Descending => Span { after: span.after, upto: span.upto.min(id.previous()) },
    }
}

fn not_searched() -> Error {
    Error::new(
        ErrorKind::NotFound,
        "messages of this app are not indexed: its configuration does not say search = true",
    )
}
