//! Hashes. Inside the program channels, records and keys are told apart by 128-bit SipHash under a random key, so that
//! no caller can make two of them collide. What is *stored* of an idempotency key uses a fixed key, because the next
//! process must find it again: there a caller could only collide with keys of a channel it may publish to, where it
//! could as well repeat the key itself.

use model::{AppId, Channel, ChannelName, Error, Id, IdempotencyKey, Message, Reaction, RecordKey, Result, limits};
use siphasher::sip128::{Hasher128, SipHasher13, SipHasher24};
use std::hash::{BuildHasher, Hasher as _, RandomState};

/// The hash of a channel, a pattern, a record or a publisher's key: where to find it in the program's tables.
pub(crate) type Place = u128;

/// The keys under which idempotency keys are hashed for ever: changing them forgets a day of them.
const STORED_KEYS: (u64, u64) = (0x7363_726f_6c6c_6261, 0x636b_2064_6564_7570);

/// Hashes names under a key that lives as long as the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hasher {
    keys: (u64, u64),
}

#[derive(Clone, Copy)]
#[repr(u8)]
enum Domain {
    Named = 1,
    Member,
    Direct,
    Pattern,
    Record,
    Key,
    Presence,
    PresencePattern,
    Group,
    Reaction,
    Reactions,
    Holds,
}

impl Hasher {
    /// A hasher whose key nobody knows.
    pub fn random() -> Hasher {
        let draw = || RandomState::new().hash_one(0x5eed_u16);
        Hasher { keys: (draw(), draw()) }
    }

    pub fn channel(&self, app: &AppId, name: &ChannelName) -> Place {
        match name {
            ChannelName::Named(text) => self.hash(Domain::Named, &[app.as_str().as_bytes(), text.as_bytes()]),
            ChannelName::Member(community, channel) => {
                self.hash(Domain::Member, &[app.as_str().as_bytes(), &community.to_le_bytes(), &channel.to_le_bytes()])
            }
            ChannelName::Direct(a, b) => {
                self.hash(Domain::Direct, &[app.as_str().as_bytes(), a.as_bytes(), b.as_bytes()])
            }
        }
    }

    pub fn place(&self, channel: &Channel) -> Place {
        self.channel(&channel.app, &channel.name)
    }

    pub fn pattern(&self, app: &AppId, prefix: &str) -> Place {
        self.hash(Domain::Pattern, &[app.as_str().as_bytes(), prefix.as_bytes()])
    }

    /// Where those wait who follow who is on a channel.
    pub fn presence(&self, channel: Place) -> Place {
        self.hash(Domain::Presence, &[&channel.to_le_bytes()])
    }

    pub fn presence_pattern(&self, app: &AppId, prefix: &str) -> Place {
        self.hash(Domain::PresencePattern, &[app.as_str().as_bytes(), prefix.as_bytes()])
    }

    /// Where those wait who follow the changes of a group.
    pub fn group(&self, app: &AppId, group: &str) -> Place {
        self.hash(Domain::Group, &[app.as_str().as_bytes(), group.as_bytes()])
    }

    pub fn record(&self, key: &RecordKey) -> Place {
        self.hash(Domain::Record, &[key.app.as_str().as_bytes(), &[key.kind as u8], &key.name])
    }

    /// Of a reaction to a message of a channel.
    pub fn reaction(&self, channel: Place, reaction: &Reaction) -> Place {
        let user = &reaction.user;
        let message = reaction.message.raw().to_le_bytes();
        let flags = [user.origin as u8, u8::from(user.verified)];
        let parts: [&[u8]; 6] = [
            &channel.to_le_bytes(),
            &message,
            &flags,
            user.id.as_bytes(),
            reaction.kind.as_bytes(),
            reaction.value.as_bytes(),
        ];
        self.hash(Domain::Reaction, &parts)
    }

    /// Of the number of reactions to a message of a channel.
    pub fn reactions(&self, channel: Place, message: Id) -> Place {
        self.hash(Domain::Reactions, &[&channel.to_le_bytes(), &message.raw().to_le_bytes()])
    }

    /// Of the legal holds of an app.
    pub fn holds(&self, app: &AppId) -> Place {
        self.hash(Domain::Holds, &[app.as_str().as_bytes()])
    }

    pub fn key(&self, channel: Place, key_hash: u128) -> Place {
        self.hash(Domain::Key, &[&channel.to_le_bytes(), &key_hash.to_le_bytes()])
    }

    fn hash(&self, domain: Domain, parts: &[&[u8]]) -> Place {
        let mut hasher = SipHasher13::new_with_keys(self.keys.0, self.keys.1);
        hasher.write(&[domain as u8]);
        for part in parts {
            hasher.write(&(part.len() as u32).to_le_bytes());
            hasher.write(part);
        }
        hasher.finish128().as_u128()
    }
}

/// What is stored of a publisher's key: the hash of the key, and of the author and payload that it came with.
pub(crate) fn idempotency_key(key: &str, message: &Message) -> Result<IdempotencyKey> {
    if key.is_empty() || key.len() > limits::IDEMPOTENCY_KEY_BYTES {
        return Err(Error::invalid(format!("key: 1 to {} bytes", limits::IDEMPOTENCY_KEY_BYTES)));
    }
    let mut hasher = SipHasher24::new_with_keys(STORED_KEYS.0, STORED_KEYS.1);
    hasher.write(key.as_bytes());
    let key_hash = hasher.finish128().as_u128();

    let mut hasher = SipHasher24::new_with_keys(STORED_KEYS.0, STORED_KEYS.1);
    let author = message.author.as_ref();
    hasher.write(&[message.payload.form as u8, author.map_or(0, |author| author.origin as u8)]);
    let id = author.map_or("", |author| &author.id);
    hasher.write(&(id.len() as u32).to_le_bytes());
    hasher.write(id.as_bytes());
    hasher.write(&message.payload.bytes);
    Ok(IdempotencyKey { key_hash, payload_hash: hasher.finish128().h1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let hasher = Hasher::random();
        let app = AppId::new("demo").expect("an app");
        let direct = |a: &str, b: &str| hasher.channel(&app, &ChannelName::Direct(a.into(), b.into()));
        assert_ne!(direct("ab", "c"), direct("a", "bc"));
        assert_ne!(hasher.channel(&app, &ChannelName::Named("a.".into())), hasher.pattern(&app, "a."));
    }
}
