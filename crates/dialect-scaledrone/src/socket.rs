//! One WebSocket: reads frames into its session, does what the session asks of the service, writes what is due. One
//! task per connection does all of it, so a client that does not read slows down nothing but itself.

use crate::{
    error, limits,
    session::{Callback, Directory, Join, Joined, Publish, Session, Step},
    settings::Waits,
    subscribe::{self, Following},
    wire::{self, Frame},
};
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use edge::CancellationToken;
use futures_util::{FutureExt, SinkExt, future::BoxFuture};
use model::{Clock, Result};
use prometheus_client::metrics::gauge::Gauge;
use service::{Channels, Published, Subscription};
use std::{future::pending, sync::Arc};
use tokio::{
    sync::Semaphore,
    time::{Instant, Interval, MissedTickBehavior, interval_at, timeout},
};

/// A code after which no client comes back by itself (`protocols/scaledrone.md` §9).
const POLICY_VIOLATION: u16 = 1008;
/// The same for a frame that is too large.
const TOO_LARGE: u16 = 1009;

/// What all sockets share.
pub struct Door {
    /// The work.
    pub channels: Channels,
    /// Who may be shaken hands with.
    pub directory: Arc<Directory>,
    /// One for each socket that may be open.
    pub places: Arc<Semaphore>,
    /// How many are open.
    pub open: Gauge,
    /// Tells whether tokens have expired.
    pub clock: Arc<dyn Clock>,
    /// How long sockets wait for their clients.
    pub waits: Waits,
    /// Cancelled when the program stops.
    pub stop: CancellationToken,
}

/// Serves a socket to its end. When the program stops, the connection is dropped without a close frame: after one, the
/// vendor's JavaScript clients would never come back (§9).
pub async fn serve(door: &Door, socket: WebSocket) {
    let connection = Connection::new(door, socket);
    tokio::select! {
        () = door.stop.cancelled() => {}
        () = connection.run() => {}
    }
}

struct Connection<'a> {
    door: &'a Door,
    socket: WebSocket,
    session: Session,
    following: Following,
    work: Option<BoxFuture<'static, Done>>,
    /// A step that was read together with publishes and waits until they are done.
    postponed: Option<Step>,
    ping: Interval,
    heard: bool,
    /// What came could not be read, and nothing after it can be.
    unreadable: bool,
}

/// What the service was asked for, and what came of it.
enum Done {
    Published(Vec<(Callback, Result<Published>)>),
    Joined(Box<(Join, Outcome)>),
}

/// History and, for a room that was not followed before, its subscription.
type Outcome = Result<(Joined, Option<Subscription>)>;

/// How a connection goes on after something happened.
enum Next {
    Continue,
    /// Cut the connection without a word.
    Drop,
    /// Turn the client away for good.
    Close(u16),
}

impl Connection<'_> {
    fn new(door: &Door, socket: WebSocket) -> Connection<'_> {
        let mut ping = interval_at(Instant::now() + door.waits.ping, door.waits.ping);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let session = Session::new(door.directory.clone());
        let following = Following::default();
        let (work, postponed) = (None, None);
        Connection { door, socket, session, following, work, postponed, ping, heard: true, unreadable: false }
    }

    async fn run(mut self) {
        loop {
            let next = match self.wait().await {
                Event::Inbound(message) => self.on_message(message).await,
                Event::Done(done) => self.on_done(done).await,
                Event::Items(room, delivery) => match delivery {
                    Ok(delivery) => {
                        let frames = self.session.on_items(&room, &delivery.items);
                        self.send(frames).await
                    }
                    Err(error) => {
                        error::log(&error);
                        tracing::debug!(%error, "a Scaledrone subscriber is cut off");
                        Next::Drop
                    }
                },
                Event::Member(Some(frame)) => self.send([frame]).await,
                Event::Member(None) => Next::Drop,
                Event::Ping => self.ping().await,
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
    async fn wait(&mut self) -> Event {
        let idle = self.work.is_none();
        let work = async {
            match &mut self.work {
                Some(work) => work.await,
                None => pending().await,
            }
        };
        tokio::select! {
            done = work => {
                self.work = None;
                Event::Done(done)
            }
            (room, delivery) = self.following.next() => Event::Items(room, delivery),
            frame = self.session.next_member_event() => Event::Member(frame),
            message = self.socket.recv(), if idle => Event::Inbound(message),
            _ = self.ping.tick() => Event::Ping,
        }
    }

    async fn on_message(&mut self, message: Option<Result<Message, axum::Error>>) -> Next {
        match message {
            Some(Ok(message)) => match self.read(&message) {
                Some(step) => self.take(step).await,
                // Of control frames, the socket layer answers pings and closes with the next read.
                None => Next::Continue,
            },
            Some(Err(error)) => {
                self.note_unreadable(&error);
                self.refuse_unreadable().await
            }
            None if self.unreadable => self.refuse_unreadable().await,
            None => Next::Drop,
        }
    }

    /// What a message asks for; none for control frames.
    fn read(&mut self, message: &Message) -> Option<Step> {
        self.heard = true;
        let frame = match message {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => return None,
        };
        let now_ms = self.door.clock.now_ticks() / model::TICKS_PER_MS;
        Some(self.session.on_frame(frame, now_ms))
    }

    async fn take(&mut self, step: Step) -> Next {
        match step {
            Step::Send(frame) => self.send(frame).await,
            Step::Refuse(frame) => match self.send([frame]).await {
                Next::Continue => Next::Close(POLICY_VIOLATION),
                cut => cut,
            },
            Step::Leave(room, frame) => {
                self.following.unfollow(&room);
                self.send(frame).await
            }
            Step::Join(join) => {
                self.join(join);
                Next::Continue
            }
            Step::Publish(first) => {
                self.publish(first);
                Next::Continue
            }
        }
    }

    fn join(&mut self, join: Join) {
        let followed = self.following.contains(&join.room.name);
        self.following.pause(join.room.name.clone());
        let channels = self.door.channels.clone();
        self.work = Some(Box::pin(async move {
            let outcome = subscribe::join(&channels, &join, followed).await;
            Done::Joined(Box::new((join, outcome)))
        }));
    }

    /// Takes the publishes that have come in already along with the first, so that they need not wait for each
    /// other's commits.
    fn publish(&mut self, first: Publish) {
        let mut batch = vec![first];
        while batch.len() < limits::PUBLISH_BATCH {
            let message = match self.socket.recv().now_or_never() {
                Some(Some(Ok(message))) => message,
                Some(Some(Err(error))) => {
                    self.note_unreadable(&error);
                    break;
                }
                // The end is found again by the next read.
                Some(None) | None => break,
            };
            match self.read(&message) {
                Some(Step::Publish(publish)) => batch.push(publish),
                Some(Step::Send(None)) | None => {}
                Some(other) => {
                    self.postponed = Some(other);
                    break;
                }
            }
        }
        let Some(caller) = self.session.publisher(batch.iter().map(|publish| &publish.channel)) else { return };
        let channels = self.door.channels.clone();
        self.work = Some(Box::pin(async move {
            let (callbacks, drafts): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|publish| (publish.callback, (publish.channel, publish.draft))).unzip();
            let outcomes = channels.publish_all(&caller, drafts).await;
            Done::Published(callbacks.into_iter().zip(outcomes).collect())
        }));
    }

    async fn on_done(&mut self, done: Done) -> Next {
        let next = match done {
            Done::Published(outcomes) => {
                let frames: Vec<Frame> = outcomes
                    .into_iter()
                    .filter_map(|(callback, outcome)| self.session.on_published(callback, &outcome))
                    .collect();
                self.send(frames).await
            }
            Done::Joined(joined) => {
                let (join, outcome) = *joined;
                self.on_joined(join, outcome).await
            }
        };
        match (next, self.postponed.take()) {
            (Next::Continue, Some(step)) => self.take(step).await,
            (next, _) => next,
        }
    }

    async fn on_joined(&mut self, join: Join, outcome: Outcome) -> Next {
        let room = join.room.name.clone();
        let (outcome, subscription) = match outcome {
            Ok((joined, subscription)) => (Ok(joined), subscription),
            Err(error) => (Err(error), None),
        };
        let frames = self.session.on_joined(join, outcome);
        if let Some(subscription) = subscription.filter(|_| self.session.follows(&room)) {
            self.following.follow(room, subscription);
        }
        self.following.resume();
        self.send(frames).await
    }

    async fn ping(&mut self) -> Next {
        if !self.session.is_open() {
            return Next::Close(POLICY_VIOLATION);
        }
        if !std::mem::take(&mut self.heard) {
            return Next::Drop;
        }
        self.write([Message::Ping(bytes::Bytes::new())]).await
    }

    async fn send(&mut self, frames: impl IntoIterator<Item = Frame>) -> Next {
        self.write(frames.into_iter().map(Message::Text)).await
    }

    async fn write(&mut self, messages: impl IntoIterator<Item = Message>) -> Next {
        let mut messages = messages.into_iter().peekable();
        if messages.peek().is_none() {
            return Next::Continue;
        }
        // The bound is on each step: a client that takes little by little is served.
        for message in messages {
            if !matches!(timeout(self.door.waits.write, self.socket.feed(message)).await, Ok(Ok(()))) {
                return Next::Drop;
            }
        }
        match timeout(self.door.waits.write, self.socket.flush()).await {
            Ok(Ok(())) => Next::Continue,
            Ok(Err(_)) | Err(_) => Next::Drop,
        }
    }

    /// The socket layer could not make a message of what came: bytes that are not UTF-8, a broken frame, or one that
    /// is too large. All further reads end at once.
    fn note_unreadable(&mut self, error: &axum::Error) {
        tracing::debug!(%error, "a Scaledrone client sent what cannot be read");
        self.unreadable = true;
    }

    async fn refuse_unreadable(&mut self) -> Next {
        match self.send([wire::failure(None, "frame: too large or not readable")]).await {
            Next::Continue => Next::Close(TOO_LARGE),
            cut => cut,
        }
    }

    /// Sends a close frame and gives the client a short while to answer; some never do (§9).
    async fn close(&mut self, code: u16) {
        let frame = CloseFrame { code, reason: "".into() };
        if let Next::Continue = self.write([Message::Close(Some(frame))]).await {
            let answered = async {
                while let Some(Ok(_)) = self.socket.recv().await {}
                if self.unreadable {
                    // To hang up while there is more to read would take back what was said.
                    pending().await
                }
            };
            if timeout(self.door.waits.close, answered).await.is_err() {
                tracing::debug!("a Scaledrone client did not answer a close");
            }
        }
    }
}

enum Event {
    Inbound(Option<Result<Message, axum::Error>>),
    Done(Done),
    Items(Arc<str>, Result<service::Delivery>),
    /// None: more happened than waits for one connection.
    Member(Option<Frame>),
    Ping,
}
