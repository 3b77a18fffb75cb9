//! History of the 1.x API (`protocols/agora-rtm.md` §3): making a query, fetching its page, counting.

use crate::{
    convert,
    dialect::Call,
    error::Refusal,
    query::{self, Query},
    wire::{Count, MadeQuery, Page, Reply},
};
use model::{Order, Result, SelectionPage, Span};
use service::SelectionQuery;

/// Makes a query (§3.1). What its page may have is fixed now; it is read when it is fetched.
pub fn make_query(call: &Call<'_>, body: &[u8]) -> Result<Reply, Refusal> {
    let query = query::of_body(body, call.project.settings.default_order)?;
    let (offset, limit, order) = (query.offset(), query.limit, query::order_word(query.order));
    let handle = call.project.handles.seal(query, call.channels.frontier(), call.now_ms);
    let location = format!("~/rtm/message/history/query/{handle}");
    Ok(call.success(MadeQuery { offset, limit, order, location }))
}

/// Fetches the page of a query, which is ready at once and is fetched once (§3.2). What fails to be read is not used up.
pub async fn page(call: &Call<'_>, handle: &str) -> Result<Reply, Refusal> {
    let ticket = call.project.handles.open_handle(handle, call.now_ms).ok_or(Refusal::Gone)?;
    let query = &ticket.query;
    let page = read(call, query, query.span(ticket.head)).await?;
    if !call.project.handles.spend(&ticket).await? {
        return Err(Refusal::Gone);
    }
    let mut messages: Vec<_> = page.messages.iter().map(convert::message).collect();
    if query.order == Order::Descending {
        messages.reverse();
    }
    let is_last = page.total <= query.offset().saturating_add(messages.len() as u64);
    let cursor = messages.last().filter(|_| !is_last).map(|last| last.id.clone());
    Ok(call.success(Page { code: "ok", messages, cursor }))
}

async fn read(call: &Call<'_>, query: &Query, span: Span) -> Result<SelectionPage> {
    let selection = query.filter.who.selection(|channel| call.project.reaches(channel))?;
    let Some(selection) = selection.filter(|_| !span.is_empty()) else {
        return Ok(SelectionPage { messages: Vec::new(), total: 0, covered: span });
    };
    let wanted = SelectionQuery { span, order: query.order, offset: query.offset(), limit: query.limit };
    call.channels.select(&call.caller(), &selection, wanted).await
}

/// Counts by the very same match (§3.4).
pub async fn count(call: &Call<'_>) -> Result<Reply, Refusal> {
    let filter = query::of_parameters(call.query)?;
    let count = match filter.who.selection(|channel| call.project.reaches(channel))? {
        Some(selection) => call.channels.count_selected(&call.caller(), &selection, filter.span()).await?,
        None => 0,
    };
    Ok(call.success(Count { code: "ok", count }))
}
