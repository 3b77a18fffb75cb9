//! One opening of the engine and the handles of its keyspaces.

use super::{inventory, making};
use crate::{backup::StoredFile, disk, settings::EngineSettings};
use bytes::Bytes;
use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode,
    config::{BlockSizePolicy, CompressionPolicy},
};
use model::{Error, ErrorKind, Result};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, RwLock},
};
use store::device::{Space, SpaceRows, TableStatus};

/// Bytes of a memtable; nothing is ever written into one.
const MEMTABLE_BYTES: u64 = 1 << 20;
/// Blocks of messages are 10 to 30 KiB each: about one in a data block.
const BLOCKS_DATA_BLOCK_BYTES: u32 = 16 << 10;
/// Small rows: what a point read decompresses.
const ROWS_DATA_BLOCK_BYTES: u32 = 4 << 10;

pub(super) type SpaceMap = Arc<BTreeMap<Space, Keyspace>>;

/// An open engine.
pub(super) struct Engine {
    dir: PathBuf,
    db: Database,
    /// Whether it merges in the background.
    merges: bool,
    spaces: Mutex<SpaceMap>,
    /// Held exclusively while an ingestion becomes visible: it draws its sequence number before it is registered, so
    /// a snapshot made in between would change under its reader.
    publishing: RwLock<()>,
}

impl Engine {
    /// Opens the engine in `dir`; files that failed writes left there go. Without merging it reads and writes as ever, and
    /// its runs add up. A journal that cannot be read is moved to `quarantine`: it holds no row.
    /// Unless `create`, no engine there is a loss.
    pub fn open(
        dir: &Path,
        quarantine: &Path,
        settings: &EngineSettings,
        merges: bool,
        create: bool,
    ) -> Result<Engine> {
        let cannot = |error| cannot_open(dir, error);
        if !create || inventory::is_made(dir).map_err(|error| cannot(error.into()))? {
            inventory::check(dir)?;
        }
        if lacks_journal(dir).map_err(|error| cannot(error.into()))? {
            make_journal(dir, settings).map_err(cannot)?;
        }
        let db = match open_database(dir, settings, !merges) {
            Err(error) if is_of_journal(&error) => {
                set_journals_aside(dir, quarantine).map_err(|error| cannot(error.into()))?;
                tracing::warn!(%error, to = %quarantine.display(), "the engine's journal was unreadable and is set aside");
                make_journal(dir, settings).map_err(cannot)?;
                open_database(dir, settings, !merges).map_err(cannot)?
            }
            opened => opened.map_err(cannot)?,
        };
        if create {
            // The engine does not make the name of its first folder durable.
            making::end(dir).map_err(|error| cannot(error.into()))?;
        }
        let spaces = open_spaces(&db)?;
        Ok(Engine {
            dir: dir.to_owned(),
            db,
            merges,
            spaces: Mutex::new(Arc::new(spaces)),
            publishing: RwLock::new(()),
        })
    }

    /// Whether it was opened to merge.
    pub fn merges(&self) -> bool {
        self.merges
    }

    /// Whether merging ended with an error. What is there can be read, and rows be written.
    pub fn is_poisoned(&self) -> bool {
        matches!(self.db.persist(PersistMode::Buffer), Err(fjall::Error::Poisoned))
    }

    /// The handles of all spaces, as they are now.
    pub fn spaces(&self) -> SpaceMap {
        self.lock_spaces().clone()
    }

    /// A snapshot and the spaces that it can read.
    pub fn snapshot(&self) -> (fjall::Snapshot, SpaceMap) {
        let _no_ingestion = self.publishing.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        (self.db.snapshot(), self.spaces())
    }

    /// Writes the rows of one space into table files: synced, and visible at once, when this returns.
    pub fn ingest(&self, space_rows: SpaceRows) -> fjall::Result<()> {
        let keyspace = self.keyspace(space_rows.space)?;
        let mut ingestion = keyspace.start_ingestion()?;
        for (key, value) in space_rows.rows {
            match value {
                Some(value) => ingestion.write(key, value)?,
                None => ingestion.write_tombstone(key)?,
            }
        }
        let _no_snapshot = self.publishing.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        ingestion.finish()
    }

    /// Deletes a space; its files go when the last snapshot that can read it is gone.
    pub fn drop_space(&self, space: Space) -> fjall::Result<()> {
        let mut spaces = self.lock_spaces();
        let Some(keyspace) = spaces.get(&space).cloned() else { return Ok(()) };
        self.db.delete_keyspace(keyspace)?;
        Arc::make_mut(&mut spaces).remove(&space);
        Ok(())
    }

    /// Merges a space into one run.
    pub fn compact(&self, space: Space) -> fjall::Result<()> {
        let Some(keyspace) = self.spaces().get(&space).cloned() else { return Ok(()) };
        self.let_go()?;
        keyspace.major_compact()?;
        self.let_go()
    }

    /// Moves the watermark up to which the engine forgets old versions to the oldest open snapshot: it does so only when
    /// an ingestion ends. The key is never used.
    fn let_go(&self) -> fjall::Result<()> {
        self.ingest(SpaceRows { space: Space::Meta, rows: vec![(Bytes::from_static(b"!"), None)] })
    }

    /// Bytes in table files, and the longest first level.
    pub fn status(&self) -> TableStatus {
        let spaces = self.spaces();
        TableStatus {
            bytes: spaces.values().map(Keyspace::disk_space).sum(),
            runs_max: spaces.values().map(Keyspace::l0_table_count).max().unwrap_or(0),
            merges: self.merges && !self.is_poisoned(),
        }
    }

    /// Links all files of the tables into `to`, without a journal, which holds no row; what there is then, with paths below
    /// `to`. Nobody may write meanwhile.
    pub fn link_files(&self, dir: &Path, to: &Path) -> Result<Vec<StoredFile>> {
        let mut files = Vec::new();
        let spaces = self.spaces();
        let numbers = spaces.values().filter_map(|keyspace| Some(keyspace.path().file_name()?.to_owned()));
        for number in numbers.chain([inventory::NAMES_SPACE.into()]) {
            let below = Path::new(inventory::KEYSPACES).join(&number);
            for file in inventory::link_space(&dir.join(&below), &to.join(&below))? {
                files.push(StoredFile { path: format!("{}/{}", below.display(), file.path), ..file });
            }
        }
        files.push(inventory::copy_version(dir, to)?);
        Ok(files)
    }

    fn keyspace(&self, space: Space) -> fjall::Result<Keyspace> {
        let mut spaces = self.lock_spaces();
        if let Some(keyspace) = spaces.get(&space) {
            return Ok(keyspace.clone());
        }
        making::begin(&self.dir, space)?;
        let keyspace = self.db.keyspace(&space.name(), || options(space))?;
        making::end(&self.dir)?;
        Arc::make_mut(&mut spaces).insert(space, keyspace.clone());
        Ok(keyspace)
    }

    fn lock_spaces(&self) -> MutexGuard<'_, SpaceMap> {
        self.spaces.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Whether the keys strictly grow; the engine panics when they do not.
pub(super) fn check_order(space: Space, rows: &[(Bytes, Option<Bytes>)]) -> Result<()> {
    match rows.windows(2).all(|pair| pair[0].0 < pair[1].0) && rows.iter().all(|(key, _)| !key.is_empty()) {
        true => Ok(()),
        false => Err(Error::internal(format!("keys of {} do not strictly grow", space.name()))),
    }
}

fn options(space: Space) -> KeyspaceCreateOptions {
    let block_bytes = match space {
        Space::Blocks(_) | Space::Feed(_) => BLOCKS_DATA_BLOCK_BYTES,
        Space::Meta
        | Space::Channels
        | Space::Dedup(_)
        | Space::Records
        | Space::Edits
        | Space::Removed
        | Space::Reactions
        | Space::Expiring
        | Space::Lists
        | Space::Changes(_) => ROWS_DATA_BLOCK_BYTES,
    };
    KeyspaceCreateOptions::default()
        .max_memtable_size(MEMTABLE_BYTES)
        .data_block_size_policy(BlockSizePolicy::all(block_bytes))
        .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4))
}

fn open_database(dir: &Path, settings: &EngineSettings, idle: bool) -> fjall::Result<Database> {
    let builder = Database::builder(dir)
        .cache_size(settings.cache_bytes)
        .manual_journal_persist(true)
        .max_cached_files(Some(settings.open_files));
    match idle {
        true => builder.worker_threads_unchecked(0).open(),
        false => builder.worker_threads(settings.worker_threads.max(1)).open(),
    }
}

/// Opens and closes an engine that has no journal. It learns its sequence numbers from the tables only if it finds a
/// journal: used as it is after it made a new one, it would not see its rows.
fn make_journal(dir: &Path, settings: &EngineSettings) -> fjall::Result<()> {
    open_database(dir, settings, true).map(drop)
}

fn open_spaces(db: &Database) -> Result<BTreeMap<Space, Keyspace>> {
    let mut spaces = BTreeMap::new();
    for name in db.list_keyspace_names() {
        let unknown = || Error::internal(format!("the tables hold a space that this version does not know: {name}"));
        let space = Space::from_name(&name).ok_or_else(unknown)?;
        let keyspace = db.keyspace(&name, || options(space)).map_err(engine_failed)?;
        spaces.insert(space, keyspace);
    }
    Ok(spaces)
}

/// Whether there is an engine without a journal.
fn lacks_journal(dir: &Path) -> io::Result<bool> {
    Ok(dir.join("version").try_exists()? && journals(dir)?.is_empty())
}

fn journals(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".jnl") {
            names.push(name);
        }
    }
    Ok(names)
}

fn set_journals_aside(dir: &Path, quarantine: &Path) -> io::Result<()> {
    for name in journals(dir)? {
        let mut aside = quarantine.join(format!("engine-{name}"));
        for number in 1.. {
            if !aside.try_exists()? {
                break;
            }
            aside = quarantine.join(format!("engine-{name}.{number}"));
        }
        fs::rename(dir.join(name), aside)?;
    }
    disk::sync_dir(quarantine)?;
    disk::sync_dir(dir)
}

fn is_of_journal(error: &fjall::Error) -> bool {
    use fjall::Error::{Decompress, InvalidTag, InvalidTrailer, JournalRecovery};
    matches!(error, JournalRecovery(_) | InvalidTrailer | InvalidTag(_) | Decompress(_))
}

/// Whether the error says that there is no room.
pub(super) fn is_storage_full(error: &fjall::Error) -> bool {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(lsm_tree::Error::Io(error)) => disk::is_storage_full(error),
        _ => false,
    }
}

/// Whether the error says that what is there is not what was written.
fn is_damage(error: &fjall::Error) -> bool {
    use lsm_tree::Error::{ChecksumMismatch, Decompress, InvalidHeader, InvalidTag, InvalidTrailer, Unrecoverable};
    let fjall::Error::Storage(error) = error else { return false };
    matches!(
        error,
        ChecksumMismatch { .. } | Decompress(_) | InvalidHeader(_) | InvalidTag(_) | InvalidTrailer | Unrecoverable
    )
}

pub(super) fn engine_failed(error: fjall::Error) -> Error {
    if is_damage(&error) {
        return Error::new(ErrorKind::Internal, "the tables are damaged; `verify` names the files").with_source(error);
    }
    let text = match is_storage_full(&error) {
        true => "the disk is full: the tables cannot be written now",
        false => "the tables cannot be read or written now",
    };
    Error::unavailable(text).with_source(error)
}

fn cannot_open(dir: &Path, error: fjall::Error) -> Error {
    let full = if is_storage_full(&error) { "the disk is full, make room on it: " } else { "" };
    // The engine does not say in which of its files.
    let place = inventory::verify(dir, &mut |_| {}).unwrap_or_else(|error| vec![error.message]).join("; ");
    let text = format!("{full}cannot open the tables in {}: {error}; {place}", dir.display());
    Error::unavailable(text).with_source(error)
}
