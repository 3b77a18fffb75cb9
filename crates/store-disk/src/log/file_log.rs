//! The log's life: open, replay, rewrite, then append and free.

use super::{
    damage::{Loss, Scene},
    pool::{Pool, PoolSettings, SegmentFile, segment_path, slot_of_name},
    record::{self, SECTOR_BYTES},
    scan::{Damage, Scan, Stop},
    superblock::{Entry, Found, Super, SuperFiles},
};
use crate::{
    ballast::{Ballast, Release},
    disk::{Disk, DiskFile, RealDisk, is_storage_full},
    settings::{FileLogSettings, LISTED_SEGMENTS, RECORD_BODY_BYTES, SEGMENT_BYTES_MOST},
};
use model::{Error, ErrorKind, Result};
use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use store::device::{AppendError, Log, LogRecord};

/// Bytes that a rewrite gathers before it writes them.
const REWRITE_PIECE_BYTES: usize = 1 << 20;

/// A [`Log`] in files of one directory.
pub struct FileLog {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    quarantine: PathBuf,
    settings: FileLogSettings,
    store_id: u64,
    stage: Stage,
    supers: SuperFiles,
    sequence: u64,
    next_generation: u64,
    live: Vec<Entry>,
    /// Named by a `super` of which nobody knows whether it is durable: not touched before the next one is.
    held: Vec<u32>,
    /// The last live segment, and where its next record goes.
    current: Option<(Arc<dyn DiskFile>, u64)>,
    sizes: Sizes,
    pool: Pool,
    buffer: Vec<u8>,
    loss: Option<Loss>,
    ballast: Option<Arc<Ballast>>,
}

/// `replay`, then `rewrite`, then appends until one is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Opened,
    Replayed,
    Ready,
    Unknown,
}

impl FileLog {
    /// Opens the log in `dir`, which exists. `create` says that the store is new: then an empty directory becomes an
    /// empty log, otherwise it is a loss. Damaged files are copied to `quarantine`.
    pub fn open(
        dir: &Path,
        quarantine: &Path,
        store_id: u64,
        create: bool,
        settings: FileLogSettings,
    ) -> Result<FileLog> {
        FileLog::open_on(Arc::new(RealDisk), dir, quarantine, store_id, create, settings)
    }

    pub(super) fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        quarantine: &Path,
        store_id: u64,
        create: bool,
        settings: FileLogSettings,
    ) -> Result<FileLog> {
        check_settings(&settings)?;
        let names = disk.list(dir).map_err(|error| cannot("list the log's directory", dir, error))?;
        let slots: Vec<u32> = names.iter().filter_map(|name| slot_of_name(name)).collect();
        let (mut supers, found) = SuperFiles::open(disk.clone(), dir);
        let scene = Scene { disk: &*disk, dir, quarantine, store_id };
        let content = match found {
            Found::Newest(content) if content.store_id == store_id => content,
            Found::Newest(content) => {
                let text = format!("it belongs to store {:016x}, not {store_id:016x}", content.store_id);
                return Err(scene.judge_super(&text));
            }
            // A new store's first `super` may have been cut off: nobody was answered before both copies were there.
            Found::Nothing | Found::Damaged(_) if create && slots.is_empty() => {
                let empty = empty(store_id);
                supers.write(&empty).map_err(|error| cannot("create the log in", dir, error))?;
                empty
            }
            Found::Nothing => return Err(scene.judge_super("both copies are missing")),
            Found::Damaged(reason) => return Err(scene.judge_super(&reason)),
        };
        let in_use: Vec<u32> = content.live.iter().map(|entry| entry.slot).collect();
        let files = settings.segments + settings.reserve;
        let pool_settings = PoolSettings { dir: dir.to_owned(), segment_bytes: settings.segment_bytes, files };
        let pool = Pool::new(disk.clone(), pool_settings, &slots, &in_use, &content.ready);
        Ok(FileLog {
            disk,
            dir: dir.to_owned(),
            quarantine: quarantine.to_owned(),
            settings,
            store_id,
            stage: Stage::Opened,
            supers,
            sequence: content.sequence,
            next_generation: content.next_generation,
            live: content.live,
            held: Vec::new(),
            current: None,
            sizes: Sizes::default(),
            pool,
            buffer: Vec::new(),
            loss: None,
            ballast: None,
        })
    }

    /// The same with a ballast, which is given up when a rewrite finds no room.
    pub(crate) fn with_ballast(mut self, ballast: Arc<Ballast>) -> FileLog {
        self.ballast = Some(ballast);
        self
    }

    /// What the replay left out, if damage was accepted.
    pub fn loss(&self) -> Option<&Loss> {
        self.loss.as_ref()
    }
}

/// Makes the log of a store whose tables have everything: an empty one, in a directory that has none or such a one.
pub(crate) fn make_empty(dir: &Path, store_id: u64) -> io::Result<()> {
    let (mut supers, _) = SuperFiles::open(Arc::new(RealDisk), dir);
    supers.write(&empty(store_id))
}

fn empty(store_id: u64) -> Super {
    Super { sequence: 1, store_id, next_generation: 1, live: Vec::new(), ready: Vec::new() }
}

impl Log for FileLog {
    fn append(&mut self, record: &LogRecord) -> Result<(), AppendError> {
        self.check_append(record).map_err(AppendError::Refused)?;
        let bytes = record::padded_bytes(record.body.len()) as u64;
        let fits = self.current.as_ref().is_some_and(|(_, offset)| offset + bytes <= self.settings.segment_bytes);
        if !fits {
            self.next_segment(record.batch)?;
        }
        if let Err(error) = self.write_and_sync(record) {
            self.stage = Stage::Unknown;
            return Err(AppendError::Unknown(cannot("append to the log", &self.dir, error)));
        }
        self.sizes.push(record.batch, bytes);
        Ok(())
    }

    fn replay(&mut self, after: u64, visit: &mut dyn FnMut(LogRecord) -> Result<()>) -> Result<()> {
        if self.stage != Stage::Opened {
            return Err(Error::internal("the log was already replayed"));
        }
        for index in 0..self.live.len() {
            let mut visit_later = |record: LogRecord| if record.batch > after { visit(record) } else { Ok(()) };
            match self.scan(index, &mut visit_later) {
                Ok(()) => {}
                Err(Stop::Visitor(error)) => return Err(error),
                Err(Stop::Damage(damage)) => {
                    self.accept(&damage, index)?;
                    break;
                }
            }
        }
        self.stage = Stage::Replayed;
        Ok(())
    }

    fn rewrite(&mut self, records: &mut dyn Iterator<Item = LogRecord>) -> Result<()> {
        if self.stage == Stage::Opened {
            return Err(Error::internal("the log must be replayed before it is rewritten"));
        }
        self.pool.start().map_err(|error| cannot("start the thread that zeroes files of", &self.dir, error))?;
        let mut fresh = Fresh::default();
        let written = self.write_fresh(records, &mut fresh);
        if let Err(error) = written {
            fresh.segments.iter().for_each(|(_, segment)| self.pool.abandon(segment.slot));
            return Err(error);
        }
        self.switch_to(fresh)?;
        self.pool.wait_until_ready(self.settings.segment_patience);
        Ok(())
    }

    fn free(&mut self, upto: u64) {
        self.sizes.free(upto);
        let done = self.live.windows(2).take_while(|pair| pair[1].first_batch <= upto.saturating_add(1)).count();
        if done == 0 || self.stage != Stage::Ready {
            return;
        }
        let kept = self.live[done..].to_vec();
        match self.write_super(&kept) {
            Ok(()) => {
                self.live.drain(..done).for_each(|entry| self.pool.recycle(entry.slot));
            }
            // Both the old list and the new one are true logs; the next free or segment tries again.
            Err(error) => tracing::warn!(%error, "the log could not give back segments; it will try again"),
        }
    }

    fn is_scrubbed(&self) -> bool {
        self.held.is_empty() && self.pool.is_clean()
    }

    fn live_bytes(&self) -> u64 {
        self.sizes.total
    }
}

impl FileLog {
    fn check_append(&self, record: &LogRecord) -> Result<()> {
        if self.stage != Stage::Ready {
            return Err(Error::unavailable("the log must be rewritten before it takes more; nothing was written"));
        }
        self.check_record(self.sizes.last, record)
    }

    fn check_record(&self, last: Option<u64>, record: &LogRecord) -> Result<()> {
        let bytes = record.body.len();
        if bytes > RECORD_BODY_BYTES || record::padded_bytes(bytes) as u64 > self.settings.segment_bytes {
            return Err(Error::new(ErrorKind::TooLarge, format!("a batch of {bytes} bytes does not fit the log")));
        }
        match last {
            Some(last) if record.batch != last + 1 => {
                Err(Error::internal(format!("batch {} does not follow batch {last}", record.batch)))
            }
            _ => Ok(()),
        }
    }

    /// Names a fresh segment in `super`, durable before its first record is written.
    fn next_segment(&mut self, first_batch: u64) -> Result<(), AppendError> {
        let refused = |text: &str| Err(AppendError::Refused(Error::unavailable(text)));
        if self.live.len() >= self.settings.segments {
            return refused("the log is full until older batches are flushed; nothing was written");
        }
        let Some(segment) = self.pool.take(self.settings.segment_patience) else {
            return refused("the log has no segment ready; nothing was written");
        };
        let entry = self.name(&segment, first_batch);
        let mut listed = self.live.clone();
        listed.push(entry);
        if let Err(error) = self.write_super(&listed) {
            self.held.push(entry.slot);
            self.stage = Stage::Unknown;
            return Err(AppendError::Unknown(cannot("name a new segment of the log", &self.dir, error)));
        }
        self.live = listed;
        self.current = Some((segment.file, 0));
        Ok(())
    }

    fn name(&mut self, segment: &SegmentFile, first_batch: u64) -> Entry {
        let generation = self.next_generation;
        self.next_generation += 1;
        let sectors = (self.settings.segment_bytes / SECTOR_BYTES as u64) as u32;
        Entry { slot: segment.slot, sectors, generation, salt: random(), first_batch }
    }

    fn write_and_sync(&mut self, record: &LogRecord) -> io::Result<()> {
        let (file, offset) = self.current.as_mut().ok_or_else(|| io::Error::other("the log has no segment"))?;
        let entry = self.live.last().ok_or_else(|| io::Error::other("the log lists no segment"))?;
        self.buffer.clear();
        record::encode(record, entry.place(self.store_id, *offset), &mut self.buffer);
        file.write_all_at(&self.buffer, *offset)?;
        file.sync_data()?;
        *offset += self.buffer.len() as u64;
        Ok(())
    }

    fn scan(&self, index: usize, visit: &mut dyn FnMut(LogRecord) -> Result<()>) -> Result<(), Stop> {
        let entry = &self.live[index];
        let until = self.live.get(index + 1).map(|next| next.first_batch);
        let file = self.disk.open(&segment_path(&self.dir, entry.slot)).map_err(|error| {
            let reason = format!("a listed segment cannot be opened: {error}");
            Stop::Damage(Damage { offset: 0, batch: entry.first_batch, reason })
        })?;
        Scan { store_id: self.store_id, entry, until }.run(file, visit)
    }

    fn accept(&mut self, damage: &Damage, index: usize) -> Result<()> {
        let scene = Scene { disk: &*self.disk, dir: &self.dir, quarantine: &self.quarantine, store_id: self.store_id };
        let loss = scene.judge(damage, &self.live, index, self.settings.accept_loss)?;
        tracing::error!(from_batch = loss.from_batch, seen = loss.seen, place = loss.place, "log batches were lost");
        self.loss = Some(loss);
        Ok(())
    }

    /// Writes the records to fresh segments and syncs these.
    fn write_fresh(&mut self, records: &mut dyn Iterator<Item = LogRecord>, fresh: &mut Fresh) -> Result<()> {
        let mut last = None;
        for record in records {
            self.check_record(last, &record)?;
            last = Some(record.batch);
            let bytes = record::padded_bytes(record.body.len()) as u64;
            if fresh.segments.is_empty() {
                self.unpromise_ready()?;
            }
            if fresh.segments.is_empty() || fresh.offset + bytes > self.settings.segment_bytes {
                self.add_fresh_segment(fresh, record.batch)?;
            }
            fresh.add(&record, self.store_id).map_err(|error| cannot("rewrite the log", &self.dir, error))?;
            fresh.sizes.push(record.batch, bytes);
        }
        let synced = fresh.write_out().and_then(|()| fresh.sync());
        synced.map_err(|error| cannot("rewrite the log", &self.dir, error))
    }

    /// `super` must not promise zeros in files that a rewrite is about to fill, and may never come to name.
    fn unpromise_ready(&mut self) -> Result<()> {
        let live = self.live.clone();
        let written = self.write_super_with(&live, Vec::new());
        written.map_err(|error| cannot("rewrite the log", &self.dir, error))
    }

    fn add_fresh_segment(&mut self, fresh: &mut Fresh, first_batch: u64) -> Result<()> {
        if fresh.segments.len() >= LISTED_SEGMENTS {
            return Err(Error::unavailable("the log would take more segments than it can list"));
        }
        fresh.write_out().map_err(|error| cannot("rewrite the log", &self.dir, error))?;
        let patience = self.settings.segment_patience;
        let mut segment = self.pool.take_or_make(patience);
        if let Some(ballast) = &self.ballast
            && segment.as_ref().is_err_and(is_storage_full)
        {
            ballast.release(Release::Most);
            segment = self.pool.take_or_make(patience);
        }
        let segment = segment.map_err(|error| cannot("make a segment of the log in", &self.dir, error))?;
        let entry = self.name(&segment, first_batch);
        fresh.segments.push((entry, segment));
        (fresh.offset, fresh.written) = (0, 0);
        Ok(())
    }

    /// Makes the fresh segments the log, and gives the old ones back.
    fn switch_to(&mut self, fresh: Fresh) -> Result<()> {
        let entries: Vec<Entry> = fresh.segments.iter().map(|(entry, _)| *entry).collect();
        if let Err(error) = self.write_super(&entries) {
            self.held.extend(entries.iter().map(|entry| entry.slot));
            return Err(cannot("switch the log to fresh segments in", &self.dir, error));
        }
        let old = std::mem::replace(&mut self.live, entries);
        let doubtful = if self.stage == Stage::Unknown { old.last().map(|entry| entry.slot) } else { None };
        for entry in old {
            match doubtful == Some(entry.slot) {
                true => self.pool.abandon(entry.slot),
                false => self.pool.recycle(entry.slot),
            }
        }
        self.current = fresh.segments.last().map(|(_, segment)| (segment.file.clone(), fresh.offset));
        self.sizes = fresh.sizes;
        self.stage = Stage::Ready;
        Ok(())
    }

    fn write_super(&mut self, live: &[Entry]) -> io::Result<()> {
        self.write_super_with(live, self.pool.ready_slots())
    }

    fn write_super_with(&mut self, live: &[Entry], ready: Vec<u32>) -> io::Result<()> {
        self.sequence += 1;
        let Self { sequence, store_id, next_generation, .. } = *self;
        self.supers.write(&Super { sequence, store_id, next_generation, live: live.to_vec(), ready })?;
        // Both copies are durable: what an earlier one may have named, and this one does not, is free.
        self.held.drain(..).for_each(|slot| self.pool.recycle(slot));
        Ok(())
    }
}

/// The segments that a rewrite fills.
#[derive(Default)]
struct Fresh {
    segments: Vec<(Entry, SegmentFile)>,
    /// Where the next record goes in the last of them.
    offset: u64,
    /// How far it was written; what lies between is in `buffer`.
    written: u64,
    buffer: Vec<u8>,
    sizes: Sizes,
}

impl Fresh {
    fn add(&mut self, record: &LogRecord, store_id: u64) -> io::Result<()> {
        let (entry, _) = self.segments.last().ok_or_else(|| io::Error::other("no fresh segment"))?;
        record::encode(record, entry.place(store_id, self.offset), &mut self.buffer);
        self.offset = self.written + self.buffer.len() as u64;
        if self.buffer.len() >= REWRITE_PIECE_BYTES { self.write_out() } else { Ok(()) }
    }

    fn write_out(&mut self) -> io::Result<()> {
        if let Some((_, segment)) = self.segments.last() {
            segment.file.write_all_at(&self.buffer, self.written)?;
        }
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.segments.iter().try_for_each(|(_, segment)| segment.file.sync_data())
    }
}

/// The sizes of the records that are still needed.
#[derive(Default)]
struct Sizes {
    sectors: VecDeque<u32>,
    last: Option<u64>,
    total: u64,
}

impl Sizes {
    fn push(&mut self, batch: u64, bytes: u64) {
        self.sectors.push_back((bytes / SECTOR_BYTES as u64) as u32);
        self.total += bytes;
        self.last = Some(batch);
    }

    fn free(&mut self, upto: u64) {
        let Some(last) = self.last else { return };
        let kept = last.saturating_sub(upto).min(self.sectors.len() as u64) as usize;
        let freed: u64 = self.sectors.drain(..self.sectors.len() - kept).map(u64::from).sum();
        self.total -= freed * SECTOR_BYTES as u64;
    }
}

fn check_settings(settings: &FileLogSettings) -> Result<()> {
    let whole = settings.segment_bytes.is_multiple_of(SECTOR_BYTES as u64);
    let sectors = whole && (1..=SEGMENT_BYTES_MOST).contains(&settings.segment_bytes);
    let count = settings.segments > 0 && settings.segments + settings.reserve <= LISTED_SEGMENTS;
    match sectors && count {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "log: segments are multiples of {SECTOR_BYTES} bytes up to 1 GiB, and 1 to {LISTED_SEGMENTS} in number"
        ))),
    }
}

fn cannot(what: &str, dir: &Path, error: io::Error) -> Error {
    let full = if is_storage_full(&error) { "the disk is full, make room on it: " } else { "" };
    Error::unavailable(format!("{full}cannot {what} {}: {error}", dir.display())).with_source(error)
}

/// Unpredictable bits: the standard library's hasher is keyed by the system's random source.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(0_u64)
}
