//! The library that stands between the program and the kernel (`shim.c`): builds it, starts the program under it, and
//! tells it what to do while the program runs.

use crate::program::{Program, serve};
use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Of `struct control` in the library: what lies where.
const CLOCK_AT: u64 = 0;
const FAULT_AT: u64 = 8;
const SKIP_AT: u64 = 16;
const STRUCK_AT: u64 = 24;
const FAULT_PATH_AT: u64 = 32;
const FAULT_PATH_BYTES: usize = 256;
const CONTROL_BYTES: u64 = 4096;

/// What fails once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A write, halfway.
    Write = 1,
    /// A sync.
    Sync = 2,
}

/// A place for a data folder, and the page through which the library is told what to do.
pub struct Shim {
    /// What is written down: all below here. The data folder is one level deeper, so that its own name is seen as well.
    folder: tempfile::TempDir,
    aside: tempfile::TempDir,
    control: File,
    records: bool,
}

impl Shim {
    /// Writes down what happens to the folder.
    pub fn recording() -> Shim {
        Shim::new(true)
    }

    /// Only moves the clock.
    pub fn of_the_clock() -> Shim {
        Shim::new(false)
    }

    fn new(records: bool) -> Shim {
        let (folder, aside) = (quick_folder(), quick_folder());
        let control = File::create_new(aside.path().join("control")).expect("a file");
        control.set_len(CONTROL_BYTES).expect("a length");
        let shim = Shim { folder, aside, control, records };
        if records {
            File::create_new(shim.record()).expect("a file");
        }
        shim
    }

    /// All that is written down happens here.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data folder of the program.
    pub fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// The file that the library writes.
    pub fn record(&self) -> PathBuf {
        self.aside.path().join("record")
    }

    /// How far the record goes now, in bytes: all that was answered until now stands before.
    pub fn recorded(&self) -> u64 {
        fs::metadata(self.record()).expect("a length").len()
    }

    /// Starts the program on the data folder, under the library; returns when it serves.
    pub fn start(&self, arguments: &[&str]) -> Program {
        let mut command = serve(&self.data(), arguments);
        command.env("LD_PRELOAD", library()).env("SHIM_CONTROL", self.aside.path().join("control"));
        if self.records {
            command.env("SHIM_RECORD", self.record()).env("SHIM_FOLDER", self.folder());
        }
        Program::spawn(command)
    }

    /// From now on the wall clock of the program is so much ahead, in seconds.
    pub fn set_clock(&self, ahead: i64) {
        self.tell(CLOCK_AT, &(ahead * 1_000_000_000).to_ne_bytes());
    }

    /// Lets one call fail: after `skip` others of its kind on files below the data folder whose paths begin so.
    pub fn fail(&self, fault: Fault, path: &str, skip: u64) {
        let mut prefix = [0; FAULT_PATH_BYTES];
        let path = format!("data/{path}");
        prefix[..path.len()].copy_from_slice(path.as_bytes());
        self.tell(FAULT_PATH_AT, &prefix);
        self.tell(SKIP_AT, &skip.to_ne_bytes());
        self.tell(FAULT_AT, &(fault as u64).to_ne_bytes());
    }

    /// How many calls have failed.
    pub fn struck(&self) -> u64 {
        let mut count = [0; 8];
        self.control.read_exact_at(&mut count, STRUCK_AT).expect("it is there");
        u64::from_ne_bytes(count)
    }

    fn tell(&self, at: u64, bytes: &[u8]) {
        self.control.write_all_at(bytes, at).expect("it is written");
    }
}

/// A new folder in memory, where there is one: no test here needs a disk that keeps anything.
pub fn quick_folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.expect("a folder")
}

/// The library, built once.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/worst_day/shim.c");
        // One name for each process: another one may be building at the same time.
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("shim-{}.so", std::process::id()));
        let mut compiler = Command::new("cc");
        compiler.args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]);
        let built = compiler.arg(&library).arg(source).arg("-ldl").status().expect("there is a C compiler");
        assert!(built.success());
        library
    })
}
