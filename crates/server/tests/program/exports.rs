//! `export` and `import`: beside a running program, cut short, done again, with bad lines.

use crate::{
    backups::run_printed,
    program::{PATIENCE, Program, assert_sound, run, scrollback},
};
use reqwest::Method;
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

const ROOMS: [&str; 3] = ["attic", "garden", "lobby"];

fn export(data: &Path, out: &Path) -> Command {
    let mut command = scrollback(&["export", "--app", "demo", "--data"]);
    command.arg(data).arg("--out").arg(out);
    command
}

fn import(file: &Path, data: &Path) -> Command {
    let mut command = scrollback(&["import"]);
    command.arg(file).arg("--data").arg(data);
    command
}

fn succeed(command: Command) -> String {
    let (succeeded, said, complained) = run(command);
    assert!(succeeded, "{said}{complained}");
    said
}

fn fail(command: Command) -> String {
    let (succeeded, said, complained) = run(command);
    assert!(!succeeded, "{said}");
    said + &complained
}

/// Messages, edits, reactions and deletions in each room.
async fn live(program: &Program, messages: usize) {
    for room in ROOMS {
        let drafts: Vec<String> =
            (0..messages).map(|n| format!("{{\"payload\":{{\"n\":{n}}},\"author\":\"ann\"}}")).collect();
        let path = format!("channels/{room}/messages");
        let answer = program.request(Method::POST, &path).body(format!("[{}]", drafts.join(","))).send().await;
        let outcomes: Vec<Value> = answer.expect("an answer").json().await.expect("JSON");
        let id = |n: usize| outcomes[n]["id"].as_str().expect("an id").to_owned();
        let change = async |method: Method, path: String, body: &str| {
            let answer = program.request(method, &path).body(body.to_owned()).send().await.expect("an answer");
            assert!(answer.status().is_success(), "{path}: {}", answer.text().await.expect("text"));
        };
        change(Method::PATCH, format!("{path}/{}", id(1)), "{\"payload\":\"edited\"}").await;
        change(Method::DELETE, format!("{path}/{}", id(2)), "").await;
        let smile = "{\"user\":\"ann\",\"value\":\"smile\"}";
        change(Method::POST, format!("{path}/{}/reactions", id(0)), smile).await;
    }
}

async fn histories(program: &Program) -> Vec<Vec<Value>> {
    let mut histories = Vec::new();
    for room in ROOMS {
        histories.push(program.history(room).await);
    }
    histories
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_running_program_exported_is_the_history_of_another_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file, new) = (folder.path().join("data"), folder.path().join("demo.ndjson"), folder.path().join("new"));
    let program = Program::start(&data);
    live(&program, 40).await;
    let said = succeed(export(&data, &file));
    assert!(said.contains("117 messages of app demo"), "{said}");
    let expected = histories(&program).await;
    program.publish("lobby", "\"after the export\"").await;
    program.kill();

    let said = succeed(import(&file, &new));
    assert!(said.contains("117 messages, with 3 edits, 3 reactions and 3 that are gone"), "{said}");
    assert!(said.contains("3 channels are new, 0 got history below what they had"), "{said}");
    let said = succeed(import(&file, &new));
    assert!(said.contains(": 0 messages") && said.contains("120 messages were there"), "{said}");
    assert_sound(&new);
    let other = Program::start(&new);
    assert_eq!(histories(&other).await, expected);
    let newest = other.publish("lobby", "\"on\"").await;
    assert_eq!(newest["seq"], 41);
    let changes = other.get("channels/lobby/changes?after=0").await;
    assert_eq!((&changes["reload"], changes["changes"].as_array().map(Vec::len)), (&true.into(), Some(0)), "{changes}");
    other.kill();
    // What lives there by now stays as it is.
    let said = succeed(import(&file, &new));
    assert!(said.contains(": 0 messages") && said.contains("0 channels are new"), "{said}");
    assert_eq!(Program::start(&new).history("lobby").await.len(), 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_of_an_old_server_comes_in_below_what_a_new_one_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file, new) = (folder.path().join("data"), folder.path().join("demo.ndjson"), folder.path().join("new"));
    let old = Program::start(&data);
    live(&old, 300).await;
    old.kill();
    let old = Program::start(&data);
    let before = histories(&old).await;
    succeed(export(&data, &file));
    drop(old);
    let program = Program::start(&new);
    live(&program, 20).await;
    let after = histories(&program).await;
    program.kill();

    let said = succeed(import(&file, &new));
    assert!(said.contains("897 messages, with 3 edits, 3 reactions and 3 that are gone"), "{said}");
    assert!(said.contains("0 channels are new, 3 got history below what they had"), "{said}");
    let said = succeed(import(&file, &new));
    assert!(said.contains(": 0 messages") && said.contains("900 messages were there"), "{said}");
    assert_sound(&new);
    let program = Program::start(&new);
    let seq = |message: &Value| message["seq"].as_i64().expect("a seq");
    for ((room, before), after) in ROOMS.iter().zip(before).zip(after) {
        let history = program.history(room).await;
        assert_eq!(history.len(), 299 + 19);
        assert_eq!(history[299..], after, "what was there has kept its seqs");
        let without_seq = |message: &Value| {
            let mut message = message.clone();
            message.as_object_mut().expect("an object").remove("seq");
            message
        };
        let imported: Vec<Value> = history[..299].iter().map(without_seq).collect();
        assert_eq!(imported, before.iter().map(without_seq).collect::<Vec<_>>());
        assert_eq!((seq(&history[0]), seq(&history[298]), seq(&history[299])), (-299, 0, 1), "and no gap but one");
        let count = program.get(&format!("channels/{room}/count")).await;
        assert_eq!(count["count"], 299 + 19, "{count}");
        let first = program.get(&format!("channels/{room}/messages?since=0&limit=5")).await;
        assert_eq!(first["messages"].as_array().map(Vec::len), Some(5), "{first}");
        assert_eq!(program.publish(room, "\"on\"").await["seq"], 21);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exports_and_imports_that_are_killed_are_gone_on_with() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, new) = (folder.path().join("data"), folder.path().join("new"));
    let (whole, file) = (folder.path().join("whole.ndjson"), folder.path().join("demo.ndjson"));
    let program = Program::start(&data);
    live(&program, 900).await;
    succeed(export(&data, &whole));
    program.kill();
    let bytes = fs::read(&whole).expect("read");
    for part in [1, 2, 3] {
        fs::write(&file, &bytes[..bytes.len() * part / 3 - part * 7]).expect("written");
        let mut again = export(&data, &file);
        again.arg("--resume");
        succeed(again);
        assert!(fs::read(&file).expect("read") == bytes, "part {part}");
    }
    assert!(fail(export(&data, &file)).contains("--resume goes on with it"));

    for _ in 0..4 {
        let mut child = import(&file, &new).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let patience = Instant::now() + PATIENCE;
        while !new.join("store.id").exists() && Instant::now() < patience {
            tokio::task::yield_now().await;
        }
        child.kill().expect("killed");
        child.wait().expect("waited");
    }
    succeed(import(&file, &new));
    assert_sound(&new);
    let copy = folder.path().join("copy.ndjson");
    succeed(export(&new, &copy));
    let lines = |path: &Path| {
        let text = fs::read_to_string(path).expect("read");
        // The header tells how far the store went; records of the program itself may have come since.
        text.lines().filter(|line| !line.starts_with("{\"line\":\"header\"")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(&copy), lines(&whole));
}

#[tokio::test]
async fn bad_lines_are_named_and_nothing_is_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file, new) = (folder.path().join("data"), folder.path().join("demo.ndjson"), folder.path().join("new"));
    let program = Program::start(&data);
    live(&program, 5).await;
    assert!(fail(import(&file, &data)).contains("cannot read"));
    succeed(export(&data, &file));
    assert!(fail(import(&file, &data)).contains("is in use by another program"));
    let text = fs::read_to_string(&file).expect("read");
    let mut lines: Vec<&str> = text.lines().collect();
    let last = lines.pop().expect("an end");
    let message = lines.iter().position(|line| line.starts_with("{\"line\":\"message\"")).expect("a message");
    let forged = lines[message].replacen("\"seq\":1", "\"seq\":7", 1);
    for (bad, reason) in [
        ("not JSON", "expected"),
        ("{\"line\":\"memo\"}", "there are no lines of kind memo"),
        (forged.as_str(), "do not follow"),
        (
            "{\"line\":\"header\",\"format\":\"scrollback export\",\"version\":2,\"app\":\"demo\",\"after\":\"0\",\"upto\":\"1\"}",
            "is unknown",
        ),
    ] {
        let mut changed = lines.clone();
        changed.insert(message + 1, bad);
        fs::write(&file, changed.join("\n") + "\n" + last + "\n").expect("written");
        let said = fail(import(&file, &new));
        assert!(said.contains(&format!("line {}: ", message + 2)) && said.contains(reason), "{said}");
        assert!(said.contains("nothing was changed") && !new.exists(), "{said}");
    }
    fs::write(&file, lines.join("\n") + "\n").expect("written");
    assert!(fail(import(&file, &new)).contains("the end is missing"));
    fs::write(&file, &text).expect("written");
    let mut check = import(&file, &new);
    check.arg("--check");
    assert!(succeed(check).contains("nothing is wrong") && !new.exists());

    let mut part =
        scrollback(&["export", "--app", "demo", "--channel", "lobby", "--to", "2001-01-01T00:00:00Z", "--data"]);
    part.arg(&data);
    let said = succeed(part);
    assert_eq!(said.lines().count(), 3, "header, channel, end: {said}");
}

#[tokio::test]
async fn a_channel_with_messages_of_its_own_is_named_and_all_else_is_imported() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file, new) = (folder.path().join("data"), folder.path().join("demo.ndjson"), folder.path().join("new"));
    let other = Program::start(&new);
    other.publish("lobby", "\"mine\"").await;
    other.kill();
    let program = Program::start(&data);
    live(&program, 5).await;
    succeed(export(&data, &file));
    let expected = program.history("attic").await;
    program.kill();
    let said = fail(import(&file, &new));
    assert!(said.contains("channel lobby: it has messages of its own") && said.contains("--app"), "{said}");
    let other = Program::start(&new);
    assert_eq!((other.history("attic").await, other.history("lobby").await.len()), (expected, 1));
}

/// The lines of docs/operating.md, as they are printed there.
#[tokio::test]
async fn the_operators_page_exports_and_imports_as_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start(&folder.path().join("scrollback-data"));
    live(&program, 5).await;
    run_printed("### Export, import, and the way out", folder.path());
    let imported = Program::start(&folder.path().join("imported-data"));
    assert_eq!(histories(&imported).await, histories(&program).await);
}
