//! Between the vendor's words and the model's: pure functions, used by every operation.

use crate::{error::Refusal, limits, wire::json};
use bytes::Bytes;
use model::{ChannelName, Message, Origin, Payload, PayloadForm, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{borrow::Cow, sync::Arc, time::Duration};

/// What ends the name of a presence stream (`protocols/pubnub.md` §2.2).
pub const PRESENCE_SUFFIX: &str = "-pnpres";

/// The channel that a caller names (§2.2): anything without a comma.
pub fn channel(text: &str) -> Result<ChannelName, Refusal> {
    if text.contains(',') {
        return Err(Refusal::Argument("channel"));
    }
    ChannelName::named(text).map_err(Refusal::Work)
}

/// The channel that a caller publishes to: neither a presence stream nor a wildcard.
pub fn published_channel(text: &str) -> Result<ChannelName, Refusal> {
    if text == "*" || text.ends_with(".*") {
        let deep = text.matches('.').count() > MOST_DOTS;
        return Err(if deep { Refusal::WildcardTooDeep } else { Refusal::Argument("channel") });
    }
    if text.ends_with(PRESENCE_SUFFIX) {
        return Err(Refusal::Argument("channel"));
    }
    channel(text)
}

/// A wildcard has at most three levels (§5.4).
const MOST_DOTS: usize = 2;

/// Who says to be calling.
pub fn user(uuid: Option<&str>, verified: bool) -> Result<Option<UserId>, Refusal> {
    uuid.map(|id| UserId::new(Origin::Pubnub, id, verified)).transpose().map_err(|_| Refusal::Argument("uuid"))
}

/// A payload that is one JSON value; the white space around it is not part of it.
pub fn payload(text: &Bytes) -> Result<Payload, Refusal> {
    let value = json::value(text).ok_or(Refusal::InvalidJson)?;
    Ok(Payload { form: PayloadForm::Json, bytes: text.slice_ref(value.as_bytes()) })
}

/// Writes a payload as JSON: as it was accepted, or, where another door took plain text, as a string.
pub fn write_payload(out: &mut Vec<u8>, payload: &Payload) {
    match payload.form {
        PayloadForm::Json => out.extend_from_slice(&payload.bytes),
        PayloadForm::Text => json::string(out, &String::from_utf8_lossy(&payload.bytes)),
    }
}

/// A payload as JSON, for filters.
pub fn payload_json(payload: &Payload) -> Cow<'_, str> {
    match payload.form {
        PayloadForm::Json => String::from_utf8_lossy(&payload.bytes),
        PayloadForm::Text => {
            let mut out = Vec::with_capacity(payload.bytes.len() + 2);
            write_payload(&mut out, payload);
            String::from_utf8_lossy(&out).into_owned().into()
        }
    }
}

/// The publisher's id as a client sees it: the id alone, whichever door it came through.
pub fn author(message: &Message) -> Option<&str> {
    message.author.as_ref().map(|author| &*author.id)
}

/// What a PubNub publisher sends along. Stored as the message's extras, a JSON object: `meta` means the same to every
/// dialect, the rest is under this dialect's own name.
#[derive(Clone, Copy, Default, Debug, Serialize, Deserialize)]
pub struct Extras<'a> {
    /// The publisher's metadata, as sent.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<&'a RawValue>,
    /// What only PubNub has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pubnub: Option<Own>,
}

/// The part of [`Extras`] that other dialects do not know.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Own {
    /// The publisher's own number of the message, `seqn`.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// When the publisher says that it was made, from `ortt`.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub origination: Option<u64>,
}

impl<'a> Extras<'a> {
    /// What is known of a message; extras that are not understood read as none.
    pub fn of(message: &'a Message) -> Extras<'a> {
        message.extras.as_deref().and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default()
    }

    /// The bytes to store, if there is anything to store.
    pub fn encode(&self) -> Option<Bytes> {
        if self.meta.is_none() && self.pubnub.is_none() {
            return None;
        }
        Some(serde_json::to_vec(self).expect("a few plain fields can always be written").into())
    }
}

/// How long a message is kept (§4.2): `ttl` counts in hours, and only below the retention of the keyset.
pub fn time_to_live(hours: Option<&str>, retention: Option<Duration>) -> Result<Option<Duration>, Refusal> {
    let Some(hours) = hours else { return Ok(None) };
    let hours: f64 = hours.parse().ok().filter(|hours: &f64| !hours.is_nan()).ok_or(Refusal::Argument("ttl"))?;
    let ttl = Duration::try_from_secs_f64(hours * 3600.0).unwrap_or_default();
    Ok(retention.and_then(|retention| (!ttl.is_zero() && ttl < retention).then_some(ttl)))
}

/// The application's own type of message (§4.2).
pub fn custom_type(text: Option<&str>) -> Result<Option<Arc<str>>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let reserved = text.starts_with("pn_") || text.starts_with("pn-");
    if !(3..=50).contains(&text.len()) || !plain || !starts_well || reserved {
        return Err(Refusal::Argument("custom_message_type"));
    }
    Ok(Some(text.into()))
}

/// The timetoken in `ortt`, which is `{"t":…}` with a number or a string.
pub fn origination(ortt: Option<&str>) -> Option<u64> {
    let text = ortt.filter(|text| text.len() <= limits::ORIGINATION_BYTES)?;
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let token = value.get("t")?;
    token.as_u64().or_else(|| crate::wire::timetoken(token.as_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publisher_may_not_speak_for_presence_or_wildcards() {
        assert!(published_channel("room.1").is_ok());
        assert!(published_channel("my-ch- |.* $").is_ok());
        assert!(matches!(published_channel("a.*"), Err(Refusal::Argument("channel"))));
        assert!(matches!(published_channel("a.b.c.*"), Err(Refusal::WildcardTooDeep)));
        for wrong in ["*", "a-pnpres", "a,b", ""] {
            assert!(published_channel(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn ttl_counts_only_below_the_retention() {
        let day = Some(Duration::from_secs(86_400));
        let check = |hours, retention, expected: Option<u64>| {
            assert_eq!(time_to_live(Some(hours), retention).unwrap(), expected.map(Duration::from_secs), "{hours}");
        };
        check("1", day, Some(3600));
        check("0.5", day, Some(1800));
        for ignored in ["0", "-3", "24", "25", "1e300", "inf"] {
            check(ignored, day, None);
        }
        check("1", None, None);
        assert!(time_to_live(Some("soon"), day).is_err());
        assert!(time_to_live(Some("NaN"), day).is_err());
    }

    #[test]
    fn custom_types_are_the_vendors() {
        for good in ["text-message", "abc", "A_1"] {
            assert_eq!(custom_type(Some(good)).unwrap().as_deref(), Some(good));
        }
        for wrong in ["ab", "-abc", "_abc", "pn_abc", "pn-abc", "a b c", &"x".repeat(51), "äää"] {
            assert!(custom_type(Some(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn extras_keep_meta_as_it_was_spelled() {
        let meta = RawValue::from_string("{\"a\": 1.0}".into()).unwrap();
        let extras = Extras { meta: Some(&meta), pubnub: Some(Own { sequence: Some(7), origination: None }) };
        let bytes = extras.encode().unwrap();
        assert_eq!(bytes, r#"{"meta":{"a": 1.0},"pubnub":{"s":7}}"#);
        let read: Extras = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(read.meta.unwrap().get(), "{\"a\": 1.0}");
        assert_eq!(read.pubnub, extras.pubnub);
        assert!(Extras::default().encode().is_none());
    }

    #[test]
    fn origination_is_read_in_both_spellings() {
        assert_eq!(origination(Some(r#"{"t":17}"#)), Some(17));
        assert_eq!(origination(Some(r#"{"r":1,"t":"17"}"#)), Some(17));
        assert_eq!(origination(Some("17")), None);
        assert_eq!(origination(None), None);
    }
}
