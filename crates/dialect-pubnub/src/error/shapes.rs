//! The bodies of refusals, one function for each shape that the vendor's services have.

use super::{ActionFault, Denied, GrantFault, Refusal};
use crate::wire::json;
use http::StatusCode;

/// §4.3: an array; 429 and server trouble are objects.
pub fn published(refusal: &Refusal, message: &str, status: StatusCode, now: u64) -> Vec<u8> {
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::FORBIDDEN {
        return object(status, message, None);
    }
    let mut out = b"[0,".to_vec();
    json::string(&mut out, message);
    if !matches!(refusal, Refusal::BodyTooLarge) {
        out.push(b',');
        json::token(&mut out, now);
    }
    out.push(b']');
    out
}

/// The generic error object.
pub fn object(status: StatusCode, message: &str, service: Option<&str>) -> Vec<u8> {
    let mut out = b"{\"message\":".to_vec();
    json::string(&mut out, message);
    out.extend_from_slice(b",\"error\":true");
    if let Some(service) = service {
        out.extend_from_slice(b",\"service\":");
        json::string(&mut out, service);
    }
    out.extend_from_slice(b",\"status\":");
    json::number(&mut out, status.as_u16().into());
    out.push(b'}');
    out
}

/// §7.3.
pub fn history(status: StatusCode, message: &str) -> Vec<u8> {
    let mut out = b"{\"status\":".to_vec();
    json::number(&mut out, status.as_u16().into());
    out.extend_from_slice(b",\"error\":true,\"error_message\":");
    json::string(&mut out, message);
    out.extend_from_slice(b",\"channels\":{}}");
    out
}

/// §8.
pub fn action(refusal: &Refusal, status: StatusCode, message: &str) -> Vec<u8> {
    let mut out = b"{\"status\":".to_vec();
    json::number(&mut out, status.as_u16().into());
    out.extend_from_slice(b",\"error\":{\"source\":\"actions\",\"message\":");
    json::string(&mut out, message);
    let missing = match refusal {
        Refusal::Action(ActionFault::Field(field)) => Some(("Missing field", *field)),
        Refusal::Action(ActionFault::Body) => Some(("Invalid JSON", "")),
        _ => None,
    };
    if let Some((message, location)) = missing {
        details(&mut out, message, location, "body");
    }
    out.extend_from_slice(b"}}");
    out
}

/// §11.2 and §11.4.
pub fn grant(fault: &GrantFault) -> Vec<u8> {
    let mut out = b"{\"error\":{\"message\":".to_vec();
    json::string(&mut out, fault.message);
    out.extend_from_slice(b",\"source\":");
    json::string(&mut out, fault.source);
    details(&mut out, &fault.detail, fault.location, fault.location_type);
    out.extend_from_slice(b"},\"service\":\"Access Manager\",\"status\":400}");
    out
}

fn details(out: &mut Vec<u8>, message: &str, location: &str, location_type: &str) {
    out.extend_from_slice(b",\"details\":[{\"message\":");
    json::string(out, message);
    out.extend_from_slice(b",\"location\":");
    json::string(out, location);
    out.extend_from_slice(b",\"locationType\":");
    json::string(out, location_type);
    out.extend_from_slice(b"}]");
}

/// §11.6: a plain group is reported as `:name`.
pub fn forbidden(denied: &Denied) -> Vec<u8> {
    let mut out = b"{\"message\":\"Forbidden\"".to_vec();
    if !denied.channels.is_empty() || !denied.groups.is_empty() {
        out.extend_from_slice(b",\"payload\":{");
        if !denied.channels.is_empty() {
            out.extend_from_slice(b"\"channels\":[");
            json::joined(&mut out, &denied.channels, |out, name| json::string(out, name));
            out.push(b']');
        }
        if !denied.groups.is_empty() {
            let comma: &[u8] = if denied.channels.is_empty() { b"" } else { b"," };
            out.extend_from_slice(comma);
            out.extend_from_slice(b"\"channel-groups\":[");
            json::joined(&mut out, &denied.groups, |out, name| {
                let name = if name.contains(':') { name.clone() } else { format!(":{name}") };
                json::string(out, &name);
            });
            out.push(b']');
        }
        out.push(b'}');
    }
    out.extend_from_slice(b",\"error\":true,\"service\":\"Access Manager\",\"status\":403}");
    out
}
