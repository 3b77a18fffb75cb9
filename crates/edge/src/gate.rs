//! What every request passes between its socket and its router: the bound on requests in flight, its id, its metrics.

use crate::{
    Metrics,
    settings::{REQUEST_ID_BYTES, RETRY_AFTER_SECONDS},
};
use axum::{Router, body::Body};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use std::{
    convert::Infallible,
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};
use tokio::{sync::Semaphore, time::Instant};
use tower::Service;

/// The header that carries a request's id: taken from the client if it is well formed, made here otherwise, seen by
/// the router and echoed in the answer.
pub const REQUEST_ID: &str = "x-request-id";

/// The gate before one router.
pub(crate) struct Gate {
    router: Router,
    slots: Semaphore,
    ids: Ids,
    metrics: Metrics,
}

impl Gate {
    pub(crate) fn new(router: Router, requests: usize, metrics: Metrics) -> Gate {
        let slots = requests.min(Semaphore::MAX_PERMITS);
        Gate { router, slots: Semaphore::new(slots), ids: Ids::new(), metrics }
    }

    /// Answers one request. The slot is held until the head of the answer is there, so a stream that has begun does not
    /// keep others out.
    pub(crate) async fn answer(&self, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let began = Instant::now();
        let id = self.ids.of(request.headers());
        request.headers_mut().insert(HeaderName::from_static(REQUEST_ID), id.clone());
        let mut response = match self.slots.try_acquire() {
            Ok(_slot) => {
                self.metrics.requests.inc();
                let response = self.router.clone().call(request).await;
                self.metrics.requests.dec();
                match response {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            }
            Err(_full) => {
                self.metrics.refused_requests.inc();
                overloaded()
            }
        };
        response.headers_mut().insert(HeaderName::from_static(REQUEST_ID), id);
        self.metrics.answered(response.status(), began.elapsed());
        Ok(response)
    }
}

/// The answer to one request too many; also fit for a client that expects problem details (RFC 9457).
fn overloaded() -> Response<Body> {
    const TEXT: &str = r#"{"type":"urn:scrollback:problem:unavailable","title":"overloaded","status":503,"detail":"too many requests are being answered: try again in a second; nothing was done"}"#;
    let mut response = Response::new(Body::from(TEXT));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// Gives out request ids: a number that counts, after one that tells this run of the program from others.
struct Ids {
    run: u32,
    count: AtomicU64,
}

impl Ids {
    fn new() -> Ids {
        Ids { run: RandomState::new().hash_one(0) as u32, count: AtomicU64::new(0) }
    }

    fn of(&self, headers: &HeaderMap) -> HeaderValue {
        if let Some(given) = headers.get(REQUEST_ID).filter(|given| is_well_formed(given.as_bytes())) {
            return given.clone();
        }
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        HeaderValue::from_str(&format!("{:08x}-{count:x}", self.run)).expect("hexadecimal digits are a header value")
    }
}

fn is_well_formed(id: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=REQUEST_ID_BYTES).contains(&id.len()) && id.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_short_request_ids_are_taken_over() {
        let ids = Ids::new();
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("abc-1"));
        assert_eq!(ids.of(&headers), "abc-1");
        headers.insert(REQUEST_ID, HeaderValue::from_static("a b"));
        assert_ne!(ids.of(&headers), "a b");
        assert_ne!(ids.of(&headers), ids.of(&headers));
    }
}
