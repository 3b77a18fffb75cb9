//! `clock`: what the clocks say, and whether things are removed by time.

use crate::{Native, convert, error::Problem, json, params::Params};
use axum::body::Body;
use http::Response;
use model::{Id, TICKS_PER_SECOND};
use serde_json::json;
use service::{Caller, ClockStatus};

impl Native {
    pub(crate) async fn clock_status(&self, caller: &Caller, query: Option<&str>) -> Result<Response<Body>, Problem> {
        Params::parse(query)?.finish(&[])?;
        Ok(show(self.channels.clock_status(caller)?))
    }

    /// An operator says that the wall clock is right.
    pub(crate) async fn confirm_clock(&self, caller: &Caller, query: Option<&str>) -> Result<Response<Body>, Problem> {
        Params::parse(query)?.finish(&[])?;
        Ok(show(self.channels.confirm_clock(caller).await?))
    }
}

fn show(status: ClockStatus) -> Response<Body> {
    let time = |ticks: u64| convert::time(Id::new(ticks, 0));
    let answer = json!({
        "wall": time(status.wall_ticks),
        "trusted": time(status.trusted_ticks),
        "doubted_for": status.doubted_for.map(|ticks| ticks / TICKS_PER_SECOND),
    });
    json(answer.to_string().into())
}
