//! Which call a request is (`protocols/agora-rtm.md` §1). Doubled slashes count as one: the vendor's pages write the base
//! with a slash at its end and the calls with one at their beginning. Paths are split before they are decoded.

use crate::error::Generation;
use http::Method;
use percent_encoding::percent_decode_str;

/// A call to a project.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The app id of the path, as it stands there.
    pub app_id: String,
    /// Which call.
    pub endpoint: Endpoint,
}

/// The calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Endpoint {
    /// Makes a query, whose page is fetched by a handle (§3.1).
    MakeQuery,
    /// Fetches a page (§3.2).
    Page {
        /// What names the query.
        handle: String,
    },
    /// Counts (§3.4).
    Count,
    /// Sends to a user (§4.1).
    PeerMessage {
        /// From whom.
        sender: String,
    },
    /// Sends to a channel (§4.2).
    ChannelMessage {
        /// From whom.
        sender: String,
    },
    /// Takes who came online and went (§5).
    UserEvents,
    /// Takes who came to channels and went (§5).
    ChannelEvents,
    /// History of the 2.x API.
    SecondHistory {
        /// Who asks.
        user: String,
        /// Whose history.
        of: Place,
    },
}

/// What a 2.x history is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// A message channel.
    Channel(String),
    /// A user channel: what the user received.
    User(String),
}

impl Route {
    /// Reads method and path; none if there is no such call.
    pub fn parse(method: &Method, path: &str) -> Option<Route> {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let (app_id, endpoint) = match segments[..] {
            ["dev", "v2", "project", app_id, "rtm", ref call @ ..] => (app_id, Endpoint::first(method, call)?),
            ["rtm", "v2", "history", app_id, ref call @ ..] => (app_id, Endpoint::second(method, call)?),
            _ => return None,
        };
        Some(Route { app_id: app_id.to_owned(), endpoint })
    }

    /// Which generation of the API a path belongs to, whether or not there is such a call.
    pub fn generation(path: &str) -> Generation {
        let first = path.split('/').find(|segment| !segment.is_empty());
        if first == Some("rtm") { Generation::Second } else { Generation::First }
    }
}

impl Endpoint {
    /// The 1.x API. Two aliases are what the vendor's pages print by mistake (§1).
    fn first(method: &Method, call: &[&str]) -> Option<Endpoint> {
        Some(match (method, call) {
            (&Method::POST, ["message", "history", "query"]) => Endpoint::MakeQuery,
            (&Method::GET, ["message", "history", "query", handle]) => Endpoint::Page { handle: decoded(handle) },
            (&Method::GET, ["message", "history", "count"]) => Endpoint::Count,
            (&Method::POST, ["users", sender, "peer_messages" | "peer_message"]) => {
                Endpoint::PeerMessage { sender: decoded(sender) }
            }
            (&Method::POST, ["users", sender, "channel_messages"]) => {
                Endpoint::ChannelMessage { sender: decoded(sender) }
            }
            (&Method::GET, ["vendor", "user_events"]) => Endpoint::UserEvents,
            (&Method::GET, ["vendor" | "hook", "channel_events"]) => Endpoint::ChannelEvents,
            _ => return None,
        })
    }

    fn second(method: &Method, call: &[&str]) -> Option<Endpoint> {
        let (&Method::GET, ["userId", user, "channelType", kind, "channel", name]) = (method, call) else {
            return None;
        };
        let name = decoded(name);
        let of = match *kind {
            "message" => Place::Channel(name),
            "user" => Place::User(name),
            _ => return None,
        };
        Some(Endpoint::SecondHistory { user: decoded(user), of })
    }
}

/// What is not UTF-8 holds a replacement character, which no id and no handle may hold.
fn decoded(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(ask: &str) -> Option<Route> {
        let (method, path) = ask.split_once(' ').expect("method and path");
        Route::parse(&method.parse().expect("a method"), path)
    }

    fn check(ask: &str, endpoint: Endpoint) {
        assert_eq!(parse(ask), Some(Route { app_id: "aB".into(), endpoint }), "{ask}");
    }

    #[test]
    fn calls_are_found_however_the_base_was_joined() {
        for base in ["/dev/v2/project/aB", "/dev/v2/project/aB/", "//dev/v2/project/aB", "/dev//v2///project/aB"] {
            check(&format!("POST {base}/rtm/message/history/query"), Endpoint::MakeQuery);
            check(&format!("GET {base}/rtm/message/history/query/x%2Dy"), Endpoint::Page { handle: "x-y".into() });
            check(&format!("GET {base}/rtm/message/history/count"), Endpoint::Count);
            for alias in ["peer_messages", "peer_message"] {
                let sender = "user A".into();
                check(&format!("POST {base}/rtm/users/user%20A/{alias}"), Endpoint::PeerMessage { sender });
            }
            let sender = "a/b".into();
            check(&format!("POST {base}/rtm/users/a%2Fb/channel_messages"), Endpoint::ChannelMessage { sender });
            check(&format!("GET {base}/rtm/vendor/user_events"), Endpoint::UserEvents);
            check(&format!("GET {base}/rtm/vendor/channel_events"), Endpoint::ChannelEvents);
            check(&format!("GET {base}/rtm/hook/channel_events"), Endpoint::ChannelEvents);
        }
    }

    #[test]
    fn the_second_generation_has_one_call() {
        let history = |of| Endpoint::SecondHistory { user: "ann".into(), of };
        let path = "GET /rtm/v2/history/aB/userId/ann/channelType";
        check(&format!("{path}/message/channel/a%20b"), history(Place::Channel("a b".into())));
        check(&format!("{path}/user/channel/bob"), history(Place::User("bob".into())));
        assert_eq!(parse(&format!("{path}/stream/channel/a")), None);
    }

    #[test]
    fn everything_else_is_no_call() {
        for ask in [
            "GET /",
            "GET /dev/v2/project/aB",
            "GET /dev/v2/project/aB/rtm",
            "GET /dev/v2/project/aB/rtm/message/history/query",
            "PUT /dev/v2/project/aB/rtm/message/history/query",
            "POST /dev/v2/project/aB/rtm/message/history/count",
            "POST /dev/v2/project/aB/rtm/message/history/query/x",
            "GET /dev/v2/project/aB/rtm/message/history/query/x/y",
            "GET /dev/v2/project/aB/rtm/users/a/peer_messages",
            "POST /dev/v2/project/aB/RTM/users/a/peer_messages",
            "POST /DEV/v2/project/aB/rtm/users/a/peer_messages",
            "POST /dev/v2/project/aB/rtm/users//peer_messages",
            "GET /dev/v2/project/aB/rtm/hook/user_events",
            "POST /rtm/v2/history/aB/userId/ann/channelType/message/channel/a",
        ] {
            assert_eq!(parse(ask), None, "{ask}");
        }
    }
}
