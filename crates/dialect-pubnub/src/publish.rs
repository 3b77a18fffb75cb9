//! Publish, fire, signal and the announcement of a file (`protocols/pubnub.md` §4).

use crate::{
    auth::Need,
    call::Call,
    convert::{self, Extras, Own},
    error::Refusal,
    limits,
    route::{Publish, Published},
    wire::json,
};
use bytes::Bytes;
use model::Kind;
use serde_json::value::RawValue;
use service::Draft;

/// Publishes, and answers with the timetoken.
pub async fn publish(call: &Call<'_>, publish: Publish, body: Bytes) -> Result<Vec<u8>, Refusal> {
    if publish.publish_key != call.keyset.publish_key {
        return Err(Refusal::PublishKey);
    }
    let text = publish.message.map_or(body, Bytes::from);
    let draft = draft(call, publish.what, &text)?;
    let channel = call.channel(convert::published_channel(&publish.channel)?);
    let caller = call.caller(Need::Write, &[&channel.name])?;
    let timetoken = if publish.what == Published::Signal {
        call.channels.signal(&caller, &channel, draft).await?.id.timetoken()
    } else if is_fire(call, &draft) {
        call.now()
    } else {
        call.channels.publish(&caller, &channel, draft).await?.id.timetoken()
    };
    Ok(sent(timetoken))
}

/// The bytes that the message of a call may have.
pub fn most_bytes(what: Published) -> usize {
    match what {
        Published::Large => limits::LARGE_PUBLISH_BYTES,
        Published::Message | Published::Signal | Published::File => limits::PUBLISH_BYTES,
    }
}

/// Neither stored nor spread: for functions at the vendor's edge, which do not exist here (§4.4).
fn is_fire(call: &Call, draft: &Draft) -> bool {
    !draft.store && call.query.flag("norep", false)
}

fn draft(call: &Call, what: Published, text: &Bytes) -> Result<Draft, Refusal> {
    if text.len() > most_bytes(what) {
        return Err(Refusal::BodyTooLarge);
    }
    let payload = convert::payload(text)?;
    let mut draft = Draft::new(payload);
    draft.author = call.user.clone();
    draft.custom_type = convert::custom_type(call.query.get("custom_message_type"))?;
    draft.extras = extras(call)?;
    match what {
        Published::Signal if draft.payload.bytes.len() > limits::SIGNAL_BYTES => return Err(Refusal::SignalTooLarge),
        Published::Signal => return Ok(draft),
        Published::File => draft.kind = Kind::File,
        Published::Message | Published::Large => {}
    }
    draft.store = call.query.flag("store", true);
    if draft.store {
        draft.ttl = convert::time_to_live(call.query.get("ttl"), call.keyset.retention)?;
    }
    Ok(draft)
}

fn extras(call: &Call) -> Result<Option<Bytes>, Refusal> {
    let meta: Option<&RawValue> = match call.query.get("meta") {
        Some(text) if text.len() > limits::META_BYTES => return Err(Refusal::BodyTooLarge),
        Some(text) => Some(serde_json::from_str(text).map_err(|_| Refusal::InvalidJson)?),
        None => None,
    };
    let own = Own {
        sequence: call.query.get("seqn").and_then(|text| text.parse().ok()),
        origination: convert::origination(call.query.get("ortt")),
    };
    Ok(Extras { meta, pubnub: (own != Own::default()).then_some(own) }.encode())
}

/// §4.3: all three elements are read by some client.
fn sent(timetoken: u64) -> Vec<u8> {
    let mut out = b"[1,\"Sent\",".to_vec();
    json::token(&mut out, timetoken);
    out.push(b']');
    out
}
