//! The plainest things that could do the same work: what the program is held against.

use anyhow::{Context, Result};
use bytes::Bytes;
use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    fs::File,
    net::SocketAddr,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::task::AbortOnDropHandle;

/// Bytes of the file that is overwritten, and of each overwrite.
const OVERWRITTEN_BYTES: usize = 64 << 20;
const OVERWRITE_BYTES: usize = 4 << 10;
const OVERWRITES: usize = 3_000;

/// One row a message in fjall as it comes, batches of `batch` rows, one sync a batch. Messages a second.
pub fn fjall_rows(folder: &Path, channels: &[u64], payloads: &[Bytes], messages: u64, batch: u64) -> Result<f64> {
    let database = Database::builder(folder).open().context("opening fjall")?;
    let rows = database.keyspace("rows", KeyspaceCreateOptions::default).context("opening a keyspace")?;
    let started = Instant::now();
    let mut number = 0u64;
    while number < messages {
        let mut pending = database.batch().durability(Some(PersistMode::SyncData));
        for _ in 0..batch.min(messages - number) {
            let channel = channels[number as usize % channels.len()];
            let key = [channel.to_be_bytes(), number.to_be_bytes()].concat();
            pending.insert(&rows, key, payloads[number as usize % payloads.len()].as_ref());
            number += 1;
        }
        pending.commit().context("committing to fjall")?;
    }
    Ok(messages as f64 / started.elapsed().as_secs_f64())
}

/// Overwriting 4 KiB in a file that is there and filled, and `fdatasync`: the median of a single writer.
pub fn overwrite_and_sync(folder: &Path) -> Result<Duration> {
    let file = File::create_new(folder.join("overwritten")).context("making a file")?;
    file.write_all_at(&vec![0; OVERWRITTEN_BYTES], 0).context("filling the file")?;
    file.sync_all().context("syncing the file")?;
    let piece = [7; OVERWRITE_BYTES];
    let mut times = Vec::new();
    for number in 0..OVERWRITES {
        let started = Instant::now();
        let offset = (number * OVERWRITE_BYTES) % OVERWRITTEN_BYTES;
        file.write_all_at(&piece, offset as u64).context("overwriting")?;
        file.sync_data().context("syncing")?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// A bare hyper server that answers every request with the same bytes.
pub struct BareServer {
    pub address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl BareServer {
    pub async fn start(body: Bytes) -> Result<BareServer> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listening")?;
        let address = listener.local_addr().context("asking for the port")?;
        let task = AbortOnDropHandle::new(tokio::spawn(serve(listener, body)));
        Ok(BareServer { address, _task: task })
    }
}

async fn serve(listener: TcpListener, body: Bytes) {
    let mut connections = JoinSet::new();
    // It ends with its task; a listener that fails shows in the client that finds nobody.
    while let Ok((socket, _)) = listener.accept().await {
        let body = body.clone();
        connections.spawn(async move {
            let answer = service_fn(move |_: Request<Incoming>| {
                let response = Response::builder().header("content-type", "application/json");
                let response = response.body(Full::new(body.clone())).expect("the header is well formed");
                async { Ok::<_, Infallible>(response) }
            });
            socket.set_nodelay(true)?;
            http1::Builder::new().serve_connection(TokioIo::new(socket), answer).await.map_err(std::io::Error::other)
        });
    }
}
