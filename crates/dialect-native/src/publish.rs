//! `POST channels/{channel}/messages`, one message or an array of them, and `POST channels/{channel}/signals`.

use crate::{
    Native, auth,
    call::{Answer, Call},
    convert,
    error::Problem,
    fields, json, wire,
};
use axum::body::Body;
use http::{HeaderMap, Response, StatusCode};
use model::{Channel, Error, ErrorKind};
use serde_json::value::RawValue;
use service::{Caller, Draft, Published};

/// The header that carries a publisher's key.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

impl Native {
    pub(crate) async fn publish(&self, call: Call<'_>, channel: &Channel) -> Answer {
        let key = header_key(call.headers)?;
        let (caller, body) = call.body().await?;
        let text = fields::text(&body)?;
        if text.trim_ascii_start().starts_with('[') {
            return self.publish_array(caller, channel, key, text).await;
        }
        let draft = spoken(caller, convert::draft(&one(text)?, key)?)?;
        let published = self.channels.publish(caller, channel, draft).await?;
        Ok(answer_one(&published))
    }

    /// An array in, an array out: each message has its own outcome, in the same place.
    async fn publish_array(&self, caller: &Caller, channel: &Channel, header_key: Option<&str>, text: &str) -> Answer {
        if header_key.is_some() {
            return Err(Problem::invalid("key", "an array has a key in each message, not in the header"));
        }
        let raw: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| of_json(&error))?;
        if raw.len() > self.settings.publish_messages {
            let text = format!("body: {} messages, the limit is {}", raw.len(), self.settings.publish_messages);
            return Err(Error::new(ErrorKind::TooLarge, text).into());
        }
        let drafts = raw.into_iter().map(|raw| spoken(caller, convert::draft(&one(raw.get())?, None)?));
        let (checked, good) = part(drafts, channel);
        let outcomes = self.channels.publish_all(caller, good).await;
        Ok(json(render_array(checked, outcomes).into()))
    }

    pub(crate) async fn signal(&self, call: Call<'_>, channel: &Channel) -> Answer {
        let (caller, body) = call.body().await?;
        let wire = one(fields::text(&body)?)?;
        let stored_only = [("ttl", wire.ttl), ("key", wire.key), ("store", wire.store)];
        if let Some((field, _)) = stored_only.iter().find(|(_, value)| value.is_some()) {
            return Err(Problem::invalid(field, "a signal is never stored, so it cannot have this"));
        }
        let draft = Draft { store: false, ..spoken(caller, convert::draft(&wire, None)?)? };
        let published = self.channels.signal(caller, channel, draft).await?;
        Ok(answer_one(&published))
    }
}

fn header_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Problem::invalid("key", "the header holds bytes that are not text"))?;
    Ok(Some(text))
}

fn one(text: &str) -> Result<wire::Draft<'_>, Problem> {
    serde_json::from_str(text).map_err(|error| of_json(&error))
}

/// A draft of who it is that calls, if that is known.
fn spoken(caller: &Caller, mut draft: Draft) -> Result<Draft, Problem> {
    draft.author = auth::speaker(caller, "author", draft.author)?;
    Ok(draft)
}

/// Names the field that is missing, unknown or doubled, else the place in the body.
fn of_json(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let named = ["missing field `", "unknown field `", "duplicate field `"].iter().find_map(|start| {
        let (name, _) = text.strip_prefix(start)?.split_once('`')?;
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        plain.then(|| (name.to_owned(), start.split(' ').next().unwrap_or_default()))
    });
    match named {
        Some((name, what)) => Problem::invalid(&name, format!("{what} field ({text})")),
        None => Problem::invalid("body", text),
    }
}

/// Parts what can be published from what cannot; `None` stands where an outcome will come.
fn part(
    drafts: impl Iterator<Item = Result<Draft, Problem>>,
    channel: &Channel,
) -> (Vec<Option<Problem>>, Vec<(Channel, Draft)>) {
    let (mut checked, mut good) = (Vec::new(), Vec::new());
    for draft in drafts {
        match draft {
            Ok(draft) => {
                checked.push(None);
                good.push((channel.clone(), draft));
            }
            Err(problem) => checked.push(Some(problem)),
        }
    }
    (checked, good)
}

fn render_array(checked: Vec<Option<Problem>>, outcomes: Vec<model::Result<Published>>) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + 96 * checked.len());
    let mut outcomes = outcomes.into_iter();
    out.push(b'[');
    for (index, refused) in checked.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let outcome = match refused {
            Some(problem) => Err(problem),
            None => outcomes.next().expect("one outcome for each draft").map_err(Problem::from),
        };
        match outcome {
            Ok(published) => wire::push_published(&mut out, &published),
            Err(problem) => wire::push(&mut out, format_args!("{{\"error\":{}}}", problem.to_json())),
        }
    }
    out.push(b']');
    out
}

/// 201 for what is new, 200 for what was there under the same key.
fn answer_one(published: &Published) -> Response<Body> {
    let mut out = Vec::with_capacity(128);
    wire::push_published(&mut out, published);
    let mut response = json(out.into());
    *response.status_mut() = if published.repeated { StatusCode::OK } else { StatusCode::CREATED };
    response
}
