//! Ids as clients see them: snowflakes for messages (`protocols/osmium.md` §9), numbers for authors.

use crate::directory::STRANGERS;
use model::{Id, Origin, TICKS_PER_MS, UserId};
use sha2::{Digest, Sha256};

/// The moment from which a realm's snowflakes count, in Unix milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The snowflake of an id.
    pub fn snowflake(self, id: Id) -> u64 {
        id.snowflake(self.0)
    }

    /// The greatest id whose snowflake is at most this one: "after X, exclusive" begins above it.
    pub fn upto(self, snowflake: u64) -> Id {
        Id::at_snowflake(snowflake, self.0)
    }

    /// The greatest id whose snowflake is below this one; none if there cannot be any.
    pub fn below(self, snowflake: u64) -> Option<Id> {
        snowflake.checked_sub(1).map(|before| self.upto(before))
    }

    /// The smallest id whose snowflake is at least this one.
    pub fn from(self, snowflake: u64) -> Id {
        self.below(snowflake).map_or(Id::MIN, |below| Id::from_raw(below.raw().saturating_add(1)))
    }

    /// The id that has exactly this snowflake, if one can.
    pub fn exactly(self, snowflake: u64) -> Option<Id> {
        let id = self.upto(snowflake);
        (self.snowflake(id) == snowflake).then_some(id)
    }

    /// What is older has no snowflake of its own, so it is not shown.
    pub fn first(self) -> Id {
        Id::last_before(self.0.saturating_mul(TICKS_PER_MS))
    }
}

/// The number under which an author is shown: that of the directory if the directory said who it is, else a hash that
/// stays the same, in a range that no directory gives out.
pub fn author_number(author: Option<&UserId>) -> u64 {
    let Some(author) = author else { return STRANGERS };
    if let Some(id) = directory_user(author) {
        return id;
    }
    let mut hasher = Sha256::new();
    hasher.update([author.origin as u8, u8::from(author.verified)]);
    hasher.update(author.id.as_bytes());
    let digest = hasher.finalize();
    u64::from_le_bytes(digest[..8].try_into().expect("a digest has more than 8 bytes")) | STRANGERS
}

/// The directory's number of an author, if the directory said who it is.
pub fn directory_user(author: &UserId) -> Option<u64> {
    let known = author.origin == Origin::Osmium && author.verified;
    known.then(|| author.id.parse().ok().filter(|id| (1..STRANGERS).contains(id)))?
}

/// A user of the directory as an author.
pub fn user_id(user: u64) -> UserId {
    UserId { origin: Origin::Osmium, id: user.to_string().into(), verified: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: Epoch = Epoch(1_735_689_600_000);

    #[test]
    fn an_anchor_lies_between_ids() {
        let id = Id::new(EPOCH.0 * TICKS_PER_MS + 12_345, 3);
        let snowflake = EPOCH.snowflake(id);
        assert_eq!(EPOCH.exactly(snowflake), Some(id));
        assert_eq!((EPOCH.upto(snowflake), EPOCH.from(snowflake)), (id, id));
        assert_eq!(EPOCH.below(snowflake), Some(id.previous()));
        assert_eq!(EPOCH.below(0), None);
        assert_eq!(EPOCH.from(0), Id::MIN);
        assert_eq!(EPOCH.upto(u64::MAX), Id::MAX.min(EPOCH.upto(u64::MAX)), "any number is a position");
    }

    #[test]
    fn strangers_never_have_a_number_of_the_directory() {
        let user = |origin, verified| UserId { origin, id: "1001".into(), verified };
        assert_eq!(author_number(Some(&user(Origin::Osmium, true))), 1001);
        let strangers = [user(Origin::Osmium, false), user(Origin::Pubnub, true), user(Origin::Pubnub, false)];
        let mut numbers: Vec<u64> = strangers.iter().map(|user| author_number(Some(user))).collect();
        numbers.push(author_number(None));
        assert!(numbers.iter().all(|number| *number >= STRANGERS));
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 4, "each its own");
    }
}
