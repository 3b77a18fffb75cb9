//! Which operation a request asks for: its method and its raw path, parsed into one [`Endpoint`] before anything is
//! done.

use crate::error::Problem;
use http::Method;
use model::{AppId, ChannelName, Id};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// A request's address, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The tenant; the name `-` where there is none.
    pub app: AppId,
    /// What to do.
    pub endpoint: Endpoint,
}

/// The operations of the native API.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// In one channel.
    Channel(ChannelName, InChannel),
    Channels,
    Stream,
    Read,
    Counts,
    Search,
    Occupied,
    WhereIs(String),
    Groups,
    /// The channels of one group.
    Group(String, InGroup),
    /// For those who hold the right `admin`.
    Admin(Admin),
    OpenApi,
}

/// The operations in one channel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InChannel {
    History,
    Publish,
    DeleteSpan,
    DeleteList,
    Message(Id),
    Edit(Id),
    Delete(Id),
    Versions(Id),
    ReactionsTo(Id),
    React(Id),
    Reactions,
    Unreact(Id),
    Changes,
    Count,
    Signal,
    Stream,
    WhoIsHere,
    Arrive,
    SetState,
    Leave,
    SetRetention,
    DropRetention,
}

/// The operations on one group of channels.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InGroup {
    List,
    Delete,
    Has(ChannelName),
    Add(ChannelName),
    Remove(ChannelName),
}

/// The operations of administrators on a whole app.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admin {
    Retention,
    SetRetention,
    DropRetention,
    Holds,
    Hold(String),
    Release(String),
    Erasures,
    Erase,
    Erasure(String),
    ErasedIn(String),
    Clock,
    ConfirmClock,
    Grants,
    Grant,
    Revoke(String),
}

impl Endpoint {
    /// Whether it is a stream, whose readers in browsers cannot set headers.
    pub fn is_stream(&self) -> bool {
        matches!(self, Endpoint::Channel(_, InChannel::Stream) | Endpoint::Stream)
    }
}

impl Route {
    /// 404 for a path that leads nowhere, 405 for a method that the path does not know, 400 for a bad name.
    pub fn parse(method: &Method, path: &str) -> Result<Route, Problem> {
        if path == "/openapi.json" {
            let app = AppId::new("-").expect("a valid name");
            return Ok(Route { app, endpoint: pick(method, [(Method::GET, Endpoint::OpenApi)])? });
        }
        let rest = path.strip_prefix("/v1/apps/").ok_or_else(Problem::no_such_path)?;
        let segments: Vec<&str> = rest.splitn(MOST_SEGMENTS, '/').collect();
        let endpoint = match segments[1..] {
            ["channels"] => pick(method, [(Method::GET, Endpoint::Channels)]),
            ["channels", name, ref inside @ ..] => {
                in_channel(method, inside).and_then(|operation| Ok(Endpoint::Channel(channel(name)?, operation)))
            }
            ["stream"] => pick(method, [(Method::GET, Endpoint::Stream)]),
            ["read"] => pick(method, [(Method::POST, Endpoint::Read)]),
            ["counts"] => pick(method, [(Method::POST, Endpoint::Counts)]),
            ["search"] => pick(method, [(Method::GET, Endpoint::Search)]),
            ["presence"] => pick(method, [(Method::GET, Endpoint::Occupied)]),
            ["users", user, "channels"] => pick(method, [(Method::GET, Endpoint::WhereIs(text("user", user)?))]),
            ["groups"] => pick(method, [(Method::GET, Endpoint::Groups)]),
            ["groups", group, ref inside @ ..] => {
                in_group(method, inside).and_then(|operation| Ok(Endpoint::Group(text("group", group)?, operation)))
            }
            ref other => admin(method, other).map(Endpoint::Admin),
        }?;
        Ok(Route { app: app(segments[0])?, endpoint })
    }
}

/// One more than the deepest path has: what lies deeper leads nowhere.
const MOST_SEGMENTS: usize = 7;

fn in_channel(method: &Method, segments: &[&str]) -> Result<InChannel, Problem> {
    use InChannel as C;
    use Method as M;
    match *segments {
        ["messages"] => pick(method, [(M::GET, C::History), (M::POST, C::Publish), (M::DELETE, C::DeleteSpan)]),
        ["messages", "delete"] => pick(method, [(M::POST, C::DeleteList)]),
        ["messages", id] => {
            let id = number("id", id)?;
            pick(method, [(M::GET, C::Message(id)), (M::PATCH, C::Edit(id)), (M::DELETE, C::Delete(id))])
        }
        ["messages", id, "versions"] => pick(method, [(M::GET, C::Versions(number("id", id)?))]),
        ["messages", id, "reactions"] => {
            let id = number("id", id)?;
            pick(method, [(M::GET, C::ReactionsTo(id)), (M::POST, C::React(id))])
        }
        ["reactions"] => pick(method, [(M::GET, C::Reactions)]),
        ["reactions", id] => pick(method, [(M::DELETE, C::Unreact(number("reaction", id)?))]),
        ["changes"] => pick(method, [(M::GET, C::Changes)]),
        ["count"] => pick(method, [(M::GET, C::Count)]),
        ["signals"] => pick(method, [(M::POST, C::Signal)]),
        ["stream"] => pick(method, [(M::GET, C::Stream)]),
        ["presence"] => {
            pick(method, [(M::GET, C::WhoIsHere), (M::POST, C::Arrive), (M::PATCH, C::SetState), (M::DELETE, C::Leave)])
        }
        ["retention"] => pick(method, [(M::PUT, C::SetRetention), (M::DELETE, C::DropRetention)]),
        _ => Err(Problem::no_such_path()),
    }
}

fn in_group(method: &Method, segments: &[&str]) -> Result<InGroup, Problem> {
    use InGroup as G;
    use Method as M;
    match *segments {
        ["channels"] => pick(method, [(M::GET, G::List), (M::DELETE, G::Delete)]),
        ["channels", name] => {
            let name = channel(name)?;
            pick(method, [(M::GET, G::Has(name.clone())), (M::PUT, G::Add(name.clone())), (M::DELETE, G::Remove(name))])
        }
        _ => Err(Problem::no_such_path()),
    }
}

fn admin(method: &Method, segments: &[&str]) -> Result<Admin, Problem> {
    use Admin as A;
    use Method as M;
    match *segments {
        ["retention"] => {
            pick(method, [(M::GET, A::Retention), (M::PUT, A::SetRetention), (M::DELETE, A::DropRetention)])
        }
        ["holds"] => pick(method, [(M::GET, A::Holds)]),
        ["holds", name] => {
            let name = text("hold", name)?;
            pick(method, [(M::PUT, A::Hold(name.clone())), (M::DELETE, A::Release(name))])
        }
        ["erasures"] => pick(method, [(M::GET, A::Erasures), (M::POST, A::Erase)]),
        ["erasures", id] => pick(method, [(M::GET, A::Erasure(text("erasure", id)?))]),
        ["erasures", id, "channels"] => pick(method, [(M::GET, A::ErasedIn(text("erasure", id)?))]),
        ["clock"] => pick(method, [(M::GET, A::Clock)]),
        ["clock", "confirm"] => pick(method, [(M::POST, A::ConfirmClock)]),
        ["grants"] => pick(method, [(M::GET, A::Grants), (M::POST, A::Grant)]),
        ["grants", id] => pick(method, [(M::DELETE, A::Revoke(text("grant", id)?))]),
        _ => Err(Problem::no_such_path()),
    }
}

/// The operation of this method; HEAD asks as GET does.
fn pick<T, const N: usize>(method: &Method, operations: [(Method, T); N]) -> Result<T, Problem> {
    let asked = if method == Method::HEAD { &Method::GET } else { method };
    let mut allowed: Vec<&str> = Vec::new();
    for (known, _) in &operations {
        allowed.push(match known.as_str() {
            "GET" => "GET, HEAD",
            "POST" => "POST",
            "PUT" => "PUT",
            "PATCH" => "PATCH",
            _ => "DELETE",
        });
    }
    let found = operations.into_iter().find(|(known, _)| known == asked);
    found.map(|(_, operation)| operation).ok_or_else(|| Problem::method_not_allowed(&allowed.join(", ")))
}

fn app(segment: &str) -> Result<AppId, Problem> {
    Ok(AppId::new(&decoded("app", segment)?)?)
}

fn channel(segment: &str) -> Result<ChannelName, Problem> {
    Ok(ChannelName::named(&decoded("channel", segment)?)?)
}

fn text(field: &str, segment: &str) -> Result<String, Problem> {
    decoded(field, segment).map(Cow::into_owned)
}

/// The id of a message or of a reaction: a number, not any position.
fn number(field: &str, segment: &str) -> Result<Id, Problem> {
    let digits = !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit());
    let id = digits.then(|| segment.parse().ok()).flatten();
    id.map(Id::from_raw).ok_or_else(|| {
        Problem::invalid(field, format!("{} is not an id, a number below 2^64", crate::params::shown(segment)))
    })
}

fn decoded<'a>(field: &str, segment: &'a str) -> Result<Cow<'a, str>, Problem> {
    percent_decode_str(segment)
        .decode_utf8()
        .map_err(|_| Problem::invalid(field, "the percent-encoded bytes are not UTF-8"))
}

#[cfg(test)]
mod tests;
