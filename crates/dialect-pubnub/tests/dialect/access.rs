//! Access Manager (`protocols/pubnub.md` §11) on a keyset that asks for rights: what each operation needs, and what becomes of
//! a poll whose token ends while it is held.

use crate::dialect::Dialect;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use model::{Clock, TICKS_PER_SECOND};
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::Duration;
use tokio::time::timeout;

/// Longer than anything takes that works, shorter than a poll is held.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request of somebody who has the secret key. `query` is sorted and needs no escapes.
fn signed(dialect: &Dialect, method: &str, path: &str, query: &str, body: &str) -> String {
    let timestamp = dialect.clock.now_ticks() / TICKS_PER_SECOND;
    let mut parameters: Vec<String> = query.split('&').filter(|one| !one.is_empty()).map(str::to_owned).collect();
    parameters.push(format!("timestamp={timestamp}"));
    parameters.sort();
    let query = parameters.join("&");
    let mut mac = Hmac::<Sha256>::new_from_slice(b"sec-c-guarded").expect("HMAC takes keys of any length");
    mac.update(format!("{method}\npub-c-guarded\n{path}\n{query}\n{body}").as_bytes());
    format!("{path}?{query}&signature=v2.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

async fn grant(dialect: &Dialect, permissions: &Value) -> String {
    let body = json!({ "ttl": 1, "permissions": permissions }).to_string();
    let path = signed(dialect, "POST", "/v3/pam/sub-c-guarded/grant", "", &body);
    let (status, answer) = dialect.ask("POST", &path, &body).await;
    assert_eq!(status, 200, "{answer}");
    // In a query the padding is escaped.
    answer["data"]["token"].as_str().expect("a token").replace('=', "%3D")
}

/// An operation, and the right that it needs on the channel `c`, or on the group `g` if it is one of groups.
struct Operation {
    method: &'static str,
    path: &'static str,
    query: &'static str,
    body: &'static str,
    need: Option<(&'static str, u64)>,
}

const READ: Option<(&str, u64)> = Some(("channels", 1));
const WRITE: Option<(&str, u64)> = Some(("channels", 2));
const DELETE: Option<(&str, u64)> = Some(("channels", 8));
const MANAGE: Option<(&str, u64)> = Some(("groups", 4));

/// §11.6, and every endpoint.
const OPERATIONS: [Operation; 25] = [
    get("/publish/pub-c-guarded/sub-c-guarded/0/c/0/1", "", WRITE),
    get("/signal/pub-c-guarded/sub-c-guarded/0/c/0/1", "", WRITE),
    get("/v1/files/publish-file/pub-c-guarded/sub-c-guarded/0/c/0/1", "", WRITE),
    post("/publish/pub-c-guarded/sub-c-guarded/0/c/0", "1", WRITE),
    post("/v2/publish/pub-c-guarded/sub-c-guarded/0/c/0", "1", WRITE),
    get("/v2/subscribe/sub-c-guarded/c/0", "", READ),
    get("/v2/history/sub-key/sub-c-guarded/channel/c", "", READ),
    get("/v3/history/sub-key/sub-c-guarded/channel/c", "", READ),
    get("/v3/history-with-actions/sub-key/sub-c-guarded/channel/c", "", READ),
    get("/v3/history/sub-key/sub-c-guarded/message-counts/c", "timetoken=1", READ),
    get("/v1/message-actions/sub-c-guarded/channel/c", "", READ),
    delete("/v3/history/sub-key/sub-c-guarded/channel/c", "end=1&start=1", DELETE),
    post("/v1/message-actions/sub-c-guarded/channel/c/message/1", r#"{"type":"t","value":"v"}"#, WRITE),
    delete("/v1/message-actions/sub-c-guarded/channel/c/message/1/action/1", "x=1", DELETE),
    get("/v2/presence/sub-key/sub-c-guarded/channel/c", "", READ),
    get("/v2/presence/sub-key/sub-c-guarded/channel/c/heartbeat", "heartbeat=60", READ),
    get("/v2/presence/sub-key/sub-c-guarded/channel/c/uuid/u", "", READ),
    get("/v2/presence/sub-key/sub-c-guarded/channel/c/uuid/u/data", "state=%7B%7D", READ),
    get("/v2/presence/sub-key/sub-c-guarded/channel/c/leave", "uuid=u", None),
    get("/v2/presence/sub-key/sub-c-guarded/uuid/u", "", None),
    get("/time/0", "", None),
    get("/v1/channel-registration/sub-key/sub-c-guarded/channel-group/g", "add=c", MANAGE),
    get("/v1/channel-registration/sub-key/sub-c-guarded/channel-group/g", "remove=c", MANAGE),
    get("/v1/channel-registration/sub-key/sub-c-guarded/channel-group/g/remove", "", MANAGE),
    get("/v2/subscribe/sub-c-guarded/,/0", "channel-group=g", Some(("groups", 1))),
];

const fn get(path: &'static str, query: &'static str, need: Option<(&'static str, u64)>) -> Operation {
    Operation { method: "GET", path, query, body: "", need }
}

const fn post(path: &'static str, body: &'static str, need: Option<(&'static str, u64)>) -> Operation {
    Operation { method: "POST", path, query: "", body, need }
}

const fn delete(path: &'static str, query: &'static str, need: Option<(&'static str, u64)>) -> Operation {
    Operation { method: "DELETE", path, query, body: "", need }
}

impl Operation {
    fn with(&self, more: &str) -> String {
        format!("{}?{}{}{more}", self.path, self.query, if self.query.is_empty() { "" } else { "&" })
    }
}

#[tokio::test]
async fn every_operation_needs_its_right_and_no_other() {
    let dialect = Dialect::start();
    let all = 1 | 2 | 4 | 8 | 32 | 64 | 128;
    for operation in &OPERATIONS {
        let Operation { method, path, query, body, need } = operation;
        let ask = async |path: String| dialect.ask(method, &path, body).await;
        let status = async |path: String| ask(path).await.0.as_u16();
        let Some((kind, bit)) = need else {
            assert_eq!(status(operation.with("")).await, 200, "{path} is free");
            continue;
        };
        let name = if *kind == "channels" { "c" } else { "g" };
        let token =
            async |bits: u64, name: &str| grant(&dialect, &json!({ "resources": { (*kind): { name: bits } } })).await;
        let with = |token: String| operation.with(&format!("uuid=u&auth={token}"));
        // Who may add and remove actions finds that one is there already, or none.
        let done =
            |status: u16| status == 200 || (path.starts_with("/v1/message-actions") && [400, 409].contains(&status));

        let (refused, answer) = ask(operation.with("")).await;
        assert_eq!(refused, 403, "{path} without anything: {answer}");
        assert!(done(status(with(token(*bit, name).await)).await), "{path} with its right");
        assert_eq!(status(with(token(all & !bit, name).await)).await, 403, "{path} with every other right");
        assert_eq!(status(with(token(all, "another").await)).await, 403, "{path} with rights elsewhere");
        // Those published by POST are signed in another way, which the recorded signatures hold.
        if !(*method == "POST" && path.starts_with("/publish")) {
            let query = format!("{query}&uuid=u");
            assert!(done(status(signed(&dialect, method, path, &query, body)).await), "{path} signed");
            let other = signed(&dialect, method, path, &query, body).replace("timestamp=", "x=1&timestamp=");
            assert_eq!(status(other).await, 403, "{path} signed for another query");
        }
    }
}

#[tokio::test]
async fn a_held_poll_ends_with_its_token() {
    let dialect = Dialect::start();
    let token = grant(&dialect, &json!({ "resources": { "channels": { "c": 1 } } })).await;
    let handshake = dialect.get(&format!("/v2/subscribe/sub-c-guarded/c/0?tt=0&auth={token}")).await;
    let cursor = handshake["t"]["t"].as_str().expect("a cursor");
    let poll = format!("/v2/subscribe/sub-c-guarded/c/0?tt={cursor}&auth={token}");
    // It lives for a minute: one second is left.
    dialect.clock.advance_seconds(59);
    let answer = timeout(PATIENCE, dialect.get(&poll)).await.expect("the poll ends with its token");
    assert_eq!(answer["m"], json!([]));
    dialect.clock.advance_seconds(1);
    let (status, answer) = dialect.ask("GET", &poll, "").await;
    assert_eq!((status.as_u16(), &answer["message"]), (403, &json!("Token is expired")));
}

#[tokio::test]
async fn a_held_poll_ends_when_its_token_is_revoked() {
    let dialect = Dialect::start();
    let token = grant(&dialect, &json!({ "resources": { "channels": { "c": 1 } } })).await;
    let other = grant(&dialect, &json!({ "resources": { "channels": { "c": 3 } } })).await;
    let handshake = dialect.get(&format!("/v2/subscribe/sub-c-guarded/c/0?tt=0&auth={token}")).await;
    let cursor = handshake["t"]["t"].as_str().expect("a cursor");
    let poll = |token: &str| format!("/v2/subscribe/sub-c-guarded/c/0?tt={cursor}&auth={token}");
    let (revoked, kept) = (poll(&token), poll(&other));
    let (revoked_poll, kept_poll) = (dialect.get(&revoked), dialect.get(&kept));
    let meanwhile = async {
        let path = signed(&dialect, "DELETE", &format!("/v3/pam/sub-c-guarded/grant/{token}"), "", "");
        let (status, answer) = dialect.ask("DELETE", &path, "").await;
        assert_eq!(status, 200, "{answer}");
    };
    let (answer, ()) = timeout(PATIENCE, async { tokio::join!(revoked_poll, meanwhile) }).await.expect("it ends");
    assert_eq!(answer["m"], json!([]));
    let (status, answer) = dialect.ask("GET", &revoked, "").await;
    assert_eq!((status.as_u16(), &answer["message"]), (403, &json!("Token is revoked")));
    let publish = format!("/publish/pub-c-guarded/sub-c-guarded/0/c/0/1?auth={other}");
    let heard = async { tokio::join!(kept_poll, dialect.get(&publish)).0 };
    assert_eq!(timeout(PATIENCE, heard).await.expect("it hears")["m"][0]["d"], 1);
}
