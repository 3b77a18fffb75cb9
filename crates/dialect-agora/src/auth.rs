//! Who calls (`protocols/agora-rtm.md` §2): the order between the three ways to say so. Which tokens are good is told by
//! `token`, what a caller may then do by `project`.

use crate::{
    Settings,
    error::Refusal,
    token::{self, Expected},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};

/// Who calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Identity {
    /// Nobody said, on a project where that is enough.
    Anybody,
    /// The project's owner, who speaks for all of its users.
    Customer,
    /// The user of a token.
    User(String),
}

/// What a request shows.
#[derive(Default, Debug)]
struct Shown<'a> {
    /// What follows `Basic`.
    basic: Option<&'a str>,
    /// There is an `Authorization` of another kind than those of §2.
    unknown: bool,
    token: Option<&'a str>,
    uid: Option<&'a str>,
}

/// Finds out who calls a project; none for an app id that nobody has. What is shown must be right also where nothing
/// needs to be shown.
pub fn identify(project: Option<&Settings>, headers: &HeaderMap, now_seconds: u64) -> Result<Identity, Refusal> {
    let shown = Shown::of(headers)?;
    if let Some(encoded) = shown.basic {
        let is_customer = project.is_some_and(|project| is_customer(project, encoded));
        return if is_customer { Ok(Identity::Customer) } else { Err(Refusal::BadCredentials) };
    }
    if let Some(shown_token) = shown.token {
        let project = project.ok_or(Refusal::Token(token::Refusal::WrongApp))?;
        let certificates: Vec<&str> = project.certificates.iter().map(|secret| secret.expose()).collect();
        let expected =
            Expected { app_id: &project.app_id, certificates: &certificates, uid: shown.uid, now: now_seconds };
        return token::verify(shown_token, expected).map(Identity::User).map_err(Refusal::Token);
    }
    if shown.unknown {
        return Err(Refusal::BadCredentials);
    }
    match project {
        Some(project) if !project.require_auth => Ok(Identity::Anybody),
        _ => Err(Refusal::NoCredentials),
    }
}

impl<'a> Shown<'a> {
    /// `Basic` decides alone; else `x-agora-token` goes before a token in `Authorization`.
    fn of(headers: &'a HeaderMap) -> Result<Shown<'a>, Refusal> {
        let mut shown =
            Shown { token: text(headers, "x-agora-token")?, uid: text(headers, "x-agora-uid")?, ..Shown::default() };
        let Some(value) = text(headers, header::AUTHORIZATION.as_str())? else { return Ok(shown) };
        let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            shown.basic = Some(rest.trim());
        } else if let Some(given) = agora_token(scheme, rest) {
            shown.token = shown.token.or(Some(given));
        } else {
            shown.unknown = true;
        }
        Ok(shown)
    }
}

/// A header that is there and not empty.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| Refusal::BadCredentials)?;
    Ok(Some(text.trim()).filter(|text| !text.is_empty()))
}

/// `agora token=…`, or `agora token="…"`.
fn agora_token<'a>(scheme: &str, rest: &'a str) -> Option<&'a str> {
    let given = rest.trim_start().strip_prefix("token=").filter(|_| scheme.eq_ignore_ascii_case("agora"))?.trim();
    Some(given.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(given))
}

fn is_customer(project: &Settings, encoded: &str) -> bool {
    let Some(customer) = &project.customer else { return false };
    let Ok(decoded) = STANDARD.decode(encoded) else { return false };
    let Some(colon) = decoded.iter().position(|byte| *byte == b':') else { return false };
    let (key, secret) = (&decoded[..colon], &decoded[colon + 1..]);
    customer.secret.is(secret) && key == customer.key.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Customer;
    use edge::Secret;
    use http::{HeaderName, HeaderValue};
    use model::AppId;

    const APP: &str = "970CA35de60c44645bbae8a215061b33";
    const NOW: u64 = 1_700_000_000;

    fn project(require_auth: bool) -> Settings {
        let customer = Some(Customer { key: "me".into(), secret: Secret::new("s:cret") });
        Settings { customer, require_auth, ..Settings::new(AppId::new("app").unwrap(), APP) }
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    /// The answer, or the gateway's or the token's complaint.
    fn asked(project: Option<&Settings>, pairs: &[(&str, &str)]) -> Result<Identity, String> {
        identify(project, &headers(pairs), NOW).map_err(|refusal| format!("{refusal:?}"))
    }

    #[test]
    fn a_name_and_a_password_decide_alone() {
        let project = project(true);
        let right = basic("me:s:cret");
        assert_eq!(asked(Some(&project), &[("authorization", &right)]), Ok(Identity::Customer));
        let lower = right.replace("Basic", "bASIC");
        assert_eq!(
            asked(Some(&project), &[("Authorization", &lower), ("x-agora-token", "junk")]),
            Ok(Identity::Customer)
        );
        for wrong in ["me:s", "me", "you:s:cret", ":", ""] {
            let wrong = basic(wrong);
            assert_eq!(asked(Some(&project), &[("authorization", &wrong)]), Err("BadCredentials".into()));
        }
        assert_eq!(asked(Some(&project), &[("authorization", "Basic !")]), Err("BadCredentials".into()));
        assert_eq!(asked(None, &[("authorization", &right)]), Err("BadCredentials".into()), "not their project");
    }

    #[test]
    fn without_anything_shown_the_gateway_says_so() {
        let (guarded, open) = (project(true), project(false));
        for nothing in [&[][..], &[("x-agora-uid", "a")], &[("x-agora-token", ""), ("api_secret", "x")]] {
            assert_eq!(asked(Some(&guarded), nothing), Err("NoCredentials".into()), "{nothing:?}");
            assert_eq!(asked(Some(&open), nothing), Ok(Identity::Anybody), "{nothing:?}");
            assert_eq!(asked(None, nothing), Err("NoCredentials".into()), "{nothing:?}");
        }
        for junk in ["Bearer x", "agora", "agora tok", "agora token", "Digest", "token=x"] {
            assert_eq!(asked(Some(&open), &[("authorization", junk)]), Err("BadCredentials".into()), "{junk}");
        }
    }

    #[test]
    fn a_wrong_token_is_refused_where_none_is_needed() {
        let open = project(false);
        for pair in
            [("x-agora-token", "junk"), ("authorization", "agora token=junk"), ("authorization", "agora token=")]
        {
            assert_eq!(asked(Some(&open), &[pair]), Err("Token(UnknownVersion)".into()), "{pair:?}");
        }
        assert_eq!(asked(None, &[("x-agora-token", "007junk")]), Err("Token(WrongApp)".into()));
    }

    #[test]
    fn the_token_of_an_authorization_may_stand_in_quotes() {
        assert_eq!(agora_token("agora", "token=abc"), Some("abc"));
        assert_eq!(agora_token("Agora", " token=\"abc\" "), Some("abc"));
        assert_eq!(agora_token("agora", "token=\"abc"), Some("\"abc"));
        assert_eq!(agora_token("other", "token=abc"), None);
    }
}
