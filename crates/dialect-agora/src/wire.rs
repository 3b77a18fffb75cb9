//! The vendor's shapes in the vendor's spelling (`protocols/agora-rtm.md` §3 to §5): the only place that writes answers.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::value::RawValue;

/// Seconds after which a refused caller may try again.
const RETRY_SECONDS: u32 = 1;

/// An answer on its way out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// One JSON value.
    pub body: Bytes,
}

impl Reply {
    /// A success of the 1.x API, with the fields of `rest`.
    pub fn success(request_id: &str, rest: impl Serialize) -> Reply {
        Reply::ok(&Success { result: "success", request_id, rest })
    }

    /// A success.
    pub fn ok(answer: &impl Serialize) -> Reply {
        let body = serde_json::to_vec(answer).expect("texts, numbers and lists always have a JSON text");
        Reply { status: StatusCode::OK, body: body.into() }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, RETRY_SECONDS.into());
            }
            // Not `Basic`, which makes browsers ask their users for a password.
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("agora"));
            }
            _ => {}
        }
        response
    }
}

#[derive(Serialize)]
struct Success<'a, T> {
    result: &'static str,
    request_id: &'a str,
    #[serde(flatten)]
    rest: T,
}

/// A query was made (§3.1). Typed callers require every field.
#[derive(Serialize)]
pub struct MadeQuery {
    /// As used.
    pub offset: u64,
    /// As used.
    pub limit: u32,
    /// As used: `asc` or `desc`.
    pub order: &'static str,
    /// Where its page is: begins with `~/`.
    pub location: String,
}

/// A page (§3.2).
#[derive(Serialize)]
pub struct Page<'a> {
    /// `ok`.
    pub code: &'static str,
    /// In the order of the query.
    pub messages: Vec<Message<'a>>,
    /// By which the next query goes on; null when nothing is left.
    pub cursor: Option<String>,
}

/// A message of a page.
#[derive(Serialize)]
pub struct Message<'a> {
    /// Who wrote it; empty if nobody said so.
    pub src: &'a str,
    /// To which user or channel.
    pub dst: &'a str,
    /// `peer_message` or `group_message`.
    pub message_type: &'static str,
    /// The content.
    pub payload: Text<'a>,
    /// When it was taken in, in Unix milliseconds.
    pub ms: u64,
    /// The same, for callers of the oldest page.
    pub ts: u64,
    /// Its id, which the vendor does not have.
    pub id: String,
}

/// A text of an answer.
#[derive(Debug)]
pub enum Text<'a> {
    /// To be written as a JSON string.
    Plain(&'a str),
    /// A JSON string already.
    Json(&'a RawValue),
}

impl Serialize for Text<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Text::Plain(text) => text.serialize(serializer),
            Text::Json(text) => text.serialize(serializer),
        }
    }
}

/// How many messages match (§3.4).
#[derive(Serialize)]
pub struct Count {
    /// `ok`.
    pub code: &'static str,
    /// How many.
    pub count: u64,
}

/// A message was taken (§4).
#[derive(Serialize)]
pub struct Sent {
    /// `message_sent` or `message_offline`.
    pub code: &'static str,
    /// Its id, which the vendor does not tell.
    pub id: String,
}

/// Events (§5).
#[derive(Serialize)]
pub struct Events {
    /// The oldest first.
    pub events: Vec<Event>,
}

/// Somebody came or went. Times and channels under both names that the vendor's pages have.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Event {
    /// Who.
    pub user_id: String,
    /// `Login`, `Logout`, `Join` or `Leave`.
    pub r#type: &'static str,
    /// Where; not for users that came online or went.
    #[serde(flatten)]
    pub channel: Option<EventChannel>,
    /// When, in Unix milliseconds.
    pub ms: u64,
    /// The same.
    pub ts: u64,
}

/// The channel of an event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EventChannel {
    /// The newer pages' name.
    pub group_id: String,
    /// The older pages' name.
    pub channel_id: String,
}

/// An answer of the 2.x history.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecondAnswer<'a> {
    /// 200.
    pub error_code: u16,
    /// Whether it failed.
    pub error: bool,
    /// As everywhere.
    pub request_id: &'a str,
    /// What was done.
    pub operation: &'static str,
    /// Empty.
    pub reason: &'static str,
    /// Now, in Unix milliseconds.
    pub timestamp: u64,
    /// What was asked for.
    pub data: SecondPage<'a>,
}

/// A page of the 2.x history.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecondPage<'a> {
    /// The newest first.
    pub message_list: Vec<SecondMessage<'a>>,
    /// How many.
    pub count: usize,
    /// The `start` of the next page; 0 when nothing is left.
    pub new_start: u64,
}

/// A message of the 2.x history.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecondMessage<'a> {
    /// `STRING`.
    pub message_type: &'static str,
    /// The content.
    pub message: Text<'a>,
    /// The application's own type; empty if it has none.
    pub custom_type: &'a str,
    /// Who wrote it; empty if nobody said so.
    pub publisher: &'a str,
    /// When it was taken in, in Unix milliseconds.
    pub timestamp: u64,
    /// Its id, which the vendor does not have.
    pub id: String,
}
