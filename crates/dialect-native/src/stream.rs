//! `GET channels/{channel}/stream` and `GET stream?channel=…&pattern=…`: from a position through history into what
//! happens, as server-sent events. The id of an event is the position to go on from.

use crate::{
    Native,
    call::{Answer, Call},
    convert::Position,
    error::Problem,
    params::Params,
    settings::Settings,
    wire,
};
use axum::body::Body;
use bytes::Bytes;
use edge::CancellationToken;
use http::{HeaderMap, HeaderValue, Response, header};
use model::{Change, ChannelName, Error, ErrorKind, Id, What};
use service::{Caller, Delivery, Group, Item, Pattern, Subscription, Topic};
use std::convert::Infallible;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

const LAST_EVENT_ID: &str = "last-event-id";

impl Native {
    pub(crate) async fn channel_stream(&self, call: Call<'_>, name: ChannelName) -> Answer {
        let headers = call.headers;
        let (caller, mut params) = call.params()?;
        let from = from(&mut params, headers)?;
        let presence = params.take_flag("presence")?;
        params.finish(&["from", "presence", "access_token"])?;
        let mut topics = vec![Topic::Channel(name.clone())];
        if presence {
            topics.push(Topic::Presence(name));
        }
        self.open(caller, topics, from).await
    }

    pub(crate) async fn stream(&self, call: Call<'_>) -> Answer {
        let headers = call.headers;
        let (caller, mut params) = call.params()?;
        let from = from(&mut params, headers)?;
        let topics = topics(&mut params, self.settings.stream_channels)?;
        params.finish(&["channel", "pattern", "group", "presence", "from", "access_token"])?;
        self.open(caller, topics, from).await
    }

    async fn open(&self, caller: &Caller, topics: Vec<Topic>, from: Option<Id>) -> Answer {
        let subscription = self.channels.subscribe(caller, topics, from).await?;
        let reader = Reader::new(subscription, &self.settings, self.stop.clone());
        let chunks = futures_util::stream::unfold(reader, |mut reader| async move {
            let chunk = reader.next().await?;
            Some((Ok::<Bytes, Infallible>(chunk), reader))
        });
        let mut response = Response::new(Body::from_stream(chunks));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}

/// `presence` adds who is there to what is said: of a channel, a pattern or a group that is named so.
fn topics(params: &mut Params<'_>, limit: usize) -> Result<Vec<Topic>, Problem> {
    let mut topics = Vec::new();
    for name in params.take_all("channel") {
        topics.push(Topic::Channel(ChannelName::named(&name)?));
    }
    for pattern in params.take_all("pattern") {
        topics.push(Topic::Pattern(Pattern::new(&pattern)?));
    }
    for group in params.take_all("group") {
        topics.push(Topic::Group(Group::new(&group)?));
    }
    for name in params.take_all("presence") {
        topics.push(presence(&name)?);
    }
    if topics.is_empty() {
        return Err(Problem::invalid("channel", "name at least one channel, pattern, group or presence"));
    }
    if topics.len() > limit {
        let text = format!("channel: {} channels and patterns, the limit is {limit}", topics.len());
        return Err(Error::new(ErrorKind::TooLarge, text).into());
    }
    Ok(topics)
}

/// Whose presence: `group:name`, a pattern that ends with a star, or a channel.
fn presence(text: &str) -> Result<Topic, Problem> {
    let renamed = |error: Error| {
        let reason = error.message.split_once(": ").map_or(&*error.message, |(_, reason)| reason);
        Problem::invalid("presence", reason)
    };
    match text.strip_prefix("group:") {
        Some(group) => Group::new(group).map(Topic::PresenceGroup),
        None if text.ends_with('*') => Pattern::new(text).map(Topic::PresencePattern),
        None => ChannelName::named(text).map(Topic::Presence),
    }
    .map_err(renamed)
}

/// Where to begin: after the last event that the reader saw, else after `from`; `now`, the default, is no position.
fn from(params: &mut Params<'_>, headers: &HeaderMap) -> Result<Option<Id>, Problem> {
    params.take("access_token")?;
    let given = params.take("from")?;
    if let Some(last) = headers.get(LAST_EVENT_ID).filter(|last| !last.is_empty()) {
        let text = last.to_str().map_err(|_| Problem::invalid("last_event_id", "not text"))?;
        return Ok(Some(Position::parse("last_event_id", text)?.last()));
    }
    match given.as_deref() {
        None | Some("now") => Ok(None),
        Some("start") => Ok(Some(Id::MIN)),
        Some(text) => match Position::parse("from", text)? {
            Position::Id(id) => Ok(Some(id)),
            tick => Ok(Some(tick.last())),
        },
    }
}

/// One open stream.
struct Reader {
    subscription: Subscription,
    stop: CancellationToken,
    heartbeat: Interval,
    /// What to say first.
    greeting: Option<Bytes>,
    ended: bool,
}

impl Reader {
    fn new(subscription: Subscription, settings: &Settings, stop: CancellationToken) -> Reader {
        let mut heartbeat = interval_at(Instant::now() + settings.heartbeat, settings.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut greeting = Vec::new();
        wire::push(&mut greeting, format_args!("retry: {}\n", settings.retry.as_millis()));
        push_moved(&mut greeting, subscription.cursor());
        Reader { subscription, stop, heartbeat, greeting: Some(greeting.into()), ended: false }
    }

    /// What to send next; none when the stream has ended. Nothing is taken from the subscription before the socket has
    /// room, so a slow reader is the subscription's to bound.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting);
        }
        if self.ended {
            return None;
        }
        let delivery = tokio::select! {
            biased;
            () = self.stop.cancelled() => return self.end("stopping", None),
            delivery = self.subscription.next() => delivery,
            _ = self.heartbeat.tick() => return Some(Bytes::from_static(b":\n\n")),
        };
        self.heartbeat.reset();
        match delivery {
            Ok(delivery) => Some(render(&delivery)),
            Err(error) if error.kind == ErrorKind::Unavailable => self.end("stopping", None),
            Err(error) if error.kind == ErrorKind::Forbidden => self.end("access ended", Some(error)),
            Err(error) => self.end("cut off", Some(error)),
        }
    }

    /// The last words: a reader that follows the protocol of events comes back by itself, to where it was.
    fn end(&mut self, comment: &str, error: Option<Error>) -> Option<Bytes> {
        self.ended = true;
        let mut out = Vec::new();
        wire::push(&mut out, format_args!(": {comment}\n\n"));
        if let Some(error) = error {
            wire::push(&mut out, format_args!("event: error\n"));
            push_data(&mut out, Problem::from(error).to_json().as_bytes());
        }
        Some(out.into())
    }
}

/// The last event carries the delivery's cursor, which may be further than its own id: nothing that matches lies
/// between them.
fn render(delivery: &Delivery) -> Bytes {
    let mut out = Vec::new();
    let mut unsaid = true;
    for (index, item) in delivery.items.iter().enumerate() {
        let is_last = index + 1 == delivery.items.len();
        let id = if is_last { delivery.cursor } else { item.change.id() };
        if push_item(&mut out, item, id) {
            unsaid = !is_last;
        }
    }
    if unsaid {
        push_moved(&mut out, delivery.cursor);
    }
    out.into()
}

/// False for a change that streams do not show: that of a record.
fn push_item(out: &mut Vec<u8>, item: &Item, id: Id) -> bool {
    let Change::Channel(change) = &*item.change else { return false };
    let channel = change.channel.name.as_named();
    let mut data = Vec::with_capacity(256);
    let event = match &change.what {
        What::Published { message, .. } | What::Unstored(message) => {
            wire::push_message(&mut data, message, channel);
            "message"
        }
        What::Signal(message) => {
            wire::push_message(&mut data, message, channel);
            "signal"
        }
        what => {
            let Some(name) = wire::change::name(what) else { return false };
            wire::change::push_change(&mut data, change, channel);
            name
        }
    };
    wire::push(out, format_args!("event: {event}\nid: {id}\n"));
    push_data(out, &data);
    true
}

/// Tells how far the stream is, without a message: at its beginning, and in a long catch-up.
fn push_moved(out: &mut Vec<u8>, cursor: Id) {
    wire::push(out, format_args!("event: position\nid: {cursor}\ndata: {{\"position\":\"{cursor}\"}}\n\n"));
}

/// Ends an event with its data. A line break inside JSON text, of any of the three kinds, would end the line of data:
/// each begins another one, and the reader joins them by a line feed, which means the same in JSON.
fn push_data(out: &mut Vec<u8>, json: &[u8]) {
    let mut rest = json;
    loop {
        let end = rest.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(rest.len());
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&rest[..end]);
        out.push(b'\n');
        let Some(after) = rest.get(end + 1..) else { break };
        rest = after.strip_prefix(b"\n").filter(|_| rest[end] == b'\r').unwrap_or(after);
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_of_every_kind_begin_another_line_of_data() {
        let framed = |json: &str| {
            let mut out = Vec::new();
            push_data(&mut out, json.as_bytes());
            String::from_utf8(out).expect("text")
        };
        assert_eq!(framed("{}"), "data: {}\n\n");
        assert_eq!(framed("[1,\n2]"), "data: [1,\ndata: 2]\n\n");
        assert_eq!(framed("[1,\r\n2,\r3]"), "data: [1,\ndata: 2,\ndata: 3]\n\n");
        assert_eq!(framed("[\n\n]"), "data: [\ndata: \ndata: ]\n\n");
        assert_eq!(framed("[\r\r\n]"), "data: [\ndata: \ndata: ]\n\n");
    }
}
