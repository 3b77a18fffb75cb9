//! Tokens (`protocols/scaledrone.md` §5): JSON Web Tokens under HMAC-SHA256 and nothing else.

use crate::{
    json, limits,
    permissions::{Opinion, Permissions},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use edge::Secret;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::Sha256;
use std::{collections::BTreeMap, fmt};

/// What a good token says.
#[derive(Debug)]
pub struct Claims {
    /// For which connection it was made; needed on a socket only.
    pub client: Option<String>,
    /// What its holder may do.
    pub permissions: Permissions,
    /// JSON that other members see as `authData`.
    pub data: Option<String>,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenError {
    /// Not three parts between two dots.
    Parts,
    /// Longer than [`limits::TOKEN_BYTES`].
    TooLong,
    /// Not base64url, not JSON, or a claim of the wrong type.
    Unreadable,
    /// Signed by anything but HS256, `none` included.
    Algorithm,
    /// Signed with another secret.
    Signature,
    /// No `exp`.
    NoExpiry,
    /// `exp` has passed.
    Expired,
    /// For another channel, or for none.
    Channel,
    /// For another client, or for none.
    Client,
    /// No `permissions`, or more than [`limits::PERMISSION_KEYS`], or one longer than
    /// [`limits::PERMISSION_KEY_BYTES`].
    Permissions,
    /// `data` longer or deeper than a member's data may be.
    Data,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            // This text, to the letter, is what a vendor's client suite asserts (§5.1).
            TokenError::Parts => "JWT does not have 3 parts",
            TokenError::TooLong => "JWT is too long",
            TokenError::Unreadable => "JWT is not readable",
            TokenError::Algorithm => "JWT algorithm must be HS256",
            TokenError::Signature => "JWT signature is not valid",
            TokenError::NoExpiry => "JWT has no exp claim",
            TokenError::Expired => "JWT has expired",
            TokenError::Channel => "JWT channel claim does not match this channel",
            TokenError::Client => "JWT client claim does not match this client",
            TokenError::Permissions => "JWT permissions claim is missing or too large",
            TokenError::Data => "JWT data claim is too large",
        })
    }
}

/// Checks a token for a channel at a moment and reads what it says. Whether `client` fits is left to the caller: a
/// REST call has no client.
pub fn verify(token: &str, secret: Option<&Secret>, channel: &str, now_ms: u64) -> Result<Claims, TokenError> {
    if token.len() > limits::TOKEN_BYTES {
        return Err(TokenError::TooLong);
    }
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { return Err(TokenError::Parts) };
    let header: Header = decode_json(header)?;
    if header.alg != "HS256" || header.crit.is_some() {
        return Err(TokenError::Algorithm);
    }
    check_signature(token, &decode(signature)?, secret.ok_or(TokenError::Signature)?)?;
    claims(decode_json(payload)?, channel, now_ms)
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    /// Extensions that a verifier must understand or refuse (RFC 7515 §4.1.11): none are understood.
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Payload {
    client: Option<String>,
    channel: Option<String>,
    exp: Option<f64>,
    permissions: Option<BTreeMap<String, Opinion>>,
    data: Option<Box<RawValue>>,
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Unreadable)
}

fn decode_json<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, TokenError> {
    serde_json::from_slice(&decode(part)?).map_err(|_| TokenError::Unreadable)
}

fn check_signature(token: &str, signature: &[u8], secret: &Secret) -> Result<(), TokenError> {
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes a key of any length");
    mac.update(signed.as_bytes());
    mac.verify_slice(signature).map_err(|_| TokenError::Signature)
}

fn claims(payload: Payload, channel: &str, now_ms: u64) -> Result<Claims, TokenError> {
    if expiry_ms(payload.exp.ok_or(TokenError::NoExpiry)?) <= now_ms {
        return Err(TokenError::Expired);
    }
    if payload.channel.as_deref() != Some(channel) {
        return Err(TokenError::Channel);
    }
    let keys = payload.permissions.ok_or(TokenError::Permissions)?;
    let fits = keys.len() <= limits::PERMISSION_KEYS && keys.keys().all(|k| k.len() <= limits::PERMISSION_KEY_BYTES);
    if !fits {
        return Err(TokenError::Permissions);
    }
    let data = payload.data.map(|raw| raw.get().to_owned()).filter(|text| text != "null");
    let fits = |text: &str| text.len() <= limits::MEMBER_DATA_BYTES && json::depth(text) <= limits::JSON_DEPTH;
    if !data.as_deref().is_none_or(fits) {
        return Err(TokenError::Data);
    }
    Ok(Claims { client: payload.client, permissions: Permissions::compile(&keys), data })
}

/// `exp` in milliseconds. Today's tokens count seconds, older ones milliseconds (§5.2): as seconds, anything from
/// 10^11 on would lie past the year 5138, as milliseconds anything below before 1973.
fn expiry_ms(exp: f64) -> u64 {
    const LEAST_MS: f64 = 1e11;
    // A cast from a float saturates: there is no upper bound, and a negative one has passed.
    if exp >= LEAST_MS { exp as u64 } else { (exp * 1000.0) as u64 }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const NOW_MS: u64 = 1_700_000_000_000;

    /// A token with this header and these claims, signed with this secret.
    pub(crate) fn sign(header: &str, claims: &str, secret: &str) -> String {
        let signed = format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(header), BASE64_URL_SAFE_NO_PAD.encode(claims));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    pub(crate) const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

    fn check(header: &str, claims: &str, secret: &str) -> Result<Claims, TokenError> {
        verify(&sign(header, claims, secret), Some(&Secret::new("s3cret")), "ch", NOW_MS)
    }

    fn check_claims(claims: &str) -> Result<Claims, TokenError> {
        check(HS256, claims, "s3cret")
    }

    #[test]
    fn a_good_token_says_who_and_what() {
        let claims = check_claims(
            r#"{"client":"a:1","channel":"ch","exp":1700000001,"permissions":{"^feed$":{"subscribe":true,"history":5}},
                "data":{"serverId": 312}}"#,
        )
        .unwrap();
        assert_eq!(claims.client.as_deref(), Some("a:1"));
        assert_eq!(claims.data.as_deref(), Some("{\"serverId\": 312}"));
        assert_eq!(claims.permissions.rights("feed").history, 5);
    }

    #[test]
    fn a_token_made_elsewhere_is_read() {
        // Made with OpenSSL: printf %s "$header.$payload" | openssl dgst -sha256 -hmac s3cret -binary
        let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
            eyJjaGFubmVsIjoiY2giLCJleHAiOjk5OTk5OTk5OTksInBlcm1pc3Npb25zIjp7fX0.\
            elt8riiDD3FamgW073aBlZKMk1Bf18iNEU7YL1KwPJk";
        let verified = verify(token, Some(&Secret::new("s3cret")), "ch", NOW_MS);
        assert!(verified.is_ok(), "{verified:?}");
    }

    #[test]
    fn anything_but_three_parts_has_the_exact_text() {
        for token in ["", "a", "a.b", "a.b.c.d", "wrongtoken"] {
            let error = verify(token, Some(&Secret::new("s3cret")), "ch", NOW_MS).unwrap_err();
            assert_eq!(error.to_string(), "JWT does not have 3 parts", "{token:?}");
        }
        let long = "a".repeat(limits::TOKEN_BYTES + 1);
        assert_eq!(verify(&long, Some(&Secret::new("s3cret")), "ch", NOW_MS).unwrap_err(), TokenError::TooLong);
        assert_eq!(verify("a.b.%", Some(&Secret::new("s3cret")), "ch", NOW_MS).unwrap_err(), TokenError::Unreadable);
    }

    #[test]
    fn only_hs256_under_the_channels_secret_is_accepted() {
        let good = r#"{"channel":"ch","exp":1700000001,"permissions":{}}"#;
        assert!(check_claims(good).is_ok());
        for header in [r#"{"alg":"none"}"#, r#"{"alg":"RS256"}"#, r#"{"alg":"HS512"}"#, r#"{"alg":"hs256"}"#] {
            assert_eq!(check(header, good, "s3cret").unwrap_err(), TokenError::Algorithm, "{header}");
        }
        let critical = r#"{"alg":"HS256","crit":["b64"],"b64":false}"#;
        assert_eq!(check(critical, good, "s3cret").unwrap_err(), TokenError::Algorithm);
        assert_eq!(check(r#"{"typ":"JWT"}"#, good, "s3cret").unwrap_err(), TokenError::Unreadable);
        assert_eq!(check(HS256, good, "other").unwrap_err(), TokenError::Signature);
        let unsigned = sign(HS256, good, "s3cret");
        let unsigned = &unsigned[..=unsigned.rfind('.').unwrap()];
        assert_eq!(
            verify(unsigned, Some(&Secret::new("s3cret")), "ch", NOW_MS).unwrap_err(),
            TokenError::Signature,
            "an empty signature"
        );
    }

    #[test]
    fn exp_counts_seconds_or_milliseconds() {
        let with = |exp: &str| check_claims(&format!(r#"{{"channel":"ch","exp":{exp},"permissions":{{}}}}"#)).err();
        for good in ["1700000001", "1700000000.5", "1700000000001", "1700000001000", "99999999999", "1e300"] {
            assert_eq!(with(good), None, "{good}");
        }
        for passed in ["1700000000", "1699999999", "1699999999999", "1700000000000", "0", "-5"] {
            assert_eq!(with(passed), Some(TokenError::Expired), "{passed}");
        }
        assert_eq!(with("null"), Some(TokenError::NoExpiry));
        assert_eq!(with("\"1700000001\""), Some(TokenError::Unreadable));
    }

    #[test]
    fn a_token_for_another_channel_or_without_permissions_is_refused() {
        let error = |claims: &str| check_claims(claims).unwrap_err();
        assert_eq!(error(r#"{"channel":"other","exp":1800000000,"permissions":{}}"#), TokenError::Channel);
        assert_eq!(error(r#"{"exp":1800000000,"permissions":{}}"#), TokenError::Channel);
        assert_eq!(error(r#"{"channel":"ch","exp":1800000000}"#), TokenError::Permissions);
        assert_eq!(error(r#"{"channel":"ch","exp":1800000000,"permissions":{"a":7}}"#), TokenError::Unreadable);
        let many: Vec<String> = (0..=limits::PERMISSION_KEYS).map(|n| format!("\"k{n}\":{{}}")).collect();
        let many = format!(r#"{{"channel":"ch","exp":1800000000,"permissions":{{{}}}}}"#, many.join(","));
        assert_eq!(error(&many), TokenError::Permissions);
        let data = "x".repeat(limits::MEMBER_DATA_BYTES);
        let data = format!(r#"{{"channel":"ch","exp":1800000000,"permissions":{{}},"data":"{data}"}}"#);
        assert_eq!(error(&data), TokenError::Data);
    }
}
