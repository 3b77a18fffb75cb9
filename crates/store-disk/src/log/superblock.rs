//! `log/super`: which segments are the log, in order. Two copies, written and synced one after the other; the highest
//! that checks wins. See `docs/storage-format.md`, "Log".

use super::record::Place;
use crate::{
    disk::{Disk, DiskFile},
    settings::LISTED_SEGMENTS,
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use xxhash_rust::xxh3::xxh3_64;

pub(crate) const SUPER_NAMES: [&str; 2] = ["super-a", "super-b"];

pub(crate) const SUPER_BYTES: usize = 4096;
pub(crate) const CHECKED_BYTES: usize = SUPER_BYTES - 8;
pub(crate) const MAGIC: [u8; 8] = *b"SBKSUPER";
const FORMAT_VERSION: u32 = 1;
const ENTRIES_AT: usize = 40;
const ENTRY_BYTES: usize = 32;
const READY_AT: usize = ENTRIES_AT + ENTRY_BYTES * LISTED_SEGMENTS;

/// What both copies say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Super {
    /// Grows with each write.
    pub sequence: u64,
    pub store_id: u64,
    /// Above every generation ever given out.
    pub next_generation: u64,
    /// The log, in order.
    pub live: Vec<Entry>,
    /// Files that are all zeros and have not been written since.
    pub ready: Vec<u32>,
}

/// A segment of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    /// The number in the file's name.
    pub slot: u32,
    /// The file's length in sectors.
    pub sectors: u32,
    pub generation: u64,
    pub salt: u64,
    /// The number of the segment's first record.
    pub first_batch: u64,
}

impl Entry {
    pub fn place(&self, store_id: u64, offset: u64) -> Place {
        Place { store_id, generation: self.generation, salt: self.salt, offset }
    }
}

/// The two copies on disk.
pub(crate) struct SuperFiles {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    copies: [Option<Arc<dyn DiskFile>>; 2],
}

/// What opening the copies found.
pub(crate) enum Found {
    /// Neither file exists.
    Nothing,
    /// The highest copy that checks.
    Newest(Super),
    /// There are files, and none of them checks.
    Damaged(String),
}

impl SuperFiles {
    /// Reads both copies. One that is missing or does not check is made anew by the next write.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> (SuperFiles, Found) {
        let mut files = SuperFiles { disk, dir: dir.to_owned(), copies: [None, None] };
        let mut newest: Option<Super> = None;
        let mut reasons = Vec::new();
        for (copy, name) in SUPER_NAMES.iter().enumerate() {
            match read_copy(&*files.disk, &dir.join(name)) {
                Ok((file, read)) => {
                    files.copies[copy] = Some(file);
                    newest = newest.filter(|best| best.sequence >= read.sequence).or(Some(read));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => reasons.push(format!("{name} is missing")),
                Err(error) => reasons.push(format!("{name}: {error}")),
            }
        }
        let any_file = SUPER_NAMES.iter().any(|name| files.disk.exists(&dir.join(name)).unwrap_or(true));
        let found = match newest {
            Some(newest) => {
                for reason in &reasons {
                    tracing::warn!(reason, "one copy of the log's super is unusable; the other one is used");
                }
                Found::Newest(newest)
            }
            None if any_file => Found::Damaged(reasons.join(", ")),
            None => Found::Nothing,
        };
        (files, found)
    }

    /// Writes and syncs one copy after the other. After an error either the old or the new content is what a start
    /// finds; the copy that failed is never synced again, but replaced by a new file.
    pub fn write(&mut self, content: &Super) -> io::Result<()> {
        let bytes = encode(content);
        // A copy without a file goes first: the only good copy is not overwritten while there is no other.
        let order = if self.copies[0].is_some() && self.copies[1].is_none() { [1, 0] } else { [0, 1] };
        for copy in order {
            self.write_copy(copy, &bytes)?;
        }
        Ok(())
    }

    fn write_copy(&mut self, copy: usize, bytes: &[u8]) -> io::Result<()> {
        let file = self.copies[copy].take();
        let is_new = file.is_none();
        let file = match file {
            Some(file) => file,
            None => self.replace_file(&self.dir.join(SUPER_NAMES[copy]))?,
        };
        file.write_all_at(bytes, 0)?;
        file.sync_data()?;
        if is_new {
            self.disk.sync_dir(&self.dir)?;
        }
        self.copies[copy] = Some(file);
        Ok(())
    }

    fn replace_file(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        if self.disk.exists(path)? {
            self.disk.remove(path)?;
        }
        self.disk.create(path)
    }
}

fn read_copy(disk: &dyn Disk, path: &Path) -> io::Result<(Arc<dyn DiskFile>, Super)> {
    let file = disk.open(path)?;
    let mut bytes = vec![0; SUPER_BYTES];
    file.read_exact_at(&mut bytes, 0)?;
    let content = decode(&bytes).map_err(|reason| io::Error::new(io::ErrorKind::InvalidData, reason))?;
    Ok((file, content))
}

/// A copy, as it is written.
pub(crate) fn encode(content: &Super) -> Vec<u8> {
    let mut bytes = vec![0; SUPER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes[12..14].copy_from_slice(&(content.live.len() as u16).to_le_bytes());
    bytes[14..16].copy_from_slice(&(content.ready.len() as u16).to_le_bytes());
    for (number, at) in [(content.sequence, 16), (content.store_id, 24), (content.next_generation, 32)] {
        bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
    }
    for (entry, field) in content.live.iter().zip(bytes[ENTRIES_AT..READY_AT].chunks_exact_mut(ENTRY_BYTES)) {
        field[..4].copy_from_slice(&entry.slot.to_le_bytes());
        field[4..8].copy_from_slice(&entry.sectors.to_le_bytes());
        field[8..16].copy_from_slice(&entry.generation.to_le_bytes());
        field[16..24].copy_from_slice(&entry.salt.to_le_bytes());
        field[24..32].copy_from_slice(&entry.first_batch.to_le_bytes());
    }
    for (slot, field) in content.ready.iter().zip(bytes[READY_AT..CHECKED_BYTES].chunks_exact_mut(4)) {
        field.copy_from_slice(&slot.to_le_bytes());
    }
    let checksum = xxh3_64(&bytes[..CHECKED_BYTES]);
    bytes[CHECKED_BYTES..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// A copy of [`SUPER_BYTES`]; an error says what is wrong with it.
pub(crate) fn decode(bytes: &[u8]) -> Result<Super, String> {
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    let half = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
    let count = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    if bytes[..8] != MAGIC {
        return Err("not a super of a log".into());
    }
    if number(CHECKED_BYTES) != xxh3_64(&bytes[..CHECKED_BYTES]) {
        return Err("its checksum does not fit".into());
    }
    if half(8) != FORMAT_VERSION {
        return Err(format!("format version {} is unknown", half(8)));
    }
    let (live, ready) = (count(12), count(14));
    if live > LISTED_SEGMENTS || ready > LISTED_SEGMENTS {
        return Err("it lists more segments than it can hold".into());
    }
    let entry = |at: usize| Entry {
        slot: half(at),
        sectors: half(at + 4),
        generation: number(at + 8),
        salt: number(at + 16),
        first_batch: number(at + 24),
    };
    Ok(Super {
        sequence: number(16),
        store_id: number(24),
        next_generation: number(32),
        live: (0..live).map(|index| entry(ENTRIES_AT + ENTRY_BYTES * index)).collect(),
        ready: (0..ready).map(|index| half(READY_AT + 4 * index)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_super_comes_back_and_any_flipped_byte_is_noticed() {
        let entry =
            |slot: u32| Entry { slot, sectors: 9, generation: 1 << slot.min(60), salt: 3, first_batch: u64::MAX };
        let count = LISTED_SEGMENTS as u32;
        let live = (0..count).map(entry).collect();
        let full = Super { sequence: 5, store_id: 6, next_generation: 7, live, ready: (0..count).collect() };
        let bytes = encode(&full);
        assert_eq!(decode(&bytes), Ok(full));
        for at in 0..SUPER_BYTES {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            assert!(decode(&flipped).is_err(), "byte {at}");
        }
    }
}
