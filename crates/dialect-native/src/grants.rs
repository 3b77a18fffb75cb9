//! `grants`: bearer tokens with rights of their own, made and withdrawn at runtime. The record of a grant holds a hash of
//! the token, so that nobody who reads the data can show one. Whatever stands on a grant ends with it.

use crate::{
    Native,
    call::{Answer, Call},
    convert::{self, Position},
    error::Problem,
    fields::Fields,
    json,
    rights::{self, Right},
    settings::{CACHED_GRANTS, DEFAULT_LIMIT, GRANT_CHANNELS, LISTED},
    wire,
};
use bytes::Bytes;
use http::StatusCode;
use model::{AppId, Error, Id, Origin, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};
use service::{Access, AccessWindow, Caller, Channels, Grant, Rule, Standing};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use subtle::ConstantTimeEq;

/// What every token begins with: found by those who look for secrets that were published by mistake.
const TOKEN_START: &str = "sbg_";
/// What the names of the native API's grants begin with, among those of other dialects.
const NAMES: &[u8] = b"native:";
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;

/// The value of a grant's record.
#[derive(Clone, Serialize, Deserialize, PartialEq, Debug)]
struct Stored {
    /// SHA-256 of the token in hexadecimal digits.
    token: String,
    may: Vec<String>,
    channels: Vec<String>,
    user: Option<String>,
    newest: Option<u32>,
    not_older_than_seconds: Option<u64>,
    since: Option<u64>,
}

/// Grants that were looked up and stand: what they give. Bounded; when it is full all are looked up again.
#[derive(Default)]
pub(crate) struct Grants(Mutex<HashMap<(AppId, Vec<u8>), Known>>);

#[derive(Clone)]
struct Known {
    standing: Standing,
    token: [u8; 32],
    user: Option<UserId>,
    access: Arc<Access>,
}

impl Grants {
    /// Whether it has the look of a token.
    pub fn is_token(shown: &[u8]) -> bool {
        shown.starts_with(TOKEN_START.as_bytes())
    }

    /// Who shows this token; `Unauthenticated` if it holds no more, or never did.
    pub async fn caller(&self, channels: &Channels, app: &AppId, shown: &[u8], now: Id) -> Result<Caller, Problem> {
        let name = name_in(shown).ok_or_else(Problem::unauthenticated)?;
        let hash: [u8; 32] = Sha256::digest(shown).into();
        let key = (app.clone(), name);
        let known = match self.known(&key) {
            Some(known) => known,
            None => self.look_up(channels, key).await?,
        };
        let holds = bool::from(known.token.ct_eq(&hash)) && known.access.until.is_none_or(|until| until > now);
        if !holds {
            return Err(Problem::unauthenticated());
        }
        Ok(Caller { app: app.clone(), user: known.user, access: known.access })
    }

    fn known(&self, key: &(AppId, Vec<u8>)) -> Option<Known> {
        let known = self.0.lock().expect("no panic happens under this lock");
        known.get(key).filter(|known| known.standing.ended_at().is_none()).cloned()
    }

    async fn look_up(&self, channels: &Channels, key: (AppId, Vec<u8>)) -> Result<Known, Problem> {
        let (app, name) = &key;
        // What the access stands on is asked for first: a grant that changes in between ends it.
        let standing = channels.standing(app, name).await?;
        let grant = channels.grant(app, name).await?.ok_or_else(Problem::unauthenticated)?;
        let stored: Stored = serde_json::from_slice(&grant.value).map_err(Error::internal)?;
        let known = known(standing, &grant, &stored)?;
        let mut all = self.0.lock().expect("no panic happens under this lock");
        if all.len() >= CACHED_GRANTS {
            all.clear();
        }
        all.insert(key, known.clone());
        Ok(known)
    }
}

fn known(standing: Standing, grant: &Grant, stored: &Stored) -> Result<Known, Problem> {
    let broken = |text: String| Problem::from(Error::internal(text));
    let token = from_hex(&stored.token).and_then(|bytes| bytes.try_into().ok());
    let token = token.ok_or_else(|| broken("a grant without a hash was read".into()))?;
    let user = stored.user.as_deref().map(|id| UserId::new(Origin::Native, id, true)).transpose()?;
    let mut access = Access::new(rules(&stored.may, &stored.channels).map_err(|(_, text)| broken(text))?);
    access.window = AccessWindow {
        newest: stored.newest,
        not_older_than: stored.not_older_than_seconds.map(Duration::from_secs),
        since: stored.since.map(Id::from_raw),
    };
    access.until = grant.until;
    access.stands_on = Some(standing.clone());
    Ok(Known { standing, token, user, access: Arc::new(access) })
}

/// The rules that a grant writes down, or the field that is wrong and why.
fn rules(may: &[String], channels: &[String]) -> Result<Vec<Rule>, (&'static str, String)> {
    let mut all = service::Rights::NONE;
    for name in may {
        all = all | Right::from_name(name).map_err(|error| ("may", error))?.rights();
    }
    let rule = |text: &String| match rights::scope(text) {
        Ok(scope) => Ok(Rule { scope, rights: all }),
        Err(error) => Err(("channels", format!("{}: {error}", crate::params::shown(text)))),
    };
    channels.iter().map(rule).collect()
}

impl Native {
    /// Makes a grant: `may`, `channels`, and if it matters `user`, `ttl`, `newest`, `not_older_than`, `since`. The token is
    /// in the answer and nowhere else.
    pub(crate) async fn grant(&self, call: Call<'_>) -> Answer {
        self.demand_admin(call.caller)?;
        let (caller, body) = call.body().await?;
        let (mut stored, ttl) = parse(Fields::of_body(&body)?)?;
        let (id, token) = (random::<ID_BYTES>()?, random::<SECRET_BYTES>()?);
        let token = format!("{TOKEN_START}{id}_{token}");
        stored.token = to_hex(&Sha256::digest(token.as_bytes()));
        let until = ttl.map(|ttl| after(self.now(), ttl));
        let value = serde_json::to_vec(&stored).map_err(Error::internal)?;
        let name = [NAMES, id.as_bytes()].concat();
        let grant = Grant { name: name.into(), value: Bytes::from(value), until, version: Id::MIN };
        self.channels.put_grant(&caller.app, &grant).await?;
        let expires = until.map(convert::time);
        let answer = json!({ "id": id, "token": token, "expires": expires });
        let mut response = json(answer.to_string().into());
        *response.status_mut() = StatusCode::CREATED;
        Ok(response)
    }

    pub(crate) async fn list_grants(&self, call: Call<'_>) -> Answer {
        let (caller, mut params) = call.params()?;
        let after = params.take("after")?.map(|id| [NAMES, id.as_bytes()].concat());
        let limit = params.take_number("limit", 1..=LISTED, DEFAULT_LIMIT)? as u32;
        params.finish(&["after", "limit"])?;
        self.demand_admin(caller)?;
        let (grants, next) = self.channels.grants(&caller.app, NAMES, after.as_deref(), limit).await?;
        let mut shown = Vec::with_capacity(grants.len());
        for grant in &grants {
            let stored: Stored = serde_json::from_slice(&grant.value).map_err(Error::internal)?;
            shown.push(show(grant, &stored));
        }
        let next = next.as_deref().map(id_of);
        Ok(json(json!({ "grants": shown, "next": next }).to_string().into()))
    }

    /// Whatever stands on the grant ends with this.
    pub(crate) async fn revoke(&self, call: Call<'_>, id: &str) -> Answer {
        let caller = call.bare()?;
        self.demand_admin(caller)?;
        let well_formed = from_hex(id).is_some_and(|bytes| bytes.len() == ID_BYTES);
        let there = well_formed && self.channels.revoke(&caller.app, &[NAMES, id.as_bytes()].concat()).await?;
        match there {
            true => Ok(json(json!({ "revoked": id }).to_string().into())),
            false => Err(Problem::not_found("grant", "there is none of this id")),
        }
    }

    /// For what the service leaves to the dialect: grants of its own.
    fn demand_admin(&self, caller: &Caller) -> Result<(), Problem> {
        match caller.access.allows_prefix("", service::Rights::ADMIN) {
            true => Ok(()),
            false => Err(Problem::forbidden("grant", "this needs the right admin on all channels")),
        }
    }
}

fn parse(mut fields: Fields<'_>) -> Result<(Stored, Option<Duration>), Problem> {
    let may = texts(&mut fields, "may")?;
    let channels = texts(&mut fields, "channels")?;
    rules(&may, &channels).map_err(|(field, text)| Problem::invalid(field, text))?;
    let user = fields.take::<String>("user")?;
    user.as_deref().map(|id| convert::user("user", id, None)).transpose()?;
    let ttl = fields.raw("ttl").map(|raw| convert::duration("ttl", raw)).transpose()?;
    if ttl.is_some_and(|ttl| ttl.is_zero()) {
        return Err(Problem::invalid("ttl", "it would be over at once"));
    }
    let newest = fields.take::<u32>("newest")?;
    let not_older_than =
        fields.raw("not_older_than").map(|raw| convert::duration("not_older_than", raw)).transpose()?;
    if not_older_than.is_some_and(|age| age.as_secs() == 0) {
        return Err(Problem::invalid("not_older_than", "at least a second"));
    }
    let since = fields.take::<String>("since")?.map(|text| Position::parse("since", &text)).transpose()?;
    fields.finish()?;
    let stored = Stored {
        token: String::new(),
        may,
        channels,
        user,
        newest,
        not_older_than_seconds: not_older_than.map(|age| age.as_secs()),
        since: since.map(|position| position.just_before().raw()),
    };
    Ok((stored, ttl))
}

fn texts(fields: &mut Fields<'_>, name: &str) -> Result<Vec<String>, Problem> {
    let text = |raw: &RawValue| {
        serde_json::from_str::<String>(raw.get()).map_err(|error| Problem::invalid(name, wire::reason(&error)))
    };
    let list = fields.list(name, GRANT_CHANNELS)?.ok_or_else(|| Problem::invalid(name, "missing field"))?;
    if list.is_empty() {
        return Err(Problem::invalid(name, "it is empty"));
    }
    list.into_iter().map(text).collect()
}

fn show(grant: &Grant, stored: &Stored) -> serde_json::Value {
    json!({
        "id": id_of(&grant.name),
        "may": stored.may,
        "channels": stored.channels,
        "user": stored.user,
        "newest": stored.newest,
        "not_older_than": stored.not_older_than_seconds,
        "since": stored.since.map(|since| since.to_string()),
        "expires": grant.until.map(convert::time),
    })
}

fn id_of(name: &[u8]) -> String {
    String::from_utf8_lossy(name.strip_prefix(NAMES).unwrap_or(name)).into_owned()
}

/// The name of the record of a token's grant.
fn name_in(token: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(token).ok()?.strip_prefix(TOKEN_START)?;
    let (id, secret) = text.split_once('_')?;
    let well_formed = from_hex(id)?.len() == ID_BYTES && from_hex(secret)?.len() == SECRET_BYTES;
    well_formed.then(|| [NAMES, id.as_bytes()].concat())
}

fn after(now: Id, time: Duration) -> Id {
    let ticks = u64::try_from(time.as_nanos() / 100).unwrap_or(u64::MAX);
    Id::new(now.ticks().saturating_add(ticks), 0)
}

/// Bytes of the system's generator in hexadecimal digits.
fn random<const N: usize>() -> Result<String, Problem> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
    Ok(to_hex(&bytes))
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.len().is_multiple_of(2) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    digits.then(|| pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()).flatten()
}
