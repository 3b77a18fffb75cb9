//! The door for commands that work beside a running program: a socket in the data folder, open to whoever may write there.
//!
//! A command says one line and gets one line: `backup` is answered `taken` when a point was captured, which is held until
//! the command goes away, or `refused` with the reason.

use crate::storage::Storage;
use anyhow::{Context, bail};
use edge::CancellationToken;
use model::Clock;
use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream as ClientStream},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader as AsyncBufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    task::JoinSet,
};

const NAME: &str = "control";
const BACKUP: &str = "backup";
const TAKEN: &str = "taken";
const REFUSED: &str = "refused ";
/// Only who runs the program, and root.
const MODE: u32 = 0o600;
/// A command says so much at most, and not later than this.
const LINE_BYTES: u64 = 4096;
const LINE_WAIT: Duration = Duration::from_secs(10);
/// How long a command waits for the one before.
const TURN_WAIT: Duration = Duration::from_secs(5);

/// After a command that could not be accepted, as when file descriptors are used up.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// The socket of a running program.
pub struct Control {
    listener: UnixListener,
    storage: Arc<Storage>,
    clock: Arc<dyn Clock>,
    /// One point at a time.
    captures: Arc<Semaphore>,
}

impl Control {
    /// Makes the socket in the data folder, which the caller has locked.
    pub fn bind(data: &Path, storage: Arc<Storage>, clock: Arc<dyn Clock>) -> io::Result<Control> {
        let path = data.join(NAME);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(MODE))?;
        Ok(Control { listener, storage, clock, captures: Arc::new(Semaphore::new(1)) })
    }

    /// Answers commands until `stop`.
    pub async fn serve(self, stop: CancellationToken) {
        let mut commands = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let (storage, clock) = (self.storage.clone(), self.clock.clone());
                        commands.spawn(answer(stream, storage, clock, self.captures.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a command could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = commands.join_next() => {}
            }
        }
    }
}

async fn answer(stream: UnixStream, storage: Arc<Storage>, clock: Arc<dyn Clock>, captures: Arc<Semaphore>) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = AsyncBufReader::new(reader.take(LINE_BYTES));
    let mut line = String::new();
    let said = tokio::time::timeout(LINE_WAIT, reader.read_line(&mut line)).await;
    if !matches!(said, Ok(Ok(_))) {
        return;
    }
    if line.trim_end() != BACKUP {
        let _ = writer.write_all(format!("{REFUSED}this version does not know the command\n").as_bytes()).await;
        return;
    }
    // The point of a command that has just ended may still be on its way out.
    let Ok(Ok(_permit)) = tokio::time::timeout(TURN_WAIT, captures.acquire()).await else {
        let _ = writer.write_all(format!("{REFUSED}another backup is being made\n").as_bytes()).await;
        return;
    };
    let now = clock.now_ticks();
    let captured = tokio::task::spawn_blocking(move || storage.capture(now)).await;
    let said = match &captured {
        Ok(Ok(capture)) => {
            tracing::info!(point = %capture.point.place.id, bytes = capture.point.bytes(), "a point is being backed up");
            format!("{TAKEN}\n")
        }
        Ok(Err(error)) => {
            tracing::error!(?error, "no point could be taken for a backup");
            format!("{REFUSED}{error}\n")
        }
        Err(_) => format!("{REFUSED}internal error\n"),
    };
    if writer.write_all(said.as_bytes()).await.is_ok() {
        // Nothing more is said: this waits until the command is gone.
        let _ = reader.read_line(&mut line).await;
    }
    // The links go with the capture.
    drop(tokio::task::spawn_blocking(move || drop(captured)).await);
}

/// A point that a running program holds until this goes.
pub struct HeldPoint(
    #[expect(dead_code, reason = "its end tells the program that the point is not needed")] ClientStream,
);

/// Has the program that runs on the data folder capture a point; `None` if no program answers there.
pub fn capture(data: &Path) -> anyhow::Result<Option<HeldPoint>> {
    let Ok(mut stream) = ClientStream::connect(data.join(NAME)) else { return Ok(None) };
    let mut said = String::new();
    writeln!(stream, "{BACKUP}")
        .and_then(|()| BufReader::new(&stream).read_line(&mut said))
        .with_context(|| format!("the program that runs on {} went away", data.display()))?;
    match said.trim_end() {
        TAKEN => Ok(Some(HeldPoint(stream))),
        "" => bail!("the program that runs on {} went away", data.display()),
        said => bail!("the program that runs on {}: {}", data.display(), said.strip_prefix(REFUSED).unwrap_or(said)),
    }
}
