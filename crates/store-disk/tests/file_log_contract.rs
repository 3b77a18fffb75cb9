//! The log on files keeps the contract of the device.

use store::device::Log;
use store_disk::{FileLog, FileLogSettings};
use testkit::log_suite::LogPlace;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a temporary folder"))
    }
}

impl LogPlace for Folder {
    fn open(&self) -> model::Result<Box<dyn Log>> {
        let settings = FileLogSettings { segment_bytes: 512 << 10, segments: 4, reserve: 2, ..Default::default() };
        Ok(Box::new(FileLog::open(self.0.path(), self.0.path(), 7, true, settings)?))
    }
}

testkit::log_suite!(crate::Folder::new());
