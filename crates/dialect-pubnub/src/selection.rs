//! Which messages a history call means: the tables of `protocols/pubnub.md` §6.1 (history) and §7.5 (deletion) as
//! pure functions from timetokens to a span between ids.
//!
//! `start` is always exclusive and `end` always inclusive, whichever is larger; with both, the walk goes from `start`
//! towards `end`, and `reverse` does not matter.

use model::{Id, Order, Span};

/// The bounds of a history call, as timetokens.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Bounds {
    /// Exclusive.
    pub start: Option<u64>,
    /// Inclusive.
    pub end: Option<u64>,
}

/// Selects nothing: what `start` = `end` means.
const NOTHING: Span = Span { after: Id::MIN, upto: Id::MIN };

/// §6.1: what a history call looks through, and from which end it takes its messages.
pub fn history(bounds: Bounds, reverse: bool) -> (Span, Order) {
    let order = match (bounds.start, bounds.end) {
        (Some(start), Some(end)) if start < end => Order::Ascending,
        (Some(_), Some(_)) => Order::Descending,
        _ if reverse => Order::Ascending,
        _ => Order::Descending,
    };
    let span = match (bounds.start, bounds.end) {
        (Some(start), None) if reverse => after(start),
        (None, Some(end)) if reverse => Span { after: Id::MIN, upto: Id::last_at(end) },
        _ => deletion(bounds),
    };
    (span, order)
}

/// §7.5: what a delete call removes. The same as what a history call without `reverse` looks through.
pub fn deletion(bounds: Bounds) -> Span {
    match (bounds.start, bounds.end) {
        (None, None) => Span::ALL,
        (Some(start), None) => Span { after: Id::MIN, upto: Id::last_before(start) },
        (None, Some(end)) => Span { after: Id::last_before(end), upto: Id::MAX },
        (Some(start), Some(end)) if start < end => Span { after: Id::last_at(start), upto: Id::last_at(end) },
        (Some(start), Some(end)) if start > end => Span { after: Id::last_before(end), upto: Id::last_before(start) },
        (Some(_), Some(_)) => NOTHING,
    }
}

/// §7.4: what a count looks through: everything later than the timetoken.
pub fn after(timetoken: u64) -> Span {
    Span { after: Id::last_at(timetoken), upto: Id::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The table of §6.1, row by row, on a plain ascending list of timetokens.
    fn table(messages: &[u64], bounds: Bounds, reverse: bool, count: usize) -> Vec<u64> {
        let fits = |t: &u64| match (bounds.start, bounds.end) {
            (None, None) => true,
            (Some(s), None) => {
                if reverse {
                    *t > s
                } else {
                    *t < s
                }
            }
            (None, Some(e)) => {
                if reverse {
                    *t <= e
                } else {
                    *t >= e
                }
            }
            (Some(s), Some(e)) if s > e => e <= *t && *t < s,
            (Some(s), Some(e)) if s < e => s < *t && *t <= e,
            (Some(_), Some(_)) => false,
        };
        let oldest_first = match (bounds.start, bounds.end) {
            (Some(s), Some(e)) => s < e,
            _ => reverse,
        };
        let found: Vec<u64> = messages.iter().copied().filter(fits).collect();
        let skipped = found.len().saturating_sub(count);
        if oldest_first { found.into_iter().take(count).collect() } else { found[skipped..].to_vec() }
    }

    /// The same question asked of a span and an order.
    fn select(messages: &[u64], (span, order): (Span, Order), slot: u8, count: usize) -> Vec<u64> {
        let found: Vec<u64> = messages.iter().copied().filter(|t| span.contains(Id::new(*t, slot))).collect();
        let skipped = found.len().saturating_sub(count);
        match order {
            Order::Ascending => found.into_iter().take(count).collect(),
            Order::Descending => found[skipped..].to_vec(),
        }
    }

    fn bound() -> impl Strategy<Value = Option<u64>> {
        proptest::option::of(prop_oneof![0u64..40, Just(u64::MAX), Just(model::MAX_TICKS)])
    }

    proptest! {
        #[test]
        fn history_selects_what_the_table_says(
            messages in proptest::collection::btree_set(1u64..40, 0..20),
            start in bound(), end in bound(), reverse: bool, slot: u8, count in 0usize..8,
        ) {
            let messages: Vec<u64> = messages.into_iter().collect();
            let bounds = Bounds { start, end };
            prop_assert_eq!(
                select(&messages, history(bounds, reverse), slot, count),
                table(&messages, bounds, reverse, count)
            );
        }

        #[test]
        fn deletion_removes_what_the_table_says(
            messages in proptest::collection::btree_set(1u64..40, 0..20),
            start in bound(), end in bound(), slot: u8,
        ) {
            let messages: Vec<u64> = messages.into_iter().collect();
            let bounds = Bounds { start, end };
            prop_assert_eq!(
                select(&messages, (deletion(bounds), Order::Ascending), slot, usize::MAX),
                table(&messages, bounds, false, usize::MAX)
            );
        }

        #[test]
        fn one_message_is_named_by_itself_and_the_next_timetoken(t in 1u64..1_000_000, slot: u8) {
            let span = deletion(Bounds { start: Some(t + 1), end: Some(t) });
            prop_assert!(span.contains(Id::new(t, slot)));
            prop_assert!(!span.contains(Id::new(t - 1, slot)) && !span.contains(Id::new(t + 1, slot)));
        }

        #[test]
        fn a_count_is_exclusive(t in 0u64..1_000_000, slot: u8) {
            prop_assert!(!after(t).contains(Id::new(t, slot)));
            prop_assert!(after(t).contains(Id::new(t + 1, slot)));
        }
    }
}
