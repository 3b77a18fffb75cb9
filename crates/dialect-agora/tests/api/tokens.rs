//! The vectors of `protocols/agora-rtm.md` §7.3, and what no token may do to the server.

use crate::{
    house::APP,
    vectors::{Vector, vectors},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use dialect_agora::token::{self, Expected, Refusal, TOKEN_BYTES};
use flate2::{Compression, write::ZlibEncoder};
use proptest::prelude::*;
use std::io::Write;

/// The token of a vector's headers by the order of §2, as `auth` will pick it.
fn token_of(vector: &Vector) -> (String, Option<&str>) {
    let header = |name: &str| {
        vector.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    };
    let in_authorization = || {
        let value = header("authorization")?.strip_prefix("agora token=")?;
        Some(value.trim_matches('"'))
    };
    let token = header("x-agora-token").or_else(in_authorization).unwrap_or_default();
    (token.to_owned(), header("x-agora-uid"))
}

#[test]
fn every_vector_has_its_verdict() {
    for vector in vectors() {
        let (token, uid) = token_of(&vector);
        let certificates = [vector.app_certificate.as_str()];
        let expected = Expected { app_id: &vector.path_app_id, certificates: &certificates, uid, now: vector.now };
        let verdict = token::verify(&token, expected);
        match vector.expect.verdict.as_str() {
            "accept" => assert_eq!(verdict.ok(), vector.expect.uid, "{}", vector.name),
            _ => assert!(verdict.is_err(), "{} was accepted", vector.name),
        }
    }
}

#[test]
fn either_of_two_certificates_will_do() {
    let vectors = vectors();
    let valid = vectors.iter().find(|vector| vector.name == "007-valid").expect("the vector is there");
    let (token, uid) = token_of(valid);
    let certificates = ["0123456789abcdef0123456789abcdef", valid.app_certificate.as_str()];
    let expected = Expected { app_id: &valid.path_app_id, certificates: &certificates, uid, now: valid.now };
    assert_eq!(token::verify(&token, expected).as_deref(), Ok("userA"));
    let foreign = Expected { certificates: &certificates[..1], ..expected };
    assert_eq!(token::verify(&token, foreign), Err(Refusal::BadSignature));
}

#[test]
fn a_token_that_inflates_past_the_bound_is_refused() {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0; 8 << 20]).expect("memory takes it");
    let bomb = format!("007{}", STANDARD.encode(encoder.finish().expect("memory takes it")));
    assert!(bomb.len() < TOKEN_BYTES, "the bomb must get past the first bound");
    assert_eq!(verify_any(&bomb), Err(Refusal::Malformed));
    assert_eq!(verify_any(&format!("007{}", "A".repeat(TOKEN_BYTES))), Err(Refusal::Malformed));
}

fn verify_any(token: &str) -> Result<String, Refusal> {
    token::verify(token, Expected { app_id: APP, certificates: &["secret"], uid: Some("userA"), now: 1_700_000_000 })
}

/// Changes one byte of what a token's signature covers, or of the signature.
fn changed(vector: &Vector, at: usize, flip: u8) -> String {
    let (token, _) = token_of(vector);
    let (head, content) = if token.starts_with("006") { token.split_at(35) } else { token.split_at(3) };
    let mut bytes = STANDARD.decode(content).expect("the vector is Base64");
    if token.starts_with("007") {
        let mut inflated = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::ZlibDecoder::new(&bytes[..]), &mut inflated).expect("it is zlib");
        bytes = inflated;
    }
    let at = at % bytes.len();
    bytes[at] ^= flip;
    if token.starts_with("007") {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&bytes).expect("memory takes it");
        bytes = encoder.finish().expect("memory takes it");
    }
    format!("{head}{}", STANDARD.encode(bytes))
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(token in "(00[678])?[A-Za-z0-9+/=]{0,200}") {
        let _ = verify_any(&token);
    }

    #[test]
    fn every_changed_byte_is_refused(at in 0usize..4096, flip in 1u8..=255, version in 0usize..2) {
        let vectors = vectors();
        let name = ["006-valid", "007-valid"][version];
        let valid = vectors.iter().find(|vector| vector.name == name).expect("the vector is there");
        // The second crc of a 006 token (of its empty uid) is neither signed nor used (§7.1).
        prop_assume!(version == 1 || !(38..42).contains(&(at % 60)));
        let certificates = [valid.app_certificate.as_str()];
        let expected = Expected { app_id: &valid.path_app_id, certificates: &certificates, uid: Some("userA"), now: valid.now };
        prop_assert!(token::verify(&changed(valid, at, flip), expected).is_err());
    }
}
