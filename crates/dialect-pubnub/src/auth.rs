//! Who calls and what it may do (`protocols/pubnub.md` §11): signatures, tokens and the older auth keys become a
//! [`Standing`], which a call asks before it makes the caller for the service.

use crate::{
    error::{Proof, Refusal},
    grants::Grants,
    limits,
    settings::Keyset,
    signature::{self, Signed},
    token::{Grant, Resources, TokenKey},
    wire::Query,
};
use regex::{Regex, RegexBuilder};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// What a call needs on what it names (§11.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// To subscribe, to fetch, to count, to list actions, to see who is there.
    Read,
    /// To publish, to signal, to add actions.
    Write,
    /// To delete from history, to remove actions.
    Delete,
    /// To change channel groups.
    Manage,
}

impl Need {
    /// The bit of §11.2.
    pub fn bit(self) -> u64 {
        match self {
            Need::Read => 1,
            Need::Write => 2,
            Need::Manage => 4,
            Need::Delete => 8,
        }
    }
}

/// What a caller may do.
#[derive(Clone)]
pub enum Standing {
    /// Everything: rights are not asked for, or the secret key signed.
    Everything,
    /// What a token grants.
    Token(Arc<Permissions>),
    /// What was granted to an auth key, or to everybody.
    Key(Option<String>),
}

/// The rights of a token, patterns compiled.
pub struct Permissions {
    /// The only user that may use it.
    pub user: Option<String>,
    /// When it ends, in Unix seconds.
    pub expires: u64,
    names: Resources,
    channels: Vec<(Regex, u64)>,
    groups: Vec<(Regex, u64)>,
}

impl Permissions {
    /// Compiles a grant; `Err` names the pattern that is no regular expression, or one that is too large.
    pub fn new(grant: Grant) -> Result<Permissions, String> {
        Ok(Permissions {
            expires: grant.expires(),
            user: grant.user,
            names: grant.names,
            channels: compile(&grant.patterns.channels)?,
            groups: compile(&grant.patterns.groups)?,
        })
    }

    /// The rights on a channel: those by name and those by every pattern that fits, together.
    pub fn channel(&self, name: &str) -> u64 {
        bits(name, &self.names.channels, &self.channels)
    }

    /// The rights on a channel group.
    pub fn group(&self, name: &str) -> u64 {
        bits(name, &self.names.groups, &self.groups)
    }
}

fn bits(name: &str, names: &BTreeMap<String, u64>, patterns: &[(Regex, u64)]) -> u64 {
    let named = names.get(name).copied().unwrap_or_default();
    patterns.iter().filter(|(pattern, _)| pattern.is_match(name)).fold(named, |bits, (_, more)| bits | more)
}

/// Patterns match anywhere unless they are anchored, in time linear in the name.
fn compile(patterns: &BTreeMap<String, u64>) -> Result<Vec<(Regex, u64)>, String> {
    patterns.iter().map(|(pattern, bits)| Ok((compile_one(pattern)?, *bits))).collect()
}

fn compile_one(pattern: &str) -> Result<Regex, String> {
    let too_long = pattern.len() > limits::PATTERN_BYTES;
    let built = RegexBuilder::new(pattern).size_limit(limits::PATTERN_COMPILED_BYTES).build();
    built.ok().filter(|_| !too_long).ok_or_else(|| pattern.to_owned())
}

/// Checks the proofs of one keyset, and remembers the tokens that were seen last.
pub struct Gate {
    key: TokenKey,
    seen: Mutex<foldhash::HashMap<String, Arc<Permissions>>>,
}

impl Gate {
    /// The gate of a keyset.
    pub fn new(keyset: &Keyset) -> Gate {
        let secret = keyset.secret_key.as_ref().map_or("", |secret| secret.expose());
        Gate { key: TokenKey::new(secret, &keyset.subscribe_key), seen: Mutex::default() }
    }

    /// The key that this keyset's tokens are sealed with.
    pub fn key(&self) -> &TokenKey {
        &self.key
    }

    /// Says what a request may do: what its signature proves, else its token, else its auth key.
    pub fn standing(&self, keyset: &Keyset, grants: &Grants, signed: Signed, now: u64) -> Result<Standing, Refusal> {
        if !keyset.access_manager {
            return Ok(Standing::Everything);
        }
        if signature::is_signed(signed.query) {
            administrator(keyset, signed, now)?;
            return Ok(Standing::Everything);
        }
        let Some(auth) = signed.query.get("auth") else { return Ok(Standing::Key(None)) };
        match self.permissions(auth) {
            Some(permissions) => {
                self.check(&permissions, grants, auth, signed.query, now)?;
                Ok(Standing::Token(permissions))
            }
            None => Ok(Standing::Key(Some(auth.to_owned()))),
        }
    }

    fn check(&self, token: &Permissions, grants: &Grants, auth: &str, query: &Query, now: u64) -> Result<(), Refusal> {
        let proof = if grants.is_revoked(auth) {
            Proof::RevokedToken
        } else if token.expires <= now {
            Proof::ExpiredToken
        } else if token.user.is_some() && token.user.as_deref() != query.get("uuid") {
            Proof::OtherUser
        } else {
            return Ok(());
        };
        Err(Refusal::Proof(proof))
    }

    /// The rights of a token of this keyset; none for any other text.
    fn permissions(&self, auth: &str) -> Option<Arc<Permissions>> {
        if let Some(known) = self.seen().get(auth) {
            return Some(known.clone());
        }
        let grant = Grant::parse(auth, &self.key).ok()?;
        let permissions = Arc::new(Permissions::new(grant).ok()?);
        let mut seen = self.seen();
        if seen.len() >= limits::TOKENS_REMEMBERED {
            seen.clear();
        }
        seen.insert(auth.to_owned(), permissions.clone());
        Some(permissions)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, foldhash::HashMap<String, Arc<Permissions>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks that the secret key signed a request: what grants and revocations need, whatever the keyset.
pub fn administrator(keyset: &Keyset, signed: Signed, now: u64) -> Result<(), Refusal> {
    let Some(secret) = &keyset.secret_key else { return Err(Refusal::Proof(Proof::Missing)) };
    if !signature::is_signed(signed.query) {
        return Err(Refusal::Proof(Proof::Missing));
    }
    let keys =
        signature::Keys { publish: &keyset.publish_key, subscribe: &keyset.subscribe_key, secret: secret.expose() };
    signature::verify(keys, signed, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(names: &[(&str, u64)], patterns: &[(&str, u64)]) -> Result<Permissions, String> {
        let map = |pairs: &[(&str, u64)]| pairs.iter().map(|(name, bits)| ((*name).to_owned(), *bits)).collect();
        let channels = |pairs| Resources { channels: map(pairs), ..Resources::default() };
        Permissions::new(Grant { names: channels(names), patterns: channels(patterns), ..Grant::default() })
    }

    #[test]
    fn names_and_patterns_add_up() {
        let granted = permissions(&[("room-1", 2)], &[("^room-.*$", 1), ("1", 8)]).unwrap();
        assert_eq!(granted.channel("room-1"), 11);
        assert_eq!(granted.channel("room-2"), 1);
        assert_eq!(granted.channel("a1b"), 8, "an unanchored pattern matches anywhere");
        assert_eq!(granted.channel("other"), 0);
        assert_eq!(granted.group("room-1"), 0);
    }

    #[test]
    fn patterns_made_to_hang_do_not() {
        let hang = permissions(&[], &[("^(a+)+$", 1), ("(x*)*y", 1)]).unwrap();
        assert_eq!(hang.channel(&("a".repeat(500) + "!")), 0);
        assert_eq!(hang.channel(&"x".repeat(500)), 0);
        for wrong in ["(", "a{1000}{1000}{1000}", "[", &"a".repeat(limits::PATTERN_BYTES + 1)] {
            assert_eq!(permissions(&[], &[(wrong, 1)]).err().as_deref(), Some(wrong));
        }
    }
}
