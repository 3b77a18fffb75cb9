//! One request on its way: its caller, and what came with it. A handler says which parts it takes and gets the caller
//! together with them; a query that it does not take must be empty.

use crate::{error::Problem, params::Params};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Response};
use service::Caller;

/// What a handler answers.
pub(crate) type Answer = Result<Response<Body>, Problem>;

/// A request of a known caller.
pub(crate) struct Call<'a> {
    pub caller: &'a Caller,
    pub headers: &'a HeaderMap,
    pub query: Option<&'a str>,
    pub body: Body,
    pub body_bounds: edge::body::Bounds,
}

impl<'a> Call<'a> {
    /// The caller of a request that is all said by its path.
    pub fn bare(self) -> Result<&'a Caller, Problem> {
        let caller = self.caller;
        self.params().and_then(|(_, params)| params.finish(&[])).map(|()| caller)
    }

    /// The caller and the parameters of the query.
    pub fn params(self) -> Result<(&'a Caller, Params<'a>), Problem> {
        Ok((self.caller, Params::parse(self.query)?))
    }

    /// The caller and the whole body, of a request without parameters.
    pub async fn body(self) -> Result<(&'a Caller, Bytes), Problem> {
        let caller = self.caller;
        let ((), body) = self.parts(|params| params.finish(&[])).await?;
        Ok((caller, body))
    }

    /// What `parse` makes of the parameters, and then the whole body: of a wrong query no body is read.
    pub async fn parts<T>(self, parse: impl FnOnce(Params<'a>) -> Result<T, Problem>) -> Result<(T, Bytes), Problem> {
        let parsed = parse(Params::parse(self.query)?)?;
        let bounds = self.body_bounds;
        let body = edge::body::read(self.body, bounds).await;
        Ok((parsed, body.map_err(|error| Problem::of_body(&error, bounds.bytes))?))
    }
}
