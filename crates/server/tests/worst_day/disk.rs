//! A disk as POSIX promises it, and no better: what was not synced may be there after a power cut or not, in part, and
//! in any order. Takes the calls of a record, and tells at any point which folders a cut could leave.
//!
//! The sync of a file makes its bytes and its length durable, not its name; the sync of a directory the names in it.
//! Changes of one name are not reordered, those of different names are.

use crate::{
    pages::Pages,
    record::{Call, Content, Inode},
};
use rand::{Rng, RngExt, SeedableRng, rngs::SmallRng};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What a disk writes as a whole.
const SECTOR_BYTES: u64 = 512;

/// A folder on the disk, with all that waits to be synced.
#[derive(Clone)]
pub struct Disk {
    root: PathBuf,
    /// By their paths, as the program sees them.
    now: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    /// Changes of names that are not durable yet.
    changes: Vec<NameChange>,
    files: Vec<File>,
    inodes: HashMap<Inode, Place>,
    /// Decides what of a failed sync reached the disk.
    random: SmallRng,
}

#[derive(Clone, Copy)]
enum Node {
    Directory,
    File(usize),
}

#[derive(Clone)]
enum Place {
    Directory(PathBuf),
    File(usize),
}

#[derive(Clone)]
enum NameChange {
    Made { path: PathBuf, node: Node },
    Renamed { from: PathBuf, to: PathBuf, node: Node },
    Removed { path: PathBuf },
}

#[derive(Clone, Default)]
struct File {
    durable: Pages,
    waiting: Vec<Waiting>,
}

#[derive(Clone)]
enum Waiting {
    Write { offset: u64, content: Content },
    Length(u64),
}

/// What happens to that which was not synced when the power is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Dropped,
    Kept,
    /// For each change anew: kept, dropped, or in part.
    Torn {
        seed: u64,
    },
}

/// What a cut left: paths with their files; directories have none.
#[derive(Clone)]
pub struct Remains(Vec<(PathBuf, Option<Pages>)>);

impl Disk {
    /// An existing folder, durable as it is.
    pub fn of_folder(root: &Path, seed: u64) -> Disk {
        let mut disk = Disk {
            root: root.to_owned(),
            now: BTreeMap::new(),
            durable: BTreeMap::new(),
            changes: Vec::new(),
            files: Vec::new(),
            inodes: HashMap::new(),
            random: SmallRng::seed_from_u64(seed),
        };
        disk.take_in(root);
        disk.durable = disk.now.clone();
        disk
    }

    fn take_in(&mut self, path: &Path) {
        let status = fs::metadata(path).expect("it is there");
        if status.is_dir() {
            self.know(path, status.ino(), Node::Directory);
            let entries = fs::read_dir(path).expect("a directory");
            entries.for_each(|entry| self.take_in(&entry.expect("an entry").path()));
        } else {
            self.files.push(File { durable: Pages::of_file(path), waiting: Vec::new() });
            self.know(path, status.ino(), Node::File(self.files.len() - 1));
        }
    }

    fn know(&mut self, path: &Path, inode: Inode, node: Node) {
        let place = match node {
            Node::Directory => Place::Directory(path.to_owned()),
            Node::File(number) => Place::File(number),
        };
        self.inodes.insert(inode, place);
        self.now.insert(path.to_owned(), node);
    }

    /// The path below the root of the file that a call goes to; empty for answers, and for what has no name any more.
    pub fn path_of(&self, call: &Call) -> PathBuf {
        let path = match call {
            Call::Create { path, .. } | Call::MakeDirectory { path, .. } | Call::Remove { path } => Some(&**path),
            Call::Rename { to, .. } => Some(&**to),
            Call::Write { inode, .. }
            | Call::SetLength { inode, .. }
            | Call::Sync { inode }
            | Call::FailedSync { inode } => self.path_of_inode(*inode),
            Call::Answer { .. } => None,
        };
        path.and_then(|path| path.strip_prefix(&self.root).ok()).unwrap_or(Path::new("")).to_owned()
    }

    fn path_of_inode(&self, inode: Inode) -> Option<&Path> {
        match self.inodes.get(&inode)? {
            Place::Directory(path) => Some(path),
            Place::File(number) => {
                let is_it = |node: &Node| matches!(node, Node::File(other) if other == number);
                self.now.iter().find(|(_, node)| is_it(node)).map(|(path, _)| &**path)
            }
        }
    }

    /// The next call of the record.
    pub fn take(&mut self, call: &Call) {
        match call {
            Call::Create { path, inode } => {
                self.files.push(File::default());
                self.make(path, *inode, Node::File(self.files.len() - 1));
            }
            Call::MakeDirectory { path, inode } => self.make(path, *inode, Node::Directory),
            Call::Write { inode, offset, content } => {
                let write = Waiting::Write { offset: *offset, content: content.clone() };
                self.file(*inode).waiting.push(write);
            }
            Call::SetLength { inode, length } => self.file(*inode).waiting.push(Waiting::Length(*length)),
            Call::Sync { inode } => self.sync(*inode),
            Call::FailedSync { inode } => self.fail_sync(*inode),
            Call::Rename { from, to } => {
                let node = self.now.remove(from).expect("it has a name");
                assert!(matches!(node, Node::File(_)), "directories keep their names");
                self.now.insert(to.clone(), node);
                self.changes.push(NameChange::Renamed { from: from.clone(), to: to.clone(), node });
            }
            Call::Remove { path } => {
                self.now.remove(path);
                self.changes.push(NameChange::Removed { path: path.clone() });
            }
            Call::Answer { .. } => {}
        }
    }

    fn make(&mut self, path: &Path, inode: Inode, node: Node) {
        self.know(path, inode, node);
        self.changes.push(NameChange::Made { path: path.to_owned(), node });
    }

    fn file(&mut self, inode: Inode) -> &mut File {
        match self.inodes.get(&inode) {
            Some(Place::File(number)) => &mut self.files[*number],
            _ => panic!("nobody has seen the file {inode}"),
        }
    }

    fn sync(&mut self, inode: Inode) {
        let Some(Place::Directory(directory)) = self.inodes.get(&inode) else {
            return self.file(inode).sync();
        };
        let (synced, waiting): (Vec<NameChange>, Vec<NameChange>) =
            self.changes.drain(..).partition(|change| change.directory() == directory);
        self.changes = waiting;
        synced.iter().for_each(|change| change.apply(&mut self.durable));
    }

    /// The system forgets that the pages are to be written: some of them are on the disk, no later sync adds the others.
    fn fail_sync(&mut self, inode: Inode) {
        let mut chance = Chance::new(Fate::Torn { seed: self.random.next_u64() });
        if let Some(Place::File(_)) = self.inodes.get(&inode) {
            let file = self.file(inode);
            file.durable = file.after_cut(&mut chance);
            file.waiting.clear();
        }
    }

    /// What a power cut at this point leaves.
    pub fn after_cut(&self, fate: Fate) -> Remains {
        let mut chance = Chance::new(fate);
        let mut names = self.durable.clone();
        let mut stuck: HashSet<&Path> = HashSet::new();
        for change in &self.changes {
            let own = change.names();
            if own.iter().any(|name| stuck.contains(name)) || !chance.keeps() {
                stuck.extend(own);
            } else {
                change.apply(&mut names);
            }
        }
        let remains = names.iter().filter(|(path, _)| self.is_reachable(path, &names));
        let content = |node: &Node| match node {
            Node::Directory => None,
            Node::File(number) => Some(*number),
        };
        let numbers: Vec<(PathBuf, Option<usize>)> =
            remains.map(|(path, node)| (path.clone(), content(node))).collect();
        let below = |path: PathBuf| path.strip_prefix(&self.root).expect("it lies below the root").to_owned();
        let lay = |(path, number): (PathBuf, Option<usize>)| {
            (below(path), number.map(|number| self.files[number].after_cut(&mut chance)))
        };
        Remains(numbers.into_iter().map(lay).collect())
    }

    fn is_reachable(&self, path: &Path, names: &BTreeMap<PathBuf, Node>) -> bool {
        let mut above = path.ancestors().skip(1).take_while(|above| above.starts_with(&self.root));
        above.all(|above| matches!(names.get(above), Some(Node::Directory)))
    }
}

impl NameChange {
    fn directory(&self) -> &Path {
        let (NameChange::Made { path, .. } | NameChange::Renamed { to: path, .. } | NameChange::Removed { path }) =
            self;
        path.parent().expect("it lies in the folder")
    }

    fn names(&self) -> Vec<&Path> {
        match self {
            NameChange::Made { path, .. } | NameChange::Removed { path } => vec![path],
            NameChange::Renamed { from, to, .. } => vec![from, to],
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            NameChange::Made { path, node } => names.insert(path.clone(), *node),
            NameChange::Renamed { from, to, node } => {
                names.remove(from);
                names.insert(to.clone(), *node)
            }
            NameChange::Removed { path } => names.remove(path),
        };
    }
}

impl File {
    fn sync(&mut self) {
        for waiting in self.waiting.drain(..) {
            match waiting {
                Waiting::Write { offset, content: Content::Bytes(bytes) } => self.durable.write(offset, &bytes),
                Waiting::Write { offset, content: Content::Zeros(length) } => self.durable.write_zeros(offset, length),
                Waiting::Length(length) => self.durable.set_length(length),
            }
        }
    }

    fn after_cut(&self, chance: &mut Chance) -> Pages {
        let mut pages = self.durable.clone();
        for waiting in &self.waiting {
            match waiting {
                Waiting::Write { offset, content } => chance.write(&mut pages, *offset, content),
                Waiting::Length(length) if chance.keeps() => pages.set_length(*length),
                Waiting::Length(_) => {}
            }
        }
        pages
    }
}

/// Decides what is kept.
struct Chance {
    fate: Fate,
    random: SmallRng,
    /// How probable it is that something is kept: differs between cuts, so that some keep nearly all.
    keeps: f64,
}

impl Chance {
    fn new(fate: Fate) -> Chance {
        let seed = if let Fate::Torn { seed } = fate { seed } else { 0 };
        let mut random = SmallRng::seed_from_u64(seed);
        let keeps = [0.1, 0.5, 0.9][random.random_range(0..3)];
        Chance { fate, random, keeps }
    }

    fn keeps(&mut self) -> bool {
        match self.fate {
            Fate::Dropped => false,
            Fate::Kept => true,
            Fate::Torn { .. } => self.random.random_bool(self.keeps),
        }
    }

    /// A write that was not synced: all of it, nothing, some of its sectors, or only the length that it made.
    fn write(&mut self, pages: &mut Pages, offset: u64, content: &Content) {
        let end = offset + content.length();
        match (self.fate, self.random.random_range(0..4)) {
            (Fate::Torn { .. }, 0) => {
                let mut at = offset;
                while at < end {
                    let next = (at / SECTOR_BYTES * SECTOR_BYTES + SECTOR_BYTES).min(end);
                    if self.keeps() {
                        put(pages, offset, content, at..next);
                    }
                    at = next;
                }
            }
            (Fate::Torn { .. }, 1) => pages.lengthen(end),
            _ if self.keeps() => put(pages, offset, content, offset..end),
            _ => {}
        }
    }
}

/// Writes the part of a write that lies in `range`.
fn put(pages: &mut Pages, offset: u64, content: &Content, range: std::ops::Range<u64>) {
    match content {
        Content::Bytes(bytes) => {
            pages.write(range.start, &bytes[(range.start - offset) as usize..(range.end - offset) as usize]);
        }
        Content::Zeros(_) => pages.write_zeros(range.start, range.end - range.start),
    }
}

impl Remains {
    /// Lays them into a folder that is there.
    pub fn lay(&self, folder: &Path) -> io::Result<()> {
        for (path, file) in &self.0 {
            let path = folder.join(path);
            match file {
                Some(pages) => pages.lay(&path)?,
                None => fs::create_dir_all(&path)?,
            }
        }
        Ok(())
    }

    /// The files whose paths end so.
    pub fn files_mut(&mut self, suffix: &str) -> impl Iterator<Item = &mut Pages> {
        let ends = move |path: &Path| path.to_string_lossy().ends_with(suffix);
        self.0.iter_mut().filter(move |(path, _)| ends(path)).filter_map(|(_, file)| file.as_mut())
    }
}
