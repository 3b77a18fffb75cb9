//! The dialect on a free port, over the oracle of the store.

use crate::client::Client;
use dialect_scaledrone::{HistoryCap, Settings, Waits, router};
use edge::{CancellationToken, Secret};
use model::{AppId, Channel, ChannelName, Message};
use prometheus_client::registry::Registry;
use service::{Caller, Channels, Parts};
use std::{net::SocketAddr, sync::Arc};
use testkit::{ManualClock, MemoryStore};

/// Connections that each of its channels takes.
pub const CONNECTIONS: usize = 12;

/// A server with the channels `open` and `guarded` of one app.
pub struct House {
    pub address: SocketAddr,
    pub channels: Channels,
    pub store: Arc<MemoryStore>,
    pub stop: CancellationToken,
}

impl House {
    pub async fn new() -> House {
        House::with(Waits::default()).await
    }

    pub async fn with(waits: Waits) -> House {
        let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(ManualClock::default()));
        let parts = Parts { store: store.clone(), fanout: None, search: None, clock: clock.clone() };
        let channels = Channels::start(parts, service::Settings::default()).expect("it starts");
        let stop = CancellationToken::new();
        let settings = ["open", "guarded"].map(|channel| Settings {
            connections: CONNECTIONS,
            require_auth: channel == "guarded",
            history: Some(HistoryCap::default()),
            ..Settings::new(app(), channel, Some(Secret::new("s3cret")))
        });
        let router = router(channels.clone(), settings, waits, clock, &mut Registry::default(), stop.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        House { address, channels, store, stop }
    }

    /// A connection to the open channel.
    pub async fn connect(&self) -> Client {
        Client::connect(self.address, "open").await.0
    }

    /// Everything that was stored in a room, oldest first.
    pub fn stored(&self, room: &str) -> Vec<Arc<Message>> {
        self.store.stored_messages(&channel(room))
    }

    /// Somebody from inside the house.
    pub fn admin(&self) -> Caller {
        Caller { app: app(), user: None, access: Arc::new(service::Access::admin()) }
    }
}

fn app() -> AppId {
    AppId::new("app").expect("a name")
}

/// A room as an address.
pub fn channel(room: &str) -> Channel {
    Channel { app: app(), name: ChannelName::named(room).expect("a name") }
}
