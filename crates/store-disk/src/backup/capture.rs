//! Taking a point of a store that is in use: hard links to the files of its tables, made in a moment, hold still what is
//! then copied at leisure. They lie in the data folder, where they cost nothing but what merging would have given back.

use super::{
    Place, Point, StoredFile,
    point::{self, cannot},
};
use crate::{folder, log, table::EngineTable};
use model::{Error, Result};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

const FOLDER: &str = "capture";
const LIST: &str = "point";

/// A point that was taken and not copied yet; its links go when it goes.
#[derive(Debug)]
pub struct Capture {
    folder: PathBuf,
    /// What it consists of.
    pub point: Point,
}

/// Takes a point of the store in the data folder `dir`. Everything that the store has must be in the tables, up to
/// `place`, and nobody may write them meanwhile; merging may go on. A capture that somebody left there is replaced.
pub fn capture(dir: &Path, table: &EngineTable, place: Place, taken_ms: u64) -> Result<Capture> {
    let store_id = folder::store_id(dir)?.ok_or_else(|| Error::internal("a store without an id"))?;
    clear(dir)?;
    let folder = dir.join(FOLDER);
    let tables = folder.join(folder::TABLES);
    fs::create_dir_all(&tables).map_err(|error| cannot("make", &tables, error))?;
    let mut capture = Capture { folder, point: Point { store_id, place, taken_ms, files: Vec::new() } };
    for linked in table.link_files(&tables)? {
        let path = format!("{}/{}", folder::TABLES, linked.path);
        capture.point.files.push(StoredFile { path, ..linked });
    }
    let list = capture.folder.join(LIST);
    fs::write(&list, capture.point.encode()).map_err(|error| cannot("write", &list, error))?;
    Ok(capture)
}

/// The point that the program which uses the data folder `dir` has taken, and the folder that its files lie in.
pub fn captured(dir: &Path) -> Result<(PathBuf, Point)> {
    let folder = dir.join(FOLDER);
    let point = point::read(&folder.join(LIST))?;
    Ok((folder, point))
}

/// Makes a data folder `to`, on the same file system, of the files of a point that lie below `from`: to be read, and thrown
/// away.
pub fn link_store(point: &Point, from: &Path, to: &Path) -> Result<()> {
    for file in &point.files {
        let link = to.join(&file.path);
        let parent = link.parent().unwrap_or(to);
        fs::create_dir_all(parent).map_err(|error| cannot("make", parent, error))?;
        fs::hard_link(from.join(&file.path), &link).map_err(|error| cannot("link", &link, error))?;
    }
    let log_dir = to.join(folder::LOG);
    fs::create_dir_all(&log_dir).map_err(|error| cannot("make", &log_dir, error))?;
    log::make_empty(&log_dir, point.store_id).map_err(|error| cannot("write", &log_dir, error))?;
    let id = to.join(folder::ID_NAME);
    fs::write(&id, folder::id_text(point.store_id)).map_err(|error| cannot("write", &id, error))
}

/// Removes what a capture left that was cut short. The folder is locked.
pub(crate) fn clear(dir: &Path) -> Result<()> {
    let folder = dir.join(FOLDER);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot("remove", &folder, error)),
        _ => Ok(()),
    }
}

impl Capture {
    /// Where its files lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(%error, "what was captured for a backup could not be removed; the next start does it");
        }
    }
}
