//! What the dialect remembers of access: revoked tokens (`protocols/pubnub.md` §11.4) and the older grants to channels
//! and auth keys (§11.5). Kept as records of the app, so both survive a restart; in memory for every call.

use crate::{error::Refusal, limits};
use bytes::Bytes;
use model::{AppId, RecordKey, RecordKind};
use serde::{Deserialize, Serialize};
use service::Channels;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// Where an older grant holds: the keyset, a channel or a group, for everybody or for one auth key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Place {
    /// Everything.
    Keyset,
    /// A channel, and the auth key or nothing.
    Channel(String, String),
    /// A channel group, and the auth key or nothing.
    Group(String, String),
}

/// An older grant.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Granted {
    /// The rights, as the bits of §11.2.
    pub bits: u64,
    /// How long it was granted for; 0 is for ever.
    pub minutes: u64,
    /// When it ends, in Unix seconds; 0 is never.
    pub expires: u64,
}

impl Granted {
    fn holds(&self, now: u64) -> bool {
        self.expires == 0 || self.expires > now
    }
}

/// The grants and revocations of one keyset.
pub struct Grants {
    app: AppId,
    known: Mutex<Known>,
    revocations: watch::Sender<()>,
}

#[derive(Default)]
struct Known {
    /// The hash of the token, and when it would have ended.
    revoked: foldhash::HashMap<[u8; 32], u64>,
    granted: BTreeMap<Place, Granted>,
}

const REVOKED: &str = "pubnub/revoked/";
const GRANTED: &str = "pubnub/grant/";
const PAGE: u32 = 1_000;

impl Grants {
    /// Reads what is stored.
    pub async fn load(channels: &Channels, app: &AppId) -> model::Result<Grants> {
        let grants = Grants { app: app.clone(), known: Mutex::default(), revocations: watch::Sender::default() };
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = channels.records(app, RecordKind::Grant, b"pubnub/", after.as_deref(), PAGE).await?;
            for record in &page {
                grants.take(&record.key.name, &record.value);
            }
            match page.last() {
                Some(last) if page.len() == PAGE as usize => after = Some(last.key.name.to_vec()),
                _ => return Ok(grants),
            }
        }
    }

    /// Records that are not understood were written by a later version, and say nothing to this one.
    fn take(&self, name: &[u8], value: &Bytes) {
        let Ok(name) = std::str::from_utf8(name) else { return };
        let mut known = self.known();
        if let Some(hash) = name.strip_prefix(REVOKED).and_then(unhex) {
            known.revoked.insert(hash, serde_json::from_slice(value).unwrap_or(u64::MAX));
        } else if let Some(place) = name.strip_prefix(GRANTED).and_then(place_of)
            && let Ok(granted) = serde_json::from_slice(value)
        {
            known.granted.insert(place, granted);
        }
    }

    /// Whether a token was revoked.
    pub fn is_revoked(&self, token: &str) -> bool {
        self.known().revoked.contains_key(&hash(token))
    }

    /// Becomes ready whenever a token was revoked.
    pub fn revocations(&self) -> watch::Receiver<()> {
        self.revocations.subscribe()
    }

    /// Revokes a token that would end at `expires`. Revocations of tokens that have ended are forgotten.
    pub async fn revoke(&self, channels: &Channels, token: &str, expires: u64, now: u64) -> Result<(), Refusal> {
        self.forget(channels, now).await?;
        if self.known().revoked.len() >= limits::REVOCATIONS {
            return Err(full("revoked tokens"));
        }
        let hash = hash(token);
        self.put(channels, format!("{REVOKED}{}", hex(&hash)), Some(expires.to_string().into())).await?;
        self.known().revoked.insert(hash, expires);
        self.revocations.send_replace(());
        Ok(())
    }

    async fn forget(&self, channels: &Channels, now: u64) -> Result<(), Refusal> {
        let ended = |expires: &u64| *expires <= now;
        let old: Vec<_> = self.known().revoked.iter().filter(|(_, end)| ended(end)).map(|(hash, _)| *hash).collect();
        for hash in old {
            self.put(channels, format!("{REVOKED}{}", hex(&hash)), None).await?;
            self.known().revoked.remove(&hash);
        }
        Ok(())
    }

    /// Sets an older grant; one without any right is taken back.
    pub async fn grant(&self, channels: &Channels, place: Place, granted: Granted) -> Result<(), Refusal> {
        let takes_back = granted.bits == 0;
        if !takes_back && self.known().granted.len() >= limits::GRANTS {
            return Err(full("grants"));
        }
        let value = serde_json::to_vec(&granted).expect("three numbers can always be written");
        self.put(channels, name_of(&place), (!takes_back).then(|| value.into())).await?;
        let mut known = self.known();
        if takes_back {
            known.granted.remove(&place);
        } else {
            known.granted.insert(place, granted);
        }
        Ok(())
    }

    /// What holds at exactly this place.
    pub fn at(&self, place: &Place, now: u64) -> Granted {
        self.known().granted.get(place).copied().filter(|granted| granted.holds(now)).unwrap_or_default()
    }

    /// The rights of an auth key on a channel: those of the keyset, of the channel and of the key, together.
    pub fn channel(&self, name: &str, auth: Option<&str>, now: u64) -> u64 {
        self.bits(|auth| Place::Channel(name.to_owned(), auth), auth, now)
    }

    /// The same for a channel group.
    pub fn group(&self, name: &str, auth: Option<&str>, now: u64) -> u64 {
        self.bits(|auth| Place::Group(name.to_owned(), auth), auth, now)
    }

    fn bits(&self, place: impl Fn(String) -> Place, auth: Option<&str>, now: u64) -> u64 {
        let known = self.known();
        let places = [Some(Place::Keyset), Some(place(String::new())), auth.map(|auth| place(auth.to_owned()))];
        let found = places.iter().flatten().filter_map(|place| known.granted.get(place));
        found.filter(|granted| granted.holds(now)).fold(0, |bits, granted| bits | granted.bits)
    }

    async fn put(&self, channels: &Channels, name: String, value: Option<Bytes>) -> Result<(), Refusal> {
        let key = RecordKey { app: self.app.clone(), kind: RecordKind::Grant, name: name.into_bytes().into() };
        channels.put_record(key, value, None).await?;
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn full(what: &str) -> Refusal {
    Refusal::Work(model::Error::new(model::ErrorKind::TooMany, format!("too many {what} on this keyset")))
}

fn hash(token: &str) -> [u8; 32] {
    // The padding may get lost on the way: it is the same token without it.
    Sha256::digest(token.trim_end_matches('=')).into()
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

fn name_of(place: &Place) -> String {
    match place {
        Place::Keyset => format!("{GRANTED}keyset"),
        Place::Channel(name, auth) => format!("{GRANTED}channel/{name}\0{auth}"),
        Place::Group(name, auth) => format!("{GRANTED}group/{name}\0{auth}"),
    }
}

fn place_of(name: &str) -> Option<Place> {
    let (level, rest) = name.split_once('/').unwrap_or((name, ""));
    let named = || rest.split_once('\0').map(|(name, auth)| (name.to_owned(), auth.to_owned()));
    match level {
        "keyset" => Some(Place::Keyset),
        "channel" => named().map(|(name, auth)| Place::Channel(name, auth)),
        "group" => named().map(|(name, auth)| Place::Group(name, auth)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_names_that_can_be_read_back() {
        let places = [
            Place::Keyset,
            Place::Channel("a/b".into(), String::new()),
            Place::Channel("a".into(), "key/1".into()),
            Place::Group("g".into(), "k".into()),
        ];
        for place in places {
            let name = name_of(&place);
            assert_eq!(name.strip_prefix(GRANTED).and_then(place_of), Some(place));
        }
        assert_eq!(place_of("later/thing"), None);
    }

    #[test]
    fn hashes_are_read_back() {
        let token = hash("token==");
        assert_eq!(token, hash("token"));
        assert_eq!(unhex(&hex(&token)), Some(token));
        assert_eq!(unhex("é"), None);
        assert_eq!(unhex(&"g".repeat(64)), None);
    }
}
