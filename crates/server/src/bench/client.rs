//! One HTTP/1.1 connection to the server under load, without a pool or retries between it and the clock.

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

/// Which server, which app on it, and the key to it.
#[derive(Clone)]
pub struct Target {
    authority: String,
    app: String,
    authorization: HeaderValue,
}

/// A whole answer.
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

/// A connection; one request at a time.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
}

impl Target {
    /// `url` is `http://host:port` and nothing more.
    pub fn new(url: &str, app: &str, key: &str) -> Result<Target> {
        let uri: Uri = url.parse().context("--url")?;
        ensure!(uri.scheme_str() == Some("http") && uri.path() == "/", "--url: http://host:port is expected");
        let host = uri.host().context("--url: no host")?;
        let authority = format!("{host}:{}", uri.port_u16().unwrap_or(80));
        model::AppId::new(app).context("--app")?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {key}")).context("--key")?;
        authorization.set_sensitive(true);
        Ok(Target { authority, app: app.to_owned(), authorization })
    }

    /// `rest` goes on after `/v1/apps/{app}/channels/`.
    pub fn get(&self, rest: &str) -> Request<Full<Bytes>> {
        self.request(Method::GET, rest, Bytes::new())
    }

    /// A JSON body to a path as in [`Target::get`].
    pub fn post(&self, rest: &str, json: impl Into<Bytes>) -> Request<Full<Bytes>> {
        self.request(Method::POST, rest, json.into())
    }

    fn request(&self, method: Method, rest: &str, body: Bytes) -> Request<Full<Bytes>> {
        Request::builder()
            .method(method)
            .uri(format!("/v1/apps/{}/channels/{rest}", self.app))
            .header(HOST, &self.authority)
            .header(AUTHORIZATION, &self.authorization)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .expect("the app's name was checked and channels are ours")
    }
}

impl Connection {
    pub async fn open(target: &Target) -> Result<Connection> {
        let address = &target.authority;
        let socket = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        socket.set_nodelay(true).context("setting TCP_NODELAY")?;
        let (sender, connection) = http1::handshake(TokioIo::new(socket)).await.context("starting HTTP")?;
        // How it ends is told by the request that waits for an answer.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Connection { sender, _driver: AbortOnDropHandle::new(driver) })
    }

    /// Sends a request and reads the whole answer, whatever its status.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer> {
        self.sender.ready().await.context("the server closed the connection")?;
        let response = self.sender.send_request(request).await.context("sending a request")?;
        let status = response.status();
        let body = response.into_body().collect().await.context("reading an answer")?.to_bytes();
        Ok(Answer { status, body })
    }

    /// Sends a request whose answer does not end; returns when its headers are there.
    pub async fn stream(&mut self, request: Request<Full<Bytes>>) -> Result<Incoming> {
        self.sender.ready().await.context("the server closed the connection")?;
        let response = self.sender.send_request(request).await.context("opening a stream")?;
        if response.status() != StatusCode::OK {
            let status = response.status();
            let body = response.into_body().collect().await.context("reading an answer")?.to_bytes();
            bail!("the server answered {}", Answer { status, body });
        }
        Ok(response.into_body())
    }
}

impl Answer {
    /// How many of so many messages the server put off for now (429, 503): all of the request, or, in an array, those
    /// whose outcome says so. A request that reads counts as one. Any other failure is an error.
    pub fn refused(&self, messages: u64) -> Result<u64> {
        if is_refusal(self.status.as_u16()) {
            return Ok(messages.max(1));
        }
        ensure!(self.status.is_success(), "the server answered {self}");
        if messages == 0 || !self.body.starts_with(b"[") {
            return Ok(0);
        }
        let outcomes: Vec<Outcome> = serde_json::from_slice(&self.body).context("reading the outcomes of an array")?;
        let failures: Vec<&Failure> = outcomes.iter().filter_map(|outcome| outcome.error.as_ref()).collect();
        ensure!(failures.iter().all(|failure| is_refusal(failure.status)), "the server answered {self}");
        Ok(failures.len() as u64)
    }
}

fn is_refusal(status: u16) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS.as_u16() || status == StatusCode::SERVICE_UNAVAILABLE.as_u16()
}

/// What became of one message of an array, as far as it matters here.
#[derive(Deserialize)]
struct Outcome {
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    status: u16,
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.status, String::from_utf8_lossy(&self.body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_host_and_a_port() {
        assert!(Target::new("http://127.0.0.1:7117", "demo", "secret").is_ok());
        for url in ["127.0.0.1:7117", "https://127.0.0.1", "http://127.0.0.1/v1", ""] {
            assert!(Target::new(url, "demo", "secret").is_err(), "{url}");
        }
        assert!(Target::new("http://127.0.0.1:7117", "de/mo", "secret").is_err());
        assert!(Target::new("http://127.0.0.1:7117", "demo", "line\nbreak").is_err());
    }

    #[test]
    fn refusals_are_told_from_failures_also_inside_an_array() {
        let refused = |status, body: &'static str, messages| {
            Answer { status, body: Bytes::from_static(body.as_bytes()) }.refused(messages).ok()
        };
        assert_eq!(refused(StatusCode::CREATED, r#"{"id":"1"}"#, 1), Some(0));
        assert_eq!(refused(StatusCode::OK, r#"[{"id":"1"},{"error":{"status":503}}]"#, 2), Some(1));
        assert_eq!(refused(StatusCode::OK, r#"[{"id":"1"},{"error":{"status":400}}]"#, 2), None);
        assert_eq!(refused(StatusCode::SERVICE_UNAVAILABLE, "", 5), Some(5));
        assert_eq!(refused(StatusCode::TOO_MANY_REQUESTS, "", 0), Some(1));
        assert_eq!(refused(StatusCode::NOT_FOUND, "", 1), None);
    }
}
