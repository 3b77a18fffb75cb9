//! What the fuzz targets of `fuzz/` call: any bytes in, and what reading them promises is held. Bytes get the signature or
//! the seal that fits, so that what lies behind it is reached. Not part of the crate's interface.

use crate::{
    Customer, Settings, auth, convert, limits,
    query::{self, Filter, Query, Who},
    route::{Endpoint, Route},
    seal::{KEY_BYTES, Nonce, Seal, Ticket},
    second,
    send::Message,
    token::{self, Expected, Refusal, TOKEN_BYTES, mac_of},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use edge::Secret;
use flate2::{Compression, write::ZlibEncoder};
use hmac::Mac;
use http::{HeaderMap, HeaderValue, Method};
use jiff::{SignedDuration, civil::DateTime};
use model::{AppId, ChannelName, Id, Order, Payload, PayloadForm};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::value::RawValue;
use std::io::Write;

const APP: &str = "970CA35de60c44645bbae8a215061b33";
const CERTIFICATE: &str = "5CFd2fd1755d40ecb72977518be15d3b";
const NOW: u64 = 1_700_000_000;

fn seal() -> Seal {
    Seal::new([7; KEY_BYTES], APP)
}

/// A path: no call, or the same one however often its slashes are written. Its last part, and the bytes themselves, as a
/// handle: of what nobody sealed, none is known; what was sealed says the same when it is sealed anew.
pub fn path(input: &[u8]) {
    const NONCE: Nonce = [9; size_of::<Nonce>()];
    if let Some(ticket) = seal().open(&seal().encrypt(&NONCE, input)) {
        let _ = ticket.query.filter.who.selection(|_| true);
        let _ = ticket.query.span(ticket.head);
        assert_eq!(seal().open(&seal().close(&ticket)), Some(ticket));
    }
    let Ok(path) = std::str::from_utf8(input) else { return };
    for method in [Method::GET, Method::POST, Method::DELETE] {
        let route = Route::parse(&method, path);
        assert_eq!(Route::parse(&method, &path.replace('/', "//")), route);
        assert_eq!(Route::parse(&method, &format!("/{path}/")), route);
        match route.map(|route| route.endpoint) {
            Some(Endpoint::Page { handle }) => assert_eq!(seal().open(&handle), None, "nobody guesses a seal"),
            Some(Endpoint::PeerMessage { sender } | Endpoint::ChannelMessage { sender }) => id(&sender),
            Some(Endpoint::SecondHistory { user, .. }) => id(&user),
            _ => {}
        }
    }
    let _ = Route::generation(path);
}

/// What is taken as an id can be a user and a channel.
fn id(text: &str) {
    if convert::check_id("id", text).is_ok() {
        assert!((1..=limits::NAME_CHARACTERS).contains(&text.len()));
        assert!(ChannelName::named(text).is_ok() && convert::chat_user(text, true).is_ok());
    }
}

/// The body of a query, or the parameters of a count: refused, or within their bounds; a query can always be fetched by its
/// handle, and counting reads its filter as the query does.
pub fn query(input: &[u8]) {
    if let Ok(query) = query::of_body(input, Order::Descending) {
        whole(query);
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    let _ = second::Wanted::of(text);
    let _ = query::value(text, "wait_for_ack");
    if let Ok(filter) = query::of_parameters(text) {
        whole(Query { filter, begin: query::Begin::Offset(0), limit: 20, order: Order::Ascending });
    }
}

fn whole(query: Query) {
    assert!((1..=limits::PAGE_MESSAGES).contains(&query.limit));
    assert!(query.filter.start_ms <= query.filter.end_ms);
    assert_eq!(query::of_parameters(&parameters(&query.filter)).ok().as_ref(), Some(&query.filter));
    query.filter.who.selection(|_| true).expect("its names were checked");
    let span = query.span(Id::MAX);
    assert!(span.is_empty() || query.filter.span().contains(span.upto));
    let ticket = Ticket::new(query, Id::MAX, u64::MAX);
    assert_eq!(seal().open(&seal().close(&ticket)), Some(ticket));
}

/// A filter as a caller of the count writes it, in quotes as the vendor's pages print it.
fn parameters(filter: &Filter) -> String {
    let value = |name: &str, text: &str| format!("{name}=%22{}%22&", utf8_percent_encode(text, NON_ALPHANUMERIC));
    let time = |ms: u64| {
        let time = DateTime::constant(1970, 1, 1, 0, 0, 0, 0).checked_add(SignedDuration::from_millis(ms as i64));
        time.expect("a year of four digits").strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    };
    let who = match &filter.who {
        Who::From(from) => value("source", from),
        Who::To(to) => value("destination", to),
        Who::FromTo(from, to) => value("source", from) + &value("destination", to),
        Who::Between(a, b) => value("between", a) + &value("between", b),
    };
    who + &value("start_time", &time(filter.start_ms)) + &value("end_time", &time(filter.end_ms))
}

/// The body of a message: refused, or a message of a payload within its bounds that is shown as it was sent. And the bytes
/// as JSON that another dialect wrote: shown as a JSON string.
pub fn message(input: &[u8]) {
    if let Ok(message) = Message::of(input) {
        for name in ["destination", "channel_name"] {
            let _ = message.id(name).map(|text| id(&text));
        }
        let _ = message.flag("enable_offline_messaging");
        if let Ok(draft) = message.draft() {
            assert!((1..=limits::PAYLOAD_BYTES).contains(&draft.payload.bytes.len()));
            let shown: String = serde_json::from_str(&shown(&draft.payload)).expect("a string");
            assert_eq!(shown.as_bytes(), draft.payload.bytes);
        }
    }
    if serde_json::from_slice::<&RawValue>(input).is_ok() {
        let payload = Payload { form: PayloadForm::Json, bytes: input.to_vec().into() };
        let shown = shown(&payload);
        assert!(serde_json::from_str::<&RawValue>(&shown).is_ok_and(|text| text.get().starts_with('"')));
    }
}

fn shown(payload: &Payload) -> String {
    serde_json::to_string(&convert::text(payload)).expect("texts have a JSON text")
}

/// What lies in a token: refused, or good for one user alone when an application signs it. Without a signature it is good
/// for nobody: as a token of either version, packed or not, and in each header that may say who calls.
pub fn token(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let packed = STANDARD.encode(input);
    for unsigned in [text.into_owned(), format!("006{APP}{packed}"), format!("007{packed}"), packed_007(input)] {
        assert!(verify(&unsigned, Some("ann")).is_err(), "nobody guesses a signature");
    }
    headers(input);
    let token = signed_006(input, "ann");
    assert_eq!(verify(&token, Some("bob")).ok(), None);
    let _ = verify(&token, Some("ann"));
    if let Some(token) = signed_007(input)
        && let Ok(user) = verify(&token, None)
    {
        assert!(!user.is_empty() && token.len() <= TOKEN_BYTES);
        assert_eq!(verify(&token, Some(&format!("{user}x"))), Err(Refusal::WrongUid));
        assert_eq!(verify(&token, Some(&user)), Ok(user));
    }
}

fn verify(token: &str, uid: Option<&str>) -> Result<String, Refusal> {
    token::verify(token, Expected { app_id: APP, certificates: &[CERTIFICATE], uid, now: NOW })
}

/// Salt, end and privileges, signed for an account (`protocols/agora-rtm.md` §7.1).
fn signed_006(message: &[u8], account: &str) -> String {
    let signature = mac_of(CERTIFICATE.as_bytes(), &[APP.as_bytes(), account.as_bytes(), message]).finalize();
    let mut content = string(&signature.into_bytes());
    content.extend_from_slice(&crc32fast::hash(account.as_bytes()).to_le_bytes());
    content.extend_from_slice(&crc32fast::hash(b"").to_le_bytes());
    content.extend(string(message));
    format!("006{APP}{}", STANDARD.encode(content))
}

/// Issue, life, salt and services, signed for the app (§7.2).
fn signed_007(rest: &[u8]) -> Option<String> {
    let (issued_at, salt) = (rest.get(..4)?, rest.get(8..12)?);
    let signed = [&string(APP.as_bytes()), rest].concat();
    let key = mac_of(issued_at, &[CERTIFICATE.as_bytes()]).finalize().into_bytes();
    let key = mac_of(salt, &[&key]).finalize().into_bytes();
    let signature = mac_of(&key, &[&signed]).finalize().into_bytes();
    Some(packed_007(&[string(&signature), signed].concat()))
}

fn packed_007(content: &[u8]) -> String {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).expect("memory takes it");
    format!("007{}", STANDARD.encode(encoder.finish().expect("memory takes it")))
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&length.to_le_bytes(), bytes].concat()
}

/// Lines: `authorization`, `x-agora-token`, `x-agora-uid`.
fn headers(input: &[u8]) {
    let customer = Customer { key: "customer".into(), secret: Secret::new("a secret that nobody guesses") };
    let certificates = vec![Secret::new(CERTIFICATE)];
    let app = AppId::new("app").expect("a valid name");
    let project = Settings { certificates, customer: Some(customer), ..Settings::new(app, APP) };
    let mut headers = HeaderMap::new();
    for (name, value) in ["authorization", "x-agora-token", "x-agora-uid"].into_iter().zip(input.split(|b| *b == b'\n'))
    {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    }
    assert!(auth::identify(Some(&project), &headers, NOW).is_err(), "nobody guesses who may call");
    assert!(auth::identify(None, &headers, NOW).is_err());
}
