//! `erasures`: takes a person out of an app, and keeps a receipt that names nobody.

use crate::{
    Native,
    call::{Answer, Call},
    convert,
    fields::Fields,
    json,
    settings::{DEFAULT_LIMIT, LISTED},
    wire::origin_name,
};
use http::{HeaderValue, StatusCode, header};
use model::Id;
use serde_json::{Value, json};
use service::{Erased, Erasure, ErasureState};

impl Native {
    /// Begins to erase a `user` (and its `origin`, if it came through a vendor's dialect): 202, with where to ask how far
    /// it is.
    pub(crate) async fn erase(&self, call: Call<'_>) -> Answer {
        let (caller, body) = call.body().await?;
        let mut fields = Fields::of_body(&body)?;
        let user: String = fields.required("user")?;
        let origin = fields.take::<String>("origin")?;
        fields.finish()?;
        let user = convert::user("user", &user, origin.as_deref())?;
        let erasure = self.channels.erase(caller, &user).await?;
        let place = format!("/v1/apps/{}/erasures/{}", caller.app, erasure.id);
        let mut response = json(show(&erasure).to_string().into());
        *response.status_mut() = StatusCode::ACCEPTED;
        if let Ok(place) = HeaderValue::try_from(place) {
            response.headers_mut().insert(header::LOCATION, place);
        }
        Ok(response)
    }

    pub(crate) async fn erasure(&self, call: Call<'_>, id: &str) -> Answer {
        let caller = call.bare()?;
        let erasure = self.channels.erasure(caller, id).await?;
        Ok(json(show(&erasure).to_string().into()))
    }

    pub(crate) async fn list_erasures(&self, call: Call<'_>) -> Answer {
        let (caller, mut params) = call.params()?;
        let after = params.take("after")?;
        let limit = params.take_number("limit", 1..=LISTED, DEFAULT_LIMIT)? as u32;
        params.finish(&["after", "limit"])?;
        let erasures = self.channels.erasures(caller, after.as_deref(), limit).await?;
        let next = erasures.last().filter(|_| erasures.len() == limit as usize).map(|last| last.id.clone());
        let erasures: Vec<Value> = erasures.iter().map(show).collect();
        Ok(json(json!({ "erasures": erasures, "next": next }).to_string().into()))
    }

    /// The channels in which it took something.
    pub(crate) async fn erased_in(&self, call: Call<'_>, id: &str) -> Answer {
        let (caller, mut params) = call.params()?;
        let after = params.take("after")?;
        let limit = params.take_number("limit", 1..=LISTED, DEFAULT_LIMIT)? as u32;
        params.finish(&["after", "limit"])?;
        let (touched, next) = self.channels.erased_in(caller, id, after.as_deref(), limit).await?;
        let channels: Vec<Value> = touched
            .iter()
            .map(|one| {
                let mut shown = erased(&one.erased);
                shown["channel"] = one.channel.to_string().into();
                shown
            })
            .collect();
        Ok(json(json!({ "channels": channels, "next": next }).to_string().into()))
    }
}

fn show(erasure: &Erasure) -> Value {
    let state = match erasure.state {
        ErasureState::Removing => "removing",
        ErasureState::Scrubbing => "scrubbing",
        ErasureState::Done => "done",
    };
    let time = |ticks: u64| convert::time(Id::new(ticks, 0));
    json!({
        "id": erasure.id,
        "state": state,
        "user": erasure.user.as_ref().map(|user| &*user.id),
        "origin": erasure.user.as_ref().map(|user| origin_name(user.origin)),
        "started": time(erasure.started_at),
        "finished": erasure.finished_at.map(time),
        "erased": erased(&erasure.erased),
        "channels": erasure.channels,
        "waits_for_hold": erasure.waits_for,
    })
}

fn erased(erased: &Erased) -> Value {
    json!({
        "messages": erased.messages,
        "edits": erased.edits,
        "reactions": erased.reactions,
        "records": erased.records,
    })
}
