//! Search in the whole program: the native API and Osmium's socket over one index, through changes, a kill, and erasure.

use crate::{
    connection::Connection,
    program::{PATIENCE, Program},
};
use dialect_osmium::wire::{
    ChatRef, Search, SelfRef, SendMessage, UserRef, chat_ref::Ref, client_message::Request, rpc_result,
    server_message::Body, update,
};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The demo app with an index.
pub fn searching(folder: &Path) -> Program {
    let config = folder.join("scrollback.toml");
    let built_in = include_str!("../../src/config/default.toml");
    let searched = built_in.replace("share_open = true", "share_open = true\nsearch = true");
    assert_ne!(searched, built_in);
    std::fs::write(&config, searched).expect("a file");
    Program::start_with(&data(folder), &["--config", config.to_str().expect("a path in UTF-8")])
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

impl Program {
    /// Searches once the index is there; the payloads that were found.
    async fn found(&self, query: &str) -> Vec<Value> {
        let answer = self.search(query).await;
        let hits = answer["hits"].as_array().expect("hits");
        hits.iter().map(|hit| hit["message"]["payload"].clone()).collect()
    }

    async fn search(&self, query: &str) -> Value {
        let until = std::time::Instant::now() + PATIENCE;
        loop {
            let answer = self.request(Method::GET, &format!("search?q={query}")).send().await.expect("an answer");
            if answer.status() == StatusCode::OK {
                return answer.json().await.expect("JSON");
            }
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "only while the index is made");
            assert!(std::time::Instant::now() < until, "the index is not made in time");
        }
    }
}

#[tokio::test]
async fn what_is_published_changed_and_deleted_is_found_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = searching(folder.path());
    let tea = program.publish("kitchen", r#"{"text":"Tea is ready","by":"Zoë"}"#).await;
    let coffee = program.publish("kitchen", r#""Coffee is ready""#).await;
    program.publish("office", r#""nothing is ready""#).await;
    assert_eq!(program.found("ready").await.len(), 3);
    assert_eq!(program.found("zoe%20tea").await[0]["text"], "Tea is ready", "values of an object, without accents");
    let answer = program.search("cof&channel=kitchen").await;
    assert_eq!(answer["hits"][0]["message"]["channel"], "kitchen");
    assert_eq!(answer["hits"][0]["snippet"][0], serde_json::json!({ "text": "Coffee", "found": true }));
    assert_eq!((&answer["page"]["more"], &answer["page"]["next"]), (&Value::Bool(false), &Value::Null));
    let first = program.search("ready&limit=2").await;
    let next = first["page"]["next"].as_str().expect("there is more").trim_start_matches("?q=").to_owned();
    assert_eq!(program.found(&next).await[0]["text"], "Tea is ready", "the rest of it");

    let path = |outcome: &Value| format!("channels/kitchen/messages/{}", outcome["id"].as_str().expect("an id"));
    let edit = program.request(Method::PATCH, &path(&coffee)).body(r#"{"payload":"Cocoa is ready"}"#);
    assert_eq!(edit.send().await.expect("an answer").status(), StatusCode::OK);
    let deletion = program.request(Method::DELETE, &path(&tea)).send().await.expect("an answer");
    assert_eq!(deletion.status(), StatusCode::OK);
    assert_eq!(program.found("ready").await, ["nothing is ready", "Cocoa is ready"]);

    program.kill();
    let program = searching(folder.path());
    assert_eq!(program.found("ready").await, ["nothing is ready", "Cocoa is ready"], "after a kill");
    std::fs::remove_dir_all(data(folder.path()).join("search")).expect("the index goes");
    program.kill();
    let program = searching(folder.path());
    assert_eq!(program.found("ready").await, ["nothing is ready", "Cocoa is ready"], "made again");
    let refused = program.request(Method::GET, "search?q=%21").send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
}

/// Neither what an erased person said nor what they wrote into a message of somebody else is in any file: not in the log, not
/// in the tables, not in a dictionary of the index.
#[tokio::test]
async fn no_file_has_what_an_erased_person_wrote() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = searching(folder.path());
    let publish = async |body: &str| -> Value {
        let request = program.request(Method::POST, "channels/room/messages").body(body.to_owned());
        request.send().await.expect("an answer").json().await.expect("JSON")
    };
    publish(r#"{"payload":"zebracrossing here","author":"ann"}"#).await;
    let said = publish(r#"{"payload":"axolotlpond here","author":"bob"}"#).await;
    let path = format!("channels/room/messages/{}", said["id"].as_str().expect("an id"));
    let edit = r#"{"payload":"quokkaisland here","author":"ann"}"#;
    let edited = program.request(Method::PATCH, &path).body(edit).send().await.expect("an answer");
    assert_eq!(edited.status(), StatusCode::OK);
    assert_eq!(program.found("here").await, ["quokkaisland here", "zebracrossing here"]);
    let data = data(folder.path());
    let erased = ["zebracrossing", "quokkaisland"];
    for word in erased {
        assert!(!files_with(&data, word).is_empty(), "{word} is on the disk");
    }

    let begun = program.request(Method::POST, "erasures").body(r#"{"user":"ann"}"#).send().await.expect("an answer");
    let begun: Value = begun.json().await.expect("JSON");
    let receipt = format!("erasures/{}", begun["id"].as_str().expect("an id"));
    let until = std::time::Instant::now() + PATIENCE;
    let receipt = loop {
        let receipt = program.get(&receipt).await;
        if receipt["state"] == "done" {
            break receipt;
        }
        assert!(std::time::Instant::now() < until, "it comes to an end: {receipt}");
        tokio::task::yield_now().await;
    };
    let erased_of = |what: &str| receipt["erased"][what].as_u64();
    assert_eq!((erased_of("messages"), erased_of("edits")), (Some(1), Some(1)), "{receipt}");
    assert_eq!(program.found("here").await, ["axolotlpond here"]);
    let left = |when: &str| {
        for word in erased {
            assert_eq!(files_with(&data, word), [] as [PathBuf; 0], "{word}, {when}");
        }
        assert_eq!(words_of_index(&data), ["axolotlpond", "here"], "{when}");
    };
    left("at once");
    program.kill();
    let program = searching(folder.path());
    assert_eq!(program.found("here").await, ["axolotlpond here"]);
    left("after a kill and a start");
}

/// The files below a folder that have this text.
fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
            continue;
        }
        // One that is dropped meanwhile is gone, which is what is asked for.
        let bytes = std::fs::read(&path).unwrap_or_default();
        if String::from_utf8_lossy(&bytes).contains(text) {
            found.push(path);
        }
    }
    found
}

/// All words in the dictionaries of the search index, which are packed, so that no look at the bytes finds them.
fn words_of_index(data: &Path) -> Vec<String> {
    let index = tantivy::Index::open_in_dir(data.join("search")).expect("the index opens");
    let field = index.schema().get_field("words").expect("the field");
    let mut words = std::collections::BTreeSet::new();
    for segment in index.reader().expect("a reader").searcher().segment_readers() {
        let dictionary = segment.inverted_index(field).expect("a dictionary");
        let mut terms = dictionary.terms().stream().expect("terms");
        while let Some((word, _)) = terms.next() {
            words.insert(String::from_utf8_lossy(word).into_owned());
        }
    }
    words.into_iter().collect()
}

#[tokio::test]
async fn without_a_setting_there_is_no_search() {
    let folder = tempfile::tempdir().expect("a folder");
    searching(folder.path()).kill();
    assert!(data(folder.path()).join("search").exists());
    let program = Program::start(&data(folder.path()));
    let refused = program.request(Method::GET, "search?q=x").send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::NOT_FOUND);
    assert!(!data(folder.path()).join("search").exists(), "no word of a message stays behind");
}

#[tokio::test]
async fn osmiums_clients_are_told_and_find_what_was_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = searching(folder.path());
    let mut ann = Connection::open(program.address, "osm-ann", false).await.expect("a connection");
    let mut bob = Connection::open(program.address, "osm-bob", true).await.expect("a connection");
    let with = |user_id| Some(ChatRef { r#ref: Some(Ref::User(UserRef { user_id })) });
    let said = SendMessage { chat_ref: with(1002), message: "Meet me at the Harbour".into(), ..Default::default() };
    let sent = match ann.call(Request::MessagesSendMessage(said)).await.expect("an answer") {
        Some(rpc_result::Result::SentMessage(sent)) => sent.message_id,
        other => panic!("not sent: {other:?}"),
    };
    let told = match bob.next().await.expect("a message").body {
        Some(Body::Update(update)) => update.update,
        other => panic!("not an update: {other:?}"),
    };
    let Some(update::Update::MessageCreated(created)) = told else { panic!("not told of a message: {told:?}") };
    let created = created.message.expect("with it");
    assert_eq!((created.message_id, created.chat_ref), (sent, with(1001)), "as bob sees it");

    // The index may still be being made.
    program.search("harbour").await;
    let saved = Some(ChatRef { r#ref: Some(Ref::Self_(SelfRef {})) });
    let found =
        [found_in(&mut ann, with(1002)).await, found_in(&mut bob, with(1001)).await, found_in(&mut bob, saved).await];
    assert_eq!(found, [1, 1, 0], "in the chat of both, and not among what bob saved");
    assert_eq!(program.found("harbour").await, [] as [Value; 0], "nobody else reaches a direct chat");
}

/// How many messages of a chat begin a word so.
async fn found_in(connection: &mut Connection, chat_ref: Option<ChatRef>) -> usize {
    let call = Search { chat_ref, query: "harb".into(), ..Search::default() };
    match connection.call(Request::MessagesSearch(call)).await.expect("an answer") {
        Some(rpc_result::Result::Messages(page)) => page.messages.len(),
        other => panic!("not found: {other:?}"),
    }
}
