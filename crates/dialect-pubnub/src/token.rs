//! Access tokens (`protocols/pubnub.md` §11.3): a grant as a CBOR map whose keys are byte strings in the vendor's order, with
//! a MAC of this server's own at the end, in padded base64url.
//!
//! A token is checked before it is read: only bytes that this server wrote reach the CBOR parser.

use crate::{error::Proof, limits};
use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hmac::{Hmac, KeyInit, Mac};
use minicbor::{Decoder, Encoder};
use serde_json::{Map, Value};
use sha2::Sha256;
use std::collections::BTreeMap;

/// What a token grants, to whom and for how long.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Grant {
    /// When it was issued, in Unix seconds.
    pub issued: u64,
    /// How long it lives.
    pub minutes: u64,
    /// Rights on resources by name.
    pub names: Resources,
    /// Rights on resources by regular expression.
    pub patterns: Resources,
    /// The grantor's remarks; shown to clients, not read back.
    pub meta: Map<String, Value>,
    /// The only user that may use it.
    pub user: Option<String>,
}

/// Rights by name or pattern, as the bits of §11.2.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resources {
    /// `chan`.
    pub channels: BTreeMap<String, u64>,
    /// `grp`.
    pub groups: BTreeMap<String, u64>,
    /// `usr`, for old applications.
    pub users: BTreeMap<String, u64>,
    /// `spc`, for old applications.
    pub spaces: BTreeMap<String, u64>,
    /// `uuid`.
    pub uuids: BTreeMap<String, u64>,
}

/// The key of a keyset's tokens, made from its secret so that tokens outlive the program.
#[derive(Clone)]
pub struct TokenKey([u8; 32]);

impl TokenKey {
    /// The key for a keyset. The subscribe key takes part, so that a token is good for one keyset only.
    pub fn new(secret: &str, subscribe_key: &str) -> TokenKey {
        let mut mac = keyed(secret.as_bytes());
        mac.update(b"scrollback: pubnub access token\0");
        mac.update(subscribe_key.as_bytes());
        TokenKey(mac.finalize().into_bytes().into())
    }

    /// Puts the `sig` key behind everything that comes before it.
    pub fn seal(&self, mut cbor: Vec<u8>) -> Vec<u8> {
        let mac = mac(self, &cbor).finalize().into_bytes();
        cbor.extend_from_slice(&SIGNATURE_HEAD);
        cbor.extend_from_slice(&mac);
        cbor
    }
}

impl Grant {
    /// The end of its life, in Unix seconds.
    pub fn expires(&self) -> u64 {
        self.issued.saturating_add(self.minutes.saturating_mul(60))
    }

    /// The token.
    pub fn encode(&self, key: &TokenKey) -> String {
        let cbor = self.cbor().expect("writing into memory cannot fail");
        BASE64.encode(key.seal(cbor))
    }

    /// Reads a token that this keyset granted; its time is not looked at.
    pub fn parse(token: &str, key: &TokenKey) -> Result<Grant, Proof> {
        if token.len() > limits::TOKEN_BYTES {
            return Err(Proof::InvalidToken);
        }
        let cbor = BASE64.decode(token).map_err(|_| Proof::InvalidToken)?;
        let signed = cbor.len().checked_sub(SIGNATURE_HEAD.len() + MAC_BYTES).ok_or(Proof::InvalidToken)?;
        let (grant, tail) = cbor.split_at(signed);
        let given = tail.strip_prefix(&SIGNATURE_HEAD).ok_or(Proof::InvalidToken)?;
        mac(key, grant).verify_slice(given).map_err(|_| Proof::InvalidToken)?;
        read(grant).map_err(|_| Proof::InvalidToken)
    }

    /// Everything before the `sig` key; the map is announced as if that were there already.
    fn cbor(&self) -> Result<Vec<u8>, Fault> {
        let mut out = Encoder::new(Vec::new());
        out.map(if self.user.is_some() { 8 } else { 7 })?;
        out.bytes(b"v")?.u8(VERSION)?;
        out.bytes(b"t")?.u64(self.issued)?;
        out.bytes(b"ttl")?.u64(self.minutes)?;
        out.bytes(b"res")?;
        write_resources(&mut out, &self.names)?;
        out.bytes(b"pat")?;
        write_resources(&mut out, &self.patterns)?;
        out.bytes(b"meta")?;
        write_map(&mut out, &self.meta)?;
        if let Some(user) = &self.user {
            out.bytes(b"uuid")?.str(user)?;
        }
        Ok(out.into_writer())
    }
}

const VERSION: u8 = 2;
const MAC_BYTES: usize = 32;
/// The key `sig` and the head of a byte string of 32 bytes.
const SIGNATURE_HEAD: [u8; 6] = [0x43, b's', b'i', b'g', 0x58, 0x20];

/// Writes the padding, without which some clients cannot read a token, and accepts tokens that lost theirs on the way.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_encode_padding(true).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

type Fault = minicbor::encode::Error<std::convert::Infallible>;

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn mac(key: &TokenKey, grant: &[u8]) -> Hmac<Sha256> {
    let mut mac = keyed(&key.0);
    mac.update(grant);
    mac
}

fn write_resources(out: &mut Encoder<Vec<u8>>, resources: &Resources) -> Result<(), Fault> {
    out.map(5)?;
    let parts = [
        (b"chan".as_slice(), &resources.channels),
        (b"grp", &resources.groups),
        (b"usr", &resources.users),
        (b"spc", &resources.spaces),
        (b"uuid", &resources.uuids),
    ];
    for (key, rights) in parts {
        out.bytes(key)?.map(rights.len() as u64)?;
        for (name, bits) in rights {
            out.str(name)?.u64(*bits)?;
        }
    }
    Ok(())
}

fn write_map(out: &mut Encoder<Vec<u8>>, map: &Map<String, Value>) -> Result<(), Fault> {
    out.map(map.len() as u64)?;
    for (name, value) in map {
        out.str(name)?;
        write_value(out, value)?;
    }
    Ok(())
}

/// The depth is bounded where the grant is read.
fn write_value(out: &mut Encoder<Vec<u8>>, value: &Value) -> Result<(), Fault> {
    match value {
        Value::Null => out.null()?,
        Value::Bool(value) => out.bool(*value)?,
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => out.u64(number)?,
            (None, Some(number)) => out.i64(number)?,
            (None, None) => out.f64(number.as_f64().unwrap_or(0.0))?,
        },
        Value::String(text) => out.str(text)?,
        Value::Array(items) => {
            out.array(items.len() as u64)?;
            for item in items {
                write_value(out, item)?;
            }
            out
        }
        Value::Object(map) => return write_map(out, map),
    };
    Ok(())
}

fn read(cbor: &[u8]) -> Result<Grant, minicbor::decode::Error> {
    let mut from = Decoder::new(cbor);
    let mut grant = Grant::default();
    from.map()?;
    while from.position() < cbor.len() {
        match from.bytes()? {
            b"t" => grant.issued = from.u64()?,
            b"ttl" => grant.minutes = from.u64()?,
            b"res" => grant.names = read_resources(&mut from)?,
            b"pat" => grant.patterns = read_resources(&mut from)?,
            b"uuid" => grant.user = Some(from.str()?.to_owned()),
            _ => from.skip()?,
        }
    }
    Ok(grant)
}

fn read_resources(from: &mut Decoder) -> Result<Resources, minicbor::decode::Error> {
    let mut resources = Resources::default();
    for _ in 0..from.map()?.unwrap_or(0) {
        let part = match from.bytes()? {
            b"chan" => &mut resources.channels,
            b"grp" => &mut resources.groups,
            b"usr" => &mut resources.users,
            b"spc" => &mut resources.spaces,
            b"uuid" => &mut resources.uuids,
            _ => {
                from.skip()?;
                continue;
            }
        };
        for _ in 0..from.map()?.unwrap_or(0) {
            let name = from.str()?.to_owned();
            part.insert(name, from.u64()?);
        }
    }
    Ok(resources)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resources() -> impl Strategy<Value = Resources> {
        let part = || proptest::collection::btree_map(".{1,8}", 0u64..256, 0..4);
        (part(), part(), part(), part(), part()).prop_map(|(channels, groups, users, spaces, uuids)| Resources {
            channels,
            groups,
            users,
            spaces,
            uuids,
        })
    }

    fn key() -> TokenKey {
        TokenKey::new("sec-c-demo", "sub-c-demo")
    }

    fn sample() -> Grant {
        let mut grant = Grant { issued: 1_700_000_000, minutes: 60, user: Some("user-1".into()), ..Grant::default() };
        grant.names.channels.insert("room-1".into(), 3);
        grant.names.uuids.insert("user-1".into(), 0x68);
        grant.patterns.channels.insert("^room-.*$".into(), 1);
        grant
    }

    /// `protocols/pubnub.md` §11.3.
    #[test]
    fn the_layout_is_the_vendors() {
        let vectors: Value = serde_json::from_str(include_str!("../tests/vectors/token.json")).unwrap();
        let expected = BASE64.decode(vectors["token"].as_str().unwrap()).unwrap();
        let token = BASE64.decode(sample().encode(&key())).unwrap();
        assert_eq!(token.len(), expected.len());
        assert_eq!(token[..token.len() - MAC_BYTES], expected[..expected.len() - MAC_BYTES]);
    }

    #[test]
    fn another_keyset_cannot_read_it() {
        let token = sample().encode(&key());
        assert!(Grant::parse(&token, &key()).is_ok());
        assert_eq!(Grant::parse(&token, &TokenKey::new("sec-c-other", "sub-c-demo")), Err(Proof::InvalidToken));
        assert_eq!(Grant::parse(&token, &TokenKey::new("sec-c-demo", "sub-c-other")), Err(Proof::InvalidToken));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let token = BASE64.decode(sample().encode(&key())).unwrap();
        for bit in 0..token.len() * 8 {
            let mut flipped = token.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Grant::parse(&BASE64.encode(flipped), &key()), Err(Proof::InvalidToken), "bit {bit}");
        }
    }

    #[test]
    fn padding_may_get_lost() {
        let token = sample().encode(&key());
        assert!(token.len().is_multiple_of(4));
        assert_eq!(Grant::parse(token.trim_end_matches('='), &key()).unwrap(), sample());
    }

    #[test]
    fn remarks_of_any_shape_are_carried() {
        let mut grant = sample();
        grant.meta = serde_json::from_str(r#"{"x":1,"y":[true,null,-3,1.5,"a"],"z":{"a":{}}}"#).unwrap();
        let read = Grant::parse(&grant.encode(&key()), &key()).unwrap();
        assert_eq!(Grant { meta: grant.meta.clone(), ..read }, grant);
    }

    proptest! {
        #[test]
        fn what_was_granted_is_read_back(
            names in resources(), patterns in resources(), issued: u32, minutes in 1u64..43_200,
            user in proptest::option::of(".{1,20}"),
        ) {
            let grant = Grant { issued: issued.into(), minutes, names, patterns, meta: Map::new(), user };
            prop_assert_eq!(Grant::parse(&grant.encode(&key()), &key()).unwrap(), grant);
        }

        #[test]
        fn no_token_panics(bytes: Vec<u8>) {
            prop_assert!(Grant::parse(&BASE64.encode(&bytes), &key()).is_err());
            let _ = read(&bytes);
        }
    }
}
