//! `holds`: legal holds on channels and on authors.

use crate::{
    Native,
    call::{Answer, Call},
    convert,
    error::Problem,
    fields::Fields,
    json,
    wire::origin_name,
};
use http::StatusCode;
use model::ChannelName;
use serde_json::{Value, json};
use service::{Hold, HoldScope};

impl Native {
    pub(crate) async fn list_holds(&self, call: Call<'_>) -> Answer {
        let caller = call.bare()?;
        let holds = self.channels.holds(caller).await?;
        let holds: Vec<Value> = holds.iter().map(show).collect();
        Ok(json(json!({ "holds": holds }).to_string().into()))
    }

    /// Places a hold on a `channel` or an `author`, for a `reason`.
    pub(crate) async fn hold(&self, call: Call<'_>, name: String) -> Answer {
        let (caller, body) = call.body().await?;
        let mut fields = Fields::of_body(&body)?;
        let reason = fields.required("reason")?;
        let scope = scope(&mut fields)?;
        fields.finish()?;
        let hold = Hold { name, scope, reason };
        let shown = show(&hold);
        self.channels.hold(caller, hold).await?;
        let mut response = json(shown.to_string().into());
        *response.status_mut() = StatusCode::CREATED;
        Ok(response)
    }

    pub(crate) async fn release(&self, call: Call<'_>, name: &str) -> Answer {
        let caller = call.bare()?;
        self.channels.release(caller, name).await?;
        Ok(json(json!({ "released": name }).to_string().into()))
    }
}

fn scope(fields: &mut Fields<'_>) -> Result<HoldScope, Problem> {
    let channel = fields.take::<String>("channel")?;
    let author = fields.take::<String>("author")?;
    let origin = fields.take::<String>("origin")?;
    match (channel, author) {
        (Some(_), Some(_)) => Err(Problem::invalid("author", "not together with channel: make two holds")),
        (None, None) => Err(Problem::invalid("channel", "name a channel or an author")),
        (Some(_), None) if origin.is_some() => Err(Problem::invalid("origin", "it goes with an author")),
        (Some(name), None) => Ok(HoldScope::Channel(ChannelName::named(&name)?)),
        (None, Some(author)) => Ok(HoldScope::Author(convert::user("author", &author, origin.as_deref())?)),
    }
}

fn show(hold: &Hold) -> Value {
    match &hold.scope {
        HoldScope::Channel(channel) => {
            json!({ "name": hold.name, "channel": channel.as_named(), "reason": hold.reason })
        }
        HoldScope::Author(user) => json!({
            "name": hold.name,
            "author": &*user.id,
            "origin": origin_name(user.origin),
            "reason": hold.reason,
        }),
    }
}
