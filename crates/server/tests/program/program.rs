//! A program that runs, and the few words that the tests are written in.

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

/// The largest record must fit into a segment; smaller ones are filled with zeros sooner.
const LOG_SEGMENT: &str = "16MiB";
/// Kept back for a full disk; nobody needs it there where the disk is not full.
const BALLAST: &str = "8MiB";
/// Longer than anything takes that works, on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A program that serves the demo app. Killed when it goes out of scope.
pub struct Program {
    child: Child,
    pub address: SocketAddr,
    client: Client,
}

impl Program {
    /// Starts it, and returns when it serves.
    pub fn start(data: &Path) -> Program {
        Program::start_with(data, &[])
    }

    pub fn start_with(data: &Path, arguments: &[&str]) -> Program {
        Program::spawn(serve(data, arguments))
    }

    /// The same with a command that serves.
    pub fn spawn(mut command: Command) -> Program {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let address = line.trim_end().rsplit('/').next().expect("an address").parse();
        let address = address.unwrap_or_else(|_| panic!("no address in {line:?}"));
        Program { child, address, client: Client::new() }
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A request with the demo key, to a path below the app.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}/v1/apps/demo/{path}", self.address);
        self.client.request(method, url).bearer_auth("demo-admin").timeout(PATIENCE)
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = self.request(Method::GET, path).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.expect("JSON")
    }

    /// Publishes a message; its outcome.
    pub async fn publish(&self, channel: &str, payload: &str) -> Value {
        let body = format!("{{\"payload\":{payload}}}");
        let request = self.request(Method::POST, &format!("channels/{channel}/messages")).body(body);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::CREATED);
        answer.json().await.expect("JSON")
    }

    /// The whole history of a channel, read page by page from the beginning.
    pub async fn history(&self, channel: &str) -> Vec<Value> {
        let (mut messages, mut query) = (Vec::new(), "?since=0&limit=1000".to_owned());
        loop {
            let mut page = self.get(&format!("channels/{channel}/messages{query}")).await;
            messages.append(page["messages"].as_array_mut().expect("messages"));
            match page["page"]["next"].as_str() {
                Some(next) => query = next.to_owned(),
                None => return messages,
            }
        }
    }

    /// SIGKILL: no goodbye at all.
    pub fn kill(mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it is gone");
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.id().to_string()]).status().expect("kill runs");
        assert!(status.success());
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        let status = tokio::task::spawn_blocking(move || self.child.wait().expect("it can be waited for"));
        let status = tokio::time::timeout(PATIENCE, status).await.expect("it ends").expect("it was waited for");
        (status, began.elapsed())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command that serves a folder on a free port.
pub fn serve(data: &Path, arguments: &[&str]) -> Command {
    let mut command = scrollback(&["serve", "--listen", "127.0.0.1:0"]);
    for (name, value) in [("--log-segment", LOG_SEGMENT), ("--ballast", BALLAST)] {
        if !arguments.contains(&name) {
            command.args([name, value]);
        }
    }
    command.arg("--data").arg(data).args(arguments);
    command
}

pub fn scrollback(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scrollback"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command to its end: whether it succeeded, what it said, what it complained about.
pub fn run(mut command: Command) -> (bool, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    (status.success(), String::from_utf8_lossy(&stdout).into(), String::from_utf8_lossy(&stderr).into())
}

/// `verify` finds nothing.
pub fn assert_sound(data: &Path) {
    let mut command = scrollback(&["verify", "--data"]);
    command.arg(data);
    let (sound, said, complained) = run(command);
    assert!(sound && said.contains("nothing is wrong"), "{said}{complained}");
}
