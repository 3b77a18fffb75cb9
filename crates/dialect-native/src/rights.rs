//! Rights and places as people write them, in grants and in the configuration.

use model::ChannelName;
use service::{Expression, Group, Rights, Scope};

/// What a key or a grant may give.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Right {
    /// Pages, counts, streams, lists, who is there.
    Read,
    /// What is stored, and nothing live.
    History,
    /// What happens from now on, and nothing stored before.
    Live,
    /// Who is there.
    Presence,
    /// Publishing, signals, reactions, edits of one's own.
    Write,
    /// Deleting messages.
    Delete,
    /// What others wrote, and which channels belong to a group.
    Manage,
    /// Everything else: retention, holds, erasures, grants.
    Admin,
}

impl Right {
    const ALL: [Right; 8] = [
        Right::Read,
        Right::History,
        Right::Live,
        Right::Presence,
        Right::Write,
        Right::Delete,
        Right::Manage,
        Right::Admin,
    ];

    /// Its name in files and requests.
    pub fn name(self) -> &'static str {
        match self {
            Right::Read => "read",
            Right::History => "history",
            Right::Live => "live",
            Right::Presence => "presence",
            Right::Write => "write",
            Right::Delete => "delete",
            Right::Manage => "manage",
            Right::Admin => "admin",
        }
    }

    /// The right of this name; the error tells all names.
    pub fn from_name(name: &str) -> Result<Right, String> {
        Right::ALL.into_iter().find(|right| right.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Right::ALL.iter().map(|right| right.name()).collect();
            format!("{name:?} is not one of {}", names.join(", "))
        })
    }

    /// What it is to the service. Who may administer an app may also manage it.
    pub fn rights(self) -> Rights {
        match self {
            Right::Read => Rights::READ | Rights::HISTORY | Rights::PRESENCE,
            Right::History => Rights::HISTORY,
            Right::Live => Rights::READ,
            Right::Presence => Rights::PRESENCE,
            Right::Write => Rights::WRITE,
            Right::Delete => Rights::DELETE,
            Right::Manage => Rights::MANAGE,
            Right::Admin => Rights::ADMIN | Rights::MANAGE,
        }
    }
}

/// Channels as they are written: a whole name; the beginning of names with a star, `room.*`; an expression between `^`
/// and `$` (the linear kind, matched against the whole name); a group, `group:friends`.
pub fn scope(text: &str) -> Result<Scope, String> {
    if let Some(group) = text.strip_prefix("group:") {
        return Group::new(group).map(Scope::Group).map_err(|error| error.to_string());
    }
    if text.starts_with('^') {
        if !text.ends_with('$') {
            return Err("an expression begins with ^ and ends with $".into());
        }
        return Expression::new(text).map(Scope::Expression).map_err(|error| error.to_string());
    }
    match text.strip_suffix('*') {
        Some(prefix) if prefix.contains('*') => Err("only one * is allowed, at the end".into()),
        Some(prefix) => Ok(Scope::Prefix(prefix.into())),
        None if text.contains('*') => Err("a * is allowed at the end only".into()),
        None => ChannelName::named(text).map(Scope::Channel).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_right_is_found_by_its_name() {
        for right in Right::ALL {
            assert_eq!(Right::from_name(right.name()), Ok(right));
        }
        assert!(Right::from_name("all").expect_err("there is none").contains("read, history, live"));
    }

    #[test]
    fn places_come_in_four_spellings() {
        let name = |text: &str| ChannelName::named(text).expect("a name");
        assert!(scope("a.*").expect("a prefix").covers(&name("a.b.c")));
        assert!(scope("a").expect("a name").covers(&name("a")));
        let rooms = scope("^room-[0-9]+$").expect("an expression");
        assert!(rooms.covers(&name("room-12")) && !rooms.covers(&name("room-x")) && !rooms.covers(&name("a room-1")));
        assert!(matches!(scope("group:friends"), Ok(Scope::Group(_))));
        for bad in ["", "a*b", "*.*", "^a", "^(a$", "^(?=a)b$", "group:"] {
            assert!(scope(bad).is_err(), "{bad:?}");
        }
    }
}
