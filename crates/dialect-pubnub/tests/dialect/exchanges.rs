//! Exchanges kept as data files, each naming the section of `protocols/pubnub.md` that it comes from, or that of
//! `docs/dialects/pubnub.md` for what goes beyond the vendor.

use crate::dialect::Dialect;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// An exchange: what it is about, `ask` (method and path), `body` (text), the `status`, and the `answer` as text, in which
/// `*` stands for any digits. An `answer` that is absent is not looked at.
async fn check(file: &str) {
    let Dialect { router, .. } = Dialect::start();
    let file: Value = serde_json::from_str(file).expect("JSON");
    let sources = ["protocols/pubnub.md §", "docs/dialects/pubnub.md, "];
    assert!(file["section"].as_str().is_some_and(|section| sources.iter().any(|source| section.starts_with(source))));
    for exchange in file["exchanges"].as_array().expect("exchanges") {
        let about = exchange["about"].as_str().expect("what it is about");
        let repeat = |part: &str| {
            let count = exchange["repeat"].as_u64().unwrap_or(1) as usize;
            part.replace("{long}", &"x".repeat(count)).replace("{names}", &names(count))
        };
        let (method, path) = exchange["ask"].as_str().and_then(|ask| ask.split_once(' ')).expect("method and path");
        let body = repeat(exchange["body"].as_str().unwrap_or_default());
        let request = Request::builder().method(method).uri(repeat(path)).body(Body::from(body)).expect("a request");
        let (head, body) = router.clone().oneshot(request).await.expect("a router always answers").into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(u64::from(head.status.as_u16()), exchange["status"], "{about}: {text}");
        let content_type = head.headers["content-type"].to_str().expect("a text");
        assert!(content_type.contains("javascript") || content_type.contains("json"), "{about}: {content_type}");
        serde_json::from_slice::<Value>(&bytes).unwrap_or_else(|error| panic!("{about}: {error}: {text}"));
        if let Some(expected) = exchange["answer"].as_str() {
            assert!(fits(expected, &text), "{about}:\nexpected {expected}\nanswered {text}");
        }
    }
}

fn names(count: usize) -> String {
    (0..count).map(|number| format!("n{number}")).collect::<Vec<_>>().join(",")
}

/// Whether a text is as expected, where a `*` stands for digits.
fn fits(expected: &str, text: &str) -> bool {
    let mut parts = expected.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    for part in parts {
        let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        match digits.strip_prefix(part) {
            Some(after) if digits.len() < rest.len() => rest = after,
            _ => return false,
        }
    }
    rest.is_empty()
}

#[tokio::test]
async fn publishing_is_answered_as_the_vendor_does() {
    check(include_str!("../exchanges/publish.json")).await;
}

#[tokio::test]
async fn history_is_answered_as_the_vendor_does() {
    check(include_str!("../exchanges/history.json")).await;
}

#[tokio::test]
async fn subscribing_is_answered_as_the_vendor_does() {
    check(include_str!("../exchanges/subscribe.json")).await;
}

#[tokio::test]
async fn access_is_refused_as_the_vendor_does() {
    check(include_str!("../exchanges/access.json")).await;
}

#[tokio::test]
async fn what_goes_beyond_the_vendor_is_answered_as_the_page_says() {
    check(include_str!("../exchanges/own.json")).await;
}
