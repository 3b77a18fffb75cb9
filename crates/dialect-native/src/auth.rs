//! Keys and grants to callers: `Authorization: Bearer <secret>`.

use crate::{Native, error::Problem, grants::Grants, params};
use edge::Secret;
use http::{HeaderMap, header};
use model::{AppId, UserId};
use service::{Access, Caller};
use std::{collections::HashMap, sync::Arc};

/// A tenant that the native API serves.
#[derive(Clone, Debug)]
pub struct App {
    /// Its name in paths.
    pub name: AppId,
    /// Who may call.
    pub keys: Vec<Key>,
}

/// A key and what it gives.
#[derive(Clone, Debug)]
pub struct Key {
    /// What is shown.
    pub secret: Secret,
    /// What it gives.
    pub access: Arc<Access>,
}

/// The keys of all apps.
pub(crate) struct Apps(HashMap<AppId, Vec<Key>>);

impl Apps {
    pub fn new(apps: impl IntoIterator<Item = App>) -> Apps {
        Apps(apps.into_iter().map(|app| (app.name, app.keys)).collect())
    }
}

impl Native {
    /// Who calls. Streams may show their key as `access_token` in the query (RFC 6750 §2.3), because a browser's
    /// `EventSource` cannot set headers.
    pub(crate) async fn caller(
        &self,
        app: &AppId,
        headers: &HeaderMap,
        query: Option<&str>,
        is_stream: bool,
    ) -> Result<Caller, Problem> {
        let keys = self.apps.0.get(app).ok_or_else(Problem::unauthenticated)?;
        let in_query = if is_stream { params::first(query, "access_token") } else { None };
        let shown = match (bearer(headers), &in_query) {
            (Some(shown), _) => shown,
            (None, Some(shown)) => shown.as_bytes(),
            (None, None) => return Err(Problem::unauthenticated()),
        };
        if let Some(access) = find(keys, shown) {
            return Ok(Caller { app: app.clone(), user: None, access });
        }
        match Grants::is_token(shown) {
            true => self.grants.caller(&self.channels, app, shown, self.now()).await,
            false => Err(Problem::unauthenticated()),
        }
    }
}

/// Who speaks: the user that the caller's grant names, else the one that the request names. Whoever holds a key may name
/// anybody.
pub(crate) fn speaker(caller: &Caller, field: &str, named: Option<UserId>) -> Result<Option<UserId>, Problem> {
    match (&caller.user, named) {
        (Some(user), Some(named)) if user.id != named.id || user.origin != named.origin => {
            Err(Problem::forbidden(field, format!("this grant speaks for {:?} only", &*user.id)))
        }
        (Some(user), _) => Ok(Some(user.clone())),
        (None, named) => Ok(named),
    }
}

/// The caller as the user that a request names.
pub(crate) fn speaking_as(caller: &Caller, field: &str, named: Option<UserId>) -> Result<Caller, Problem> {
    Ok(Caller { user: speaker(caller, field, named)?, ..caller.clone() })
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, secret) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| secret.trim_ascii())
}

/// Looks at every key, so that the time does not tell which one was nearly right.
fn find(keys: &[Key], shown: &[u8]) -> Option<Arc<Access>> {
    let mut found = None;
    for key in keys {
        if key.secret.is(shown) {
            found = Some(&key.access);
        }
    }
    found.cloned()
}
