//! Copying files that never change: checked against what is known of them while they are copied, synced, and given their
//! names only when they are whole.

use super::{StoredFile, point::cannot};
use crate::{
    disk,
    settings::{COPY_PIECE_BYTES, COPY_SYNC_BYTES},
};
use model::{Error, ErrorKind, Result};
use std::{
    fs::{self, File},
    io::{ErrorKind as IoErrorKind, Read, Write},
    path::{Path, PathBuf},
};
use xxhash_rust::xxh3::Xxh3;

/// What the name of a file ends with that is not whole yet.
pub(super) const UNFINISHED: &str = ".new";

/// Copies a file and syncs the copy, but not its name. `progress` is told the bytes. A file that is not what it should be
/// is damage: named, and not copied.
pub(super) fn copy(from: &Path, file: &StoredFile, to: &Path, progress: &mut dyn FnMut(u64)) -> Result<()> {
    let new = unfinished(to);
    let copied = copy_content(from, file, &new, progress);
    if copied.is_err() {
        // What is left of it would be written over anyway.
        let _ = fs::remove_file(&new);
    }
    copied?;
    fs::rename(&new, to).map_err(|error| cannot("write", to, error))
}

fn copy_content(from: &Path, file: &StoredFile, to: &Path, progress: &mut dyn FnMut(u64)) -> Result<()> {
    let mut copy = File::create(to).map_err(|error| cannot("write", to, error))?;
    let mut unsynced = 0;
    read(from, file, &mut |piece| {
        copy.write_all(piece).map_err(|error| cannot("write", to, error))?;
        unsynced += piece.len() as u64;
        // In pieces, so that the syncs of a log on the same disk do not wait behind all of it.
        if unsynced >= COPY_SYNC_BYTES {
            copy.sync_data().map_err(|error| cannot("sync", to, error))?;
            unsynced = 0;
        }
        progress(piece.len() as u64);
        Ok(())
    })?;
    copy.sync_all().map_err(|error| cannot("sync", to, error))
}

/// Reads a file whole and checks it; an error names it.
pub(super) fn check(path: &Path, file: &StoredFile, progress: &mut dyn FnMut(u64)) -> Result<()> {
    read(path, file, &mut |piece| {
        progress(piece.len() as u64);
        Ok(())
    })
}

fn read(path: &Path, file: &StoredFile, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let damaged = |reason: &str| {
        let text = format!("{} ({}) is damaged: {reason}", path.display(), file.path);
        Err(Error::new(ErrorKind::Internal, text))
    };
    let mut source = match File::open(path) {
        Ok(source) => source,
        Err(error) if error.kind() == IoErrorKind::NotFound => return damaged("it is missing"),
        Err(error) => return Err(cannot("read", path, error)),
    };
    let (mut hash, mut length, mut piece) = (Xxh3::new(), 0, vec![0; COPY_PIECE_BYTES]);
    loop {
        let bytes = source.read(&mut piece).map_err(|error| cannot("read", path, error))?;
        if bytes == 0 {
            break;
        }
        length += bytes as u64;
        if length > file.bytes {
            return damaged("it is too long");
        }
        hash.update(&piece[..bytes]);
        take(&piece[..bytes])?;
    }
    match (length == file.bytes, hash.digest128() == file.checksum) {
        (true, true) => Ok(()),
        (false, _) => damaged("it is too short"),
        (true, false) => damaged("its checksum does not fit"),
    }
}

/// Writes a small file so that it is there whole or not at all, also after a power cut.
pub(super) fn write_whole(path: &Path, text: &str) -> Result<()> {
    let new = unfinished(path);
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    });
    written.map_err(|error| cannot("write", path, error))?;
    path.parent().map_or(Ok(()), sync_dir)
}

pub(super) fn sync_dir(dir: &Path) -> Result<()> {
    disk::sync_dir(dir).map_err(|error| cannot("sync", dir, error))
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    name.into()
}
