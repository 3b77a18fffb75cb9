//! A folder of backups: adding a point, telling which there are, checking them, letting old ones go.

use super::{
    Point, StoredFile,
    copy::{self, UNFINISHED, sync_dir, write_whole},
    point::{self, cannot},
};
use model::{Error, ErrorKind, Id, Result};
use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

const MARK: &str = "scrollback.backup";
const FORMAT: &str = "scrollback backup format ";
const FORMAT_VERSION: &str = "1";
const LOCK: &str = "lock";
const FILES: &str = "files";
const POINTS: &str = "points";

/// A folder that holds points of one store. Others are kept from changing it while this lives.
#[derive(Debug)]
pub struct BackupFolder {
    dir: PathBuf,
    store_id: u64,
    _lock: File,
}

/// What adding a point came to.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Added {
    /// Files that were copied, and their bytes.
    pub copied: (u64, u64),
    /// Files that an earlier point had already, and their bytes.
    pub shared: (u64, u64),
    /// The point was there: nothing has happened in the store since.
    pub was_there: bool,
}

/// A point in short.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PointSummary {
    /// Its id.
    pub id: Id,
    /// When it was taken (Unix time in milliseconds), and bytes of its files; or why its list cannot be read.
    pub read: std::result::Result<(u64, u64), String>,
}

impl BackupFolder {
    /// Opens the folder to add points of this store, making it if there is nothing yet. A folder that is not empty and
    /// holds no backups, or those of another store, is refused.
    pub fn for_store(dir: &Path, store_id: u64) -> Result<BackupFolder> {
        fs::create_dir_all(dir).map_err(|error| cannot("make", dir, error))?;
        let mark = dir.join(MARK);
        if !mark.try_exists().map_err(|error| cannot("read", &mark, error))? {
            let names = names(dir)?;
            if let Some(name) = names.iter().find(|name| !name.starts_with(MARK)) {
                let text = format!("{} holds {name} and no backups: name an empty folder or a new one", dir.display());
                return Err(Error::invalid(text));
            }
            write_whole(&mark, &mark_text(store_id))?;
        }
        for part in [FILES, POINTS] {
            let part = dir.join(part);
            fs::create_dir_all(&part).map_err(|error| cannot("make", &part, error))?;
        }
        let lock_path = dir.join(LOCK);
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(|error| cannot("write", &lock_path, error))?;
        sync_dir(dir)?;
        taken(dir, lock.try_lock())?;
        let kept = marked(&mark)?;
        if kept != store_id {
            let dir = dir.display();
            let text = format!("{dir} holds backups of store {kept:016x}, not of {store_id:016x}: name another folder");
            return Err(Error::invalid(text));
        }
        Ok(BackupFolder { dir: dir.to_owned(), store_id, _lock: lock })
    }

    /// Opens a folder of backups to read it.
    pub fn open(dir: &Path) -> Result<BackupFolder> {
        let mark = dir.join(MARK);
        if !mark.try_exists().map_err(|error| cannot("read", &mark, error))? {
            return Err(Error::invalid(format!("{} holds no backups", dir.display())));
        }
        let store_id = marked(&mark)?;
        let lock_path = dir.join(LOCK);
        let lock = File::open(&lock_path).map_err(|error| cannot("read", &lock_path, error))?;
        taken(dir, lock.try_lock_shared())?;
        Ok(BackupFolder { dir: dir.to_owned(), store_id, _lock: lock })
    }

    /// Adds a point whose files lie below `from`: copies those that no point has, checking each, and lists the point last.
    /// What a cut leaves is gone on with. `progress` is told the bytes that are done, copied or shared.
    pub fn add(&self, point: &Point, from: &Path, progress: &mut dyn FnMut(u64)) -> Result<Added> {
        if point.store_id != self.store_id {
            return Err(Error::invalid("the point is of another store"));
        }
        let list = self.dir.join(POINTS).join(point.place.id.to_string());
        let mut added = Added::default();
        if point::read(&list).is_ok_and(|there| there.place == point.place) {
            added.was_there = true;
            return Ok(added);
        }
        for file in &point.files {
            let to = self.path_of(file);
            let counted = match fs::metadata(&to) {
                Ok(there) if there.len() == file.bytes => {
                    progress(file.bytes);
                    &mut added.shared
                }
                _ => {
                    copy::copy(&from.join(&file.path), file, &to, progress)?;
                    &mut added.copied
                }
            };
            *counted = (counted.0 + 1, counted.1 + file.bytes);
        }
        sync_dir(&self.dir.join(FILES))?;
        write_whole(&list, &point.encode())?;
        Ok(added)
    }

    /// The points, the oldest first.
    pub fn points(&self) -> Result<Vec<PointSummary>> {
        let summary = |(id, read): (Id, Result<Point>)| PointSummary {
            id,
            read: read.map(|point| (point.taken_ms, point.bytes())).map_err(|error| error.message),
        };
        Ok(self.read_points()?.into_iter().map(summary).collect())
    }

    /// The point with this id, or the newest one.
    pub fn point(&self, id: Option<Id>) -> Result<Point> {
        let mut points = self.read_points()?;
        let dir = self.dir.display();
        match id {
            Some(id) => points.remove(&id).ok_or_else(|| Error::invalid(format!("{dir} has no point {id}")))?,
            None => points.pop_last().ok_or_else(|| Error::invalid(format!("{dir} has no point yet")))?.1,
        }
    }

    /// Reads all files of all points; what is damaged, in words.
    pub fn check(&self, progress: &mut dyn FnMut(u64)) -> Result<Vec<String>> {
        let (mut findings, mut seen) = (Vec::new(), HashSet::new());
        for (id, point) in self.read_points()? {
            let point = match point {
                Ok(point) => point,
                Err(error) => {
                    findings.push(error.message);
                    continue;
                }
            };
            for file in point.files.iter().filter(|file| seen.insert(file.name())) {
                if let Err(error) = copy::check(&self.path_of(file), file, progress) {
                    findings.push(format!("point {id} and maybe later ones: {}", error.message));
                }
            }
        }
        Ok(findings)
    }

    /// Lets all points go but the newest `count`, and the files that none of those has; how many points went. Refused while
    /// a list cannot be read: nobody knows what it names.
    pub fn keep_newest(&self, count: usize) -> Result<usize> {
        let points = self.read_points()?;
        let going = points.len().saturating_sub(count.max(1));
        let mut kept = HashSet::new();
        for (_, point) in points.iter().skip(going) {
            kept.extend(point.as_ref().map_err(Error::again)?.files.iter().map(StoredFile::name));
        }
        let lists = self.dir.join(POINTS);
        for id in points.keys().take(going) {
            remove(&lists.join(id.to_string()))?;
        }
        sync_dir(&lists)?;
        let files = self.dir.join(FILES);
        for name in names(&files)?.iter().filter(|name| !kept.contains(*name)) {
            remove(&files.join(name))?;
        }
        sync_dir(&files)?;
        Ok(going)
    }

    pub(super) fn path_of(&self, file: &StoredFile) -> PathBuf {
        self.dir.join(FILES).join(file.name())
    }

    fn read_points(&self) -> Result<BTreeMap<Id, Result<Point>>> {
        let lists = self.dir.join(POINTS);
        let mut points = BTreeMap::new();
        for name in names(&lists)?.iter().filter(|name| !name.ends_with(UNFINISHED)) {
            let path = lists.join(name);
            let id = name.parse().map(Id::from_raw);
            let id = id.map_err(|_| Error::invalid(format!("{} is not the list of a point", path.display())))?;
            let point = point::read(&path).and_then(|point| match (point.place.id, point.store_id) {
                named if named == (id, self.store_id) => Ok(point),
                _ => {
                    let text = format!("{} is not the point that its name and {MARK} tell", path.display());
                    Err(Error::new(ErrorKind::Internal, text))
                }
            });
            points.insert(id, point);
        }
        Ok(points)
    }
}

/// The store that a folder has backups of.
fn marked(mark: &Path) -> Result<u64> {
    let text = fs::read_to_string(mark).map_err(|error| cannot("read", mark, error))?;
    let refused = |reason: String| Error::new(ErrorKind::Internal, format!("{}: {reason}", mark.display()));
    let mut lines = text.lines();
    match lines.next().and_then(|line| line.strip_prefix(FORMAT)) {
        Some(FORMAT_VERSION) => {}
        Some(other) => return Err(refused(format!("format {other} is unknown; this program knows {FORMAT_VERSION}"))),
        None => return Err(refused("not the mark of backups".into())),
    }
    let id = lines.next().and_then(|line| line.strip_prefix("store "));
    let id = id.and_then(|id| u64::from_str_radix(id, 16).ok()).filter(|id| mark_text(*id) == text);
    id.ok_or_else(|| refused("it names no store".into()))
}

fn mark_text(store_id: u64) -> String {
    format!("{FORMAT}{FORMAT_VERSION}\nstore {store_id:016x}\n")
}

fn taken(dir: &Path, lock: Result<(), TryLockError>) -> Result<()> {
    match lock {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(Error::unavailable(format!("{} is being used by another backup or restore", dir.display())))
        }
        Err(TryLockError::Error(error)) => Err(cannot("lock", dir, error)),
    }
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let list = || -> io::Result<Vec<String>> {
        let entries = fs::read_dir(dir)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    list().map_err(|error| cannot("list", dir, error))
}

fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).map_err(|error| cannot("remove", path, error))
}
