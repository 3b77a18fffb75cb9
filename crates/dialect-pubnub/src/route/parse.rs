//! From a method and a path to an [`Endpoint`], segment by segment.

use super::{ActionCall, Endpoint, GroupCall, PresenceCall, Publish, Published};
use crate::{
    error::Refusal,
    wire::{self, Callback, Path},
};
use http::Method;

impl Endpoint {
    /// Reads a method and a path as sent.
    pub fn parse(method: &Method, path: &str) -> Result<Endpoint, Refusal> {
        let mut path = Path::new(path);
        let head = path.next_raw().ok_or(Refusal::UnknownPath)?;
        match (head, method) {
            ("time", &Method::GET) => time(path),
            ("publish", _) => publish(path, method, Published::Message),
            ("signal", _) => publish(path, method, Published::Signal),
            ("v1" | "v2" | "v3", _) => {
                let service = path.next_raw().ok_or(Refusal::UnknownPath)?;
                match (head, service, method) {
                    ("v2", "publish", &Method::POST) => publish(path, method, Published::Large),
                    ("v1", "files", _) => {
                        literal(&mut path, &["publish-file"])?;
                        publish(path, method, Published::File)
                    }
                    ("v2", "subscribe", &Method::GET) => subscribe(path),
                    ("v2", "history", &Method::GET) => history(path),
                    ("v3", "history", _) => history_v3(path, method),
                    ("v3", "history-with-actions", &Method::GET) => fetch(path, true),
                    ("v1", "message-actions", _) => actions(path, method),
                    ("v1", "channel-registration", &Method::GET) => groups(path),
                    ("v2", "presence", &Method::GET) => presence(path),
                    ("v3", "pam", _) => access(path, method),
                    ("v2", "auth", &Method::GET) => legacy_access(path),
                    _ => Err(Refusal::UnknownPath),
                }
            }
            _ => Err(Refusal::UnknownPath),
        }
    }
}

fn time(mut path: Path) -> Result<Endpoint, Refusal> {
    let callback = Callback::parse(&segment(&mut path)?)?;
    end(path, Endpoint::Time { callback })
}

fn publish(mut path: Path, method: &Method, what: Published) -> Result<Endpoint, Refusal> {
    let publish_key = segment(&mut path)?;
    let key = segment(&mut path)?;
    path.next_raw().ok_or(Refusal::UnknownPath)?; // a signature of a time before §11.1; always 0
    let channel = segment(&mut path)?;
    let callback = Callback::parse(&segment(&mut path)?)?;
    let message = path.rest()?.map(|text| text.into_owned());
    let fits = match *method {
        Method::GET => message.is_some(),
        Method::POST => message.is_none(),
        _ => false,
    };
    if !fits {
        return Err(Refusal::UnknownPath);
    }
    Ok(Endpoint::Publish(Publish { what, publish_key, key, channel, callback, message }))
}

fn subscribe(mut path: Path) -> Result<Endpoint, Refusal> {
    let key = segment(&mut path)?;
    let channels = segment(&mut path)?;
    let callback = Callback::parse(&segment(&mut path)?)?;
    end(path, Endpoint::Subscribe { key, channels, callback })
}

fn history(mut path: Path) -> Result<Endpoint, Refusal> {
    let key = sub_key(&mut path)?;
    literal(&mut path, &["channel"])?;
    let channel = segment(&mut path)?;
    end(path, Endpoint::History { key, channel })
}

fn history_v3(path: Path, method: &Method) -> Result<Endpoint, Refusal> {
    let mut ahead = path;
    let key = sub_key(&mut ahead)?;
    match (ahead.next_raw(), method) {
        (Some("channel"), &Method::GET) => fetch(path, false),
        (Some("channel"), &Method::DELETE) => {
            let channels = segment(&mut ahead)?;
            end(ahead, Endpoint::Delete { key, channels })
        }
        (Some("message-counts"), &Method::GET) => {
            let channels = segment(&mut ahead)?;
            end(ahead, Endpoint::Count { key, channels })
        }
        _ => Err(Refusal::UnknownPath),
    }
}

fn fetch(mut path: Path, actions: bool) -> Result<Endpoint, Refusal> {
    let key = sub_key(&mut path)?;
    literal(&mut path, &["channel"])?;
    let channels = segment(&mut path)?;
    end(path, Endpoint::Fetch { key, channels, actions })
}

fn actions(mut path: Path, method: &Method) -> Result<Endpoint, Refusal> {
    let key = segment(&mut path)?;
    literal(&mut path, &["channel"])?;
    let channel = segment(&mut path)?;
    let call = match *method {
        Method::GET => ActionCall::List,
        Method::POST => {
            literal(&mut path, &["message"])?;
            ActionCall::Add { message: timetoken(&mut path)? }
        }
        Method::DELETE => {
            literal(&mut path, &["message"])?;
            let message = timetoken(&mut path)?;
            literal(&mut path, &["action"])?;
            ActionCall::Remove { message, action: timetoken(&mut path)? }
        }
        _ => return Err(Refusal::UnknownPath),
    };
    end(path, Endpoint::Actions { key, channel, call })
}

fn groups(mut path: Path) -> Result<Endpoint, Refusal> {
    let key = sub_key(&mut path)?;
    literal(&mut path, &["channel-group"])?;
    let call = match (path.next()?, path.next_raw()) {
        (None, _) => GroupCall::List,
        (Some(group), _) if group.is_empty() => GroupCall::List,
        (Some(group), None) => GroupCall::Group(group.into_owned()),
        (Some(group), Some("remove")) => GroupCall::Remove(group.into_owned()),
        (Some(_), Some(_)) => return Err(Refusal::UnknownPath),
    };
    end(path, Endpoint::Groups { key, call })
}

fn presence(mut path: Path) -> Result<Endpoint, Refusal> {
    let key = sub_key(&mut path)?;
    let call = match path.next_raw() {
        None | Some("") => PresenceCall::HereNowEverywhere,
        Some("uuid") => PresenceCall::WhereNow { user: segment(&mut path)? },
        Some("channel") => {
            let channels = segment(&mut path)?;
            match path.next_raw() {
                None | Some("") => PresenceCall::HereNow { channels },
                Some("heartbeat") => PresenceCall::Heartbeat { channels },
                Some("leave") => PresenceCall::Leave { channels },
                Some("uuid") => {
                    let user = segment(&mut path)?;
                    match path.next_raw() {
                        None | Some("") => PresenceCall::GetState { channels, user },
                        Some("data") => PresenceCall::SetState { channels, user },
                        Some(_) => return Err(Refusal::UnknownPath),
                    }
                }
                Some(_) => return Err(Refusal::UnknownPath),
            }
        }
        Some(_) => return Err(Refusal::UnknownPath),
    };
    end(path, Endpoint::Presence { key, call })
}

fn access(mut path: Path, method: &Method) -> Result<Endpoint, Refusal> {
    let key = segment(&mut path)?;
    literal(&mut path, &["grant"])?;
    match *method {
        Method::POST => end(path, Endpoint::Grant { key }),
        Method::DELETE => {
            let token = segment(&mut path)?;
            end(path, Endpoint::Revoke { key, token })
        }
        _ => Err(Refusal::UnknownPath),
    }
}

fn legacy_access(mut path: Path) -> Result<Endpoint, Refusal> {
    let call = path.next_raw();
    let key = sub_key(&mut path)?;
    match call {
        Some("grant") => end(path, Endpoint::LegacyGrant { key }),
        Some("audit") => end(path, Endpoint::LegacyAudit { key }),
        _ => Err(Refusal::UnknownPath),
    }
}

/// `sub-key/{key}`; some clients spell it with an underscore (§10).
fn sub_key(path: &mut Path) -> Result<String, Refusal> {
    literal(path, &["sub-key", "sub_key"])?;
    segment(path)
}

fn literal(path: &mut Path, spellings: &[&str]) -> Result<(), Refusal> {
    match path.next_raw() {
        Some(found) if spellings.contains(&found) => Ok(()),
        _ => Err(Refusal::UnknownPath),
    }
}

/// A segment that names something: decoded and not empty.
fn segment(path: &mut Path) -> Result<String, Refusal> {
    match path.next()? {
        Some(text) if !text.is_empty() => Ok(text.into_owned()),
        Some(_) => Err(Refusal::Argument("empty path segment")),
        None => Err(Refusal::UnknownPath),
    }
}

fn timetoken(path: &mut Path) -> Result<u64, Refusal> {
    wire::timetoken(&segment(path)?).ok_or(Refusal::Argument("timetoken"))
}

fn end(path: Path, endpoint: Endpoint) -> Result<Endpoint, Refusal> {
    if path.is_empty() { Ok(endpoint) } else { Err(Refusal::UnknownPath) }
}

#[cfg(test)]
mod tests {
    use super::{super::service_of, *};
    use proptest::prelude::*;

    fn get(path: &str) -> Endpoint {
        Endpoint::parse(&Method::GET, path).unwrap()
    }

    #[test]
    fn a_message_is_all_that_is_left_of_the_path() {
        let Endpoint::Publish(publish) = get("/publish/pub/sub/0/ch%201%2Fa/0/%22a/b+c%2F%22") else { panic!() };
        assert_eq!(publish.channel, "ch 1/a");
        assert_eq!(publish.message.as_deref(), Some("\"a/b+c/\""));
        let Endpoint::Publish(publish) = Endpoint::parse(&Method::POST, "/v2/publish/pub/sub/0/ch/0").unwrap() else {
            panic!()
        };
        assert_eq!((publish.what, publish.message), (Published::Large, None));
        assert!(Endpoint::parse(&Method::GET, "/publish/pub/sub/0/ch/0").is_err());
        assert!(Endpoint::parse(&Method::GET, "/publish/pub/sub/0//0/1").is_err());
    }

    #[test]
    fn lists_may_be_encoded_whole_or_by_name() {
        for path in ["/v2/subscribe/sub/room.%2A%2Ca%20b/0", "/v2/subscribe/sub/room.*,a%20b/0"] {
            let Endpoint::Subscribe { channels, .. } = get(path) else { panic!() };
            assert_eq!(channels, "room.*,a b");
        }
    }

    #[test]
    fn every_path_of_the_reference_is_known() {
        let paths = [
            (Method::GET, "/time/0"),
            (Method::GET, "/signal/p/s/0/c/0/1"),
            (Method::POST, "/signal/p/s/0/c/0"),
            (Method::GET, "/v1/files/publish-file/p/s/0/c/0/%7B%7D"),
            (Method::GET, "/v2/history/sub-key/s/channel/c"),
            (Method::GET, "/v3/history/sub-key/s/channel/c,d"),
            (Method::DELETE, "/v3/history/sub-key/s/channel/c"),
            (Method::GET, "/v3/history-with-actions/sub-key/s/channel/c"),
            (Method::GET, "/v3/history/sub-key/s/message-counts/c,d"),
            (Method::POST, "/v1/message-actions/s/channel/c/message/1"),
            (Method::GET, "/v1/message-actions/s/channel/c"),
            (Method::DELETE, "/v1/message-actions/s/channel/c/message/1/action/2"),
            (Method::GET, "/v1/channel-registration/sub-key/s/channel-group"),
            (Method::GET, "/v1/channel-registration/sub-key/s/channel-group/g"),
            (Method::GET, "/v1/channel-registration/sub-key/s/channel-group/g/remove"),
            (Method::GET, "/v2/presence/sub-key/s/channel/,/heartbeat"),
            (Method::GET, "/v2/presence/sub_key/s/channel/c/leave"),
            (Method::GET, "/v2/presence/sub_key/s"),
            (Method::GET, "/v2/presence/sub-key/s/channel/c"),
            (Method::GET, "/v2/presence/sub-key/s/uuid/u"),
            (Method::GET, "/v2/presence/sub-key/s/channel/c/uuid/u/data"),
            (Method::GET, "/v2/presence/sub-key/s/channel/c/uuid/u"),
            (Method::POST, "/v3/pam/s/grant"),
            (Method::DELETE, "/v3/pam/s/grant/qEF2%3D"),
            (Method::GET, "/v2/auth/grant/sub-key/s"),
            (Method::GET, "/v2/auth/audit/sub-key/s"),
        ];
        for (method, path) in paths {
            let endpoint = Endpoint::parse(&method, path).unwrap_or_else(|e| panic!("{method} {path}: {e:?}"));
            assert_eq!(endpoint.service(), service_of(path), "{path}");
        }
    }

    #[test]
    fn other_paths_are_not() {
        for path in ["/", "", "/v9/x", "/v2/subscribe/s", "/v2/subscribe/s/c/0/x", "/v3/history/sub-key/s/channel"] {
            assert!(Endpoint::parse(&Method::GET, path).is_err(), "{path}");
        }
        assert!(Endpoint::parse(&Method::PUT, "/publish/p/s/0/c/0/1").is_err());
        assert!(Endpoint::parse(&Method::POST, "/v1/message-actions/s/channel/c/message/abc").is_err());
    }

    proptest! {
        #[test]
        fn no_path_panics(path in "(/(v[123]|publish|history|pam|grant|presence|sub-key|%2[0-9a-zA-Z]|[a-z,*%]{0,4})){0,9}") {
            for method in [Method::GET, Method::POST, Method::DELETE, Method::PUT] {
                let _ = Endpoint::parse(&method, &path);
            }
        }
    }
}
