//! Signed requests (`protocols/pubnub.md` §11.1): a client that holds the secret key proves it by an HMAC over what it
//! sends. There are two versions and several habits of signing; any candidate that fits will do.

use crate::{
    error::{Proof, Refusal},
    limits,
    wire::Query,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// The keys of a keyset that take part in signatures.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    /// Part of what is signed.
    pub publish: &'a str,
    /// Part of what version 1 signs.
    pub subscribe: &'a str,
    /// What it is signed with.
    pub secret: &'a str,
}

/// A request as it was signed.
#[derive(Clone, Copy)]
pub struct Signed<'a> {
    /// The method as sent.
    pub method: &'a Method,
    /// The path as sent, still percent-encoded.
    pub path: &'a str,
    /// The parameters.
    pub query: &'a Query<'a>,
    /// The body, decompressed.
    pub body: &'a [u8],
}

/// Whether a request carries a signature at all.
pub fn is_signed(query: &Query) -> bool {
    query.get("signature").is_some()
}

/// Checks the signature of a request against the secret and the server's time. `Ok` means an administrator called.
pub fn verify(keys: Keys, signed: Signed, now_seconds: u64) -> Result<(), Refusal> {
    let timestamp = signed.query.get("timestamp").and_then(|text| text.parse::<u64>().ok());
    if timestamp.is_none_or(|then| then.abs_diff(now_seconds) > limits::SIGNATURE_SECONDS) {
        return Err(Refusal::Proof(Proof::Timestamp));
    }
    let given = signed.query.get("signature").unwrap_or_default();
    if bool::from(matches_any(keys, signed, given)) { Ok(()) } else { Err(Refusal::Proof(Proof::Signature)) }
}

/// Compares with every candidate, without stopping at the first that fits.
fn matches_any(keys: Keys, signed: Signed, given: &str) -> Choice {
    let queries = [canonical_query(signed.query, &ESCAPED), canonical_query(signed.query, &ESCAPED_BUT_TILDE)];
    let legacy_post = signed.method == Method::POST && signed.path.starts_with("/publish/");
    let mut found = Choice::from(0);
    for query in &queries {
        match given.strip_prefix("v2.") {
            Some(given) => {
                found |= equal(given, keys, &version_2(keys, signed.method.as_str(), signed.path, query, signed.body));
                if legacy_post {
                    found |= equal(given, keys, &version_2(keys, "GET", signed.path, query, b""));
                }
            }
            None => found |= equal(given, keys, &version_1(keys, signed.path, query)),
        }
    }
    found
}

fn version_2(keys: Keys, method: &str, path: &str, query: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("{method}\n{}\n{path}\n{query}\n", keys.publish);
    [head.as_bytes(), body].concat()
}

fn version_1(keys: Keys, path: &str, query: &str) -> Vec<u8> {
    format!("{}\n{}\n{path}\n{query}", keys.subscribe, keys.publish).into_bytes()
}

/// Compares in constant time; the padding, which some clients leave out, is not part of it.
fn equal(given: &str, keys: Keys, text: &[u8]) -> Choice {
    let mut mac = Hmac::<Sha256>::new_from_slice(keys.secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(text);
    let expected = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    given.trim_end_matches('=').as_bytes().ct_eq(expected.as_bytes())
}

/// Everything but `A-Za-z0-9-_.` is escaped.
const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
/// The same for clients that leave a `~` as it is.
const ESCAPED_BUT_TILDE: AsciiSet = ESCAPED.remove(b'~');

/// All parameters but the signature, sorted by name, values escaped anew.
fn canonical_query(query: &Query, escaped: &'static AsciiSet) -> String {
    let mut parameters: Vec<_> = query.parameters().iter().filter(|(name, _)| *name != "signature").collect();
    parameters.sort_by_key(|(name, _)| *name);
    let pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, escaped))).collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const KEYS: Keys = Keys { publish: "pub-c-demo", subscribe: "sub-c-demo", secret: "sec-c-demo" };

    /// Checks one vector after `change` was made to it.
    fn check(vector: &Value, now: u64, change: impl Fn(&str) -> String) -> Result<(), Refusal> {
        let text = |field: &str| vector[field].as_str().unwrap().to_owned();
        let method: Method = text("method").parse().unwrap();
        let query = change(&text("query"));
        let (path, body) = (text("path"), text("body"));
        let query = Query::parse(&query).unwrap();
        verify(KEYS, Signed { method: &method, path: &path, query: &query, body: body.as_bytes() }, now)
    }

    fn vectors() -> (Vec<Value>, u64) {
        let file: Value = serde_json::from_str(include_str!("../tests/vectors/signatures.json")).unwrap();
        (file["requests"].as_array().unwrap().clone(), file["now"].as_u64().unwrap())
    }

    #[test]
    fn recorded_signatures_are_good() {
        let (vectors, now) = vectors();
        assert_eq!(vectors.len(), 6);
        for vector in vectors {
            check(&vector, now, str::to_owned).unwrap_or_else(|e| panic!("{}: {e:?}", vector["name"]));
        }
    }

    #[test]
    fn a_changed_request_is_refused() {
        let (vectors, now) = vectors();
        for vector in vectors {
            for change in [("uuid=u", "uuid=x"), ("&signature", "&auth=a&signature"), ("signature=", "signature=x")] {
                let found = check(&vector, now, |query| query.replace(change.0, change.1));
                assert!(matches!(found, Err(Refusal::Proof(Proof::Signature))), "{} {change:?}", vector["name"]);
            }
        }
    }

    #[test]
    fn a_signature_lives_for_a_minute() {
        let (vectors, now) = vectors();
        for (now, good) in [(now, true), (1_700_000_060, true), (1_700_000_061, false), (1_699_999_939, false)] {
            assert_eq!(check(&vectors[0], now, str::to_owned).is_ok(), good, "{now}");
        }
        let found = check(&vectors[0], now, |query| query.replace("timestamp=", "when="));
        assert!(matches!(found, Err(Refusal::Proof(Proof::Timestamp))));
    }
}
