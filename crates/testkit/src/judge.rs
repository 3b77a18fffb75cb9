//! Judges answers of a store by the list of everything that was stored. A store is free where its budget of work
//! ends; it is not free in what it then says about itself. Each judge tells the first promise that is broken, in words.

use model::{
    Change, FeedItem, FeedPage, Head, Id, Message, Order, Page, Position, RemovedCount, Span, TICKS_PER_SECOND, Window,
    limits,
};
use std::{fmt::Debug, sync::Arc};

/// What is said about an answer.
pub type Verdict = Result<(), String>;

/// Judges the answer to `window`; `all` is everything that the channel ever stored, by growing id.
pub fn page(page: &Page, window: &Window, all: &[Arc<Message>]) -> Verdict {
    check_cover(page, window)?;
    check_content(page, window, all)?;
    check_budget(page, window, all)?;
    check_head(page, all)
}

/// Judges part of the feed; `all` is everything that the shard ever stored, by growing id. A store may have dropped old
/// days of its feed, never the day of the newest change.
pub fn feed(page: &FeedPage, span: Span, limit: u32, all: &[FeedItem]) -> Verdict {
    let day = |id: Id| id.ticks() / (86_400 * TICKS_PER_SECOND);
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

fn check_content(page: &Page, window: &Window, all: &[Arc<Message>]) -> Verdict {
    let in_sight = |span: Span| all.iter().filter(move |m| span.contains(m.id) && m.seq > window.above);
    let fitting = in_sight(page.covered).filter(|message| {
        message.expires_at.is_none_or(|due| due > window.now)
            && (window.author.is_none() || window.author == message.author)
            && (window.custom_type.is_none() || window.custom_type == message.custom_type)
    });
    let expected: Vec<Id> = fitting.clone().map(|message| message.id).collect();
    let got: Vec<Id> = page.messages.iter().map(|message| message.id).collect();
    same("the ids of the page", &got, &expected)?;
    holds(page.messages.iter().eq(fitting), || "a message is not as it was stored".into())?;
    let expired = in_sight(page.covered).filter(|m| m.expires_at.is_some_and(|due| due <= window.now)).count() as u64;
    same("removed", &page.removed, &RemovedCount { deleted: 0, expired })?;
    let next_expiry = page.messages.iter().filter_map(|message| message.expires_at).min();
    same("next_expiry", &page.next_expiry, &next_expiry)
}

fn check_budget(page: &Page, window: &Window, all: &[Arc<Message>]) -> Verdict {
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
    let examined = |m: &&Arc<Message>| page.covered.contains(m.id) && m.seq > window.above;
    let left = |m: &&Arc<Message>| window.span.contains(m.id) && m.seq > window.above && !page.covered.contains(m.id);
    holds(all.iter().any(|m| examined(&m)), || "more, though nothing was examined: the next page is the same".into())?;
    holds(all.iter().any(|m| left(&m)), || "more, though nothing is left in the span".into())
}

fn check_head(page: &Page, all: &[Arc<Message>]) -> Verdict {
    let last = all.last().map(|last| Position { id: last.id, seq: last.seq }).unwrap_or_default();
    same("head", &page.head, &last)?;
    same("floor", &page.floor, &Head::default().floor)
}

fn same<T: PartialEq + Debug>(what: &str, got: &T, expected: &T) -> Verdict {
    holds(got == expected, || format!("{what}: got {got:?}, expected {expected:?}"))
}

fn holds(condition: bool, else_why: impl FnOnce() -> String) -> Verdict {
    if condition { Ok(()) } else { Err(else_why()) }
}
