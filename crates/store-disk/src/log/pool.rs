//! The files of the log that hold no needed record: zeroed ones, ready for use, and the thread that zeroes the others
//! (`store.md` §1). A file is ready only when each of its bytes was read or written as zero and then synced.

use crate::{
    disk::{Disk, DiskFile, is_storage_full},
    settings::{CREATE_SYNC_BYTES, LISTED_SEGMENTS, RETRY_AFTER, ZERO_PIECE_BYTES},
};
use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::JoinHandle,
    time::Duration,
};

/// A file of the log.
#[derive(Clone)]
pub(crate) struct SegmentFile {
    pub slot: u32,
    pub file: Arc<dyn DiskFile>,
}

/// The name of a segment's file.
pub(crate) fn segment_path(dir: &Path, slot: u32) -> PathBuf {
    dir.join(format!("segment-{slot:04}"))
}

/// The slot that a file's name tells, if it is a segment.
pub(crate) fn slot_of_name(name: &str) -> Option<u32> {
    name.strip_prefix("segment-")?.parse().ok()
}

/// What the pool is made from.
pub(crate) struct PoolSettings {
    pub dir: PathBuf,
    pub segment_bytes: u64,
    /// How many files there shall be, those in use included.
    pub files: usize,
}

/// The ready files and the thread that makes more.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    worker: Option<JoinHandle<()>>,
}

struct Shared {
    disk: Arc<dyn Disk>,
    settings: PoolSettings,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ready: VecDeque<SegmentFile>,
    dirty: VecDeque<u32>,
    files: usize,
    next_slot: u32,
    /// A file is being zeroed or removed.
    at_work: bool,
    stopping: bool,
}

enum Task {
    Zero(u32),
    Remove(u32),
    Create(u32),
}

impl Pool {
    /// A pool over the files `slots`, of which `in_use` belong to the log and `ready` are known to be zeros. Nothing is
    /// touched before [`Pool::start`]: while a log may be damaged, every file is evidence.
    pub fn new(disk: Arc<dyn Disk>, settings: PoolSettings, slots: &[u32], in_use: &[u32], ready: &[u32]) -> Pool {
        let mut state = State { files: slots.len(), ..State::default() };
        state.next_slot = slots.iter().chain(in_use).max().map_or(0, |last| last + 1);
        for slot in slots.iter().filter(|slot| !in_use.contains(slot)) {
            let path = segment_path(&settings.dir, *slot);
            match ready.contains(slot).then(|| disk.open(&path)) {
                Some(Ok(file)) if file.len().is_ok_and(|bytes| bytes == settings.segment_bytes) => {
                    state.ready.push_back(SegmentFile { slot: *slot, file });
                }
                _ => state.dirty.push_back(*slot),
            }
        }
        let shared = Shared { disk, settings, state: Mutex::new(state), changed: Condvar::new() };
        Pool { shared: Arc::new(shared), worker: None }
    }

    /// Starts the thread that zeroes, makes and removes files.
    pub fn start(&mut self) -> io::Result<()> {
        if self.worker.is_none() {
            let shared = self.shared.clone();
            let thread = std::thread::Builder::new().name("log-zeroing".into());
            self.worker = Some(thread.spawn(move || shared.work())?);
        }
        Ok(())
    }

    /// A file of zeros; waits for one at most `patience`.
    pub fn take(&self, patience: Duration) -> Option<SegmentFile> {
        self.wait_for_ready(patience).ready.pop_front()
    }

    /// Waits until a file is ready, at most `patience`.
    pub fn wait_until_ready(&self, patience: Duration) {
        drop(self.wait_for_ready(patience));
    }

    /// A file of zeros, made on the spot if none is ready; from a used one first, which needs no room. Where there is no
    /// room for a new one either, it waits for what the background is at, at most `patience`.
    pub fn take_or_make(&self, patience: Duration) -> io::Result<SegmentFile> {
        loop {
            if let Some(segment) = self.take(Duration::ZERO) {
                return Ok(segment);
            }
            let Some(slot) = self.shared.lock().dirty.pop_front() else { break };
            match self.shared.zero(slot) {
                Ok(Some(segment)) => return Ok(segment),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, slot, "a used file of the log cannot be used again"),
            }
            self.abandon(slot);
        }
        let slot = self.shared.lock().new_slot();
        match self.shared.create(slot) {
            Ok(segment) => Ok(segment),
            Err(error) => {
                self.abandon(slot);
                let wait = is_storage_full(&error) && self.shared.lock().at_work;
                wait.then(|| self.take(patience)).flatten().ok_or(error)
            }
        }
    }

    /// Takes back a file that may hold records which nobody needs.
    pub fn recycle(&self, slot: u32) {
        self.shared.lock().dirty.push_back(slot);
        self.shared.changed.notify_all();
    }

    /// Removes a file whose write or sync failed: it is never believed again, a new one takes its place.
    pub fn abandon(&self, slot: u32) {
        match self.shared.disk.remove(&segment_path(&self.shared.settings.dir, slot)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, slot, "a file of the log whose write failed could not be removed"),
        }
        self.shared.lock().files -= 1;
        self.shared.changed.notify_all();
    }

    /// The slots that are ready now: what `super` may promise.
    pub fn ready_slots(&self) -> Vec<u32> {
        self.shared.lock().ready.iter().map(|segment| segment.slot).take(LISTED_SEGMENTS).collect()
    }

    /// Whether no file is left that may hold records which nobody needs.
    pub fn is_clean(&self) -> bool {
        let state = self.shared.lock();
        state.dirty.is_empty() && !state.at_work
    }

    fn wait_for_ready(&self, patience: Duration) -> MutexGuard<'_, State> {
        let state = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(state, patience, |state| state.ready.is_empty());
        waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
        if let Some(worker) = self.worker.take()
            && worker.join().is_err()
        {
            tracing::error!("the thread that zeroes the log's files panicked");
        }
    }
}

impl State {
    fn new_slot(&mut self) -> u32 {
        self.next_slot += 1;
        self.files += 1;
        self.next_slot - 1
    }

    fn next_task(&mut self, files: usize) -> Option<Task> {
        if let Some(slot) = self.dirty.pop_front() {
            return Some(if self.files > files { Task::Remove(slot) } else { Task::Zero(slot) });
        }
        (self.files < files).then(|| Task::Create(self.new_slot()))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn work(&self) {
        while let Some(task) = self.wait_for_task() {
            let performed = self.perform(&task);
            self.lock().at_work = false;
            if let Err(error) = performed {
                // A file that is being filled when the log closes is given up: that is no failure.
                if error.kind() == io::ErrorKind::Interrupted && self.lock().stopping {
                    tracing::debug!(%error, "a file that was being prepared is given up");
                    continue;
                }
                tracing::warn!(%error, "the log could not prepare a file; it will try again");
                self.pause();
            }
        }
    }

    fn wait_for_task(&self) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if state.stopping {
                return None;
            }
            if let Some(task) = state.next_task(self.settings.files) {
                state.at_work = !matches!(task, Task::Create(_));
                return Some(task);
            }
            state = self.changed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// Waits [`RETRY_AFTER`], or until the pool ends.
    fn pause(&self) {
        let state = self.lock();
        drop(self.changed.wait_timeout_while(state, RETRY_AFTER, |state| !state.stopping));
    }

    fn perform(&self, task: &Task) -> io::Result<()> {
        match *task {
            Task::Zero(slot) => match self.zero(slot) {
                Ok(Some(segment)) => self.offer(segment),
                Ok(None) => return self.discard(slot, None),
                // Given up in the middle: it stays as it is.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
                Err(error) => return self.discard(slot, Some(error)),
            },
            Task::Remove(slot) => return self.discard(slot, None),
            Task::Create(slot) => match self.create(slot) {
                Ok(segment) => self.offer(segment),
                Err(error) => return self.discard(slot, Some(error)),
            },
        }
        Ok(())
    }

    fn offer(&self, segment: SegmentFile) {
        self.lock().ready.push_back(segment);
        self.changed.notify_all();
    }

    /// Removes a file, after `error` if there was one; the pool makes another when it has too few.
    fn discard(&self, slot: u32, error: Option<io::Error>) -> io::Result<()> {
        let path = segment_path(&self.settings.dir, slot);
        let removed = if self.disk.exists(&path)? { self.disk.remove(&path) } else { Ok(()) };
        self.lock().files -= 1;
        error.map_or(removed, Err)
    }

    /// Overwrites a used file with zeros, piece by piece, each synced so that appends never wait behind many. Pieces that
    /// are zeros already are only read. None if it does not have the length of a segment.
    fn zero(&self, slot: u32) -> io::Result<Option<SegmentFile>> {
        let file = self.disk.open(&segment_path(&self.settings.dir, slot))?;
        if file.len()? != self.settings.segment_bytes {
            tracing::info!(slot, "a file of the log was left half made, as by a kill; another one takes its place");
            return Ok(None);
        }
        let (zeros, mut piece) = (vec![0; ZERO_PIECE_BYTES], vec![0; ZERO_PIECE_BYTES]);
        for (offset, bytes) in self.pieces() {
            self.go_on()?;
            file.read_exact_at(&mut piece[..bytes], offset)?;
            if piece[..bytes] != zeros[..bytes] {
                file.write_all_at(&zeros[..bytes], offset)?;
                file.sync_data()?;
            }
        }
        file.sync_data()?;
        Ok(Some(SegmentFile { slot, file }))
    }

    /// Makes a file and fills it with zeros: a length alone would let space run out inside, and syncs write metadata.
    fn create(&self, slot: u32) -> io::Result<SegmentFile> {
        // Tried all the same, it would take the last room from others for nothing.
        if self.disk.free_bytes(&self.settings.dir)? < self.settings.segment_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = self.disk.create(&segment_path(&self.settings.dir, slot))?;
        let zeros = vec![0; ZERO_PIECE_BYTES];
        for (offset, bytes) in self.pieces() {
            self.go_on()?;
            file.write_all_at(&zeros[..bytes], offset)?;
            if offset % CREATE_SYNC_BYTES == 0 {
                file.sync_data()?;
            }
        }
        file.sync_data()?;
        self.disk.sync_dir(&self.settings.dir)?;
        Ok(SegmentFile { slot, file })
    }

    /// A file that is being filled when the pool ends is given up.
    fn go_on(&self) -> io::Result<()> {
        match self.lock().stopping {
            true => Err(io::Error::new(io::ErrorKind::Interrupted, "the log is closing")),
            false => Ok(()),
        }
    }

    fn pieces(&self) -> impl Iterator<Item = (u64, usize)> + use<> {
        let end = self.settings.segment_bytes;
        let piece = ZERO_PIECE_BYTES as u64;
        (0..end).step_by(ZERO_PIECE_BYTES).map(move |offset| (offset, piece.min(end - offset) as usize))
    }
}
