//! Every bound of exports and imports, in one place.

use model::TICKS_PER_SECOND;

/// Bytes in a line: a payload of the greatest size, each byte escaped in the longest way, with its extras.
pub(super) const LINE_BYTES: usize = 16 << 20;
/// Removed messages in one line.
pub(super) const GONE_PER_LINE: usize = 1_000;
/// Ranges, edits and the like that one call asks the store for.
pub(super) const AT_ONCE: u32 = 10_000;
/// Bytes and changes that an import makes durable at once, give or take a message with all that belongs to it.
pub(super) const BATCH_BYTES: usize = 2 << 20;
pub(super) const BATCH_CHANGES: usize = 8_192;
/// Bytes and changes above which even one message with its edits and reactions is split. What the log takes is more.
pub(super) const UNIT_BYTES: usize = 4 << 20;
pub(super) const UNIT_CHANGES: usize = 16_000;
/// Bad lines that are named before a file is given up.
pub(super) const FINDINGS_TOLD: usize = 20;
/// Channels and records that are named when they are refused; all are counted.
pub(super) const REFUSALS_TOLD: usize = 100;
/// Ids of an import may lie so far ahead of the machine's clock: its own ids go on above them.
pub(super) const AHEAD_TICKS: u64 = 24 * 3600 * TICKS_PER_SECOND;
