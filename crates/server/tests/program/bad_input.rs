//! Input that is wrong is refused by name and changes nothing; input that is only odd is kept as it is.

use crate::program::Program;
use reqwest::Method;
use serde_json::Value;

/// Method, path below the app, body, expected status, expected field.
type Case<'a> = (&'a str, &'a str, Vec<u8>, u16, &'a str);

fn cases() -> Vec<Case<'static>> {
    let publish = "channels/lobby/messages";
    let nested = format!("{{\"payload\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let large = format!("{{\"payload\":\"{}\"}}", "x".repeat(3 << 20));
    let larger = "x".repeat(5 << 20);
    let get = |path: &'static str, field: &'static str| ("GET", path, Vec::new(), 400, field);
    let post = |body: &str, field: &'static str| ("POST", publish, body.as_bytes().to_vec(), 400, field);
    vec![
        get("channels/lobby/messages?limit=0", "limit"),
        get("channels/lobby/messages?limit=-1", "limit"),
        get("channels/lobby/messages?limit=9223372036854775808", "limit"),
        get("channels/lobby/messages?limit=ten", "limit"),
        get("channels/lobby/messages?limit=1&limit=2", "limit"),
        get("channels/lobby/messages?after=20&before=10", "before"),
        get("channels/lobby/messages?before=yesterday", "before"),
        get("channels/lobby/messages?nonsense=1", "query"),
        get("channels/lobby/messages?author=%ff", "query"),
        get("channels//messages", "channel"),
        get("channels/a%00b/messages", "channel"),
        get("channels/%ff/messages", "channel"),
        get("stream", "channel"),
        get("stream?pattern=a*", "pattern"),
        get("channels/lobby/stream?from=-1", "from"),
        post("", "body"),
        post("{", "body"),
        post("\"text\"", "body"),
        post("{}", "payload"),
        post("{\"payload\":1,\"payload\":2}", "payload"),
        post("{\"payload\":1,\"paylod\":2}", "paylod"),
        post("{\"payload\":1,\"author\":5}", "author"),
        post("{\"payload\":1,\"author\":\"\"}", "author"),
        post("{\"payload\":1,\"author\":\"\\ud800\"}", "author"),
        post("{\"payload\":1,\"ttl\":-5}", "ttl"),
        post("{\"payload\":1,\"ttl\":0}", "ttl"),
        post("{\"payload\":1,\"store\":\"no\"}", "store"),
        post("{\"payload\":01}", "body"),
        post(&nested, "payload"),
        ("POST", publish, b"{\"payload\":\"\xff\"}".to_vec(), 400, "body"),
        ("POST", publish, large.into_bytes(), 413, "payload"),
        ("POST", publish, larger.into_bytes(), 413, "body"),
        get("channels/lobby/messages/x", "id"),
        get("channels/lobby/messages/18446744073709551616", "id"),
        get("channels/lobby/count?after=20&before=10", "before"),
        get("channels/lobby/count?before=1&upto=1", "upto"),
        get("channels/lobby/changes?limit=1001", "limit"),
        get("channels/lobby/changes?after=tt:x", "after"),
        get("channels/lobby/reactions?by=user", "by"),
        get("channels/lobby/presence?offset=-1", "offset"),
        get("stream?group=", "group"),
        get("stream?presence=a.b.c.d.*", "presence"),
        get("groups?limit=0", "limit"),
        get("users/%00/channels", "user"),
        get("erasures?limit=x", "limit"),
        ("DELETE", "channels/lobby/messages", Vec::new(), 400, "all"),
        ("DELETE", "channels/lobby/messages?all=yes", Vec::new(), 400, "all"),
        ("DELETE", "channels/lobby/messages?after=20&upto=10", Vec::new(), 400, "upto"),
        ("DELETE", "channels/lobby/reactions/x", Vec::new(), 400, "reaction"),
        ("DELETE", "channels/lobby/presence", Vec::new(), 400, "user"),
        ("PATCH", "channels/lobby/messages/1", b"{\"payload\":".to_vec(), 400, "body"),
        ("PATCH", "channels/lobby/messages/1", b"{\"payload\":1,\"key\":\"k\"}".to_vec(), 400, "key"),
        ("PATCH", "channels/lobby/presence", b"{\"user\":\"ann\"}".to_vec(), 400, "state"),
        ("POST", "channels/lobby/presence", b"{\"user\":\"ann\",\"timeout\":\"soon\"}".to_vec(), 400, "timeout"),
        ("POST", "channels/lobby/messages/1/reactions", b"{\"user\":\"ann\"}".to_vec(), 400, "value"),
        ("POST", "channels/lobby/messages/delete", b"{\"ids\":[\"-1\"]}".to_vec(), 400, "ids"),
        ("POST", "channels/lobby/messages/delete", million_ids(), 413, "ids"),
        ("POST", "read", b"{\"channels\":7}".to_vec(), 400, "channels"),
        ("POST", "counts", many_channels(), 413, "channels"),
        ("POST", "grants", b"{\"may\":[\"read\"]}".to_vec(), 400, "channels"),
        ("POST", "grants", b"{\"may\":[\"read\"],\"channels\":[\"a\"],\"newest\":-1}".to_vec(), 400, "newest"),
        ("POST", "erasures", b"{\"user\":\"\"}".to_vec(), 400, "user"),
        ("PUT", "holds/x", b"{\"reason\":\"y\"}".to_vec(), 400, "channel"),
        ("PUT", "retention", b"{\"age\":\"1d\",\"messages\":\"many\"}".to_vec(), 400, "messages"),
        ("PUT", "channels/lobby/retention", b"{\"age\":-1,\"messages\":1}".to_vec(), 400, "age"),
        ("PUT", "groups/%00/channels/a", Vec::new(), 400, "group"),
        ("POST", "channels/lobby/signals", b"{\"payload\":1,\"ttl\":5}".to_vec(), 400, "ttl"),
    ]
}

fn million_ids() -> Vec<u8> {
    format!("{{\"ids\":[{}\"1\"]}}", "\"1\",".repeat(999_999)).into_bytes()
}

fn many_channels() -> Vec<u8> {
    format!("{{\"channels\":[{}{{}}]}}", "{},".repeat(1_000)).into_bytes()
}

#[tokio::test]
async fn bad_input_is_named_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start(folder.path());
    for (method, path, body, status, field) in cases() {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = program.request(method, path).body(body).send().await.expect("an answer");
        let (found, problem) = (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"));
        assert_eq!(found, status, "{path} {shown}: {problem}");
        assert_eq!(problem["field"], field, "{path} {shown}: {problem}");
        assert!(problem["detail"].as_str().expect("a text").len() > field.len() + 2, "{problem}");
    }
    let long = program.request(Method::GET, &format!("channels/{}/messages", "x".repeat(513)));
    assert_eq!(long.send().await.expect("an answer").status().as_u16(), 400);
    let channels = program.get("channels").await;
    assert_eq!(channels["channels"], Value::Array(Vec::new()), "nothing was made");
}

#[tokio::test]
async fn odd_but_valid_json_is_kept_byte_for_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start(folder.path());
    let odd = [
        "123456789012345678901234567890.10",
        "{\"a\":1,\"a\":2}",
        "\"\\ud800 lone\"",
        "[1,\r\n 2,\n3]",
        "{ \"k\" : \"\\u0041\" }",
        "null",
        "\"\\u0000\"",
    ];
    for payload in odd {
        program.publish("a%2Fb", payload).await;
    }
    let answer = program.request(Method::GET, "channels/a%2Fb/messages").send().await.expect("an answer");
    let text = answer.text().await.expect("text");
    for payload in odd {
        assert!(text.contains(&format!("\"payload\":{payload}}}")), "{payload:?} is missing in {text}");
    }
    let channels = program.get("channels").await;
    assert_eq!(channels["channels"][0]["name"], "a/b");
}
