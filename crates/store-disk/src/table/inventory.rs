//! The engine's files as they must be before the engine may open them. It checks its blocks when it reads them, but not
//! its lists: it would believe a list with a flipped bit, make an empty space where a list is missing, and delete what no
//! list names. So all lists are checked here, and the one that names the spaces is read whole, before it looks at them.
//!
//! ```text
//! version                       marks an engine
//! unfinished                    the name of the space that is being made, if there is one
//! lock                          empty
//! 0.jnl                         the journal, which holds no row
//! keyspaces/N/current           which list of the space N counts, and the checksum of that list
//! keyspaces/N/v7                a list: the tables of the space, each with the checksum of its file
//! keyspaces/N/tables/12         a table
//! ```
//! The space 0 holds the names of the others.

use super::making;
use crate::{backup::StoredFile, disk::sync_dir, settings::LINK_ATTEMPTS};
use lsm_tree::{AbstractTree, Guard, SeqNo, SequenceNumberCounter};
use model::{Error, ErrorKind, Result};
use std::{
    fs::{self, File},
    io::{self, Cursor, Read},
    path::{Path, PathBuf},
};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

const VERSION: &[u8] = b"FJL\x03";
pub(super) const NAMES_SPACE: &str = "0";
pub(super) const KEYSPACES: &str = "keyspaces";
const CURRENT_BYTES: usize = 8 + 16 + 1;
const READ_BYTES: usize = 256 << 10;

/// The list of a space that counts.
struct List {
    current: [u8; CURRENT_BYTES],
    number: u64,
    content: Vec<u8>,
    tables: Vec<Listed>,
}

/// A table that a list names.
struct Listed {
    path: PathBuf,
    checksum: u128,
}

/// Whether an engine was made in `dir`, to the last of its first files.
pub(super) fn is_made(dir: &Path) -> io::Result<bool> {
    Ok(dir.join("version").try_exists()? && dir.join(KEYSPACES).join(NAMES_SPACE).join("current").try_exists()?)
}

/// Removes an engine that is not whole from a folder whose creation was cut off, in whatever order its files reached the
/// disk: the engine would not open over it, and no row was ever in it.
pub(crate) fn remove_unfinished(dir: &Path) -> io::Result<()> {
    if is_made(dir)? && check(dir).is_ok() {
        return Ok(());
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    sync_dir(dir)
}

/// Refuses, by the file's name, what the engine would take for less than it is. Does not read the tables themselves, but
/// for those with the names of the spaces.
pub(super) fn check(dir: &Path) -> Result<()> {
    let version = dir.join("version");
    if read(&version)? != VERSION {
        return Err(damaged(&version, "it is not the mark of an engine of this version"));
    }
    for space in spaces(dir)? {
        for table in tables(&space)? {
            if !table.path.try_exists().map_err(|error| unreadable(&table.path, &error))? {
                return Err(damaged(&table.path, "it is listed and missing"));
            }
        }
    }
    // The engine does not make it again; who uses the folder is told by the folder's own lock.
    let lock = dir.join("lock");
    File::options().create(true).append(true).open(&lock).map(drop).map_err(|error| unreadable(&lock, &error))
}

/// Reads every table whole; what is damaged, in words. `progress` is told the bytes that were read. A damaged list is an
/// error: nobody knows what it named.
pub(crate) fn verify(dir: &Path, progress: &mut dyn FnMut(u64)) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for space in spaces(dir)? {
        for table in tables(&space)? {
            if let Err(error) = verify_table(&table, progress) {
                findings.push(error.message);
            }
        }
    }
    Ok(findings)
}

/// The folders of all spaces that the engine has to find.
fn spaces(dir: &Path) -> Result<Vec<PathBuf>> {
    let keyspaces = dir.join(KEYSPACES);
    let names = keyspaces.join(NAMES_SPACE);
    for table in tables(&names)? {
        verify_table(&table, &mut |_| {})?;
    }
    let cannot = |error: lsm_tree::Error| damaged(&names, &error.to_string());
    let (written, visible) = (SequenceNumberCounter::default(), SequenceNumberCounter::default());
    let tree = lsm_tree::Config::new(&names, written, visible).open().map_err(cannot)?;
    let unfinished = making::unfinished(dir).map_err(|error| unreadable(dir, &error))?;
    let mut folders = vec![names.clone()];
    for row in tree.prefix(b"n", SeqNo::MAX, None) {
        let (key, name) = row.into_inner().map_err(cannot)?;
        let number = key.get(1..).and_then(|number| number.try_into().ok()).map(u64::from_be_bytes);
        let number = number.ok_or_else(|| damaged(&names, "a name of a space has no number"))?;
        let folder = keyspaces.join(number.to_string());
        if unfinished.as_ref().is_some_and(|unfinished| unfinished.as_bytes() == &*name) {
            finish(dir, &folder)?;
        }
        folders.push(folder);
    }
    Ok(folders)
}

/// Links the tables of the space in `space` into the folder `to`, which is made, and copies the list that counts; what
/// there is then, with paths below `to`. Nobody may write the space meanwhile; merging may go on, and what it replaces
/// between list and link is looked up again: it changes no row.
pub(super) fn link_space(space: &Path, to: &Path) -> Result<Vec<StoredFile>> {
    let cannot = |path: &Path, error: io::Error| {
        Error::unavailable(format!("cannot link the tables into {}: {error}", path.display())).with_source(error)
    };
    let tables = to.join("tables");
    fs::create_dir_all(&tables).map_err(|error| cannot(&tables, error))?;
    let mut attempt = 1;
    let list = loop {
        let before = current(space)?;
        match link_listed(space, &tables) {
            Ok(list) => break list,
            Err(_) if attempt < LINK_ATTEMPTS && current(space)? != before => attempt += 1,
            Err(error) => return Err(error),
        }
    };
    let mut files = Vec::with_capacity(list.tables.len() + 2);
    for (name, content) in [("current".to_owned(), &list.current[..]), (format!("v{}", list.number), &list.content)] {
        fs::write(to.join(&name), content).map_err(|error| cannot(to, error))?;
        files.push(StoredFile { path: name, bytes: content.len() as u64, checksum: xxh3_128(content) });
    }
    for table in list.tables {
        let name = table.path.file_name().unwrap_or_default().to_string_lossy();
        let linked = tables.join(&*name);
        let bytes = fs::metadata(&linked).map_err(|error| cannot(&linked, error))?.len();
        files.push(StoredFile { path: format!("tables/{name}"), bytes, checksum: table.checksum });
    }
    Ok(files)
}

/// Copies the mark of an engine.
pub(super) fn copy_version(dir: &Path, to: &Path) -> Result<StoredFile> {
    let content = read(&dir.join("version"))?;
    fs::write(to.join("version"), &content).map_err(|error| unreadable(to, &error))?;
    Ok(StoredFile { path: "version".into(), bytes: content.len() as u64, checksum: xxh3_128(&content) })
}

fn link_listed(space: &Path, tables: &Path) -> Result<List> {
    let list = read_list(space)?;
    for table in &list.tables {
        let link = tables.join(table.path.file_name().unwrap_or_default());
        match fs::hard_link(&table.path, &link) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(damaged(&table.path, "it is listed and missing"));
            }
            // By an earlier attempt: numbers of tables are never given to others.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                let text = format!(
                    "cannot link {}: {error}; without hard links, stop the program and copy the folder",
                    table.path.display()
                );
                return Err(Error::unavailable(text).with_source(error));
            }
            _ => {}
        }
    }
    Ok(list)
}

/// Makes a space whole that was being made when the power was cut: it is empty.
fn finish(dir: &Path, space: &Path) -> Result<()> {
    let has_list = space.join("current").try_exists();
    if !has_list.map_err(|error| unreadable(space, &error))? {
        let (written, visible) = (SequenceNumberCounter::default(), SequenceNumberCounter::default());
        let made = lsm_tree::Config::new(space, written, visible).open().map(drop);
        made.map_err(|error| damaged(space, &error.to_string()))?;
    }
    making::end(dir).map_err(|error| unreadable(dir, &error))
}

/// What the list of a space names.
fn tables(space: &Path) -> Result<Vec<Listed>> {
    read_list(space).map(|list| list.tables)
}

fn current(space: &Path) -> Result<[u8; CURRENT_BYTES]> {
    let path = space.join("current");
    read(&path)?.try_into().map_err(|_| damaged(&path, "it has another length"))
}

fn read_list(space: &Path) -> Result<List> {
    let current = current(space)?;
    let number = u64::from_le_bytes(current[..8].try_into().expect("8 bytes"));
    let checksum = u128::from_le_bytes(current[8..24].try_into().expect("16 bytes"));
    let list_path = space.join(format!("v{number}"));
    let content = read(&list_path)?;
    if xxh3_128(&content) != checksum || current[24] != 0 {
        return Err(damaged(&list_path, "its checksum, which `current` tells, does not fit"));
    }
    let unknown = || damaged(&list_path, "it has a form that this version does not know");
    let archive = sfa::Reader::from_reader(&mut Cursor::new(&content)).map_err(|_| unknown())?;
    let section = archive.toc().section(b"tables").ok_or_else(unknown)?;
    let bytes = content.get(section.pos() as usize..).and_then(|bytes| bytes.get(..section.len() as usize));
    let found = parse(&mut Fields(bytes.ok_or_else(unknown)?)).ok_or_else(unknown)?;
    let listed = |(number, checksum): (u64, u128)| {
        let path = space.join("tables").join(number.to_string());
        Listed { path, checksum }
    };
    let tables = found.into_iter().map(listed).collect();
    Ok(List { current, number, content, tables })
}

/// Levels of runs of tables, as the engine writes them: number and checksum of each table.
fn parse(fields: &mut Fields<'_>) -> Option<Vec<(u64, u128)>> {
    let mut found = Vec::new();
    for _level in 0..fields.byte()? {
        for _run in 0..fields.byte()? {
            for _table in 0..u32::from_le_bytes(fields.take()?) {
                let number = u64::from_le_bytes(fields.take()?);
                let _checksum_type = fields.byte()?;
                found.push((number, u128::from_le_bytes(fields.take()?)));
                let _sequence: [u8; 8] = fields.take()?;
            }
        }
    }
    fields.0.is_empty().then_some(found)
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }
}

fn verify_table(table: &Listed, progress: &mut dyn FnMut(u64)) -> Result<()> {
    let cannot = |error: io::Error| unreadable(&table.path, &error);
    let mut file = File::open(&table.path).map_err(cannot)?;
    let (mut hash, mut buffer) = (Xxh3::new(), vec![0; READ_BYTES]);
    loop {
        let bytes = file.read(&mut buffer).map_err(cannot)?;
        if bytes == 0 {
            break;
        }
        hash.update(&buffer[..bytes]);
        progress(bytes as u64);
    }
    match hash.digest128() == table.checksum {
        true => Ok(()),
        false => Err(damaged(&table.path, "its checksum does not fit")),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    damaged(path, &error.to_string())
}

fn damaged(path: &Path, reason: &str) -> Error {
    let text = format!("the tables are damaged in {}: {reason}; restore a backup", path.display());
    Error::new(ErrorKind::Internal, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{settings::EngineSettings, table::engine::Engine};
    use bytes::Bytes;
    use store::device::{Space, SpaceRows};

    /// Two spaces, one of them with two tables.
    fn made() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(dir.path(), dir.path(), &EngineSettings::default(), false, true).unwrap();
        for (space, key) in [(Space::Meta, "a"), (Space::Meta, "b"), (Space::Records, "c")] {
            let row = (Bytes::from(key), Some(Bytes::from_static(b"value")));
            engine.ingest(SpaceRows { space, rows: vec![row] }).unwrap();
        }
        dir
    }

    fn files(dir: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn every_flipped_bit_and_every_cut_of_a_list_is_refused() {
        let dir = made();
        check(dir.path()).unwrap();
        let is_list = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy();
            name == "current" || name == "version" || name.starts_with('v')
        };
        // Lists that do not count any more may lie beside those that do.
        let counts = |path: &PathBuf| {
            let whole = fs::read(path).unwrap();
            fs::remove_file(path).unwrap();
            let refused = check(dir.path()).is_err();
            fs::write(path, whole).unwrap();
            refused
        };
        let lists: Vec<PathBuf> = files(dir.path()).into_iter().filter(is_list).filter(counts).collect();
        assert_eq!(lists.len(), 1 + 2 * 3, "{lists:?}");
        for path in lists {
            let whole = fs::read(&path).unwrap();
            for at in 0..whole.len() {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << (at % 8);
                for damaged in [&flipped, &whole[..at]] {
                    fs::write(&path, damaged).unwrap();
                    let refused = check(dir.path()).map_err(|error| error.message).unwrap_err();
                    let folder = path.parent().unwrap().to_string_lossy();
                    assert!(refused.contains(&*folder), "byte {at} of {}: {refused}", path.display());
                }
            }
            fs::write(&path, whole).unwrap();
        }
        check(dir.path()).unwrap();
    }

    #[test]
    fn verifying_names_each_table_that_is_damaged_or_missing() {
        let dir = made();
        assert_eq!(verify(dir.path(), &mut |_| {}).unwrap(), [""; 0]);
        let is_table = |path: &PathBuf| {
            let folder = path.parent().unwrap();
            folder.ends_with("tables") && !folder.parent().unwrap().ends_with("0")
        };
        let tables: Vec<PathBuf> = files(dir.path()).into_iter().filter(is_table).collect();
        assert_eq!(tables.len(), 3);
        for (damaged, path) in tables.iter().enumerate() {
            let mut bytes = fs::read(path).unwrap();
            bytes[damaged * 7] ^= 1;
            fs::write(path, bytes).unwrap();
        }
        fs::remove_file(&tables[0]).unwrap();
        let mut read = 0;
        let found = verify(dir.path(), &mut |bytes| read += bytes).unwrap();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(tables.iter().all(|path| found.iter().any(|found| found.contains(&*path.to_string_lossy()))));
        assert!(read > 0);
    }
}
