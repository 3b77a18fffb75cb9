//! Failures in the vendor's words: a text in `error` on the socket, a status and `{"message": …}` by REST.

use crate::json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use model::{Error, ErrorKind};

/// The text of a socket's `error`. Asking without having said who one is has a fixed text (`protocols/scaledrone.md`
/// §5.1).
pub fn text(error: &Error) -> String {
    match error.kind {
        ErrorKind::Unauthenticated => UNAUTHORIZED.to_owned(),
        ErrorKind::Invalid
        | ErrorKind::TooLarge
        | ErrorKind::Forbidden
        | ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::TooMany
        | ErrorKind::Unavailable
        | ErrorKind::Internal => error.message.clone(),
    }
}

/// What a socket is told that must authenticate first.
pub const UNAUTHORIZED: &str = "Unauthorized";

/// The status of a REST answer.
pub fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A failure on its way out of a REST handler.
pub struct Refusal(pub Error);

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        log(&self.0);
        let body = format!("{{\"message\":{}}}", json::text(&self.0.message));
        let mut response = (status(self.0.kind), [(header::CONTENT_TYPE, "application/json")], body).into_response();
        if self.0.kind == ErrorKind::Unauthenticated {
            // Not `Basic`, which makes browsers ask their users for a password.
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Logs a failure that someone should look at; what clients did wrong is theirs to read.
pub fn log(error: &Error) {
    if error.kind == ErrorKind::Internal {
        tracing::error!(error = ?error, "a Scaledrone request failed");
    }
}
