//! What the program did to its folder, call by call, as `shim.c` wrote it down.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Bytes before the paths and the content of an entry: `struct entry` in the library.
const HEAD_BYTES: usize = 32;

/// The number by which the system knows a file or directory while it lives.
pub type Inode = u64;

/// A call, and where it stands in the record.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The length of the record before it.
    pub at: u64,
    pub call: Call,
}

/// A call that succeeded, or a sync that failed.
#[derive(Clone, Debug)]
pub enum Call {
    Create {
        path: PathBuf,
        inode: Inode,
    },
    MakeDirectory {
        path: PathBuf,
        inode: Inode,
    },
    Write {
        inode: Inode,
        offset: u64,
        content: Content,
    },
    SetLength {
        inode: Inode,
        length: u64,
    },
    Sync {
        inode: Inode,
    },
    FailedSync {
        inode: Inode,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    /// Bytes that went out through a socket.
    Answer {
        bytes: Arc<[u8]>,
    },
}

/// What was written.
#[derive(Clone, Debug)]
pub enum Content {
    Bytes(Arc<[u8]>),
    Zeros(u64),
}

impl Call {
    /// The beginning of it, in words.
    pub fn in_short(&self) -> String {
        match self {
            Call::Answer { bytes } => format!("an answer of {} bytes", bytes.len()),
            Call::Write { inode, offset, content } => {
                format!("a write of {} bytes at {offset} of file {inode}", content.length())
            }
            other => format!("{other:?}"),
        }
    }
}

impl Content {
    pub fn length(&self) -> u64 {
        match self {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Zeros(length) => *length,
        }
    }
}

/// Reads a record. One that SIGKILL cut off ends before the entry that it cut.
pub fn read(path: &Path) -> Vec<Entry> {
    let bytes = std::fs::read(path).expect("a record");
    let mut rest = Rest { bytes: &bytes, at: 0 };
    let mut entries = Vec::new();
    loop {
        let at = rest.at as u64;
        let Some(call) = rest.call() else { return entries };
        entries.push(Entry { at, call });
    }
}

struct Rest<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Rest<'_> {
    fn call(&mut self) -> Option<Call> {
        let head = self.take(HEAD_BYTES)?.to_vec();
        let number = |at: usize| u64::from_ne_bytes(head[at..at + 8].try_into().expect("8 bytes"));
        let half = |at: usize| usize::from(u16::from_ne_bytes([head[at], head[at + 1]]));
        let (path, other) = (self.path(half(4))?, self.path(half(6))?);
        let (inode, offset, length) = (number(8), number(16), number(24));
        Some(match head[0] {
            b'c' => Call::Create { path, inode },
            b'd' => Call::MakeDirectory { path, inode },
            b'w' => Call::Write { inode, offset, content: Content::Bytes(self.take(length as usize)?.into()) },
            b'z' => Call::Write { inode, offset, content: Content::Zeros(length) },
            b'l' => Call::SetLength { inode, length },
            b's' => Call::Sync { inode },
            b'f' => Call::FailedSync { inode },
            b'r' => Call::Rename { from: path, to: other },
            b'u' => Call::Remove { path },
            b'a' => Call::Answer { bytes: self.take(length as usize)?.into() },
            other => panic!("an entry of unknown kind {other}"),
        })
    }

    fn path(&mut self, bytes: usize) -> Option<PathBuf> {
        let text = std::str::from_utf8(self.take(bytes)?).expect("paths in UTF-8");
        Some(text.into())
    }

    fn take(&mut self, bytes: usize) -> Option<&[u8]> {
        let taken = self.bytes.get(self.at..self.at + bytes)?;
        self.at += bytes;
        Some(taken)
    }
}
