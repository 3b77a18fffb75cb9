//! History of both versions, counts and deletion (`protocols/pubnub.md` §6 and §7).

mod acted;
mod asked;
mod list;
mod more;
mod read;
mod render;

use crate::{
    auth::Need,
    call::Call,
    convert,
    error::Refusal,
    limits, selection,
    wire::{json, names, timetoken},
};
use asked::Asked;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use model::{Channel, Message, Order, Target};
use more::More;
use read::read;
use render::Fields;

/// §6: one channel, always in ascending order.
pub async fn history(call: &Call<'_>, channel: &str) -> Result<Vec<u8>, Refusal> {
    let asked = Asked::list(call)?;
    let fields = list::ListFields::of(call.query);
    let channel = call.channel(convert::channel(channel)?);
    let caller = call.caller(Need::Read, &[&channel.name])?;
    let read = read(call, &caller, &channel, &asked).await?;
    Ok(list::list(read.messages().map(|message| &**message), &fields))
}

/// §7.1: the messages of up to 500 channels; channels without any are left out.
pub async fn fetch(call: &Call<'_>, list: &str) -> Result<Bytes, Refusal> {
    let names = names(list, limits::FETCH_CHANNELS)?;
    let channels = channels(call, &names)?;
    let several = channels.len() > 1;
    let asked = Asked::fetch(call, !several)?;
    let caller = call.caller(Need::Read, &channels.iter().map(|channel| &channel.name).collect::<Vec<_>>())?;
    let fields = Fields::of(call.query);

    // Futures in a list first: a closure that makes them inside the stream would tie it to one lifetime.
    let reads: Vec<_> = channels.iter().map(|channel| read(call, &caller, channel, &asked)).collect();
    let mut reads = stream::iter(reads).buffered(call.settings.concurrent_reads);
    let mut out = render::Fetch::default();
    let mut unfinished = Vec::new();
    for name in &names {
        let Some(read) = reads.try_next().await? else { break };
        if several && (read.cut || out.len() > call.settings.answer_bytes) {
            return Err(Refusal::AnswerTooLarge);
        }
        match &read.pages[..] {
            // The usual case: one page of one channel is a whole answer.
            [page] if !several && !asked.own => return Ok(render::page(page, name, fields)),
            pages => out.channel(name, pages, fields),
        }
        unfinished.extend(read.next.map(|token| More { name, token }));
    }
    Ok(if asked.own { out.finish_with(asked.cursor, &unfinished, fields) } else { out.finish() })
}

/// §7.2: the messages of one channel with all their actions.
pub async fn fetch_with_actions(call: &Call<'_>, list: &str) -> Result<Vec<u8>, Refusal> {
    let names = names(list, limits::FETCH_CHANNELS)?;
    let [name] = names[..] else { return Err(Refusal::Argument("channel")) };
    let channel = call.channel(convert::channel(name)?);
    let asked = Asked::fetch(call, false)?;
    let caller = call.caller(Need::Read, &[&channel.name])?;
    let read = read(call, &caller, &channel, &asked).await?;
    let messages: Vec<&Message> = read.messages().map(|message| &**message).collect();
    let acted = acted::acted(call, &caller, &channel, &messages, asked.order).await?;

    let mut out = render::FETCH_HEAD.to_vec();
    if !acted.is_empty() {
        let fields = Fields::of(call.query);
        render::key(&mut out, name, fields.encode);
        render::with_actions(&mut out, &acted, fields);
    }
    out.push(b'}');
    let last = if asked.order == Order::Ascending { acted.last() } else { acted.first() };
    // A vendor's call is told of more only if its actions were too many for one answer.
    let next = match last {
        Some((message, _)) if acted.len() < messages.len() => Some(message.id.timetoken()),
        _ => read.next.filter(|_| asked.own),
    };
    if let Some(token) = next {
        let path = format!("/v3/history-with-actions/sub-key/{}/channel/", call.keyset.subscribe_key);
        more::more(&mut out, &path, call.query, asked.cursor, asked.limit, &More { name, token });
    }
    out.push(b'}');
    Ok(out)
}

/// §7.5: deletes from one channel or several, all that the bounds select of each.
pub async fn delete(call: &Call<'_>, list: &str) -> Result<Vec<u8>, Refusal> {
    if !call.keyset.delete_from_history {
        return Err(Refusal::DeleteNotEnabled);
    }
    let names = names(list, limits::FETCH_CHANNELS)?;
    let channels = channels(call, &names)?;
    let span = selection::deletion(asked::bounds(call)?);
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
        json::number(out, count.min(call.settings.counts_upto));
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
