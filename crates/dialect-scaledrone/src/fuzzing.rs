//! What the fuzz targets of `fuzz/` call: any bytes in, and what reading them promises is held. Not part of the crate's
//! interface.

use crate::{
    auth,
    session::{Session, Step},
    settings::{HistoryCap, Served, Settings},
    wire::Frame,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use edge::Secret;
use hmac::{Hmac, KeyInit, Mac};
use model::{AppId, Clock};
use serde::de::IgnoredAny;
use sha2::Sha256;
use std::sync::Arc;

const NOW_MS: u64 = 1_700_000_000_000;
const SECRET: &str = "s3cret";

/// A connection: every line is a frame. Whatever comes, what is sent back at once is JSON, and nobody who has not shaken
/// hands publishes or joins.
pub fn frames(input: &[u8]) {
    let app = AppId::new("app").expect("a valid name");
    let settings = Settings { history: Some(HistoryCap::default()), ..Settings::new(app, "open", None) };
    let served = Arc::new(Served::new(settings, Arc::new(Still)));
    let mut session = Session::new(Arc::new([("open".to_owned(), served)].into()));
    for frame in input.split(|byte| *byte == b'\n') {
        let was_open = session.is_open();
        match session.on_frame(frame, NOW_MS) {
            Step::Send(sent) | Step::Leave(_, sent) => sent.iter().for_each(check),
            Step::Refuse(sent) => {
                check(&sent);
                return;
            }
            Step::Publish(_) | Step::Join(_) => assert!(was_open),
        }
    }
}

fn check(frame: &Frame) {
    serde_json::from_str::<IgnoredAny>(frame).expect("frames are JSON");
}

/// The claims of a token, signed as an application does; and the bytes as a token that nobody signed.
pub fn token(input: &[u8]) {
    let secret = Secret::new(SECRET);
    let text = String::from_utf8_lossy(input);
    assert!(auth::verify(&text, Some(&secret), "open", NOW_MS).is_err(), "nobody guesses a signature");
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!("{}.{}", encode(br#"{"alg":"HS256","typ":"JWT"}"#), encode(input));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(signed.as_bytes());
    let token = format!("{signed}.{}", encode(&mac.finalize().into_bytes()));
    let _ = auth::verify(&token, Some(&secret), "open", NOW_MS);
}

/// A clock that stands still.
struct Still;

impl Clock for Still {
    fn now_ticks(&self) -> u64 {
        NOW_MS * model::TICKS_PER_MS
    }

    fn monotonic_ticks(&self) -> u64 {
        0
    }
}
