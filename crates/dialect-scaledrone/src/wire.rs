//! The frames as they are on the wire (`protocols/scaledrone.md` §3 to §7): one JSON object each. Inbound frames
//! become a [`Request`]; outbound ones are written here, around payloads that are not parsed again.

use crate::{json, limits};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::fmt::Write;

/// One outbound frame: the text of one JSON object.
pub type Frame = axum::extract::ws::Utf8Bytes;

/// An inbound frame: what to answer to, and what is wanted.
#[derive(Debug)]
pub struct Inbound {
    /// What the answer must carry, of whatever JSON type; without one, success is not answered.
    pub callback: Option<Box<RawValue>>,
    /// What the client wants, or what is wrong with the frame.
    pub request: Result<Request, String>,
}

/// What a client can want.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// The first frame of a connection (§4).
    Handshake {
        /// The id of the Scaledrone channel.
        channel: String,
        /// What others see of this client in observable rooms: JSON.
        client_data: Option<String>,
    },
    /// A token to act under (§5).
    Authenticate {
        /// Three parts, unchecked.
        token: String,
    },
    /// Messages of a room, past and future (§6).
    Subscribe {
        /// Its name, unchecked.
        room: String,
        /// How many past messages.
        history: HistoryWish,
    },
    /// No more messages of a room (§6.6).
    Unsubscribe {
        /// Its name, unchecked.
        room: String,
    },
    /// A message for a room (§7.1).
    Publish {
        /// Its name, unchecked.
        room: String,
        /// JSON, as its author spelled it.
        message: String,
    },
    /// A type that is not known: ignored, so that other people's clients may say more (§2).
    Unknown,
}

/// How much history a subscriber asks for.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct HistoryWish {
    /// The newest so many; none if nothing was said.
    pub count: Option<u32>,
    /// Only what came after the message with this frame id: what a client missed while it was away. A field of this
    /// server's own.
    pub after: Option<String>,
}

/// Reads a frame that came as text or as bytes (§2: one of the clients sends binary frames).
pub fn read(frame: &[u8]) -> Inbound {
    let unreadable = |why: &str| Inbound { callback: None, request: Err(why.to_owned()) };
    let Ok(text) = std::str::from_utf8(frame) else { return unreadable("frame: not UTF-8") };
    if !text.trim_start().starts_with('{') {
        return unreadable("frame: not a JSON object");
    }
    let Ok(fields) = serde_json::from_str::<Fields>(text) else { return unreadable("frame: not a JSON object") };
    let callback = fields.callback.filter(|raw| raw.get() != "null");
    if callback.is_some_and(|raw| raw.get().len() > limits::CALLBACK_BYTES) {
        return unreadable("callback: too long");
    }
    Inbound { callback: callback.map(RawValue::to_owned), request: request(&fields) }
}

/// The fields of all inbound frames; the borrowed text of each value, since any client may send any type.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(rename = "type", borrow, default, deserialize_with = "present")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    callback: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    channel: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    client_data: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    token: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    room: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    history: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    history_count: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    history_after: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    message: Option<&'a RawValue>,
}

/// Keeps a `null` that was sent apart from nothing sent: `null` is a message like any other.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

fn request(fields: &Fields) -> Result<Request, String> {
    Ok(match string("type", fields.kind)?.as_str() {
        "handshake" => Request::Handshake {
            channel: string("channel", fields.channel)?,
            client_data: fields
                .client_data
                .filter(|raw| raw.get() != "null")
                .map(|raw| bounded_json("client_data", raw.get(), limits::MEMBER_DATA_BYTES))
                .transpose()?,
        },
        "authenticate" => Request::Authenticate { token: string("token", fields.token)? },
        "subscribe" => Request::Subscribe {
            room: string("room", fields.room)?,
            history: HistoryWish {
                count: fields.history_count.or(fields.history).map(|raw| history_count(raw.get())),
                after: fields
                    .history_after
                    .filter(|raw| raw.get() != "null")
                    .map(|raw| string("history_after", Some(raw)))
                    .transpose()?,
            },
        },
        "unsubscribe" => Request::Unsubscribe { room: string("room", fields.room)? },
        "publish" => Request::Publish {
            room: string("room", fields.room)?,
            message: fields
                .message
                .map(|raw| bounded_json("message", raw.get(), usize::MAX))
                .ok_or("message: missing")??,
        },
        _ => Request::Unknown,
    })
}

fn string(name: &str, value: Option<&RawValue>) -> Result<String, String> {
    let value = value.ok_or_else(|| format!("{name}: missing"))?;
    serde_json::from_str(value.get()).map_err(|_| format!("{name}: not a string"))
}

fn bounded_json(name: &str, text: &str, bytes: usize) -> Result<String, String> {
    if text.len() > bytes {
        return Err(format!("{name}: {} bytes, the limit is {bytes}", text.len()));
    }
    if json::depth(text) > limits::JSON_DEPTH {
        return Err(format!("{name}: nested deeper than {}", limits::JSON_DEPTH));
    }
    Ok(text.to_owned())
}

/// What a client means by a count: a number or a numeric string, never below 0; anything else is 0 (§6.1).
fn history_count(raw: &str) -> u32 {
    let text = serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned());
    // A cast from a float saturates, and turns what is not a number into 0.
    text.trim().parse::<f64>().map_or(0, |number| number as u32)
}

/// `{"callback":…}`: success, with nothing else to say.
pub fn answer(callback: &RawValue) -> Frame {
    render(&Answer { callback: Some(callback), ..Answer::default() })
}

/// The answer to a good handshake.
pub fn welcome(callback: &RawValue, client_id: &str, require_auth: bool) -> Frame {
    let require_auth = require_auth.then_some(true);
    render(&Answer { callback: Some(callback), client_id: Some(client_id), require_auth, ..Answer::default() })
}

/// The answer to a subscribe that named the last message it saw: whether the history that follows is all of what came
/// since (`false` where the caps were lower).
pub fn caught_up(callback: &RawValue, complete: bool) -> Frame {
    render(&Answer { callback: Some(callback), history_complete: Some(complete), ..Answer::default() })
}

/// A failure: of a request if it had a callback, else of the connection.
pub fn failure(callback: Option<&RawValue>, error: &str) -> Frame {
    render(&Answer { callback, error: Some(error), ..Answer::default() })
}

#[derive(Serialize, Default)]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    callback: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    require_auth: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history_complete: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

fn render(value: &impl Serialize) -> Frame {
    json::text(value).into()
}

/// The parts of a message's frame, ready to be written.
pub struct MessageParts<'a> {
    /// The room as a client named it.
    pub room: &'a str,
    /// One JSON value.
    pub message: &'a str,
    /// The message's id, the same live and in history.
    pub id: &'a str,
    /// Unix seconds.
    pub timestamp: u64,
    /// Who wrote it; none for what came by REST.
    pub client_id: Option<&'a str>,
}

/// A live message (§7.1).
pub fn publish(parts: &MessageParts) -> Frame {
    let mut frame = message_frame("publish", parts);
    frame.push('}');
    frame.into()
}

/// A past message, the `index`-th from 0 of its batch (§6.2).
pub fn history_message(parts: &MessageParts, index: usize) -> Frame {
    let mut frame = message_frame("history_message", parts);
    write!(frame, ",\"index\":{index}}}").expect("writing to a string does not fail");
    frame.into()
}

/// All but the end, written by hand: a serializer would have to parse the message again.
fn message_frame(kind: &str, parts: &MessageParts) -> String {
    let room = json::text(parts.room);
    let client_id = parts.client_id.map(json::text);
    let mut frame = String::with_capacity(parts.message.len() + room.len() + 160);
    write!(
        frame,
        "{{\"type\":\"{kind}\",\"room\":{room},\"message\":{},\"id\":\"{}\",\"timestamp\":{}",
        parts.message, parts.id, parts.timestamp
    )
    .expect("writing to a string does not fail");
    if let Some(client_id) = client_id {
        frame.push_str(",\"client_id\":");
        frame.push_str(&client_id);
    }
    frame
}

/// What an observable room tells of its members (§7.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemberEvent {
    /// One came.
    Join,
    /// One left.
    Leave,
}

/// A member as others see it: unset fields are left out, never `null` (§7.2).
pub fn member(id: &str, client_data: Option<&str>, auth_data: Option<&str>) -> String {
    let mut text = format!("{{\"id\":{}", json::text(id));
    for (name, value) in [("clientData", client_data), ("authData", auth_data)] {
        if let Some(value) = value {
            write!(text, ",\"{name}\":{value}").expect("writing to a string does not fail");
        }
    }
    text.push('}');
    text
}

/// All members of an observable room, each as [`member`] wrote it.
pub fn members<'a>(room: &str, members: impl Iterator<Item = &'a str>) -> Frame {
    let mut frame = format!("{{\"type\":\"observable_members\",\"room\":{},\"data\":[", json::text(room));
    for (index, member) in members.enumerate() {
        if index > 0 {
            frame.push(',');
        }
        frame.push_str(member);
    }
    frame.push_str("]}");
    frame.into()
}

/// One member came or left.
pub fn member_event(event: MemberEvent, room: &str, member: &str) -> Frame {
    let kind = match event {
        MemberEvent::Join => "observable_member_join",
        MemberEvent::Leave => "observable_member_leave",
    };
    format!("{{\"type\":\"{kind}\",\"room\":{},\"data\":{member}}}", json::text(room)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request_of(frame: &str) -> Result<Request, String> {
        read(frame.as_bytes()).request
    }

    #[test]
    fn callbacks_of_every_type_are_kept_as_they_came() {
        for callback in ["0", "17", "-1", "1.50", "\"a\\u00e4\"", "true", "[1, 2]", "{\"x\": null}", "1e999"] {
            let inbound = read(format!("{{\"type\":\"publish\",\"callback\":{callback}}}").as_bytes());
            let kept = inbound.callback.expect("a callback came");
            assert_eq!(answer(&kept).as_str(), format!("{{\"callback\":{callback}}}"));
        }
        assert!(read(b"{\"type\":\"x\",\"callback\":null}").callback.is_none());
        assert!(read(b"{\"type\":\"x\"}").callback.is_none());
        let long = format!("{{\"type\":\"x\",\"callback\":\"{}\"}}", "x".repeat(limits::CALLBACK_BYTES));
        assert_eq!(read(long.as_bytes()).request, Err("callback: too long".to_owned()));
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        let deep = "[".repeat(100_000);
        for frame in ["", " ", "null", "7", "\"x\"", "[\"handshake\",0]", "{", "{}{}", "{\"type\":\"x\"", deep.as_str()]
        {
            assert_eq!(request_of(frame), Err("frame: not a JSON object".to_owned()), "{frame:.20}");
        }
        assert_eq!(read(b"{\"type\":\"\xff\"}").request, Err("frame: not UTF-8".to_owned()));
        assert_eq!(request_of("{}"), Err("type: missing".to_owned()));
        assert_eq!(request_of("{\"type\":7}"), Err("type: not a string".to_owned()));
        assert_eq!(request_of("{\"type\":\"ping\"}"), Ok(Request::Unknown));
    }

    #[test]
    fn history_counts_are_read_as_clients_send_them() {
        let count = |fields: &str| match request_of(&format!("{{\"type\":\"subscribe\",\"room\":\"r\"{fields}}}")) {
            Ok(Request::Subscribe { history, .. }) => history.count,
            other => panic!("not a subscribe: {other:?}"),
        };
        assert_eq!(count(""), None);
        for (sent, read) in [
            ("5", 5),
            ("0", 0),
            ("-1", 0),
            ("\"7\"", 7),
            ("1000", 1000),
            ("7.9", 7),
            ("1e30", u32::MAX),
            ("null", 0),
            ("true", 0),
            ("[5]", 0),
            ("\"all\"", 0),
            ("\"NaN\"", 0),
        ] {
            assert_eq!(count(&format!(",\"history_count\":{sent}")), Some(read), "{sent}");
            assert_eq!(count(&format!(",\"history\":{sent}")), Some(read), "{sent}");
        }
        assert_eq!(count(",\"history\":9,\"history_count\":4"), Some(4));
    }

    #[test]
    fn falsy_messages_are_messages() {
        for message in ["null", "0", "\"\"", "false", "{ \"a\" : 1.0 }"] {
            let frame = format!("{{\"type\":\"publish\",\"room\":\"r\",\"message\":{message}}}");
            let expected = Request::Publish { room: "r".to_owned(), message: message.to_owned() };
            assert_eq!(request_of(&frame), Ok(expected));
        }
        assert_eq!(request_of("{\"type\":\"publish\",\"room\":\"r\"}"), Err("message: missing".to_owned()));
        let deep = format!("{}1{}", "[".repeat(101), "]".repeat(101));
        let frame = format!("{{\"type\":\"publish\",\"room\":\"r\",\"message\":{deep}}}");
        assert_eq!(request_of(&frame), Err("message: nested deeper than 100".to_owned()));
    }

    #[test]
    fn unset_client_data_is_null_or_absent() {
        let data = |fields: &str| match request_of(&format!("{{\"type\":\"handshake\",\"channel\":\"c\"{fields}}}")) {
            Ok(Request::Handshake { client_data, .. }) => client_data,
            other => panic!("not a handshake: {other:?}"),
        };
        assert_eq!(data(""), None);
        assert_eq!(data(",\"version\":2,\"client_data\":null"), None);
        assert_eq!(data(",\"client_data\":{\"name\":\"Ann\"}"), Some("{\"name\":\"Ann\"}".to_owned()));
    }

    #[test]
    fn frames_are_spelled_as_the_page_says() {
        let parts = MessageParts {
            room: "a \"b\"",
            message: "{\"n\": 2.0}",
            id: "42",
            timestamp: 1_528_814_490,
            client_id: Some("bcI:GPhz"),
        };
        assert_eq!(
            history_message(&parts, 1).as_str(),
            "{\"type\":\"history_message\",\"room\":\"a \\\"b\\\"\",\"message\":{\"n\": 2.0},\"id\":\"42\",\
             \"timestamp\":1528814490,\"client_id\":\"bcI:GPhz\",\"index\":1}"
        );
        assert_eq!(
            publish(&MessageParts { client_id: None, ..parts }).as_str(),
            "{\"type\":\"publish\",\"room\":\"a \\\"b\\\"\",\"message\":{\"n\": 2.0},\"id\":\"42\",\"timestamp\":1528814490}"
        );
        let ann = member("a:1", Some("{\"name\":\"Ann\"}"), None);
        let bob = member("b:2", None, Some("{\"serverId\":312}"));
        assert_eq!(
            members("observable-x", [ann.as_str(), bob.as_str()].into_iter()).as_str(),
            "{\"type\":\"observable_members\",\"room\":\"observable-x\",\"data\":[{\"id\":\"a:1\",\"clientData\":\
             {\"name\":\"Ann\"}},{\"id\":\"b:2\",\"authData\":{\"serverId\":312}}]}"
        );
        assert_eq!(
            member_event(MemberEvent::Leave, "observable-x", &bob).as_str(),
            "{\"type\":\"observable_member_leave\",\"room\":\"observable-x\",\"data\":{\"id\":\"b:2\",\"authData\":\
             {\"serverId\":312}}}"
        );
        let callback = RawValue::from_string("0".to_owned()).unwrap();
        assert_eq!(welcome(&callback, "a:1", false).as_str(), "{\"callback\":0,\"client_id\":\"a:1\"}");
        assert_eq!(
            welcome(&callback, "a:1", true).as_str(),
            "{\"callback\":0,\"client_id\":\"a:1\",\"require_auth\":true}"
        );
        assert_eq!(failure(None, "no").as_str(), "{\"error\":\"no\"}");
    }
}
