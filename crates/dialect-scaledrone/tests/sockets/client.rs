//! A WebSocket client with nothing hidden: frames as they come, and frames as no library would send them.

use serde_json::Value;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Longer than anything takes that works, on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;
const CONTINUATION: u8 = 0;
const FIN: u8 = 0x80;

/// One connection.
pub struct Client {
    stream: TcpStream,
    /// The head of the answer to the upgrade.
    pub head: String,
}

/// What came.
#[derive(PartialEq, Eq, Debug)]
pub enum Came {
    /// A frame: its opcode and its payload.
    Frame(u8, Vec<u8>),
    /// The end of the connection.
    End,
}

impl Client {
    /// Upgrades a connection, with further headers.
    pub async fn open(address: SocketAddr, headers: &str) -> Client {
        Client::try_open(address, headers).await.unwrap_or_else(|head| panic!("refused: {head}"))
    }

    /// The same, or the head of the refusal.
    pub async fn try_open(address: SocketAddr, headers: &str) -> Result<Client, String> {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let request = format!(
            "GET /v3/websocket HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("it takes the request");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = timeout(PATIENCE, stream.read_u8()).await.expect("in time").expect("an answer");
            head.push(byte);
        }
        let head = String::from_utf8(head).expect("text");
        if head.starts_with("HTTP/1.1 101 ") { Ok(Client { stream, head }) } else { Err(head) }
    }

    /// Connects and shakes hands; the connection with its client id.
    pub async fn connect(address: SocketAddr, channel: &str) -> (Client, String) {
        let mut client = Client::open(address, "").await;
        client.send(&format!("{{\"type\":\"handshake\",\"channel\":\"{channel}\",\"callback\":0}}")).await;
        let answer = client.json().await;
        let id = answer["client_id"].as_str().unwrap_or_else(|| panic!("no client id in {answer}")).to_owned();
        (client, id)
    }

    /// Sends a text frame.
    pub async fn send(&mut self, text: &str) {
        self.send_frame(FIN | TEXT, text.as_bytes()).await;
    }

    /// Sends a frame of this kind.
    pub async fn send_kind(&mut self, opcode: u8, payload: &[u8]) {
        self.send_frame(FIN | opcode, payload).await;
    }

    /// Sends a text message in as many frames as it has bytes.
    pub async fn send_in_pieces(&mut self, text: &str) {
        let last = text.len() - 1;
        for (index, byte) in text.bytes().enumerate() {
            let opcode = if index == 0 { TEXT } else { CONTINUATION };
            self.send_frame(if index == last { FIN | opcode } else { opcode }, &[byte]).await;
        }
    }

    async fn send_frame(&mut self, first: u8, payload: &[u8]) {
        const MASKED: u8 = 0x80;
        let mut frame = vec![first];
        match payload.len() {
            length @ 0..126 => frame.push(MASKED | length as u8),
            length @ 126..65_536 => {
                frame.push(MASKED | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(MASKED | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        // A mask of zeros is a mask.
        frame.extend([0; 4]);
        frame.extend(payload);
        // A server that has had enough may have hung up already.
        let _ = self.stream.write_all(&frame).await;
    }

    /// Publishes to a room.
    pub async fn publish(&mut self, room: &str, message: &str) {
        self.send(&format!("{{\"type\":\"publish\",\"room\":\"{room}\",\"message\":{message}}}")).await;
    }

    /// Subscribes and waits for the answer.
    pub async fn subscribe(&mut self, room: &str, fields: &str) {
        self.send(&format!("{{\"type\":\"subscribe\",\"room\":\"{room}\"{fields},\"callback\":77}}")).await;
        let answer = self.json().await;
        assert_eq!(answer["callback"], 77, "{answer}");
        assert!(answer.get("error").is_none(), "{answer}");
    }

    /// The next frame, whatever it is.
    pub async fn next(&mut self) -> Came {
        timeout(PATIENCE, self.read()).await.expect("something comes in time")
    }

    async fn read(&mut self) -> Came {
        let mut head = [0; 2];
        if self.stream.read_exact(&mut head).await.is_err() {
            return Came::End;
        }
        assert_eq!(head[0] & 0x70, 0, "no extension was agreed on");
        assert_eq!(head[1] & 0x80, 0, "servers do not mask");
        let length = match head[1] {
            126 => u64::from(self.stream.read_u16().await.expect("a length")),
            127 => self.stream.read_u64().await.expect("a length"),
            length => u64::from(length),
        };
        let mut payload = vec![0; length as usize];
        match self.stream.read_exact(&mut payload).await {
            Ok(_) => Came::Frame(head[0] & 0x0f, payload),
            Err(_) => Came::End,
        }
    }

    /// The text of the next frame, which must be a text frame.
    pub async fn text(&mut self) -> String {
        match self.next().await {
            Came::Frame(TEXT, payload) => String::from_utf8(payload).expect("UTF-8"),
            other => panic!("not a text frame: {other:?}"),
        }
    }

    /// The next frame, which must be a JSON object in a text frame.
    pub async fn json(&mut self) -> Value {
        let text = self.text().await;
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert!(value.is_object(), "{value}");
        value
    }
}
