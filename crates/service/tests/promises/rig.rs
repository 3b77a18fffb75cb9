//! A service on the oracle of the store, and the few words that the tests are written in.

use bytes::Bytes;
use model::{AppId, Channel, ChannelName, Id, Message, Payload, PayloadForm, Store};
use service::{Access, Caller, Channels, Delivery, Draft, Item, Parts, Query, Settings, Subscription, Topic};
use std::{sync::Arc, time::Duration};
use testkit::{ManualClock, MemoryStore};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Rig {
    pub store: Arc<MemoryStore>,
    pub clock: Arc<ManualClock>,
    pub channels: Channels,
    pub settings: Settings,
}

impl Rig {
    pub fn new() -> Rig {
        Rig::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Rig {
        Rig::over(Arc::new(MemoryStore::new()), Arc::new(ManualClock::default()), settings)
    }

    pub fn over(store: Arc<MemoryStore>, clock: Arc<ManualClock>, settings: Settings) -> Rig {
        let channels = start(store.clone(), clock.clone(), settings.clone());
        Rig { store, clock, channels, settings }
    }

    /// What a new process finds. The old one is as if killed: it must be stuck or idle.
    pub fn restart(&self) -> Rig {
        Rig::over(Arc::new(self.store.restart()), self.clock.clone(), self.settings.clone())
    }

    pub async fn publish(&self, name: &str, text: &str) -> Id {
        self.channels.publish(&admin(), &channel(name), draft(text)).await.expect("it is published").id
    }

    pub async fn signal(&self, name: &str, text: &str) -> Id {
        self.channels.signal(&admin(), &channel(name), draft(text)).await.expect("it is sent").id
    }

    pub async fn follow(&self, names: &[&str], from: Option<Id>) -> Subscription {
        let topics = names.iter().map(|name| topic(name)).collect();
        self.channels.subscribe(&admin(), topics, from).await.expect("it is followed")
    }

    pub fn clock_now(&self) -> u64 {
        model::Clock::now_ticks(&*self.clock)
    }

    /// The whole history of a channel.
    pub async fn history(&self, name: &str) -> Vec<Arc<Message>> {
        let page = self.channels.history(&admin(), &channel(name), &Query::newest(1_000)).await.expect("a page");
        assert!(!page.page.more, "more than a page");
        page.page.messages.clone()
    }
}

pub fn start(store: Arc<dyn Store>, clock: Arc<ManualClock>, settings: Settings) -> Channels {
    // Tests say when maintenance comes.
    let settings = Settings { maintenance_every: Duration::from_secs(86_400), ..settings };
    Channels::start(Parts { store, fanout: None, search: None, clock }, settings).expect("it starts")
}

pub fn admin() -> Caller {
    Caller { app: app(), user: None, access: Arc::new(Access::admin()) }
}

pub fn app() -> AppId {
    AppId::new("demo").expect("a valid app")
}

pub fn channel(name: &str) -> Channel {
    Channel { app: app(), name: ChannelName::named(name).expect("a valid name") }
}

/// A channel, or a pattern if it ends with a star.
pub fn topic(name: &str) -> Topic {
    match name.ends_with('*') {
        true => Topic::Pattern(service::Pattern::new(name).expect("a valid pattern")),
        false => Topic::Channel(ChannelName::named(name).expect("a valid name")),
    }
}

pub fn draft(text: &str) -> Draft {
    Draft::new(Payload { form: PayloadForm::Text, bytes: Bytes::copy_from_slice(text.as_bytes()) })
}

pub fn keyed(text: &str, key: &str) -> Draft {
    Draft { key: Some(key.to_owned()), ..draft(text) }
}

pub fn text(message: &Message) -> String {
    String::from_utf8(message.payload.bytes.to_vec()).expect("payloads are UTF-8")
}

pub fn texts(messages: &[Arc<Message>]) -> Vec<String> {
    messages.iter().map(|message| text(message)).collect()
}

pub fn message_of(item: &Item) -> &Arc<Message> {
    match &*item.change {
        model::Change::Channel(change) => change.what.message().expect("a message"),
        model::Change::Record(_) => panic!("records are not delivered"),
    }
}

pub fn carries_message(item: &Item) -> bool {
    matches!(&*item.change, model::Change::Channel(change) if change.what.message().is_some())
}

pub async fn next(subscription: &mut Subscription) -> Delivery {
    within(subscription.next()).await.expect("it goes on")
}

/// The next `count` messages, in order, whatever pieces they come in.
pub async fn take(subscription: &mut Subscription, count: usize) -> Vec<Arc<Message>> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let items = next(subscription).await.items;
        taken.extend(items.iter().filter(|item| carries_message(item)).map(|item| message_of(item).clone()));
    }
    assert_eq!(taken.len(), count, "more came than was published");
    taken
}

/// Waits for what must come, and fails rather than hang.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it comes in time")
}
