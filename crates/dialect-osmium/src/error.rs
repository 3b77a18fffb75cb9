//! Failures in the vendor's words: a number in the style of HTTP and a text (`protocols/osmium.md` §8).

use crate::wire::RpcError;
use model::{Error, ErrorKind};

/// Why a call is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The vendor's number.
    pub code: u32,
    /// For the client.
    pub text: String,
}

/// What a call came to.
pub type Answer<T> = Result<T, Refusal>;

impl Refusal {
    fn new(code: u32, text: impl Into<String>) -> Refusal {
        Refusal { code, text: text.into() }
    }

    /// 400: it can never work as it is.
    pub fn invalid(text: impl Into<String>) -> Refusal {
        Refusal::new(400, text)
    }

    /// 401: nobody said who is calling.
    pub fn unauthenticated() -> Refusal {
        Refusal::new(401, "authorize first")
    }

    /// 403: a member without the right, or not the author.
    pub fn forbidden(text: impl Into<String>) -> Refusal {
        Refusal::new(403, text)
    }

    /// 403, as every rejected token is answered: clients stop for good on it (§3).
    pub fn bad_token() -> Refusal {
        Refusal::new(403, "the token is not valid")
    }

    /// 404: there is no such thing, or the caller may not know that there is.
    pub fn not_found(what: &str) -> Refusal {
        Refusal::new(404, format!("{what} not found"))
    }

    /// 429.
    pub fn too_many(text: impl Into<String>) -> Refusal {
        Refusal::new(429, text)
    }

    /// 501: a call that this server does not serve.
    pub fn not_served(what: &str) -> Refusal {
        Refusal::new(501, format!("{what} is not served here"))
    }

    /// As it goes out.
    pub fn to_wire(&self) -> RpcError {
        RpcError { error_code: self.code, error_message: self.text.clone() }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        let code = match error.kind {
            ErrorKind::Invalid | ErrorKind::TooLarge => 400,
            ErrorKind::Unauthenticated => 401,
            ErrorKind::Forbidden => 403,
            ErrorKind::NotFound => 404,
            ErrorKind::Conflict => 409,
            ErrorKind::TooMany => 429,
            ErrorKind::Unavailable => 503,
            ErrorKind::Internal => 500,
        };
        if error.kind == ErrorKind::Internal {
            tracing::error!(?error, "an Osmium call failed inside");
        }
        Refusal::new(code, error.message)
    }
}
