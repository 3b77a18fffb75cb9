//! Judges answers of a store by the list of everything that was stored. A store is free where its budget of work
//! ends; it is not free in what it then says about itself. Each judge tells the first promise that is broken, in words.

use crate::ChannelState;
use model::{
    Change, ChangesPage, Channel, Due, FeedItem, FeedPage, Id, Message, Order, Page, RemovedCount, Span,
    TICKS_PER_SECOND, Window, limits,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::Arc,
};

/// What is said about an answer.
pub type Verdict = Result<(), String>;

/// Judges the answer to `window` in a channel in which `all` was published, by growing id, and nothing else happened.
pub fn page(page: &Page, window: &Window, all: &[Arc<Message>]) -> Verdict {
    page_of(page, window, &ChannelState::of(all))
}

/// Judges the answer to `window` in a channel that has been through this.
pub fn page_of(page: &Page, window: &Window, state: &ChannelState) -> Verdict {
    check_cover(page, window)?;
    check_content(page, window, state)?;
    check_budget(page, window, state)?;
    same("head", &page.head, &state.head().last)?;
    same("floor", &page.floor, &state.head().floor)
}

/// Judges part of a channel's change feed, asked for from `after` on; `newest` is the id of the newest stored change of
/// the shard. A store may have dropped old days, never the day of that change, and what was told before an erasure.
pub fn changes(page: &ChangesPage, after: Id, limit: u32, state: &ChannelState, newest: Id) -> Verdict {
    let starts_after = page.starts_after;
    let whole = state.told(Id::MIN).next().is_none_or(|first| starts_after < first.id());
    let erased = starts_after <= state.changes_after();
    holds(whole || erased || day(starts_after) < day(newest), || format!("the feed starts after {starts_after:?}"))?;
    let expected: Vec<_> = state.told(after.max(starts_after)).cloned().collect();
    let count = page.changes.len();
    holds(count <= limit as usize, || format!("{count} changes, {limit} were asked for"))?;
    same("changes", &page.changes, &expected[..count.min(expected.len())].to_vec())?;
    same("more", &page.more, &(count < expected.len()))?;
    let examined = page.examined;
    if page.more {
        holds(limit == 0 || count > 0, || "more, and no step forward".into())?;
        let last = page.changes.last().map_or(after, |last| last.id());
        let honest = last <= examined && examined < expected[count].id();
        return holds(honest, || format!("examined up to {examined:?}, last given {last:?}"));
    }
    let honest = examined >= after.max(state.newest()) && examined <= after.max(newest);
    holds(honest, || format!("no more, examined up to {examined:?}; the newest is {newest:?}"))
}

/// Judges what is due at `now`; `states` are all channels of the shard. Of messages that are due at the same time any
/// may be told first.
pub fn due<'a>(
    told: &[Due],
    now: Id,
    limit: u32,
    states: impl IntoIterator<Item = (&'a Channel, &'a ChannelState)>,
) -> Verdict {
    let states: BTreeMap<_, _> = states.into_iter().collect();
    let mut all: Vec<Id> = states.values().flat_map(|state| state.due(now).map(|(due, _)| due)).collect();
    all.sort_unstable();
    all.truncate(limit as usize);
    let mut seen = BTreeSet::new();
    let mut moments = Vec::new();
    for Due { channel, messages } in told {
        holds(seen.insert(channel) && !messages.is_empty(), || format!("{channel:?} twice or for nothing"))?;
        let state = states.get(channel).ok_or_else(|| format!("{channel:?} is not of the shard"))?;
        let grow = messages.windows(2).all(|pair| pair[0].seq < pair[1].seq);
        holds(grow, || format!("{messages:?} do not grow by seq"))?;
        for at in messages {
            let due = state.due(now).find(|(_, position)| position == at);
            moments.push(due.ok_or_else(|| format!("{at:?} of {channel:?} is not due, or not there"))?.0);
        }
    }
    moments.sort_unstable();
    same("the moments of what is due", &moments, &all)
}

/// Judges part of the feed; `all` is everything that the shard ever stored, by growing id. A store may have dropped old
/// days of its feed, never the day of the newest change.
pub fn feed(page: &FeedPage, span: Span, limit: u32, all: &[FeedItem]) -> Verdict {
    let newest = all.last().map_or(Id::MAX, |last| last.id);
    let whole = all.first().is_none_or(|first| page.starts_after < first.id);
    holds(whole || day(page.starts_after) < day(newest), || format!("the feed starts after {:?}", page.starts_after))?;
    let wanted = |item: &&FeedItem| span.contains(item.id) && item.id > page.starts_after;
    let expected: Vec<FeedItem> = all.iter().filter(wanted).cloned().collect();
    let count = page.items.len();
    holds(count <= limit as usize, || format!("{count} items, {limit} were asked for"))?;
    same("items", &page.items, &expected[..count.min(expected.len())].to_vec())?;
    same("more", &page.more, &(count < expected.len()))?;
    if page.more {
        holds(limit == 0 || count > 0, || "more, and no step forward".into())?;
        let last = page.items.last().map_or(span.after, |item| item.id);
        let honest = last <= page.examined && page.examined < expected[count].id;
        return holds(honest, || format!("examined up to {:?}, past an item that was not given", page.examined));
    }
    holds(span.is_empty() || page.examined == span.upto, || format!("no more, examined up to {:?}", page.examined))
}

/// Judges what refills the recent ring; `all` is everything that the shard ever stored, by growing id.
pub fn recent((after, changes): &(Id, Vec<Arc<Change>>), bytes: usize, all: &[Arc<Change>]) -> Verdict {
    let expected: Vec<_> = all.iter().filter(|change| change.id() > *after).cloned().collect();
    same("the changes", changes, &expected)?;
    let but_the_first: usize = changes.iter().skip(1).map(|change| change.cost()).sum();
    holds(but_the_first <= bytes, || format!("{but_the_first} bytes and one change more, {bytes} were asked for"))
}

fn check_cover(page: &Page, window: &Window) -> Verdict {
    let (covered, span) = (page.covered, window.span);
    if !page.more {
        return same("covered without more", &covered, &span);
    }
    match window.order {
        Order::Ascending => same("the lower end of covered", &covered.after, &span.after)?,
        Order::Descending => same("the upper end of covered", &covered.upto, &span.upto)?,
    }
    holds(covered.after >= span.after && covered.upto <= span.upto, || format!("{covered:?} leaves {span:?}"))
}

fn check_content(page: &Page, window: &Window, state: &ChannelState) -> Verdict {
    let covered = Window { span: page.covered, ..window.clone() };
    let expected: Vec<Id> = state.fitting(&covered).map(|message| message.id).collect();
    let got: Vec<Id> = page.messages.iter().map(|message| message.id).collect();
    same("the ids of the page", &got, &expected)?;
    let differs = page.messages.iter().zip(state.fitting(&covered)).find(|(got, expected)| got != expected);
    holds(differs.is_none(), || format!("a message is not as it is: {differs:?}"))?;
    same("removed", &page.removed, &state.removed(page.covered, window.above, window.now))?;
    let next_expiry = page.messages.iter().filter_map(|message| message.expires_at).min();
    same("next_expiry", &page.next_expiry, &next_expiry)
}

fn check_budget(page: &Page, window: &Window, state: &ChannelState) -> Verdict {
    let most = window.limit.min(limits::PAGE_MESSAGES) as usize;
    let count = page.messages.len();
    holds(count <= most, || format!("{count} messages, {most} were asked for"))?;
    let bytes = |messages: &[Arc<Message>]| messages.iter().map(|m| m.payload.bytes.len()).sum::<usize>();
    let but_the_last = match window.order {
        Order::Ascending => page.messages.split_last().map_or(0, |(_, rest)| bytes(rest)),
        Order::Descending => page.messages.split_first().map_or(0, |(_, rest)| bytes(rest)),
    };
    holds(but_the_last < limits::PAGE_BYTES, || "the page went on after its bound of bytes was crossed".into())?;
    if !page.more || window.limit == 0 {
        return Ok(());
    }
    let filtered = window.author.is_some() || window.custom_type.is_some() || page.removed != RemovedCount::default();
    let used_up = count == most || bytes(&page.messages) >= limits::PAGE_BYTES;
    holds(filtered || used_up, || format!("more, though {count} of {most} messages are no end of a budget"))?;
    let above = window.above.max(state.head().floor.seq);
    let mut in_sight = state.messages().filter(|m| window.span.contains(m.id) && m.seq > above);
    let examined = in_sight.clone().any(|m| page.covered.contains(m.id));
    holds(examined, || "more, though nothing was examined: the next page is the same".into())?;
    holds(in_sight.any(|m| !page.covered.contains(m.id)), || "more, though nothing is left in the span".into())
}

fn day(id: Id) -> u64 {
    id.ticks() / (86_400 * TICKS_PER_SECOND)
}

fn same<T: PartialEq + Debug>(what: &str, got: &T, expected: &T) -> Verdict {
    holds(got == expected, || format!("{what}: got {got:?}, expected {expected:?}"))
}

fn holds(condition: bool, else_why: impl FnOnce() -> String) -> Verdict {
    if condition { Ok(()) } else { Err(else_why()) }
}
