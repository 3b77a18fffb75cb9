//! `clock`: what the clocks say, and whether things are removed by time.

use crate::{
    Native,
    call::{Answer, Call},
    convert, json,
};
use axum::body::Body;
use http::Response;
use model::{Id, TICKS_PER_SECOND};
use serde_json::json;
use service::ClockStatus;

impl Native {
    pub(crate) async fn clock_status(&self, call: Call<'_>) -> Answer {
        let caller = call.bare()?;
        Ok(show(self.channels.clock_status(caller)?))
    }

    /// An operator says that the wall clock is right.
    pub(crate) async fn confirm_clock(&self, call: Call<'_>) -> Answer {
        let caller = call.bare()?;
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
