//! Sockets that say nothing, or half of something.

use crate::program::{PATIENCE, Program};
use reqwest::{Method, StatusCode};
use std::path::Path;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const IDLE_SOCKETS: usize = 1_000;
const HALF: &str = "POST /v1/apps/demo/channels/lobby/messages HTTP/1.1\r\nhost: x\r\n\
                    authorization: Bearer demo-admin\r\ncontent-length: 100\r\n\r\n{\"payload\":";

/// Short waits, so that tests need not be long.
fn impatient(folder: &Path) -> Program {
    limited(folder, "head_timeout = \"2s\"\nbody_timeout = \"300ms\"")
}

fn limited(folder: &Path, limits: &str) -> Program {
    let config = folder.join("scrollback.toml");
    let app = "[[app]]\nname = \"demo\"\n[[app.key]]\nsecret = \"demo-admin\"\nmay = [\"read\", \"write\"]\n";
    let text = format!("[limits]\n{limits}\n{app}");
    std::fs::write(&config, text).expect("a file");
    Program::start_with(&folder.join("data"), &["--config", config.to_str().expect("a path in UTF-8")])
}

/// Everything that comes until the socket is closed.
async fn rest(socket: &mut TcpStream) -> String {
    let mut text = String::new();
    // A reset is an end, too.
    let read = timeout(PATIENCE, socket.read_to_string(&mut text)).await;
    drop(read.expect("the socket is closed in time"));
    text
}

#[tokio::test]
async fn a_thousand_idle_sockets_are_dropped_and_keep_nobody_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = impatient(folder.path());
    let mut idle = Vec::new();
    for number in 0..IDLE_SOCKETS {
        let mut socket = TcpStream::connect(program.address).await.expect("a connection");
        // Some say nothing, some begin a request and stop, some begin like HTTP/2.
        let beginning: &[u8] = [&b""[..], b"GET / HTTP/1.1\r\nhost", b"PRI * HT"][number % 3];
        socket.write_all(beginning).await.expect("it is sent");
        idle.push(socket);
    }
    let outcome = program.publish("lobby", "1").await;
    assert_eq!(outcome["seq"], 1);
    for socket in &mut idle {
        rest(socket).await;
    }
}

#[tokio::test]
async fn half_sent_bodies_time_out_and_change_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = impatient(folder.path());
    let mut socket = TcpStream::connect(program.address).await.expect("a connection");
    socket.write_all(HALF.as_bytes()).await.expect("it is sent");
    let answer = rest(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\"field\":\"body\""), "{answer}");

    let mut socket = TcpStream::connect(program.address).await.expect("a connection");
    socket.write_all(HALF.as_bytes()).await.expect("it is sent");
    drop(socket);
    assert!(program.history("lobby").await.is_empty(), "nothing was published");
}

#[tokio::test]
async fn one_request_too_many_is_answered_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = limited(folder.path(), "requests = 1\nbody_timeout = \"1h\"");
    let mut holders = Vec::new();
    let refused = async {
        loop {
            // A half-sent request holds the only place, unless the other one came first and kept it out.
            let mut holder = TcpStream::connect(program.address).await.expect("a connection");
            holder.write_all(HALF.as_bytes()).await.expect("it is sent");
            holders.push(holder);
            let answer = program.request(Method::GET, "channels").send().await.expect("an answer");
            if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
                return answer;
            }
        }
    };
    let answer = timeout(PATIENCE, refused).await.expect("it is refused");
    assert_eq!(answer.headers()["retry-after"], "1");
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn one_socket_too_many_is_told_so_and_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = limited(folder.path(), "connections = 1\nhead_timeout = \"1h\"");
    let _first = TcpStream::connect(program.address).await.expect("a connection");
    let mut second = TcpStream::connect(program.address).await.expect("a connection");
    let answer = rest(&mut second).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}
