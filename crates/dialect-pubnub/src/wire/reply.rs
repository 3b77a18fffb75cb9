//! Answers (`protocols/pubnub.md` §1.3): the content type is what some clients decide by, and errors are errors by status.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// An answer on its way out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// 200, or at least 400.
    pub status: StatusCode,
    /// One JSON value, perhaps wrapped in a callback.
    pub body: Bytes,
    /// What the vendor's service calls it.
    pub content_type: ContentType,
    /// When to try again, in seconds.
    pub retry_after: Option<u32>,
}

/// The two names that the vendor's services give to JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ContentType {
    /// `text/javascript`: everywhere but in channel groups.
    Javascript,
    /// `application/json`: channel groups (§9).
    Json,
}

impl Reply {
    /// A success.
    pub fn ok(body: impl Into<Bytes>) -> Reply {
        Reply { status: StatusCode::OK, body: body.into(), content_type: ContentType::Javascript, retry_after: None }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let content_type = match self.content_type {
            ContentType::Javascript => "text/javascript; charset=\"UTF-8\"",
            ContentType::Json => "application/json; charset=\"UTF-8\"",
        };
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        (self.status, headers, self.body).into_response()
    }
}
