//! What happens when the log is damaged: the files are copied aside, the place is named, and the start is refused, or
//! goes on if the operator accepted exactly this loss.

use super::{
    pool::segment_path,
    scan::{Damage, Scan},
    superblock::{Entry, SUPER_NAMES},
};
use crate::disk::Disk;
use model::{Error, ErrorKind};
use std::{
    io,
    path::{Path, PathBuf},
};

/// What was lost when the log went on past damage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loss {
    /// The first batch that is lost.
    pub from_batch: u64,
    /// How many batches could still be seen at or after it; they are lost too, because they follow a hole.
    pub seen: u64,
    /// The last of these.
    pub last_seen: Option<u64>,
    /// Where the log is damaged, and how.
    pub place: String,
}

/// Where the log lives and where damaged files are copied to.
pub(super) struct Scene<'a> {
    pub disk: &'a dyn Disk,
    pub dir: &'a Path,
    pub quarantine: &'a Path,
    pub store_id: u64,
}

impl Scene<'_> {
    /// Names the damage in the segment `live[index]`, after copying the files aside. `Ok` if this loss was accepted.
    pub fn judge(&self, damage: &Damage, live: &[Entry], index: usize, accepted: Option<u64>) -> Result<Loss, Error> {
        let path = segment_path(self.dir, live[index].slot);
        let place = format!("{} at offset {}: {}", path.display(), damage.offset, damage.reason);
        let copied = self.copy_aside(&live[index..]);
        if accepted == Some(damage.batch) {
            return Ok(self.loss(damage, live, index, place));
        }
        let batch = damage.batch;
        let advice = format!(
            "batch {batch} and what follows cannot be read; restore a backup, or start once with --accept-loss {batch}"
        );
        Err(Error::new(ErrorKind::Internal, format!("the log is damaged in {place}; {copied}; {advice}")))
    }

    /// Names the damage of `super` itself, after copying the files aside: nothing can be accepted here.
    pub fn judge_super(&self, reason: &str) -> Error {
        let dir = self.dir.display();
        let copied = self.copy_aside(&[]);
        let text = format!("the log in {dir} has no usable super ({reason}): restore a backup; {copied}");
        Error::new(ErrorKind::Internal, text)
    }

    fn loss(&self, damage: &Damage, live: &[Entry], index: usize, place: String) -> Loss {
        let (mut seen, mut last_seen) = (0, None);
        for entry in &live[index..] {
            let scan = Scan { store_id: self.store_id, entry, until: None };
            if let Ok(file) = self.disk.open(&segment_path(self.dir, entry.slot)) {
                let (count, last) = scan.count_from(file, damage.batch);
                (seen, last_seen) = (seen + count, last_seen.max(last));
            }
        }
        Loss { from_batch: damage.batch, seen, last_seen, place }
    }

    /// Copies both supers and these segments; tells where to, or why not.
    fn copy_aside(&self, segments: &[Entry]) -> String {
        let supers = SUPER_NAMES.iter().map(|name| (self.dir.join(name), (*name).to_owned()));
        let segments = segments.iter().map(|entry| {
            let path = segment_path(self.dir, entry.slot);
            let name = format!("segment-{:04}-generation-{}", entry.slot, entry.generation);
            (path, name)
        });
        let files: Vec<(PathBuf, String)> = supers.chain(segments).collect();
        match self.copy_files(&files) {
            Ok(()) => format!("its files are copied to {}", self.quarantine.display()),
            Err(error) => format!("its files could not all be copied to {} ({error})", self.quarantine.display()),
        }
    }

    /// Each file once: a program that is started again and again must not fill the disk with copies.
    fn copy_files(&self, files: &[(PathBuf, String)]) -> io::Result<()> {
        for (path, name) in files {
            let copy = self.quarantine.join(name);
            if self.disk.exists(path)? && !self.disk.exists(&copy)? {
                self.disk.copy(path, &copy)?;
            }
        }
        Ok(())
    }
}
