//! Keys to callers: `Authorization: Bearer <secret>`.

use crate::{error::Problem, params};
use edge::Secret;
use http::{HeaderMap, header};
use model::AppId;
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

    /// Who calls. Streams may show their key as `access_token` in the query (RFC 6750 §2.3), because a browser's
    /// `EventSource` cannot set headers.
    pub fn caller(
        &self,
        app: &AppId,
        headers: &HeaderMap,
        query: Option<&str>,
        is_stream: bool,
    ) -> Result<Caller, Problem> {
        let keys = self.0.get(app).ok_or_else(Problem::unauthenticated)?;
        let access = match bearer(headers) {
            Some(shown) => find(keys, shown),
            None if is_stream => params::first(query, "access_token").and_then(|shown| find(keys, shown.as_bytes())),
            None => None,
        };
        let access = access.ok_or_else(Problem::unauthenticated)?;
        Ok(Caller { app: app.clone(), user: None, access })
    }
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
