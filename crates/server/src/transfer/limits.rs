//! Every bound of exports and imports, in one place.

use super::batches::{Bounds, Size};
use model::TICKS_PER_SECOND;

/// Bytes in a line: a payload of the greatest size, each byte escaped in the longest way, with its extras.
pub(super) const LINE_BYTES: usize = 16 << 20;
/// Removed messages in one line.
pub(super) const GONE_PER_LINE: usize = 1_000;
/// Ranges, edits and the like that one call asks the store for.
pub(super) const AT_ONCE: u32 = 10_000;
/// What an import makes durable at once, give or take a message with all that belongs to it; and how much even one message
/// with its edits and reactions may be before it is split. What the log takes is more. By the second bound an import goes on
/// with what an earlier one left, so it may be lowered and never raised.
pub(super) const BATCHES: Bounds =
    Bounds { batch: Size { bytes: 2 << 20, changes: 8_192 }, unit: Size { bytes: 4 << 20, changes: 16_000 } };
/// Bad lines that are named before a file is given up.
pub(super) const FINDINGS_TOLD: usize = 20;
/// Channels and records that are named when they are refused; all are counted.
pub(super) const REFUSALS_TOLD: usize = 100;
/// Ids of an import may lie so far ahead of the machine's clock: its own ids go on above them.
pub(super) const AHEAD_TICKS: u64 = 24 * 3600 * TICKS_PER_SECOND;
