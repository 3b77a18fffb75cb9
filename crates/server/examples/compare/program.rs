//! The real program as a child process: started on a folder, loaded by `scrollback bench`, looked at from outside,
//! killed.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// How long a start may take before it has failed.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How often a starting program is asked whether it is ready: also the error of a measured start.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// A running `scrollback`; killed when dropped.
pub struct Program {
    path: PathBuf,
    address: SocketAddr,
    child: Child,
    /// From the start of the process until it said that it is ready.
    pub start_took: Duration,
}

impl Program {
    /// Starts it on a folder and waits until it is ready.
    pub async fn start(path: &Path, data: &Path) -> Result<Program> {
        // Free when it is asked for; nobody else takes ports on a machine that measures.
        let address = TcpListener::bind("127.0.0.1:0").await.and_then(|listener| listener.local_addr())?;
        let started = Instant::now();
        let child = Command::new(path)
            .args(["serve", "--log", "error", "--listen", &address.to_string(), "--data"])
            .arg(data)
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}", path.display()))?;
        let mut program = Program { path: path.to_owned(), address, child, start_took: Duration::ZERO };
        while !matches!(program.get("/readyz").await, Ok(answer) if answer.starts_with("HTTP/1.1 200")) {
            if let Some(status) = program.child.try_wait()? {
                bail!("the program ended at its start: {status}");
            }
            ensure!(started.elapsed() < START_PATIENCE, "the program is not ready after {START_PATIENCE:?}");
            tokio::time::sleep(ASK_EVERY).await;
        }
        program.start_took = started.elapsed();
        Ok(program)
    }

    /// Runs `scrollback bench` with these arguments against it; its report.
    pub fn bench(&self, arguments: &str) -> Result<Value> {
        bench(&self.path, self.address, arguments)
    }

    /// The body of an answer.
    pub async fn body(&self, path: &str) -> Result<String> {
        let answer = self.get(path).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
        ensure!(head.starts_with("HTTP/1.1 200"), "{path} was answered {head}");
        Ok(body.to_owned())
    }

    /// Resident memory in MiB.
    pub fn resident_mib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).context("reading /proc")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS in /proc")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().context("reading VmRSS")?;
        Ok(kib / 1_024.0)
    }

    /// SIGKILL, and waits for its end.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill().context("killing the program")?;
        self.child.wait().context("waiting for its end")?;
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<String> {
        let mut socket = TcpStream::connect(self.address).await?;
        let authorization = "Authorization: Bearer demo-admin";
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await?;
        String::from_utf8(answer).context("an answer that is not text")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `scrollback bench` against any server; its report.
pub fn bench(program: &Path, address: SocketAddr, arguments: &str) -> Result<Value> {
    let output = Command::new(program)
        .arg("bench")
        .args(arguments.split_whitespace())
        .args(["--json", "--url", &format!("http://{address}")])
        .stderr(Stdio::inherit())
        .output()
        .context("starting scrollback bench")?;
    ensure!(output.status.success(), "`scrollback bench {arguments}` failed");
    serde_json::from_slice(&output.stdout).context("reading the report of scrollback bench")
}

/// A figure of one operation in a report.
pub fn figure(report: &Value, operation: &str, name: &str) -> Result<f64> {
    let operations = report["operations"].as_array().context("a report without operations")?;
    let one = operations.iter().find(|one| one["operation"] == operation);
    one.and_then(|one| one[name].as_f64()).with_context(|| format!("no {name} of {operation} in {report}"))
}

/// Bytes in a folder: of history, and of what lies ready beside it (the preallocated log, and a ballast if there is one).
pub fn disk_bytes(data: &Path) -> Result<(u64, u64)> {
    let (mut history, mut ready) = (0, 0);
    let mut folders = vec![data.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))? {
            let path = entry?.path();
            // A file may be removed between listing and asking.
            let Ok(metadata) = fs::metadata(&path) else { continue };
            let inside = path.strip_prefix(data).context("a path outside its folder")?;
            if metadata.is_dir() {
                folders.push(path);
            } else if inside.starts_with("log") || inside.starts_with("ballast") {
                ready += metadata.len();
            } else {
                history += std::os::unix::fs::MetadataExt::blocks(&metadata) * 512;
            }
        }
    }
    Ok((history, ready))
}
