//! The space that is being made. The engine names a new space durably before the name of its folder is durable: a power
//! cut in between leaves a space without a folder, which otherwise is damage. So its name stands in the file `unfinished`
//! meanwhile, and a start makes it whole: nothing was ever in it.

use super::inventory::KEYSPACES;
use crate::disk::sync_dir;
use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::Path,
};
use store::device::Space;

const FILE_NAME: &str = "unfinished";
/// One length for all names, within a sector: it is written as a whole or not at all.
const BYTES: usize = 64;

/// Says that this space is being made: durable when it returns.
pub(super) fn begin(dir: &Path, space: Space) -> io::Result<()> {
    write(dir, &space.name())
}

/// All spaces are made, and the names of their folders durable.
pub(super) fn end(dir: &Path) -> io::Result<()> {
    sync_dir(&dir.join(KEYSPACES))?;
    write(dir, "")
}

/// The name of the space that was being made, if there is one.
pub(super) fn unfinished(dir: &Path) -> io::Result<Option<String>> {
    match fs::read(dir.join(FILE_NAME)) {
        Ok(bytes) => {
            let name = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            Ok(Some(name).filter(|name| !name.is_empty()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(dir: &Path, name: &str) -> io::Result<()> {
    let path = dir.join(FILE_NAME);
    let is_new = !path.try_exists()?;
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    file.write_all_at(format!("{name:<BYTES$}").as_bytes(), 0)?;
    file.sync_data()?;
    if is_new { sync_dir(dir) } else { Ok(()) }
}
