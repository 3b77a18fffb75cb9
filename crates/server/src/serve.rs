//! `scrollback serve`: puts the parts together, serves until it is told to stop, and takes them apart in the order that
//! loses nothing: no new requests, open ones end, then the sequencer, then the store.

use crate::{
    access,
    cli::ServeArguments,
    clock::SystemClock,
    config::Config,
    configured,
    control::Control,
    describe, logging, searching,
    storage::{Storage, StorageOptions},
};
use anyhow::Context;
use axum::Router;
use dialect_scaledrone::Waits;
use edge::{CancellationToken, Readiness};
use model::Clock;
use prometheus_client::registry::Registry;
use service::{Channels, Parts};
use std::{io::Write, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};

/// How long the sequencer gets to finish after the last request has ended.
const SERVICE_STOP: Duration = Duration::from_secs(2);

/// Serves until SIGTERM or SIGINT.
pub fn run(arguments: &ServeArguments) -> anyhow::Result<()> {
    logging::start(arguments.log_format, &arguments.log)?;
    let checked = configured(&arguments.source)?;
    for warning in &checked.warnings {
        tracing::warn!("{warning}");
    }
    let config = checked.config;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting threads")?;
    runtime.block_on(async {
        let listener = edge::bind(config.listen).with_context(|| {
            format!("cannot listen on {}: choose another address with --listen or in the configuration", config.listen)
        })?;
        let options = StorageOptions {
            accept_loss: arguments.accept_loss,
            segment_bytes: arguments.log_segment,
            tail_bytes: arguments.tail,
            ballast_bytes: arguments.ballast,
            scratch: false,
        };
        // Agora's history is asked for by author and recipient; no other dialect asks so.
        let agora = config.apps.iter().filter(|app| app.agora.is_some());
        let listed = agora.map(|app| app.name.clone()).collect();
        let storage = Storage::open(&config.data, options, Some(listed)).context("opening the data folder")?;
        serve(config, listener, storage).await
    })
}

async fn serve(config: Config, listener: TcpListener, storage: Storage) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let storage = Arc::new(storage);
    let index = searching::open(&config.data, &config.search).context("opening the search index")?;
    let search = searching::capability(index.as_ref());
    let parts = Parts { store: storage.store(), fanout: None, search, clock: clock.clone() };
    let settings = config.service.clone();
    let channels = tokio::task::spawn_blocking(|| Channels::start(parts, settings)).await?.context("starting")?;
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;

    let mut registry = Registry::with_prefix("scrollback");
    let metrics = edge::Metrics::register(&mut registry);
    channels.register_metrics(&mut registry);
    storage.register_metrics(&mut registry);
    if let Some(index) = &index {
        index.follow(storage.store()).context("starting the search index")?;
        searching::register_metrics(index, &mut registry);
    }
    let clock_of_commands = clock.clone();
    let router = router(&config, &channels, clock, registry, &stop).await?;

    let control = answer_commands(&config, storage, clock_of_commands, &stop);
    print_banner(&config, &listener)?;
    let ended = edge::serve(listener, router, config.edge.clone(), metrics, stop).await;
    if ended.cut > 0 {
        tracing::warn!(sockets = ended.cut, "sockets that did not end in time were cut");
    }
    if tokio::time::timeout(SERVICE_STOP, channels.stop()).await.is_err() {
        tracing::warn!("the sequencer did not stop in time; what was acknowledged is safe in the log");
    }
    if let Some(control) = control {
        control.await?;
    }
    if let Some(index) = index {
        tokio::task::spawn_blocking(move || index.close()).await?;
    }
    tracing::info!("stopped");
    Ok(())
}

/// Answers commands that are given beside the running program. Without that it serves all the same.
fn answer_commands(
    config: &Config,
    storage: Arc<Storage>,
    clock: Arc<dyn Clock>,
    stop: &CancellationToken,
) -> Option<JoinHandle<()>> {
    match Control::bind(&config.data, storage, clock) {
        Ok(control) => Some(tokio::spawn(control.serve(stop.clone()))),
        Err(error) => {
            tracing::warn!(%error, "no socket in the data folder: a backup needs the program stopped");
            None
        }
    }
}

async fn router(
    config: &Config,
    channels: &Channels,
    clock: Arc<dyn Clock>,
    mut registry: Registry,
    stop: &CancellationToken,
) -> anyhow::Result<Router> {
    let apps = access::native_apps(&config.apps);
    let native = dialect_native::router(channels.clone(), clock.clone(), apps, config.native.clone(), stop.clone());
    let keysets = access::pubnub_keysets(config);
    let pubnub = dialect_pubnub::router(channels.clone(), clock.clone(), keysets)?;
    let scaledrone = access::scaledrone_channels(&config.apps);
    let (waits, until) = (Waits::default(), stop.clone());
    let scaledrone =
        dialect_scaledrone::router(channels.clone(), scaledrone, waits, clock.clone(), &mut registry, until);
    let agora = access::agora_projects(&config.apps);
    let agora = dialect_agora::router(channels.clone(), agora, clock.clone(), stop.clone()).await?;
    let osmium = access::osmium_realms(&config.apps);
    let osmium = dialect_osmium::router(channels.clone(), osmium, clock, stop.clone()).await?;
    let (channels, stop) = (channels.clone(), stop.clone());
    let readiness: Readiness = Arc::new(move || match (stop.is_cancelled(), channels.status().accepting) {
        (true, _) => Err("stopping".to_owned()),
        (false, false) => Err("no new messages are accepted: an unknown outcome is being settled".to_owned()),
        (false, true) => Ok(()),
    });
    let vendors = pubnub.merge(scaledrone).merge(agora).merge(osmium);
    Ok(native.merge(vendors).merge(edge::probes(readiness, Arc::new(registry))))
}

/// A reader of the first line learns the port that was chosen, so it is flushed at once.
fn print_banner(config: &Config, listener: &TcpListener) -> anyhow::Result<()> {
    let address = listener.local_addr().context("asking for the address in use")?;
    let mut out = std::io::stdout().lock();
    // Nobody may be reading standard output, and that is no reason not to serve.
    let _ = out.write_all(describe::banner(config, address).as_bytes()).and_then(|()| out.flush());
    tracing::info!(%address, data = %config.data.display(), apps = config.apps.len(), "serving");
    Ok(())
}

/// The first SIGTERM or SIGINT stops gracefully; the second one ends the program at once, which loses nothing that was
/// acknowledged.
fn stop_on_signals(stop: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "stopping");
        stop.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::warn!("told to stop twice: leaving at once");
        std::process::exit(1);
    });
    Ok(())
}
