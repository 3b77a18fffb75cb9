//! One WebSocket: reads frames into its session, does what the session asks of the service, writes what is due. One
//! task per connection does all of it, so a client that does not read slows down nothing but itself.

use crate::{
    limits,
    session::{self, Done, Realms, Session, Step},
};
use axum::{
    Error,
    extract::ws::{CloseFrame, Message, WebSocket},
};
use edge::CancellationToken;
use futures_util::future::BoxFuture;
use std::{future::pending, sync::Arc};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until, timeout};

/// Serves a socket to its end. When the program stops, the client is told to come back.
pub async fn serve(realms: Arc<Realms>, stop: CancellationToken, socket: WebSocket) {
    Connection::new(realms, socket).run(stop).await;
}

struct Connection {
    socket: WebSocket,
    session: Session,
    work: Option<BoxFuture<'static, Done>>,
    /// When a connection that has not authorized ends.
    deadline: Instant,
    ping: Interval,
    heard: bool,
}

/// How a connection goes on after something happened.
enum Next {
    Continue,
    /// Cut the connection without a word.
    Drop,
    /// Turn the client away.
    Close(u16),
}

enum Event {
    Inbound(Option<Result<Message, Error>>),
    Done(Done),
    Update(Option<Arc<crate::wire::Update>>),
    Ping,
    Late,
    Stop,
}

impl Connection {
    fn new(realms: Arc<Realms>, socket: WebSocket) -> Connection {
        let now = Instant::now();
        let mut ping = interval_at(now + limits::PING_EVERY, limits::PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let deadline = now + limits::AUTHORIZE_WITHIN;
        Connection { socket, session: Session::new(realms), work: None, deadline, ping, heard: true }
    }

    async fn run(mut self, stop: CancellationToken) {
        loop {
            let next = match self.wait(&stop).await {
                Event::Inbound(message) => self.on_message(message).await,
                Event::Done(done) => {
                    let step = self.session.on_done(done);
                    self.take(step).await
                }
                Event::Update(Some(update)) => {
                    let frame = self.session.update(&update);
                    self.send(frame).await
                }
                Event::Update(None) | Event::Late => Next::Close(session::POLICY),
                Event::Ping => self.ping().await,
                Event::Stop => Next::Close(session::GOING_AWAY),
            };
            match next {
                Next::Continue => {}
                Next::Drop => return,
                Next::Close(code) => return self.close(code).await,
            }
        }
    }

    /// Frames are read only while nothing is asked of the service: answers keep the order of their requests, and a
    /// client that asks too fast has to wait.
    async fn wait(&mut self, stop: &CancellationToken) -> Event {
        let idle = self.work.is_none();
        let authorized = self.session.is_authorized();
        let work = async {
            match &mut self.work {
                Some(work) => work.await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => Event::Stop,
            done = work => {
                self.work = None;
                Event::Done(done)
            }
            update = self.session.next_update() => Event::Update(update),
            message = self.socket.recv(), if idle => Event::Inbound(message),
            _ = self.ping.tick() => Event::Ping,
            () = sleep_until(self.deadline), if !authorized && idle => Event::Late,
        }
    }

    async fn on_message(&mut self, message: Option<Result<Message, Error>>) -> Next {
        self.heard = true;
        match message {
            Some(Ok(Message::Binary(bytes))) if bytes.len() > limits::FRAME_BYTES => Next::Close(session::TOO_LARGE),
            Some(Ok(Message::Binary(bytes))) => {
                let step = self.session.on_frame(&bytes);
                self.take(step).await
            }
            Some(Ok(Message::Text(_))) => Next::Close(session::UNSUPPORTED),
            // The socket layer answers pings and closes with the next read.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_))) => Next::Continue,
            Some(Err(error)) if is_too_large(&error) => Next::Close(session::TOO_LARGE),
            Some(Err(_)) | None => Next::Drop,
        }
    }

    async fn take(&mut self, step: Step) -> Next {
        match step {
            Step::Nothing => Next::Continue,
            Step::Send(frame) => self.send(frame).await,
            Step::Refuse(frame) => {
                self.deadline = Instant::now() + limits::REFUSED_FOR;
                self.send(frame).await
            }
            Step::Work(work) => {
                self.work = Some(Box::pin(work.run()));
                Next::Continue
            }
            Step::Close(code) => Next::Close(code),
        }
    }

    async fn ping(&mut self) -> Next {
        match std::mem::take(&mut self.heard) {
            true => self.write(Message::Ping(bytes::Bytes::new())).await,
            false => Next::Drop,
        }
    }

    async fn send(&mut self, frame: Vec<u8>) -> Next {
        self.write(Message::Binary(frame.into())).await
    }

    async fn write(&mut self, message: Message) -> Next {
        match timeout(limits::WRITE_WITHIN, self.socket.send(message)).await {
            Ok(Ok(())) => Next::Continue,
            Ok(Err(_)) | Err(_) => Next::Drop,
        }
    }

    /// Sends a close frame and gives the client a short while to answer.
    async fn close(&mut self, code: u16) {
        let frame = CloseFrame { code, reason: "".into() };
        if let Next::Continue = self.write(Message::Close(Some(frame))).await {
            let answered = async { while let Some(Ok(_)) = self.socket.recv().await {} };
            if timeout(limits::CLOSE_WITHIN, answered).await.is_err() {
                tracing::debug!("an Osmium client did not answer a close");
            }
        }
    }
}

/// The socket layer tells it in words only; a test over a real socket holds it to them.
fn is_too_large(error: &Error) -> bool {
    error.to_string().contains("too long")
}
