//! What the fuzz targets of `fuzz/` call: any bytes in, and what reading them promises is held. Not part of the crate's
//! interface.

use crate::{
    auth::Permissions,
    convert,
    filter::{Filter, Subject},
    limits,
    route::{Endpoint, service_of},
    signature::{self, Keys, Signed},
    token::{Grant, TokenKey},
    wire::{Callback, Query, inflate, names},
};
use base64::{Engine, engine::general_purpose::URL_SAFE};
use bytes::Bytes;
use http::Method;

/// A path under every method: it is refused, or means one call of the service that its errors are worded by.
pub fn path(input: &[u8]) {
    let Ok(path) = std::str::from_utf8(input) else { return };
    for method in [Method::GET, Method::POST, Method::DELETE, Method::PUT] {
        let Ok(endpoint) = Endpoint::parse(&method, path) else { continue };
        assert_eq!(endpoint.service(), service_of(path), "{method} {path:?}");
        match endpoint {
            Endpoint::Fetch { channels, .. }
            | Endpoint::Count { channels, .. }
            | Endpoint::Subscribe { channels, .. } => {
                let names = names(&channels, limits::FETCH_CHANNELS);
                assert!(names.is_err() || names.is_ok_and(|names| names.iter().all(|name| !name.is_empty())));
            }
            Endpoint::Publish(publish) => drop(convert::published_channel(&publish.channel)),
            _ => {}
        }
    }
}

/// A query: every parameter that some call reads, and the signature over all of them.
pub fn query(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(query) = Query::parse(text) else { return };
    assert!(query.parameters().len() <= limits::QUERY_PARAMETERS);
    for name in ["start", "end", "tt", "timetoken", "count", "max", "ttl"] {
        let _ = (query.timetoken(name), query.number(name), query.flag(name, true));
    }
    let _ = convert::user(query.get("uuid"), false);
    let _ = convert::custom_type(query.get("custom_message_type"));
    let _ = convert::time_to_live(query.get("ttl"), Some(std::time::Duration::from_secs(3_600)));
    let _ = convert::origination(query.get("ortt"));
    let _ = query.get("callback").map(Callback::parse);
    let keys = Keys { publish: "pub-c-demo", subscribe: "sub-c-demo", secret: "sec-c-demo" };
    let signed = Signed { method: &Method::GET, path: "/", query: &query, body: b"" };
    assert!(signature::verify(keys, signed, 1_700_000_000).is_err(), "nobody guesses a signature");
}

/// A filter, and on lines of their own the `meta` and the payload that it looks at: refused, or the same answer each time.
pub fn filter(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut lines = text.splitn(3, '\n');
    let expression = lines.next().unwrap_or_default();
    let (meta, data) = (lines.next(), lines.next());
    let Ok(filter) = Filter::compile(expression) else { return };
    assert!(expression.len() <= limits::FILTER_BYTES);
    let first = filter.accepts(&Subject::new(meta, data));
    assert_eq!(first, filter.accepts(&Subject::new(meta, data)));
}

/// What lies in a token, sealed as this server seals it: bytes that are no grant are refused, any other grant is one that
/// can be written and read again. And the bytes as they are, which nobody sealed.
pub fn token(input: &[u8]) {
    let key = TokenKey::new("sec-c-demo", "sub-c-demo");
    let text = String::from_utf8_lossy(input);
    assert!(Grant::parse(&text, &key).is_err(), "nobody guesses a seal");
    let Ok(grant) = Grant::parse(&URL_SAFE.encode(key.seal(input.to_vec())), &key) else { return };
    let again = Grant::parse(&grant.encode(&key), &key);
    assert!(again.is_ok_and(|again| again == grant));
    let Ok(permissions) = Permissions::new(grant) else { return };
    let _ = (permissions.channel("room-1"), permissions.group("ns:group"));
}

/// A body, compressed or not: never more than its bound.
pub fn body(input: &[u8]) {
    const MOST: usize = 64 << 10;
    if let Ok(body) = inflate(Bytes::copy_from_slice(input), MOST) {
        assert!(body.len() <= MOST);
        let _ = convert::payload(&body);
    }
}
