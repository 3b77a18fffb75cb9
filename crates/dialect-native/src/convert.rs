//! Wire to model, pure: positions, times, drafts.

use crate::{error::Problem, json, params::shown, wire};
use bytes::Bytes;
use jiff::Timestamp;
use model::{Id, MAX_TICKS, Origin, Payload, PayloadForm, UserId};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use service::Draft;
use std::time::Duration;

const NANOSECONDS_PER_TICK: i128 = 100;

/// A place between messages, as a request names it: an id in decimal, `tt:` with a timetoken, or a time (RFC 3339).
/// The latter two name a tick of 100 ns, whatever the number of messages in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Position {
    Id(Id),
    Tick(u64),
}

impl Position {
    /// Reads a position; the error names the field.
    pub fn parse(field: &str, text: &str) -> Result<Position, Problem> {
        let wrong = |reason: &str| Problem::invalid(field, format!("{} {reason}", shown(text)));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if let Some(ticks) = text.strip_prefix("tt:") {
            let ticks = is_number(ticks).then(|| ticks.parse().ok()).flatten().filter(|ticks| *ticks <= MAX_TICKS);
            return ticks.map(Position::Tick).ok_or_else(|| wrong("is not a timetoken: tt: and up to 17 digits"));
        }
        if is_number(text) {
            if text.len() == 17 {
                return Err(wrong("has the length of a timetoken: write tt: before it"));
            }
            let id = text.parse().map_err(|_| wrong("is not an id: it is greater than 2^64 - 1"))?;
            return Ok(Position::Id(Id::from_raw(id)));
        }
        let time: Timestamp = text
            .parse()
            .map_err(|_| wrong("is neither an id, nor tt: with a timetoken, nor a time like 2026-01-31T12:00:00Z"))?;
        let ticks = u64::try_from(time.as_nanosecond().div_euclid(NANOSECONDS_PER_TICK));
        ticks.map(Position::Tick).map_err(|_| wrong("lies before 1970"))
    }

    /// The greatest id below it.
    pub fn just_before(self) -> Id {
        match self {
            Position::Id(id) => id.previous(),
            Position::Tick(ticks) => Id::last_before(ticks),
        }
    }

    /// The least id that belongs to it.
    pub fn first(self) -> Id {
        match self {
            Position::Id(id) => id,
            Position::Tick(ticks) => Id::new(ticks, 0),
        }
    }

    /// The greatest id that belongs to it.
    pub fn last(self) -> Id {
        match self {
            Position::Id(id) => id,
            Position::Tick(ticks) => Id::last_at(ticks),
        }
    }
}

/// A time as it is written: RFC 3339 with all seven digits of a tick.
pub(crate) fn time(id: Id) -> String {
    let nanoseconds = i128::from(id.ticks()) * NANOSECONDS_PER_TICK;
    match Timestamp::from_nanosecond(nanoseconds) {
        Ok(time) => format!("{time:.7}"),
        // The last years that an id can name lie before the year 9999, where the calendar ends.
        Err(_) => unreachable!("every id has a time"),
    }
}

/// A message to publish, out of its wire shape. `header_key` is the request's `Idempotency-Key`.
pub(crate) fn draft(wire: &wire::Draft<'_>, header_key: Option<&str>) -> Result<Draft, Problem> {
    let mut draft = Draft::new(payload("payload", wire.payload)?);
    draft.author = optional::<String>("author", wire.author)?.map(|id| author(&id)).transpose()?;
    draft.custom_type = optional::<String>("type", wire.r#type)?.map(Into::into);
    draft.extras = wire.meta.map(extras).transpose()?;
    draft.ttl = wire.ttl.map(|raw| duration("ttl", raw)).transpose()?;
    draft.key = key(optional("key", wire.key)?, header_key)?;
    draft.store = optional("store", wire.store)?.unwrap_or(true);
    Ok(draft)
}

/// An id as a request names it in a JSON body: a number in a string.
pub(crate) fn id(field: &str, text: &str) -> Result<Id, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let id = digits.then(|| text.parse().ok()).flatten();
    id.map(Id::from_raw)
        .ok_or_else(|| Problem::invalid(field, format!("{} is not an id, a number below 2^64", shown(text))))
}

/// A user of one of the doors, as the native API names it.
pub(crate) fn user(field: &str, id: &str, origin: Option<&str>) -> Result<UserId, Problem> {
    let origin = match origin {
        None | Some("native") => Origin::Native,
        Some("pubnub") => Origin::Pubnub,
        Some("scaledrone") => Origin::Scaledrone,
        Some("agora") => Origin::Agora,
        Some("osmium") => Origin::Osmium,
        Some(other) => {
            let text = format!("{} is none of native, pubnub, scaledrone, agora, osmium", shown(other));
            return Err(Problem::invalid("origin", text));
        }
    };
    UserId::new(origin, id, false)
        .map_err(|_| Problem::invalid(field, format!("1 to {} bytes without NUL", model::limits::USER_ID_BYTES)))
}

/// The author that a request names. Whoever holds the key may name anybody, so nothing is verified by it.
pub(crate) fn author(id: &str) -> Result<UserId, Problem> {
    UserId::new(Origin::Native, id, false)
        .map_err(|_| Problem::invalid("author", format!("1 to {} bytes without NUL", model::limits::USER_ID_BYTES)))
}

/// A payload or another value that is kept byte for byte.
pub(crate) fn payload(field: &str, raw: &RawValue) -> Result<Payload, Problem> {
    let text = shallow(field, raw)?;
    Ok(Payload { form: PayloadForm::Json, bytes: Bytes::copy_from_slice(text.as_bytes()) })
}

/// `meta` is kept beside the payload as the member of a small JSON object, which every dialect can add to.
pub(crate) fn extras(meta: &RawValue) -> Result<Bytes, Problem> {
    Ok(Bytes::from(format!("{{\"meta\":{}}}", shallow("meta", meta)?)))
}

pub(crate) fn shallow<'a>(field: &str, raw: &'a RawValue) -> Result<&'a str, Problem> {
    if json::is_shallow(raw.get()) {
        return Ok(raw.get());
    }
    Err(Problem::invalid(field, format!("brackets lie deeper than {}", crate::settings::JSON_DEPTH)))
}

fn optional<T: DeserializeOwned>(field: &str, raw: Option<&RawValue>) -> Result<Option<T>, Problem> {
    let Some(raw) = raw else { return Ok(None) };
    serde_json::from_str(raw.get()).map(Some).map_err(|error| Problem::invalid(field, wire::reason(&error)))
}

/// A number of seconds, or a text like `1h 30m`.
pub(crate) fn duration(field: &str, raw: &RawValue) -> Result<Duration, Problem> {
    let wrong =
        || Problem::invalid(field, format!("{} is not a number of seconds or a text like \"1h\"", shown(raw.get())));
    if raw.get().starts_with('"') {
        let text: String = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
        return humantime::parse_duration(&text).map_err(|_| wrong());
    }
    raw.get().parse().map(Duration::from_secs).map_err(|_| wrong())
}

fn key(given: Option<String>, header: Option<&str>) -> Result<Option<String>, Problem> {
    match (given, header) {
        (Some(given), Some(header)) if given != header => {
            Err(Problem::invalid("key", "it differs from the header Idempotency-Key"))
        }
        (Some(given), _) => Ok(Some(given)),
        (None, header) => Ok(header.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_come_in_three_spellings() {
        let parse = |text: &str| Position::parse("before", text).map_err(|problem| problem.status.as_u16());
        assert_eq!(parse("4443741234567890123"), Ok(Position::Id(Id::from_raw(4_443_741_234_567_890_123))));
        assert_eq!(parse("0"), Ok(Position::Id(Id::MIN)));
        assert_eq!(parse("tt:17358238908727392"), Ok(Position::Tick(17_358_238_908_727_392)));
        assert_eq!(parse("1970-01-01T00:00:01.00000015Z"), Ok(Position::Tick(10_000_001)));
        assert_eq!(parse("1970-01-01T02:00:00+02:00"), Ok(Position::Tick(0)));
        for bad in ["", "-1", "+1", "tt:", "tt:-1", "tt:99999999999999999999", "18446744073709551616", "yesterday"] {
            assert_eq!(parse(bad), Err(400), "{bad:?}");
        }
        assert_eq!(parse("1969-12-31T23:59:59Z"), Err(400));
        assert_eq!(parse("17358238908727392"), Err(400), "a timetoken without its mark");
    }

    #[test]
    fn a_tick_has_room_for_every_slot() {
        let (tick, id) = (Position::Tick(10), Position::Id(Id::new(10, 3)));
        assert!(tick.just_before() < Id::new(10, 0) && tick.first() == Id::new(10, 0));
        assert_eq!(tick.last(), Id::new(10, 255));
        assert_eq!((id.just_before(), id.first(), id.last()), (Id::new(10, 2), Id::new(10, 3), Id::new(10, 3)));
    }

    #[test]
    fn every_id_has_a_time() {
        assert_eq!(time(Id::new(17_358_238_908_727_392, 0)), "2025-01-02T13:18:10.8727392Z");
        assert!(time(Id::MAX).starts_with("2198-"));
    }

    #[test]
    fn a_ttl_is_seconds_or_words() {
        let parse = |text: &str| duration("ttl", serde_json::from_str(text).expect("JSON")).map_err(|_| ());
        assert_eq!(parse("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("\"1h 30m\""), Ok(Duration::from_secs(5_400)));
        for bad in ["-1", "1.5", "\"soon\"", "true", "[]", "1e3"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
