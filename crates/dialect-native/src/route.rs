//! Which operation a request asks for: its method and its raw path, parsed into one [`Endpoint`] before anything is
//! done.

use crate::error::Problem;
use http::Method;
use model::{AppId, ChannelName};
use percent_encoding::percent_decode_str;

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
    Publish(ChannelName),
    Signal(ChannelName),
    History(ChannelName),
    ChannelStream(ChannelName),
    Stream,
    Channels,
    OpenApi,
}

/// Method and path of every operation, in the spelling of OpenAPI.
#[cfg(test)]
pub(crate) const ROUTES: [(&str, &str); 7] = [
    ("post", "/v1/apps/{app}/channels/{channel}/messages"),
    ("get", "/v1/apps/{app}/channels/{channel}/messages"),
    ("post", "/v1/apps/{app}/channels/{channel}/signals"),
    ("get", "/v1/apps/{app}/channels/{channel}/stream"),
    ("get", "/v1/apps/{app}/stream"),
    ("get", "/v1/apps/{app}/channels"),
    ("get", "/openapi.json"),
];

impl Endpoint {
    /// Whether it is a stream, whose readers in browsers cannot set headers.
    pub fn is_stream(&self) -> bool {
        matches!(self, Endpoint::ChannelStream(_) | Endpoint::Stream)
    }
}

impl Route {
    /// 404 for a path that leads nowhere, 405 for a method that the path does not know, 400 for a bad name.
    pub fn parse(method: &Method, path: &str) -> Result<Route, Problem> {
        if path == "/openapi.json" {
            let app = AppId::new("-").expect("a valid name");
            return get(method, || Ok(Endpoint::OpenApi)).map(|endpoint| Route { app, endpoint });
        }
        let rest = path.strip_prefix("/v1/apps/").ok_or_else(Problem::no_such_path)?;
        let segments: Vec<&str> = rest.splitn(5, '/').collect();
        let endpoint = match segments[1..] {
            ["channels"] => get(method, || Ok(Endpoint::Channels)),
            ["stream"] => get(method, || Ok(Endpoint::Stream)),
            ["channels", name, "messages"] => messages(method, name),
            ["channels", name, "signals"] => post(method, || channel(name).map(Endpoint::Signal)),
            ["channels", name, "stream"] => get(method, || channel(name).map(Endpoint::ChannelStream)),
            _ => Err(Problem::no_such_path()),
        }?;
        Ok(Route { app: app(segments[0])?, endpoint })
    }
}

fn messages(method: &Method, name: &str) -> Result<Endpoint, Problem> {
    match *method {
        Method::GET | Method::HEAD => channel(name).map(Endpoint::History),
        Method::POST => channel(name).map(Endpoint::Publish),
        _ => Err(Problem::method_not_allowed("GET, HEAD, POST")),
    }
}

fn get(method: &Method, endpoint: impl FnOnce() -> Result<Endpoint, Problem>) -> Result<Endpoint, Problem> {
    match *method {
        Method::GET | Method::HEAD => endpoint(),
        _ => Err(Problem::method_not_allowed("GET, HEAD")),
    }
}

fn post(method: &Method, endpoint: impl FnOnce() -> Result<Endpoint, Problem>) -> Result<Endpoint, Problem> {
    if method == Method::POST { endpoint() } else { Err(Problem::method_not_allowed("POST")) }
}

fn app(segment: &str) -> Result<AppId, Problem> {
    Ok(AppId::new(&decoded("app", segment)?)?)
}

fn channel(segment: &str) -> Result<ChannelName, Problem> {
    Ok(ChannelName::named(&decoded("channel", segment)?)?)
}

fn decoded<'a>(field: &str, segment: &'a str) -> Result<std::borrow::Cow<'a, str>, Problem> {
    percent_decode_str(segment)
        .decode_utf8()
        .map_err(|_| Problem::invalid(field, "the percent-encoded bytes are not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> ChannelName {
        ChannelName::named(text).expect("a valid name")
    }

    fn parse(method: Method, path: &str) -> Result<Endpoint, u16> {
        Route::parse(&method, path).map(|route| route.endpoint).map_err(|problem| problem.status.as_u16())
    }

    #[test]
    fn a_slash_in_percent_code_belongs_to_the_name() {
        let path = "/v1/apps/demo/channels/a%2Fb%20c%F0%9F%8E%89/messages";
        assert_eq!(parse(Method::GET, path), Ok(Endpoint::History(named("a/b c🎉"))));
    }

    #[test]
    fn every_path_has_its_answer() {
        use Method as M;
        assert_eq!(parse(M::POST, "/v1/apps/demo/channels/a/messages"), Ok(Endpoint::Publish(named("a"))));
        assert_eq!(parse(M::POST, "/v1/apps/demo/channels/a/signals"), Ok(Endpoint::Signal(named("a"))));
        assert_eq!(parse(M::GET, "/v1/apps/demo/channels/a/stream"), Ok(Endpoint::ChannelStream(named("a"))));
        assert_eq!(parse(M::GET, "/v1/apps/demo/stream"), Ok(Endpoint::Stream));
        assert_eq!(parse(M::GET, "/v1/apps/demo/channels"), Ok(Endpoint::Channels));
        assert_eq!(parse(M::DELETE, "/v1/apps/demo/channels/a/messages"), Err(405));
        assert_eq!(parse(M::GET, "/v1/apps/demo/channels/a/signals"), Err(405));
        assert_eq!(parse(M::GET, "/v1/apps/demo/channels//messages"), Err(400), "an empty name");
        assert_eq!(parse(M::GET, "/v1/apps/demo/channels/%00/messages"), Err(400), "NUL");
        assert_eq!(parse(M::GET, "/v1/apps/demo/channels/%ff/messages"), Err(400), "not UTF-8");
        assert_eq!(parse(M::GET, "/v1/apps/de%2Fmo/channels"), Err(400), "a bad app");
        assert_eq!(parse(M::GET, "/v1/apps/demo/channels/a/b/messages"), Err(404));
        assert_eq!(parse(M::GET, "/v1/apps/demo/channels/"), Err(404));
        assert_eq!(parse(M::GET, "/v1/apps/demo"), Err(404));
        assert_eq!(parse(M::GET, "/v1/apps/"), Err(404));
    }

    #[test]
    fn the_description_names_exactly_the_routes() {
        let description: serde_json::Value = serde_json::from_str(crate::OPENAPI).expect("valid JSON");
        let paths = description["paths"].as_object().expect("paths");
        let mut described: Vec<(&str, &str)> = Vec::new();
        for (path, operations) in paths {
            let methods = operations.as_object().expect("operations").keys();
            described.extend(methods.filter(|key| *key != "parameters").map(|method| (method.as_str(), path.as_str())));
        }
        let mut routes = ROUTES.to_vec();
        described.sort();
        routes.sort();
        assert_eq!(described, routes);
        for (method, path) in ROUTES {
            let path = path.replace("{app}", "demo").replace("{channel}", "a");
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            assert!(Route::parse(&method, &path).is_ok(), "{method} {path}");
        }
    }
}
