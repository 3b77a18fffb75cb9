//! The dialect on the oracle of the store, with a clock that tests move.

use axum::{Router, body::Body};
use dialect_pubnub::{Keyset, Settings, router};
use edge::Secret;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use model::AppId;
use serde_json::Value;
use service::{Channels, Parts, Scope};
use std::{sync::Arc, time::Duration};
use testkit::{ManualClock, MemoryStore};
use tower::ServiceExt;

/// `demo` is open, `guarded` asks for rights, `keeping` allows no deletion.
pub struct Dialect {
    pub router: Router,
    pub clock: Arc<ManualClock>,
}

impl Dialect {
    pub fn start() -> Dialect {
        let clock = Arc::new(ManualClock::default());
        let parts = Parts { store: Arc::new(MemoryStore::new()), fanout: None, search: None, clock: clock.clone() };
        let channels = Channels::start(parts, service::Settings::default()).expect("it starts");
        let keysets = vec![keyset("demo", false, true), keyset("guarded", true, true), keyset("keeping", false, false)];
        Dialect { router: router(channels, clock.clone(), keysets).expect("the keysets differ"), clock }
    }

    /// The status and the JSON of an answer.
    pub async fn ask(&self, method: &str, path: &str, body: &str) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).expect("a request");
        let (head, body) = self.router.clone().oneshot(request).await.expect("a router always answers").into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        (head.status, serde_json::from_slice(&bytes).unwrap_or_else(|_| panic!("{path}: {bytes:?}")))
    }

    /// The JSON of an answer that is a success.
    pub async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask("GET", path, "").await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }
}

fn keyset(name: &str, access_manager: bool, delete_from_history: bool) -> Keyset {
    Keyset {
        app: AppId::new(name).expect("a name"),
        publish_key: format!("pub-c-{name}"),
        subscribe_key: format!("sub-c-{name}"),
        secret_key: Some(Secret::new(format!("sec-c-{name}"))),
        access_manager,
        delete_from_history,
        scopes: vec![Scope::Prefix("".into())],
        retention: None,
        body_time: Duration::from_secs(10),
        settings: Settings::default(),
    }
}
