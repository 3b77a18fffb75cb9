//! Erasure: what was taken out of the index is only marked as gone until its segment is merged, and its words are in
//! the segment's files until then. Here they are merged at once, and nothing old is left in the folder.

use crate::{
    settings::ERASE_ATTEMPTS,
    work::{Open, Worker},
};
use model::{Error, Result};
use std::{collections::HashSet, thread, time::Duration};
use tantivy::index::SegmentId;

/// Between two attempts: for searches that still read what is to go.
const ATTEMPT_EVERY: Duration = Duration::from_millis(50);

impl Worker {
    /// Leaves no byte of what is taken out by now. The feed was taken in and committed before.
    pub fn erase(&mut self) -> Result<()> {
        for _ in 0..ERASE_ATTEMPTS {
            self.finish_merges()?;
            let Some(open) = &mut self.open else { break };
            open.merge_what_lost_documents()?;
            self.shared.reader.reload().map_err(Error::internal)?;
            open.writer.garbage_collect_files().wait().map_err(Error::internal)?;
            if self.is_clean()? {
                return Ok(());
            }
            if self.shared.is_stopping() {
                break;
            }
            thread::park_timeout(ATTEMPT_EVERY);
        }
        Err(Error::unavailable("the search index still holds what is to be erased; it is tried again"))
    }

    /// A merge that is under way may bring back what is gone since it began.
    fn finish_merges(&mut self) -> Result<()> {
        if let Some(open) = self.open.take() {
            open.writer.wait_merging_threads().map_err(Error::internal)?;
        }
        self.open = Some(self.open_writer()?);
        Ok(())
    }

    /// Whether every segment is whole, and every file is one of a segment that is in use.
    fn is_clean(&self) -> Result<bool> {
        let segments = self.shared.index.searchable_segment_metas().map_err(Error::internal)?;
        let whole = segments.iter().all(|segment| segment.num_deleted_docs() == 0);
        let used: HashSet<String> = segments.iter().map(|segment| segment.id().uuid_string()).collect();
        let mut files = self.shared.files();
        // Only files of segments begin with a long name of digits.
        let is_used = |name: &str| match name.split_once('.') {
            Some((stem, _)) if stem.len() == 32 => used.contains(stem),
            _ => true,
        };
        Ok(whole && files.all(|(name, _)| is_used(&name)))
    }
}

impl Open {
    fn merge_what_lost_documents(&mut self) -> Result<()> {
        let lost = |id: &SegmentId, open: &Open| -> Result<bool> {
            let segments = open.writer.index().searchable_segment_metas().map_err(Error::internal)?;
            Ok(segments.iter().any(|segment| segment.id() == *id && segment.num_deleted_docs() > 0))
        };
        let segments = self.writer.index().searchable_segment_ids().map_err(Error::internal)?;
        for segment in segments {
            // A merge of its own may have been quicker.
            if lost(&segment, self)? {
                self.writer.merge(&[segment]).wait().map_err(Error::internal)?;
            }
        }
        Ok(())
    }
}
