//! The calls of Access Manager (`protocols/pubnub.md` §11.2 to §11.5): granting and revoking tokens, and the older grants.
//! All of them need a signature by the secret key.

use crate::{
    auth::Permissions,
    call::Call,
    error::{GrantFault, Proof, Refusal},
    grants::{Granted, Place},
    limits,
    token::{Grant, Resources},
    wire::{json, names},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// §11.2.
#[derive(Deserialize)]
struct Wish {
    ttl: Option<Value>,
    permissions: Option<Wanted>,
}

#[derive(Deserialize)]
struct Wanted {
    uuid: Option<String>,
    resources: Option<Named>,
    patterns: Option<Named>,
    meta: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Named {
    channels: Option<BTreeMap<String, u64>>,
    groups: Option<BTreeMap<String, u64>>,
    users: Option<BTreeMap<String, u64>>,
    spaces: Option<BTreeMap<String, u64>>,
    uuids: Option<BTreeMap<String, u64>>,
}

/// §11.2: grants a token.
pub fn grant(call: &Call<'_>, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let wish: Wish = serde_json::from_slice(body).map_err(|error| fault("Invalid JSON", error.to_string(), ""))?;
    let grant = granted(wish, call.now_seconds())?;
    Permissions::new(grant.clone())
        .map_err(|pattern| fault("Invalid RegExp", format!("This is no pattern: {pattern}"), "permissions.patterns"))?;
    let token = grant.encode(call.token_key());
    if token.len() > limits::TOKEN_BYTES {
        return Err(fault("Grant too large", "Too many resources for one token.".into(), "permissions"));
    }
    let mut out = b"{\"data\":{\"message\":\"Success\",\"token\":".to_vec();
    json::string(&mut out, &token);
    out.extend_from_slice(b"},\"service\":\"Access Manager\",\"status\":200}");
    Ok(out)
}

/// §11.4: revokes a token.
pub async fn revoke(call: &Call<'_>, token: &str) -> Result<Vec<u8>, Refusal> {
    let invalid = |detail: &'static str| {
        let (location, location_type) = ("token", "path");
        let message = "Invalid token";
        Refusal::Grant(GrantFault { source: "revoke", message, detail: detail.into(), location, location_type })
    };
    let grant = Grant::parse(token, call.token_key()).map_err(|_: Proof| invalid("Token is not valid."))?;
    let now = call.now_seconds();
    if grant.expires() <= now {
        return Err(invalid("Token is expired."));
    }
    call.grants.revoke(call.channels, token, grant.expires(), now).await?;
    Ok(b"{\"data\":{\"message\":\"Success\"},\"service\":\"Access Manager\",\"status\":200}".to_vec())
}

fn granted(wish: Wish, now: u64) -> Result<Grant, Refusal> {
    let minutes = wish.ttl.as_ref().and_then(minutes);
    let Some(minutes) = minutes.filter(|minutes| (1..=limits::TOKEN_MINUTES).contains(minutes)) else {
        let range = format!("Range should be 1 to {} minute(s).", limits::TOKEN_MINUTES);
        return Err(fault("Invalid ttl", range, "ttl"));
    };
    let nothing = || fault("This grant contains no permissions", "What are you granting?".into(), "permissions");
    let wanted = wish.permissions.ok_or_else(nothing)?;
    let (names, patterns) = (resources(wanted.resources), resources(wanted.patterns));
    if names == Resources::default() && patterns == Resources::default() {
        return Err(nothing());
    }
    if all_bits(&names).chain(all_bits(&patterns)).any(|bits| bits > ALL_BITS) {
        return Err(fault("Invalid permissions", "Unknown bits.".into(), "permissions"));
    }
    let meta = wanted.meta.unwrap_or_default();
    if meta.values().any(|value| is_deeper_than(value, limits::GRANT_META_DEPTH)) {
        return Err(fault("Invalid meta", "It is nested too deeply.".into(), "permissions.meta"));
    }
    let user = wanted.uuid.filter(|user| !user.is_empty());
    Ok(Grant { issued: now, minutes, names, patterns, meta, user })
}

/// Every bit of §11.2.
const ALL_BITS: u64 = 255;

/// Some clients send the number as text.
fn minutes(ttl: &Value) -> Option<u64> {
    ttl.as_u64().or_else(|| ttl.as_str()?.parse().ok())
}

fn resources(named: Option<Named>) -> Resources {
    let Some(named) = named else { return Resources::default() };
    Resources {
        channels: named.channels.unwrap_or_default(),
        groups: named.groups.unwrap_or_default(),
        users: named.users.unwrap_or_default(),
        spaces: named.spaces.unwrap_or_default(),
        uuids: named.uuids.unwrap_or_default(),
    }
}

fn all_bits(resources: &Resources) -> impl Iterator<Item = u64> + '_ {
    let Resources { channels, groups, users, spaces, uuids } = resources;
    [channels, groups, users, spaces, uuids].into_iter().flat_map(|rights| rights.values().copied())
}

fn is_deeper_than(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(items) => depth == 0 || items.iter().any(|item| is_deeper_than(item, depth - 1)),
        Value::Object(map) => depth == 0 || map.values().any(|item| is_deeper_than(item, depth - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn fault(message: &'static str, detail: String, location: &'static str) -> Refusal {
    let detail = detail.into();
    Refusal::Grant(GrantFault { source: "grant", message, detail, location, location_type: "body" })
}

/// §11.5: the letters of an older grant, in the order of the vendor's answers, with their bits.
const LETTERS: [(&str, u64); 7] = [("r", 1), ("w", 2), ("m", 4), ("d", 8), ("g", 32), ("u", 64), ("j", 128)];

/// §11.5: minutes of a grant that does not say how long.
const DEFAULT_MINUTES: u64 = 1_440;

/// §11.5: grants rights to channels, groups or everything, for everybody or for auth keys.
pub async fn legacy_grant(call: &Call<'_>) -> Result<Vec<u8>, Refusal> {
    let wish = Older::read(call)?;
    let minutes = call.query.number("ttl")?.unwrap_or(DEFAULT_MINUTES);
    let bits = LETTERS.iter().filter(|(letter, _)| call.query.flag(letter, false)).fold(0, |bits, (_, bit)| bits | bit);
    let expires = if minutes == 0 { 0 } else { call.now_seconds().saturating_add(minutes.saturating_mul(60)) };
    let granted = Granted { bits, minutes, expires };
    for place in wish.places() {
        call.grants.grant(call.channels, place, granted).await?;
    }
    Ok(wish.write(call, minutes, |_| bits))
}

/// §11.5: what is granted there now.
pub fn legacy_audit(call: &Call<'_>) -> Result<Vec<u8>, Refusal> {
    let wish = Older::read(call)?;
    let now = call.now_seconds();
    let minutes = wish.places().first().map_or(0, |place| call.grants.at(place, now).minutes);
    Ok(wish.write(call, minutes, |place| call.grants.at(place, now).bits))
}

/// What an older grant or audit is about.
struct Older {
    channels: Vec<String>,
    groups: Vec<String>,
    users: Vec<String>,
    auths: Vec<String>,
}

impl Older {
    fn read(call: &Call) -> Result<Older, Refusal> {
        let list = |name: &str| -> Result<Vec<String>, Refusal> {
            let text = call.query.get(name).unwrap_or_default();
            Ok(names(text, limits::GRANT_NAMES)?.into_iter().map(str::to_owned).collect())
        };
        let older = Older {
            channels: list("channel")?,
            groups: list("channel-group")?,
            users: list("target-uuid")?,
            auths: list("auth")?,
        };
        let long = |names: &[String], most: usize| names.iter().any(|name| name.len() > most || name.contains('\0'));
        let everything = [&older.channels, &older.groups, &older.users];
        if everything.iter().any(|names| long(names, limits::GRANT_NAME_BYTES))
            || long(&older.auths, limits::AUTH_BYTES)
        {
            return Err(Refusal::Argument("a name is too long"));
        }
        if everything.iter().all(|names| names.is_empty()) && !older.auths.is_empty() {
            return Err(Refusal::AuthOnly);
        }
        Ok(older)
    }

    /// Everything that is granted. Rights on users are for App Context, which is not served: they have no effect.
    fn places(&self) -> Vec<Place> {
        if self.channels.is_empty() && self.groups.is_empty() && self.users.is_empty() {
            return vec![Place::Keyset];
        }
        let nobody = [String::new()];
        let auths = if self.auths.is_empty() { &nobody[..] } else { &self.auths };
        let channels = self.channels.iter().flat_map(|name| auths.iter().map(move |auth| (name, auth)));
        let groups = self.groups.iter().flat_map(|name| auths.iter().map(move |auth| (name, auth)));
        channels
            .map(|(name, auth)| Place::Channel(name.clone(), auth.clone()))
            .chain(groups.map(|(name, auth)| Place::Group(name.clone(), auth.clone())))
            .collect()
    }

    fn level(&self) -> &'static str {
        match (self.channels.is_empty(), self.groups.is_empty(), self.users.is_empty(), self.auths.is_empty()) {
            (true, true, true, _) => "subkey",
            (true, true, false, _) => "uuid",
            (false, _, _, true) => "channel",
            (false, _, _, false) => "user",
            (true, false, _, true) => "channel-group",
            (true, false, _, false) => "channel-group+auth",
        }
    }

    /// The answer, whose shape depends on what was asked.
    fn write(&self, call: &Call, minutes: u64, bits: impl Fn(&Place) -> u64) -> Vec<u8> {
        let mut payload = Map::new();
        payload.insert("level".into(), self.level().into());
        payload.insert("subscribe_key".into(), call.keyset.subscribe_key.clone().into());
        payload.insert("ttl".into(), minutes.into());
        if self.level() == "subkey" {
            payload.extend(letters(bits(&Place::Keyset)));
        }
        let channel = |name: &str, auth: &str| letters(bits(&Place::Channel(name.into(), auth.into()))).into();
        let group = |name: &str, auth: &str| letters(bits(&Place::Group(name.into(), auth.into()))).into();
        self.write_resources(&mut payload, &self.channels, ["channel", "channels"], channel);
        self.write_resources(&mut payload, &self.groups, ["channel-groups", "channel-groups"], group);
        if !self.users.is_empty() {
            let none = |_: &str, _: &str| letters(0).into();
            self.write_resources(&mut payload, &self.users, ["uuids", "uuids"], none);
        }
        let answer = serde_json::json!({
            "message": "Success", "payload": payload, "service": "Access Manager", "status": 200
        });
        answer.to_string().into_bytes()
    }

    /// One resource with auth keys is named beside them; several are maps, by name and then by key.
    fn write_resources(
        &self,
        payload: &mut Map<String, Value>,
        names: &[String],
        [one, many]: [&str; 2],
        rights: impl Fn(&str, &str) -> Value,
    ) {
        let auths = |name: &str| -> Value {
            self.auths.iter().map(|auth| (auth.clone(), rights(name, auth))).collect::<Map<_, _>>().into()
        };
        match names {
            [] => {}
            [name] if !self.auths.is_empty() && one != "uuids" => {
                payload.insert(one.into(), name.clone().into());
                payload.insert("auths".into(), auths(name));
            }
            names => {
                let entry = |name: &String| {
                    let value = match self.auths.is_empty() {
                        true => rights(name, ""),
                        false => serde_json::json!({ "auths": auths(name) }),
                    };
                    (name.clone(), value)
                };
                payload.insert(many.into(), names.iter().map(entry).collect::<Map<_, _>>().into());
            }
        }
    }
}

fn letters(bits: u64) -> Map<String, Value> {
    LETTERS.iter().map(|(letter, bit)| ((*letter).to_owned(), u64::from(bits & bit != 0).into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: Result<u64, &str>) {
        let wish: Wish = serde_json::from_str(body).unwrap();
        let found = granted(wish, 1_700_000_000).map(|grant| grant.minutes);
        match (found, expected) {
            (Ok(minutes), Ok(expected)) => assert_eq!(minutes, expected),
            (Err(Refusal::Grant(fault)), Err(message)) => assert_eq!(fault.message, message),
            (found, expected) => panic!("{body}: {found:?} instead of {expected:?}"),
        }
    }

    /// `protocols/pubnub.md` §11.2.
    #[test]
    fn grants_are_checked_as_the_vendor_does() {
        let some = r#""permissions":{"resources":{"channels":{"a":1}},"patterns":{}}"#;
        check(&format!(r#"{{"ttl":15,{some}}}"#), Ok(15));
        check(&format!(r#"{{"ttl":"15",{some}}}"#), Ok(15));
        for ttl in ["0", "43201", "-1", "null", "\"x\"", "1.5"] {
            check(&format!(r#"{{"ttl":{ttl},{some}}}"#), Err("Invalid ttl"));
        }
        let nothing = Err("This grant contains no permissions");
        check(r#"{"ttl":1}"#, nothing);
        check(r#"{"ttl":1,"permissions":{"resources":{"channels":{},"groups":{}},"patterns":{},"meta":{}}}"#, nothing);
        check(r#"{"ttl":1,"permissions":{"resources":{"channels":{"a":256}}}}"#, Err("Invalid permissions"));
        let deep = format!("{}1{}", "[".repeat(20), "]".repeat(20));
        check(
            &format!(r#"{{"ttl":1,"permissions":{{"resources":{{"channels":{{"a":1}}}},"meta":{{"x":{deep}}}}}}}"#),
            Err("Invalid meta"),
        );
    }
}
