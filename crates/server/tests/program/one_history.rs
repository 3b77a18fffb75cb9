//! One history behind two doors: what the native API does is seen through PubNub's dialect, and the other way round, as
//! `docs/dialects/pubnub.md` says.

use crate::program::{PATIENCE, Program};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

/// A program, seen through PubNub's door.
struct Doors {
    program: Program,
    client: Client,
}

impl Doors {
    fn start(folder: &tempfile::TempDir) -> Doors {
        Doors { program: Program::start(folder.path()), client: Client::new() }
    }

    async fn pubnub(&self, method: Method, path: &str, body: &str) -> Value {
        let url = format!("http://{}{path}", self.program.address);
        let request = self.client.request(method, url).timeout(PATIENCE).body(body.to_owned());
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.expect("JSON")
    }

    async fn native(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self.program.request(method, &format!("channels/room/{path}")).body(body.to_string());
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}");
        answer.json().await.expect("JSON")
    }

    /// The channel's messages as PubNub's clients fetch them, with everything.
    async fn fetched(&self) -> Vec<Value> {
        let fields = "include_meta=true&include_uuid=true&include_message_type=true&include_custom_message_type=true";
        let path = format!("/v3/history-with-actions/sub-key/demo/channel/room?{fields}");
        let answer = self.pubnub(Method::GET, &path, "").await;
        answer["channels"]["room"].as_array().cloned().unwrap_or_default()
    }

    async fn handshake(&self) -> String {
        let answer = self.pubnub(Method::GET, "/v2/subscribe/demo/room/0?tt=0", "").await;
        answer["t"]["t"].as_str().expect("a cursor").to_owned()
    }

    /// What a poll from here hears.
    async fn heard(&self, cursor: &str) -> Vec<Value> {
        let answer = self.pubnub(Method::GET, &format!("/v2/subscribe/demo/room/0?tt={cursor}"), "").await;
        answer["m"].as_array().cloned().expect("messages")
    }
}

#[tokio::test]
async fn what_the_native_api_does_is_seen_by_pubnubs_clients() {
    let folder = tempfile::tempdir().expect("a folder");
    let doors = Doors::start(&folder);
    let cursor = doors.handshake().await;
    let draft = json!({ "payload": { "text": "hi" }, "author": "bob", "meta": { "k": 1 }, "type": "text-message" });
    let published = doors.native(Method::POST, "messages", draft).await;
    let (id, timetoken) = (published["id"].as_str().expect("an id"), &published["timetoken"]);
    let reaction = json!({ "user": "eve", "type": "reaction", "value": "smile" });
    let reacted = doors.native(Method::POST, &format!("messages/{id}/reactions"), reaction).await;

    let expected = json!({
        "message": { "text": "hi" }, "timetoken": timetoken, "meta": { "k": 1 }, "message_type": null, "uuid": "bob",
        "custom_message_type": "text-message"
    });
    let [mut message] = doors.fetched().await.try_into().expect("one message");
    let actions = message.as_object_mut().and_then(|fields| fields.remove("actions")).expect("actions");
    assert_eq!(message, expected);
    let action = &actions["reaction"]["smile"][0];
    assert_eq!(action["uuid"], "eve");
    let action_token = action["actionTimetoken"].clone();

    let heard = doors.heard(&cursor).await;
    let told = (&heard[0]["d"], &heard[0]["i"], &heard[0]["u"], &heard[0]["cmt"], &heard[0]["p"]["t"]);
    assert_eq!(told, (&json!({ "text": "hi" }), &json!("bob"), &json!({ "k": 1 }), &json!("text-message"), timetoken));
    assert_eq!((&heard[1]["e"], &heard[1]["i"], &heard[1]["d"]["event"]), (&json!(3), &json!("eve"), &json!("added")));
    let data = json!({
        "type": "reaction", "value": "smile", "actionTimetoken": action_token, "messageTimetoken": timetoken
    });
    assert_eq!(heard[1]["d"]["data"], data);

    let edit = json!({ "payload": { "text": "hello" }, "meta": { "k": 2 } });
    doors.native(Method::PATCH, &format!("messages/{id}"), edit).await;
    let [edited] = doors.fetched().await.try_into().expect("one message");
    assert_eq!(
        (&edited["message"], &edited["meta"], &edited["timetoken"]),
        (&json!({ "text": "hello" }), &json!({ "k": 2 }), timetoken)
    );
    assert_eq!(edited["uuid"], "bob", "an edit changes no author");
    assert_eq!(edited["actions"], actions, "nor what was done to the message");

    let reaction = reacted["id"].as_str().expect("an id").to_owned();
    doors.native(Method::DELETE, &format!("reactions/{reaction}"), Value::Null).await;
    assert!(doors.fetched().await[0].get("actions").is_none());
    doors.native(Method::DELETE, &format!("messages/{id}"), Value::Null).await;
    assert_eq!(doors.fetched().await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_pubnubs_clients_do_is_seen_through_the_native_api() {
    let folder = tempfile::tempdir().expect("a folder");
    let doors = Doors::start(&folder);
    let query = "uuid=ann&meta=%7B%22k%22%3A1%7D&custom_message_type=text-message";
    let path = format!("/publish/demo/demo/0/room/0/%7B%22text%22%3A%22hi%22%7D?{query}");
    let sent = doors.pubnub(Method::GET, &path, "").await;
    let timetoken = sent[2].as_str().expect("a timetoken");
    let path = format!("/v1/message-actions/demo/channel/room/message/{timetoken}?uuid=eve");
    let added = doors.pubnub(Method::POST, &path, r#"{"type":"reaction","value":"smile"}"#).await;
    let action = added["data"]["actionTimetoken"].as_str().expect("a timetoken");

    let page = doors.program.get("channels/room/messages").await;
    let message = &page["messages"][0];
    let id = message["id"].as_str().expect("an id");
    let seen = json!({
        "payload": message["payload"], "author": message["author"], "origin": message["origin"],
        "meta": message["meta"], "type": message["type"], "timetoken": message["timetoken"]
    });
    let expected = json!({
        "payload": { "text": "hi" }, "author": "ann", "origin": "pubnub", "meta": { "k": 1 },
        "type": "text-message", "timetoken": timetoken
    });
    assert_eq!(seen, expected, "{message}");
    let reactions = doors.program.get(&format!("channels/room/messages/{id}/reactions")).await;
    let reaction = &reactions["reactions"][0];
    assert_eq!(
        (&reaction["user"], &reaction["type"], &reaction["value"]),
        (&json!("eve"), &json!("reaction"), &json!("smile"))
    );

    let remove = format!("/v1/message-actions/demo/channel/room/message/{timetoken}/action/{action}?uuid=eve");
    doors.pubnub(Method::DELETE, &remove, "").await;
    let reactions = doors.program.get(&format!("channels/room/messages/{id}/reactions")).await;
    assert_eq!(reactions["reactions"], json!([]));

    let token: u64 = timetoken.parse().expect("a number");
    let delete = format!("/v3/history/sub-key/demo/channel/room?start={}&end={token}", token + 1);
    doors.pubnub(Method::DELETE, &delete, "").await;
    let page = doors.program.get("channels/room/messages").await;
    assert_eq!(page["messages"], json!([]));
}
