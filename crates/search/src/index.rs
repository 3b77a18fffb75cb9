//! The face of the index: opening it, asking it, and what its one writing thread shares with those who ask.

use crate::{
    Settings,
    document::Fields,
    find,
    query::parse,
    show,
    work::{Ask, Worker},
};
use model::{AppId, Candidates, Error, Id, Message, Result, Search, SnippetPiece, Sought, Store};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
};
use tantivy::{IndexReader, ReloadPolicy};

/// An index in a folder. Dropping it ends its thread; whatever was not committed is taken in again after a start.
pub struct Index {
    shared: Arc<Shared>,
    asks: Sender<Ask>,
    waiting: Mutex<Option<mpsc::Receiver<Ask>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// How the index goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// Everything that was stored up to here is indexed.
    pub indexed: Id,
    /// Whether it can be searched: not while it is made again.
    pub ready: bool,
    /// Messages in it.
    pub documents: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// How often it was made again since the start.
    pub rebuilds: u64,
    /// How often something failed since the start, and was tried again.
    pub failures: u64,
}

/// What the writing thread and those who ask share.
pub(crate) struct Shared {
    pub settings: Settings,
    pub folder: PathBuf,
    pub fields: Fields,
    pub index: tantivy::Index,
    pub reader: IndexReader,
    pub stopping: AtomicBool,
    pub rebuilds: AtomicU64,
    pub failures: AtomicU64,
    progress: Mutex<Progress>,
    moved: Condvar,
}

#[derive(Clone, Copy, Default)]
struct Progress {
    indexed: Id,
    ready: bool,
    failing: bool,
}

impl Index {
    /// Opens the index of a folder, making it if it is not there. One that cannot be opened is thrown away: it will be
    /// made again by [`Index::follow`].
    pub fn open(folder: &Path, settings: Settings) -> Result<Index> {
        let fields = Fields::new();
        fs::create_dir_all(folder).map_err(|error| cannot(folder, error))?;
        let opened = tantivy::Index::open_in_dir(folder).map_err(Some);
        let index = match opened.and_then(|index| if index.schema() == fields.schema { Ok(index) } else { Err(None) }) {
            Ok(index) => index,
            Err(why) => create(folder, &fields, why)?,
        };
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual);
        let reader = reader.try_into().map_err(|error: tantivy::TantivyError| cannot(folder, error))?;
        let (asks, waiting) = mpsc::channel();
        let shared = Arc::new(Shared {
            settings,
            folder: folder.to_owned(),
            fields,
            index,
            reader,
            stopping: AtomicBool::new(false),
            rebuilds: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            progress: Mutex::default(),
            moved: Condvar::new(),
        });
        Ok(Index { shared, asks, waiting: Mutex::new(Some(waiting)), thread: Mutex::default() })
    }

    /// Takes away the index of a folder where nothing is indexed any more: no word of a message must stay behind.
    pub fn remove(folder: &Path) -> Result<()> {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(cannot(folder, error)),
            _ => Ok(()),
        }
    }

    /// Begins to follow a store, which is settled by now, and goes on until the index is closed.
    pub fn follow(&self, store: Arc<dyn Store>) -> Result<()> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(waiting) = waiting else { return Err(Error::internal("the index follows a store already")) };
        let worker = Worker::new(self.shared.clone(), store);
        let thread = thread::Builder::new().name("search".into()).spawn(move || worker.run(&waiting));
        let thread = thread.map_err(Error::internal)?;
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// How it goes.
    pub fn status(&self) -> Status {
        let progress = *self.shared.progress();
        Status {
            indexed: progress.indexed,
            ready: progress.ready,
            documents: self.shared.reader.searcher().num_docs(),
            bytes: self.shared.files().map(|(_, bytes)| bytes).sum(),
            rebuilds: self.shared.rebuilds.load(Ordering::Relaxed),
            failures: self.shared.failures.load(Ordering::Relaxed),
        }
    }

    /// Commits what was taken in, and returns when the thread has ended.
    pub fn close(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        // A thread that has ended already needs not be told.
        let _ = self.asks.send(Ask::Stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the search index ended by a panic");
        }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.close();
    }
}

impl Search for Index {
    fn covers(&self, app: &AppId) -> bool {
        self.shared.settings.apps.contains(app)
    }

    fn find(&self, sought: &Sought<'_>, fresh: Id) -> Result<Candidates> {
        parse(sought.words)?;
        // Asked before the searcher is taken, which may then know more, never less.
        let indexed = self.wait_for(fresh)?;
        let searcher = self.shared.reader.searcher();
        let (list, more) = find::find(&searcher, &self.shared.fields, sought, self.shared.settings.passed_documents)?;
        Ok(Candidates { list, more, indexed })
    }

    fn show(&self, words: &str, message: &Message) -> Result<Option<Vec<SnippetPiece>>> {
        show::show(words, message)
    }

    fn erase(&self, upto: Id) -> Result<()> {
        let (answer, answered) = mpsc::channel();
        let stopping = || Error::unavailable("the search index is closing");
        self.asks.send(Ask::Erase(upto, answer)).map_err(|_| stopping())?;
        answered.recv().map_err(|_| stopping())?
    }
}

impl Index {
    /// Waits a while until everything up to `fresh` is indexed; how far it is then.
    fn wait_for(&self, fresh: Id) -> Result<Id> {
        let behind = |progress: &mut Progress| progress.ready && !progress.failing && progress.indexed < fresh;
        let mut progress = self.shared.progress();
        if behind(&mut progress) {
            // Without a thread nothing moves, and the wait says so.
            let _ = self.asks.send(Ask::Look(fresh));
            let patience = self.shared.settings.wait_for_fresh;
            let waited = self.shared.moved.wait_timeout_while(progress, patience, behind);
            progress = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        match progress.ready {
            true => Ok(progress.indexed),
            false => Err(Error::unavailable("the search index is being made; try again later")),
        }
    }
}

impl Shared {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything up to here can be found.
    pub fn set_indexed(&self, indexed: Id) {
        let mut progress = self.progress();
        *progress = Progress { indexed: progress.indexed.max(indexed), ready: true, failing: false };
        self.moved.notify_all();
    }

    /// Nothing can be found before the index is made again.
    pub fn set_unready(&self) {
        *self.progress() = Progress::default();
        self.moved.notify_all();
    }

    /// Nobody needs to wait for what is not indexed yet.
    pub fn set_failing(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.progress().failing = true;
        self.moved.notify_all();
    }

    /// Whether the index is being closed.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// An error if the index is being closed: long work is cut off, and taken up again after a start.
    pub fn check_goes_on(&self) -> Result<()> {
        if self.is_stopping() { Err(Error::unavailable("the search index is closing")) } else { Ok(()) }
    }

    /// The names and sizes of the files.
    pub fn files(&self) -> impl Iterator<Item = (String, u64)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.map(|entry| {
            let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
            (entry.file_name().to_string_lossy().into_owned(), bytes)
        })
    }
}

/// An empty index in the place of whatever is there.
fn create(folder: &Path, fields: &Fields, why: Option<tantivy::TantivyError>) -> Result<tantivy::Index> {
    let is_there = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if is_there {
        tracing::warn!(error = ?why, folder = %folder.display(), "the search index cannot be used; it is made again");
        Index::remove(folder)?;
        fs::create_dir_all(folder).map_err(|error| cannot(folder, error))?;
    }
    tantivy::Index::create_in_dir(folder, fields.schema.clone()).map_err(|error| cannot(folder, error))
}

fn cannot(folder: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::unavailable(format!("cannot use the search index {}: {error}", folder.display())).with_source(error)
}
