//! History of both versions, counts and deletion (`protocols/pubnub.md` §6 and §7).

mod render;

use crate::{
    auth::Need,
    call::Call,
    convert,
    error::Refusal,
    limits,
    selection::{self, Bounds},
    wire::{encode_key, json, names, timetoken},
};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use model::{Channel, Id, Message, Order, ReactionEntry, Span, Target};
use render::Fields;
use service::{Caller, History, Query, Reach};
use std::sync::Arc;

/// §6: one channel, always in ascending order.
pub async fn history(call: &Call<'_>, channel: &str) -> Result<Vec<u8>, Refusal> {
    let most = call.settings.history_messages;
    let limit = limit(call, "count", most, most)?;
    let (span, order) = selection::history(bounds(call)?, call.query.flag("reverse", false));
    let fields = render::ListFields::of(call.query);
    let channel = call.channel(convert::channel(channel)?);
    let caller = call.caller(Need::Read, &[&channel.name])?;
    let read = read(call, &caller, &channel, span, order, limit).await?;
    Ok(render::list(read.messages().map(|message| &**message), &fields))
}

/// §7.1: the messages of up to 500 channels; channels without any are left out.
pub async fn fetch(call: &Call<'_>, list: &str) -> Result<Bytes, Refusal> {
    let names = names(list, limits::FETCH_CHANNELS)?;
    let channels = channels(call, &names)?;
    let several = channels.len() > 1;
    let most = if several { call.settings.fetch_messages } else { call.settings.history_messages };
    let limit = limit(call, "max", most, most)?;
    let (span, order) = selection::history(bounds(call)?, call.query.flag("reverse", false));
    let caller = call.caller(Need::Read, &channels.iter().map(|channel| &channel.name).collect::<Vec<_>>())?;
    let fields = Fields::of(call.query);

    // Futures in a list first: a closure that makes them inside the stream would tie it to one lifetime.
    let reads: Vec<_> = channels.iter().map(|channel| read(call, &caller, channel, span, order, limit)).collect();
    let mut reads = stream::iter(reads).buffered(call.settings.concurrent_reads);
    let mut out = render::Fetch::default();
    for name in &names {
        let Some(read) = reads.try_next().await? else { break };
        if several && (read.cut || out.len() > call.settings.answer_bytes) {
            return Err(Refusal::AnswerTooLarge);
        }
        match &read.pages[..] {
            // The usual case: one page of one channel is a whole answer.
            [page] if !several => return Ok(render::page(page, name, fields)),
            pages => out.channel(name, pages, fields),
        }
    }
    Ok(out.finish())
}

/// §7.2: the messages of one channel with all their actions.
pub async fn fetch_with_actions(call: &Call<'_>, list: &str) -> Result<Vec<u8>, Refusal> {
    let names = names(list, limits::FETCH_CHANNELS)?;
    let [name] = names[..] else { return Err(Refusal::Argument("channel")) };
    let channel = call.channel(convert::channel(name)?);
    let most = call.settings.fetch_messages;
    let limit = limit(call, "max", most, most)?;
    let (span, order) = selection::history(bounds(call)?, call.query.flag("reverse", false));
    let caller = call.caller(Need::Read, &[&channel.name])?;
    let read = read(call, &caller, &channel, span, order, limit).await?;
    let messages: Vec<&Message> = read.messages().map(|message| &**message).collect();
    let acted = acted(call, &caller, &channel, &messages, order).await?;

    let mut out = render::FETCH_HEAD.to_vec();
    if !acted.is_empty() {
        let fields = Fields::of(call.query);
        render::key(&mut out, name, fields.encode);
        render::with_actions(&mut out, &acted, fields);
    }
    out.push(b'}');
    if acted.len() < messages.len() {
        write_more(&mut out, call, name, &acted, order, limit);
    }
    out.push(b'}');
    Ok(out)
}

/// The messages with their actions, from the end that the call began at, until there are too many actions for one answer.
async fn acted<'a>(
    call: &Call<'_>,
    caller: &Caller,
    channel: &Channel,
    messages: &[&'a Message],
    order: Order,
) -> Result<Vec<(&'a Message, Vec<ReactionEntry>)>, Refusal> {
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return Ok(Vec::new()) };
    let all = Span { after: first.id.previous(), upto: last.id };
    let found = call.channels.reactions(caller, channel, all, limits::ACTIONS_PAGE).await?;
    if !found.more {
        let of = |id: Id| -> Vec<ReactionEntry> {
            found.entries.iter().filter(|entry| entry.reaction.message == id).cloned().collect()
        };
        return Ok(messages.iter().map(|message| (*message, of(message.id))).collect());
    }
    let (mut acted, mut count) = (Vec::new(), 0);
    let walk: Vec<&&Message> = match order {
        Order::Ascending => messages.iter().collect(),
        Order::Descending => messages.iter().rev().collect(),
    };
    for message in walk {
        let only = Span { after: message.id.previous(), upto: message.id };
        let entries = call.channels.reactions(caller, channel, only, limits::ACTIONS_PAGE).await?.entries;
        count += entries.len();
        acted.push((*message, entries));
        if count >= limits::ACTIONS_FETCHED {
            break;
        }
    }
    if order == Order::Descending {
        acted.reverse();
    }
    Ok(acted)
}

/// Where to go on: with the last message of the answer, in the direction of the call.
fn write_more(
    out: &mut Vec<u8>,
    call: &Call,
    name: &str,
    acted: &[(&Message, Vec<ReactionEntry>)],
    order: Order,
    limit: u32,
) {
    let end = if order == Order::Ascending { acted.last() } else { acted.first() };
    let start = end.map_or(0, |(message, _)| message.id.timetoken());
    let mut url = format!("/v3/history-with-actions/sub-key/{}/channel/", call.keyset.subscribe_key).into_bytes();
    encode_key(name, &mut url);
    url.extend_from_slice(format!("?start={start}&max={limit}").as_bytes());
    out.extend_from_slice(b",\"more\":{\"url\":");
    json::string(out, &String::from_utf8_lossy(&url));
    out.extend_from_slice(b",\"start\":");
    json::token(out, start);
    out.extend_from_slice(b",\"max\":");
    json::number(out, limit.into());
    out.push(b'}');
}

/// §7.5: deletes from one channel or several, all that the bounds select of each.
pub async fn delete(call: &Call<'_>, list: &str) -> Result<Vec<u8>, Refusal> {
    if !call.keyset.delete_from_history {
        return Err(Refusal::DeleteNotEnabled);
    }
    let names = names(list, limits::FETCH_CHANNELS)?;
    let channels = channels(call, &names)?;
    let span = selection::deletion(bounds(call)?);
    let caller = call.caller(Need::Delete, &channels.iter().map(|channel| &channel.name).collect::<Vec<_>>())?;
    for channel in channels.iter().filter(|_| !span.is_empty()) {
        call.channels.delete(&caller, channel, Target::Span(span)).await?;
    }
    Ok(b"{\"status\":200,\"error\":false,\"error_message\":\"\"}".to_vec())
}

/// §7.4: exact, up to the setting; every channel that was asked for is in the answer.
pub async fn count(call: &Call<'_>, list: &str) -> Result<Vec<u8>, Refusal> {
    let names: Vec<&str> = list.split(',').filter(|name| !name.is_empty()).collect();
    if names.len() > limits::COUNT_CHANNELS {
        return Err(Refusal::TooManyNames(limits::COUNT_CHANNELS));
    }
    let tokens = count_tokens(call, names.len())?;
    let channels = channels(call, &names)?;
    let caller = call.caller(Need::Read, &channels.iter().map(|channel| &channel.name).collect::<Vec<_>>())?;
    let counts: Vec<_> = channels
        .iter()
        .zip(tokens)
        .map(|(channel, token)| call.channels.count(&caller, channel, selection::after(token)))
        .collect();
    let counts: Vec<u64> = stream::iter(counts).buffered(call.settings.concurrent_reads).try_collect().await?;

    let encode = call.query.flag("encode_channels", true);
    let mut seen = foldhash::HashSet::default();
    let first = names.into_iter().zip(counts).filter(|(name, _)| seen.insert(*name));
    let mut out = render::FETCH_HEAD.to_vec();
    json::joined(&mut out, first, |out, (name, count)| {
        render::key(out, name, encode);
        json::number(out, count.min(call.settings.count_most));
    });
    out.extend_from_slice(b"}}");
    Ok(out)
}

/// One timetoken per channel: either one for all, or a list of the same length.
fn count_tokens(call: &Call, channels: usize) -> Result<Vec<u64>, Refusal> {
    match (call.query.timetoken("timetoken")?, call.query.get("channelsTimetoken")) {
        (Some(token), None) => Ok(vec![token; channels]),
        (None, Some(list)) => {
            let tokens: Option<Vec<u64>> = list.split(',').map(timetoken).collect();
            tokens.filter(|tokens| tokens.len() == channels).ok_or(Refusal::Arguments)
        }
        (None, None) | (Some(_), Some(_)) => Err(Refusal::Arguments),
    }
}

fn channels(call: &Call, names: &[&str]) -> Result<Vec<Channel>, Refusal> {
    if names.is_empty() {
        return Err(Refusal::Argument("channel"));
    }
    names.iter().map(|name| Ok(call.channel(convert::channel(name)?))).collect()
}

fn bounds(call: &Call) -> Result<Bounds, Refusal> {
    Ok(Bounds { start: call.query.timetoken("start")?, end: call.query.timetoken("end")? })
}

/// How many messages are asked for: zero or less means the default, more than the most means the most.
fn limit(call: &Call, name: &'static str, default: u32, most: u32) -> Result<u32, Refusal> {
    let Some(text) = call.query.get(name) else { return Ok(default) };
    let number: i64 = text.parse().map_err(|_| Refusal::Argument(name))?;
    Ok(if number <= 0 { default } else { u32::try_from(number).unwrap_or(most).min(most) })
}

/// What was read of one channel: pages in ascending order.
struct Read {
    pages: Vec<Arc<History>>,
    /// There were more messages than fit into one answer.
    cut: bool,
}

impl Read {
    fn messages(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.pages.iter().flat_map(|history| &history.page.messages)
    }
}

/// Reads up to `limit` messages. A page that ended for its bytes is followed by the next, until the answer is full:
/// clients take a page with less than they asked for as the last one.
async fn read(
    call: &Call<'_>,
    caller: &Caller,
    channel: &Channel,
    mut span: Span,
    order: Order,
    mut limit: u32,
) -> Result<Read, Refusal> {
    let mut read = Read { pages: Vec::new(), cut: false };
    let mut room = call.settings.answer_bytes;
    while limit > 0 && !span.is_empty() {
        let query = Query::of(Reach::Span { span, order }, limit);
        let history = call.channels.history(caller, channel, &query).await?;
        let page = &history.page;
        limit = limit.saturating_sub(u32::try_from(page.messages.len()).unwrap_or(u32::MAX));
        room = room.saturating_sub(page.messages.iter().map(|message| message.cost()).sum());
        let (more, covered) = (page.more, page.covered);
        read.pages.push(history);
        if !more || limit == 0 {
            break;
        }
        if room == 0 {
            read.cut = true;
            break;
        }
        match order {
            Order::Ascending => span.after = covered.upto,
            Order::Descending => span.upto = covered.after,
        }
    }
    if order == Order::Descending {
        read.pages.reverse();
    }
    Ok(read)
}
