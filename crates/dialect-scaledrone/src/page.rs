//! A page of history by REST, in the shape of the native API (`docs/dialects/native.md`): a page says what it covers.

use crate::json;
use model::{Error, Id, Message, Order, PayloadForm, Position, Result, Span};
use service::{History, Query, Reach};
use std::fmt::Write;

/// Reads `after`, `before` (ids of messages, both exclusive) and `limit`. The newest ones are taken, unless only
/// `after` is given: then the ones that follow it.
pub fn query(parameters: Vec<(String, String)>, most: u32) -> Result<Query> {
    let (mut after, mut before, mut limit) = (None, None, most);
    for (name, value) in parameters {
        match name.as_str() {
            "after" => after = Some(id(&name, &value)?),
            "before" => before = Some(id(&name, &value)?),
            "limit" => limit = value.parse().map_err(|_| Error::invalid("limit: not a number"))?,
            // Wrappers add parameters of their own.
            _ => {}
        }
    }
    let order = if after.is_some() && before.is_none() { Order::Ascending } else { Order::Descending };
    let span = Span { after: after.unwrap_or(Id::MIN), upto: before.map_or(Id::MAX, Id::previous) };
    Ok(Query::of(Reach::Span { span, order }, limit.min(most)))
}

fn id(name: &str, value: &str) -> Result<Id> {
    crate::convert::position(value).ok_or_else(|| Error::invalid(format!("{name}: not the id of a message")))
}

/// The page as JSON. `floor` and `head` are those that the caller may know of; the links lead to the neighbours.
pub fn render(history: &History, limit: u32) -> String {
    let page = &history.page;
    let messages: Vec<String> = page.messages.iter().map(|message| render_message(message)).collect();
    let mut out = format!("{{\"messages\":[{}],\"page\":{{", messages.join(","));
    let end = |message: Option<&std::sync::Arc<Message>>| {
        message.map_or("null".to_owned(), |message| position(message.position()))
    };
    let (after, upto) = (page.covered.after, page.covered.upto);
    let link = |show: bool, bound: String| match show {
        true => json::text(&format!("?{bound}&limit={limit}")),
        false => "null".to_owned(),
    };
    let previous = link(after > page.floor.id, format!("before={}", after.raw().saturating_add(1)));
    let next = link(upto < page.head.id, format!("after={upto}"));
    let hidden = history.hidden_below.map_or("null".to_owned(), |id| format!("\"{id}\""));
    write!(
        out,
        "\"first\":{},\"last\":{},\"covered\":{{\"after\":\"{after}\",\"upto\":\"{upto}\"}},\"more\":{},\"floor\":{},\
         \"head\":{},\"missing\":{{\"deleted\":{},\"expired\":{}}},\"hidden_by_window\":{hidden},\
         \"previous\":{previous},\"next\":{next}}}}}",
        end(page.messages.first()),
        end(page.messages.last()),
        page.more,
        position(page.floor),
        position(page.head),
        page.removed.deleted,
        page.removed.expired,
    )
    .expect("writing to a string does not fail");
    out
}

fn position(position: Position) -> String {
    format!("{{\"id\":\"{}\",\"seq\":{}}}", position.id, position.seq)
}

fn render_message(message: &Message) -> String {
    let mut out =
        format!("{{\"id\":\"{}\",\"timetoken\":\"{}\",\"seq\":{}", message.id, message.id.timetoken(), message.seq);
    if let Some(author) = &message.author {
        write!(out, ",\"author\":{}", json::text(&*author.id)).expect("writing to a string does not fail");
    }
    let form = if message.payload.form == PayloadForm::Text { ",\"form\":\"text\"" } else { "" };
    write!(out, "{form},\"payload\":{}}}", crate::convert::json_of(&message.payload))
        .expect("writing to a string does not fail");
    out
}
