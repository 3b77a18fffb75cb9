//! The type that dialects call.

use crate::{
    Caller, Draft, History, Published, Query, Rights, Settings, Subscription, Topic,
    deadlines::Deadlines,
    hash::Hasher,
    hub::Hub,
    live::Live,
    lookup::LookUps,
    maintenance::{Keeper, Round},
    metrics::Metrics,
    order::{Order, Placed, Request},
    pages::Pages,
    policies::Policies,
    presence::{Attendance, Voice},
    publish,
    queue::Queue,
    reads::Reads,
    ring::{Recent, Ring},
    sequencer::{EPOCH, SHARD, Sequencer, Tools, first_tick},
    trusted::Watch,
};
use bytes::Bytes;
use model::{
    AppId, Change, Channel, ChannelEntry, ChannelName, Clock, Error, ErrorKind, Fanout, Id, Record, RecordChange,
    RecordKey, RecordKind, Result, Search, Settled, Span, Store, limits,
};
use prometheus_client::registry::Registry;
use std::{
    sync::{Arc, mpsc},
    thread,
};
use tokio::sync::{oneshot, watch};

/// The work. Cheap to clone; the sequencer ends when the last clone is dropped.
#[derive(Clone)]
pub struct Channels {
    pub(crate) shared: Arc<Shared>,
    _open: Arc<Open>,
}

/// What all parts of the service share.
pub(crate) struct Shared {
    pub settings: Settings,
    pub clock: Arc<dyn Clock>,
    pub live: Arc<Live>,
    pub reads: Reads,
    /// Searches take long, so they have threads of their own.
    pub searches: Reads,
    pub search: Option<Arc<dyn Search>>,
    pub metrics: Metrics,
    pub attendance: Arc<Attendance>,
    pub deadlines: Arc<Deadlines>,
    /// Held while a group is changed, until the change is known.
    pub groups: tokio::sync::RwLock<()>,
    pub queue: Arc<Queue>,
    /// Asks for a round of maintenance.
    pub rounds: mpsc::Sender<Round>,
    pub watch: Arc<Watch>,
    ended: watch::Receiver<()>,
}

/// Ends the threads when nobody can ask for anything any more.
struct Open {
    queue: Arc<Queue>,
    attendance: Arc<Attendance>,
    deadlines: Arc<Deadlines>,
}

/// Held by the sequencer's thread: however that ends, nobody waits for it in vain.
struct Running {
    queue: Arc<Queue>,
    live: Arc<Live>,
    _ended: watch::Sender<()>,
}

/// What the service stands on.
pub struct Parts {
    /// Keeps history.
    pub store: Arc<dyn Store>,
    /// Carries changes to other nodes; none on one machine.
    pub fanout: Option<Arc<dyn Fanout>>,
    /// Finds messages by their words; none where nobody searches.
    pub search: Option<Arc<dyn Search>>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// How it goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// Whether new work is accepted: not while an unknown outcome is settled, nor while stopping.
    pub accepting: bool,
    /// Everything at or below it is visible.
    pub frontier: Id,
    /// Requests that wait for the sequencer or their commit.
    pub queued_requests: usize,
    /// Their bytes.
    pub queued_bytes: usize,
    /// Changes in the recent ring.
    pub ring_changes: usize,
    /// Their bytes.
    pub ring_bytes: usize,
    /// Bytes of hot pages.
    pub page_cache_bytes: usize,
    /// Subscriptions that exist.
    pub subscriptions: usize,
    /// Connections on channels, each counted once for every channel that it is on.
    pub presence_connections: usize,
    /// About how many bytes they take, with states.
    pub presence_bytes: usize,
}

impl Channels {
    /// Settles the store, refills the recent ring and starts the sequencer. Blocks while the store does.
    pub fn start(parts: Parts, settings: Settings) -> Result<Channels> {
        let Parts { store, fanout, search, clock } = parts;
        let metrics = Metrics::new();
        let settled = store.settle(SHARD, EPOCH)?;
        let live = Arc::new(live(&*store, &*clock, fanout, &settings, &settled, &metrics)?);
        let queue = Arc::new(Queue::new(settings.queue_requests, settings.queue_bytes));
        let (ended_sender, ended) = watch::channel(());

        let helper = |name| {
            let (sender, waiting) = mpsc::channel();
            let (store, clock) = (store.clone(), clock.clone());
            let helper = LookUps { store, clock, live: live.clone(), queue: queue.clone(), waiting };
            spawn(name, move || helper.run()).map(|()| sender)
        };
        let (look_ups, removal_look_ups) = (helper("look-ups")?, helper("removal-look-ups")?);
        let tools = Tools {
            store: store.clone(),
            clock: clock.clone(),
            live: live.clone(),
            queue: queue.clone(),
            look_ups,
            removal_look_ups,
            metrics: metrics.clone(),
        };
        let sequencer = Sequencer::new(tools, &settings, settled);
        let running = Running { queue: queue.clone(), live: live.clone(), _ended: ended_sender.clone() };
        spawn("sequencer", move || {
            let _running = running;
            sequencer.run();
        })?;

        let watch = Arc::new(Watch::load(&*store, &*clock)?);
        let (rounds, asked) = mpsc::channel();
        let keeper = Keeper {
            store: store.clone(),
            search: search.clone(),
            clock: clock.clone(),
            live: live.clone(),
            queue: queue.clone(),
            watch: watch.clone(),
            settings: settings.clone(),
            asked,
            _ended: ended_sender,
        };
        spawn("maintenance", move || keeper.run())?;

        let searches = Reads::new(store.clone(), settings.searches, settings.waiting_searches, metrics.clone());
        let reads = Reads::new(store, settings.blocking_reads, settings.waiting_reads, metrics.clone());
        let attendance = Arc::new(Attendance::new(&settings, clock.clone()));
        let voice = Voice {
            attendance: attendance.clone(),
            queue: queue.clone(),
            clock: clock.clone(),
            hasher: live.hasher,
            look: settings.look,
        };
        spawn("presence", move || voice.run())?;
        let deadlines = Arc::new(Deadlines::new(clock.clone(), settings.look));
        let watched = deadlines.clone();
        spawn("deadlines", move || watched.run())?;
        let _open =
            Arc::new(Open { queue: queue.clone(), attendance: attendance.clone(), deadlines: deadlines.clone() });
        let groups = tokio::sync::RwLock::new(());
        Ok(Channels {
            shared: Arc::new(Shared {
                settings,
                clock,
                live,
                reads,
                searches,
                search,
                metrics,
                attendance,
                deadlines,
                groups,
                queue,
                rounds,
                watch,
                ended,
            }),
            _open,
        })
    }

    /// Refuses new work, finishes what waits, ends subscriptions; returns when the sequencer and maintenance have
    /// stopped.
    pub async fn stop(&self) {
        self.shared.queue.close();
        // Maintenance that has ended already needs not be told.
        let _ = self.shared.rounds.send(Round::Stop);
        // The sender is dropped without ever sending: an error is the end that is waited for.
        let _ = self.shared.ended.clone().changed().await;
    }

    /// Publishes a message. Needs [`Rights::WRITE`]. When this returns `Ok` the message is durable, or, if it was not
    /// to be stored, on its way to subscribers. An `Unavailable` says whether it may have been stored.
    pub async fn publish(&self, caller: &Caller, channel: &Channel, draft: Draft) -> Result<Published> {
        self.shared.admit(caller, &channel.app)?;
        caller.access.demand(&channel.name, Rights::WRITE)?;
        let order = publish::order(&self.shared.live.hasher, &self.shared.settings, channel, draft)?;
        self.shared.submit_one(order).await.map(Published::from)
    }

    /// Publishes several messages, in order, each with its own outcome; in one batch where they fit.
    pub async fn publish_all(&self, caller: &Caller, drafts: Vec<(Channel, Draft)>) -> Vec<Result<Published>> {
        let most = self.shared.settings.publish_drafts;
        if drafts.len() > most {
            let error = Error::new(ErrorKind::TooLarge, format!("at most {most} messages at once; nothing was stored"));
            return drafts.iter().map(|_| Err(error.again())).collect();
        }
        let (hasher, settings) = (&self.shared.live.hasher, &self.shared.settings);
        let mut orders = Vec::with_capacity(drafts.len());
        let mut refused = Vec::new();
        for (at, (channel, draft)) in drafts.into_iter().enumerate() {
            let allowed = self
                .shared
                .admit(caller, &channel.app)
                .and_then(|()| caller.access.demand(&channel.name, Rights::WRITE))
                .and_then(|()| publish::order(hasher, settings, &channel, draft));
            match allowed {
                Ok(order) => orders.push(order),
                Err(error) => refused.push((at, error)),
            }
        }
        let outcomes = self.shared.submit(orders).await;
        let mut outcomes: Vec<Result<Published>> =
            outcomes.into_iter().map(|outcome| outcome.map(Published::from)).collect();
        // By growing index, so each lands where its draft stood.
        for (at, error) in refused {
            outcomes.insert(at, Err(error));
        }
        outcomes
    }

    /// Publishes a small message that only present subscribers see. Needs [`Rights::WRITE`].
    pub async fn signal(&self, caller: &Caller, channel: &Channel, draft: Draft) -> Result<Published> {
        self.shared.admit(caller, &channel.app)?;
        caller.access.demand(&channel.name, Rights::WRITE)?;
        let order = publish::signal(&self.shared.live.hasher, &self.shared.settings, channel, draft)?;
        self.shared.submit_one(order).await.map(Published::from)
    }

    /// A page of a channel. Needs [`Rights::HISTORY`].
    pub async fn history(&self, caller: &Caller, channel: &Channel, query: &Query) -> Result<Arc<History>> {
        self.shared.admit(caller, &channel.app)?;
        self.shared.history(caller, channel, query).await
    }

    /// How many messages of a span the caller may see: exact. Needs [`Rights::HISTORY`].
    pub async fn count(&self, caller: &Caller, channel: &Channel, span: Span) -> Result<u64> {
        self.shared.admit(caller, &channel.app)?;
        self.shared.count(caller, channel, span).await
    }

    /// Channels with names in the clear that begin with `prefix`, those after `after`, in byte order. Needs
    /// [`Rights::HISTORY`] on everything that begins so. The heads are the channels', not cut by a window.
    pub async fn list_channels(
        &self,
        caller: &Caller,
        prefix: &str,
        after: Option<&ChannelName>,
        limit: u32,
    ) -> Result<Vec<ChannelEntry>> {
        self.shared.admit(caller, &caller.app)?;
        caller.access.demand_prefix(prefix, Rights::HISTORY)?;
        self.shared.check_limit(limit)?;
        let (app, prefix, after) = (caller.app.clone(), prefix.to_owned(), after.cloned());
        self.shared.reads.run(move |store| store.channels(&app, &prefix, after.as_ref(), limit)).await
    }

    /// Joins history and live: everything after `from` that matches a topic, each change once, in order, then what
    /// comes. Without `from`: from now on. A position above the frontier is taken as the frontier. Needs
    /// [`Rights::READ`] on all that a topic covers, and [`Rights::HISTORY`] for a position before the recent ring.
    pub async fn subscribe(&self, caller: &Caller, topics: Vec<Topic>, from: Option<Id>) -> Result<Subscription> {
        Subscription::start(self.shared.clone(), caller, topics, from).await
    }

    /// Everything at or below it is visible, and nothing will ever appear there.
    pub fn frontier(&self) -> Id {
        self.shared.live.frontier()
    }

    /// A record. For callers inside the house: no access is asked.
    pub async fn record(&self, key: &RecordKey) -> Result<Option<Record>> {
        let key = key.clone();
        self.shared.reads.run(move |store| store.record(&key)).await
    }

    /// Sets or deletes a record, and returns its new version. `expected`: the version that it must have,
    /// [`Id::MIN`] for "must not exist", none for whatever; `Conflict` otherwise.
    pub async fn put_record(&self, key: RecordKey, value: Option<Bytes>, expected: Option<Id>) -> Result<Id> {
        if key.name.is_empty() || key.name.len() > limits::RECORD_NAME_BYTES {
            return Err(Error::invalid(format!("record: its name has 1 to {} bytes", limits::RECORD_NAME_BYTES)));
        }
        if value.as_ref().map_or(0, Bytes::len) > limits::RECORD_VALUE_BYTES {
            let most = limits::RECORD_VALUE_BYTES;
            return Err(Error::new(ErrorKind::TooLarge, format!("record: its value has at most {most} bytes")));
        }
        let place = self.shared.live.hasher.record(&key);
        let change = Arc::new(Change::Record(RecordChange { id: Id::MIN, key, value }));
        let order = Order { expected, ..Order::new(change, place) };
        self.shared.submit_one(order).await.map(|published| published.id)
    }

    /// Records of a kind whose names begin with `prefix`, in byte order, those after `after`.
    pub async fn records(
        &self,
        app: &AppId,
        kind: RecordKind,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<Vec<Record>> {
        self.shared.check_limit(limit)?;
        let (app, prefix, after) = (app.clone(), prefix.to_owned(), after.map(<[u8]>::to_owned));
        self.shared.reads.run(move |store| store.records(&app, kind, &prefix, after.as_deref(), limit)).await
    }

    /// How it goes.
    pub fn status(&self) -> Status {
        let (queued_requests, queued_bytes) = self.shared.queue.depth();
        let (ring_changes, ring_bytes) = self.shared.live.ring.size();
        let (presence_connections, presence_bytes) = self.shared.attendance.size();
        Status {
            accepting: self.shared.queue.is_accepting(),
            frontier: self.frontier(),
            queued_requests,
            queued_bytes,
            ring_changes,
            ring_bytes,
            page_cache_bytes: self.shared.live.pages.bytes(),
            subscriptions: self.shared.live.hub.subscriptions(),
            presence_connections,
            presence_bytes,
        }
    }

    /// Adds the service's metrics to a registry.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.shared.metrics.register(registry);
    }
}

impl Shared {
    /// What reads as "now".
    pub fn now(&self) -> Id {
        Id::last_at(self.clock.now_ticks())
    }

    /// Whether a position is still to come; what never comes is.
    pub fn is_ahead(&self, until: Option<Id>) -> bool {
        until.is_none_or(|until| self.now() < until)
    }

    /// The first question of every call: is it about the caller's own app, and does its access stand?
    pub fn admit(&self, caller: &Caller, app: &AppId) -> Result<()> {
        check_app(caller, app)?;
        caller.access.check_stands(self.now())
    }

    /// The same for a call about the whole app: its policies, its holds, who is erased from it.
    pub fn admit_admin(&self, caller: &Caller) -> Result<()> {
        caller.access.check_stands(self.now())?;
        caller.access.demand_prefix("", Rights::ADMIN)
    }

    pub fn check_limit(&self, limit: u32) -> Result<()> {
        let most = self.settings.page_messages;
        if limit <= most { Ok(()) } else { Err(Error::invalid(format!("limit: at most {most}"))) }
    }

    pub async fn submit_one(&self, order: Order) -> Result<Placed> {
        let outcome = self.submit(vec![order]).await.pop();
        outcome.unwrap_or_else(|| Err(Error::internal("the sequencer gave no outcome")))
    }

    /// Hands orders to the sequencer and waits for what became of them.
    pub async fn submit(&self, orders: Vec<Order>) -> Vec<Result<Placed>> {
        if orders.is_empty() {
            return Vec::new();
        }
        let count = orders.len();
        let (sender, receiver) = oneshot::channel();
        let failed = match self.queue.push(Request::new(orders, sender)) {
            Ok(()) => match receiver.await {
                Ok(outcomes) => return outcomes,
                Err(_) => Error::unavailable("the sequencer failed; it is not known whether this was stored"),
            },
            Err(error) => {
                self.metrics.refused_requests.inc();
                error
            }
        };
        (0..count).map(|_| Err(failed.again())).collect()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.queue.close();
        self.attendance.close();
        self.deadlines.close();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.queue.abandon();
        self.live.hub.close();
    }
}

/// The live side, with the ring refilled from what the store still has in memory.
fn live(
    store: &dyn Store,
    clock: &dyn Clock,
    fanout: Option<Arc<dyn Fanout>>,
    settings: &Settings,
    settled: &Settled,
    metrics: &Metrics,
) -> Result<Live> {
    let frontier = Id::new(first_tick(settled), settings.slot);
    let hasher = Hasher::random();
    let (begins_after, changes) = store.recent(SHARD, settings.ring_bytes)?;
    let ring = Ring::new(settings.ring_bytes, (settings.ring_age.as_nanos() / 100) as u64, begins_after);
    let recent = |change: Arc<Change>| {
        let place = match &*change {
            Change::Channel(change) => hasher.place(&change.channel),
            Change::Record(change) => hasher.record(&change.key),
        };
        Recent { id: change.id(), place, change }
    };
    let changes: Vec<Recent> = changes.into_iter().map(recent).collect();
    ring.push(&changes, clock.monotonic_ticks());
    let pages = Pages::new(settings.page_cache_bytes, metrics.clone());
    let hub = Hub::new(settings.subscriptions, frontier, fanout.clone());
    let policies = Arc::new(Policies::load(store, settings.retention.clone())?);
    Ok(Live::new(hasher, pages, ring, hub, fanout, policies, frontier))
}

fn check_app(caller: &Caller, app: &AppId) -> Result<()> {
    if caller.app == *app { Ok(()) } else { Err(Error::new(ErrorKind::Forbidden, "the channel is of another app")) }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.map(drop).map_err(Error::internal)
}
