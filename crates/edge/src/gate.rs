//! What every request passes between its socket and its router: the bounds on requests in flight and on the bytes of
//! their bodies, its id, its metrics.

use crate::{
    Metrics, Settings,
    settings::{BODY_UNIT, REQUEST_ID_BYTES, RETRY_AFTER_SECONDS},
};
use axum::{Router, body::Body};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use std::{
    convert::Infallible,
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};
use tower::Service;

/// The header that carries a request's id: taken from the client if it is well formed, made here otherwise, seen by
/// the router and echoed in the answer.
pub const REQUEST_ID: &str = "x-request-id";

/// The gate before one router.
pub(crate) struct Gate {
    router: Router,
    slots: Semaphore,
    bodies: Bodies,
    ids: Ids,
    metrics: Metrics,
}

impl Gate {
    pub(crate) fn new(router: Router, settings: &Settings, metrics: Metrics) -> Gate {
        let slots = settings.requests.min(Semaphore::MAX_PERMITS);
        let bodies = Bodies::new(settings.bodies_bytes, settings.body_bytes);
        Gate { router, slots: Semaphore::new(slots), bodies, ids: Ids::new(), metrics }
    }

    /// Answers one request. The slot, and the room for its body, are held until the head of the answer is there, so a
    /// stream that has begun does not keep others out.
    pub(crate) async fn answer(&self, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let began = Instant::now();
        let asks_first = request.method() == Method::OPTIONS;
        let id = self.ids.of(request.headers());
        request.headers_mut().insert(HeaderName::from_static(REQUEST_ID), id.clone());
        let room = self.bodies.reserve(request.body());
        let mut response = match self.slots.try_acquire().ok().zip(room) {
            Some((_slot, _room)) => {
                self.metrics.requests.inc();
                let response = self.router.clone().call(request).await;
                self.metrics.requests.dec();
                match response {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            }
            None => {
                self.metrics.refused_requests.inc();
                overloaded()
            }
        };
        if asks_first && response.status() == StatusCode::OK {
            // What a browser asks before it calls is answered by the layer above all routers, which has nothing to say.
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        response.headers_mut().insert(HeaderName::from_static(REQUEST_ID), id);
        self.metrics.answered(response.status(), began.elapsed());
        Ok(response)
    }
}

/// Room for the bodies of all requests together, in units of [`BODY_UNIT`].
struct Bodies {
    room: Semaphore,
    most_each: usize,
}

impl Bodies {
    /// At least one body of the largest size fits.
    fn new(bytes: usize, most_each: usize) -> Bodies {
        let units = bytes.max(most_each).div_ceil(BODY_UNIT);
        Bodies { room: Semaphore::new(units.min(Semaphore::MAX_PERMITS)), most_each }
    }

    /// Room for what a body announces, or for the most that is kept of one if it announces nothing; none if there is too
    /// little.
    fn reserve(&self, body: &impl hyper::body::Body) -> Option<SemaphorePermit<'_>> {
        let bytes = match (body.is_end_stream(), body.size_hint().exact()) {
            (true, _) => 0,
            (false, Some(announced)) => self.most_each.min(usize::try_from(announced).unwrap_or(usize::MAX)),
            (false, None) => self.most_each,
        };
        self.room.try_acquire_many(u32::try_from(bytes.div_ceil(BODY_UNIT)).unwrap_or(u32::MAX)).ok()
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
    fn bodies_share_their_room_and_give_it_back() {
        const MIB: usize = 1 << 20;
        let bodies = Bodies::new(3 * MIB, MIB);
        let body = |bytes: usize| Body::from(vec![0; bytes]);
        let unannounced = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, Infallible>>());
        let first = bodies.reserve(&body(MIB)).expect("room for the first");
        let too_large =
            bodies.reserve(&body(5 * MIB)).expect("of one that is too large no more than the bound is kept");
        let unknown = bodies.reserve(&unannounced).expect("one that announces nothing takes the bound");
        assert!(bodies.reserve(&body(1)).is_none(), "the room is taken");
        assert!(bodies.reserve(&Body::empty()).is_some(), "who has no body needs no room");
        drop(first);
        assert!(bodies.reserve(&body(MIB)).is_some(), "what has ended gave its room back");
        drop((too_large, unknown));
        assert!(Bodies::new(1, MIB).reserve(&body(MIB)).is_some(), "one body always fits");
    }

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
