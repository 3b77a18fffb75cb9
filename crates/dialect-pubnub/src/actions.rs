//! Message actions (`protocols/pubnub.md` §8): what the service calls reactions.

use crate::{
    auth::Need,
    call::Call,
    convert,
    error::{ActionFault, Refusal},
    limits,
    route::ActionCall,
    selection::{self, Bounds},
    wire::json,
};
use bytes::Bytes;
use model::{Channel, ErrorKind, Id, Order, Reaction, ReactionEntry, Span};
use serde_json::{Map, Value};
use service::Unreact;
use std::sync::Arc;

/// Adds, lists and removes actions.
pub async fn actions(call: &Call<'_>, channel: &str, wish: ActionCall, body: &Bytes) -> Result<Vec<u8>, Refusal> {
    let channel = call.channel(convert::channel(channel)?);
    match wish {
        ActionCall::Add { message } => add(call, &channel, message, body).await,
        ActionCall::List => list(call, &channel).await,
        ActionCall::Remove { message, action } => remove(call, &channel, message, action).await,
    }
}

async fn add(call: &Call<'_>, channel: &Channel, message: u64, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let fields: Map<String, Value> = serde_json::from_slice(body).map_err(|_| Refusal::Action(ActionFault::Body))?;
    let field = |name: &'static str| -> Result<Arc<str>, Refusal> {
        let text = fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        text.map(Arc::from).ok_or(Refusal::Action(ActionFault::Field(name)))
    };
    let (kind, value) = (field("type")?, field("value")?);
    let caller = call.caller(Need::Write, &[&channel.name])?;
    let user = call.user.clone().ok_or(Refusal::Argument("uuid"))?;
    let reaction = Reaction { message: Id::new(message, 0), user, kind, value };
    let id = call.channels.react(&caller, channel, reaction.clone(), false).await.map_err(|error| {
        if error.kind == ErrorKind::Conflict { Refusal::Action(ActionFault::AlreadyAdded) } else { error.into() }
    })?;
    let mut out = b"{\"status\":200,\"data\":".to_vec();
    write(&mut out, id, &reaction);
    out.push(b'}');
    Ok(out)
}

/// The newest of those before `start`, not older than `end`.
async fn list(call: &Call<'_>, channel: &Channel) -> Result<Vec<u8>, Refusal> {
    let most = limits::ACTIONS_LISTED;
    let limit = call.query.number("limit")?.filter(|limit| *limit > 0);
    let limit = limit.map_or(most, |limit| u32::try_from(limit).unwrap_or(most).min(most));
    let (start, end) = (call.query.timetoken("start")?, call.query.timetoken("end")?);
    let above = selection::deletion(Bounds { start: None, end });
    let span = above.intersection(selection::deletion(Bounds { start, end: None }));
    let caller = call.caller(Need::Read, &[&channel.name])?;
    let found = match span.is_empty() {
        true => Vec::new(),
        false => call.channels.reactions_made(&caller, channel, span, Order::Descending, limit).await?.entries,
    };
    let mut out = b"{\"status\":200,\"data\":[".to_vec();
    json::joined(&mut out, &found, |out, entry| write(out, entry.id, &entry.reaction));
    out.extend_from_slice(b"]}");
    Ok(out)
}

/// Only the poster may remove.
async fn remove(call: &Call<'_>, channel: &Channel, message: u64, action: u64) -> Result<Vec<u8>, Refusal> {
    let caller = call.caller(Need::Delete, &[&channel.name])?;
    let tick = Span { after: Id::last_before(action), upto: Id::last_at(action) };
    let found = call.channels.reactions_made(&caller, channel, tick, Order::Ascending, 1).await?.entries;
    let fits = |entry: &ReactionEntry| entry.reaction.message.timetoken() == message;
    let entry = found.into_iter().find(fits).ok_or(Refusal::Action(ActionFault::NotFound))?;
    if call.user.as_ref().map(|user| &user.id) != Some(&entry.reaction.user.id) {
        return Err(Refusal::Action(ActionFault::WrongUser));
    }
    call.channels.unreact(&caller, channel, Unreact::Id(entry.id)).await.map_err(|error| {
        if error.kind == ErrorKind::NotFound { Refusal::Action(ActionFault::NotFound) } else { error.into() }
    })?;
    Ok(b"{\"status\":200,\"data\":{}}".to_vec())
}

fn write(out: &mut Vec<u8>, id: Id, reaction: &Reaction) {
    out.extend_from_slice(b"{\"messageTimetoken\":");
    json::token(out, reaction.message.timetoken());
    out.extend_from_slice(b",\"type\":");
    json::string(out, &reaction.kind);
    out.extend_from_slice(b",\"uuid\":");
    json::string(out, &reaction.user.id);
    out.extend_from_slice(b",\"value\":");
    json::string(out, &reaction.value);
    out.extend_from_slice(b",\"actionTimetoken\":");
    json::token(out, id.timetoken());
    out.push(b'}');
}
