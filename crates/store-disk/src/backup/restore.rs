//! Restoring a point into a new data folder. Until the last step, one rename, the folder holds no store; what a cut leaves
//! is gone on with when the same point is restored again.

use super::{
    BackupFolder, Point, StoredFile,
    copy::{self, sync_dir, write_whole},
    point::cannot,
};
use crate::{folder, log};
use model::{Error, Id, Result};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Becomes the id of the store when all else is there.
const UNFINISHED_NAME: &str = "restore.unfinished";

/// Restores a point (the newest without `id`) of the backups in `from` to the data folder `to`, which is new, empty, or
/// holds the beginning of the same restoration. Every file is checked while it is copied. `progress` is told the bytes.
pub fn restore(from: &Path, id: Option<Id>, to: &Path, progress: &mut dyn FnMut(u64)) -> Result<Point> {
    let backups = BackupFolder::open(from)?;
    let point = backups.point(id)?;
    fs::create_dir_all(to).map_err(|error| cannot("make", to, error))?;
    begin(&point, to)?;
    let _lock = folder::lock(to)?;
    let mut dirs = BTreeSet::from([to.to_owned()]);
    for file in &point.files {
        let path = to.join(&file.path);
        make_parents(to, &path, &mut dirs)?;
        bring(&backups, file, &path, progress)?;
    }
    let log_dir = to.join(folder::LOG);
    fs::create_dir_all(&log_dir).map_err(|error| cannot("make", &log_dir, error))?;
    log::make_empty(&log_dir, point.store_id).map_err(|error| cannot("write", &log_dir, error))?;
    dirs.insert(log_dir);
    dirs.iter().try_for_each(|dir| sync_dir(dir))?;
    let (mark, id) = (to.join(UNFINISHED_NAME), to.join(folder::ID_NAME));
    fs::rename(&mark, &id).map_err(|error| cannot("write", &id, error))?;
    sync_dir(to)?;
    Ok(point)
}

/// An error if the data folder holds the beginning of a restoration.
pub(crate) fn refuse_unfinished(dir: &Path) -> Result<()> {
    match dir.join(UNFINISHED_NAME).try_exists() {
        Ok(true) => Err(Error::invalid(format!(
            "{} holds the beginning of a restoration: restore the same point again, which goes on with it",
            dir.display()
        ))),
        _ => Ok(()),
    }
}

/// Marks an empty folder, or finds the mark of the same restoration.
fn begin(point: &Point, to: &Path) -> Result<()> {
    let mark = to.join(UNFINISHED_NAME);
    let text = format!("{}restored from point {}\n", folder::id_text(point.store_id), point.place.id);
    let mut names = fs::read_dir(to).map_err(|error| cannot("list", to, error))?;
    let has_store = to.join(folder::ID_NAME).try_exists().unwrap_or(true);
    match fs::read_to_string(&mark) {
        Ok(there) if there == text && !has_store => Ok(()),
        Ok(_) => Err(Error::invalid(format!(
            "{} holds the beginning of another restoration: empty it, or name another folder",
            to.display()
        ))),
        Err(_) if names.next().is_none() => write_whole(&mark, &text),
        Err(_) => Err(Error::invalid(format!("{} is not empty: name a new folder", to.display()))),
    }
}

/// A file that an earlier attempt brought stays if it is whole.
fn bring(backups: &BackupFolder, file: &StoredFile, to: &Path, progress: &mut dyn FnMut(u64)) -> Result<()> {
    if to.try_exists().unwrap_or(false) && copy::check(to, file, &mut |_| {}).is_ok() {
        progress(file.bytes);
        return Ok(());
    }
    copy::copy(&backups.path_of(file), file, to, progress)
}

fn make_parents(root: &Path, path: &Path, dirs: &mut BTreeSet<PathBuf>) -> Result<()> {
    let parents = path.ancestors().skip(1).take_while(|dir| *dir != root);
    let missing: Vec<&Path> = parents.filter(|dir| !dirs.contains(*dir)).collect();
    for dir in missing.into_iter().rev() {
        fs::create_dir_all(dir).map_err(|error| cannot("make", dir, error))?;
        dirs.insert(dir.to_owned());
    }
    Ok(())
}
