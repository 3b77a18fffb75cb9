//! How a directory is kept: one record for each thing, as JSON, and one for what is drawn once for the realm.

use super::{Community, Directory, Entry, Group, Key, Member, User, tokens::TokenKey};
use crate::limits;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use bytes::Bytes;
use model::{AppId, Error, Id, Record, RecordKey, RecordKind, Result};
use rand::RngExt;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use service::Channels;

const PREFIX: &str = "osmium/";
const REALM: &str = "osmium/realm";

/// What is drawn once for a realm and never changes.
pub struct Founding {
    /// Where ids begin to count, in Unix milliseconds: clients have seen ids that hang on it.
    pub epoch_ms: u64,
    /// Makes tokens.
    pub token_key: TokenKey,
}

#[derive(Serialize, Deserialize)]
struct StoredFounding {
    epoch_ms: u64,
    token_key: String,
}

/// Reads what was drawn for the realm, or draws it. Refuses an epoch other than the one that ids were counted from.
pub async fn found(channels: &Channels, app: &AppId, epoch_ms: Option<u64>, default_ms: u64) -> Result<Founding> {
    let key = record_key(app, REALM);
    if let Some(record) = channels.record(&key).await? {
        let stored: StoredFounding = parse(&record)?;
        if epoch_ms.is_some_and(|configured| configured != stored.epoch_ms) {
            return Err(Error::invalid(format!(
                "app {app}: osmium.epoch differs from the one that was in use when the first ids were given out, \
                 {} ms after 1970; clients hold these ids, so it cannot change",
                stored.epoch_ms
            )));
        }
        let bytes = STANDARD_NO_PAD.decode(&stored.token_key).ok().and_then(|bytes| bytes.try_into().ok());
        let token_key = TokenKey(bytes.ok_or_else(|| damaged(&record))?);
        return Ok(Founding { epoch_ms: stored.epoch_ms, token_key });
    }
    let token_key: [u8; 32] = rand::rng().random();
    let epoch_ms = epoch_ms.unwrap_or(default_ms);
    let stored = StoredFounding { epoch_ms, token_key: STANDARD_NO_PAD.encode(token_key) };
    channels.put_record(key, Some(json(&stored)), Some(Id::MIN)).await?;
    Ok(Founding { epoch_ms, token_key: TokenKey(token_key) })
}

/// Reads everything that is kept of a directory.
pub async fn load(channels: &Channels, app: &AppId) -> Result<Directory> {
    let mut directory = Directory::default();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let kind = RecordKind::Directory;
        let records = channels.records(app, kind, PREFIX.as_bytes(), after.as_deref(), limits::RECORDS).await?;
        let complete = records.len() < limits::RECORDS as usize;
        after = records.last().map(|record| record.key.name.to_vec());
        for record in &records {
            if let Some(entry) = entry(record)? {
                directory.put(entry);
            }
        }
        if complete {
            return Ok(directory);
        }
    }
}

/// Keeps an entry. Durable when it returns.
pub async fn put(channels: &Channels, app: &AppId, entry: &Entry) -> Result<()> {
    let value = match entry {
        Entry::User(user) => json(user),
        Entry::Community(community) => json(community),
        Entry::Member(_, _, member) => json(member),
        Entry::Group(group) => json(group),
    };
    channels.put_record(record_key(app, &name(entry.key())), Some(value), None).await.map(drop)
}

/// Keeps an entry no longer. Durable when it returns.
pub async fn delete(channels: &Channels, app: &AppId, key: Key) -> Result<()> {
    channels.put_record(record_key(app, &name(key)), None, None).await.map(drop)
}

fn name(key: Key) -> String {
    match key {
        Key::User(id) => format!("osmium/user/{id}"),
        Key::Community(id) => format!("osmium/community/{id}"),
        Key::Member(community, user) => format!("osmium/member/{community}/{user}"),
        Key::Group(id) => format!("osmium/group/{id}"),
    }
}

/// What a record of the directory says; nothing if it is not a thing of it.
fn entry(record: &Record) -> Result<Option<Entry>> {
    let name = std::str::from_utf8(&record.key.name).map_err(|_| damaged(record))?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| damaged(record));
    let parts: Vec<&str> = name.split('/').collect();
    Ok(Some(match parts[..] {
        ["osmium", "user", _] => Entry::User(parse::<User>(record)?),
        ["osmium", "community", _] => Entry::Community(parse::<Community>(record)?),
        ["osmium", "member", community, user] => {
            Entry::Member(number(community)?, number(user)?, parse::<Member>(record)?)
        }
        ["osmium", "group", _] => Entry::Group(parse::<Group>(record)?),
        _ => return Ok(None),
    }))
}

/// The address of a record of this dialect.
fn record_key(app: &AppId, name: &str) -> RecordKey {
    RecordKey { app: app.clone(), kind: RecordKind::Directory, name: name.as_bytes().into() }
}

fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("texts and numbers are always JSON").into()
}

fn parse<T: DeserializeOwned>(record: &Record) -> Result<T> {
    serde_json::from_slice(&record.value).map_err(|error| damaged(record).with_source(error))
}

fn damaged(record: &Record) -> Error {
    let name = String::from_utf8_lossy(&record.key.name).into_owned();
    Error::internal(format!("the record {name} of the Osmium directory cannot be read"))
}
