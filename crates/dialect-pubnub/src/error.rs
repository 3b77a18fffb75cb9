//! Refusals in the vendor's shapes: every body is one that the vendor's clients know (`protocols/pubnub.md` §4.3, §7.3,
//! §8, §9, §11). Statuses are never below 400, because clients take anything else for a success.

mod fault;
mod shapes;

pub use fault::{ActionFault, Denied, GrantFault, Proof};

use crate::wire::{Callback, ContentType, Reply};
use http::StatusCode;
use model::ErrorKind;
use std::borrow::Cow;

/// Why a call is not done.
#[derive(Debug)]
pub enum Refusal {
    /// The work refused it.
    Work(model::Error),
    /// A parameter, or part of the path, is not what it should be.
    Argument(&'static str),
    /// Parameters that do not fit together.
    Arguments,
    /// The messages asked for do not fit into one answer.
    AnswerTooLarge,
    /// More names in a list than this.
    TooManyNames(usize),
    /// No such path.
    UnknownPath,
    /// Path and query are longer than any client's.
    LineTooLong,
    /// A body is larger than its bound.
    BodyTooLarge,
    /// A signal is larger than 64 bytes.
    SignalTooLarge,
    /// A payload is not one JSON value.
    InvalidJson,
    /// The publish key is not the keyset's.
    PublishKey,
    /// No keyset has this subscribe key.
    SubscribeKey,
    /// A wildcard of more than three levels.
    WildcardTooDeep,
    /// A filter expression that cannot be read; says why.
    Filter(String),
    /// The keyset does not allow deletion from history.
    DeleteNotEnabled,
    /// The caller may not do this to these.
    Forbidden(Denied),
    /// The proof of who is calling is no good; says why.
    Proof(Proof),
    /// An access call that cannot be done.
    Grant(GrantFault),
    /// An older grant to auth keys without a resource.
    AuthOnly,
    /// A message action that cannot be done.
    Action(ActionFault),
    /// A name in a channel group call holds a reserved character.
    ReservedCharacter,
    /// A channel group would hold more than it can.
    GroupFull,
}

/// The vendor's service that a call belongs to: each has its own shape of error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    /// Publish, signal, files.
    Publish,
    /// Subscribe and time.
    Subscribe,
    /// History of both versions.
    History,
    /// Message actions.
    Actions,
    /// Channel groups.
    Groups,
    /// Presence.
    Presence,
    /// Grants.
    Access,
}

impl Service {
    /// What the service calls its JSON (§1.3, §9).
    pub fn content_type(self) -> ContentType {
        if self == Service::Groups { ContentType::Json } else { ContentType::Javascript }
    }
}

/// Seconds after which a refused client may try again.
const RETRY_SECONDS: u32 = 1;

impl From<model::Error> for Refusal {
    fn from(error: model::Error) -> Refusal {
        Refusal::Work(error)
    }
}

impl Refusal {
    /// The answer, as the service that was called words it. `now` is a timetoken for the shapes that carry one.
    pub fn reply(&self, service: Service, callback: &Callback, now: u64) -> Reply {
        let status = self.status();
        let json = self.body(service, status, now);
        let content_type = service.content_type();
        let retry = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        Reply { status, body: callback.wrap(json), content_type, retry_after: retry.then_some(RETRY_SECONDS) }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Refusal::Work(error) => work_status(error.kind),
            Refusal::UnknownPath => StatusCode::NOT_FOUND,
            Refusal::LineTooLong => StatusCode::URI_TOO_LONG,
            Refusal::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Filter(_) => StatusCode::from_u16(481).expect("481 is a number of three digits"),
            Refusal::DeleteNotEnabled | Refusal::Forbidden(_) => StatusCode::FORBIDDEN,
            Refusal::Proof(Proof::Timestamp) => StatusCode::BAD_REQUEST,
            Refusal::Proof(_) => StatusCode::FORBIDDEN,
            Refusal::Action(ActionFault::AlreadyAdded) => StatusCode::CONFLICT,
            Refusal::Argument(_)
            | Refusal::Arguments
            | Refusal::AnswerTooLarge
            | Refusal::TooManyNames(_)
            | Refusal::SignalTooLarge
            | Refusal::InvalidJson
            | Refusal::PublishKey
            | Refusal::SubscribeKey
            | Refusal::WildcardTooDeep
            | Refusal::Grant(_)
            | Refusal::AuthOnly
            | Refusal::Action(_)
            | Refusal::ReservedCharacter
            | Refusal::GroupFull => StatusCode::BAD_REQUEST,
        }
    }

    /// The text for the caller.
    fn message(&self, service: Service) -> Cow<'_, str> {
        match self {
            Refusal::Work(error) => error.message.as_str().into(),
            Refusal::Argument(name) => format!("Invalid Arguments: {name}").into(),
            Refusal::Arguments => "Invalid Arguments".into(),
            Refusal::AnswerTooLarge => "The answer would be too large: ask for fewer channels or messages".into(),
            Refusal::TooManyNames(most) => format!("Invalid Arguments: more than {most} names in a list").into(),
            Refusal::UnknownPath => "Not Found".into(),
            Refusal::LineTooLong => "Request URI Too Long".into(),
            Refusal::BodyTooLarge => "Request Entity Too Large".into(),
            Refusal::SignalTooLarge => "Signal size too large".into(),
            Refusal::InvalidJson => "Invalid JSON".into(),
            Refusal::PublishKey => "Invalid Key".into(),
            Refusal::SubscribeKey if service == Service::Actions => "Invalid Subkey".into(),
            Refusal::SubscribeKey => "Invalid Subscribe Key".into(),
            Refusal::WildcardTooDeep => "Wildcard maximum depth exceeded".into(),
            Refusal::Filter(reason) => format!("Invalid filter expression: {reason}").into(),
            Refusal::DeleteNotEnabled => {
                "Use of the history Delete API requires both Storage & Playback and Storage Delete enabled, which is \
                 not the case for this subscribe key."
                    .into()
            }
            Refusal::Forbidden(_) if service == Service::Actions => {
                "Supplied authorization key does not have the permissions required to perform this operation.".into()
            }
            Refusal::Forbidden(_) => "Forbidden".into(),
            Refusal::Proof(proof) => proof.message().into(),
            Refusal::Grant(fault) => fault.message.into(),
            Refusal::AuthOnly => "Auth-only grants are reserved for future use".into(),
            Refusal::Action(fault) => fault.message().into(),
            Refusal::ReservedCharacter => "Reserved character in input parameters.".into(),
            Refusal::GroupFull => "Maximum channel count exceeded.".into(),
        }
    }

    fn body(&self, service: Service, status: StatusCode, now: u64) -> Vec<u8> {
        let message = self.message(service);
        match self {
            Refusal::LineTooLong => shapes::object(status, &message, Some("Balancer")),
            Refusal::SubscribeKey if service != Service::Actions => {
                shapes::object(status, &message, Some("Access Manager"))
            }
            Refusal::Proof(_) => shapes::object(status, &message, Some("Access Manager")),
            Refusal::Forbidden(denied) if service != Service::Actions => shapes::forbidden(denied),
            Refusal::Grant(fault) => shapes::grant(fault),
            _ => match service {
                Service::Publish => shapes::published(self, &message, status, now),
                Service::Subscribe => shapes::object(status, &message, None),
                Service::History => shapes::history(status, &message),
                Service::Actions => shapes::action(self, status, &message),
                Service::Groups => shapes::object(status, &message, Some("channel-registry")),
                Service::Presence => shapes::object(status, &message, Some("Presence")),
                Service::Access => shapes::object(status, &message, Some("Access Manager")),
            },
        }
    }
}

/// What each kind of failure of the work is to a PubNub client.
fn work_status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Unauthenticated | ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests;
