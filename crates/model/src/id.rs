//! The id of a change: one value with three faces, and the dense per-channel sequence number beside it.

use std::fmt;

/// 100-nanosecond ticks in a millisecond.
pub const TICKS_PER_MS: u64 = 10_000;
/// 100-nanosecond ticks in a second.
pub const TICKS_PER_SECOND: u64 = 10_000_000;
/// The greatest number of ticks that an [`Id`] can hold (the year 2198).
pub const MAX_TICKS: u64 = u64::MAX >> SLOT_BITS;

const SLOT_BITS: u32 = 8;
const SNOWFLAKE_TIME_BITS: u32 = 22;

/// The id of a change: Unix time in 100 ns ticks, shifted left by 8, with the node's slot below.
///
/// Ids are given out in commit order and never twice, so they order everything that a node did. An id is also a
/// *position*: what a client hands in (a timetoken, a snowflake, a time) becomes a bound between ids and need not
/// name a message. The faces are pure functions of the one value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Id(u64);

impl Id {
    /// Below every id ever given out: "from the beginning".
    pub const MIN: Id = Id(0);
    /// Above every id ever given out: "to the end".
    pub const MAX: Id = Id(u64::MAX);

    /// The id of `ticks` (100 ns since the Unix epoch) on node `slot`; ticks above [`MAX_TICKS`] saturate.
    pub const fn new(ticks: u64, slot: u8) -> Id {
        let ticks = if ticks > MAX_TICKS { MAX_TICKS } else { ticks };
        Id(ticks << SLOT_BITS | slot as u64)
    }

    /// The id with this raw value, as stored.
    pub const fn from_raw(raw: u64) -> Id {
        Id(raw)
    }

    /// The raw value, for storing and for cursors.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// The greatest id whose tick is at most `ticks`: everything up to and with that tick.
    pub const fn last_at(ticks: u64) -> Id {
        if ticks >= MAX_TICKS { Id::MAX } else { Id(ticks << SLOT_BITS | 0xff) }
    }

    /// The greatest id whose tick is below `ticks`: everything strictly before that tick.
    pub const fn last_before(ticks: u64) -> Id {
        if ticks > MAX_TICKS { Id::MAX } else { Id((ticks << SLOT_BITS).saturating_sub(1)) }
    }

    /// The id just below this one; [`Id::MIN`] stays itself.
    pub const fn previous(self) -> Id {
        Id(self.0.saturating_sub(1))
    }

    /// 100 ns ticks since the Unix epoch.
    pub const fn ticks(self) -> u64 {
        self.0 >> SLOT_BITS
    }

    /// The node that gave the id out.
    pub const fn slot(self) -> u8 {
        (self.0 & 0xff) as u8
    }

    /// PubNub's face: the ticks, 17 digits in this century (`protocols/pubnub.md` §2.3).
    pub const fn timetoken(self) -> u64 {
        self.ticks()
    }

    /// Agora's and Scaledrone's face: milliseconds since the Unix epoch.
    pub const fn unix_ms(self) -> u64 {
        self.ticks() / TICKS_PER_MS
    }

    /// Osmium's face (`protocols/osmium.md` §9): milliseconds since `epoch_ms` above 22 low bits, which hold the
    /// tick within the millisecond and the slot. Strictly grows with the id; ids before the epoch saturate at 0.
    pub const fn snowflake(self, epoch_ms: u64) -> u64 {
        let ms = self.unix_ms();
        if ms < epoch_ms {
            return 0;
        }
        let low = (self.ticks() % TICKS_PER_MS) << SLOT_BITS | self.slot() as u64;
        (ms - epoch_ms) << SNOWFLAKE_TIME_BITS | low
    }

    /// The greatest id whose snowflake is at most `snowflake`: what an anchor means as a position. Any u64 is
    /// accepted; low bits past the last tick of a millisecond clamp to that tick.
    pub const fn at_snowflake(snowflake: u64, epoch_ms: u64) -> Id {
        let ms = (snowflake >> SNOWFLAKE_TIME_BITS).saturating_add(epoch_ms);
        let low = snowflake & ((1 << SNOWFLAKE_TIME_BITS) - 1);
        let (tick, slot) = (low >> SLOT_BITS, low & 0xff);
        let (tick, slot) = if tick >= TICKS_PER_MS { (TICKS_PER_MS - 1, 0xff) } else { (tick, slot) };
        let ticks = ms.saturating_mul(TICKS_PER_MS).saturating_add(tick);
        if ticks > MAX_TICKS { Id::MAX } else { Id(ticks << SLOT_BITS | slot) }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({}:{})", self.ticks(), self.slot())
    }
}

/// The place of a stored message in its channel: 1, 2, 3…, dense, never used twice. History that an import brings below
/// what is there goes on downwards: 0, −1, −2….
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Seq(pub i64);

impl Seq {
    /// What is not stored has an id and this: no message is here or below.
    pub const NONE: Seq = Seq(i64::MIN);
    /// Below the first message that is published in a channel.
    pub const START: Seq = Seq(0);
    /// Every message is here or below.
    pub const MAX: Seq = Seq(i64::MAX);

    /// The seq that follows.
    pub const fn next(self) -> Seq {
        Seq(self.0 + 1)
    }

    /// The seq before, if there is one.
    pub const fn previous(self) -> Seq {
        Seq(self.0.saturating_sub(1))
    }

    /// How many seqs lie above `other`, up to and with this one.
    pub const fn above(self, other: Seq) -> u64 {
        if self.0 > other.0 { self.0.abs_diff(other.0) } else { 0 }
    }

    /// So many seqs further down.
    pub const fn minus(self, seqs: u64) -> Seq {
        Seq(self.0.saturating_sub_unsigned(seqs))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in a channel: an id and the seq that goes with it. The default is where a channel begins, with [`Seq::START`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Position {
    /// Where, between ids.
    pub id: Id,
    /// The seq of the newest message up to there.
    pub seq: Seq,
}

impl Position {
    /// Below everything: where nothing is found.
    pub const NONE: Position = Position { id: Id::MIN, seq: Seq::NONE };
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH_MS: u64 = 1_735_689_600_000;

    #[test]
    fn faces_of_one_value() {
        let id = Id::new(17_358_238_908_727_392, 3);
        assert_eq!(id.timetoken(), 17_358_238_908_727_392);
        assert_eq!(id.unix_ms(), 1_735_823_890_872);
        assert_eq!(id.slot(), 3);
    }

    #[test]
    fn snowflake_of_the_protocol_page() {
        let id = Id::new(1_763_692_666_000 * TICKS_PER_MS, 0);
        assert_eq!(id.snowflake(EPOCH_MS), 117_453_371_736_064_000);
    }

    #[test]
    fn snowflakes_grow_with_ids_and_come_back() {
        let start = 1_763_692_666_000 * TICKS_PER_MS;
        let mut last = 0;
        for ticks in (start..start + 3 * TICKS_PER_MS).step_by(7) {
            let id = Id::new(ticks, 9);
            assert!(id.snowflake(EPOCH_MS) > last);
            last = id.snowflake(EPOCH_MS);
            assert_eq!(Id::at_snowflake(last, EPOCH_MS), id);
        }
    }

    #[test]
    fn any_anchor_is_a_position() {
        assert_eq!(Id::at_snowflake(u64::MAX, EPOCH_MS).unix_ms(), (u64::MAX >> 22) + EPOCH_MS);
        assert!(Id::at_snowflake(0, EPOCH_MS) < Id::new((EPOCH_MS + 1) * TICKS_PER_MS, 0));
        assert_eq!(Id::new(5, 0).snowflake(EPOCH_MS), 0, "before the epoch");
        let clamped = Id::at_snowflake(0x3f_ffff, EPOCH_MS);
        assert_eq!(clamped.unix_ms(), EPOCH_MS);
        assert_eq!(clamped.ticks() % TICKS_PER_MS, TICKS_PER_MS - 1);
    }

    #[test]
    fn bounds_at_the_edges() {
        assert_eq!(Id::last_before(0), Id::MIN);
        assert_eq!(Id::last_at(u64::MAX), Id::MAX);
        assert!(Id::last_before(10) < Id::new(10, 0));
        assert!(Id::last_at(10) >= Id::new(10, 255));
        assert!(Id::last_at(10) < Id::new(11, 0));
        assert_eq!(Id::MIN.previous(), Id::MIN);
    }
}
