//! A disk for tests that forgets what was not synced, tears it sector by sector, and fails when told to.

use crate::disk::{Disk, DiskFile};
use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    thread::{self, ThreadId},
};

const SECTOR: usize = 512;

/// Clones are the same disk.
#[derive(Clone, Default)]
pub(super) struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Names as programs see them.
    names: BTreeMap<PathBuf, u64>,
    /// Names as they are after a power cut.
    durable_names: BTreeMap<PathBuf, u64>,
    files: HashMap<u64, Content>,
    next: u64,
    fail_write: Option<Countdown>,
    fail_sync: Option<Countdown>,
    unreadable: Vec<PathBuf>,
    /// Bytes by which files may still grow, if that is bounded.
    room: Option<u64>,
}

#[derive(Clone, Default)]
struct Content {
    /// As programs read it.
    cached: Vec<u8>,
    /// As it is after a power cut that keeps none of `pending`.
    durable: Vec<u8>,
    /// Written and not synced, sector by sector.
    pending: Vec<(usize, Vec<u8>)>,
}

/// Strikes once, on the thread that planned it, so that the background does not disturb the count.
struct Countdown {
    left: usize,
    thread: ThreadId,
}

impl SimDisk {
    pub fn new() -> SimDisk {
        SimDisk::default()
    }

    /// This thread's `nth` write from now (0 is the next) fails after half of it reached the system.
    pub fn fail_write(&self, nth: usize) {
        self.lock().fail_write = Some(Countdown { left: nth, thread: thread::current().id() });
    }

    /// This thread's `nth` sync from now fails; as a kernel does, the disk then believes that the file is clean.
    pub fn fail_sync(&self, nth: usize) {
        self.lock().fail_sync = Some(Countdown { left: nth, thread: thread::current().id() });
    }

    /// Whether a planned fault has struck.
    pub fn has_struck(&self) -> bool {
        let state = self.lock();
        state.fail_write.is_none() && state.fail_sync.is_none()
    }

    /// The disk after a power cut: each unsynced sector is there or not, by `keep`. Programs go on with the old disk
    /// and do not matter any more.
    pub fn cut_power(&self, mut keep: impl FnMut() -> bool) -> SimDisk {
        let state = self.lock();
        let mut after = State { next: state.next, ..State::default() };
        after.durable_names = state.durable_names.clone();
        after.names = state.durable_names.clone();
        for (number, content) in &state.files {
            let mut durable = content.durable.clone();
            for (at, bytes) in &content.pending {
                if keep() {
                    put(&mut durable, *at, bytes);
                }
            }
            after.files.insert(*number, Content { cached: durable.clone(), durable, pending: Vec::new() });
        }
        SimDisk { state: Arc::new(Mutex::new(after)) }
    }

    /// A copy, to be changed at will.
    pub fn copied(&self) -> SimDisk {
        let state = self.lock();
        let (names, durable_names) = (state.names.clone(), state.durable_names.clone());
        let copy = State { names, durable_names, files: state.files.clone(), next: state.next, ..State::default() };
        SimDisk { state: Arc::new(Mutex::new(copy)) }
    }

    /// Changes a file's bytes behind everybody's back.
    pub fn change(&self, path: &Path, change: impl Fn(&mut Vec<u8>)) {
        let mut state = self.lock();
        let number = state.names[path];
        let content = state.files.get_mut(&number).expect("the file has content");
        change(&mut content.cached);
        change(&mut content.durable);
    }

    pub fn read(&self, path: &Path) -> Vec<u8> {
        let state = self.lock();
        state.files[&state.names[path]].cached.clone()
    }

    /// Removes a file behind everybody's back.
    pub fn lose(&self, path: &Path) {
        let mut state = self.lock();
        state.names.remove(path);
        state.durable_names.remove(path);
    }

    /// From now on reads of this file fail.
    pub fn make_unreadable(&self, path: &Path) {
        self.lock().unreadable.push(path.to_owned());
    }

    /// From now on files can grow by so many bytes in all.
    pub fn set_room(&self, bytes: u64) {
        self.lock().room = Some(bytes);
    }

    pub fn names(&self) -> Vec<PathBuf> {
        self.lock().names.keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let number = *self.lock().names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimFile { disk: self.clone(), path: path.to_owned(), number }))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let number = state.next;
        state.next += 1;
        state.names.insert(path.to_owned(), number);
        state.files.insert(number, Content::default());
        Ok(Arc::new(SimFile { disk: self.clone(), path: path.to_owned(), number }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.lock().names.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        let bytes = self.read(from);
        let file = self.create(to)?;
        file.write_all_at(&bytes, 0)?;
        file.sync_data()
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.lock().names.contains_key(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.lock();
        let below = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(below.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let here: Vec<(PathBuf, u64)> = state.names.iter().map(|(path, number)| (path.clone(), *number)).collect();
        state.durable_names.retain(|path, _| path.parent() != Some(dir));
        state.durable_names.extend(here.into_iter().filter(|(path, _)| path.parent() == Some(dir)));
        Ok(())
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.lock().room.unwrap_or(u64::MAX))
    }
}

struct SimFile {
    disk: SimDisk,
    path: PathBuf,
    number: u64,
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.lock().files[&self.number].cached.len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.disk.lock();
        if state.unreadable.contains(&self.path) {
            return Err(io::Error::other("planned: the medium cannot be read"));
        }
        let from = offset as usize;
        let bytes = state.files[&self.number].cached.get(from..from + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        let fails = strikes(&mut state.fail_write);
        let written = if fails { &bytes[..bytes.len() / 2 / SECTOR * SECTOR] } else { bytes };
        let grows = (offset + written.len() as u64).saturating_sub(state.files[&self.number].cached.len() as u64);
        if let Some(room) = &mut state.room {
            *room = room.checked_sub(grows).ok_or(io::ErrorKind::StorageFull)?;
        }
        let content = state.files.get_mut(&self.number).expect("the file has content");
        put(&mut content.cached, offset as usize, written);
        for (index, sector) in written.chunks(SECTOR).enumerate() {
            content.pending.push((offset as usize + index * SECTOR, sector.to_vec()));
        }
        if fails { Err(io::Error::other("planned: the write failed")) } else { Ok(()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        let fails = strikes(&mut state.fail_sync);
        let content = state.files.get_mut(&self.number).expect("the file has content");
        let pending = std::mem::take(&mut content.pending);
        if fails {
            return Err(io::Error::other("planned: the sync failed"));
        }
        for (at, bytes) in pending {
            put(&mut content.durable, at, &bytes);
        }
        Ok(())
    }
}

fn strikes(countdown: &mut Option<Countdown>) -> bool {
    let Some(Countdown { left, thread }) = countdown else { return false };
    if *thread != thread::current().id() {
        return false;
    }
    if *left > 0 {
        *left -= 1;
        return false;
    }
    *countdown = None;
    true
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if content.len() < at + bytes.len() {
        content.resize(at + bytes.len(), 0);
    }
    content[at..at + bytes.len()].copy_from_slice(bytes);
}
