//! Grants: what somebody was given, kept by name for the dialects, each of which knows what its values mean. A grant
//! that has expired is as if it were not there.
//!
//! For callers inside the house, like all records: no access is asked.

use crate::{Channels, Standing, maintenance::Keeper, walk::Walk};
use bytes::{BufMut, Bytes, BytesMut};
use model::{AppId, Error, ErrorKind, Id, Record, RecordKey, RecordKind, Result};
use std::{sync::Arc, time::Duration};

/// How often a record is looked at again that changes while it is looked at.
const LOOKS: usize = 5;

/// A grant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// Its name in the app: 1 to [`model::limits::RECORD_NAME_BYTES`] bytes.
    pub name: Arc<[u8]>,
    /// What it gives, in its dialect's words.
    pub value: Bytes,
    /// From when on it is not there any more; none: never.
    pub until: Option<Id>,
    /// The version of its record; not looked at by [`Channels::put_grant`].
    pub version: Id,
}

impl Channels {
    /// Puts a grant, in place of one of the same name, on which nothing stands any more. Returns its version.
    pub async fn put_grant(&self, app: &AppId, grant: &Grant) -> Result<Id> {
        let mut value = BytesMut::with_capacity(size_of::<u64>() + grant.value.len());
        value.put_u64_le(grant.until.unwrap_or(Id::MAX).raw());
        value.put_slice(&grant.value);
        self.put_record(key(app, &grant.name), Some(value.freeze()), None).await
    }

    /// A grant, if it is there.
    pub async fn grant(&self, app: &AppId, name: &[u8]) -> Result<Option<Grant>> {
        let record = self.record(&key(app, name)).await?;
        let grant = record.map(decode).transpose()?;
        Ok(grant.filter(|grant| self.shared.is_ahead(grant.until)))
    }

    /// Grants whose names begin with `prefix`, in byte order, those after `after`. Looks at `limit` of them, of which
    /// some may have expired, and says where to go on.
    pub async fn grants(
        &self,
        app: &AppId,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: u32,
    ) -> Result<(Vec<Grant>, Option<Arc<[u8]>>)> {
        let records = self.records(app, RecordKind::Grant, prefix, after, limit).await?;
        let next = records.last().filter(|_| records.len() == limit as usize).map(|last| last.key.name.clone());
        let grants = records.into_iter().map(decode).collect::<Result<Vec<Grant>>>()?;
        Ok((grants.into_iter().filter(|grant| self.shared.is_ahead(grant.until)).collect(), next))
    }

    /// Takes a grant back: when this returns, whatever stood on it has ended. Whether there was one.
    pub async fn revoke(&self, app: &AppId, name: &[u8]) -> Result<bool> {
        let key = key(app, name);
        for _ in 0..LOOKS {
            let Some(record) = self.record(&key).await? else { return Ok(false) };
            match self.put_record(key.clone(), None, Some(record.version)).await {
                Ok(_) => return Ok(decode(record).is_ok_and(|grant| self.shared.is_ahead(grant.until))),
                Err(error) if error.kind == model::ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::unavailable("the grant changes all the time; it was not revoked"))
    }

    /// What an access can stand on: a grant, or one that must not be there, as it is now. Costs a look into memory if
    /// the grant was looked at before.
    pub async fn standing(&self, app: &AppId, name: &[u8]) -> Result<Standing> {
        let key = key(app, name);
        let place = self.shared.live.hasher.record(&key);
        for _ in 0..LOOKS {
            let standing = self.shared.live.standings.of(&key, place);
            if !standing.is_looked_up() {
                // What changes from here on ends it, so what is found is what it stands on.
                let version = self.record(&key).await?.map_or(Id::MIN, |record| record.version);
                standing.looked_up(version);
            }
            if standing.ended_at().is_none() {
                return Ok(standing);
            }
        }
        Err(Error::unavailable("the grant changes all the time"))
    }
}

/// So often a walk through all grants begins: they end by themselves, this only takes their records.
const WALK_EVERY: Duration = Duration::from_secs(600);

/// Forgets grants whose time was over by trusted time, a bounded number a round.
pub(crate) struct Expired(Walk<Arc<[u8]>>);

impl Default for Expired {
    fn default() -> Expired {
        Expired(Walk::new(WALK_EVERY))
    }
}

impl Expired {
    /// Looks at the next grants; whether there are more.
    pub fn step(&mut self, keeper: &Keeper, trusted: u64, at_once: bool) -> Result<bool> {
        self.0.step(keeper, at_once, keeper.settings.expired_grants, |app, after, limit| {
            let records = keeper.store.records(app, RecordKind::Grant, b"", after.map(|name| &name[..]), limit)?;
            let names = records.iter().map(|record| record.key.name.clone()).collect();
            for record in records {
                let (key, version) = (record.key.clone(), record.version);
                if decode(record)?.until.is_some_and(|until| until <= Id::new(trusted, 0)) {
                    match keeper.put_record_at(key, None, Some(version)) {
                        // It was put again meanwhile.
                        Err(error) if error.kind == ErrorKind::Conflict => {}
                        outcome => outcome?,
                    }
                }
            }
            Ok(names)
        })
    }
}

fn key(app: &AppId, name: &[u8]) -> RecordKey {
    RecordKey { app: app.clone(), kind: RecordKind::Grant, name: name.into() }
}

fn decode(record: Record) -> Result<Grant> {
    let Some(until) = record.value.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes)) else {
        return Err(Error::internal("a grant that is too short was read"));
    };
    let until = Some(Id::from_raw(until)).filter(|until| *until != Id::MAX);
    Ok(Grant { name: record.key.name, value: record.value.slice(8..), until, version: record.version })
}
