//! The accept loop and the life of a socket, up to the graceful end.

use crate::{
    Metrics, Settings, cors,
    gate::Gate,
    settings::{ACCEPT_PAUSE, BACKLOG, HEAD_BYTES, RETRY_AFTER_SECONDS, STREAMS_PER_CONNECTION},
    stall::Stall,
};
use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use std::{
    future::pending,
    io::{self, Write},
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Sockets that did not end by themselves in time and were cut.
    pub cut: usize,
}

/// Opens the listener. Port 0 lets the system choose.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `stop`: then accepts nothing more, lets open requests end for `settings.stop_timeout`, cuts the rest.
/// Streams must end by themselves on the same token.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: Settings,
    metrics: Metrics,
    stop: CancellationToken,
) -> Ended {
    let server = Arc::new(Server::new(router.layer(cors::layer()), settings, metrics, stop));
    let sockets = TaskTracker::new();
    while let Some(socket) = server.accept(&listener).await {
        server.take(socket, &sockets);
    }
    drop(listener);
    sockets.close();
    if timeout(server.settings.stop_timeout, sockets.wait()).await.is_ok() {
        return Ended { cut: 0 };
    }
    let cut = sockets.len();
    server.cut.cancel();
    sockets.wait().await;
    Ended { cut }
}

struct Server {
    gate: Arc<Gate>,
    protocol: Builder<TokioExecutor>,
    places: Arc<Semaphore>,
    settings: Settings,
    metrics: Metrics,
    stop: CancellationToken,
    cut: CancellationToken,
}

impl Server {
    fn new(router: Router, settings: Settings, metrics: Metrics, stop: CancellationToken) -> Server {
        let places = settings.connections.min(Semaphore::MAX_PERMITS);
        Server {
            gate: Arc::new(Gate::new(router, &settings, metrics.clone())),
            protocol: protocol(&settings),
            places: Arc::new(Semaphore::new(places)),
            settings,
            metrics,
            stop,
            cut: CancellationToken::new(),
        }
    }

    /// The next socket, or none once the end was asked for.
    async fn accept(&self, listener: &TcpListener) -> Option<TcpStream> {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, _)) => return Some(socket),
                Err(error) if is_about_one_socket(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections now: are file descriptors used up?");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn take(self: &Arc<Self>, socket: TcpStream, sockets: &TaskTracker) {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            self.metrics.refused_connections.inc();
            refuse(socket);
            return;
        };
        let server = self.clone();
        sockets.spawn(async move {
            server.metrics.connections.inc();
            tokio::select! {
                () = server.live(socket) => {}
                () = server.cut.cancelled() => {}
            }
            server.metrics.connections.dec();
            drop(place);
        });
    }

    /// One socket from its first byte to its last.
    async fn live(&self, socket: TcpStream) {
        // Answers are small and whole: waiting to fill a packet would only add delay.
        if socket.set_nodelay(true).is_err() {
            return;
        }
        let began = Arc::new(AtomicBool::new(false));
        let (gate, requested) = (self.gate.clone(), began.clone());
        let service = hyper::service::service_fn(move |request| {
            requested.store(true, Ordering::Relaxed);
            let gate = gate.clone();
            async move { gate.answer(request).await }
        });
        let socket = TokioIo::new(Stall::new(socket, self.settings.write_timeout));
        let mut connection = pin!(self.protocol.serve_connection_with_upgrades(socket, service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            // hyper watches over the heads of requests only once it knows the protocol from the first bytes.
            () = without_request(self.settings.head_timeout, &began) => return,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

fn protocol(settings: &Settings) -> Builder<TokioExecutor> {
    let mut protocol = Builder::new(TokioExecutor::new());
    protocol
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.head_timeout)
        .max_buf_size(HEAD_BYTES)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .max_header_list_size(HEAD_BYTES as u32)
        .keep_alive_interval(settings.head_timeout)
        .keep_alive_timeout(settings.write_timeout);
    protocol
}

/// Ends when the first request did not begin in time; never ends otherwise.
async fn without_request(limit: Duration, began: &AtomicBool) {
    tokio::time::sleep(limit).await;
    if began.load(Ordering::Relaxed) {
        pending::<()>().await;
    }
}

fn is_about_one_socket(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Tells a client why it is not served, if its socket takes the few bytes at once. The system is asked directly: the
/// runtime does not know yet of a new socket that it can be written.
fn refuse(socket: TcpStream) {
    let text = format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: {RETRY_AFTER_SECONDS}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    if let Err(error) = socket.into_std().and_then(|mut socket| socket.write_all(text.as_bytes())) {
        tracing::debug!(%error, "a refused connection could not be told so");
    }
}
