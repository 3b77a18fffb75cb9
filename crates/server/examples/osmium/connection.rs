//! A connection of an Osmium client that costs little: load and server share the machine.

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, Bytes, BytesMut};
use dialect_osmium::wire::{
    Authorize, ClientMessage, Initialize, ServerMessage, client_message::Request, rpc_result, server_message::Body,
};
use prost::Message;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const BINARY: u8 = 2;
const PING: u8 = 9;
const PONG: u8 = 10;

/// One connection after a good handshake.
pub struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
    requests: u32,
}

impl Connection {
    /// Connects, shakes hands and authorizes; updates are wanted or not.
    pub async fn open(server: SocketAddr, token: &str, updates: bool) -> Result<Connection> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let mut connection = Connection { stream, buffer: BytesMut::new(), requests: 0 };
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        connection.stream.write_all(request.as_bytes()).await?;
        connection.skip_head().await?;
        let initialize = Initialize { no_subscribe: !updates, ..Initialize::default() };
        connection.call(Request::CoreInitialize(initialize)).await?;
        let authorized = connection.call(Request::AuthAuthorize(Authorize { token: token.to_owned() })).await?;
        ensure!(matches!(authorized, Some(rpc_result::Result::Authorization(_))), "not authorized: {authorized:?}");
        Ok(connection)
    }

    /// Calls, and waits for the result; updates on the way are passed over.
    pub async fn call(&mut self, request: Request) -> Result<Option<rpc_result::Result>> {
        self.requests += 1;
        let message = ClientMessage { id: self.requests, request: Some(request) };
        self.send(BINARY, &message.encode_to_vec()).await?;
        loop {
            if let Some(Body::Result(result)) = self.next().await?.body {
                ensure!(result.req_id == self.requests, "the answer to another request");
                return Ok(result.result);
            }
        }
    }

    /// The next message of the server; pings are answered on the way.
    pub async fn next(&mut self) -> Result<ServerMessage> {
        loop {
            match self.read().await? {
                (BINARY, frame) => return Ok(ServerMessage::decode(frame)?),
                (PING, payload) => self.send(PONG, &payload).await?,
                (other, _) => bail!("a frame of kind {other}"),
            }
        }
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

    /// Sends one frame, with a mask of zeros.
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
