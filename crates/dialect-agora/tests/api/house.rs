//! A project over an empty store, and the few words that the tests are written in.

use axum::{Router, body::Body};
use base64::{Engine, engine::general_purpose::STANDARD};
use dialect_agora::{Customer, Rates, Settings, router};
use edge::{CancellationToken, Secret};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use model::{AppId, Channel, ChannelName, Origin, Payload, PayloadForm, TICKS_PER_MS, UserId};
use serde_json::{Value, json};
use service::{Access, Caller, Channels, Draft, Parts, Published};
use std::{sync::Arc, time::Duration};
use testkit::{ManualClock, MemoryStore};
use tower::ServiceExt;

pub const APP: &str = "970CA35de60c44645bbae8a215061b33";
/// The app id of another project of the same program.
pub const OTHER: &str = "00000000000000000000000000000001";
pub const CERTIFICATE: &str = "5CFd2fd1755d40ecb72977518be15d3b";
/// Longer than anything takes that works.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct House {
    router: Router,
    pub channels: Channels,
    pub clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
    settings: Settings,
    _stop: edge::CancellationToken,
}

/// An answer: its status, and its body, which is JSON.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub json: Value,
    pub headers: http::HeaderMap,
}

pub fn app() -> AppId {
    AppId::new("demo").expect("a name")
}

/// A project whose customer is `me` with the password `secret`, and that may be called as often as one likes.
pub fn settings() -> Settings {
    Settings {
        certificates: vec![Secret::new(CERTIFICATE)],
        customer: Some(Customer { key: "me".into(), secret: Secret::new("secret") }),
        rates: Rates { history: 0, send: 0, events: 0 },
        ..Settings::new(app(), APP)
    }
}

impl House {
    pub async fn new() -> House {
        House::with(settings()).await
    }

    pub async fn with(settings: Settings) -> House {
        House::over(Arc::default(), Arc::default(), settings, service::Settings::default()).await
    }

    /// With these bounds of the work.
    pub async fn within(work: service::Settings) -> House {
        House::over(Arc::default(), Arc::default(), settings(), work).await
    }

    async fn over(
        store: Arc<MemoryStore>,
        clock: Arc<ManualClock>,
        settings: Settings,
        work: service::Settings,
    ) -> House {
        let parts = Parts { store: store.clone(), fanout: None, search: None, clock: clock.clone() };
        let channels = Channels::start(parts, work).expect("it starts");
        let stop = CancellationToken::new();
        let other = Settings { app_id: OTHER.into(), ..settings.clone() };
        let projects = [settings.clone(), Settings { app: AppId::new("other").expect("a name"), ..other }];
        let router = router(channels.clone(), projects, clock.clone(), stop.clone()).await.expect("it starts");
        House { router, channels, clock, store, settings, _stop: stop }
    }

    /// What a new process finds.
    pub async fn restart(&self) -> House {
        let work = service::Settings::default();
        House::over(Arc::new(self.store.restart()), self.clock.clone(), self.settings.clone(), work).await
    }

    /// Asks: method and path, headers, body.
    pub async fn call(&self, ask: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let (method, path) = ask.split_once(' ').expect("method and path");
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).expect("a request");
        let answer = self.router.clone().oneshot(request).await.expect("a router always answers");
        let (head, body) = answer.into_parts();
        let bytes = body.collect().await.expect("a whole answer").to_bytes();
        let json = serde_json::from_slice(&bytes)
            .unwrap_or_else(|error| panic!("{ask}: {error}: {}", String::from_utf8_lossy(&bytes)));
        assert_eq!(head.headers["content-type"], "application/json; charset=utf-8", "{ask}");
        Answer { status: head.status, json, headers: head.headers }
    }

    /// Asks the project as its customer; the path is that below the app id.
    pub async fn ask(&self, ask: &str, body: &str) -> Answer {
        let (method, path) = ask.split_once(' ').expect("method and path");
        let basic = format!("Basic {}", STANDARD.encode("me:secret"));
        self.call(&format!("{method} /dev/v2/project/{APP}{path}"), &[("authorization", &basic)], body).await
    }

    /// The same of something that works.
    pub async fn ok(&self, ask: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.ask(ask, &body).await;
        assert_eq!(answer.status, 200, "{ask} {body}: {}", answer.json);
        assert_eq!(answer.json["result"], "success", "{ask}");
        answer.json
    }

    /// Sends to a channel, to be kept.
    pub async fn say(&self, sender: &str, channel: &str, payload: &str) -> Value {
        let body = json!({"channel_name": channel, "payload": payload, "enable_historical_messaging": true});
        self.ok(&format!("POST /rtm/users/{sender}/channel_messages"), &body).await
    }

    /// Sends to a user, to be kept.
    pub async fn tell(&self, sender: &str, recipient: &str, payload: &str) -> Value {
        let body = json!({"destination": recipient, "payload": payload, "enable_historical_messaging": true});
        self.ok(&format!("POST /rtm/users/{sender}/peer_messages"), &body).await
    }

    /// Makes a query; the path of its page.
    pub async fn query(&self, body: &Value) -> String {
        let made = self.ok("POST /rtm/message/history/query", body).await;
        let location = made["location"].as_str().expect("a location");
        location.strip_prefix('~').expect("it begins with ~").to_owned()
    }

    /// The page of a query.
    pub async fn page(&self, body: &Value) -> Value {
        let path = self.query(body).await;
        let page = self.ok(&format!("GET {path}"), &Value::Null).await;
        assert_eq!(page["code"], "ok");
        page
    }

    pub async fn count(&self, parameters: &str) -> u64 {
        let answer = self.ok(&format!("GET /rtm/message/history/count?{parameters}"), &Value::Null).await;
        assert_eq!(answer["code"], "ok");
        answer["count"].as_u64().expect("a number")
    }

    /// Publishes past the dialect, as another one would.
    pub async fn publish(&self, channel: &ChannelName, author: Option<(Origin, &str)>, payload: Payload) -> Published {
        let caller = Caller { app: app(), user: None, access: Arc::new(Access::admin()) };
        let channel = Channel { app: app(), name: channel.clone() };
        let author = author.map(|(origin, id)| UserId::new(origin, id, true).expect("a user"));
        let draft = Draft { author, ..Draft::new(payload) };
        self.channels.publish(&caller, &channel, draft).await.expect("it is published")
    }

    pub fn later(&self, ms: u64) {
        self.clock.advance(ms * TICKS_PER_MS);
    }
}

pub fn json_payload(text: &'static str) -> Payload {
    Payload { form: PayloadForm::Json, bytes: text.into() }
}

/// A query for everything in these filters, oldest first.
pub fn all(filter: Value) -> Value {
    with_times(filter, json!({"limit": 100, "order": "asc"}))
}

/// A query with these fields in its filter, over all times, and these beside it.
pub fn with_times(mut filter: Value, mut rest: Value) -> Value {
    filter["start_time"] = "2000-01-01T00:00:00Z".into();
    filter["end_time"] = "2100-01-01T00:00:00Z".into();
    rest["filter"] = filter;
    rest
}

/// The times of [`all`] as parameters.
pub const ALL_TIMES: &str = "start_time=2000-01-01T00:00:00Z&end_time=2100-01-01T00:00:00Z";

pub fn payloads(page: &Value) -> Vec<&str> {
    page["messages"].as_array().expect("messages").iter().map(|m| m["payload"].as_str().expect("a text")).collect()
}
