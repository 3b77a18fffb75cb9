//! An HTTP/1.1 connection that costs little: load and server share the machine.

use anyhow::{Context, Result, ensure};
use bytes::{Buf, BytesMut};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// One connection; one request at a time.
pub struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
}

/// The head of an answer: how its body comes.
pub enum Body {
    /// In one piece of so many bytes.
    Whole(usize),
    /// In chunks.
    Chunked,
}

impl Connection {
    pub async fn open(server: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: BytesMut::new() })
    }

    /// Asks, and waits for the whole answer, which must be a success.
    pub async fn ask(&mut self, request: &str) -> Result<BytesMut> {
        self.send(request).await?;
        let body = self.head().await?;
        self.body(body).await
    }

    pub async fn send(&mut self, request: &str) -> Result<()> {
        Ok(self.stream.write_all(request.as_bytes()).await?)
    }

    /// Waits for the head of an answer.
    pub async fn head(&mut self) -> Result<Body> {
        let head = self.take_through(b"\r\n\r\n").await?;
        let head = std::str::from_utf8(&head)?.to_ascii_lowercase();
        ensure!(head.starts_with("http/1.1 2"), "answered {}", head.lines().next().unwrap_or_default());
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        Ok(match length {
            Some(length) => Body::Whole(length.trim().parse()?),
            None => Body::Chunked,
        })
    }

    /// Waits for the body behind a head.
    pub async fn body(&mut self, body: Body) -> Result<BytesMut> {
        let Body::Whole(length) = body else { return self.chunks().await };
        self.take(length).await
    }

    async fn chunks(&mut self) -> Result<BytesMut> {
        let mut whole = BytesMut::new();
        loop {
            let line = self.take_through(b"\r\n").await?;
            let length = usize::from_str_radix(std::str::from_utf8(&line)?.trim(), 16).context("length of a chunk")?;
            let chunk = self.take(length + 2).await?;
            if length == 0 {
                return Ok(whole);
            }
            whole.extend_from_slice(&chunk[..length]);
        }
    }

    async fn take(&mut self, length: usize) -> Result<BytesMut> {
        while self.buffer.remaining() < length {
            self.read().await?;
        }
        Ok(self.buffer.split_to(length))
    }

    async fn take_through(&mut self, end: &[u8]) -> Result<BytesMut> {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end) {
                return Ok(self.buffer.split_to(at + end.len()));
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<()> {
        ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server closed the connection");
        Ok(())
    }
}
