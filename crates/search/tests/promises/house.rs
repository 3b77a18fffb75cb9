//! A store with an index beside it, and the few words that the tests are written in.

use model::{
    AppId, Candidates, Channel, ChannelName, Id, Message, Order, Place, Result, Search, ShardId, Sought, Span, Store,
};
use search::{Index, Settings};
use std::{path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;
use testkit::{BatchBuilder, Fields, MemoryStore, app, channel, removal_of};

pub struct House {
    pub store: Arc<MemoryStore>,
    pub builder: BatchBuilder,
    pub index: Index,
    pub folder: TempDir,
    pub settings: Settings,
}

impl House {
    pub fn new() -> House {
        House::with(settings())
    }

    pub fn with(settings: Settings) -> House {
        let store = Arc::new(MemoryStore::new());
        let builder = BatchBuilder::new();
        store.settle(builder.shard(), builder.epoch()).expect("an empty store settles");
        let folder = tempfile::tempdir().expect("a folder");
        let index = open(folder.path(), &settings, store.clone());
        House { store, builder, index, folder, settings }
    }

    /// The index of a new program.
    pub fn reopen(&mut self) {
        self.reopen_with(self.settings.clone());
    }

    pub fn reopen_with(&mut self, settings: Settings) {
        self.index.close();
        // The old one's files must be free before the new one takes them.
        let elsewhere = tempfile::tempdir().expect("a folder");
        let idle = Index::open(elsewhere.path(), self.settings.clone()).expect("it opens");
        drop(std::mem::replace(&mut self.index, idle));
        self.index = open(self.folder.path(), &settings, self.store.clone());
        self.settings = settings;
    }

    pub fn publish(&mut self, room: &str, text: &str) -> Arc<Message> {
        self.publish_with(&channel(room), text, Fields::default())
    }

    pub fn publish_with(&mut self, channel: &Channel, text: &str, fields: Fields) -> Arc<Message> {
        let message = self.builder.publish_with(channel, text, fields);
        self.apply();
        message
    }

    pub fn edit(&mut self, room: &str, message: &Message, text: &str) {
        self.builder.edit(&channel(room), message, text);
        self.apply();
    }

    pub fn delete(&mut self, room: &str, messages: &[Arc<Message>]) {
        self.builder.delete(&channel(room), removal_of(messages));
        self.apply();
    }

    pub fn apply(&mut self) {
        let batch = self.builder.batch();
        self.store.apply(&batch).expect("the batch is applied");
    }

    /// The newest stored change.
    pub fn newest(&self) -> Id {
        self.store.recent(ShardId(0), 0).expect("it is told").0
    }

    /// The ids of what is found in the whole app, oldest first.
    pub fn found(&self, words: &str) -> Vec<Id> {
        ids(self.find(words, everywhere(), Order::Ascending, 1_000).expect("an answer"))
    }

    pub fn find(&self, words: &str, place: Place<'_>, order: Order, limit: usize) -> Result<Candidates> {
        let app = app();
        let (span, author, custom_type) = (Span::ALL, None, None);
        self.ask(&Sought { app: &app, words, place, span, order, limit, author, custom_type })
    }

    /// Asks once the index is ready; what was applied before is in the answer.
    pub fn ask(&self, sought: &Sought<'_>) -> Result<Candidates> {
        for _ in 0..200 {
            match self.index.find(sought, self.newest()) {
                Err(error) if error.kind == model::ErrorKind::Unavailable => wait(),
                Ok(found) if found.indexed < self.newest() => wait(),
                other => return other,
            }
        }
        panic!("the index does not catch up: {:?}", self.index.status());
    }
}

pub fn open(folder: &Path, settings: &Settings, store: Arc<dyn Store>) -> Index {
    let index = Index::open(folder, settings.clone()).expect("the index opens");
    index.follow(store).expect("it follows");
    index
}

/// The tests' app is indexed.
pub fn settings() -> Settings {
    let retry_every = Duration::from_millis(50);
    Settings { apps: [app()].into(), retry_every, ..Settings::default() }
}

pub fn everywhere() -> Place<'static> {
    Place::Admitted(&|_: &ChannelName| true)
}

pub fn ids(found: Candidates) -> Vec<Id> {
    found.list.into_iter().map(|candidate| candidate.id).collect()
}

pub fn ids_of(messages: &[&Arc<Message>]) -> Vec<Id> {
    messages.iter().map(|message| message.id).collect()
}

pub fn other_app() -> AppId {
    AppId::new("other").expect("a valid name")
}

/// A moment for a thread that works.
pub fn wait() {
    std::thread::park_timeout(Duration::from_millis(50));
}
