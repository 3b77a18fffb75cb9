//! Refusals in the vendor's shapes: every body is one that the vendor's clients know (`protocols/pubnub.md` §4.3, §7.3,
//! §8, §9, §11). Statuses are never below 400, because clients take anything else for a success.

mod shapes;

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

/// What of a call is not permitted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Denied {
    /// Channels, as named in the call.
    pub channels: Vec<String>,
    /// Channel groups, without their colon.
    pub groups: Vec<String>,
}

/// What is wrong with a signature or a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proof {
    /// Too far from the server's time, or no time.
    Timestamp,
    /// Does not match the request.
    Signature,
    /// No signature where one is needed.
    Missing,
    /// Not a token of this server and keyset.
    InvalidToken,
    /// Its time is over.
    ExpiredToken,
    /// It was revoked.
    RevokedToken,
    /// Granted to another user.
    OtherUser,
}

/// What is wrong with a grant or a revocation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GrantFault {
    /// `grant` or `revoke`.
    pub source: &'static str,
    /// In short.
    pub message: &'static str,
    /// In long.
    pub detail: Cow<'static, str>,
    /// The field.
    pub location: &'static str,
    /// `body` or `path`.
    pub location_type: &'static str,
}

/// What is wrong with a message action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ActionFault {
    /// This user already did exactly this.
    AlreadyAdded,
    /// A field of the body is missing or no string.
    Field(&'static str),
    /// The body is not JSON.
    Body,
    /// Somebody else's.
    WrongUser,
    /// There is none.
    NotFound,
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

impl Proof {
    fn message(self) -> &'static str {
        match self {
            Proof::Timestamp => "Invalid Timestamp",
            Proof::Signature => "Invalid Signature",
            Proof::Missing => "Forbidden",
            Proof::InvalidToken => "Invalid token",
            Proof::ExpiredToken => "Token is expired",
            Proof::RevokedToken => "Token is revoked",
            Proof::OtherUser => "Token is not authorized for this user",
        }
    }
}

impl ActionFault {
    fn message(self) -> &'static str {
        match self {
            ActionFault::AlreadyAdded => "Action Already Added",
            ActionFault::Field(_) | ActionFault::Body => "Request payload contained invalid input.",
            ActionFault::WrongUser => "Not deleting message action: wrong uuid specified",
            ActionFault::NotFound => "No matching message actions to delete",
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
mod tests {
    use super::*;

    fn check(refusal: Refusal, service: Service, status: u16, body: &str) {
        let reply = refusal.reply(service, &Callback::NONE, 17);
        assert_eq!(reply.status.as_u16(), status);
        assert_eq!(std::str::from_utf8(&reply.body).unwrap(), body);
        serde_json::from_slice::<serde::de::IgnoredAny>(&reply.body).unwrap();
    }

    #[test]
    fn every_service_has_its_own_shape() {
        let argument = || Refusal::Argument("start");
        check(argument(), Service::Publish, 400, r#"[0,"Invalid Arguments: start","17"]"#);
        check(
            argument(),
            Service::History,
            400,
            r#"{"status":400,"error":true,"error_message":"Invalid Arguments: start","channels":{}}"#,
        );
        check(
            argument(),
            Service::Actions,
            400,
            r#"{"status":400,"error":{"source":"actions","message":"Invalid Arguments: start"}}"#,
        );
        check(
            Refusal::ReservedCharacter,
            Service::Groups,
            400,
            r#"{"message":"Reserved character in input parameters.","error":true,"service":"channel-registry","status":400}"#,
        );
    }

    #[test]
    fn keys_are_refused_as_the_vendor_does() {
        check(Refusal::PublishKey, Service::Publish, 400, r#"[0,"Invalid Key","17"]"#);
        let unknown = r#"{"message":"Invalid Subscribe Key","error":true,"service":"Access Manager","status":400}"#;
        check(Refusal::SubscribeKey, Service::Publish, 400, unknown);
        check(Refusal::SubscribeKey, Service::History, 400, unknown);
        check(
            Refusal::SubscribeKey,
            Service::Actions,
            400,
            r#"{"status":400,"error":{"source":"actions","message":"Invalid Subkey"}}"#,
        );
    }

    #[test]
    fn sizes_are_refused_as_the_vendor_does() {
        check(Refusal::BodyTooLarge, Service::Publish, 413, r#"[0,"Request Entity Too Large"]"#);
        check(Refusal::SignalTooLarge, Service::Publish, 400, r#"[0,"Signal size too large","17"]"#);
        check(
            Refusal::LineTooLong,
            Service::Publish,
            414,
            r#"{"message":"Request URI Too Long","error":true,"service":"Balancer","status":414}"#,
        );
    }

    #[test]
    fn what_is_denied_is_named() {
        let denied = Denied { channels: vec!["ch1".into()], groups: vec![] };
        check(
            Refusal::Forbidden(denied),
            Service::History,
            403,
            r#"{"message":"Forbidden","payload":{"channels":["ch1"]},"error":true,"service":"Access Manager","status":403}"#,
        );
        let denied = Denied { channels: vec![], groups: vec!["g1".into(), "ns:g".into()] };
        check(
            Refusal::Forbidden(denied),
            Service::Subscribe,
            403,
            r#"{"message":"Forbidden","payload":{"channel-groups":[":g1","ns:g"]},"error":true,"service":"Access Manager","status":403}"#,
        );
    }

    #[test]
    fn faults_of_grants_and_actions_say_where() {
        let fault = GrantFault {
            source: "grant",
            message: "Invalid ttl",
            detail: "Range should be 1 to 43200 minute(s).".into(),
            location: "ttl",
            location_type: "body",
        };
        check(
            Refusal::Grant(fault),
            Service::Access,
            400,
            r#"{"error":{"message":"Invalid ttl","source":"grant","details":[{"message":"Range should be 1 to 43200 minute(s).","location":"ttl","locationType":"body"}]},"service":"Access Manager","status":400}"#,
        );
        check(
            Refusal::Action(ActionFault::Field("value")),
            Service::Actions,
            400,
            r#"{"status":400,"error":{"source":"actions","message":"Request payload contained invalid input.","details":[{"message":"Missing field","location":"value","locationType":"body"}]}}"#,
        );
        check(
            Refusal::Action(ActionFault::AlreadyAdded),
            Service::Actions,
            409,
            r#"{"status":409,"error":{"source":"actions","message":"Action Already Added"}}"#,
        );
    }

    #[test]
    fn overload_says_when_to_come_back() {
        for kind in [ErrorKind::TooMany, ErrorKind::Unavailable] {
            for service in [Service::Publish, Service::Subscribe, Service::History] {
                let reply = Refusal::Work(model::Error::new(kind, "busy")).reply(service, &Callback::NONE, 1);
                assert!(reply.status.as_u16() >= 429);
                assert_eq!(reply.retry_after, Some(1));
            }
        }
    }
}
