//! Reading what is stored: pages and counts, as far back as the caller may see.

use crate::{
    access::{Caller, Rights, Visible},
    channels::Shared,
    pages::PageKey,
    policies::Policies,
    retention::Retention,
};
use bytes::Bytes;
use model::{
    Author, Channel, Effort, Error, Head, Id, Order, Page, Position, RemovedCount, Result, Seq, Span, Store, Window,
};
use std::sync::{Arc, OnceLock};

/// What history is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    /// Where to look.
    pub reach: Reach,
    /// How many messages at most.
    pub limit: u32,
    /// Only messages of these authors.
    pub author: Option<Author>,
    /// Only messages of this custom type.
    pub custom_type: Option<Arc<str>>,
}

/// Where to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// From one end of a span.
    Span {
        /// The span.
        span: Span,
        /// From which end.
        order: Order,
    },
    /// On both sides of a position: the greatest `limit / 2` ids below it and the rest at or above it. Nothing is
    /// moved over where one side has fewer.
    Around(Id),
}

/// How far back a read goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    /// What the caller's window leaves.
    pub caller: Visible,
    /// What the channel keeps.
    pub kept: Visible,
    /// Why.
    pub retention: Retention,
}

impl Query {
    /// The newest messages.
    pub fn newest(limit: u32) -> Query {
        Query::of(Reach::Span { span: Span::ALL, order: Order::Descending }, limit)
    }

    /// Messages of every author and type.
    pub fn of(reach: Reach, limit: u32) -> Query {
        Query { reach, limit, author: None, custom_type: None }
    }
}

/// A page, with what its caller may know. Equal reads of a hot page get the same one.
#[derive(Debug)]
pub struct History {
    /// The page. Its `floor`, `head` and `removed` are the caller's: the floor is at least where the caller's window and
    /// what the channel keeps begin, and its seq a lower bound where the page does not reach it.
    pub page: Page,
    /// The caller's window hides what is at or below this position, and something may be there.
    pub hidden_below: Option<Id>,
    /// When it was read: a clock that is set back shows again what was due by then.
    pub(crate) read_at: Id,
    rendered: OnceLock<(&'static str, Bytes)>,
}

impl History {
    pub(crate) fn new(page: Page, hidden_below: Option<Id>, read_at: Id) -> History {
        History { page, hidden_below, read_at, rendered: OnceLock::new() }
    }

    /// Bytes of its messages, as a budget counts them.
    pub fn bytes(&self) -> usize {
        self.page.messages.iter().map(|message| message.cost()).sum()
    }

    /// The page as bytes of the format that `dialect` names, made by `render` unless they are kept already. The first
    /// dialect to ask has its bytes kept for as long as the page is.
    pub fn rendered(&self, dialect: &'static str, render: impl FnOnce(&History) -> Bytes) -> Bytes {
        match self.rendered.get() {
            Some((kept_for, bytes)) if *kept_for == dialect => bytes.clone(),
            Some(_) => render(self),
            None => {
                let bytes = render(self);
                // A second one that rendered at the same time had the same page: whichever came first is kept.
                let _ = self.rendered.set((dialect, bytes.clone()));
                bytes
            }
        }
    }
}

impl Shared {
    pub(crate) async fn history(&self, caller: &Caller, channel: &Channel, query: &Query) -> Result<Arc<History>> {
        caller.access.demand(&channel.name, Rights::HISTORY)?;
        if query.limit > self.settings.page_messages {
            return Err(Error::invalid(format!("limit: at most {}", self.settings.page_messages)));
        }
        let now = self.now();
        let reach = self.reach(caller, channel, now);
        let keep = self.is_hot(query);
        let key = PageKey { query: query.clone(), visible: reach.caller, retention: reach.retention };
        let place = self.live.hasher.place(channel);
        self.live.pages.get(place, key, now, keep, self.read_page(channel, query, reach, now)).await
    }

    pub(crate) async fn count(&self, caller: &Caller, channel: &Channel, span: Span) -> Result<u64> {
        caller.access.demand(&channel.name, Rights::HISTORY)?;
        let now = self.now();
        let visible = self.reach(caller, channel, now).visible();
        let channel = channel.clone();
        let count = self.reads.run(move |store| {
            let above = above(store, &channel, visible)?;
            store.count(&channel, visible.cut(span), above, now)
        });
        count.await
    }

    /// How far back the caller sees, and how far back anything is kept.
    pub(crate) fn reach(&self, caller: &Caller, channel: &Channel, now: Id) -> Seen {
        Seen::of(&self.live.policies, caller, channel, now)
    }

    /// Whether others are likely to ask the same: pages from the newest end, of every author and type.
    fn is_hot(&self, query: &Query) -> bool {
        let from_the_end = match query.reach {
            Reach::Span { span, order } => order == Order::Descending && span.upto >= self.live.frontier(),
            Reach::Around(_) => false,
        };
        from_the_end && query.author.is_none() && query.custom_type.is_none()
    }

    async fn read_page(&self, channel: &Channel, query: &Query, reach: Seen, now: Id) -> Result<History> {
        let visible = reach.visible();
        let head = match visible.newest {
            Some(_) => {
                let asked = channel.clone();
                self.reads.run(move |store| head_of(store, &asked)).await?
            }
            None => Head::default(),
        };
        let above = visible.above_some(head);
        // The channel may have grown since its head was read; the caller still sees no more than it may.
        let newest = reach.caller.newest.map(|newest| u32::try_from(newest).unwrap_or(u32::MAX));
        let limit = newest.map_or(query.limit, |newest| query.limit.min(newest));
        let window = |span, order, limit| Window {
            span: visible.cut(span),
            order,
            limit,
            above,
            author: query.author.clone(),
            custom_type: query.custom_type.clone(),
            now,
        };
        let page = match query.reach {
            Reach::Span { span, order } => self.read(channel, window(span, order, limit)).await?,
            Reach::Around(id) => {
                let below = Span { after: Id::MIN, upto: id.previous() };
                let rest = Span { after: id.previous(), upto: Id::MAX };
                let below = self.read(channel, window(below, Order::Descending, limit / 2)).await?;
                let rest = self.read(channel, window(rest, Order::Ascending, limit - limit / 2)).await?;
                join(below, rest)
            }
        };
        let page = kept_page(page, reach, head);
        Ok(for_caller(page, query.reach, reach.caller, reach.caller.above_some(head), now))
    }

    /// One page of the store: on this thread if all of it is in memory.
    async fn read(&self, channel: &Channel, window: Window) -> Result<Page> {
        if let Some(page) = self.reads.store.read(channel, &window, Effort::Memory)? {
            return Ok(page);
        }
        let channel = channel.clone();
        let page = self.reads.run(move |store| store.read(&channel, &window, Effort::Disk)).await?;
        page.ok_or_else(|| Error::internal("the store gave no page although it may take any effort"))
    }
}

impl Seen {
    /// How far back a caller sees, and how far back anything is kept.
    pub fn of(policies: &Policies, caller: &Caller, channel: &Channel, now: Id) -> Seen {
        let retention = policies.retention(channel);
        let kept = retention.visible(now.ticks());
        Seen { caller: caller.access.visible(now.ticks()), kept, retention }
    }

    /// What is left of a channel for the caller.
    pub fn visible(self) -> Visible {
        self.caller.and(self.kept)
    }
}

/// The greatest hidden seq of a channel; [`Seq::NONE`] if no bound by seqs hides anything. Blocks.
pub(crate) fn above(store: &dyn Store, channel: &Channel, visible: Visible) -> Result<Seq> {
    match visible.newest {
        Some(_) => Ok(visible.above_some(head_of(store, channel)?)),
        None => Ok(Seq::NONE),
    }
}

fn head_of(store: &dyn Store, channel: &Channel) -> Result<Head> {
    Ok(store.heads(std::slice::from_ref(channel))?.pop().unwrap_or_default())
}

/// One page out of two that meet.
fn join(below: Page, rest: Page) -> Page {
    let mut messages = below.messages;
    messages.extend(rest.messages);
    Page {
        messages,
        covered: Span { after: below.covered.after, upto: rest.covered.upto },
        more: below.more || rest.more,
        removed: RemovedCount {
            deleted: below.removed.deleted + rest.removed.deleted,
            expired: below.removed.expired + rest.removed.expired,
        },
        // The later of the two reads knows more.
        floor: rest.floor,
        head: rest.head,
        next_expiry: [below.next_expiry, rest.next_expiry].into_iter().flatten().min(),
    }
}

/// Makes the page end where the channel does: what is not kept any more is as gone as what lies below the floor.
fn kept_page(mut page: Page, reach: Seen, head: Head) -> Page {
    let above = reach.kept.above_some(head);
    let begins = reach.kept.after.max(before_first(&page, above).unwrap_or(Id::MIN));
    page.floor = Position { id: page.floor.id.max(begins), seq: page.floor.seq.max(above) };
    let too_old = page.messages.first().and_then(|first| reach.retention.too_old_at(first.id));
    page.next_expiry = [page.next_expiry, too_old].into_iter().flatten().min();
    page
}

/// Where a page begins that shows the first message above this seq.
fn before_first(page: &Page, above: Seq) -> Option<Id> {
    let first = page.messages.first().filter(|first| above > Seq::NONE && first.seq == above.next());
    first.map(|first| first.id.previous())
}

/// Makes the page's borders the caller's, who must not learn from them what its window hides.
fn for_caller(mut page: Page, reach: Reach, visible: Visible, above: Seq, now: Id) -> History {
    if visible.is_all() {
        return History::new(page, None, now);
    }
    let asked_from = match reach {
        Reach::Span { span, .. } => span.after,
        Reach::Around(_) => Id::MIN,
    };
    let before_first = before_first(&page, above);
    let window_start = visible.after.max(before_first.unwrap_or(Id::MIN));
    let hides = window_start > page.floor.id && window_start > asked_from;
    let reached = page.covered.after <= window_start || before_first.is_some();
    page.floor = Position { id: page.floor.id.max(window_start), seq: page.floor.seq.max(above) };
    if page.head.id <= visible.after {
        page.head = page.floor;
    }
    History::new(page, (hides && reached).then_some(window_start), now)
}
