//! The permissions of a token (`protocols/scaledrone.md` §5.3): Perl-style expressions over room names, each with an
//! opinion about three rights.
//!
//! The order of the keys says nothing. A right holds if a matching key grants it and no matching key denies it; where
//! several name a history cap, the smallest counts.

use crate::limits;
use fancy_regex::{Regex, RegexBuilder};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What somebody may do in one room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rights {
    /// Send messages.
    pub publish: bool,
    /// Receive messages.
    pub subscribe: bool,
    /// How many past messages one subscribe may bring; 0: none. Never more than 0 without `subscribe`.
    pub history: u32,
}

impl Rights {
    /// Everything: where nobody must say who they are.
    pub const ALL: Rights = Rights { publish: true, subscribe: true, history: u32::MAX };
}

/// A key's opinion, as a token spells it; what is absent is no opinion.
#[derive(Clone, Copy, PartialEq, Default, Debug, Deserialize)]
pub struct Opinion {
    publish: Option<bool>,
    subscribe: Option<bool>,
    history: Option<f64>,
}

/// Compiled permissions.
#[derive(Debug, Default)]
pub struct Permissions {
    rules: Vec<(Regex, Opinion)>,
}

impl Permissions {
    /// Compiles the keys of a token. A key that does not compile, or would take too much memory, matches nothing.
    pub fn compile(keys: &BTreeMap<String, Opinion>) -> Permissions {
        let rules = keys.iter().filter_map(|(key, opinion)| Some((compile(key)?, *opinion))).collect();
        Permissions { rules }
    }

    /// What these permissions allow in a room.
    ///
    /// A key whose match cannot be decided within its bound of steps counts against the caller: what it denies is
    /// denied, what it grants is not granted.
    pub fn rights(&self, room: &str) -> Rights {
        let (mut publish, mut subscribe) = (Vote::default(), Vote::default());
        let mut history: Option<u32> = None;
        for (key, opinion) in &self.rules {
            let matched = key.is_match(room);
            if matched.as_ref().is_ok_and(|matched| !matched) {
                continue;
            }
            let undecided = matched.is_err();
            publish.add(opinion.publish, undecided);
            subscribe.add(opinion.subscribe, undecided);
            if let Some(cap) = opinion.history {
                // A cast from a float saturates: below 0 is 0.
                let cap = if undecided { 0 } else { cap as u32 };
                history = Some(history.map_or(cap, |smallest| smallest.min(cap)));
            }
        }
        let subscribe = subscribe.holds();
        let history = if subscribe { history.unwrap_or(0) } else { 0 };
        Rights { publish: publish.holds(), subscribe, history }
    }
}

/// What the matching keys say about one right.
#[derive(Clone, Copy, Default)]
struct Vote {
    granted: bool,
    denied: bool,
}

impl Vote {
    fn add(&mut self, opinion: Option<bool>, undecided: bool) {
        match opinion {
            Some(true) => self.granted |= !undecided,
            Some(false) => self.denied = true,
            None => {}
        }
    }

    fn holds(self) -> bool {
        self.granted && !self.denied
    }
}

fn compile(key: &str) -> Option<Regex> {
    let mut builder = RegexBuilder::new(key);
    builder.backtrack_limit(limits::BACKTRACK_STEPS);
    builder.delegate_size_limit(limits::COMPILED_KEY_BYTES).delegate_dfa_size_limit(limits::COMPILED_KEY_BYTES);
    builder.max_prog_size(limits::COMPILED_KEY_BYTES / 16);
    builder.build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn rights(permissions: &str, room: &str) -> Rights {
        Permissions::compile(&serde_json::from_str(permissions).unwrap()).rights(room)
    }

    const NONE: Rights = Rights { publish: false, subscribe: false, history: 0 };

    #[test]
    fn deny_wins_in_whatever_order() {
        let example = r#"{
            ".*": {"publish": true, "subscribe": true},
            "^main-room$": {"publish": false, "subscribe": false},
            "^feed$": {"publish": true, "subscribe": true, "history": 100}}"#;
        assert_eq!(rights(example, "main-room"), NONE);
        assert_eq!(rights(example, "main-room-2"), Rights { publish: true, subscribe: true, history: 0 });
        assert_eq!(rights(example, "feed"), Rights { publish: true, subscribe: true, history: 100 });
        assert_eq!(rights("{}", "feed"), NONE);
    }

    #[test]
    fn keys_are_unanchored_perl_expressions() {
        let allows = |key: &str, room: &str| {
            rights(&format!("{{{}: {{\"subscribe\": true}}}}", crate::json::text(key)), room).subscribe
        };
        assert!(allows("main", "the-main-room"));
        assert!(!allows("^main$", "the-main-room"));
        assert!(allows("^*.$", "anything"));
        assert!(allows("^(?!secret-)", "open-room"));
        assert!(!allows("^(?!secret-)", "secret-room"));
        assert!(allows(r"^(\w+)-\1$", "ab-ab"));
        assert!(!allows(r"^(\w+)-\1$", "ab-ba"));
        assert!(!allows("(", "("));
        assert!(!allows("*", "*"));
    }

    #[test]
    fn the_smallest_history_cap_counts_and_needs_subscribe() {
        let cap = |permissions: &str| rights(permissions, "feed").history;
        assert_eq!(cap(r#"{"e": {"subscribe": true, "history": 50}, "f": {"history": 7}}"#), 7);
        assert_eq!(cap(r#"{"e": {"history": 50}}"#), 0);
        assert_eq!(cap(r#"{"e": {"subscribe": true, "history": -3}}"#), 0);
        assert_eq!(cap(r#"{"e": {"subscribe": true, "history": 1e30}}"#), u32::MAX);
    }

    #[test]
    fn an_expression_made_to_hang_ends_and_grants_nothing() {
        let started = Instant::now();
        let room = format!("{}!", "a".repeat(500));
        for key in [r"^(a+)+\1$", r"^(?:(?=a)a|(?=a)aa)+$", r"^(?=(a|aa)+$)(a|aa)+$(?<!b)", r"(?:(?=a)a*)*\bx(?!y)"] {
            let key = crate::json::text(key);
            assert_eq!(rights(&format!("{{{key}: {{\"publish\": true}}}}"), &room), NONE);
            let guarded = format!("{{\".\": {{\"publish\": true}}, {key}: {{\"publish\": false}}}}");
            let _ = rights(&guarded, &room);
        }
        for key in ["((a{100}){100}){100}", "((?=a)a{100}){100}", "(?:(?=a)(?:a{1000}){1000}){1000}"] {
            let key = crate::json::text(key);
            assert_eq!(rights(&format!("{{{key}: {{\"publish\": true}}}}"), &room), NONE);
        }
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn what_cannot_be_decided_is_denied() {
        let room = format!("{}!", "a".repeat(500));
        let permissions = r#"{".": {"publish": true, "subscribe": true},
            "^(?:(?=a)a|(?=a)aa)+$": {"publish": false, "subscribe": true, "history": 10}}"#;
        assert_eq!(rights(permissions, &room), Rights { publish: false, subscribe: true, history: 0 });
    }
}
