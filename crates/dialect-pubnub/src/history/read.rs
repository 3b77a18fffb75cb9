//! Reading one channel for a call: page after page, until what was asked for is there, or the answer is full.

use super::asked::Asked;
use crate::{call::Call, error::Refusal};
use model::{Author, Channel, Message, Order, Span};
use service::{Caller, History, Query, Reach};
use std::sync::Arc;

/// What was read of one channel.
pub struct Read {
    /// Pages in ascending order.
    pub pages: Vec<Arc<History>>,
    /// The bytes of one answer were used up before what was asked for was there.
    pub cut: bool,
    /// Where to go on, as the timetoken for `start` or `after`, if there may be more.
    pub next: Option<u64>,
}

impl Read {
    /// The messages, in ascending order.
    pub fn messages(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.pages.iter().flat_map(|history| &history.page.messages)
    }
}

/// Reads a channel. A page that ended for its bytes or its work is followed by the next: clients take a page with less
/// than they asked for as the last one.
pub async fn read(call: &Call<'_>, caller: &Caller, channel: &Channel, asked: &Asked) -> Result<Read, Refusal> {
    let mut read = Read { pages: Vec::new(), cut: false, next: None };
    let (mut span, mut limit) = (asked.span, asked.limit);
    let mut room = call.settings.answer_bytes;
    while limit > 0 && !span.is_empty() {
        let query = Query {
            author: asked.author.as_ref().map(Author::person),
            custom_type: asked.custom_type.clone(),
            ..Query::of(Reach::Span { span, order: asked.order }, limit)
        };
        let history = call.channels.history(caller, channel, &query).await?;
        limit = limit.saturating_sub(u32::try_from(history.page.messages.len()).unwrap_or(u32::MAX));
        room = room.saturating_sub(history.bytes());
        let (more, covered) = (history.page.more, history.page.covered);
        read.pages.push(history);
        if !more {
            break;
        }
        read.next = Some(next(covered, asked.order));
        read.cut = limit > 0 && room == 0;
        if read.cut || limit == 0 || read.pages.len() >= asked.most_pages() {
            break;
        }
        read.next = None;
        match asked.order {
            Order::Ascending => span.after = covered.upto,
            Order::Descending => span.upto = covered.after,
        }
    }
    if asked.order == Order::Descending {
        read.pages.reverse();
    }
    Ok(read)
}

/// The exclusive bound from which a walk goes on that looked through this much.
fn next(covered: Span, order: Order) -> u64 {
    match order {
        Order::Ascending => covered.upto.timetoken(),
        Order::Descending => covered.after.timetoken() + 1,
    }
}
