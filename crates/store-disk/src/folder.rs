//! The data folder: who may use it, which format it has, and where the devices live in it.
//!
//! ```text
//! lock          held by the program that uses the folder
//! store.id      format version and id of the store
//! log/          the log (docs/storage-format.md)
//! tables/       the engine's files
//! quarantine/   copies of what was found damaged
//! capture/      links to the files of a point that is being backed up
//! ballast       zeros that keep room back for a full disk
//! ```

use crate::{
    backup,
    ballast::Ballast,
    disk::{Disk, RealDisk, sync_dir},
    log::{FileLog, random},
    settings::{BALLAST_BYTES, EngineSettings, FileLogSettings},
    table::{self, EngineTable},
};
use model::{Error, ErrorKind, Result};
use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::Path,
    sync::Arc,
};

const FORMAT_VERSION: &str = "1";
pub(crate) const ID_NAME: &str = "store.id";
pub(crate) const LOG: &str = "log";
pub(crate) const TABLES: &str = "tables";
const NEW_ID_NAME: &str = "store.id.new";
/// Open files that the program asks the system for: tables, sockets and what else it needs.
const OPEN_FILES_WANTED: u64 = 65_536;

/// The settings of both devices.
#[derive(Clone, Debug)]
pub struct DiskSettings {
    /// The log.
    pub log: FileLogSettings,
    /// The tables.
    pub engine: EngineSettings,
    /// Bytes that are kept back for a full disk; 0 for none.
    pub ballast_bytes: u64,
}

impl Default for DiskSettings {
    fn default() -> DiskSettings {
        let (log, engine) = (FileLogSettings::default(), EngineSettings::default());
        DiskSettings { log, engine, ballast_bytes: BALLAST_BYTES }
    }
}

/// Keeps other programs away from a data folder while it lives. Drop it after the devices.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

/// Opens the devices of the data folder `dir`, making it if it is not there. A folder that another program uses, that
/// has another format, or that is damaged is refused by name.
pub fn open(dir: &Path, settings: &DiskSettings) -> Result<(FileLog, EngineTable, FolderLock)> {
    let cannot = |error: io::Error| {
        Error::unavailable(format!("cannot use the data folder {}: {error}", dir.display())).with_source(error)
    };
    make_dir(dir).map_err(cannot)?;
    let lock = lock(dir)?;
    backup::refuse_unfinished(dir)?;
    backup::clear_capture(dir)?;
    let (log_dir, tables, quarantine) = (dir.join(LOG), dir.join(TABLES), dir.join("quarantine"));
    let known = read_id(&dir.join(ID_NAME))?;
    if known.is_none() {
        // An earlier start may have made it, and ended before its name was durable.
        sync_dir(parent_of(dir)).map_err(cannot)?;
    }
    let id = match known {
        Some(id) => id,
        None => begin_creation(dir)?,
    };
    for part in [&log_dir, &tables, &quarantine] {
        fs::create_dir_all(part).map_err(cannot)?;
    }
    sync_dir(dir).map_err(cannot)?;
    raise_open_files();
    let log = FileLog::open(&log_dir, &quarantine, id, known.is_none(), settings.log.clone())?;
    let data = dir.to_owned();
    let free_bytes = Box::new(move || RealDisk.free_bytes(&data));
    let ballast = Arc::new(Ballast::open(dir, settings.ballast_bytes, free_bytes).map_err(cannot)?);
    let (engine, kept) = (settings.engine.clone(), Some(ballast.clone()));
    if known.is_none() {
        table::remove_unfinished(&tables).map_err(cannot)?;
    }
    let table = EngineTable::open_with(&tables, &quarantine, engine, kept, known.is_none())?;
    let log = log.with_ballast(ballast);
    if known.is_none() {
        fs::rename(dir.join(NEW_ID_NAME), dir.join(ID_NAME)).and_then(|()| sync_dir(dir)).map_err(cannot)?;
    }
    Ok((log, table, lock))
}

/// Reads every table of a data folder whole, which no read or start does; what is damaged, in words. `progress` is told
/// the bytes that were read. A list that is damaged, so that nobody knows which tables there were, is an error. A folder
/// that holds no store yet has none.
pub fn verify_tables(dir: &Path, progress: &mut dyn FnMut(u64)) -> Result<Vec<String>> {
    let _lock = lock(dir)?;
    match read_id(&dir.join(ID_NAME))? {
        Some(_) => table::verify(&dir.join(TABLES), progress),
        None => Ok(Vec::new()),
    }
}

/// The id of the store in a data folder, if there is one.
pub(crate) fn store_id(dir: &Path) -> Result<Option<u64>> {
    read_id(&dir.join(ID_NAME))
}

/// What the file says that names the store.
pub(crate) fn id_text(id: u64) -> String {
    format!("scrollback store format {FORMAT_VERSION}\nid {id:016x}\n")
}

pub(crate) fn lock(dir: &Path) -> Result<FolderLock> {
    let path = dir.join("lock");
    let cannot = |error: io::Error| {
        Error::unavailable(format!("cannot lock the data folder with {}: {error}", path.display())).with_source(error)
    };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(FolderLock { _file: file }),
        Err(TryLockError::WouldBlock) => {
            Err(Error::unavailable(format!("the data folder {} is in use by another program", dir.display())))
        }
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

/// The id of the store, if the file is there; refuses formats that this program does not know.
fn read_id(path: &Path) -> Result<Option<u64>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::unavailable(format!("cannot read {}: {error}", path.display()))),
    };
    let refused = |reason: String| Error::new(ErrorKind::Internal, format!("{}: {reason}", path.display()));
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    match field("scrollback store format") {
        Some(FORMAT_VERSION) => {}
        Some(other) => return Err(refused(format!("format {other} is unknown; this program knows {FORMAT_VERSION}"))),
        None => return Err(refused("not the id of a store".into())),
    }
    let id = field("id").and_then(|id| u64::from_str_radix(id, 16).ok());
    id.map(Some).ok_or_else(|| refused("it tells no id".into()))
}

/// Chooses an id, or goes on with the one that a creation cut short has chosen. The id gets its final name when both
/// devices exist: from then on an empty log is a loss, not a beginning.
fn begin_creation(dir: &Path) -> Result<u64> {
    let path = dir.join(NEW_ID_NAME);
    if let Ok(Some(id)) = read_id(&path) {
        return Ok(id);
    }
    for part in [LOG, TABLES] {
        let holds_files = fs::read_dir(dir.join(part)).is_ok_and(|mut entries| entries.next().is_some());
        if holds_files {
            let text = format!("the data folder {} holds {part} but no {ID_NAME}", dir.display());
            return Err(Error::new(ErrorKind::Internal, text));
        }
    }
    let id = random();
    let text = id_text(id);
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        sync_dir(dir)
    });
    written.map_err(|error| Error::unavailable(format!("cannot write {}: {error}", path.display())))?;
    Ok(id)
}

/// Makes a directory and what is missing above it, with durable names: one that a power cut takes back takes along all
/// that was synced inside.
fn make_dir(dir: &Path) -> io::Result<()> {
    if dir.try_exists()? {
        return Ok(());
    }
    let parent = parent_of(dir);
    make_dir(parent)?;
    match fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_dir(parent),
    }
}

fn parent_of(dir: &Path) -> &Path {
    let parent = dir.parent().unwrap_or(Path::new("/"));
    if parent.as_os_str().is_empty() { Path::new(".") } else { parent }
}

/// Asks for more open files, up to what the system allows without asking an operator.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let allowed = limit.maximum.unwrap_or(OPEN_FILES_WANTED).min(OPEN_FILES_WANTED);
    if limit.current.is_some_and(|current| current < allowed) {
        limit.current = Some(allowed);
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, allowed, "the limit of open files could not be raised");
        }
    }
}
