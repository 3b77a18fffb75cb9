//! A file of zeros that keeps room back. When the disk is full it is given up, so that what was acknowledged can still
//! be flushed; from then on nothing new is accepted, until there is room for it again.
//!
//! Its length is the room that it holds: zeros are really written, because a length alone takes no room. Who owns the
//! table's writes lays it, a piece at a time, when nothing waits to be written: earlier it would take the room from just
//! those writes.

use crate::{
    disk::is_storage_full,
    settings::{BALLAST_LAST_BYTES, BALLAST_PIECE_BYTES, ZERO_PIECE_BYTES},
};
use std::{
    fs::OpenOptions,
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

const NAME: &str = "ballast";

/// How much room the disk has, in bytes.
pub(crate) type FreeBytes = Box<dyn Fn() -> io::Result<u64> + Send + Sync>;

/// What is kept back in one data folder.
pub(crate) struct Ballast {
    dir: PathBuf,
    bytes: u64,
    free_bytes: FreeBytes,
    full: AtomicBool,
    /// Held while the file changes.
    changing: Mutex<()>,
}

/// How much of the ballast is given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Release {
    /// All but the last part.
    Most,
    /// All of it: for the small writes that end a flush or a start.
    All,
}

impl Ballast {
    /// The ballast of `dir`, to be as large as `bytes`. The disk counts as full from the start if it is not, and there is
    /// no room for what is missing.
    pub fn open(dir: &Path, bytes: u64, free_bytes: FreeBytes) -> io::Result<Ballast> {
        let (full, changing) = (AtomicBool::new(false), Mutex::new(()));
        let ballast = Ballast { dir: dir.to_owned(), bytes, free_bytes, full, changing };
        let held = ballast.held()?;
        if held < bytes && !ballast.has_room_for(bytes - held)? {
            ballast.set_full();
        }
        Ok(ballast)
    }

    /// The disk is full: gives room back, if some is left.
    pub fn release(&self, how: Release) {
        self.set_full();
        let kept = if how == Release::All { 0 } else { BALLAST_LAST_BYTES };
        if let Err(error) = self.shorten(kept) {
            tracing::error!(%error, "the ballast could not be given up");
        }
    }

    /// Whether the disk is full: a write found no room, or there was none for the ballast, and it is not laid again yet.
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::SeqCst)
    }

    /// Lays a piece of what is missing, if there is room for all of that; whether there is more to do at once.
    pub fn keep(&self) -> io::Result<bool> {
        let held = self.held()?;
        if held >= self.bytes {
            self.shorten(self.bytes)?;
            if self.full.swap(false, Ordering::SeqCst) {
                tracing::info!("the disk has room again");
            }
            return Ok(false);
        }
        let laid = match self.has_room_for(self.bytes - held)? {
            true => self.lengthen((self.bytes - held).min(BALLAST_PIECE_BYTES)),
            false => Err(io::ErrorKind::StorageFull.into()),
        };
        match laid {
            Err(error) if is_storage_full(&error) => {
                self.set_full();
                Ok(false)
            }
            laid => laid.map(|()| true),
        }
    }

    fn set_full(&self) {
        if !self.full.swap(true, Ordering::SeqCst) {
            tracing::error!("the disk is full: nothing new is taken until there is room for the ballast again");
        }
    }

    /// Whether there is room for so much and a quarter of the ballast: otherwise the next flush would end it again.
    fn has_room_for(&self, bytes: u64) -> io::Result<bool> {
        Ok((self.free_bytes)()? >= bytes + self.bytes / 4)
    }

    fn held(&self) -> io::Result<u64> {
        match std::fs::metadata(self.path()) {
            Ok(file) => Ok(file.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn shorten(&self, bytes: u64) -> io::Result<()> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.held()? <= bytes {
            return Ok(());
        }
        let file = OpenOptions::new().write(true).open(self.path())?;
        file.set_len(bytes)?;
        file.sync_all()
    }

    fn lengthen(&self, bytes: u64) -> io::Result<()> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(self.path())?;
        file.seek(SeekFrom::End(0))?;
        let zeros = vec![0; ZERO_PIECE_BYTES];
        let mut left = bytes;
        while left > 0 {
            let piece = left.min(zeros.len() as u64);
            file.write_all(&zeros[..piece as usize])?;
            left -= piece;
        }
        file.sync_all()
    }

    fn path(&self) -> PathBuf {
        self.dir.join(NAME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        sync::{Arc, atomic::AtomicU64},
    };

    const BYTES: u64 = 24 << 20;

    struct Disk {
        dir: tempfile::TempDir,
        free: Arc<AtomicU64>,
    }

    impl Disk {
        fn with_room(bytes: u64) -> Disk {
            Disk { dir: tempfile::tempdir().unwrap(), free: Arc::new(AtomicU64::new(bytes)) }
        }

        fn open(&self) -> Ballast {
            let free = self.free.clone();
            Ballast::open(self.dir.path(), BYTES, Box::new(move || Ok(free.load(Ordering::SeqCst)))).unwrap()
        }

        fn held(&self) -> u64 {
            fs::metadata(self.dir.path().join(NAME)).map_or(0, |file| file.len())
        }
    }

    fn lay(ballast: &Ballast) {
        while ballast.keep().unwrap() {}
    }

    #[test]
    fn a_full_disk_gets_the_ballast_and_is_full_until_it_is_laid_again() {
        let disk = Disk::with_room(2 * BYTES);
        let ballast = disk.open();
        lay(&ballast);
        assert!(!ballast.is_full() && disk.held() == BYTES);
        disk.free.store(0, Ordering::SeqCst);
        ballast.release(Release::Most);
        assert!(ballast.is_full() && disk.held() == BALLAST_LAST_BYTES);
        lay(&ballast);
        assert!(ballast.is_full(), "there is no room yet");
        ballast.release(Release::All);
        assert_eq!(disk.held(), 0);
        disk.free.store(2 * BYTES, Ordering::SeqCst);
        lay(&ballast);
        assert!(!ballast.is_full() && disk.held() == BYTES);
    }

    #[test]
    fn without_room_for_the_ballast_the_disk_counts_as_full_from_the_start() {
        let disk = Disk::with_room(BYTES + BYTES / 8);
        let ballast = disk.open();
        assert!(ballast.is_full());
        lay(&ballast);
        assert!(ballast.is_full() && disk.held() == 0);
    }

    #[test]
    fn what_a_kill_left_half_laid_is_finished_and_what_is_too_long_shortened() {
        let disk = Disk::with_room(2 * BYTES);
        for length in [4096, 2 * BYTES as usize] {
            fs::write(disk.dir.path().join(NAME), vec![0; length]).unwrap();
            let ballast = disk.open();
            lay(&ballast);
            assert!(!ballast.is_full() && disk.held() == BYTES);
        }
    }
}
