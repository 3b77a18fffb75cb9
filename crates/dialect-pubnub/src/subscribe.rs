//! Subscribe v2 (`protocols/pubnub.md` §5): one request asks for everything after its timetoken on all its channels,
//! and is held until there is something.
//!
//! The timetoken of an answer is the position *examined*: everything at or below it was given or does not match, and
//! nothing will ever appear there. So a client that polls with the timetoken it was given misses nothing and gets
//! nothing twice, whatever was published between its polls.

pub mod entries;
mod envelope;
mod event;
mod permit;

use crate::{
    call::Call,
    convert::{self, Extras},
    error::Refusal,
    filter::{Filter, Subject},
    presence::{self, Attendance, stay},
    wire::{Callback, Reply},
};
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use entries::Entries;
use envelope::Answer;
use futures_util::{future::FutureExt, stream};
use http::header;
use model::{Change, Id, Message};
use permit::Permit;
use serde_json::value::RawValue;
use service::{Delivery, Item, Subscription};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// What a handshake with an empty store returns: a position below every id, but one that clients do not take for the
/// wish for another handshake.
const FIRST: Id = Id::new(10_000_000_000_000_000, 0);

/// Answers a handshake at once, and anything else as soon as there is something.
///
/// What is there already goes out as a plain answer. Otherwise the head of the answer goes out and its body waits, so
/// that a held poll costs its memory and nothing else: no place among the requests being answered. It ends with its
/// connection.
pub async fn subscribe(call: &Call<'_>, channels: &str, callback: &Callback) -> Result<Response, Refusal> {
    let groups = call.query.get("channel-group").unwrap_or_default();
    let entries = Entries::parse(channels, groups)?;
    let filter = call.query.get("filter-expr").map(Filter::compile).transpose()?;
    let position = call.query.timetoken("tt")?.filter(|token| *token > 0).map(Id::last_at);
    let caller = call.subscriber(&entries)?;
    let attendance = presence::attend(call, &caller, &entries).await?;
    let subscription = call.channels.subscribe(&caller, entries.topics, position).await?;
    let answer = Answer { key: call.keyset.subscribe_key.as_str().into(), callback: callback.clone() };
    if position.is_none() {
        return Ok(answer.write(subscription.cursor().max(FIRST), &[], &[]).into_response());
    }
    let (permit, hold) = Permit::of(call);
    let most = call.settings.subscribe_messages;
    let poll = Poll { subscription, names: entries.names, filter, answer, permit, attendance, most, hold };
    let mut poll = Box::pin(poll.run());
    match poll.as_mut().now_or_never() {
        Some(Ended { failure: Some(error), .. }) => Err(error.into()),
        Some(Ended { reply, failure: None }) => Ok(reply.into_response()),
        None => Ok(held(poll)),
    }
}

/// The head now, the body when there is something. A failure from here on has no status any more: the client gets an
/// empty answer with the position that it reached, and hears of the failure at its next poll.
fn held(poll: impl Future<Output = Ended> + Send + 'static) -> Response {
    let body = stream::once(poll.map(|ended| Ok::<Bytes, Infallible>(ended.reply.body)));
    let mut response = Reply::ok(Bytes::new()).into_response();
    response.headers_mut().remove(header::CONTENT_LENGTH);
    *response.body_mut() = Body::from_stream(body);
    response
}

/// A subscribe that waits.
struct Poll {
    subscription: Subscription,
    names: Vec<Arc<str>>,
    filter: Option<Filter>,
    answer: Answer,
    permit: Permit,
    attendance: Option<Attendance>,
    most: usize,
    hold: Duration,
}

/// How a poll ended: with an answer, which is empty if the work failed.
struct Ended {
    reply: Reply,
    failure: Option<model::Error>,
}

impl Poll {
    async fn run(mut self) -> Ended {
        let deadline = Instant::now() + self.hold;
        let (cursor, chosen, failure) = loop {
            let next = async {
                tokio::select! {
                    biased;
                    () = self.permit.ended() => None,
                    () = stay(&mut self.attendance) => None,
                    delivery = self.subscription.next() => Some(delivery),
                }
            };
            match timeout_at(deadline, next).await {
                Ok(Some(Ok(delivery))) => {
                    let (cursor, chosen) = self.choose(delivery);
                    if !chosen.is_empty() {
                        break (cursor, chosen, None);
                    }
                }
                Ok(Some(Err(error))) => break (self.subscription.cursor(), Vec::new(), Some(error)),
                Ok(None) | Err(_) => break (self.subscription.cursor(), Vec::new(), None),
            }
        };
        Ended { reply: self.answer.write(cursor, &self.names, &chosen), failure }
    }

    /// What of a delivery goes into the answer, and how far the answer then reaches: never between equal ticks.
    fn choose(&self, delivery: Delivery) -> (Id, Vec<Item>) {
        let mut chosen: Vec<Item> = Vec::new();
        for item in delivery.items {
            if !self.wants(&item) {
                continue;
            }
            if let Some(last) = chosen.last()
                && chosen.len() >= self.most
                && last.change.id().ticks() < item.change.id().ticks()
            {
                return (last.change.id(), chosen);
            }
            chosen.push(item);
        }
        (delivery.cursor, chosen)
    }

    /// The filter is for what somebody said; actions and presence pass it by.
    fn wants(&self, item: &Item) -> bool {
        let Change::Channel(change) = &*item.change else { return false };
        match change.what.message() {
            Some(message) => self.passes(message),
            None => envelope::is_told(&change.what),
        }
    }

    fn passes(&self, message: &Message) -> bool {
        let Some(filter) = &self.filter else { return true };
        let data = convert::payload_json(&message.payload);
        let meta = Extras::of(message).meta.map(RawValue::get);
        filter.accepts(&Subject::new(meta, Some(&data)))
    }
}
