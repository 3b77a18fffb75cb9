//! What documents promise about the program, run as it is printed there: the README's `curl` lines, through a kill and a
//! new start, and `scrollback bench` as docs/performance.md tells it.

use crate::program::{PATIENCE, Program, run, scrollback};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Instant,
};

/// The address that the README prints; the program under test has its own.
pub const PRINTED_ADDRESS: &str = "127.0.0.1:7117";
/// How the README's lines for Agora's callers begin; they hang together.
const AGORA: &str = "AGORA=";

#[test]
fn the_readme_works_as_printed_and_through_a_kill() {
    if !curl_is_there() {
        return;
    }
    let commands = curl_commands(&readme());
    let [one, several, page, stream] = commands.as_slice() else { panic!("four curl lines: {commands:#?}") };
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start(folder.path());
    assert!(json(&program, one)["id"].is_string());
    let outcomes = json(&program, several);
    assert!(outcomes.as_array().is_some_and(|all| all.len() == 2 && all.iter().all(|one| one["id"].is_string())));
    let before = json(&program, page);
    let payloads: Vec<&Value> = messages(&before).iter().map(|message| &message["payload"]).collect();
    assert_eq!(payloads, [&serde_json::json!({ "text": "hello" }), &"one".into(), &"two".into()]);
    assert_eq!(events(&program, stream, 3), payloads.into_iter().cloned().collect::<Vec<_>>());
    program.kill();

    let program = Program::start(folder.path());
    assert_eq!(messages(&json(&program, page)), messages(&before), "every message that was answered is there");
}

/// The lines for Agora's callers, pasted as one piece: what is sent, its page, how many there are.
#[test]
fn the_readmes_lines_for_agora_work_when_pasted() {
    if !curl_is_there() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start(folder.path());
    let readme = readme();
    let lines = shell_blocks(&readme).find(|block| block.starts_with(AGORA)).expect("lines for Agora's callers");
    let mut pasted = Command::new("sh");
    pasted.arg("-c").arg(lines.replace(PRINTED_ADDRESS, &program.address.to_string()));
    let (success, said, complaint) = run(pasted);
    assert!(success, "{complaint}");
    let answers = serde_json::Deserializer::from_str(&said).into_iter::<Value>();
    let answers: Vec<Value> = answers.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{error}: {said}"));
    let [sent, page, count] = &answers[..] else { panic!("three answers: {answers:#?}") };
    assert_eq!(sent["code"], "message_sent");
    let [message] = &messages(page)[..] else { panic!("one message: {page}") };
    assert_eq!((&message["src"], &message["dst"], &message["payload"]), (&"ann".into(), &"lobby".into(), &"hi".into()));
    assert_eq!((&message["id"], &count["count"]), (&sent["id"], &1.into()));
}

#[tokio::test]
async fn bench_measures_a_running_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start(folder.path());
    let fill = bench(&program, "fill --total 300 --channels 10 --even --batch 10 --connections 2");
    assert_eq!(figure(&fill, "publish", "messages"), 300.0);
    assert_eq!(program.history("bench-0").await.len(), 30, "300 messages over 10 channels");

    let short = "--channels 10 --connections 2 --warm-up 100ms --duration 900ms";
    let mixed = bench(&program, &format!("mixed --publish-percent 50 {short}"));
    for operation in ["publish", "newest"] {
        assert!(figure(&mixed, operation, "requests") > 0.0, "{mixed}");
        assert!(figure(&mixed, operation, "p50_us") <= figure(&mixed, operation, "max_us"));
    }
    let deep = bench(&program, &format!("deep --rate 100 {short}"));
    let requests = figure(&deep, "deep", "requests");
    assert!((50.0..=100.0).contains(&requests), "100 a second for a second, warm-up left out: {deep}");
    let fanout = bench(&program, "fanout --subscribers 3 --rate 100 --duration 1s");
    assert_eq!(fanout["missing"], 0, "{fanout}");
    assert_eq!(fanout["delivered"].as_u64(), fanout["published"].as_u64().map(|published| 3 * published));
}

fn readme() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).expect("the README")
}

fn shell_blocks(document: &str) -> impl Iterator<Item = &str> {
    document.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next())
}

/// The `curl` lines in blocks of shell commands that stand alone, each joined to one line.
fn curl_commands(document: &str) -> Vec<String> {
    let blocks = shell_blocks(document).filter(|block| !block.starts_with(AGORA));
    let joined: Vec<String> = blocks.map(|block| block.replace("\\\n", " ")).collect();
    let lines = joined.iter().flat_map(|block| block.lines());
    lines.filter(|line| line.starts_with("curl ")).map(str::to_owned).collect()
}

pub fn curl_is_there() -> bool {
    let found = Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("NOT RUN: the README's commands: there is no curl");
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI has curl");
    }
    found
}

fn messages(page: &Value) -> &Vec<Value> {
    page["messages"].as_array().unwrap_or_else(|| panic!("not a page: {page}"))
}

fn figure(report: &Value, operation: &str, name: &str) -> f64 {
    let operations = report["operations"].as_array().expect("operations");
    let one = operations.iter().find(|one| one["operation"] == operation);
    one.and_then(|one| one[name].as_f64()).unwrap_or_else(|| panic!("no {name} of {operation} in {report}"))
}

/// A printed command, as a shell runs it, against this program.
fn shell(program: &Program, command: &str) -> Command {
    assert!(command.contains(PRINTED_ADDRESS), "{command}");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("exec {}", command.replace(PRINTED_ADDRESS, &program.address.to_string())));
    shell
}

fn json(program: &Program, command: &str) -> Value {
    let (success, text, complaint) = run(shell(program, command));
    assert!(success, "{command}: {complaint}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{command}: {error}: {text}"))
}

/// The payloads of the first events of a stream.
fn events(program: &Program, command: &str, count: usize) -> Vec<Value> {
    let mut child = shell(program, command).stdout(Stdio::piped()).spawn().expect("sh starts");
    let output = child.stdout.take().expect("stdout is piped");
    let (sender, lines) = mpsc::channel();
    let reader = thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    let deadline = Instant::now() + PATIENCE;
    let mut payloads = Vec::new();
    while payloads.len() < count {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = lines.recv_timeout(left).unwrap_or_else(|_| panic!("only {} of {count} events", payloads.len()));
        let event = line.strip_prefix("data:").and_then(|data| serde_json::from_str::<Value>(data).ok());
        payloads.extend(event.and_then(|event| event.get("payload").cloned()));
    }
    child.kill().expect("curl is running");
    child.wait().expect("curl ends");
    drop(lines);
    // It ends with a broken channel or with the stream; neither matters any more.
    let _ = reader.join().expect("the reader does not panic");
    payloads
}

/// The report of `scrollback bench` with these arguments.
fn bench(program: &Program, arguments: &str) -> Value {
    let url = format!("http://{}", program.address);
    let mut command = scrollback(&["bench", "--json", "--url", &url]);
    command.args(arguments.split_whitespace());
    let (success, report, complaint) = run(command);
    assert!(success, "bench {arguments}: {complaint}");
    serde_json::from_str(&report).expect("a report in JSON")
}
