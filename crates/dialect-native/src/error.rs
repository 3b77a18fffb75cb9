//! Errors as problem details (RFC 9457).

use axum::body::Body;
use edge::body::BodyError;
use http::{HeaderValue, Response, StatusCode, header};
use model::{Error, ErrorKind};
use serde::Serialize;

/// What went wrong, as it is answered.
#[derive(Debug)]
pub(crate) struct Problem {
    pub status: StatusCode,
    /// The last part of `type`.
    name: &'static str,
    detail: String,
    field: Option<String>,
    allow: Option<String>,
}

#[derive(Serialize)]
struct Details<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

impl Problem {
    fn new(status: StatusCode, name: &'static str, detail: impl Into<String>) -> Problem {
        Problem { status, name, detail: detail.into(), field: None, allow: None }
    }

    /// 400: the field, and why it cannot be so.
    pub fn invalid(field: &str, reason: impl AsRef<str>) -> Problem {
        Error::invalid(format!("{field}: {}", reason.as_ref())).into()
    }

    /// 413: the field, and what is too large about it.
    pub fn too_large(field: &str, reason: impl AsRef<str>) -> Problem {
        Error::new(ErrorKind::TooLarge, format!("{field}: {}", reason.as_ref())).into()
    }

    /// 403: the field, and why the caller may not say this.
    pub fn forbidden(field: &str, reason: impl AsRef<str>) -> Problem {
        Error::new(ErrorKind::Forbidden, format!("{field}: {}", reason.as_ref())).into()
    }

    /// 404: the field that names what is not there.
    pub fn not_found(field: &str, reason: impl AsRef<str>) -> Problem {
        Error::new(ErrorKind::NotFound, format!("{field}: {}", reason.as_ref())).into()
    }

    /// 401: what is shown as a key does not hold. The same text for an unknown app, a missing and a wrong key.
    pub fn unauthenticated() -> Problem {
        let detail = "this needs a key of the app, as the header \"Authorization: Bearer <secret>\"";
        Error::new(ErrorKind::Unauthenticated, detail).into()
    }

    /// 404: there is nothing under this path.
    pub fn no_such_path() -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "no-such-path", "there is nothing under this path; see /openapi.json")
    }

    /// 405.
    pub fn method_not_allowed(allow: &str) -> Problem {
        let detail = format!("allowed here: {allow}");
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail);
        Problem { allow: Some(allow.to_owned()), ..problem }
    }

    /// Why a body was not read.
    pub fn of_body(error: &BodyError, limit: usize) -> Problem {
        match error {
            BodyError::TooLarge => Error::new(ErrorKind::TooLarge, format!("body: the limit is {limit} bytes")).into(),
            BodyError::TimedOut => {
                let detail = "body: it did not end in time; nothing was done";
                let problem = Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", detail);
                Problem { field: Some("body".into()), ..problem }
            }
            BodyError::Broken(_) => Problem::invalid("body", "it broke off; nothing was done"),
        }
    }

    /// The problem as JSON text.
    pub fn to_json(&self) -> String {
        let details = Details {
            r#type: format!("urn:scrollback:problem:{}", self.name),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            field: self.field.as_deref(),
        };
        serde_json::to_string(&details).expect("texts and a number are always JSON")
    }

    /// The problem as an answer.
    pub fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.to_json()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(allow) = self.allow.and_then(|allow| HeaderValue::try_from(allow).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"scrollback\""));
        }
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        let (status, name) = match error.kind {
            ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "invalid"),
            ErrorKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            ErrorKind::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
            ErrorKind::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
            ErrorKind::NotFound => (StatusCode::NOT_FOUND, "not-found"),
            ErrorKind::Conflict => (StatusCode::CONFLICT, "conflict"),
            ErrorKind::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too-many"),
            ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        if error.kind == ErrorKind::Internal {
            tracing::error!(?error, "a request failed inside");
        }
        let field = field_of(&error.message).map(str::to_owned);
        Problem { field, ..Problem::new(status, name, error.message) }
    }
}

/// Texts for callers begin with the field that they are about (`model::Error`): `limit: …`, `channel: …`.
fn field_of(detail: &str) -> Option<&str> {
    let (field, _) = detail.split_once(": ")?;
    let plain = |b: u8| b.is_ascii_lowercase() || b == b'_';
    (!field.is_empty() && field.bytes().all(plain)).then_some(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_stands_before_the_colon() {
        assert_eq!(field_of("limit: too small"), Some("limit"));
        assert_eq!(field_of("no field here"), None);
        assert_eq!(field_of("user id: too long"), None);
    }
}
