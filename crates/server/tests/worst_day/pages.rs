//! The bytes of a file, in pages; those that are zeros are not kept.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

const PAGE_BYTES: usize = 4096;
const PAGE: u64 = PAGE_BYTES as u64;

/// A file's bytes; cheap to clone.
#[derive(Clone, Default)]
pub struct Pages {
    length: u64,
    pages: BTreeMap<u64, Arc<[u8; PAGE_BYTES]>>,
}

impl Pages {
    pub fn of_file(path: &Path) -> Pages {
        let mut bytes = Vec::new();
        File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).expect("a file");
        let mut pages = Pages::default();
        pages.write(0, &bytes);
        pages.pages.retain(|_, page| page.iter().any(|byte| *byte != 0));
        pages
    }

    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.lengthen(offset + bytes.len() as u64);
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let (number, within) = (at / PAGE, (at % PAGE) as usize);
            let count = (PAGE_BYTES - within).min(bytes.len() - done);
            let page = self.pages.entry(number).or_insert_with(|| Arc::new([0; PAGE_BYTES]));
            Arc::make_mut(page)[within..within + count].copy_from_slice(&bytes[done..done + count]);
            done += count;
        }
    }

    pub fn write_zeros(&mut self, offset: u64, length: u64) {
        let end = offset + length;
        self.lengthen(end);
        let touched: Vec<u64> =
            self.pages.range(offset / PAGE..end.div_ceil(PAGE)).map(|(number, _)| *number).collect();
        for number in touched {
            let (from, to) = ((number * PAGE).max(offset), (number * PAGE + PAGE).min(end));
            if to - from == PAGE {
                self.pages.remove(&number);
            } else if let Some(page) = self.pages.get_mut(&number) {
                Arc::make_mut(page)[(from - number * PAGE) as usize..(to - number * PAGE) as usize].fill(0);
            }
        }
    }

    pub fn lengthen(&mut self, length: u64) {
        self.length = self.length.max(length);
    }

    pub fn set_length(&mut self, length: u64) {
        if length < self.length {
            let old = self.length;
            self.write_zeros(length, old - length);
        }
        self.length = length;
    }

    /// Writes them as a file.
    pub fn lay(&self, path: &Path) -> io::Result<()> {
        let file = File::create_new(path)?;
        file.set_len(self.length)?;
        for (number, page) in &self.pages {
            let at = number * PAGE;
            let count = PAGE.min(self.length.saturating_sub(at)) as usize;
            file.write_all_at(&page[..count], at)?;
        }
        Ok(())
    }
}
