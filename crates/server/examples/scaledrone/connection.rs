//! A WebSocket connection that costs little: load and server share the machine.

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, Bytes, BytesMut};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const TEXT: u8 = 1;
const PING: u8 = 9;
const PONG: u8 = 10;

/// One connection after a good handshake.
pub struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
    frame: Bytes,
}

impl Connection {
    pub async fn open(server: SocketAddr, channel: &str) -> Result<Connection> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let mut connection = Connection { stream, buffer: BytesMut::new(), frame: Bytes::new() };
        let request = format!(
            "GET /v3/websocket HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        connection.stream.write_all(request.as_bytes()).await?;
        connection.skip_head().await?;
        connection
            .send(TEXT, format!("{{\"type\":\"handshake\",\"channel\":\"{channel}\",\"callback\":0}}").as_bytes())
            .await?;
        connection.expect_answer().await?;
        Ok(connection)
    }

    /// Subscribes and waits for the answer.
    pub async fn subscribe(&mut self, room: &str, history: usize) -> Result<()> {
        let frame =
            format!("{{\"type\":\"subscribe\",\"room\":\"{room}\",\"history_count\":{history},\"callback\":1}}");
        self.send(TEXT, frame.as_bytes()).await?;
        self.expect_answer().await
    }

    /// Unsubscribes and waits for the answer.
    pub async fn unsubscribe(&mut self, room: &str) -> Result<()> {
        self.send(TEXT, format!("{{\"type\":\"unsubscribe\",\"room\":\"{room}\",\"callback\":2}}").as_bytes()).await?;
        self.expect_answer().await
    }

    pub async fn publish(&mut self, room: &str, message: &str) -> Result<()> {
        let frame = format!("{{\"type\":\"publish\",\"room\":\"{room}\",\"message\":{message}}}");
        self.send(TEXT, frame.as_bytes()).await
    }

    /// The next text frame; pings are answered on the way.
    pub async fn next(&mut self) -> Result<&[u8]> {
        loop {
            let (opcode, frame) = self.read().await?;
            self.frame = frame;
            match opcode {
                TEXT => return Ok(&self.frame),
                PING => self.send(PONG, b"").await?,
                other => bail!("a frame of kind {other}"),
            }
        }
    }

    async fn expect_answer(&mut self) -> Result<()> {
        let frame = self.next().await?;
        let good = frame.starts_with(b"{\"callback\":") && !frame.windows(7).any(|window| window == b"\"error\"");
        ensure!(good, "not a good answer: {}", String::from_utf8_lossy(frame));
        Ok(())
    }

    async fn skip_head(&mut self) -> Result<()> {
        const END: &[u8] = b"\r\n\r\n";
        loop {
            if let Some(at) = self.buffer.windows(END.len()).position(|window| window == END) {
                ensure!(self.buffer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&self.buffer));
                self.buffer.advance(at + END.len());
                return Ok(());
            }
            self.fill().await?;
        }
    }

    async fn read(&mut self) -> Result<(u8, Bytes)> {
        loop {
            if let Some((head, length)) = frame_size(&self.buffer)
                && self.buffer.len() >= head + length
            {
                let opcode = self.buffer[0] & 0x0f;
                self.buffer.advance(head);
                return Ok((opcode, self.buffer.split_to(length).freeze()));
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<()> {
        let read = self.stream.read_buf(&mut self.buffer).await?;
        ensure!(read > 0, "the server hung up");
        Ok(())
    }

    async fn send(&mut self, opcode: u8, payload: &[u8]) -> Result<()> {
        const FINAL: u8 = 0x80;
        const MASKED: u8 = 0x80;
        let mut frame = vec![FINAL | opcode];
        match u16::try_from(payload.len()).context("a frame that is too long for this tool")? {
            length @ 0..126 => frame.push(MASKED | length as u8),
            length => {
                frame.push(MASKED | 126);
                frame.extend(length.to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        Ok(self.stream.write_all(&frame).await?)
    }
}

/// Bytes of the head and of the payload of the frame that the buffer begins with, if it holds its head.
fn frame_size(buffer: &[u8]) -> Option<(usize, usize)> {
    match buffer.get(1)? & 0x7f {
        126 => Some((4, usize::from(u16::from_be_bytes([*buffer.get(2)?, *buffer.get(3)?])))),
        127 => Some((10, usize::try_from(u64::from_be_bytes(buffer.get(2..10)?.try_into().ok()?)).ok()?)),
        length => Some((2, usize::from(length))),
    }
}
