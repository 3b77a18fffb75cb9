//! Refusals in the vendor's shapes: the gateway's (`protocols/agora-rtm.md` §2), the service's (§6), and those of the 2.x
//! API.

use crate::{token, wire::Reply};
use edge::body::BodyError;
use http::StatusCode;
use model::{Error, ErrorKind};
use std::borrow::Cow;

/// Why a call is not done.
#[derive(Debug)]
pub enum Refusal {
    /// There is no such path, or not by this method.
    NoRoute,
    /// Nobody said who is calling.
    NoCredentials,
    /// The name or the password is wrong, or the project is not theirs.
    BadCredentials,
    /// The token is not accepted.
    Token(token::Refusal),
    /// The sender in the path is not the token's user.
    OtherSender,
    /// More requests than an app may make.
    TooOften,
    /// A parameter is missing or wrong; names it and says how.
    Parameter(Cow<'static, str>),
    /// The handle is not usable, or not any more.
    Gone,
    /// The body did not come in time.
    TooSlow,
    /// The work refused it.
    Work(Error),
}

/// Which generation of the vendor's API was called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Generation {
    /// 1.x: `result`, `code`, `message`.
    First,
    /// 2.x: `errorCode`, `error`, `reason`.
    Second,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Work(error)
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Refusal {
        match error {
            BodyError::TooLarge => parameter("the body is too large"),
            BodyError::TimedOut => Refusal::TooSlow,
            BodyError::Broken(_) => parameter("the body broke off"),
        }
    }
}

/// A wrong parameter.
pub fn parameter(text: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::Parameter(text.into())
}

impl Refusal {
    /// The answer. `operation` is what the 2.x API calls the call.
    pub fn reply(&self, generation: Generation, request_id: &str, operation: &str, now_ms: u64) -> Reply {
        let status = self.status();
        let body = match (self.gateway_text(), generation) {
            (Some(text), _) => serde_json::json!({ "message": text }),
            (None, Generation::First) => serde_json::json!({
                "result": "failed",
                "request_id": request_id,
                "code": self.code(),
                "message": self.text(),
                "reason": self.text(),
            }),
            (None, Generation::Second) => serde_json::json!({
                "errorCode": status.as_u16(),
                "error": true,
                "requestId": request_id,
                "operation": operation,
                "reason": self.text(),
                "timestamp": now_ms,
            }),
        };
        Reply { status, body: body.to_string().into() }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Refusal::NoRoute => StatusCode::NOT_FOUND,
            Refusal::NoCredentials | Refusal::BadCredentials | Refusal::Token(_) | Refusal::OtherSender => {
                StatusCode::UNAUTHORIZED
            }
            Refusal::TooOften => StatusCode::TOO_MANY_REQUESTS,
            Refusal::Parameter(_) => StatusCode::BAD_REQUEST,
            Refusal::Gone => StatusCode::GONE,
            Refusal::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Refusal::Work(error) => work_status(error.kind),
        }
    }

    /// What the gateway says before the service is reached (§2, §3.5).
    fn gateway_text(&self) -> Option<&'static str> {
        match self {
            Refusal::NoRoute => Some("no Route matched with those values"),
            Refusal::NoCredentials => Some("Unauthorized"),
            Refusal::BadCredentials => Some("Invalid authentication credentials"),
            Refusal::TooOften => Some("API rate limit exceeded"),
            Refusal::Token(_)
            | Refusal::OtherSender
            | Refusal::Parameter(_)
            | Refusal::Gone
            | Refusal::TooSlow
            | Refusal::Work(_) => None,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Refusal::NoRoute => "not_found",
            Refusal::NoCredentials | Refusal::BadCredentials | Refusal::Token(_) | Refusal::OtherSender => {
                "unauthorized"
            }
            Refusal::TooOften => "too_many_requests",
            Refusal::Parameter(_) => "invalid_parameter",
            Refusal::Gone => "gone",
            Refusal::TooSlow => "timeout",
            Refusal::Work(error) => work_code(error.kind),
        }
    }

    fn text(&self) -> &str {
        match self {
            Refusal::NoRoute | Refusal::NoCredentials | Refusal::BadCredentials | Refusal::TooOften => {
                self.gateway_text().unwrap_or_default()
            }
            Refusal::Token(refusal) => token_text(*refusal),
            Refusal::OtherSender => "the token is for another user than the sender in the path",
            Refusal::Parameter(text) => text,
            Refusal::Gone => "this resource is not valid any more: make a new query",
            Refusal::TooSlow => "the body did not come in time",
            Refusal::Work(error) => &error.message,
        }
    }
}

/// What each kind of failure of the work is to a caller. What is too large is a bad parameter (§6).
fn work_status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid | ErrorKind::TooLarge => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn work_code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Invalid | ErrorKind::TooLarge => "invalid_parameter",
        ErrorKind::Unauthenticated => "unauthorized",
        ErrorKind::Forbidden => "forbidden",
        ErrorKind::NotFound => "not_found",
        ErrorKind::Conflict => "conflict",
        ErrorKind::TooMany => "too_many_requests",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Internal => "internal_error",
    }
}

fn token_text(refusal: token::Refusal) -> &'static str {
    match refusal {
        token::Refusal::UnknownVersion => "the token is neither of version 006 nor 007",
        token::Refusal::Malformed => "the token cannot be read",
        token::Refusal::WrongApp => "the token is for another app",
        token::Refusal::BadSignature => "the token's signature is not valid",
        token::Refusal::NoRtmPrivilege => "the token is not for RTM",
        token::Refusal::Expired => "the token has expired",
        token::Refusal::MissingUid => "the token's user is not named: x-agora-uid is required",
        token::Refusal::WrongUid => "the token is for another user than x-agora-uid",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(refusal: &Refusal, generation: Generation, status: u16, expected: serde_json::Value) {
        let reply = refusal.reply(generation, "1_2", "getMessage", 17);
        assert_eq!(reply.status.as_u16(), status, "{refusal:?}");
        let body: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
        assert_eq!(body, expected, "{refusal:?}");
    }

    #[test]
    fn the_gateway_speaks_before_the_service_in_both_generations() {
        for generation in [Generation::First, Generation::Second] {
            for (refusal, status, text) in [
                (Refusal::NoRoute, 404, "no Route matched with those values"),
                (Refusal::NoCredentials, 401, "Unauthorized"),
                (Refusal::BadCredentials, 401, "Invalid authentication credentials"),
                (Refusal::TooOften, 429, "API rate limit exceeded"),
            ] {
                check(&refusal, generation, status, serde_json::json!({ "message": text }));
            }
        }
    }

    #[test]
    fn the_service_says_what_is_wrong_in_the_shape_of_its_generation() {
        let refusal = parameter("filter.start_time is required");
        let text = "filter.start_time is required";
        let first = serde_json::json!({
            "result": "failed", "request_id": "1_2", "code": "invalid_parameter", "message": text, "reason": text,
        });
        check(&refusal, Generation::First, 400, first);
        let second = serde_json::json!({
            "errorCode": 400, "error": true, "requestId": "1_2", "operation": "getMessage", "reason": text,
            "timestamp": 17,
        });
        check(&refusal, Generation::Second, 400, second);
    }

    #[test]
    fn every_row_of_the_table_has_its_status() {
        let work = |kind| Refusal::Work(Error::new(kind, "why"));
        for (refusal, status) in [
            (Refusal::Token(token::Refusal::Expired), 401),
            (Refusal::OtherSender, 401),
            (Refusal::Gone, 410),
            (Refusal::TooSlow, 408),
            (work(ErrorKind::Invalid), 400),
            (work(ErrorKind::TooLarge), 400),
            (work(ErrorKind::Forbidden), 403),
            (work(ErrorKind::TooMany), 429),
            (work(ErrorKind::Unavailable), 503),
            (work(ErrorKind::Internal), 500),
        ] {
            assert_eq!(refusal.status().as_u16(), status, "{refusal:?}");
        }
    }
}
