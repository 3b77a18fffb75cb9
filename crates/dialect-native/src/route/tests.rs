//! Every path has its answer, and the description names exactly the routes.

use super::*;

/// Method and path of every operation, in the spelling of OpenAPI.
const ROUTES: [(&str, &str); 51] = [
    ("get", "/openapi.json"),
    ("get", "/v1/apps/{app}/channels"),
    ("get", "/v1/apps/{app}/channels/{channel}/messages"),
    ("post", "/v1/apps/{app}/channels/{channel}/messages"),
    ("delete", "/v1/apps/{app}/channels/{channel}/messages"),
    ("post", "/v1/apps/{app}/channels/{channel}/messages/delete"),
    ("get", "/v1/apps/{app}/channels/{channel}/messages/{id}"),
    ("patch", "/v1/apps/{app}/channels/{channel}/messages/{id}"),
    ("delete", "/v1/apps/{app}/channels/{channel}/messages/{id}"),
    ("get", "/v1/apps/{app}/channels/{channel}/messages/{id}/versions"),
    ("get", "/v1/apps/{app}/channels/{channel}/messages/{id}/reactions"),
    ("post", "/v1/apps/{app}/channels/{channel}/messages/{id}/reactions"),
    ("get", "/v1/apps/{app}/channels/{channel}/reactions"),
    ("delete", "/v1/apps/{app}/channels/{channel}/reactions/{reaction}"),
    ("get", "/v1/apps/{app}/channels/{channel}/changes"),
    ("get", "/v1/apps/{app}/channels/{channel}/count"),
    ("post", "/v1/apps/{app}/channels/{channel}/signals"),
    ("get", "/v1/apps/{app}/channels/{channel}/stream"),
    ("get", "/v1/apps/{app}/channels/{channel}/presence"),
    ("post", "/v1/apps/{app}/channels/{channel}/presence"),
    ("patch", "/v1/apps/{app}/channels/{channel}/presence"),
    ("delete", "/v1/apps/{app}/channels/{channel}/presence"),
    ("put", "/v1/apps/{app}/channels/{channel}/retention"),
    ("delete", "/v1/apps/{app}/channels/{channel}/retention"),
    ("get", "/v1/apps/{app}/stream"),
    ("post", "/v1/apps/{app}/read"),
    ("post", "/v1/apps/{app}/counts"),
    ("get", "/v1/apps/{app}/search"),
    ("get", "/v1/apps/{app}/presence"),
    ("get", "/v1/apps/{app}/users/{user}/channels"),
    ("get", "/v1/apps/{app}/groups"),
    ("get", "/v1/apps/{app}/groups/{group}/channels"),
    ("delete", "/v1/apps/{app}/groups/{group}/channels"),
    ("get", "/v1/apps/{app}/groups/{group}/channels/{channel}"),
    ("put", "/v1/apps/{app}/groups/{group}/channels/{channel}"),
    ("delete", "/v1/apps/{app}/groups/{group}/channels/{channel}"),
    ("get", "/v1/apps/{app}/retention"),
    ("put", "/v1/apps/{app}/retention"),
    ("delete", "/v1/apps/{app}/retention"),
    ("get", "/v1/apps/{app}/holds"),
    ("put", "/v1/apps/{app}/holds/{hold}"),
    ("delete", "/v1/apps/{app}/holds/{hold}"),
    ("get", "/v1/apps/{app}/erasures"),
    ("post", "/v1/apps/{app}/erasures"),
    ("get", "/v1/apps/{app}/erasures/{erasure}"),
    ("get", "/v1/apps/{app}/erasures/{erasure}/channels"),
    ("get", "/v1/apps/{app}/clock"),
    ("post", "/v1/apps/{app}/clock/confirm"),
    ("get", "/v1/apps/{app}/grants"),
    ("post", "/v1/apps/{app}/grants"),
    ("delete", "/v1/apps/{app}/grants/{grant}"),
];

fn named(text: &str) -> ChannelName {
    ChannelName::named(text).expect("a valid name")
}

fn parse(method: Method, path: &str) -> Result<Endpoint, u16> {
    Route::parse(&method, path).map(|route| route.endpoint).map_err(|problem| problem.status.as_u16())
}

#[test]
fn a_slash_in_percent_code_belongs_to_the_name() {
    let path = "/v1/apps/demo/channels/a%2Fb%20c%F0%9F%8E%89/messages";
    assert_eq!(parse(Method::GET, path), Ok(Endpoint::Channel(named("a/b c🎉"), InChannel::History)));
}

#[test]
fn every_path_has_its_answer() {
    use Method as M;
    let in_a = |operation| Ok(Endpoint::Channel(named("a"), operation));
    assert_eq!(parse(M::POST, "/v1/apps/demo/channels/a/messages"), in_a(InChannel::Publish));
    assert_eq!(parse(M::HEAD, "/v1/apps/demo/channels/a/messages"), in_a(InChannel::History));
    assert_eq!(parse(M::POST, "/v1/apps/demo/channels/a/messages/delete"), in_a(InChannel::DeleteList));
    assert_eq!(parse(M::PATCH, "/v1/apps/demo/channels/a/messages/7"), in_a(InChannel::Edit(Id::from_raw(7))));
    assert_eq!(parse(M::GET, "/v1/apps/demo/channels/a/messages/x"), Err(400), "not an id");
    assert_eq!(parse(M::GET, "/v1/apps/demo/channels/a/messages/18446744073709551616"), Err(400), "too large an id");
    assert_eq!(parse(M::PUT, "/v1/apps/demo/channels/a/messages"), Err(405));
    assert_eq!(parse(M::GET, "/v1/apps/demo/channels/a/signals"), Err(405));
    assert_eq!(parse(M::GET, "/v1/apps/demo/channels//messages"), Err(400), "an empty name");
    assert_eq!(parse(M::GET, "/v1/apps/demo/channels/%00/messages"), Err(400), "NUL");
    assert_eq!(parse(M::GET, "/v1/apps/demo/channels/%ff/messages"), Err(400), "not UTF-8");
    assert_eq!(parse(M::GET, "/v1/apps/de%2Fmo/channels"), Err(400), "a bad app");
    assert_eq!(parse(M::GET, "/v1/apps/demo/channels/a/b/messages"), Err(404));
    assert_eq!(parse(M::GET, "/v1/apps/demo/channels/a/messages/1/versions/2"), Err(404), "too deep");
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
        let path = path.replace("{id}", "1").replace("{reaction}", "1").replace(['{', '}'], "");
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
        assert!(Route::parse(&method, &path).is_ok(), "{method} {path}");
    }
}

/// What is allowed under a path of the description is exactly what it says: no operation is served in silence.
#[test]
fn every_operation_of_a_described_path_is_described() {
    for (_, path) in ROUTES {
        let asked = path.replace("{id}", "1").replace("{reaction}", "1").replace(['{', '}'], "");
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let described = ROUTES.contains(&(method.as_str().to_lowercase().as_str(), path));
            assert_eq!(Route::parse(&method, &asked).is_ok(), described, "{method} {path}");
        }
    }
}
