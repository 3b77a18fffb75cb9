//! `docs/guide.md`, pasted into a shell line by line, as its reader does.

use crate::{
    program::Program,
    readme::{PRINTED_ADDRESS, curl_is_there},
    searching::searching,
};
use serde_json::{Value, json};
use std::{fs, process::Command};

/// Printed between the answers of the walk; no answer holds it.
const MARK: &str = "=== next ===";

#[test]
fn the_guide_works_when_pasted() {
    if !curl_is_there() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let program = searching(folder.path());
    let guide = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide.md")).expect("the guide");
    let answers = paste(&program, &guide);
    let expected = expected();
    assert_eq!(answers.len(), expected.len(), "an answer for each line that prints one: {answers:#?}");
    for ((line, answer), expected) in answers.iter().zip(&expected) {
        for (pointer, value) in expected {
            assert_eq!(answer.pointer(pointer).unwrap_or(&Value::Null), value, "{pointer} of {line}\n{answer}");
        }
    }
}

/// What the reader must see: for each printed answer, values in it by their JSON pointers.
fn expected() -> Vec<Vec<(&'static str, Value)>> {
    vec![
        vec![("/durability", json!("disk"))],
        vec![("/payload", json!("hello")), ("/author", json!("ann"))],
        vec![("/versions/0/payload", json!("helo")), ("/versions/1/payload", json!("hello"))],
        vec![("/reactions/0/value", json!("smile")), ("/reactions/0/user", json!("ann"))],
        vec![],
        vec![("/value", json!("smile"))],
        vec![("/reactions/0/value", json!("wave")), ("/reactions/1", Value::Null)],
        vec![
            ("/changes/0/change", json!("edit")),
            ("/changes/1/change", json!("reaction")),
            ("/changes/3/change", json!("reaction-removed")),
            ("/reload", json!(false)),
        ],
        vec![("/deleted", json!(1))],
        vec![("/count", json!(1))],
        vec![("/messages/0/payload", json!("hello")), ("/page/missing/deleted", json!(1))],
        vec![("/deleted", json!(1))],
        vec![("/deleted", json!(0))],
        vec![("/2/seq", json!(3))],
        vec![("/channels/0/messages", json!([])), ("/channels/1/messages/0/payload", json!(3))],
        vec![("/channels/0/count", json!(0)), ("/channels/1/count", json!(3))],
        vec![("/messages/0/payload", json!(1)), ("/page/more", json!(true))],
        vec![("/messages/0/payload", json!(1)), ("/messages/1/payload", json!(2))],
        vec![("/messages/0/payload", json!(1)), ("/messages/1", Value::Null)],
        vec![("/count", json!(2))],
        vec![("/2/seq", json!(3))],
        vec![("/messages/0/payload", json!("soon gone"))],
        vec![("/deleted", json!(2))],
        vec![("/count", json!(1))],
        vec![("/present", json!(true))],
        vec![],
        vec![("/occupancy", json!(1)), ("/users/0/state/mood", json!("better"))],
        vec![("/channels", json!(["tour"]))],
        vec![("/present", json!(false))],
        vec![("/member", json!(true))],
        vec![("/member", json!(true))],
        vec![("/channels", json!(["tour", "tour-2"]))],
        vec![("/member", json!(false))],
        vec![
            ("/0/event", json!("message")),
            ("/0/data/channel", json!("tour-2")),
            ("/3/data/channel", json!("tour.3")),
            ("/3/data/payload", json!(1)),
        ],
        vec![("/seq", json!(4))],
        vec![("/messages/0/payload", json!("from ann")), ("/messages/1", Value::Null)],
        vec![("/status", json!(403))],
        vec![("/grants/0/user", json!("ann"))],
        vec![],
        vec![("/status", json!(401))],
        vec![("/would_remove/0/channel", json!("tour-2")), ("/would_remove/0/messages", json!(1))],
        vec![("/would_remove/0/messages", json!(2))],
        vec![("/messages", json!(2))],
        vec![("/messages/0/payload", json!(3)), ("/messages/1/payload", json!("from ann"))],
        vec![("/rules/1/channel", json!("tour-2"))],
        vec![("/doubted_for", Value::Null)],
        vec![
            ("/hits/0/message/payload", json!("from ann")),
            ("/hits/0/snippet/0/text", json!("from")),
            ("/hits/0/snippet/0/found", json!(true)),
        ],
        vec![("/hits/0/message/payload", json!(3)), ("/page/more", json!(false))],
        vec![("/name", json!("case-7"))],
        vec![("/status", json!(409))],
        vec![("/released", json!("case-7"))],
        vec![],
        vec![],
    ]
}

/// Runs the guide's shell lines in one shell: what each line that prints something printed.
fn paste(program: &Program, guide: &str) -> Vec<(String, Value)> {
    let blocks = guide.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines: Vec<&str> = blocks.flat_map(str::lines).collect();
    assert!(lines.iter().any(|line| line.contains(PRINTED_ADDRESS)));
    let mut script = String::from("set -e\n");
    for line in &lines {
        script += &line.replace(PRINTED_ADDRESS, &program.address.to_string());
        script += &format!("\necho; echo '{MARK}'\n");
    }
    let output = Command::new("sh").arg("-c").arg(&script).output().expect("sh runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let printed = text.split(MARK).map(str::trim).zip(lines).filter(|(answer, _)| !answer.is_empty());
    let parsed = printed.map(|(answer, line)| {
        let value = if line.contains("/stream?") { Ok(events(answer)) } else { serde_json::from_str(answer) };
        (line.to_owned(), value.unwrap_or_else(|error| panic!("{line}: {error}: {answer}")))
    });
    parsed.collect()
}

/// The events of a stream that tell what happened, each with its data.
fn events(stream: &str) -> Value {
    let told = stream.split("\n\n").filter_map(|event| {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let (event, data) = (field("event:")?, field("data:")?);
        let data: Value = serde_json::from_str(data).unwrap_or(Value::Null);
        (event != "position").then(|| json!({ "event": event, "data": data }))
    });
    told.collect()
}
